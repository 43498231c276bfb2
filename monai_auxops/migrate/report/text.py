"""The report for a terminal, readable at 80 columns."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from monai_auxops.migrate.report.model import Model

_COLORS: Final = {
    "exact": "32",
    "equivalent": "32",
    "approximate": "33",
    "dropped": "2",
    "manual": "31",
    "fatal": "31",
    "error": "31",
    "warning": "33",
    "info": "2",
    "bold": "1",
}
_OUTCOMES: Final = ("exact", "equivalent", "approximate", "dropped", "manual")
_NAME: Final = 30


class Text:
    """Formats a report."""

    def __init__(self, width: int = 80, color: bool = False, verbose: bool = False) -> None:
        self.width, self.color, self.verbose = max(60, min(width, 120)), color, verbose

    @property
    def room(self) -> int:
        """The columns left for what a component becomes."""
        return self.width - 15 - _NAME - 2

    def render(self, report: Model) -> str:
        """Return the whole report."""
        brief = not report["chosen"] and not self.verbose
        lines = [line for file in report["files"] for line in self.file(file, brief)]
        lines += self.other_lines(report)
        lines += self.problem_lines(report["diagnostics"])
        lines += self.next(report)
        return "\n".join(lines) + "\n"

    def paint(self, style: str, text: str) -> str:
        """Color a text if the terminal shows colors."""
        return f"\033[{_COLORS[style]}m{text}\033[0m" if self.color else text

    def wrap(self, text: str, indent: int) -> list[str]:
        """Break a text into lines."""
        pad = " " * indent
        options: dict[str, Any] = {"break_on_hyphens": False}
        return textwrap.wrap(text, self.width, initial_indent=pad, subsequent_indent=pad, **options)

    def file(self, file: Model, brief: bool) -> Iterator[str]:
        """Yield one configuration: its counts, its components part by part, its settings."""
        unused = "" if file["used"] else ", not used in the bundle"
        yield self.paint("bold", f"{file['file']}  ({file['kind']}{unused})")
        yield f"  {file['components']} components, {file['migrated_percent']:g} % migrated: {_counts(file)}"
        if brief or not (file["used"] or self.verbose):
            yield ""
            return
        for part in dict.fromkeys(entry["part"] for entry in file["entries"]):
            yield ""
            yield f"  {part}"
            yield from self.entry_lines([entry for entry in file["entries"] if entry["part"] == part])
        if file["settings"]:
            yield ""
            yield "  settings"
            yield from self.setting_lines(file["settings"])
        yield ""

    def entry_lines(self, entries: list[Model]) -> Iterator[str]:
        """Yield a line per component, and the reason if the component is not simply the same."""
        said: set[str] = set()
        for entry in entries:
            yield self.row(entry["outcome"], entry["clara"], _targets(entry["bundle"]))
            reason = entry["why"]
            tells = self.verbose or entry["outcome"] in ("approximate", "dropped", "manual") or entry["notes"]
            if tells and reason not in said:
                said.add(reason)
                yield from self.wrap(reason, 6)
            if self.verbose and entry["not_needed"]:
                for name, why in entry["not_needed"].items():
                    yield from self.wrap(f"{name}: {why}", 6)

    def row(self, outcome: str, name: str, targets: str) -> str:
        """Return a line of outcome, Clara's name and the bundle's name."""
        shown = name if len(name) <= _NAME else name[: _NAME - 3] + "..."
        targets = targets if len(targets) <= self.room else targets[: self.room - 3] + "..."
        return f"    {self.paint(outcome, f'{outcome:<11}')} {shown:<{_NAME}} {targets}"

    def setting_lines(self, settings: list[Model]) -> Iterator[str]:
        """Yield a line per setting."""
        for item in settings:
            target = f"{item['to']} = {item['value']}" if item["to"] else "-"
            source = f"({item['from']})" if item["from"] and item["to"] else ""
            one_line = f"{target}  {source}".rstrip()
            fits = len(one_line) <= self.room
            yield self.row(item["outcome"], item["name"], one_line if fits else target)
            yield from [] if fits else self.wrap(source, 17 + _NAME)

    def other_lines(self, report: Model) -> Iterator[str]:
        """Yield what else was found."""
        for item in report["other_files"]:
            yield from self.wrap(f"{item['file']}: {item['kind']}", 0)
        if report.get("carried"):
            yield from self.wrap(report["carried"], 0)
        elif report["weights"]:
            yield from self.wrap(f"weights not migrated: {', '.join(report['weights'])}", 0)
        if report["other_files"] or report["weights"]:
            yield ""

    def problem_lines(self, items: list[Model]) -> Iterator[str]:
        """Yield the problems, worst first; remarks only if asked for."""
        shown = [item for item in items if self.verbose or item["severity"] != "info"]
        if shown:
            yield self.paint("bold", "What to look at")
        for item in shown:
            yield from self.problem(item)
        hidden = len(items) - len(shown)
        if hidden:
            yield f"  {hidden} more remark{'s' * (hidden > 1)} with --verbose"
        if items:
            yield ""

    def problem(self, item: Model) -> Iterator[str]:
        """Yield one problem: where it is, what it is, and what to do."""
        position = f":{item['line']}:{item['column']}" if item["line"] else ""
        yield f"  {self.paint(item['severity'], item['severity'])} {item['code']}  {item['file']}{position}"
        path = f"{item['path']}: " if item["path"] else ""
        hint = f"; {item['hint']}" if item["hint"] else "."
        yield from self.wrap(f"{path}{item['message']}{hint}", 6)
        yield from self.wrap(item["advice"], 6)

    def next(self, report: Model) -> Iterator[str]:
        """Yield the result of a check, and the command to run next."""
        if report["checked"]:
            yield from self.wrap(f"Check passed: {report['checked']}.", 0)
            yield ""
        if report.get("written"):
            yield self.paint("bold", f"Written: {report['written']}")
        elif not report["chosen"] and report["next"]:
            yield self.paint("bold", "Nothing was written, because a bundle is made of one configuration. Run one of:")
        elif report["next"]:
            yield self.paint("bold", "Nothing was written. To write the bundle, run:")
        elif report["exit_code"] == 2:
            yield self.paint("bold", "Nothing was written. Correct the errors above and run the command again.")
        yield from (f"  {command}" for command in report["next"])


def _counts(file: Model) -> str:
    return ", ".join(f"{file[name]} {name}" for name in _OUTCOMES if file[name])


def _targets(items: list[Model]) -> str:
    """Name what a component becomes; repeated targets appear once, with their number."""
    counts = Counter(_short_target(item["target"]) for item in items)
    return ", ".join(name if count == 1 else f"{count} x {name}" for name, count in counts.items()) or "-"


def _short_target(target: str) -> str:
    return target.removeprefix("monai_auxops.clara.").removeprefix("monai_auxops.").rpartition("lr_scheduler.")[2]
