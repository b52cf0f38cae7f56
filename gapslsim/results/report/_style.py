"""The page's style: light and dark colours of one palette, safe without colour vision, readable on a phone."""

from __future__ import annotations

from typing import Final

from gapslsim.results.drawing.svg_style import DARK, LIGHT, PLOT

__all__ = ["STYLE"]


STYLE: Final = (
    """
LIGHT
@media (prefers-color-scheme: dark) { DARK }
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
.scroll { overflow-x: auto; max-width: 100%; background:
  linear-gradient(to right, var(--bg) 40%, transparent) left / 3rem 100% no-repeat local,
  linear-gradient(to left, var(--bg) 40%, transparent) right / 3rem 100% no-repeat local,
  linear-gradient(to right, var(--line), transparent) left / .8rem 100% no-repeat scroll,
  linear-gradient(to left, var(--line), transparent) right / .8rem 100% no-repeat scroll; }
.single .broad { display: none; }
@media (min-width: 760px) { .single .broad { display: block; } .single .slim { display: none; } }
.single svg.plot { max-width: 1100px; }
.downloads { font-size: .85rem; margin: .3rem 0; }
.scroll:focus-visible { outline: 2px solid var(--accent); }
svg.plot { width: 100%; height: auto; display: block; }
.wide > .scroll > svg.plot { min-width: 640px; max-width: 1100px; }
svg.defs { position: absolute; }
PLOT
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
""".replace("PLOT", PLOT)
    .replace("LIGHT", LIGHT)
    .replace("DARK", DARK)
)
