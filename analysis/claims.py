"""What docs/findings.md says, made from the tables in docs/results/: each claim with its rule, seeds, view and reading.

A claim is a sum of accuracies with signs, taken seed by seed: `GAPSL - PSL` is two of them, "the lead grows with the
skew" is four. The rule: *borne out* or *contradicted* where p is at most 0.05, by its sign; else *not decided*. The one
claim that was named before its runs is judged by itself; all others share Holm's correction.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import pandas as pd
from findings import RESULTS, Accuracies, Judged, completed, difference, keys, markdown, percent, select

from gapslsim.results.significance import LEVEL, Difference, Pair, corrected
from gapslsim.results.significance import difference as compared

Term = tuple[int, str, dict[str, object]]
"""Sign, study, and the values of its axes."""
NAMED_SEEDS: Final = 10
"""Of the primary comparison; with fewer there is no verdict, or one could stop when it suits."""
PAPER_FALLS: Final = {"SFL": 25.5, "SL": 28.4, "PSL": 37.0}
"""Points lost from IID to alpha 0.1 in Table I of [lin2026gapsl] (CIFAR-10)."""
READINGS: Final = {
    "SFL": ("SFL, every round", "SFL, per epoch", "SplitFed V1", "SplitFed V2"),
    "SL": ("SL, per batch", "SL, per epoch"),
    "PSL": ("PSL, mean", "PSL, sequential"),
}
SHIPPED: Final = ("SFL, every round", "SL, per batch", "PSL, mean")


@dataclass(frozen=True)
class Claim:
    """A claim of the paper or of this page, as an inequality: the sum of `terms` is above zero."""

    text: str
    terms: tuple[Term, ...]
    reading: str = "shipped"
    view: str = "global"
    is_named: bool = False

    def by_seed(self) -> pd.Series:
        """The sum in points, by seed; seeds that one of the terms lacks are left out."""
        total = None
        for sign, study, key in self.terms:
            runs = select(completed(study), list(key), list(key.values()))
            of_term = sign * 100 * runs.set_index("seed")[f"accuracy_{self.view}_last"]
            total = of_term if total is None else total + of_term
        assert total is not None
        return total.dropna()

    def judged(self) -> Difference:
        """The sum against zero, paired by seed."""
        sums = self.by_seed()
        found = compared(
            {seed: (value, value) for seed, value in sums.items()},
            {seed: (0.0, 0.0) for seed in sums.index},
            Pair("yes", "no", self.text),
            less=False,
        )
        assert found is not None, f"no seeds in common: {self.text}"
        return found


def _less(study: str, first: dict[str, object], second: dict[str, object]) -> tuple[Term, ...]:
    return (1, study, first), (-1, study, second)


def _of(framework: str, **axes: object) -> dict[str, object]:
    return {"framework": framework, **axes}


SKEWED: Final = {"partition": "alpha 0.1"}
EVEN: Final = {"partition": "IID"}
PRIMARY: Final = Claim(
    "GAPSL is above PSL, alpha 0.1 (Table I)",
    _less("primary_small", _of("GAPSL"), _of("PSL")),
    is_named=True,
)
EXPLORATORY: Final = (
    Claim("GAPSL is above SFL, alpha 0.1 (Table I)", _less("primary_small", _of("GAPSL"), _of("SFL"))),
    Claim("SFL is above PSL, alpha 0.1 (Table I)", _less("primary_small", _of("SFL"), _of("PSL"))),
    Claim(
        "GAPSL is above vanilla SL, alpha 0.1 (Table I)",
        _less("table1_small", _of("GAPSL", **SKEWED), _of("vanilla SL", **SKEWED)),
    ),
    Claim(
        "GAPSL is above EPSL, alpha 0.1 (Table I)",
        _less("table1_small", _of("GAPSL", **SKEWED), _of("EPSL", **SKEWED)),
    ),
    Claim(
        "GAPSL is above PSL, IID (Table I)", _less("table1_small", _of("GAPSL", **EVEN), _of("PSL", **EVEN))
    ),
    Claim(
        "GAPSL is above PSL, IID (Table I)",
        _less("table1_small", _of("GAPSL", **EVEN), _of("PSL", **EVEN)),
        view="ensemble",
    ),
    Claim(
        "the lead of GAPSL over PSL grows from alpha 0.9 to 0.3 (Table III)",
        _less("table3_small", _of("GAPSL", alpha=0.3), _of("PSL", alpha=0.3))
        + _less("table3_small", _of("PSL", alpha=0.9), _of("GAPSL", alpha=0.9)),
    ),
    Claim(
        "from 10 to 40 clients PSL loses more than GAPSL, alpha 0.1 (Table II)",
        _less("table1_small", _of("PSL", **SKEWED), _of("GAPSL", **SKEWED))
        + _less("table2_small", _of("GAPSL", count=40, **SKEWED), _of("PSL", count=40, **SKEWED)),
    ),
    *(
        Claim(f"GAPSL is above {name}, alpha 0.1 (Fig. {n})", _less(f"fig{n}_small", _of("GAPSL"), _of(name)))
        for n, name in ((20, "Non-LGI"), (20, "Rand-LGI"), (21, "Non-GDA"), (21, "Rand-GDA"))
    ),
    Claim(
        "GAPSL is above PSL with batch norm, alpha 0.1",
        _less("normalisation_small", _of("GAPSL", norm="batch"), _of("PSL", norm="batch")),
    ),
    *(
        Claim(
            f"GAPSL is above {name}, alpha 0.1",
            _less("baselines_small", _of("GAPSL", **SKEWED), _of(name, **SKEWED)),
            reading="public code's, 1/5 size",
        )
        for name in ("PSL, sequential", "SplitFed V1", "SplitFed V2", "SL, per epoch")
    ),
    *(
        Claim(
            f"GAPSL is above {name}, alpha 0.1",
            _less("tuned_small", _of("GAPSL"), _of(name)),
            reading="rates tuned, 1/5 size",
        )
        for name in ("PSL, mean", "PSL, sequential", "SFL, every round")
    ),
    Claim(
        "PSL gains from frozen clients, alpha 0.1 (drift)",
        _less("drift_small", _of("PSL, frozen clients"), _of("PSL")),
    ),
    Claim(
        "PSL gains from frozen clients behind two blocks, alpha 0.1 (drift)",
        _less("cut_small", _of("PSL, frozen clients", cut=2), _of("PSL", cut=2)),
    ),
    Claim(
        "PSL gains from PCGrad, alpha 0.1 (conflict)",
        _less("alignment_lab_cifar10", _of("PCGrad"), _of("PSL")),
    ),
)


def claims() -> str:
    """All claims with their verdicts."""
    every = [PRIMARY, *EXPLORATORY]
    judged = [PRIMARY.judged(), *corrected([claim.judged() for claim in EXPLORATORY])]
    lines = []
    for claim, found in zip(every, judged, strict=True):
        if claim.is_named and found.n < NAMED_SEEDS:
            found = replace(found, p=math.nan)  # Neither is one seed judged, whose p is NaN anyway.
        named = "**before the runs**" if claim.is_named else "no"
        numbers = [_points(claim.by_seed()), _p(found.p), str(found.n)]
        lines.append([claim.text, *numbers, claim.view, claim.reading, named, verdict(found)])
    head = ["claim", "difference [points]", "p", "seeds", "view", "reading", "named", "verdict"]
    return markdown(head, lines)


def verdict(found: Difference) -> str:
    """The page's one rule."""
    if math.isnan(found.p):
        return "not judged"
    if not found.p <= LEVEL:
        return "not decided"
    return "borne out" if found.pair.first == "yes" else "contradicted"


def _points(values: pd.Series) -> str:
    """Mean with its 95 % interval (Student's t)."""
    zero = pd.DataFrame({"seed": values.index, "accuracy_global_last": 0.0})
    return difference(
        pd.DataFrame({"seed": values.index, "accuracy_global_last": values.to_numpy() / 100}), zero
    )


def _p(p: float) -> str:
    return "-" if math.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def primary() -> str:
    """The sentence of the comparison that was named beforehand; there is none before all its seeds have run."""
    found, sums = PRIMARY.judged(), PRIMARY.by_seed()
    if found.n < NAMED_SEEDS:
        return f"**Not judged yet**: {found.n} of {NAMED_SEEDS} seeds have run, and looking earlier was not named.\n"
    outcome = {
        "borne out": "GAPSL is above PSL here",
        "contradicted": "GAPSL is below PSL here",
        "not decided": "No order is decided",
    }[verdict(found)]
    ahead = int((sums > 0).sum())
    return (
        f"**{outcome}**: {_points(sums)} points, p {_p(found.p)}, {found.n} seeds, GAPSL ahead in {ahead} of them; "
        f"`{PRIMARY.view}` view, shipped reading, named before the runs. The paper's Table I has +16.0.\n"
    )


OWN_RULE: Final = Claim(
    "sfl_replay against SFL, alpha 0.1",
    _less("own_rule_small", _of("SFL, then replay"), _of("SFL")),
    is_named=True,
)
MARGIN: Final = -1.0
"""Points below SFL that the lower end of the interval may reach."""


def own_rule() -> str:
    """Whether the rule of our own keeps what was named before its runs: accuracy, time and averaging traffic."""
    found, sums = OWN_RULE.judged(), OWN_RULE.by_seed()
    if found.n < NAMED_SEEDS:
        return f"**Not judged yet**: {found.n} of {NAMED_SEEDS} seeds have run.\n"
    # It is turned round where the sum is below zero.
    low = found.interval[0] if found.pair.first == "yes" else -found.interval[1]
    outcome = "reached" if low >= MARGIN else "not reached"
    parts = [
        f"**Accuracy: {outcome}**. {_points(sums)} points beside SFL, {found.n} seeds, `global` view; the lower end is "
        f"to be at least {MARGIN:.0f}."
    ]
    table = pd.read_csv(RESULTS / "own_rule_small_cost.csv")
    for clock in dict.fromkeys(table["computes"]):
        means = table[table["computes"] == clock].groupby("framework").mean(numeric_only=True)
        shares = means.loc["SFL, then replay"] / means.loc["SFL"]
        time, traffic = shares["simulated_time_s"], shares["bytes_averaging"]
        parts.append(
            f"Clock `{clock}`: {100 * time:.1f} % of SFL's time ({'reached' if time <= 0.5 else 'not reached'}), "
            f"{100 * traffic:.1f} % of its averaging traffic ({'reached' if traffic <= 0.1 else 'not reached'})."
        )
    return " ".join(parts) + "\n"


def falls() -> str:
    """What each reading loses from IID to alpha 0.1, beside what the paper's does."""
    runs = completed("baselines_small")
    lines = []
    for (name,) in keys(runs, ("framework",)):
        even, skewed = (select(runs, ("framework", "partition"), (name, p)) for p in ("IID", "alpha 0.1"))
        method = next((m for m, readings in READINGS.items() if name in readings), "")
        paper = PAPER_FALLS.get(method)
        cells = [percent(part["accuracy_global_last"]) for part in (even, skewed)]
        cells.append(difference(even, skewed).replace("+", ""))
        far = "" if paper is None else f"{abs(_fall(str(name)) - paper):.1f}"
        paper_text = "23.6" if name == "GAPSL" else "" if paper is None else f"{paper:.1f}"
        lines.append([str(name), *cells, paper_text, far, str(len(skewed))])
    return markdown(["reading", "IID", "alpha 0.1", "fall", "fall in the paper", "distance", "seeds"], lines)


def _fall(name: str) -> float:
    runs = completed("baselines_small")
    even, skewed = (
        select(runs, ("framework", "partition"), (name, p)).set_index("seed")["accuracy_global_last"]
        for p in ("IID", "alpha 0.1")
    )
    return float(100 * (even - skewed).dropna().mean())


def _distance(choice: Sequence[str]) -> float:
    """Root mean square over the three baselines of our fall less the paper's [points]."""
    squares = [
        (_fall(name) - PAPER_FALLS[method]) ** 2 for method, name in zip(PAPER_FALLS, choice, strict=True)
    ]
    return math.sqrt(sum(squares) / len(squares))


def nearest_readings() -> tuple[str, ...]:
    """A reading of SFL, SL and PSL each, together nearest to the paper's falls."""
    return min(itertools.product(*READINGS.values()), key=_distance)


def nearest() -> str:
    """Which reading that is."""
    best = nearest_readings()
    return (
        "Distance of three readings together: root mean square of (fall here - fall in the paper) over SFL, vanilla SL "
        f"and PSL. Shipped ({'; '.join(SHIPPED)}): {_distance(SHIPPED):.1f} points. "
        f"Nearest ({'; '.join(best)}): {_distance(best):.1f} points.\n"
    )


def there() -> str:
    """GAPSL beside every reading, and what is decided."""
    runs, judged, best = completed("baselines_small"), Judged(), nearest_readings()
    lines = []
    for name in (name for readings in READINGS.values() for name in readings):
        cells = []
        for partition in ("IID", "alpha 0.1"):
            ours, other = (select(runs, ("framework", "partition"), (n, partition)) for n in ("GAPSL", name))
            cells.append(judged.cell(ours, other))
        lines.append([f"{name} (nearest)" if name in best else name, *cells])
    return judged.table(markdown(["reading", "GAPSL less it, IID", "GAPSL less it, alpha 0.1"], lines))


def chosen_rates() -> dict[str, float]:
    """Server rate of each method with the highest validation accuracy; the lower one of two that are level."""
    runs = completed("rates_small").sort_values("lr")
    best = runs.loc[runs.groupby("framework", sort=False)["accuracy_global_last"].idxmax()]
    return dict(zip(best["framework"], best["lr"], strict=True))


def rates() -> str:
    """Validation accuracy by method and server rate, the chosen one bold."""
    runs, chosen = completed("rates_small"), chosen_rates()
    columns = sorted(set(runs["lr"]))
    lines = []
    for name in dict.fromkeys(runs["framework"]):
        cells = []
        for lr in columns:
            text = percent(select(runs, ("framework", "lr"), (name, lr))["accuracy_global_last"])
            cells.append(f"**{text}**" if lr == chosen[name] else text)
        lines.append([name, *cells])
    return markdown(["server rate", *(f"{lr:g}" for lr in columns)], lines)


@dataclass(frozen=True)
class Firsts:
    """Who reaches each accuracy of the global view first on each fleet, and how far behind the next one is."""

    study: str
    targets: tuple[float, ...]

    def times(self, fleet: object, target: float) -> dict[str, pd.Series]:
        """Seconds to the first evaluation at or above the target, by seed, of methods all of whose seeds got there."""
        runs = completed(self.study)
        runs = runs[runs["fleet"] == fleet]
        seen = pd.read_csv(RESULTS / f"{self.study}_evaluations.csv")
        seen = seen[(seen["view"] == "global") & (seen["accuracy"] >= target)]
        first = seen.groupby("run")["time_s"].min()
        found = {}
        for (name,) in keys(runs, ("framework",)):
            of_row = select(runs, ("framework",), (name,)).set_index("run")
            reached = first.reindex(of_row.index)
            if reached.notna().all():
                found[str(name)] = pd.Series(reached.to_numpy(), index=of_row["seed"])
        return dict(sorted(found.items(), key=lambda item: item[1].mean()))

    def __call__(self) -> str:
        """Markdown."""
        runs = completed(self.study)
        rows, found = [], []
        for fleet, target in itertools.product(dict.fromkeys(runs["fleet"]), self.targets):
            order = list(self.times(fleet, target).items())
            cells = [str(fleet), f"{100 * target:.0f} %"]
            if not order:
                rows.append([*cells, "nobody with every seed", "", "", ""])
                continue
            name, best = order[0]
            cells += [name, _seconds(best)]
            if len(order) == 1:
                rows.append([*cells, "nobody else with every seed", ""])
                continue
            after, later = order[1]
            ends = [{seed: (t, t) for seed, t in times.items()} for times in (best, later)]
            one = compared(*ends, Pair(name, after, "time"), less=True)
            assert one is not None
            found.append(one)
            rows.append([*cells, after, f"@{len(found) - 1}@{_seconds(later - best)}@{len(found) - 1}@"])
        text = markdown(["fleet", "to", "first", "after [s]", "next", "later by [s]"], rows)
        judged = Judged(found)
        return judged.table(text)


def _seconds(values: pd.Series) -> str:
    """Mean with its 95 % interval (Student's t)."""
    return _points(values).replace("+", "")


def mid_look() -> str:
    """Accuracy of single runs at the middle size, by epoch; nothing is judged."""
    runs = pd.read_csv(RESULTS / "mid_look.csv")
    columns = [epoch for epoch in sorted(set(runs["epoch"].round())) if epoch > 0]
    lines = [
        [f"{name.upper()}, seed {seed}"]
        + [f"{100 * own.loc[own['epoch'].round() == e, 'accuracy'].iloc[0]:.1f} %" for e in columns]
        for (name, seed), own in runs.groupby(["framework", "seed"], sort=False)
    ]
    return markdown(["run", *(f"{epoch:.0f} epochs" for epoch in columns)], lines)


CLAIMS: Final = {
    "claims": claims,
    "primary": primary,
    "own_rule_verdict": own_rule,
    "own_rule": Accuracies("own_rule_small", ("framework",), against=("SFL",)),
    "primary_runs": Accuracies("primary_small", ("framework",), against=("PSL",)),
    "falls": falls,
    "nearest": nearest,
    "there": there,
    "rates": rates,
    "tuned": Accuracies("tuned_small", ("framework",), against=("PSL, mean",)),
    "mid_look": mid_look,
    "firsts": Firsts("first_small", (0.3, 0.4, 0.5)),
}
