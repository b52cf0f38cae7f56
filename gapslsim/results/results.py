"""What a run leaves: tidy tables, a summary and the scenario that it came from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gapslsim.errors import ResultsError
from gapslsim.results.compare import Comparison, compare
from gapslsim.results.frames import TABLES
from gapslsim.results.outputs import check_replaces
from gapslsim.results.place import Identity, run_label
from gapslsim.results.summary import RunFacts, summarise
from gapslsim.tables.rows import Rows
from gapslsim.tables.span_sums import SpanSums, summed
from gapslsim.tables.table import FrameTable, Table

if TYPE_CHECKING:
    from torch import nn

    from gapslsim.learning.trained import TrainedModels

__all__ = ["Results"]


class _Whole:
    """A table of `Results`, which is put together when it is asked for."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, results: Results | None, owner: type) -> pd.DataFrame:
        if results is None:
            raise AttributeError  # So that the field has no default.
        return results.table(self._name).frame()

    def __set__(self, results: Results, given: pd.DataFrame | Table) -> None:
        results.__dict__[self._name] = FrameTable(given) if isinstance(given, pd.DataFrame) else given


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Results:
    """Tables of one run, with the columns of `records.py`, and its summary (what `summary.json` holds).

    A long table lies in a file until it is asked for; `table` reads it in pieces.
    """

    scenario_yaml: str
    """The resolved scenario as YAML text."""
    clients: _Whole = _Whole()
    """Who the clients are: group, device, link, samples, labels, cut."""
    spans: _Whole = _Whole()
    """What every actor did and when; the phases of each client sum to the simulated time."""
    rounds: _Whole = _Whole()
    """One row per training round."""
    evaluations: _Whole = _Whole()
    """Test accuracy per view, and per client where a view has one model per client."""
    losses: _Whole = _Whole()
    """Training loss per round and client."""
    local_losses: _Whole = _Whole()
    """The same of the losses that clients take themselves, by an auxiliary network."""
    alignment: _Whole = _Whole()
    """Gradient geometry per round and client, where the server's rule looked at it."""
    links: _Whole = _Whole()
    """Load of every link over time."""
    summary: dict[str, Any] = field(repr=False)
    """Plain values that JSON can write; None where a number does not exist."""
    provenance: dict[str, Any] = field(default_factory=dict, repr=False)
    """Where it was made; filled when it was read from a run directory."""
    gradients: _Whole = _Whole()
    """Geometry per measured round and client; see `evaluation.geometry`."""
    updates: _Whole = _Whole()
    """The server's update per measured round."""
    pairwise: _Whole = _Whole()
    """Angles between every two clients' gradients per measured round."""
    attendance: _Whole = _Whole()
    """What became of each client's part in what was gathered, where somebody can be late, away or lost."""
    presence: _Whole = _Whole()
    """Absences of clients, and of the server after crashes."""
    staleness: _Whole = _Whole()
    """Mini-batches that a server took without waiting for all, with how stale they were."""
    confusion: _Whole = _Whole()
    """What models said of which test samples; see `evaluation.per_class`."""
    per_class: _Whole = _Whole()
    """Test accuracy per class; see `evaluation.per_class`."""
    predictions: _Whole = _Whole()
    """What models said of each test sample at the last evaluation; see `evaluation.predictions`."""
    uncertainty: _Whole = _Whole()
    """Time and energy of every draw of uncertain figures; empty unless draws were asked for."""
    leakage: _Whole = _Whole()
    """What smashed data gives away; see `evaluation.leakage`."""
    reconstructions: _Whole = _Whole()
    """Pixels of some inputs that were attacked, and of what was made of them; see `evaluation.leakage`."""
    models: TrainedModels | None = field(default=None, repr=False)
    """What was trained; None for a dry run, results read from a directory, or training that a journal knew."""

    def table(self, name: str) -> Table:
        """A table that need not fit in memory: `for piece in results.table("spans").pieces(): ...` gives DataFrames."""
        found: Table = self.__dict__[name]
        return found

    def changed(self, **fields: Any) -> Results:
        """The same with other fields, as `dataclasses.replace`, without reading the tables."""
        return replace(self, **{name: self.table(name) for name in TABLES} | fields)

    def model(self, view: str = "global", client: int | None = None) -> nn.Module:
        """The trained network of a view, from inputs to logits, in evaluation mode, as the last evaluation saw it.

        Args:
            view: `global`, `clients`, `local` or `ensemble` (which gives the logarithm of the mean probabilities).
            client: whose, for `clients` and `local`.

        Raises:
            ResultsError: if there is none, or for an unknown view or client.
        """
        return self._trained.model(view, client)

    def save_models(self, path: str | Path) -> None:
        """Writes the networks of all views to a file of safetensors; docs/howto/trained-model.md says how to read it.

        Raises:
            ResultsError: if there are none, another file is there, or it cannot be written.
        """
        trained, file = self._trained, Path(path)
        check_replaces(file)
        try:
            trained.save(file, {"scenario": self.scenario_yaml})
        except OSError as error:
            raise ResultsError(f"{file} could not be written: {error.strerror or error}") from error

    def __repr__(self) -> str:
        return str(compare([self.summary]))

    def _repr_html_(self) -> str:
        found = compare([self.summary])
        turned = tuple(zip(found.columns[1:], found.rows[0][1:], strict=True))
        return Comparison(("", found.rows[0][0]), turned)._repr_html_()

    @property
    def _trained(self) -> TrainedModels:
        if self.models is None:
            raise ResultsError(
                "these results hold no trained model: the run was dry, they were read from a run directory, or a "
                "journal knew the training. Use `simulate(..., models=True)`, or `gapslsim run --save FILE`"
            )
        return self.models

    @classmethod
    def from_rows(
        cls,
        scenario_yaml: str,
        rows: Mapping[str, Iterable[Sequence[Any]]],
        facts: RunFacts,
        models: TrainedModels | None = None,
        metrics: Mapping[str, Sequence[float]] | None = None,
        sums: SpanSums | None = None,
    ) -> Results:
        """Results of a run from what it recorded.

        Args:
            scenario_yaml: resolved scenario as text.
            rows: of each of `TABLES`, with the fields of its class.
            facts: what the summary says besides.
            models: what was trained.
            metrics: further columns of `evaluations`, a number for each of its rows.
            sums: of the spans, where they were taken as they came.

        Raises:
            ValueError: if `facts.extra` repeats an entry of the summary, a table is missing or unknown, or a row has a
                field too many or too few.
        """
        # An empty table would otherwise stand for one whose name was misspelt.
        if unlike := rows.keys() ^ TABLES.keys():
            raise ValueError(
                f"rows must have exactly the tables {', '.join(TABLES)}; see {', '.join(sorted(unlike))}"
            )
        tables: dict[str, Any] = {
            name: rows[name] if isinstance(rows[name], Rows) else Rows(row_type, rows[name])
            for name, row_type in TABLES.items()
        }
        if sums is None:
            tables["spans"], sums = summed(rows["spans"])
        if metrics:
            columns = {name: np.asarray(column, dtype="float64") for name, column in metrics.items()}
            tables["evaluations"] = FrameTable(tables["evaluations"].frame().assign(**columns))
        made = summarise(facts, sums, tables)
        return cls(scenario_yaml=scenario_yaml, summary=made, models=models, **tables)

    @property
    def label(self) -> str:
        """Name, framework and seed: `quickstart-gapsl-seed1`; the name of its default run directory."""
        return run_label(self.summary["name"], self.summary["framework"], self.summary["seed"])

    @property
    def identity(self) -> Identity:
        """Which run it is."""
        made = self.provenance.get("components", {})
        dry = bool(self.summary["dry"])
        return Identity(label=self.label, scenario_yaml=self.scenario_yaml, dry=dry, components=made)
