"""What commands do with an answer about a run: print it, or its JSON; draw it, or write its table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from gapslsim.cli.json_output import print_json
from gapslsim.cli.say import say
from gapslsim.csv_text import csv_of

if TYPE_CHECKING:
    import pandas as pd

    from gapslsim.results.drawing.drawing import Drawing

__all__ = ["give"]


class Answer(Protocol):
    """What is given."""

    @property
    def table(self) -> pd.DataFrame:
        """A row per figure."""

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""

    def drawing(self) -> Drawing:
        """The picture."""


A = TypeVar("A", bound=Answer)


def give(found: A, show: Callable[[A], None], as_json: bool, out: Path | None) -> None:
    """Prints an answer, and writes it to a file if one is given.

    Args:
        found: the answer.
        show: prints it in words.
        as_json: print JSON instead.
        out: a picture, or its table as `.csv`.
    """
    if as_json:
        print_json(found.to_dict())
    else:
        show(found)
    if out is None:
        return
    if out.suffix == ".csv":
        from gapslsim.results.outputs import write_output

        write_output(out, csv_of(found.table))
    else:
        from gapslsim.results.drawing.matplotlib_printer import save

        save(found.drawing(), out)
    say(f"Written to {out}", err=as_json)
