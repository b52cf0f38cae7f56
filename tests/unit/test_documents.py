"""YAML and JSON of others: a small text stays a small thing, and what is beyond a limit is told in words."""

import pytest

from gapslsim.documents import MAX_DEPTH, DocumentError, json_data, yaml_data
from gapslsim.errors import NetworkError, ScenarioError
from gapslsim.hardware.profile_file import ProfileError, read_profile
from gapslsim.network._graph_files import read_raw
from gapslsim.scenario.loading import loads
from gapslsim.scenario.tree import parse

LAUGHS = "x0: &x0 [1, 2, 3, 4, 5, 6, 7, 8, 9]\n" + "".join(
    f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]\n" for n in range(1, 9)
)
"""A few hundred bytes that stand for 9 ** 9 values."""
NESTED = {
    "lists": "[" * 5000 + "]" * 5000,
    "mappings": "{a: " * 5000 + "}" * 5000,
    "dashes": "- " * 5000 + "1",
    "aliases": "a0: &a0 [1]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 2 * MAX_DEPTH)),
}


def test_aliases_are_counted_as_often_as_they_are_used():
    with pytest.raises(DocumentError, match="more than 300,000 values") as error:
        yaml_data(LAUGHS)
    assert error.value.line == 6  # 9 ** 6 is the first power beyond


def test_aliases_within_the_limit_are_read():
    assert yaml_data("a: &a [1, 2]\nb: [*a, *a]\nc: {<<: {d: *a}}\n") == {
        "a": [1, 2],
        "b": [[1, 2], [1, 2]],
        "c": {"d": [1, 2]},
    }


@pytest.mark.parametrize("kind", NESTED)
def test_deep_nesting_is_told_in_words(kind):
    with pytest.raises(DocumentError, match="deeper than 100 levels"):
        yaml_data(NESTED[kind])
    tree, problems = parse(NESTED[kind], "a.yaml")
    assert tree.value is None
    assert len(problems) == 1


def test_json_within_json_is_told_in_words():
    assert json_data("[" * 50 + "]" * 50)
    assert [json_data(text) for text in ("1.5", "null", '"a"')] == [1.5, None, "a"]
    for depth in (200, 100_000):
        with pytest.raises(DocumentError, match="deeper than 100 levels"):
            json_data("[" * depth + "]" * depth)


def test_a_long_text_is_refused_before_it_is_read():
    with pytest.raises(DocumentError, match=r"has 31 characters; the most is 10"):
        json_data('"' + "a" * 29 + '"', longest=10)
    with pytest.raises(DocumentError, match=r"the most is 16,777,216"):
        yaml_data("a" * (2**24 + 1))


def test_a_long_flat_document_is_counted_before_nodes_are_made():
    with pytest.raises(DocumentError, match="more than 300,000 values"):
        yaml_data("[" + "1," * 700_000 + "]")


@pytest.mark.parametrize("digits", ["0x" + "f" * 100_000, "9" * 100_000, str(2**64)])
def test_integers_of_more_than_64_bits_are_refused(digits):
    with pytest.raises(DocumentError, match="at most 64 bits"):
        yaml_data(f"a: {digits}")
    _, (problem,) = parse(f"a: {digits}", "a.yaml")
    assert (problem.path, problem.line) == ("a", 1)
    if not digits.startswith("0x"):
        with pytest.raises(DocumentError, match="at most 64 bits"):
            json_data(f'{{"a": {digits}}}')


def test_json_has_no_infinity():
    with pytest.raises(DocumentError, match="finite"):
        json_data('{"a": Infinity}')


@pytest.mark.parametrize("text", ["\\e[31m", "\\0", "\\u202e", "\\ud800"])
def test_control_characters_are_refused_wherever_they_stand(text):
    for document in (f'"{text}": 1', f'a: "{text}"'):
        with pytest.raises(DocumentError, match=r"control character U\+"):
            yaml_data(document)
        _, (problem,) = parse(document, "a.yaml")
        assert "control character" in problem.message
        assert str(problem).isprintable()


@pytest.mark.parametrize("text", ["1:30", "2026-11-26", "yes", "on", "1_000", "0o17"])
def test_scalars_mean_the_same_in_every_file(text):
    assert yaml_data(text) == parse(text, None)[0].value == text


@pytest.mark.parametrize("text", ["010", "-007", "00", "01.5"])
def test_a_number_that_others_take_for_octal_is_refused(text):
    with pytest.raises(DocumentError, match="without the zero in front"):
        yaml_data(f"a: {text}")
    _, (problem,) = parse(f"a: {text}", "a.yaml")
    assert f"found the number {text}" in problem.message
    assert yaml_data("[0, 0.5, '010', 0x10, -0.5]") == [0, 0.5, "010", 16, -0.5]


def test_a_bomb_is_told_by_every_reader_of_yaml(tmp_path):
    for name in ("graph.yaml", "device.yaml"):
        (tmp_path / name).write_text(LAUGHS)
    with pytest.raises(NetworkError, match="more than 300,000 values"):
        read_raw(tmp_path / "graph.yaml")
    with pytest.raises(ProfileError, match=r"device.yaml:6: it holds more than"):
        read_profile(tmp_path / "device.yaml")


def test_a_mapping_that_merges_itself_is_told():
    _, (problem,) = parse("a: &a {<<: *a, b: 1}\n", "a.yaml")
    assert "contains itself" in problem.message


def test_of_many_complaints_the_first_ones_are_told_and_the_others_counted():
    with pytest.raises(ScenarioError, match=r"and \d+ more") as error:
        loads("name: a\n" + "".join(f"k{n}: 1\n" for n in range(3000)))
    assert len(error.value.problems) == 13
