"""The measured stage: timelines of work that is carried out, worked out by hand; the same training; cancelled work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from gapslsim.errors import NumericalError, ProtocolError
from gapslsim.frameworks.framework import Framework, frameworks
from gapslsim.frameworks.slots import client_updates, server_updates
from gapslsim.frameworks.stage import Late, Process
from gapslsim.frameworks.stage import Stage as AnyStage
from gapslsim.learning.learner import Learner
from gapslsim.learning.loss import Loss
from gapslsim.learning.losses.binary import Binary
from gapslsim.learning.losses.cross_entropy import CrossEntropy
from gapslsim.learning.optimizer import Optimizer
from gapslsim.learning.rules import CutGradient
from gapslsim.learning.setup import LearningSetup
from gapslsim.models.zoo.cnn import Cnn
from gapslsim.models.zoo.vit import Vit
from gapslsim.registry import component
from gapslsim.stages.clock import Clock
from gapslsim.stages.measured import MeasuredStage
from gapslsim.stages.plain_engine import PlainEngine, averaged
from tests.support import Rounds, Stage, small_setup, stage
from tests.unit.measuring.fakes import CLOCK, FakeClock, SpendingModel


def measured(setup: LearningSetup, clock: Clock | None = None, **network: Any) -> Stage:
    """The world of `stage`, in which work takes the time that a clock shows; each part 0.5 s unless one is given."""
    made = stage(setup, dry=True, **network)
    engine = PlainEngine(setup, torch.device("cpu"), clock or FakeClock(tick=0.5), torch.float64)
    made.learner = Learner(setup, engine)
    made.engine = engine
    world = made.world
    made.world = MeasuredStage(
        made.env,
        world._network,
        world._client_devices,
        world.server.device,
        world.parameter_server.device,
        made.learner,
        made.recorder,
        setup.seed,
        engine=engine,
    )
    return made


SLOW = {"uplinks": (1600, 800), "downlinks": (1280, 640), "latency_s": 0.25}
"""Links of `tests/unit/frameworks/test_timelines.py`: 1 s and 2 s each way, and 0.25 s."""


def test_a_round_takes_the_time_of_its_parts_and_of_the_network() -> None:
    # forward 0.5 s, backward with its update 0.5 s; at the server a pass for each client and the rule with the update
    made = measured(small_setup(), **SLOW).run(frameworks["psl"](), 1)
    assert made.spans("client-0") == [
        ("client_forward", 0.0, 0.5),
        ("uplink", 0.5, 1.75),
        ("waiting", 1.75, 2.75),
        ("server_compute", 2.75, 4.25),
        ("downlink", 4.25, 5.5),
        ("client_backward", 5.5, 6.0),
        ("waiting", 6.0, 7.0),
    ]
    assert made.spans("client-1") == [
        ("client_forward", 0.0, 0.5),
        ("uplink", 0.5, 2.75),
        ("server_compute", 2.75, 4.25),
        ("downlink", 4.25, 6.5),
        ("client_backward", 6.5, 7.0),
    ]
    assert made.spans("server") == [("server_step", 2.75, 4.25)]


def test_devices_compute_side_by_side_each_for_the_time_of_its_own_layers() -> None:
    # the client's layer spends 1 s forward and 2 s backward; the server's layers 5.5 s and 7.25 s for each client
    setup = small_setup(n_train=20, input_shape=(4,), model=SpendingModel())
    made = measured(setup, CLOCK, uplinks=(1e15, 1e15), downlinks=(1e15, 1e15)).run(frameworks["psl"](), 1)
    for client in ("client-0", "client-1"):
        found = [span for span in made.spans(client) if span[0].startswith("client")]
        expected = [("client_forward", 0.0, 1.0), ("client_backward", 26.5, 28.5)]
        assert [phase for phase, *_ in found] == [phase for phase, *_ in expected]
        assert [t for _, *times in found for t in times] == pytest.approx(
            [t for _, *times in expected for t in times], abs=1e-9
        )


def test_samples_and_costs_of_what_was_completed_are_kept_by_operation() -> None:
    made = measured(small_setup()).run(frameworks["sfl"](), 2)
    world = made.world
    assert isinstance(world, MeasuredStage)
    assert world.samples == {
        ("client_forward", "", 5): [0.5] * 4,
        ("server_step", "pass", 5): [0.5] * 4,
        ("server_step", "rule", 0): [0.5] * 2,
        ("client_backward", "", 5): [0.5] * 4,
        ("average", "", 0): [0.5] * 2,
    }
    assert {name: len(costs) for name, costs in world.costs.items()} == {
        "client_forward": 4, "server_step": 2, "client_backward": 4, "average": 2,
    }  # fmt: skip
    world.forget()
    assert not world.samples
    assert not world.costs


def all_states(made: Stage) -> list[torch.Tensor]:
    states = [made.learner.server_state, *(made.learner.client_state(client) for client in range(2))]
    return [
        tensor
        for state in states
        for slot in (state.value.parameters, state.value.buffers, *state.value.optimizer.values())
        for tensor in slot
    ]


def assert_same_training(framework: Callable[[], Framework], setup: LearningSetup, n_rounds: int = 3) -> None:
    """The two stages end with the same weights, buffers, optimizers and losses, up to rounding."""
    plain, simulated = measured(setup).run(framework(), n_rounds), stage(setup).run(framework(), n_rounds)
    for left, right in zip(all_states(plain), all_states(simulated), strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=1e-9)
    left, right = (sorted(one.learner.observed.losses) for one in (plain, simulated))
    assert [row[:2] for row in left] == [row[:2] for row in right]
    assert [row.loss for row in left] == pytest.approx([row.loss for row in right], abs=1e-9)
    assert plain.learner.samples_seen == simulated.learner.samples_seen
    assert plain.learner.server_steps == simulated.learner.server_steps
    seen = []
    for one in (plain, simulated):
        one.learner.evaluate(("global", "local"))
        seen.append([row.accuracy for row in one.learner.observed.accuracies])
    assert seen[0] == pytest.approx(seen[1], abs=1e-9)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("psl", {}),
        ("gapsl", {"eta": 0.1, "excluded": "zero"}),
        ("gapsl", {"eta": 0.1, "excluded": "freeze"}),
        ("gapsl", {"gradient": "exact"}),
        ("sfl", {}),
        ("epsl", {"phi": 0.4}),
        ("epsl", {"phi": 1.0}),
        ("sl", {"local_steps": 2}),
        ("sl", {"optimizer": "keep"}),
        ("fedavg", {}),
        ("psl", {"client_update": {"kind": "proximal", "mu": 0.1}}),
        ("gapsl", {"length": "mean", "eta": -0.5}),
        ("psl", {"server_schedule": "sum", "cut_scale": "mean"}),
        ("psl", {"server_schedule": "joined", "cut_scale": "mean"}),
        ("psl", {"server_schedule": {"kind": "sequential", "order": "index"}}),
        ("psl", {"server_schedule": {"kind": "copies", "every": 2}}),
        ("splitfed_v1", {}),
        ("sfl", {"client_sync": {"kind": "average", "every": "epoch"}}),
        ("sl", {"local_steps": "epoch"}),
    ],
    ids=str,
)
def test_both_stages_train_the_same(kind: str, settings: dict[str, Any]) -> None:
    assert_same_training(lambda: frameworks[kind](**settings), small_setup())


def optimizers() -> list[Optimizer]:
    from gapslsim.learning.optimizers.adam import Adam
    from gapslsim.learning.optimizers.adamw import AdamW
    from gapslsim.learning.optimizers.sgd import Sgd
    from gapslsim.learning.schedules.cosine import CosineSchedule

    @component
    class Own(Sgd):
        """Of a user's own: half of SGD's step. PyTorch has no such thing."""

        def step(self, parameters: Any, gradients: Any, *args: Any) -> Any:
            return super().step(parameters, tuple(gradient / 2 for gradient in gradients), *args)

    return [
        Sgd(lr=0.1),
        Sgd(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01, schedule=CosineSchedule(planned_steps=4)),
        Sgd(lr=0.1, momentum=0.9, clip_norm=0.05),
        Adam(lr=0.01, weight_decay=0.1, clip_norm=0.1),
        AdamW(lr=0.01, betas=(0.8, 0.9)),
        Own(lr=0.1, momentum=0.5),
    ]


@pytest.mark.parametrize("optimizer", optimizers(), ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("kind", ["psl", "fedavg"])
def test_every_optimizer_steps_the_same_in_place(kind: str, optimizer: Optimizer) -> None:
    assert_same_training(frameworks[kind], small_setup(client=optimizer, server=optimizer))


@pytest.mark.parametrize("kind", ["psl", "gapsl", "epsl", "fedavg"])
@pytest.mark.parametrize("loss", [CrossEntropy(class_weights=(0.5, 1.0, 3.0), label_smoothing=0.1), Binary()])
def test_the_loss_is_the_same(kind: str, loss: Loss) -> None:
    assert_same_training(frameworks[kind], replace(small_setup(), loss=loss))


def test_clients_with_batches_of_their_own_size_train_the_same() -> None:
    assert_same_training(frameworks["psl"], replace(small_setup(), batch_sizes=(3, 6)))


@pytest.mark.parametrize("kind", ["psl", "gapsl", "epsl", "sfl", "fedavg"])
@pytest.mark.parametrize(
    ("shape", "model"),
    [
        ((1, 8, 8), Cnn(channels=(4, 4), cut=1, norm="batch")),
        ((3, 8, 8), Cnn(channels=(4, 4), cut=1, norm="group")),
        ((3, 8, 8), Vit(patch=4, dim=8, depth=2, heads=2, cut=1, dropout=0.5)),
    ],
    ids=["batch norm", "group norm", "dropout"],
)
def test_buffers_and_random_numbers_are_the_same(kind: str, shape: tuple[int, ...], model: Any) -> None:
    assert_same_training(frameworks[kind], small_setup(input_shape=shape, model=model))


def test_a_joined_pass_sees_all_samples_on_both_stages() -> None:
    model = Cnn(channels=(4, 4), cut=1, norm="batch")
    setup = replace(small_setup(input_shape=(1, 8, 8), model=model), batch_sizes=(3, 6))
    assert_same_training(lambda: frameworks["psl"](server_schedule="joined"), setup)


def test_the_geometry_of_gradients_is_the_same() -> None:
    found = []
    for make in (measured, stage):
        made = make(small_setup())
        made.learner.measures_geometry = True
        made.run(frameworks["psl"](), 2)
        found.append([row[2:] for row in made.learner.observed.pairwise])
    assert found[0]
    torch.testing.assert_close(*(torch.tensor(rows, dtype=torch.float64) for rows in found))


@component
class Script(Framework):
    """A protocol from a function."""

    kind: str = "script"
    script: Any = None

    def run(self, w: AnyStage) -> Process[None]:
        for _ in w.rounds(self):
            yield from self.script(w)

    def samples_per_round(self, batch_sizes: Sequence[int], shard_sizes: Sequence[int]) -> float:
        return float(sum(batch_sizes))


def snapshot(learner: Learner) -> tuple[Any, ...]:
    states = learner.states
    kept = tuple(dict(getattr(states, name)) for name in ("named", "_steps", "_turns", "_memories"))
    return (*kept, states.samples_seen, states.server_steps, list(learner.observed.losses))


def step_of(w: AnyStage, smashed: Any) -> Any:
    return w.learner.server_step(smashed, server_updates["mean"](), CutGradient())


def test_work_that_is_cancelled_leaves_nothing_and_can_be_done_again() -> None:
    own = client_updates["own"]()

    def script(w: AnyStage) -> Process[None]:
        learner, client = w.learner, w.client(0)

        def never(node: Any, work: Any) -> Process[None]:
            before = snapshot(learner)
            late = yield from w.within(0.25, node.compute(work))
            assert isinstance(late, Late)
            assert snapshot(learner) == before

        yield from never(client, learner.client_forward(0))
        smashed = yield from client.compute(learner.client_forward(0))
        assert smashed.batch.step == 0
        yield from never(w.server, step_of(w, [smashed]))
        reply = yield from w.server.compute(step_of(w, [smashed]))
        yield from never(client, learner.client_backward(0, reply, own))
        yield from client.compute(learner.client_backward(0, reply, own))
        with pytest.raises(ProtocolError, match="asked for twice"):
            yield from client.compute(learner.client_backward(0, reply, own))

    made = measured(small_setup()).run(Script(script=script), 1)
    once = stage(small_setup())

    def straight(w: AnyStage) -> Process[None]:
        smashed = yield from w.client(0).compute(w.learner.client_forward(0))
        reply = yield from w.server.compute(step_of(w, [smashed]))
        yield from w.client(0).compute(w.learner.client_backward(0, reply, own))

    once.run(Script(script=straight), 1)
    for left, right in zip(all_states(made), all_states(once), strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=1e-9)
    assert [phase for phase, *_ in made.spans("client-0") if phase.startswith("cancelled")] == [
        "cancelled_client_forward",
        "cancelled_client_backward",
        "cancelled_client_backward",  # asked for twice
    ]
    assert isinstance(made.world, MeasuredStage)
    assert len(made.world.costs["client_forward"]) == 1


def test_what_a_work_leaves_is_seen_at_its_end_and_not_before() -> None:
    def script(w: AnyStage) -> Process[None]:
        smashed = yield from w.client(0).compute(w.learner.client_forward(0))
        before = w.learner.server_state
        going = w.spawn(w.server.compute(step_of(w, [smashed])))
        yield from w.pause(0.75)
        assert w.learner.server_state is before
        assert w.learner.samples_seen == 0
        yield from going
        assert w.learner.server_state is not before
        assert w.learner.samples_seen == 5

    measured(small_setup()).run(Script(script=script), 1)


def test_a_state_that_somebody_wrote_meanwhile_is_read_as_it_is_at_the_end() -> None:
    own = client_updates["own"]()

    def script(w: AnyStage) -> Process[None]:
        learner = w.learner
        smashed = yield from w.client(0).compute(learner.client_forward(0))
        reply = yield from w.server.compute(step_of(w, [smashed]))
        yield from w.client(0).compute(learner.client_backward(0, reply, own))
        smashed = yield from w.client(0).compute(learner.client_forward(0))
        reply = yield from w.server.compute(step_of(w, [smashed]))
        going = w.spawn(w.client(0).compute(learner.client_backward(0, reply, own)))
        learner.install(0, learner.weights(1), "reset")
        yield from going

    setup = small_setup()
    made, simulated = (make(setup).run(Script(script=script), 1) for make in (measured, stage))
    for left, right in zip(all_states(made), all_states(simulated), strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=1e-9)


def test_an_error_is_heard_of_at_the_end_by_who_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    made = measured(small_setup())

    def script(w: AnyStage) -> Process[None]:
        smashed = yield from w.client(0).compute(w.learner.client_forward(0))
        smashed.value.activations[:] = float("nan")
        with pytest.raises(NumericalError, match="round 1, client 0"):
            yield from w.server.compute(step_of(w, [smashed]))
        assert w.now_s == 1.0  # type: ignore[attr-defined]
        yield from w.server.compute(
            step_of(w, [(yield from w.client(1).compute(w.learner.client_forward(1)))])
        )

    made.run(Script(script=script), 1)


def test_updates_in_place_touch_no_state_that_others_share() -> None:
    made = measured(small_setup())
    initial = [made.learner.client_state(0).value, made.learner.server_state.value]
    copies = [[t.clone() for t in (*state.parameters, *state.optimizer["momentum"])] for state in initial]
    made.run(frameworks["psl"](), 2).run(frameworks["fedavg"](local_steps=2), 1)
    for state, before in zip(initial, copies, strict=True):
        for tensor, was in zip((*state.parameters, *state.optimizer["momentum"]), before, strict=True):
            assert torch.equal(tensor, was)


def test_a_stage_goes_on_with_the_next_framework() -> None:
    made = measured(small_setup())
    made.world.play(frameworks["psl"](), Rounds(made.world, 1))
    made.world.play(frameworks["gapsl"](), Rounds(made.world, 3))
    assert made.world.round == 3


def test_an_average_is_the_weighted_mean_of_the_models() -> None:
    models = [[torch.tensor([1.0, 2.0]), torch.tensor(3)], [torch.tensor([3.0, 6.0]), torch.tensor(5)]]
    mean = averaged(models, [0.75, 0.25])
    assert [one.tolist() for one in mean] == [[1.5, 3.0], 3]
    assert models[0][0].tolist() == [1.0, 2.0]
