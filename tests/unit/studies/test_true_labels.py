"""What is written at a row of a study is what was run there, and no column of its tables is called as another one."""

from __future__ import annotations

import pandas as pd
import pytest
from pydantic import TypeAdapter

from gapslsim.errors import ScenarioError
from gapslsim.results.study_figure import figures
from gapslsim.results.study_tables import read_tables
from gapslsim.scenario.dumping import to_dict
from gapslsim.scenario.loading import load, vary
from gapslsim.scenario.shipped import shipped_scenarios
from gapslsim.studies import plan as plan_module
from gapslsim.studies._tables import TABLES, is_column
from gapslsim.studies._truth import not_as_labelled
from gapslsim.studies.plan import load_study
from gapslsim.studies.sweep import sweep
from tests.study_files import InThisProcess, write_study


def planned(folder, axes, more="", **given):
    return load_study(write_study(folder, f"name: x\nbase: base.yaml\naxes: {{{axes}}}\n{more}"), **given)


def told(folder, axes, more="", **given):
    with pytest.raises(ScenarioError) as caught:
        planned(folder, axes, more, **given)
    return str(caught.value)


DIRICHLET = "{kind: dirichlet, alpha: 1}"


@pytest.mark.parametrize(
    ("axes", "both"),
    [
        (
            f"grid: {{data.partition.alpha: [0.1, 10], data.partition: [{DIRICHLET}]}}",
            ("'alpha'", "'partition'"),
        ),
        (
            f"grid: {{data.partition: [{DIRICHLET}], data.partition.alpha: [0.1, 10]}}",
            ("'alpha'", "'partition'"),
        ),
        ("grid: {model.cut: [1, 2]}, variants: {net: {a: {model.cut: 1}, b: {}}}", ("'cut'", "'net'")),
        (
            "grid: {clients.*.count: [1, 2], 'clients[1].count': [3]}",
            ("'clients.*.count'", "'clients[1].count'"),
        ),
        ("grid: {clients.0.link: [lte]}, zip: {up: {clients.*.link.uplink: [1 Mbit/s]}}", ("'link'", "'up'")),
    ],
)
def test_two_axes_that_set_the_same_are_refused_and_both_named(tmp_path, axes, both):
    text = told(tmp_path, axes)
    assert "study.yaml:3: " in text
    assert "labels would not be true" in text
    assert all(name in text for name in both)


@pytest.mark.parametrize(
    ("axes", "more", "said"),
    [
        ("", "set: {model.cut: 1, model: {kind: mlp, hidden: [4], cut: 1}}", "model.cut: has no effect: 'set'"),
        ("grid: {framework: [gapsl, psl]}", "set: {framework.eta: 0.3}", "framework.eta: has no effect: the axis"),
        ("variants: {a: {x: {framework: gapsl}, y: {}}}", "set: {framework.eta: 0.3}", "no effect in some runs"),
        ("variants: {a: {x: {stop.rounds: 2, stop: {rounds: 4}}}}", "", "stop.rounds: has no effect: 'x' itself"),
        ("variants: {a: {x: {seed: 7}}}", "", "write it under 'seeds'"),
        ("", "set: {seed: 7}", "write it under 'seeds'"),
        ("", "set: {evaluation.targets: [0.5]}\ntargets: {accuracy: [0.4]}", "'targets.accuracy' sets"),
        ("grid: {evaluation.target_view: [global, clients]}", "", "judged in one view"),
    ],
)  # fmt: skip
def test_a_change_that_another_one_undoes_is_refused(tmp_path, axes, more, said):
    assert said in told(tmp_path, axes, more)


def test_a_default_that_only_some_variants_replace_is_no_mistake(tmp_path):
    runs = planned(tmp_path, "variants: {a: {x: {stop.rounds: 2}, y: {}}}", "set: {stop.rounds: 3}").runs
    assert [run.scenario.stop.rounds for run in runs] == [2, 3]


@pytest.mark.parametrize("given", ["clients.0.count=3", "clients[0].count=3", "clients.*.count=3"])
def test_a_change_on_the_command_line_that_an_axis_undoes_is_refused(tmp_path, given):
    text = told(tmp_path, "grid: {clients.*.count: [1, 2]}", set=[given])
    assert "the axis 'count' sets clients.*.count" in text
    assert f"--set {given}" in text


@pytest.mark.parametrize(
    ("axes", "names"),
    [
        ("grid: {training.client.lr: [0.1, 0.2, 0.10]}", ("'0.1' and '0.1 #2'",)),
        ("grid: {training.batch_size: [8, 8.0]}", ("'8' and '8.0'",)),
        ("variants: {net: {as it is: {}, star: {network.kind: star}}}", ("'as it is' and 'star'", "'net'")),
        (
            "grid: {framework: {one: psl, two: {kind: psl}}, model.cut: [1, 2]}",
            ("'one' and 'two'", "'framework'"),
        ),
    ],
)
def test_labels_of_one_and_the_same_run_are_refused_and_both_named(tmp_path, axes, names):
    text = told(tmp_path, axes)
    assert "are one and the same run" in text
    assert all(name in text for name in names)
    # Once, whatever else it is crossed with.
    assert text.count("one and the same run") == 1


def test_a_variant_that_changes_nothing_is_told_and_is_no_mistake(tmp_path):
    axes = "variants: {net: {as it is: {}, 1: {clients.0.count: 1}}, n: {four: {stop.rounds: 4}, 5: {stop.rounds: 5}}}"
    assert planned(tmp_path, axes).remarks == (
        "'as it is' of the axis 'net' changes nothing: it is the base as it is.",
        "'four' of the axis 'n' changes nothing: it is the base as it is.",
    )


def test_a_name_that_was_given_is_kept_as_it_is(tmp_path):
    axes = (
        "grid: {model.cut: [1, 2]}, variants: {net v1.5: {a: {}}}, zip: {some.thing: {stop.rounds: [1, 2]}}"
    )
    assert list(planned(tmp_path, axes).record.axes) == ["cut", "net v1.5", "some.thing"]


def test_more_runs_than_anybody_can_wait_for_are_refused_at_once(tmp_path):
    values = ", ".join(map(str, range(1, 1001)))
    text = told(tmp_path, f"grid: {{stop.rounds: [{values}], clients.0.count: [{values}]}}")
    assert "study.yaml:3: axes: make 1000000 runs; at most 100000 are planned at once" in text


def test_a_number_that_is_not_the_one_of_the_label_is_refused(tmp_path, monkeypatch):
    """As of a component that rounds what it is given."""
    monkeypatch.setattr(plan_module, "vary", lambda source, changes: vary(source, [*changes][:-2]))
    planned(tmp_path, "grid: {stop.rounds: [4]}")
    monkeypatch.setattr(plan_module, "vary", lambda source, changes: vary(source, ()))
    assert "stop.rounds: is 5 in the study, and would be 4 in the run" in told(
        tmp_path, "grid: {stop.rounds: [5]}"
    )


@pytest.mark.parametrize("name", ["quickstart", "unreliable", "paper/small/table1_cifar10_alpha0.1_gapsl"])
def test_a_resolved_scenario_has_the_numbers_that_were_written(name):
    if name in shipped_scenarios():
        source = plan_module.read(name)
        written = [(key, value) for key, value in source.tree.value.items()]
        assert not list(not_as_labelled(written, to_dict(load(name))))


@pytest.mark.parametrize(
    "name",
    [
        "target",
        "seconds",
        "Seconds",
        "accuracy_global_last",
        "rounds",
        "energy_total_j",
        "n_seeds",
        "f1",
        "uplink_s",
    ],
)
def test_an_axis_called_as_a_column_is_refused_before_anything_is_trained(tmp_path, name):
    text = told(tmp_path, f"variants: {{{name}: {{a: {{}}, b: {{stop.rounds: 2}}}}}}")
    assert f"axes.{name}: a column of the study's tables is called so" in text


def test_a_path_that_ends_as_a_column_is_called_keeps_its_whole_name(tmp_path):
    assert list(planned(tmp_path, "grid: {stop.rounds: [4, 8]}").record.axes) == ["stop.rounds"]


@pytest.mark.parametrize("name", ["' x'", "''", "'a  b'", '"a\\nb"', '"\\u200b"'])
def test_names_with_what_nobody_sees_are_refused(tmp_path, name):
    assert "has blanks or signs that nobody sees" in told(tmp_path, f"variants: {{{name}: {{a: {{}}}}}}")
    assert "has blanks or signs that nobody sees" in told(tmp_path, f"variants: {{net: {{{name}: {{}}}}}}")


def test_every_column_of_the_tables_and_of_figures_is_known_to_be_one(tmp_path):
    """Else an axis of that name would end in a traceback after all training."""
    more = """
set:
  framework: gapsl
  uncertainty: {draws: 20}
  evaluation: {every: 1 rounds, geometry: 1 rounds, metrics: [calibration_error], views: [global, clients]}
targets: {accuracy: [0.1], time: [1 ms]}
"""
    plan = planned(tmp_path, "grid: {stop.rounds: [1, 2]}", more)
    sweep(plan, tmp_path / "out", InThisProcess())
    study = read_tables(tmp_path / "out")
    shown = [
        {"kind": "points", "x": "stop.rounds", "y": [{"kind": "to_target", "target": 0.1}, "accuracy"]},
        {"kind": "curves", "x": "energy", "y": "calibration_error"},
        {"kind": "geometry", "y": ["score_rad"]},
        {"kind": "table", "rows": "stop.rounds", "cells": ["accuracy", "converged", "total"]},
        {
            "kind": "board",
            "series": "stop.rounds",
            "target": 0.1,
            "budget": {"time": "1 s", "bytes": "1 MB", "energy": "1 J"},
        },
    ]
    assert {figure["kind"] for figure in shown} == set(figures)
    drawn = [
        TypeAdapter(figures[figure["kind"]]).validate_python(figure).draw(study).numbers for figure in shown
    ]
    tables = [pd.read_parquet(tmp_path / "out" / f"{name}.parquet") for name in TABLES]
    for table in [*tables, *drawn]:
        assert {name for name in table.columns if not is_column(name)} <= {"stop.rounds"}
        assert len({name.casefold() for name in table.columns}) == len(table.columns)
