"""``monai-auxops components`` and ``explain``: the rows of Clara Train 3.1 and of 4, side by side."""

from __future__ import annotations

import json

from monai_auxops.migrate import explain as clara3
from monai_auxops.migrate.clara4 import explain as clara4
from monai_auxops.migrate.diagnostics import did_you_mean
from monai_auxops.migrate.rules import RuleBook


def components(form: str = "text") -> str:
    """Return the compatibility table; as JSON it is one list."""
    old = clara3.components(RuleBook(), form)
    if form == "json":
        return json.dumps([*json.loads(old), *map(clara4.row, clara4.names())], indent=1) + "\n"
    if form == "markdown":
        return f"{old}\n{clara4.markdown()}"
    return f"{old}\n{clara4.text()}"


def explain(name: str) -> str | None:
    """Return what is known about a component, a class of MONAI or a diagnostic code, or None."""
    found = [text for text in (clara3.explain(name, RuleBook()), clara4.explain(name)) if text is not None]
    return "".join(found) or None


def suggestion(name: str) -> str:
    """Return the nearest known name as a hint."""
    return clara3.suggestion(name, RuleBook()) or did_you_mean(name, clara4.names())
