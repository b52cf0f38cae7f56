"""Scenario files: bases, overrides, places of mistakes, shipped names."""

from dataclasses import replace

import pytest
import yaml

from gapslsim.errors import ScenarioError
from gapslsim.scenario.loading import load, load_dict, loads
from gapslsim.scenario.shipped import shipped_scenarios


def test_text_file_and_dict_give_the_same_scenario(sound_file, sound_text):
    scenario = load(sound_file)
    assert loads(sound_text) == scenario
    assert load_dict(yaml.safe_load(sound_text)) == scenario
    assert scenario.name == "sound"
    assert scenario.n_clients == 6
    assert scenario.clients[0].link.uplink.rate == 4e7
    assert scenario.clients[0].link.latency.mean_s == 0.004


def test_the_server_has_the_optimizer_of_the_clients_unless_it_has_its_own(sound_text):
    assert loads(sound_text).training.server == loads(sound_text).training.client
    own = loads(sound_text, set=["training.server={optimizer: adam, lr: 1e-3}"])
    assert own.training.server.lr == 0.001
    assert own.training.client.lr == 0.05


def test_the_parameter_server_is_like_the_server_unless_told(sound_text):
    assert loads(sound_text).parameter_server_device == "jetson-orin-nx"
    other = loads(sound_text, set=["parameter_server.device=laptop-cpu"])
    assert other.parameter_server_device == "laptop-cpu"


def test_overrides_reach_lists_new_sections_and_components(sound_text):
    scenario = loads(
        sound_text,
        set=[
            "clients.0.count=5",
            "clients[1].count=3",
            "evaluation.every=2 epochs",
            "framework=psl",
            "training.client.lr=1e-3",
            "data.partition={kind: dirichlet, alpha: 0.5}",
        ],
    )
    assert scenario.n_clients == 8
    assert str(scenario.evaluation.every) == "2 epochs"
    assert scenario.framework.kind == "psl"
    assert scenario.training.client.lr == 0.001
    assert scenario.data.partition.alpha == 0.5


def test_a_star_in_an_override_means_every_item_of_a_list(sound_text):
    scenario = loads(sound_text, set=["clients.*.link=wifi", "clients.*.link.latency=7 ms"])
    assert len(scenario.clients) > 1
    assert {group.link.latency.mean_s for group in scenario.clients} == {0.007}
    with pytest.raises(ScenarioError) as error:
        loads(sound_text, set=["training.*.lr=1"])
    (problem,) = error.value.problems
    assert "'*' stands for the items of a list; training is none" in problem.message


def test_an_override_opens_a_bare_component_name(sound_text):
    scenario = loads(sound_text, set=["framework=gapsl", "framework.eta=0.7"])
    assert scenario.framework.eta == 0.7


def test_an_override_opens_a_link_preset_and_a_bare_optimizer(sound_text):
    scenario = loads(
        sound_text,
        set=["clients.1.link.latency=30 ms", "training.server=sgd", "training.server.lr=0.5"],
    )
    assert scenario.clients[1].link.latency.mean_s == 0.03
    assert scenario.clients[1].link.uplink.rate == 34e6
    assert scenario.training.server.lr == 0.5


def test_a_base_that_cannot_be_read_is_the_only_mistake_told(tmp_path):
    (tmp_path / "top.yaml").write_text("base: none.yaml\nname: top\n")
    with pytest.raises(ScenarioError) as error:
        load(tmp_path / "top.yaml")
    assert [p.path for p in error.value.problems] == ["base"]


def test_the_last_override_of_a_path_wins(sound_text):
    assert loads(sound_text, set=["seed=3", "seed=4"]).seed == 4


def test_a_file_is_laid_upon_its_bases(tmp_path, sound_text):
    (tmp_path / "fleet.yaml").write_text(sound_text)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "middle.yaml").write_text("base: ../fleet.yaml\nseed: 5\nstop: {rounds: 3}\n")
    (tmp_path / "sub" / "top.yaml").write_text("base: middle.yaml\nname: top\nframework: {kind: sfl}\n")
    scenario = load(tmp_path / "sub" / "top.yaml")
    assert (scenario.name, scenario.seed, scenario.stop.rounds) == ("top", 5, 3)
    assert scenario.framework.kind == "sfl"


def test_a_base_may_be_a_shipped_scenario_by_its_name_unless_a_file_of_that_name_is_there(
    tmp_path, sound_text
):
    (tmp_path / "top.yaml").write_text("base: quickstart\nname: top\nseed: 5\n")
    assert load(tmp_path / "top.yaml") == replace(load("quickstart"), name="top", seed=5)
    (tmp_path / "quickstart").write_text(sound_text)
    with pytest.raises(ScenarioError, match=r"quickstart' is called neither \.yaml nor \.yml"):
        load(tmp_path / "top.yaml")


@pytest.mark.parametrize("name", ["quickstrat", "x" * 5000])
def test_a_base_that_is_neither_a_file_nor_shipped_is_told(tmp_path, name):
    (tmp_path / "top.yaml").write_text(f"base: {name}\nname: top\n")
    with pytest.raises(
        ScenarioError, match=r"top.yaml:1: base: there is no file .* shipped scenario"
    ) as error:
        load(tmp_path / "top.yaml")
    assert ("Did you mean 'quickstart'?" in str(error.value)) == (name == "quickstrat")


def test_bases_that_go_round_in_a_circle_of_three_are_refused_also_by_other_ways_to_them(tmp_path):
    (tmp_path / "a.yaml").write_text("base: b.yaml\nname: a\n")
    (tmp_path / "b.yaml").write_text("base: sub/../c.yaml\n")
    (tmp_path / "c.yaml").write_text("base: ./a.yaml\n")
    (tmp_path / "sub").mkdir()
    with pytest.raises(
        ScenarioError, match=r"c.yaml:1: base: the bases go round in a circle: a.yaml -> b.yaml -> c"
    ):
        load(tmp_path / "a.yaml")


def test_files_that_a_base_in_another_folder_names_are_those_beside_it(tmp_path, sound_text):
    for folder, rate in ((tmp_path / "lib", 5), (tmp_path, 9)):
        folder.mkdir(exist_ok=True)
        (folder / "up.txt").write_text(f"0 {rate}\n1 {rate}\n")
    (tmp_path / "lib" / "base.yaml").write_text(sound_text)
    (tmp_path / "lib" / "middle.yaml").write_text(
        "base: base.yaml\nclients: [{count: 2, device: jetson-nano, link: {uplink: "
        "{kind: trace, file: up.txt, format: cooked}, downlink: 1 Mbit/s}}]\n"
    )
    (tmp_path / "top.yaml").write_text("base: lib/middle.yaml\nname: top\n")
    assert load(tmp_path / "top.yaml").clients[0].link.uplink.file == str(tmp_path / "lib" / "up.txt")


def test_a_mistake_in_the_base_is_reported_there(tmp_path, sound_text):
    (tmp_path / "fleet.yaml").write_text(sound_text.replace("batch_size: 16", "batch_size: 0"))
    (tmp_path / "top.yaml").write_text("base: fleet.yaml\nname: top\n")
    with pytest.raises(ScenarioError) as error:
        load(tmp_path / "top.yaml")
    assert [problem.line for problem in error.value.problems] == [7]
    assert error.value.problems[0].file == str(tmp_path / "fleet.yaml")


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(sound_text):
    text = (
        sound_text.replace("eta: 0.5", "etta: 0.5")
        .replace("lr: 0.05", "lr: -1")
        .replace("link: lte", "link: ltte")
        .replace("200 Mbit/s", "200")
        .replace("rounds: 10", "rounds: 0")
    ) + "seed: 1\nseed: 2\n"
    with pytest.raises(ScenarioError) as error:
        loads(text, file="a.yaml")
    assert [(p.line, p.path) for p in error.value.problems] == [
        (5, "framework.etta"),
        (8, "training.client.lr"),
        (12, "clients.1.link"),
        (13, "network.backhaul"),
        (14, "stop.rounds"),
        (16, "seed"),
    ]


def test_a_wrong_item_of_a_list_is_not_also_called_a_short_list(sound_text):
    with pytest.raises(ScenarioError) as error:
        loads(sound_text, set=["clients.0.link=ltte", "clients.1.link=ltte"])
    assert [p.path for p in error.value.problems] == ["clients.0.link", "clients.1.link"]


def test_very_many_mistakes_are_cut_to_one_screen(sound_text):
    extra = "".join(f"key_{index}: 1\n" for index in range(40))
    with pytest.raises(ScenarioError, match="28 more") as error:
        loads(sound_text + extra)
    assert len(error.value.problems) == 13


def test_a_missing_file_names_its_neighbour(sound_file):
    with pytest.raises(ScenarioError, match=r"Did you mean '.*sound\.yaml'"):
        load(sound_file.with_name("sond.yaml"))
    with pytest.raises(ScenarioError, match="is a directory"):
        load(sound_file.parent)


def test_a_file_that_is_not_text_is_told(tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ScenarioError, match="UTF-8"):
        load(tmp_path / "a.yaml")


def test_a_profile_path_starts_from_the_scenario_file(tmp_path, sound_text):
    from gapslsim.hardware.shipped import shipped_folder

    profile = (shipped_folder("hardware_profiles") / "jetson-nano.yaml").read_text()
    (tmp_path / "mine.yaml").write_text(profile)
    text = sound_text.replace("server: {device: jetson-orin-nx}", "server: {device: ./mine.yaml}")
    (tmp_path / "a.yaml").write_text(text)
    assert load(tmp_path / "a.yaml").server.device == str(tmp_path / "mine.yaml")


def test_python_code_may_give_numbers_in_base_units_and_files_may_not(sound_text):
    from gapslsim.scenario._links import Link

    assert Link(uplink=4e7, downlink=8e7, latency=0.004).uplink.rate == 4e7
    with pytest.raises(ScenarioError, match="has no unit"):
        loads(sound_text, set=["clients.0.link.latency=0.004"])


@pytest.mark.parametrize("name", sorted(shipped_scenarios()))
def test_a_shipped_scenario_is_read_by_name(name):
    assert load(name).n_clients >= 1
