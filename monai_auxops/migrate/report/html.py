"""The report as one HTML page without scripts or outside files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from monai_auxops.migrate.report.model import Model

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; } .entries { table-layout: fixed; } td { overflow-wrap: anywhere; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem; border-bottom: 1px solid var(--line); }
code, pre { font: 13px/1.4 ui-monospace, monospace; } pre { background: var(--soft); padding: .6rem; overflow-x: auto; }
.bar { display: flex; height: .8rem; border-radius: .4rem; overflow: hidden; margin: .6rem 0; }
.tag { border-radius: .6rem; padding: .05rem .5rem; font-size: .85em; white-space: nowrap; color: #fff; }
.exact { background: #1a7f37; } .equivalent { background: #2f6f9f; } .approximate { background: #9a6700; }
.dropped { background: #6e7781; } .manual, .error, .fatal { background: #b3261e; } .warning { background: #9a6700; }
.info { background: #6e7781; } .why { color: #888; } summary { cursor: pointer; }
"""
_HEAD: Final = (
    '<table class="entries"><tr><th style="width:4%">line</th><th style="width:26%">Clara</th>'
    '<th style="width:11%">outcome</th><th style="width:26%">bundle</th><th>why</th></tr>'
)
_OUTCOMES: Final = ("exact", "equivalent", "approximate", "dropped", "manual")


def html(report: Model) -> str:
    """Return the page."""
    body = "\n".join(_body(report))
    title = escape(f"Migration of {report['source']}")
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{_STYLE}</style>\n</head>\n'
        f"<body>\n<h1>{title}</h1>\n{body}\n</body>\n</html>\n"
    )


def _body(report: Model) -> Iterator[str]:
    total = report["total"]
    yield f"<p>{total['components']} components, {total['migrated_percent']:g} % migrated.</p>"
    yield _bar(total)
    if report["next"]:
        yield "<pre>" + escape("\n".join(report["next"])) + "</pre>"
    if report["diagnostics"]:
        remarks = [item for item in report["diagnostics"] if item["severity"] == "info"]
        yield "<h2>What to look at</h2>\n<table>"
        yield from (_problem(item) for item in report["diagnostics"] if item not in remarks)
        yield "</table>"
        yield f"<details><summary>{len(remarks)} remarks</summary><table>"
        yield from map(_problem, remarks)
        yield "</table></details>"
    for file in report["files"]:
        yield from _file(file)
    for name in report["weights"]:
        yield f"<p>Weights not migrated: <code>{escape(name)}</code></p>"
    for item in report["other_files"]:
        yield f"<p><code>{escape(item['file'])}</code>: {escape(item['kind'])}</p>"


def _bar(counts: Model) -> str:
    parts = "".join(
        f'<span class="{name}" style="flex:{counts[name]}" title="{counts[name]} {name}"></span>'
        for name in _OUTCOMES
        if counts[name]
    )
    words = " ".join(f"{_tag(name)} {counts[name]}" for name in _OUTCOMES if counts[name])
    return f'<div class="bar">{parts}</div><p>{words}</p>'


def _tag(name: str) -> str:
    return f'<span class="tag {name}">{name}</span>'


def _problem(item: Model) -> str:
    position = f":{item['line']}:{item['column']}" if item["line"] else ""
    place = f"<code>{escape(item['file'])}{position}</code><br><code>{escape(item['path'])}</code>"
    hint = f"; {escape(item['hint'])}" if item["hint"] else "."
    return (
        f"<tr><td>{_tag(item['severity'])}</td><td>{item['code']}</td><td>{place}</td>"
        f'<td>{escape(item["message"])}{hint}<br><span class="why">{escape(item["advice"])}</span></td></tr>'
    )


def _file(file: Model) -> Iterator[str]:
    yield f"<h2>{escape(file['file'])} ({file['kind']})</h2>"
    yield f"<p>{file['components']} components, {file['migrated_percent']:g} % migrated.</p>"
    yield _HEAD
    for entry in file["entries"]:
        yield _row(entry)
    for item in file["settings"]:
        target = f"<code>{escape(item['to'])}</code> = {escape(str(item['value']))}" if item["to"] else "-"
        yield (
            f"<tr><td></td><td>{escape(item['name'])}</td><td>{_tag(item['outcome'])}</td><td>{target}</td>"
            f'<td class="why">{escape(item["reason"])}</td></tr>'
        )
    yield "</table>"


def _row(entry: Model) -> str:
    clara = f"<details><summary>{escape(entry['clara'])}</summary>{_json(entry['args'])}</details>"
    bundle = "".join(
        f"<details><summary>{escape(item['target'])}</summary>{_json(item['args'])}</details>"
        for item in entry["bundle"]
    )
    why = escape(entry["why"]) + _unused(entry["not_needed"])
    return (
        f'<tr title="{escape(entry["path"])}"><td>{entry["line"] or ""}</td><td>{clara}</td>'
        f"<td>{_tag(entry['outcome'])}</td><td>{bundle or '-'}</td>"
        f'<td class="why">{why}</td></tr>'
    )


def _unused(args: dict[str, str]) -> str:
    """List the arguments that have no place in the bundle."""
    rows = "<br>".join(f"{escape(name)}: {escape(reason)}" for name, reason in args.items())
    return (
        f"<details><summary>{len(args)} arguments are elsewhere or not needed</summary>{rows}</details>" if args else ""
    )


def _json(value: object) -> str:
    return f"<pre>{escape(json.dumps(value, indent=1, ensure_ascii=False))}</pre>"
