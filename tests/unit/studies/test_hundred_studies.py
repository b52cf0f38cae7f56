"""A hundred study files that are broken or ambiguous: each is refused in words, or its labels are true.

Nothing is trained; a study is refused before its plan is shown, so `sweep --dry` says the same.
"""

from __future__ import annotations

import hashlib
from itertools import product

import pytest

from gapslsim.errors import ScenarioError
from gapslsim.scenario.dumping import dump
from gapslsim.scenario.loading import Source, vary
from gapslsim.scenario.tree import parse
from gapslsim.studies.plan import load_study
from tests.study_files import write_study

SAME = "labels would not be true"
TWICE = "one and the same run"
COLUMN = "a column of the study's tables is called so"
UNSEEN = "blanks or signs that nobody sees"
UNDONE = "has no effect"

KINDS = {
    "grid": lambda path, value, _: f"grid: {{'{path}': [{value}]}}",
    "zip": lambda path, value, name: f"zip: {{{name}: {{'{path}': [{value}]}}}}",
    "variants": lambda path, value, name: f"variants: {{{name}: {{v: {{'{path}': {value}}}, none: {{}}}}}}",
}
NESTED = [
    ("data.partition", "{kind: dirichlet, alpha: 1}", "data.partition.alpha", "2"),
    ("model", "{kind: mlp, hidden: [4], cut: 1}", "model.cut", "1"),
    ("clients", "[{count: 2, device: jetson-nano, link: lte}]", "clients.0.count", "3"),
    ("clients.*.link", "wifi", "clients[1].link.uplink", "5 Mbit/s"),
    ("stop", "{rounds: 2}", "stop", "{rounds: 3}"),
]


def nested():
    """Axes of two kinds, one of which sets a part of what the other sets, in both orders."""
    for (one, value, other, inner), (first, then) in product(
        NESTED, [("grid", "zip"), ("grid", "variants"), ("zip", "variants")]
    ):
        yield f"{KINDS[first](one, value, 'p')}, {KINDS[then](other, inner, 'q')}", SAME
        yield f"{KINDS[first](other, inner, 'p')}, {KINDS[then](one, value, 'q')}", SAME


AXES = [
    *nested(),
    # Values that read differently and are the same.
    *((f"grid: {{{path}: [{values}]}}", TWICE) for path, values in [
        ("training.client.lr", "0.2, 0.20"), ("training.client.lr", "1e-1, 0.1"), ("training.batch_size", "8, 0x8"),
        ("training.batch_size", "8, 8.0"), ("framework", "psl, {kind: psl}"), ("model.hidden", "[8, 8], [8, 8]"),
        ("clients.*.link.uplink", "8 Mbit/s, 1 MB/s"), ("clients.*.link.latency", "1 s, 1000 ms"),
        ("clients.*.link", "wifi, {uplink: 72.5 Mbit/s, downlink: 72.5 Mbit/s, latency: 2 ms}"),
    ]),
    ("variants: {net: {a: {}, b: {}}}", TWICE),
    ("variants: {net: {base: {}, star: {network.kind: star}}}", TWICE),
    ("grid: {stop: {short: {rounds: 2}, brief: {rounds: 2}}}", TWICE),
    # Names that tables have already, or that nobody can read.
    *((f"variants: {{{name}: {{a: {{}}}}}}", COLUMN) for name in (
        "run", "seed", "target", "Target", "seconds", "rounds", "epochs", "accuracy_global_last", "mean", "r2",
    )),
    *((f"variants: {{{name}: {{a: {{}}}}}}", UNSEEN) for name in ("''", "' '", "'a '", '"a\\tb"', '"\\ufeffa"')),
    ("variants: {net: {'': {}, b: {stop.rounds: 2}}}", UNSEEN),
    ("grid: {stop: {' a': {rounds: 2}}}", UNSEEN),
    ("variants: {net: {a: {}}, NET: {a: {}}}", "two axes have this name"),
    # Changes that are undone.
    ("variants: {net: {a: {stop.rounds: 1, stop: {rounds: 2}}}}", UNDONE),
    ("variants: {net: {a: {clients.0.count: 1, clients.*.count: 2}}}", UNDONE),
    ("zip: {n: {stop.rounds: [1, 2], stop: [{rounds: 2}, {rounds: 4}]}}", UNDONE),
    ("variants: {net: {a: {seed: 3}}}", "write it under 'seeds'"),
    ("grid: {name: [a, b]}", "write it under 'name'"),
    ("grid: {evaluation.target_view: [global, clients]}", "judged in one view"),
    # Axes that are none.
    ("grid: {}, grids: {}", "Did you mean 'grid'?"),
    ("grid: {model.cut: []}", "list of at least 1"),
    ("grid: {model.cut: {}}", "has no values"),
    ("grid: {model.cut: 1}", "axes.grid.model.cut"),
    ("grid: [model.cut]", "axes.grid"),
    ("grid: {model.cut: [1], model.cut: [2]}", "is given twice"),
    ("zip: {n: {}}", "there are no paths"),
    ("zip: {n: {stop.rounds: [1], model.cut: [1, 2]}}", "must be equally long"),
    ("variants: {n: {}}", "has no variants"),
    ("variants: {n: {a: 3}}", "axes.variants.n.a"),
    # Paths that lead nowhere.
    ("grid: {'': [1]}", UNSEEN),
    ("grid: {model..cut: [1]}", "unknown key"),
    ("grid: {modle.cut: [1]}", "Did you mean 'model'?"),
    ("grid: {clients.9.count: [1]}", "a list with indices 0 to 1"),
    ("grid: {clients.-1.count: [1]}", "a list with indices 0 to 1"),
    ("grid: {model.*.cut: [1]}", "'*' stands for the items of a list"),
    ("grid: {stop.rounds.x: [1]}", "not a mapping"),
    ("grid: {stop.rounds: [0, -1, x]}", "stop.rounds"),
]  # fmt: skip
WHOLE = [
    ("", "holds no study"),
    ("- a", "holds no study"),
    ("name: x\nbase: base.yaml\n\tseeds: [1]", "indent with spaces"),
    ("name: x\nbase: nowhere.yaml", "there is no such file"),
    (f"name: x\nbase: {'x' * 5000}", "there is no such file"),
    ("name: x\nbase: .", "is a directory"),
    ("name: x\nbase: study.yaml", "go round in a circle"),
    ("base: base.yaml", "name: is missing"),
    ("name: x\nbase: base.yaml\nseeds: []", "list of at least 1"),
    ("name: x\nbase: base.yaml\nseeds: [1, 1]", "holds a seed twice"),
    ("name: x\nbase: base.yaml\nseeds: [-1]", "seeds.0"),
    ("name: x\nbase: base.yaml\nset: {model.cutt: 1}", "Did you mean 'cut'?"),
    ("name: x\nbase: base.yaml\nset: {seed: 2}", "write it under 'seeds'"),
    ("name: x\nbase: base.yaml\nset: {model.cut: 1, model: {kind: mlp, hidden: [4], cut: 1}}", UNDONE),
    ("name: x\nbase: base.yaml\nset: {framework.eta: 1}\naxes: {grid: {framework: [gapsl, psl]}}", UNDONE),
    ("name: x\nbase: base.yaml\nset: {evaluation.targets: [0.5]}\ntargets: {accuracy: [0.6]}", UNDONE),
    ("name: x\nbase: base.yaml\ntargets: {accuracy: [2]}", "targets.accuracy.0"),
    ("name: x\nbase: base.yaml\nfigure: {kind: points, x: alpha, y: accuracy}", "there is no axis 'alpha'"),
]
TRUE = [
    "grid: {data.partition: [iid, {kind: dirichlet, alpha: 0.1}, {kind: dirichlet, alpha: 10}]}",
    "grid: {stop.rounds: [4, 8], training.client.lr: [1e-3, 0.1, 1]}",
    "grid: {clients.*.link.uplink: [100 Mbit/s, 20 Mbit/s], clients.0.count: [1, 2]}",
    "grid: {framework: {a b: gapsl, a_b: psl, A B: sfl, a/b: sl}}",
    "grid: {'clients[0].count': [1, 2], clients.1.count: [1, 2]}",
    "variants: {n: {as it is: {}, more: {clients.*.count: 4, clients.0.count: 1}}, ü ✓: {a-b: {}, c: {model.cut: 2}}}",
    "variants: {'1': {'01': {stop.rounds: 1}, '1': {stop.rounds: 2}, 1.0: {stop.rounds: 3}}}",
    "zip: {size: {training.batch_size: [5, 6], training.client.lr: [0.1, 0.2]}}, grid: {model.cut: [1, 2]}",
    "grid: {framework: [{kind: gapsl, eta: 0.1}, {kind: gapsl, eta: 0.2}, parallel], stop: [{rounds: 2}, {epochs: 1}]}",
    f"grid: {{framework: {{{'x' * 120}: psl, {'x' * 119}y: sfl}}}}",
    "grid: {framework: [psl, {kind: epsl, phii: 1}]}",
]
STUDIES = [
    *((f"name: x\nbase: base.yaml\naxes: {{{axes}}}\n", said) for axes, said in AXES),
    *WHOLE,
    *((f"name: x\nbase: base.yaml\nseeds: [3, 4]\naxes: {{{axes}}}\n", "") for axes in TRUE),
]


def test_there_are_a_hundred():
    assert len(STUDIES) >= 100
    assert len(dict(STUDIES)) == len(STUDIES)


@pytest.mark.parametrize(("text", "said"), STUDIES)
def test_a_study_is_refused_in_words_or_its_labels_are_true(tmp_path, text, said):
    file = write_study(tmp_path, text)
    if said:
        with pytest.raises(ScenarioError) as caught:
            load_study(file)
        assert all(line.startswith(("... and", str(tmp_path))) for line in str(caught.value).splitlines())
        assert said in str(caught.value)
        return
    plan = load_study(file)
    axes = parse(text, None)[0].value["axes"].value
    assert len({run.record.label.lower() for run in plan.runs}) == len(plan.runs)
    digests = {run.record.scenario_sha256 for run in plan.possible}
    assert len(digests) == len(plan.possible)
    for run in plan.possible:
        assert hashlib.sha256(run.yaml.encode()).hexdigest() == run.record.scenario_sha256
        assert run.scenario.seed == run.record.seed
        # What its labels say, done once more to what was resolved, changes nothing.
        resolved = Source(parse(run.yaml, None)[0], (), tmp_path)
        entries = [(kind, *entry) for kind, of_kind in axes.items() for entry in of_kind.value.items()]
        for (kind, key, tree), (axis, name) in zip(entries, run.record.axes.items(), strict=True):
            place = plan.record.axes[axis].index(name)
            if kind == "zip":
                changes = [(path, values.value[place]) for path, values in tree.value.items()]
            elif kind == "variants":
                changes = tree.value[name].value.items()
            else:
                changes = [(key, tree.value[name if isinstance(tree.value, dict) else place])]
            assert dump(vary(resolved, changes)) == run.yaml
