from collections.abc import Callable

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from gapslsim.learning.optimizer import Optimizer, optimizers

CASES: dict[str, tuple[dict[str, object], Callable[[list[Tensor]], torch.optim.Optimizer]]] = {
    "plain": ({"optimizer": "sgd", "lr": 0.1}, lambda p: torch.optim.SGD(p, 0.1)),
    "momentum": (
        {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9},
        lambda p: torch.optim.SGD(p, 0.1, momentum=0.9),
    ),
    "nesterov": (
        {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
        lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    ),
    "decay": (
        {"optimizer": "sgd", "lr": 0.1, "weight_decay": 0.01},
        lambda p: torch.optim.SGD(p, 0.1, weight_decay=0.01),
    ),
    "adam": ({"optimizer": "adam", "lr": 0.01}, lambda p: torch.optim.Adam(p, 0.01)),
    "adam-decay": (
        {"optimizer": "adam", "lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.02},
        lambda p: torch.optim.Adam(p, 0.01, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.02),
    ),
    "adamw": ({"optimizer": "adamw", "lr": 3e-4}, lambda p: torch.optim.AdamW(p, 3e-4)),
}


def make(settings: dict[str, object]) -> Optimizer:
    kind = str(settings["optimizer"])
    return optimizers[kind](**{k: v for k, v in settings.items() if k != "optimizer"})


def tensors(seed: int) -> tuple[Tensor, ...]:
    random = torch.Generator().manual_seed(seed)
    return torch.randn(3, 4, generator=random), torch.randn(5, generator=random)


@pytest.mark.parametrize("case", CASES)
def test_steps_are_bit_equal_to_torch_and_leave_the_arguments_alone(case: str) -> None:
    settings, builder = CASES[case]
    optimizer, parameters = make(settings), tensors(0)
    state = optimizer.initial(parameters)
    mutable = [p.clone().requires_grad_() for p in parameters]
    theirs = builder(mutable)
    for step in range(6):
        gradients = tensors(step + 1)
        arguments = [*parameters, *gradients, *(t for slot in state.values() for t in slot)]
        before = [t.clone() for t in arguments]
        parameters, state = optimizer.step(parameters, gradients, state, step, None)
        for p, g in zip(mutable, gradients, strict=True):
            p.grad = g.clone()
        theirs.step()
        assert all(torch.equal(now, then) for now, then in zip(arguments, before, strict=True))
        assert all(torch.equal(ours, t) for ours, t in zip(parameters, mutable, strict=True))
        assert not any(p.requires_grad for p in parameters)


@pytest.mark.parametrize("case", CASES)
def test_state_has_as_many_slots_as_it_says(case: str) -> None:
    optimizer, parameters = make(CASES[case][0]), tensors(0)
    state = optimizer.initial(parameters)
    of_size = [s for s in state.values() if [t.shape for t in s] == [p.shape for p in parameters]]
    assert len(of_size) == optimizer.n_slots
    _, after = optimizer.step(parameters, tensors(1), state, 0, None)
    assert {k: [t.shape for t in v] for k, v in after.items()} == {
        k: [t.shape for t in v] for k, v in state.items()
    }


def test_schedule_scales_the_learning_rate() -> None:
    optimizer = make({"optimizer": "sgd", "lr": 1.0, "schedule": {"kind": "step", "every": 2, "gamma": 0.5}})
    (start,), (gradient,) = (torch.zeros(1),), (torch.ones(1),)
    moves = [float(optimizer.step((start,), (gradient,), {}, step, None)[0][0]) for step in range(5)]
    assert moves == [-1, -1, -0.5, -0.5, -0.25]


def test_a_fresh_adam_state_starts_its_bias_correction_anew() -> None:
    # After one step of any gradient Adam moves by lr * sign(g), whatever the schedule's step says.
    optimizer = make({"optimizer": "adam", "lr": 0.1})
    (start,), (gradient,) = (torch.zeros(1),), (torch.full((1,), 7.0),)
    (moved,), _ = optimizer.step((start,), (gradient,), optimizer.initial((start,)), 1000, None)
    assert float(moved) == pytest.approx(-0.1)


def test_costs_per_parameter() -> None:
    figures = {case: make(settings).cost(10) for case, (settings, _) in CASES.items()}
    assert {case: (cost.work_flop, cost.moved_bytes) for case, cost in figures.items()} == {
        "plain": (20, 120),
        "momentum": (40, 200),
        "nesterov": (80, 200),
        "decay": (40, 120),
        "adam": (130, 280),
        "adam-decay": (150, 280),
        "adamw": (150, 280),
    }
    (layer,) = figures["adamw"].layers
    assert (layer.name, layer.kind, layer.phase, layer.n_parameters) == (
        "adamw",
        "optimizer/adam",
        "update",
        10,
    )


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"optimizer": "sgd", "lr": 0}, "lr"),
        ({"optimizer": "sgd", "lr": float("nan")}, "lr"),
        ({"optimizer": "sgd"}, "lr"),
        ({"optimizer": "sgd", "lr": 1, "momentum": 1.0}, "momentum"),
        ({"optimizer": "sgd", "lr": 1, "nesterov": True}, "nesterov needs momentum"),
        ({"optimizer": "sgd", "lr": 1, "beta": 1}, "beta"),
        ({"optimizer": "adam", "betas": (0.9, 1.0)}, "betas"),
        ({"optimizer": "adamw", "weight_decay": -1}, "weight_decay"),
    ],
)
def test_wrong_settings_are_refused_by_name(settings: dict[str, object], field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        make(settings)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_side_without_parameters_takes_a_step_of_nothing(momentum: float) -> None:
    optimizer = optimizers["sgd"](lr=0.1, momentum=momentum)
    parameters, state = optimizer.step((), (), optimizer.initial(()), 0, None)
    assert parameters == ()
    assert not any(state.values())
