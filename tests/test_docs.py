"""The Python blocks of the documentation run, in order, and the JSON blocks parse."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import monai_auxops
from tests import tables

ROOT = Path(__file__).parents[1]
PAGES = [page for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")) if "```" in page.read_text(encoding="utf-8")]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": page.stem}
    for number, block in enumerate(blocks(page, "python"), 1):
        exec(compile(block, f"{page.name}, block {number}", "exec"), namespace)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_json_blocks_parse(page):
    for block in blocks(page, "json"):
        json.loads(block)


@pytest.mark.parametrize("name", ["components", "codes", "clara4"])
def test_generated_tables_are_up_to_date(name):
    _, shown, _ = tables.parts(name)
    assert shown.strip() == tables.tables()[name].strip(), "run `python -m tests.tables`"


def test_links_lead_somewhere():
    for page in PAGES:
        for link in re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_the_reference_has_every_public_name():
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    missing = [name for name in monai_auxops.__all__ if name != "__version__" and f".{name}\n" not in text]
    assert missing == []
