"""The tables of docs/findings.md, from the finished studies in docs/results/.

    python analysis/findings.py            # prints them
    python analysis/findings.py --write    # puts them between the marks of docs/findings.md
    python analysis/findings.py --check    # fails if the page holds other numbers
    python analysis/findings.py --geometry studies/table1_small    # makes docs/results/table1_small_geometry.csv

A table stands between `<!-- NAME -->` and `<!-- end -->`, where NAME is one of `TABLES` (here and in claims.py).
Studies are made with `gapslsim sweep scenarios/paper/studies/small/NAME.yaml`. The differences of a table are judged
together: bold ones are decided, at 5 % and with Holm's correction for all of them.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import pandas as pd
from scipy import stats

from gapslsim.results.significance import Difference, Pair, corrected
from gapslsim.results.significance import difference as compared

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "docs" / "findings.md"
RESULTS: Final = ROOT / "docs" / "results"
VIEWS: Final = ("global", "clients", "ensemble", "local")
_BLOCK: Final = re.compile(r"(<!-- (?!end)([a-z0-9_]+) -->\n).*?(<!-- end -->)", re.S)


@dataclass
class Judged:
    """The differences of one table, judged together."""

    found: list[Difference] = field(default_factory=list)

    def cell(self, ours: pd.DataFrame, other: pd.DataFrame, view: str = "global") -> str:
        """The difference in words, between marks that `table` makes bold or takes away."""
        text = difference(ours, other, view)
        a, b = (
            {seed: (value, value) for seed, value in runs.set_index("seed")[f"accuracy_{view}_last"].items()}
            for runs in (ours, other)
        )
        one = compared(a, b, Pair("", "", ""), less=False)
        if one is None:
            return text
        self.found.append(one)
        mark = f"@{len(self.found) - 1}@"
        return f"{mark}{text}{mark}"

    def table(self, text: str) -> str:
        """The table with decided differences bold, and how many they are."""
        judged = corrected(self.found)
        for place, one in enumerate(judged):
            text = text.replace(f"@{place}@", "**" if one.is_decided else "")
        n = sum(one.n > 1 for one in judged)
        if not n:
            return text
        decided = sum(one.is_decided for one in judged)
        return f"{text}\nDecided (bold; Holm over the {n} differences of this table): {decided}.\n"


@dataclass(frozen=True)
class Accuracies:
    """Accuracy at the end of the runs in four views, mean over seeds, with the paired difference to one of them."""

    study: str
    rows: tuple[str, ...]
    """Axes that make the rows."""
    against: tuple[str, ...] = ()
    """Values of the last axis to which differences are taken, seed by seed."""
    times: bool = False
    """Also simulated time, bytes and energy."""
    views: tuple[str, ...] = ("global",)
    """Views whose differences are given."""

    def __call__(self) -> str:
        """Markdown."""
        runs, judged = completed(self.study), Judged()
        head = [*self.rows, *(view for view in VIEWS if f"accuracy_{view}_last" in runs)]
        head += [f"{view} - {other}" for other in self.against for view in self.views]
        head += ["time [s]", "up [GB]", "down [GB]", "clients' energy [kJ]"] if self.times else []
        lines = [[*map(str, key), *self._cells(runs, key, judged)] for key in keys(runs, self.rows)]
        return judged.table(markdown([*head, "seeds"], lines))

    def _cells(self, runs: pd.DataFrame, key: Sequence[object], judged: Judged) -> list[str]:
        of_row = select(runs, self.rows, key)
        cells = [percent(of_row[column]) for view in VIEWS if (column := f"accuracy_{view}_last") in of_row]
        for name in self.against:
            other = select(runs, self.rows, [*key[:-1], name])
            cells += ["" if key[-1] == name else judged.cell(of_row, other, view) for view in self.views]
        if self.times:
            cells.append(f"{of_row['simulated_time_s'].mean():.1f}")
            cells += [f"{of_row[f'bytes_{way}'].mean() / 1e9:.2f}" for way in ("up", "down")]
            cells.append(f"{of_row['energy_clients_j'].mean() / 1e3:.2f}")
        return [*cells, str(len(of_row))]


@dataclass(frozen=True)
class Grid:
    """Accuracy of one view by two axes, mean over seeds."""

    study: str
    row: str
    column: str
    view: str
    panels: str = ""
    """Axis that makes several such tables side by side; empty for none."""
    against: str = ""
    """Value of the row to which differences are given in place of accuracies; empty for none."""
    first: tuple[str, object] | None = None
    """A study that goes first, with its value of the column; of its runs, those with the seeds of this one."""
    since: object = None
    """Value of the column to which differences are given, row by row; None for none."""

    def __call__(self) -> str:
        """Markdown."""
        runs, judged = self._runs(), Judged()
        panels = list(dict.fromkeys(runs[self.panels])) if self.panels else [""]
        columns = [column for column in dict.fromkeys(runs[self.column]) if column != self.since]
        head = [self.row, *(f"{panel} {column}".strip() for panel in panels for column in columns)]
        lines = []
        for row in dict.fromkeys(runs[self.row]):
            if self.against and row == self.against:
                continue
            cells = []
            for panel in panels:
                of_panel = runs[runs[self.panels] == panel] if self.panels else runs
                for column in columns:
                    cell = of_panel[of_panel[self.column] == column]
                    ours = cell[cell[self.row] == row]
                    if self.against:
                        cells.append(judged.cell(ours, cell[cell[self.row] == self.against], self.view))
                    elif self.since is not None:
                        start = of_panel[of_panel[self.column] == self.since]
                        cells.append(judged.cell(ours, start[start[self.row] == row], self.view))
                    else:
                        cells.append(percent(ours[f"accuracy_{self.view}_last"]))
            lines.append([str(row), *cells])
        return judged.table(markdown(head, lines))

    def _runs(self) -> pd.DataFrame:
        runs = completed(self.study)
        if self.first is None:
            return runs
        study, value = self.first
        more = completed(study)
        return pd.concat([more[more["seed"].isin(runs["seed"])].assign(**{self.column: value}), runs])


@dataclass(frozen=True)
class FirstToReach:
    """Simulated time, energy and bytes to each accuracy of the global view, by fleet and framework."""

    study: str
    rows: tuple[str, str]
    targets: tuple[float, ...]

    def __call__(self) -> str:
        """Markdown; a time is the mean over seeds, and is left out unless every seed reached the accuracy."""
        runs = completed(self.study)
        evaluations = pd.read_csv(RESULTS / f"{self.study}_evaluations.csv")
        evaluations = evaluations[evaluations["view"] == "global"]
        lines = []
        panels = list(dict.fromkeys(runs[self.rows[0]]))
        for key in sorted(keys(runs, self.rows), key=lambda key: panels.index(key[0])):
            cells = []
            of_row = select(runs, self.rows, key)
            for target in self.targets:
                at = evaluations[evaluations["run"].isin(of_row["run"]) & (evaluations["accuracy"] >= target)]
                first = at.groupby("run")["time_s"].min()
                if len(first) == len(of_row):
                    share = (first / of_row.set_index("run")["simulated_time_s"]).mean()
                    energy = f"{share * of_row['energy_clients_j'].mean() / 1e3:.2f} kJ"
                    moved = share * (of_row["bytes_up"] + of_row["bytes_down"]).mean() / 1e9
                    cells.append(f"{first.mean():.1f} s, {energy}, {moved:.2f} GB")
                else:
                    cells.append(f"{len(first)} of {len(of_row)} seeds")
            lines.append([*map(str, key), *cells])
        return markdown([*self.rows, *(f"{100 * target:.0f} %" for target in self.targets)], lines)


@dataclass(frozen=True)
class Geometry:
    """Angles and admission over a run, by partition (or alpha) and third of the run."""

    study: str
    axis: str = "partition"

    def __call__(self) -> str:
        """Markdown."""
        table = pd.read_csv(RESULTS / f"{self.study}_geometry.csv")
        lines = []
        for row in table.itertuples():
            angles = (row.score_rad, row.dispersion_rad, row.angle_to_leader_rad, row.threshold_rad)
            shares = (row.in_leader_set, row.admitted, row.leaders_admitted, row.others_admitted)
            lines.append(
                [
                    str(getattr(row, self.axis)),
                    str(row.part),
                    *("-" if math.isnan(a) else f"{a:.2f}" for a in angles),
                    *("-" if math.isnan(s) else f"{100 * s:.0f} %" for s in shares),
                ]
            )
        angles_head = ["score [rad]", "its dispersion", "angle to leader", "threshold"]
        shares_head = ["leaders", "admitted", "of the leaders", "of the others"]
        return markdown([self.axis, "part of the run", *angles_head, *shares_head], lines)


@dataclass(frozen=True)
class Costs:
    """Simulated time, traffic and energy of a study's frameworks beside its first, on two clocks, from dry runs."""

    study: str
    axis: str = "framework"

    def __call__(self) -> str:
        """Markdown; means over seeds, and the share of the first row of each clock."""
        table = pd.read_csv(RESULTS / f"{self.study}_cost.csv")
        lines = []
        for key in keys(table, ("computes", self.axis)):
            ours = select(table, ("computes", self.axis), key).mean(numeric_only=True)
            clock = table[table["computes"] == key[0]]
            of_first = clock[clock[self.axis] == clock[self.axis].iloc[0]].mean(numeric_only=True)
            cells = []
            for column, unit in (
                ("simulated_time_s", 1.0), ("bytes_averaging", 1e6), ("bytes", 1e6), ("energy_j", 1.0),
            ):  # fmt: skip
                cells.append(f"{ours[column] / unit:.1f} ({100 * ours[column] / of_first[column]:.1f} %)")
            n_seeds = len(select(table, ("computes", self.axis), key))
            lines.append([*map(str, key), *cells, f"{ours['server_kept_bytes'] / 1e6:.1f}", str(n_seeds)])
        head = [
            "time [s]",
            "averaging [MB]",
            "bytes in all [MB]",
            "energy [J]",
            "kept by the server [MB]",
            "seeds",
        ]
        return markdown(["clock", self.axis, *head], lines)


def export_geometry(folder: Path) -> Path:
    """Means over rounds, clients and seeds of a study's alignment table, by partition or alpha and third of the run."""
    rows = pd.read_parquet(folder / "alignment.parquet")
    axis = next(name for name in ("partition", "alpha") if name in rows)
    share = rows["round"] / rows.groupby("run")["round"].transform("max")
    rows["part"] = pd.cut(
        share, [0.0, 1 / 3, 2 / 3, 1.0], labels=["first third", "second third", "last third"]
    )
    rows["leaders_admitted"] = rows["admitted"].where(rows["in_leader_set"]).astype(float)
    rows["others_admitted"] = rows["admitted"].where(~rows["in_leader_set"]).astype(float)
    columns = ["score_rad", "dispersion_rad", "angle_to_leader_rad", "threshold_rad", "in_leader_set", "admitted",
               "leaders_admitted", "others_admitted"]  # fmt: skip
    means = rows.groupby([axis, "part"], sort=False, observed=True)[columns].mean().reset_index()
    file = RESULTS / f"{folder.name}_geometry.csv"
    means.to_csv(file, index=False, float_format="%.6g", lineterminator="\n")
    return file


_by_clients = partial(
    Grid, "table2_small", "framework", "count", panels="partition", first=("table1_small", 10)
)
"""Table II; ten clients are those of Table I."""

TABLES: Final[dict[str, Callable[[], str]]] = {
    "table1": Accuracies("table1_small", ("partition", "framework"), against=("PSL",)),
    "table2": _by_clients("global"),
    "table2_clients": _by_clients("clients"),
    "table2_against": _by_clients("global", against="PSL"),
    "table2_change": _by_clients("global", since=10),
    "table3": Grid("table3_small", "framework", "alpha", "global"),
    "table3_clients": Grid("table3_small", "framework", "alpha", "clients"),
    "table3_against": Grid("table3_small", "framework", "alpha", "global", against="PSL"),
    "readings": Accuracies("readings_small", ("framework",), against=("PSL",)),
    "batch": Accuracies("batch_small", ("batch_size", "framework"), against=("PSL",)),
    "normalisation": Accuracies("normalisation_small", ("norm", "framework"), against=("PSL",), views=VIEWS),
    "reduction": Accuracies(
        "reduction_small", ("framework",), against=("PSL", "GAPSL, mean"), views=("global", "clients")
    ),
    "cut": Accuracies("cut_small", ("cut", "framework"), against=("PSL",), times=True),
    "drift": Accuracies("drift_small", ("framework",), against=("PSL",), times=True),
    "fig5": Accuracies("fig5_small", ("framework",), against=("PSL (mean)",)),
    "fig8": Accuracies("fig8_small", ("framework",), against=("100 %",)),
    "fig11": Accuracies("fig11_small", ("framework",), against=("all",)),
    "fig13": Accuracies("fig13_small", ("framework",), against=("adaptive",)),
    "fig20": Accuracies("fig20_small", ("framework",), against=("GAPSL",)),
    "fig21": Accuracies("fig21_small", ("framework",), against=("GAPSL",)),
    "lab": Accuracies("alignment_lab_cifar10", ("framework",), against=("PSL",), views=("global", "clients")),
    "geometry": Geometry("table1_small"),
    "fig3": Geometry("fig3_small"),
    "fig10": Geometry("fig10_small", axis="alpha"),
    "own_rule_cost": Costs("own_rule_small"),
    "fleets": FirstToReach("first_small", ("fleet", "framework"), (0.3, 0.4, 0.5)),
}


def all_tables() -> dict[str, Callable[[], str]]:
    """Those of this file and what claims.py says."""
    from claims import CLAIMS  # It is made of what stands above.

    return {**TABLES, **CLAIMS}


def completed(study: str) -> pd.DataFrame:
    """Runs of a study that completed, in its order."""
    runs = pd.read_csv(RESULTS / f"{study}.csv")
    return runs[runs["status"] == "completed"]


def keys(runs: pd.DataFrame, axes: Sequence[str]) -> list[tuple[object, ...]]:
    """Combinations of the axes' values, in the order of the study."""
    return list(runs[list(axes)].drop_duplicates().itertuples(index=False, name=None))


def select(runs: pd.DataFrame, axes: Sequence[str], key: Sequence[object]) -> pd.DataFrame:
    """Runs with these values of the axes."""
    for axis, value in zip(axes, key, strict=True):
        runs = runs[runs[axis] == value]
    return runs


def percent(accuracies: pd.Series) -> str:
    """Mean over seeds, with the sample standard deviation where there are several."""
    if len(accuracies) == 0:
        return "not run"
    mean = f"{100 * accuracies.mean():.1f}"
    return mean if len(accuracies) == 1 else f"{mean} ± {100 * accuracies.std(ddof=1):.1f}"


def difference(ours: pd.DataFrame, other: pd.DataFrame, view: str = "global") -> str:
    """Mean difference in points, paired by seed, with its 95 % interval (Student's t) where there are several seeds."""
    column = f"accuracy_{view}_last"
    paired = 100 * (ours.set_index("seed")[column] - other.set_index("seed")[column]).dropna()
    if len(paired) == 0:
        return ""
    if len(paired) == 1:
        return f"{paired.iloc[0]:+.1f}"
    half = stats.t.ppf(0.975, len(paired) - 1) * paired.std(ddof=1) / math.sqrt(len(paired))
    return f"{paired.mean():+.1f} ({paired.mean() - half:+.1f} .. {paired.mean() + half:+.1f})"


def markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table."""
    rows = [head, ["---" if i == 0 else "---:" for i in range(len(head))], *lines]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def filled(text: str) -> str:
    """The page with its tables made anew.

    Raises:
        SystemExit: if the page names a table that is not known.
    """

    def fill(block: re.Match[str]) -> str:
        tables = all_tables()
        if block[2] not in tables:
            raise SystemExit(f"{PAGE.name} names the table '{block[2]}'; known: {', '.join(tables)}")
        return f"{block[1]}{tables[block[2]]()}{block[3]}"

    return _BLOCK.sub(fill, text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints, writes or checks."""
    parser = argparse.ArgumentParser(description="The tables of docs/findings.md.")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--write", action="store_true", help="put them into the page")
    which.add_argument("--check", action="store_true", help="fail if the page holds other numbers")
    which.add_argument("--geometry", type=Path, metavar="STUDY_DIR", help="put angles into docs/results")
    options = parser.parse_args(arguments)
    if options.geometry:
        print(export_geometry(options.geometry))
        return 0
    if not (options.write or options.check):
        for name, table in all_tables().items():
            print(f"{name}\n{table()}")
        return 0
    text = PAGE.read_text(encoding="utf-8")
    new = filled(text)
    if options.write:
        PAGE.write_text(new, encoding="utf-8")
        return 0
    if new != text:
        print("docs/findings.md is out of date: run python analysis/findings.py --write", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
