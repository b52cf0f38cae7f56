from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from gapslsim.errors import ResultsError
from gapslsim.results.place import Identity, check_place, choose_place, claim, look, name_of_changes, release

RUN = Identity(label="a-psl-seed1", scenario_yaml="name: a\nclients:\n- {link: 4g}\n- {link: 4g}\n")


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        (["clients.*.link=5g"], "link=5g"),
        (["stop.rounds=3", "seed=4", "framework=psl", "framework.kind=psl"], "rounds=3"),
        (["framework={kind: gapsl, eta: 0.2}"], "framework=kind=gapsl_eta=0.2"),
        (["network.kind=star", "clients.0.link.uplink=5 Mbit/s"], "network=star-uplink=5_Mbit_s"),
        (["data.path=/a/../b"], "path=a_.._b"),
        (["clients.0.link=5g", "clients.1.link=5g"], "link=5g"),
        (["description=ä/\n:*?"], "description="),
    ],
)
def test_a_change_makes_a_short_name_that_every_file_system_takes(overrides: list[str], name: str) -> None:
    assert name_of_changes(overrides) == name


def test_names_of_many_changes_are_cut_and_still_differ() -> None:
    one, two = ([f"a.key{i}={i}" for i in range(40)] + [f"b={b}"] for b in (1, 2))
    assert len(name_of_changes(one)) <= 100
    assert name_of_changes(one) != name_of_changes(two)


def test_what_differs_is_told_and_dry_runs_are_others() -> None:
    other = Identity(label=RUN.label, scenario_yaml=RUN.scenario_yaml.replace("4g", "5g"), dry=True)
    assert other.differs_from(RUN) == ["clients.0.link=5g", "clients.1.link=5g", "dry"]
    assert RUN.differs_from(RUN) == []


def test_changed_components_make_another_run_and_modules_known_to_one_alone_do_not() -> None:
    about = {"label": RUN.label, "scenario_yaml": RUN.scenario_yaml}
    now = Identity(**about, components={"own.py": "22"})
    assert now.differs_from(Identity(**about, components={"own.py": "11", "beside.py": "33"})) == ["own.py"]
    assert now.differs_from(Identity(**about, components={"own.py": "22", "beside.py": "33"})) == []


def test_a_claimed_directory_tells_its_run_and_one_without_more_is_released(tmp_path: Path) -> None:
    claim(tmp_path / "x", RUN)
    held = look(tmp_path / "x")
    assert held is not None
    assert held.is_like(RUN)
    assert not held.is_finished
    claim(tmp_path / "y", dataclasses.replace(RUN, dry=True))
    assert (held.dry, look(tmp_path / "y").dry) == (False, True)
    (tmp_path / "x" / "journal").mkdir()
    release(tmp_path / "x")
    assert look(tmp_path / "x") == held
    (tmp_path / "x" / "journal").rmdir()
    release(tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_what_a_kill_left_unfinished_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / f".summary.json.{'0a' * 16}.partial").write_text("{")
    assert look(tmp_path) is None
    check_place(tmp_path, RUN, replace=False)
    (tmp_path / "journal").mkdir()
    assert look(tmp_path) is None
    (tmp_path / ".mine.partial").write_text("of the user's own")
    with pytest.raises(ResultsError, match="is not empty and holds no run of gapslsim"):
        look(tmp_path)


def test_a_folder_with_a_scenario_of_the_users_own_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "scenario.yaml").write_text(RUN.scenario_yaml)
    for replace in (False, True):
        with pytest.raises(ResultsError, match="is not empty and holds no run of gapslsim"):
            check_place(tmp_path, RUN, replace=replace)


def test_where_all_names_are_taken_the_digest_tells_runs_apart(tmp_path: Path) -> None:
    texts = [RUN.scenario_yaml + f"note: {'x' * 200}{number}\n" for number in range(3)]
    places = []
    for text in texts:
        run = Identity(label=RUN.label, scenario_yaml=text)
        places.append(choose_place(tmp_path, run))
        claim(places[-1], run)
        assert choose_place(tmp_path, run) == places[-1]
    assert len(set(places)) == 3
    assert all(len(place.name) <= 100 for place in places)


def test_a_run_whose_scenario_is_damaged_is_another_run():
    wanted, there = (
        Identity(label="a", scenario_yaml="name: a\n"),
        Identity(label="a", scenario_yaml="name: [\x1b"),
    )
    assert wanted.differs_from(there) == ["scenario"]
