"""The tables of docs/board.md and of the README, from docs/results/board.csv.

    gapslsim figure studies/board --table docs/results/board.csv    # after gapslsim sweep scenarios/studies/board.yaml
    python analysis/board.py            # prints them
    python analysis/board.py --write    # puts them between the marks of docs/board.md and README.md
    python analysis/board.py --check    # fails if a page holds other numbers

A table stands between `<!-- board NAME -->` and `<!-- end -->`, where NAME is one of `TABLES`.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import pandas as pd

from gapslsim.results import words
from gapslsim.results.board_tables import in_order, panel_table, robustness_table, standings_table
from gapslsim.results.drawing.drawing import TextTable

ROOT: Final = Path(__file__).resolve().parent.parent
PAGES: Final = (ROOT / "docs" / "board.md", ROOT / "README.md")
NUMBERS: Final = ROOT / "docs" / "results" / "board.csv"
_BLOCK: Final = re.compile(r"(<!-- board ([a-z]+) -->\n).*?(<!-- end -->)", re.S)
_BY: Final = {"time": "half of PSL's time", "bytes": "half of its bytes", "energy": "half of its energy"}


def numbers() -> pd.DataFrame:
    """The board's numbers with the names that tables go by."""
    if not NUMBERS.is_file():
        raise SystemExit(
            f"{NUMBERS.relative_to(ROOT)} is missing: gapslsim sweep scenarios/studies/board.yaml, then "
            "gapslsim figure studies/board --table docs/results/board.csv"
        )
    rows = pd.read_csv(NUMBERS)
    # Where nothing is counted, or nobody is first, the text is empty.
    rows[["counted", "first"]] = rows[["counted", "first"]].fillna("")
    return rows.assign(series=rows["framework"], where=rows["fleet"] + ", " + rows["partition"])


def markdown(table: TextTable) -> str:
    """A table; what stands out is bold, and what lies below a number stands behind it."""
    lines = [table.head, ["---" if n == 0 else "---:" for n in range(len(table.head))]]
    for row, texts in enumerate(table.rows):
        cells = []
        for column, text in enumerate(texts):
            first, *rest = text.split("\n")
            shown = f"**{first}**" if (row, column) in table.strong else first
            cells.append("<br>".join([shown, *rest]))
        lines.append(cells)
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def panels(rows: pd.DataFrame) -> str:
    """Every panel under a heading."""
    return "\n".join(
        f"### {where}\n\n{markdown(panel_table(own))}" for where, own in rows.groupby("where", sort=False)
    )


def first(rows: pd.DataFrame) -> str:
    """Who is in front in each panel by accuracy within each budget, with those that seeds do not tell from it."""
    quality = rows[rows["question"] == "quality"]
    made = []
    for where, own in quality.groupby("where", sort=False):
        cells = []
        for what in _BY:
            ranked = own[own["counted"] == what].sort_values("place", kind="stable")
            front, tied = ranked.iloc[0], ranked[ranked["first"] == "tied"]
            told = f"{front['framework']}, {words.accuracy(front['mean'])}"
            cells.append(
                f"**{told}**" if front["first"] == "alone" else f"{told}; {len(tied) - 1} tied with it"
            )
        made.append([str(where), *cells])
    return markdown(TextTable(["", *(f"best within {name}" for name in _BY.values())], made))


def summary(rows: pd.DataFrame) -> str:
    """The first three of the standings."""
    table = standings_table(rows)
    return markdown(TextTable(table.head[:7], [row[:7] for row in table.rows[:3]]))


def methods(rows: pd.DataFrame) -> str:
    """How many methods, panels and seeds there are."""
    return (
        f"{len(in_order(rows))} methods, {rows['where'].nunique()} panels, {rows['n_seeds'].max()} seeds "
        f"({rows[['where', 'series']].drop_duplicates().shape[0] * rows['n_seeds'].max()} runs).\n"
    )


TABLES: Final[dict[str, Callable[[pd.DataFrame], str]]] = {
    "size": methods,
    "first": first,
    "standings": lambda rows: markdown(standings_table(rows)),
    "robustness": lambda rows: markdown(robustness_table(rows)),
    "panels": panels,
    "summary": summary,
}


def filled(text: str, page: str, rows: pd.DataFrame) -> str:
    """A page with its tables made anew.

    Raises:
        SystemExit: if the page names a table that is not known.
    """

    def fill(block: re.Match[str]) -> str:
        if block[2] not in TABLES:
            raise SystemExit(f"{page} names the table '{block[2]}'; known: {', '.join(TABLES)}")
        return f"{block[1]}{TABLES[block[2]](rows)}{block[3]}"

    return _BLOCK.sub(fill, text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints, writes or checks."""
    parser = argparse.ArgumentParser(description="The tables of docs/board.md and README.md.")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--write", action="store_true", help="put them into the pages")
    which.add_argument("--check", action="store_true", help="fail if a page holds other numbers")
    options = parser.parse_args(arguments)
    rows = numbers()
    if not (options.write or options.check):
        for name, table in TABLES.items():
            print(f"{name}\n{table(rows)}")
        return 0
    stale = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        new = filled(text, page.name, rows)
        if options.write:
            page.write_text(new, encoding="utf-8")
        elif new != text:
            stale.append(page.name)
    if stale:
        print(f"{words.listed(stale)} out of date: run python analysis/board.py --write", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
