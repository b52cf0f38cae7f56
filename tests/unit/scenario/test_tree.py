"""YAML with places."""

import pytest

from gapslsim.scenario.tree import merge, parse, plain, tree_of


def _read(text):
    tree, problems = parse(text, "a.yaml")
    assert problems == []
    return plain(tree)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1.5e-3", 0.0015),
        ("1E3", 1000.0),
        (".5", 0.5),
        ("3", 3),
        ("-3", -3),
        ("0x10", 16),
        ("true", True),
        ("yes", "yes"),
        ("on", "on"),
        ("12:30", "12:30"),
        ("2024-01-01", "2024-01-01"),
        ("~", None),
        ("'3'", "3"),
        ("40 Mbit/s", "40 Mbit/s"),
        ("<<", "<<"),
    ],
)
def test_scalars_follow_yaml_1_2(text, value):
    read = _read(f"- {text}" if text != "<<" else "- '<<'")[0]
    assert read == value
    assert type(read) is type(value)


def test_every_value_knows_the_line_of_its_key():
    tree, _ = parse("a: 1\nb:\n  c:\n    - 2\n    - d: 3\n", "a.yaml")
    lines = [tree.at(path).line for path in [("a",), ("b",), ("b", "c"), ("b", "c", 0), ("b", "c", 1, "d")]]
    assert lines == [1, 2, 3, 4, 5]
    assert tree.at(("b", "c", 1, "d")).file == "a.yaml"


def test_a_path_that_is_not_written_ends_at_its_deepest_part():
    tree, _ = parse("a: 1\nb:\n  c: 2\n", "a.yaml")
    assert tree.at(("b", "x", "y")).line == 2
    assert tree.at(("b", "c", 7)).line == 3


def test_anchors_and_merge_keys_work_and_own_keys_win():
    text = "x: &x {a: 1, b: 2}\ny: &y {b: 3, c: 4}\nz: {<<: [*x, *y], a: 5}\nw: *x\n"
    read = _read(text)
    assert read["z"] == {"a": 5, "b": 2, "c": 4}
    assert read["w"] == {"a": 1, "b": 2}


def test_every_duplicate_key_is_told_with_both_lines():
    _, problems = parse("a: 1\nb: {c: 1, c: 2}\na: 3\n", "a.yaml")
    assert [(p.path, p.line) for p in problems] == [("b.c", 2), ("a", 3)]
    assert "first in line 1" in problems[1].message


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("a: [1\nb: 2\n", 2, "not YAML"),
        ("a:\n\tb: 1\n", 2, "spaces"),
        ("a: 1\n---\nb: 2\n", 2, "second document"),
        ("a: .nan\n", 1, "finite"),
        ("? [1, 2]\n: 3\n", 1, "a key must be text"),
        ("a: &a [*a]\n", 1, "contains itself"),
        ("a: !color red\n", 1, "not supported"),
        ("<<: 3\n", 1, "takes a mapping"),
        ("a: 'x\n", 2, "not YAML"),
        ("a: \x01\n", None, "not YAML"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(text, line, says):
    _, problems = parse(text, "a.yaml")
    assert len(problems) == 1
    assert problems[0].line == line
    assert says in problems[0].message


def test_merging_goes_mapping_by_mapping():
    base = tree_of({"a": {"b": 1, "c": 2}, "d": [1, 2], "e": 5})
    over = tree_of({"a": {"c": 3}, "d": [9], "f": 6})
    assert plain(merge(base, over)) == {"a": {"b": 1, "c": 3}, "d": [9], "e": 5, "f": 6}


@pytest.mark.parametrize("tag", ["kind", "optimizer"])
def test_another_component_replaces_the_one_of_the_base_wholly(tag):
    base = tree_of({"x": {tag: "gapsl", "eta": 1}})
    assert plain(merge(base, tree_of({"x": {tag: "psl"}}))) == {"x": {tag: "psl"}}
    assert plain(merge(base, tree_of({"x": {tag: "gapsl", "k": 2}}))) == {
        "x": {tag: "gapsl", "eta": 1, "k": 2}
    }
    assert plain(merge(base, tree_of({"x": {"eta": 2}}))) == {"x": {tag: "gapsl", "eta": 2}}
