"""Tables for LaTeX, with the rules of `booktabs`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gapslsim.plain_text import visible

__all__ = ["booktabs"]

_ESCAPED: Final = str.maketrans(
    {sign: f"\\{sign}" for sign in "&%$#_{}"}
    | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}", "<": r"\textless{}"}
    # A bracket after the end of a line would be that line's option.
    | {"[": "{[}"}
    | {
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "±": r"$\pm$",
        "≥": r"$\geq$",
        "µ": r"\textmu{}",
        "\u00d7": r"$\times$",
    }
)


def booktabs(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    r"""A `tabular`; its preamble needs `\usepackage{booktabs}`. What stands behind a line break goes into brackets."""
    lines = [r"\begin{tabular}{l" + "r" * (len(head) - 1) + "}", r"\toprule", _line(head), r"\midrule"]
    return "\n".join([*lines, *map(_line, rows), r"\bottomrule", r"\end{tabular}", ""])


def _line(cells: Sequence[str]) -> str:
    return " & ".join(map(_cell, cells)) + r" \\"


def _cell(text: str) -> str:
    first, _, rest = text.partition("\n")
    # A number keeps its unit on its line.
    return visible(f"{first} ({rest})" if rest else first).translate(_ESCAPED).replace(r" \%", r"~\%")
