from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapslsim.scenario.tree import parse, plain
from gapslsim.studies.axes import axes_of, combinations, slug


def axes(text: str):
    tree, problems = parse(text, "study.yaml")
    assert not problems
    return axes_of(tree, "study.yaml")


def names(text: str):
    found, problems = axes(text)
    assert not problems
    return {axis.name: [choice.name for choice in axis.choices] for axis in found}


def test_a_grid_has_one_axis_per_path_called_by_its_last_part():
    found = names("grid: {data.partition.alpha: [0.1, 1], clients.0.count: [2, 3], model.cut: [1]}")
    assert found == {"alpha": ["0.1", "1"], "count": ["2", "3"], "cut": ["1"]}


def test_paths_that_end_alike_keep_their_whole_name():
    assert list(names("grid: {training.client.lr: [1], training.server.lr: [1]}")) == [
        "training.client.lr",
        "training.server.lr",
    ]


def test_values_are_named_as_people_read_them():
    text = "grid: {framework: [psl, {kind: epsl, phi: 0.5}, {kind: gapsl, eta: 0.3, admission: adaptive}]}"
    assert names(text)["framework"] == ["psl", "epsl phi=0.5", "gapsl eta=0.3 admission=adaptive"]


def test_values_of_a_grid_may_be_named():
    assert names("grid: {stop: {short: {rounds: 1}, long: {rounds: 9}}}") == {"stop": ["short", "long"]}


def test_values_with_the_same_name_are_told_apart():
    assert names("grid: {model.hidden: [[1, 2], [1, 2]]}")["hidden"] == ["1+2", "1+2 #2"]


def test_zip_takes_lists_first_with_first():
    found, _ = axes("zip: {size: {training.batch_size: [8, 16], training.client.lr: [0.1, 0.2]}}")
    changes = [[(path, plain(value)) for path, value in choice.changes] for choice in found[0].choices]
    assert changes == [
        [("training.batch_size", 8), ("training.client.lr", 0.1)],
        [("training.batch_size", 16), ("training.client.lr", 0.2)],
    ]
    assert [choice.name for choice in found[0].choices] == ["8, 0.1", "16, 0.2"]


def test_zip_of_unequal_lists_says_where_and_how_long():
    _, problems = axes("zip:\n  size:\n    a.b: [1]\n    c.d: [1, 2]")
    assert str(problems[0]).startswith(
        "study.yaml:2: axes.zip.size: the lists must be equally long; a.b has 1"
    )


def test_variants_change_several_paths_under_one_name():
    found, _ = axes("variants: {net: {home: {network.kind: star, seed: 3}, none: {}}}")
    assert [choice.name for choice in found[0].choices] == ["home", "none"]
    assert [path for path, _ in found[0].choices[0].changes] == ["network.kind", "seed"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("grid: {seed: [1, 2]}", "write the seeds under 'seeds'"),
        ("variants: {round: {a: {}}}", "call it otherwise"),
        ("variants: {net: {}}", "has no variants"),
        ("grid: {cut: {}}", "has no values"),
        ("zip: {net: {a.b: [1]}}\nvariants: {net: {a: {}}}", "two axes have this name"),
    ],
)
def test_axes_that_cannot_be_are_told(text, said):
    assert said in str(axes(text)[1])


def test_a_grid_gives_way_to_an_axis_that_was_given_its_name():
    assert list(names("grid: {model.cut: [1]}\nvariants: {cut: {a: {}}}")) == ["model.cut", "cut"]


def test_all_axes_are_crossed_in_the_order_of_the_file():
    found, _ = axes("variants: {net: {a: {}, b: {}}}\ngrid: {model.cut: [1, 2]}")
    crossed = [tuple(given.values()) for given, _ in combinations(found)]
    assert crossed == [("a", "1"), ("a", "2"), ("b", "1"), ("b", "2")]


def test_without_axes_there_is_one_combination():
    assert list(combinations([])) == [({}, ())]


@given(st.text(max_size=30))
def test_a_slug_is_always_a_name_for_a_file(text):
    made = slug(text)
    assert made
    assert made not in (".", "..")
    assert set(made) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+=")
