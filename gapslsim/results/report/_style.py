"""The page's style: light and dark colours of one palette, safe without colour vision, readable on a phone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from gapslsim.results.categories import Category
from gapslsim.results.drawing import palette

__all__ = ["STYLE"]


def _variables(series: Sequence[str], categories: Mapping[Category, str]) -> str:
    named = {f"s{number}": colour for number, colour in enumerate(series)} | {**categories}
    return " ".join(f"--{name}: {colour};" for name, colour in named.items())


STYLE: Final = """
:root { color-scheme: light dark; --bg: #ffffff; --fg: #1b1d21; --soft: #5a616b; --grid: #e3e6ea; --card: #f6f7f9;
  --line: #c9ced6; --accent: #0b5cad; --hatch: rgba(0,0,0,.42);
  LIGHT }
@media (prefers-color-scheme: dark) { :root { --bg: #14161a; --fg: #e8eaed; --soft: #a7aeb8; --grid: #2b2f36;
  --card: #1c1f25; --line: #3c424b; --accent: #7db7f2; --hatch: rgba(0,0,0,.55);
  DARK } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--bg); color: var(--fg); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto,
  "Noto Sans", "DejaVu Sans", sans-serif; }
main { max-width: 1280px; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: .5rem 0; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h3 { font-size: .95rem; font-weight: 600; margin: .4rem 0 .1rem; overflow-wrap: anywhere; }
.question { font-size: 1.1rem; max-width: 70ch; }
nav ul { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .2rem 1rem; font-size: .9rem; }
a { color: var(--accent); }
figure, section { margin: 2rem 0; padding: 1rem 0 0; border-top: 1px solid var(--line); min-width: 0; }
figcaption p, .caption { margin: .4rem 0; }
figcaption ul { margin: .3rem 0; padding-left: 1.2rem; }
figcaption, .caption { max-width: 85ch; color: var(--fg); margin: .6rem 0; font-size: .95rem; overflow-wrap: anywhere; }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 340px), 1fr)); gap: .5rem 1.5rem; }
.panel { min-width: 0; max-width: 560px; }
.panel.wide { grid-column: 1 / -1; max-width: none; }
.scroll { overflow-x: auto; max-width: 100%; }
.scroll:focus-visible { outline: 2px solid var(--accent); }
svg.plot { width: 100%; height: auto; display: block; }
.wide svg.plot { min-width: 640px; max-width: 1100px; }
svg.defs { position: absolute; }
svg text { font: 11.5px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
  fill: var(--soft); }
svg text.label { fill: var(--fg); }
svg text.strong { fill: var(--fg); font-weight: 600; }
.grid { stroke: var(--grid); stroke-width: 1; }
.axis { stroke: var(--soft); stroke-width: 1; }
.c0 { --c: var(--s0); } .c1 { --c: var(--s1); } .c2 { --c: var(--s2); } .c3 { --c: var(--s3); }
.c4 { --c: var(--s4); } .c5 { --c: var(--s5); } .c6 { --c: var(--s6); } .c7 { --c: var(--s7); }
.line { fill: none; stroke: var(--c); stroke-width: 1.8; stroke-linejoin: round; }
.band { fill: var(--c); fill-opacity: .16; stroke: none; }
.reference { fill: var(--soft); fill-opacity: .12; stroke: none; }
.mark { fill: var(--c); stroke: var(--bg); stroke-width: .7; }
.mark.hollow { fill: var(--bg); stroke: var(--c); stroke-width: 1.4; }
.arrow { fill: none; stroke: var(--c); stroke-width: 1.3; }
.range { stroke: var(--c, var(--soft)); stroke-width: 1.2; }
.tick { stroke: var(--fg); stroke-width: 2; }
.front { fill: none; stroke: var(--soft); stroke-dasharray: 4 3; }
.cell { fill: var(--c); }
.bar { stroke: var(--bg); stroke-width: .4; }
.chain { fill: none; stroke: var(--fg); stroke-width: 1.6; }
.hatch { stroke: var(--hatch); stroke-width: 1; stroke-linecap: round; fill: none; }
.k-client_compute { fill: var(--client_compute); } .k-uplink { fill: var(--uplink); }
.k-server_queue { fill: var(--server_queue); } .k-server_compute { fill: var(--server_compute); }
.k-downlink { fill: var(--downlink); } .k-waiting { fill: var(--waiting); }
.legend { list-style: none; margin: .2rem 0 .4rem; padding: 0; display: flex; flex-wrap: wrap; gap: .1rem 1rem;
  font-size: .9rem; }
.legend li { display: inline-flex; align-items: center; gap: .35rem; overflow-wrap: anywhere; }
.swatch { width: 30px; height: 14px; flex: none; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .7rem .3rem 0; border-bottom: 1px solid var(--grid); vertical-align: top; }
td { white-space: nowrap; }
td small { display: block; color: var(--soft); }
thead th { color: var(--soft); font-weight: 600; white-space: nowrap; }
tbody th { font-weight: 600; }
table.wrap td { overflow-wrap: anywhere; white-space: normal; }
table.wrap { width: 100%; }
table.wrap tbody th { width: 9rem; }
pre { background: var(--card); padding: .8rem; overflow-x: auto; font-size: .82rem; line-height: 1.4;
  border-radius: 4px; }
details { margin: .5rem 0; }
summary { cursor: pointer; color: var(--accent); }
.answer li { margin: .2rem 0; max-width: 85ch; }
.small { color: var(--soft); font-size: .85rem; }
@media print { details { display: block; } .scroll { overflow: visible; } }
""".replace("LIGHT", _variables(palette.SERIES_LIGHT, palette.CATEGORY_LIGHT)).replace(
    "DARK", _variables(palette.SERIES_DARK, palette.CATEGORY_DARK)
)
