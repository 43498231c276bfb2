"""The tables of the docs that are generated from the package: `python -m tests.tables` rewrites them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from monai_auxops.migrate.clara4 import explain as clara4
from monai_auxops.migrate.codes import CODES
from monai_auxops.migrate.explain import components
from monai_auxops.migrate.rules import RuleBook

DOCS = Path(__file__).parents[1] / "docs"


def _codes() -> Iterator[str]:
    yield "| code | severity | what is wrong | what to do |"
    yield "| --- | --- | --- | --- |"
    for name, code in CODES.items():
        yield f"| `{name}` | {code.severity.value} | {code.title} | {code.advice} |"


def tables() -> dict[str, str]:
    """Return each generated table by the name of its markers, which is also the name of its page."""
    codes = "\n".join(_codes()) + "\n"
    return {"components": components(RuleBook(), "markdown"), "codes": codes, "clara4": clara4.markdown()}


def page(name: str) -> Path:
    return DOCS / f"{name}.md"


def parts(name: str) -> tuple[str, str, str]:
    """Return a page as what comes before its table, the table, and what comes after it."""
    before, _, rest = page(name).read_text(encoding="utf-8").partition(f"<!-- {name} -->\n")
    table, _, after = rest.partition(f"<!-- /{name} -->")
    return before, table, after


def write() -> None:
    for name, table in tables().items():
        before, _, after = parts(name)
        text = f"{before}<!-- {name} -->\n\n{table}\n<!-- /{name} -->{after}"
        page(name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
