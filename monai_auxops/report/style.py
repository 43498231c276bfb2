"""How the page looks: one column on a phone, charts side by side where there is room, light or dark as the reader's."""

STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5d6876; --paper: #f6f7f9; --card: #fff; --line: #dfe3e8;
  --accent: #2a78d6; --good: #1f8a4c; --warn: #fff4d6; --warnink: #7a5200; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e8ee; --soft: #9aa5b3; --paper: #12161c; --card: #1a2028; --line: #2d3641; --accent: #6cabf2;
    --good: #56c285; --warn: #3a2f12; --warnink: #f2cf7e; }
}
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: var(--paper); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 76rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .2rem; overflow-wrap: anywhere; }
h1.next { margin-top: 3.5rem; padding-top: 1.5rem; border-top: 1px solid var(--line); }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .8rem; } h3 { font-size: .95rem; margin: 0 0 .5rem; overflow-wrap: anywhere; }
p { margin: .3rem 0; } .soft { color: var(--soft); } small { color: var(--soft); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .7rem; padding: .9rem 1rem; }
.grid { display: grid; gap: .9rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 25rem), 1fr)); }
.grid > * { min-width: 0; } .chart { width: 100%; overflow: hidden; }
.vega-embed { display: block !important; padding: 0 !important; } .vega-embed svg { display: block; }
.pictures { grid-template-columns: repeat(auto-fill, minmax(min(100%, 21rem), 1fr)); margin-bottom: .9rem; }
.tiles { display: grid; gap: .9rem; margin: 1.1rem 0; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); }
.tiles b { display: block; font-size: 1.45rem; line-height: 1.25; font-variant-numeric: tabular-nums; }
.tiles .best b { color: var(--good); }
.note { background: var(--warn); color: var(--warnink); border-radius: .7rem; padding: .7rem 1rem; margin: 1rem 0; }
.note ul { margin: .2rem 0 0; padding-left: 1.2rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .45rem .7rem .45rem 0; border-bottom: 1px solid var(--line);
  vertical-align: middle; }
tr:last-child > * { border-bottom: 0; } th { font-weight: 600; color: var(--soft); white-space: nowrap; }
td.n, th.n { text-align: right; white-space: nowrap; } td.file { overflow-wrap: anywhere; min-width: 9rem; }
.case { display: grid; gap: .2rem .9rem; grid-template-columns: auto 1fr; }
figure { margin: 0; } figcaption { color: var(--soft); font-size: .85rem; margin-top: .4rem; overflow-wrap: anywhere; }
figure img { width: 100%; border-radius: .4rem; display: block; background: #000; image-rendering: pixelated; }
.three { display: grid; grid-template-columns: repeat(3, 1fr); text-align: center; color: var(--soft);
  font-size: .8rem; }
.facts td:first-child { color: var(--soft); white-space: nowrap; width: 1%; padding-right: 1.5rem; }
.facts td { overflow-wrap: anywhere; }
pre { font: 12.5px/1.45 ui-monospace, monospace; overflow-x: auto; margin: .6rem 0 0; max-height: 28rem; }
summary { cursor: pointer; color: var(--accent); } details { margin-top: .8rem; }
footer { margin-top: 2.5rem; color: var(--soft); font-size: .85rem; }
#vg-tooltip-element { font: 13px/1.4 system-ui, sans-serif; color: var(--ink); background: var(--card);
  border: 1px solid var(--line); }
#vg-tooltip-element td { border: 0; padding: .05rem .4rem; } #vg-tooltip-element table { width: auto; }
#vg-tooltip-element td.key { color: var(--soft); }
"""
