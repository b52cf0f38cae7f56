"""Components of one's own in any order, in one file or several, holding each other; in new and in old processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import combinations, permutations
from pathlib import Path

import jsonschema
import pytest

from gapslsim import own_components
from gapslsim.registry import FAMILIES
from gapslsim.scenario.dumping import dump
from gapslsim.scenario.json_schema import json_schema
from gapslsim.scenario.loading import load, loads
from gapslsim.scenario.tree import parse, plain
from tests.fresh import failures, forget_components

HEAD = """
from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gapslsim.data.dataset import Dataset, datasets
from gapslsim.data.datasets.digits import Digits
from gapslsim.data.partition import Partition, partitions
from gapslsim.data.partitions.iid import Iid
from gapslsim.frameworks.rules.server_update.mean import MeanUpdate
from gapslsim.frameworks.slots import server_updates
from gapslsim.learning.rules import ServerUpdate
from gapslsim.network.channel import Channel, channels
from gapslsim.network.channels.constant import Constant
from gapslsim.registry import component
"""
PARTS = {
    "data": """
@component
class Probe:
    "Settings of its own, which hold a component and are named before they are used."
    channel: Annotated[Channel, channels]

@datasets.register
@component
class OwnData(Digits):
    "Data whose settings hold settings of its own and a partition."
    kind: Literal["own_data"] = "own_data"
    probes: tuple[Probe, ...] = ()
    fallback: Later | None = None

@component
class Later:
    "Settings that are defined below where they are used."
    partition: Annotated[Partition, partitions] = Field(default_factory=lambda: partitions["iid"]())
""",
    "partition": """
@partitions.register
@component
class OwnPartition(Iid):
    "Holds one of its kind."
    kind: Literal["own_partition"] = "own_partition"
    inner: Annotated[Partition, partitions] = Field(default_factory=lambda: partitions["iid"]())
""",
    "channel": """
@channels.register
@component
class OwnChannel(Constant):
    "Holds one of its kind, or none."
    kind: Literal["own_channel"] = "own_channel"
    inner: Annotated[Channel, channels] | None = None
""",
    "rule": """
@server_updates.register
@component
class OwnRule(MeanUpdate):
    "Holds all kinds."
    kind: Literal["own_rule"] = "own_rule"
    partition: Annotated[Partition, partitions]
    channel: Annotated[Channel, channels]
    data: Annotated[Dataset, datasets] | None = None
""",
}
SCENARIO = """
base: {base}
components: [{components}]
data:
  kind: own_data
  partition: {{kind: own_partition, inner: {{kind: own_partition, inner: own_partition}}}}
  probes: [{{channel: {{kind: own_channel, rate: 1 Mbit/s, inner: 2 Mbit/s}}}}]
  fallback: {{partition: own_partition}}
framework:
  kind: parallel
  server_update:
    kind: own_rule
    partition: own_partition
    channel: {{kind: own_channel, rate: 3 Mbit/s, inner: {{kind: own_channel, rate: 4 Mbit/s}}}}
    data: {{kind: own_data, partition: own_partition, fallback: {{partition: own_partition}}}}
clients:
  - {{count: 2, device: jetson-nano, link: {{uplink: {{kind: own_channel, rate: 5 Mbit/s}}, downlink: 6 Mbit/s}}}}
""".replace("  eta: ~\n", "")
BASE = Path(__file__).parents[3] / "scenarios" / "quickstart.yaml"
CHECK = """
from gapslsim.scenario.loading import load

scenario = load({file!r})
rule = scenario.framework.server_update
assert rule.channel.inner.rate == 4e6
assert type(rule.partition) is type(scenario.data.partition.inner.inner) is type(rule.data.partition)
assert type(rule.data) is type(scenario.data)
assert scenario.data.probes[0].channel.inner.rate == 2e6
assert scenario.data.fallback.partition.kind == "own_partition"
assert scenario.clients[0].link.uplink.kind == "own_channel"
"""
ORDERS = list(permutations(PARTS))
STEP = 1 if "GAPSLSIM_EXAMPLES" in os.environ else 2
"""Of two orders one is tried in a file each and one in one file, where nobody asks for more."""


def written(folder: Path, order: tuple[str, ...], together: bool) -> Path:
    """A scenario beside its components."""
    folder.mkdir()
    (folder / "base.yaml").write_text(BASE.read_text().replace("framework: gapsl\n", ""))
    files = {"all": "\n".join(PARTS[part] for part in order)} if together else {p: PARTS[p] for p in order}
    for name, text in files.items():
        (folder / f"{name}.py").write_text(HEAD + text)
    scenario = folder / "scenario.yaml"
    components = ", ".join(f"./{name}.py" for name in files)
    scenario.write_text(SCENARIO.format(base="base.yaml", components=components))
    return scenario


@pytest.fixture
def forgetting() -> Iterator[None]:
    """What a test registers is forgotten afterwards."""
    yield
    forget_components()


@pytest.mark.parametrize("first", [0, 1])
def test_any_three_parts_come_in_each_of_their_orders(first: int) -> None:
    tried = ORDERS[first % STEP :: STEP]
    assert {three for order in tried for three in combinations(order, 3)} == {*permutations(PARTS, 3)}


@pytest.mark.slow
def test_every_order_is_read_in_a_new_process(tmp_path: Path) -> None:
    scripts = {}
    for order in ORDERS[4::5]:  # each place is then taken by each of them
        for together in (False, True):
            name = "-".join([*order, str(together)])
            scripts[name] = CHECK.format(file=str(written(tmp_path / name, order, together)))
    assert failures(scripts) == {}


@pytest.mark.usefixtures("forgetting")
@pytest.mark.parametrize("together", [False, True], ids=["in a file each", "in one file"])
def test_every_order_is_read_in_a_process_that_knows_all_families(tmp_path: Path, together: bool) -> None:
    json_schema()
    for order in ORDERS[together % STEP :: STEP]:
        exec(CHECK.format(file=str(written(tmp_path / "-".join(order), order, together))))
        forget_components()


@pytest.mark.usefixtures("forgetting")
def test_the_resolved_scenario_and_the_json_schema_know_them(tmp_path: Path) -> None:
    file = written(tmp_path / "own", ORDERS[0], together=False)
    scenario = load(file)
    text = dump(scenario)
    assert loads(text) == scenario
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert {"OwnData", "OwnPartition", "OwnChannel", "OwnRule", "Probe", "Later"} <= set(schema["$defs"])
    validator = jsonschema.Draft202012Validator(schema)
    for written_text in (text, file.read_text()):
        data = plain(parse(written_text, None)[0])
        assert [error.message for error in validator.iter_errors(data)] == []
        data["data"]["probes"] = [{"channel": {"kind": "own_canal"}}]
        assert not validator.is_valid(data)


@pytest.mark.usefixtures("forgetting")
@pytest.mark.parametrize("changed", PARTS)
def test_a_file_whose_text_has_changed_is_known_inside_the_others(tmp_path: Path, changed: str) -> None:
    file = written(tmp_path / "own", ORDERS[0], together=False)
    load(file)
    part = file.parent / f"{changed}.py"
    part.write_text(part.read_text().replace("class Own", "class New").replace('"Holds', '"Now holds'))
    again = load(file)
    if changed == "partition":
        assert type(again.data.partition.inner).__name__ == "NewPartition"
        assert type(again.framework.server_update.data.fallback.partition).__name__ == "NewPartition"
    if changed == "channel":
        assert type(again.data.probes[0].channel).__name__ == "NewChannel"
    if changed == "data":
        assert type(again.framework.server_update.data).__name__ == "NewData"


@pytest.mark.usefixtures("forgetting")
def test_a_kind_that_a_changed_file_no_longer_registers_is_gone(tmp_path: Path) -> None:
    file = written(tmp_path / "own", ORDERS[0], together=False)
    load(file)
    part = file.parent / "partition.py"
    text = part.read_text()
    part.write_text(text.replace("own_partition", "other_partition"))
    with pytest.raises(Exception, match="unknown partition 'own_partition'"):
        load(file)
    part.write_text(text)
    assert load(file).data.partition.kind == "own_partition"


FAMILY = """
from abc import ABC
from typing import Annotated, Literal
from gapslsim.registry import Family, component
from gapslsim.data.datasets.digits import Digits
from gapslsim.data.dataset import datasets

class Noise(ABC):
    "What is added."

noises = Family("noise")

@datasets.register
@component
class Noisy(Digits):
    "Data with noise."
    kind: Literal["noisy"] = "noisy"
    noise: Annotated[Noise, noises]
    "How much."

@noises.register
@component
class White(Noise):
    "White noise."
    kind: Literal["white"] = "white"
    level: float = {level}
"""
MEMBER = """
from typing import Annotated, Literal
from gapslsim.registry import FAMILIES, component

@FAMILIES["noise"].register
@component
class Twice:
    "One and another."
    kind: Literal["twice"] = "twice"
    first: Annotated[object, FAMILIES["noise"]]
    second: Annotated[object, FAMILIES["noise"]]
"""


@pytest.mark.usefixtures("forgetting")
def test_a_family_of_ones_own_grows_from_other_files_and_outlives_a_change_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(BASE.read_text())
    (tmp_path / "family.py").write_text(FAMILY.format(level=1.0))
    (tmp_path / "member.py").write_text(MEMBER)
    noise = (
        "{kind: twice, first: white, second: {kind: twice, first: white, second: {kind: white, level: 3}}}"
    )
    (tmp_path / "scenario.yaml").write_text(
        f"base: base.yaml\ncomponents: [./family.py, ./member.py]\ndata: {{kind: noisy, noise: {noise}}}\n"
    )
    first = load(tmp_path / "scenario.yaml")
    assert first.data.noise.second.second.level == 3
    (tmp_path / "family.py").write_text(FAMILY.format(level=2.0))
    again = load(tmp_path / "scenario.yaml")
    assert again.data.noise.first.level == 2.0
    assert "noise" in FAMILIES
    schema = json_schema()
    assert {"Noisy", "White", "Twice"} <= set(schema["$defs"])
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid(plain(parse((tmp_path / "scenario.yaml").read_text(), None)[0]))


def test_gapslsim_list_knows_a_family_that_a_file_makes(tmp_path: Path) -> None:
    (tmp_path / "family.py").write_text(FAMILY.format(level=1.0))
    script = f"""
import contextlib, io
from gapslsim.cli.main import main

for arguments in (["list"], ["list", "noise"]):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        main([*arguments, "--components", {str(tmp_path / "family.py")!r}])
    assert "White noise." in out.getvalue(), out.getvalue()
"""
    assert failures({"list": script}) == {}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            '@partitions.register\n@component\nclass A(Iid):\n    "No kind."\n',
            "must be a component with a name",
        ),
        (
            '@partitions.register\nclass A(Iid):\n    "No component."\n    kind: Literal["a"] = "a"\n',
            "put '@component' below '@register'",
        ),
    ],
)
def test_a_class_that_is_no_component_is_refused_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "mine.py").write_text(HEAD + text)
    with pytest.raises(Exception, match="line 18: ValueError: the partition A") as error:
        own_components.load_components(str(tmp_path / "mine.py"))
    assert says in str(error.value)
