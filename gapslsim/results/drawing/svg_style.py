"""How plots look as SVG: variables of light and dark ground, and the classes that `svg.py` gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from gapslsim.results.categories import Category
from gapslsim.results.drawing import palette

__all__ = ["DARK", "LIGHT", "PLOT"]


def _variables(series: Sequence[str], categories: Mapping[Category, str]) -> str:
    named = {f"s{number}": colour for number, colour in enumerate(series)} | {**categories}
    return " ".join(f"--{name}: {colour};" for name, colour in named.items())


LIGHT: Final = """:root { color-scheme: light dark; --bg: #ffffff; --fg: #1b1d21; --soft: #5a616b; --grid: #e3e6ea;
  --card: #f6f7f9; --line: #c9ced6; --accent: #0b5cad; --hatch: rgba(0,0,0,.42);
  COLOURS }""".replace("COLOURS", _variables(palette.SERIES_LIGHT, palette.CATEGORY_LIGHT))
DARK: Final = """:root { --bg: #14161a; --fg: #e8eaed; --soft: #a7aeb8; --grid: #2b2f36;
  --card: #1c1f25; --line: #3c424b; --accent: #7db7f2; --hatch: rgba(0,0,0,.55);
  COLOURS }""".replace("COLOURS", _variables(palette.SERIES_DARK, palette.CATEGORY_DARK))
PLOT: Final = """svg text { font: 11.5px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans",
  sans-serif; fill: var(--soft); }
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
.hover { fill: transparent; }
.hover:hover { stroke: var(--fg); stroke-width: 1.2; }"""
