"""Models, data, optimizers and cost models that break what `gapslsim check-component` looks at, each in one way."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import nn

from gapslsim.checks import cost_model, data, model, optimizer, partition, schedule
from gapslsim.checks.model import Shaped
from gapslsim.data.dataset import Samples
from gapslsim.data.datasets.synthetic import Synthetic
from gapslsim.data.partitions.iid import Iid
from gapslsim.hardware.cost_model import CostModel
from gapslsim.learning.optimizers.sgd import Sgd
from gapslsim.learning.schedules.constant import ConstantSchedule
from gapslsim.models.layers import named
from gapslsim.models.model import Model
from gapslsim.registry import component
from gapslsim.work import Cost, LayerCost

COUNT = itertools.count(1)


def variant(base: type[Any], subject: Any = lambda member: member, **methods: Any) -> Any:
    def make() -> Any:
        cls = type("Broken", (base,), {"__module__": __name__, "__annotations__": {}, **methods})
        return subject(component(cls)())

    return make


@component
class Net(Model):
    """Three linear blocks."""

    kind: Literal["net"] = "net"
    cut: int = 1
    """Blocks on the client."""

    def blocks(self, input_shape: tuple[int, ...], n_classes: int) -> list[tuple[str, nn.Module]]:
        n = int(np.prod(input_shape))
        return [
            ("first", named(("flatten", nn.Flatten()), ("linear", nn.Linear(n, 6)), *self.first())),
            ("second", named(("linear", nn.Linear(6, 5)), *self.second())),
            ("third", nn.Linear(5, n_classes)),
        ]

    def first(self) -> list[tuple[str, nn.Module]]:
        return [("tanh", nn.Tanh())]

    def second(self) -> list[tuple[str, nn.Module]]:
        return [("tanh", nn.Tanh())]

    def cut_index(self, input_shape: tuple[int, ...], n_classes: int) -> int:
        if not 1 <= self.cut <= 2:
            raise ValueError("cut must be 1 or 2")
        return self.cut


def net(**methods: Any) -> Any:
    return variant(Net, Shaped, **methods)


class Noise(nn.Module):
    """Draws from a generator of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.random = np.random.default_rng(1)

    def forward(self, x: Any) -> Any:
        return x + float(self.random.normal())


class Counting(nn.Module):
    """Works otherwise each time."""

    def __init__(self) -> None:
        super().__init__()
        self.n = 0

    def forward(self, x: Any) -> Any:
        self.n += 1
        return x * self.n


class InPlace(nn.Module):
    """Writes to what it is given."""

    def forward(self, x: Any) -> Any:
        return x.relu_()


class Hidden(nn.Module):
    """Has a parameter that no pass uses."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(5))
        self.inner = nn.Tanh()

    def forward(self, x: Any) -> Any:
        return self.inner(x)


def as_cut_says(self: Any, shape: Any, n_classes: int) -> Any:
    made = Net.blocks(self, shape, n_classes)
    return made if self.cut == 1 else [*made[:1], ("second", nn.Linear(6, 5)), made[2]]


def seeded(self: Any, shape: Any, n_classes: int) -> Any:
    torch.manual_seed(3)
    return Net.blocks(self, shape, n_classes)


def unseeded(self: Any, shape: Any, n_classes: int) -> Any:
    made = Net.blocks(self, shape, n_classes)
    nn.init.constant_(made[2][1].weight, next(COUNT))
    return made


class Costless(Shaped):
    """A model whose layers are made to cost something else."""

    def __init__(self, model: Model, amount: float) -> None:
        super().__init__(model)
        self.amount = amount

    def costs(self, model: Any) -> Any:
        costs = super().costs(model)
        layers = [layer for layer, _ in costs.client.forward.flat()]
        changed = (replace(layer, work_flop=self.amount, moved_bytes=self.amount) for layer in layers)
        return replace(costs, client=replace(costs.client, forward=Cost(tuple(changed))))


SKIP: dict[str, Any] = {}


class Keep(nn.Module):
    def forward(self, x: Any) -> Any:
        SKIP["x"] = x
        return x


class Take(nn.Module):
    """Goes round the cut."""

    def forward(self, x: Any) -> Any:
        return x + SKIP["x"][:, :5]


MODEL = [
    (
        model.blocks_have_names_of_their_own,
        net(blocks=lambda s, i, n: [("a", nn.Flatten())]),
        "Give two or more",
    ),
    (
        model.split_is_whole,
        net(first=lambda self: [("keep", Keep())], second=lambda self: [("take", Take())]),
        "have another gradient of parameter",
    ),
    (
        model.split_is_whole,
        net(
            blocks=lambda s, i, n: [
                *Net.blocks(s, i, n)[:2],
                ("relu", InPlace()),
                Net.blocks(s, i, n)[2],
            ]
        ),
        "inplace",
    ),
    (
        model.passes_repeat,
        net(first=lambda self: [("count", Counting())]),
        "keeps something from call to call",
    ),
    (model.split_is_whole, net(blocks=as_cut_says), "must not depend on `cut`"),
    (model.split_is_whole, net(cut_index=lambda self, s, n: 3), "3 of 3 blocks are on the client"),
    (
        model.split_is_whole,
        net(blocks=lambda s, i, n: [("a", nn.Flatten()), ("b", nn.Linear(int(np.prod(i)), n + 1))]),
        "one number per class",
    ),
    (
        model.split_is_whole,
        net(blocks=lambda s, i, n: [("a", nn.Conv1d(5, 5, 5)), ("b", nn.Flatten()), ("c", Missing(i))]),
        "it takes inputs of none of the shapes",
    ),
    (model.weights_come_from_the_seed, net(blocks=seeded), "another seed gives the same weights"),
    (model.weights_come_from_the_seed, net(blocks=unseeded), "the same seed gives other weights"),
    (
        model.parameters_are_counted,
        net(second=lambda self: [("hidden", Hidden())]),
        "parameters, and its costs count",
    ),
    (model.layers_cost_something, lambda: Costless(Net(), 0.0), "parameters and costs nothing"),
    (model.layers_cost_something, lambda: Costless(Net(), -1.0), "finite and 0 or more"),
    (
        model.passes_repeat,
        net(first=lambda self: [("noise", Noise())]),
        "draws from a generator of its own",
    ),
    (model.wrong_cuts_are_refused, net(cut_index=lambda self, s, n: min(self.cut, 2)), "cut 10000 is taken"),
]


class Missing(nn.Module):
    def __init__(self, shape: Any) -> None:
        super().__init__()
        raise ValueError(f"no {shape}")


def divided(split: Any) -> Any:
    return variant(Iid, split=lambda self, labels, n, random: split(labels, n, random))


def plain(labels: Any, n: int, random: Any) -> Any:
    from gapslsim.data._division import check_enough

    check_enough(len(labels), n)
    return [np.sort(part) for part in np.array_split(random.permutation(len(labels)), n)]


def overlapping(labels: Any, n: int, random: Any) -> Any:
    return [np.union1d(part, [0]) for part in plain(labels, n, random)]


def leaving_out(labels: Any, n: int, random: Any) -> Any:
    return [part[part != 7] for part in plain(labels, n, random)]


def relabelling(labels: Any, n: int, random: Any) -> Any:
    labels[0] = 3 if labels[0] != 3 else 4
    return plain(labels, n, random)


def unlucky(labels: Any, n: int, random: Any) -> Any:
    return plain(labels, n, np.random.default_rng())


PARTITION = [
    (
        partition.every_client_has_a_shard,
        divided(lambda labels, n, r: plain(labels, n, r)[:1]),
        "there are 1 shards for 2 clients",
    ),
    (
        partition.every_client_has_a_shard,
        divided(lambda labels, n, r: [list(p) for p in plain(labels, n, r)]),
        "is list of shape",
    ),
    (
        partition.every_client_has_a_shard,
        divided(lambda labels, n, r: [p if i else p[:0] for i, p in enumerate(plain(labels, n, r))]),
        "client 0 has no sample",
    ),
    (partition.every_sample_is_somebodys, divided(overlapping), "are in more than one shard for 2 clients"),
    (
        partition.every_sample_is_somebodys,
        divided(leaving_out),
        "1 samples are in no shard for 1 clients and 997 samples",
    ),
    (
        partition.every_sample_is_somebodys,
        divided(lambda labels, n, r: [p + 1 for p in plain(labels, n, r)]),
        "indices beyond",
    ),
    (
        partition.shards_are_sorted,
        divided(lambda labels, n, r: [p[::-1] for p in plain(labels, n, r)]),
        "is not sorted",
    ),
    (partition.splitting_is_pure, divided(unlucky), "split gave something else the second time"),
    (partition.splitting_is_pure, divided(relabelling), "split writes to the labels"),
    (
        partition.the_impossible_is_refused,
        divided(lambda labels, n, r: [np.arange(len(labels))]),
        "6 clients share 5 samples without",
    ),
    (partition.the_impossible_is_refused, divided(lambda labels, n, r: 1 / 0), "it raises ZeroDivisionError"),
]


@component
class Small(Synthetic):
    """A small one."""

    kind: Literal["small"] = "small"  # type: ignore[assignment]
    n_train: int = 40
    n_test: int = 20
    """Test samples."""


def dataset(change: Any) -> Any:
    def load(self: Any, folder: Any, seed: int) -> Any:
        return change(self, Small.load(self, folder, seed), seed)

    return variant(Small, load=load)


def labelled(change: Any) -> Any:
    return dataset(lambda self, d, seed: replace(d, test=Samples(change(d.test.labels), d.test.read_inputs)))


def filled(change: Any) -> Any:
    return dataset(
        lambda self, d, seed: replace(d, train=Samples(d.train.labels, lambda: change(d.train.inputs)))
    )


DATA = [
    (
        data.labels_are_what_is_said,
        labelled(lambda labels: labels.astype(np.int32)),
        "the labels of test are int32",
    ),
    (data.labels_are_what_is_said, labelled(lambda labels: labels + 1), "count classes from 0"),
    (data.labels_are_what_is_said, dataset(lambda self, d, seed: replace(d, n_classes=1)), "n_classes is 1"),
    (data.inputs_are_numbers, filled(lambda x: x.astype(np.float64)), "the inputs of train are float64"),
    (
        data.inputs_are_numbers,
        filled(lambda x: x[:5]),
        "of shape (5, 1, 8, 8); float32 of shape (40, 1, 8, 8)",
    ),
    (data.inputs_are_numbers, filled(lambda x: x * np.float32(np.nan)), "NaN or infinite"),
    (
        data.loading_repeats,
        dataset(lambda self, d, seed: replace(d, key=str(next(COUNT)))),
        "its key is another",
    ),
    (data.loading_repeats, filled(lambda x: x + np.float32(next(COUNT))), "other data each time"),
    (
        data.keys_stand_for_data,
        dataset(lambda self, d, seed: replace(d, key="k")),
        "with another seed the data are others",
    ),
    (
        data.keys_stand_for_data,
        dataset(lambda self, d, seed: replace(d, key=f"k{seed}")),
        "with another n_classes",
    ),
]


@component
class Steps(Sgd):
    """SGD."""

    optimizer: Literal["steps"] = "steps"  # type: ignore[assignment]
    lr: float = 0.1
    momentum: float = 0.5


def stepping(**methods: Any) -> Any:
    return variant(Steps, **methods)


class Heavy:
    n: ClassVar[int] = 0


def in_place(self: Any, parameters: Any, gradients: Any, state: Any, step: int, planned: Any) -> Any:
    for p, g in zip(parameters, gradients, strict=True):
        p.sub_(self.lr * g)
    return parameters, state


def remembering(self: Any, parameters: Any, gradients: Any, state: Any, step: int, planned: Any) -> Any:
    Heavy.n += 1
    return Sgd.step(self, tuple(p + Heavy.n for p in parameters), gradients, state, step, planned)


def ascending(self: Any, parameters: Any, gradients: Any, state: Any, step: int, planned: Any) -> Any:
    return Sgd.step(self, parameters, tuple(-g for g in gradients), state, step, planned)


def by_plan(self: Any, parameters: Any, gradients: Any, state: Any, step: int, planned: Any) -> Any:
    return tuple(p - g / (planned or 1) for p, g in zip(parameters, gradients, strict=True)), state


def flat(self: Any, parameters: Any, gradients: Any, state: Any, step: int, planned: Any) -> Any:
    return tuple(p.flatten() for p in parameters), state


def negative(self: Any, n: int) -> Any:
    return Cost((LayerCost("x", "x", "update", -1.0, 0.0),))


def falling(self: Any, n: int) -> Any:
    return Cost((LayerCost("x", "x", "update", 1e6 - n, 0.0),))


OPTIMIZER = [
    (optimizer.stepping_is_pure, stepping(step=in_place), "writes to parameters"),
    (optimizer.stepping_is_pure, stepping(step=remembering), "something else the second time"),
    (optimizer.steps_keep_shapes, stepping(step=flat), "keep shape and type"),
    (
        optimizer.slots_are_counted,
        stepping(n_slots=property(lambda self: 2)),
        "n_slots is 2, and the initial state has 1",
    ),
    (optimizer.a_step_goes_down, stepping(step=ascending), "three steps took f from"),
    (optimizer.costs_are_sound, stepping(cost=negative), "finite and 0 or more"),
    (optimizer.costs_are_sound, stepping(cost=falling), "more clients or parameters never cost less"),
    (optimizer.planned_steps_are_read_as_said, stepping(step=by_plan), "depends on `planned_steps`"),
]


def falling_by(factor: Any) -> Any:
    return variant(ConstantSchedule, factor=lambda self, step, planned: factor(step, planned))


SCHEDULE = [
    (
        schedule.factors_are_sound,
        falling_by(lambda step, planned: 1 - step / planned),
        "must be finite and 0 or more",
    ),
    (schedule.factors_are_sound, falling_by(lambda step, planned: 1.0 / step), "ZeroDivisionError"),
    (
        schedule.factors_are_sound,
        falling_by(lambda step, planned: float(next(COUNT))),
        "something else the second time",
    ),
    (schedule.unknown_ends_are_told, falling_by(lambda step, planned: 0.5 if planned else 1.0), "Say True"),
    (schedule.unknown_ends_are_told, falling_by(lambda step, planned: step / planned), "TypeError"),
]


@component
class Times(CostModel):
    """A second per layer."""

    kind: Literal["times"] = "times"

    def layer_s(self, layer: Any) -> float:
        return 1.0 if layer.work_flop else 0.0

    @property
    def call_s(self) -> float:
        return 0.0


COST_MODEL = [
    (cost_model.layers_take_time, variant(Times, layer_s=lambda self, layer: -1.0), "0 s or more"),
    (cost_model.layers_take_time, variant(Times, layer_s=lambda self, layer: 1.0), "a view takes 0 s"),
    (cost_model.layers_take_time, variant(Times, call_s=property(lambda self: -1.0)), "call_s is -1.0"),
]

CASES: list[tuple[Any, Any, str]] = [*MODEL, *PARTITION, *DATA, *OPTIMIZER, *SCHEDULE, *COST_MODEL]
NOTES: list[tuple[Any, Any, str]] = []
