"""Clients that are cut unlike on the clock: a timeline by hand, exact bytes, and what holds for random cuts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gapslsim import load_dict, simulate
from gapslsim.assembly import assemble
from gapslsim.frameworks.framework import frameworks
from gapslsim.learning.journal.journal import JournalSettings
from gapslsim.learning.names import name_of
from gapslsim.learning.setup import LearningSetup
from gapslsim.models.cost import split_cost
from gapslsim.models.segments import two_parts
from gapslsim.models.zoo.mlp import Mlp
from gapslsim.work import Cost
from tests.support import FixedCosts, Stage, flop, small_setup, stage
from tests.worlds import small_scenario


def setup_with(cuts: Sequence[int]) -> LearningSetup:
    """Layers of 6, 4, 5, 6 and 3 numbers."""
    setup = small_setup(len(cuts), model=Mlp(hidden=(4, 5, 6), activation="tanh"))
    return replace(setup, segments=two_parts(cuts, 4))


class BlockCosts(FixedCosts):
    """A block costs 1 FLOP forward and 2 backward, on the server 1 in all; the mean of a piece 0.5."""

    def client_forward(self, batch_size: int, cut: int | None = None) -> Cost:
        return flop(float(cut or 0))

    def client_backward(self, batch_size: int, rule: Any, optimizer: Any, cut: int | None = None) -> Cost:
        return flop(2.0 * (cut or 0))

    def server_step(self, batch_sizes: Sequence[int], n_shared: Sequence[int], rule: Any, **how: Any) -> Cost:
        return flop(float(sum(4 - cut for cut in how["cuts"])))


def of_two() -> Stage:
    """Client 0 has one block and 1 FLOP/s, client 1 three and half of it; each sends its smashed data in 1 s."""
    world = stage(
        setup_with((1, 3)), server_rate=2.0, uplinks=(1600, 2240), downlinks=(1280, 1920), latency_s=0.25
    )
    world.learner.costs = BlockCosts(world.learner.costs._inner)  # type: ignore[attr-defined, assignment]
    return world.run(frameworks["sfl"](), 1)


def test_a_round_of_two_cuts_takes_what_its_blocks_and_bytes_take() -> None:
    world = of_two()
    # Smashed data: 5 * (4 * 8 + 8) = 200 B and 5 * (6 * 8 + 8) = 280 B; gradients 160 B and 240 B; weights of 28 and
    # 28 + 25 + 36 = 89 numbers, 224 B and 712 B.
    up, down = 0.25 + 8 * 712 / 2240, 0.25 + 8 * 712 / 1920
    expected = {
        "client-0": [
            ("client_forward", 0.0, 1.0), ("uplink", 1.0, 2.25), ("waiting", 2.25, 7.25),
            ("server_compute", 7.25, 9.25), ("downlink", 9.25, 10.5), ("client_backward", 10.5, 12.5),
            ("waiting", 12.5, 22.5), ("model_uplink", 22.5, 22.5 + 0.25 + 8 * 224 / 1600),
            ("waiting", 22.5 + 0.25 + 8 * 224 / 1600, 22.5 + up), ("server_compute", 22.5 + up, 23.0 + up),
            ("model_downlink", 23.0 + up, 23.25 + up + 8 * 224 / 1280),
            ("waiting", 23.25 + up + 8 * 224 / 1280, 23.0 + up + down),
        ],
        "client-1": [
            ("client_forward", 0.0, 6.0), ("uplink", 6.0, 7.25), ("server_compute", 7.25, 9.25),
            ("downlink", 9.25, 10.5), ("client_backward", 10.5, 22.5), ("model_uplink", 22.5, 22.5 + up),
            ("server_compute", 22.5 + up, 23.0 + up), ("model_downlink", 23.0 + up, 23.0 + up + down),
        ],
    }  # fmt: skip
    for actor, spans in expected.items():
        found = world.spans(actor)
        assert [phase for phase, *_ in found] == [phase for phase, *_ in spans]
        for (_, *times), (phase, *wanted) in zip(found, spans, strict=True):
            assert times == pytest.approx(wanted, abs=1e-9), phase
    sent = {(s.client, s.phase): s.size_bytes for s in world.recorder.spans if s.size_bytes}
    assert sent == {
        (0, "uplink"): 200, (1, "uplink"): 280, (0, "downlink"): 160, (1, "downlink"): 240,
        (0, "model_uplink"): 224, (1, "model_uplink"): 712, (0, "model_downlink"): 224, (1, "model_downlink"): 712,
    }  # fmt: skip


def test_each_client_is_charged_for_its_own_blocks_and_the_server_for_those_after_them() -> None:
    setup = setup_with((1, 3, 2))
    learner = stage(setup, dry=True, fixed_costs=False).learner
    model: Any = setup.model
    rule, cut_rule = frameworks["psl"]().server_rule, frameworks["psl"]().cut_rule
    for client, cut in enumerate((1, 3, 2)):
        alone = split_cost(replace(model, cut=cut), (6,), 3, 5)
        work = learner.client_forward(client)
        assert work.cost.work_flop == alone.client.forward.work_flop
        passed = learner.server_pass(work.carry_out(), rule, cut_rule).cost
        assert passed.work_flop == alone.server.forward.work_flop + alone.server.backward.work_flop


def given_cuts(cuts: Sequence[int], kind: str) -> dict[str, Any]:
    made = small_scenario(model={"kind": "mlp", "hidden": [7, 6, 5], "cut": 1}, framework={"kind": kind})
    link = made["clients"][0]["link"]
    made["clients"] = [{"device": "jetson-nano", "link": link, "cut": cut} for cut in cuts]
    made["data"]["partition"] = "iid"
    made["training"]["client"] = {"optimizer": "adam", "lr": 0.01}
    return made


kinds = st.sampled_from(["psl", "sfl", "gapsl", "non_gda", "splitfed_v1", "splitfed_v2"])


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.integers(1, 3), min_size=2, max_size=4), kinds)
def test_whatever_the_cuts_runs_repeat_and_bytes_are_those_of_tensors(cuts: list[int], kind: str) -> None:
    scenario = load_dict(given_cuts(cuts, kind))
    parts = assemble(scenario, dry=False)
    segments = parts.setup.segments
    assert (segments is None) == (len(set(cuts)) == 1)
    for client in range(len(cuts)):
        state, holds = parts.learner.states[name_of(client)].value, parts.learner.holdings.of(name_of(client))
        assert holds.size_bytes == sum(t.nbytes for t in (*state.parameters, *state.buffers))
        if segments is not None:
            assert len(parts.learner._whole(client).value.parameters) == 8
    with TemporaryDirectory() as folder:
        journal = JournalSettings(Path(folder), checkpoint_every=1)
        first = simulate(scenario, journal=journal)
        again, dry = simulate(scenario, journal=journal), simulate(scenario, dry=True)
    for name in ("timeline_sha256", "learning_sha256", "bytes_up", "bytes_down"):
        assert first.summary[name] == again.summary[name]
    assert dry.summary["timeline_sha256"] == first.summary["timeline_sha256"]


@pytest.mark.parametrize("kind", ["psl", "sfl", "splitfed_v1"])
def test_a_run_that_goes_on_from_a_checkpoint_ends_as_one_in_a_row(kind: str, tmp_path: Path) -> None:
    given = given_cuts((1, 3, 2), kind) | {"stop": {"rounds": 6}}
    journal = JournalSettings(tmp_path, checkpoint_every=1)
    simulate(load_dict(given | {"stop": {"rounds": 3}}), journal=journal)
    resumed, whole = simulate(load_dict(given), journal=journal), simulate(load_dict(given))
    assert resumed.summary["learning_sha256"] == whole.summary["learning_sha256"]


def test_a_client_that_loses_its_state_begins_with_its_own_blocks() -> None:
    learner = stage(setup_with((1, 3))).run(frameworks["psl"](), 2).learner
    learner.states.forget(1)
    assert [len(learner.states[name_of(c)].value.parameters) for c in range(2)] == [2, 6]
    assert learner.states[name_of(1)].value.n_updates == 0
