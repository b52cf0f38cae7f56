"""Every model of the registry, small, as parameters of the tests that ask for them.

`whole_case` runs over the models, `split_case` over the models and every cut that they allow. A model without a small
setting here is taken at its defaults with 3x32x32 images.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from gapslsim.models.model import Model, models

CLASSES = 4
SMALL: dict[str, list[tuple[dict[str, Any], tuple[int, ...]]]] = {
    "mlp": [({"hidden": (6, 5), "activation": "tanh"}, (1, 3, 4))],
    "cnn": [
        ({"channels": (4, 6, 8), "norm": "group"}, (1, 8, 8)),
        ({"channels": (4, 6), "norm": "batch", "pool": "average", "classifier": (5,)}, (3, 9, 6)),
    ],
    "vgg16": [
        ({"width": 1 / 32, "classifier": (8, 8)}, (3, 32, 32)),
        (
            {"width": 1 / 32, "classifier": (8,), "norm": "batch", "pool_with": "next", "resize": 64},
            (1, 8, 8),
        ),
    ],
    "transformer_lm": [({"dim": 8, "depth": 2, "heads": 2}, (5,))],
    "vit": [({"dim": 8, "depth": 3, "heads": 2, "patch": 4, "resize": 8}, (3, 6, 6))],
}


class Case(NamedTuple):
    """A model with inputs that fit."""

    model: Model
    input_shape: tuple[int, ...]
    cuts: tuple[Model, ...]
    """The model at every cut that it allows."""


def _case(kind: str, settings: dict[str, Any], input_shape: tuple[int, ...]) -> Case:
    model, allowed = models[kind](**{"cut": 1, **settings}), []
    for cut in range(1, 100):
        candidate = replace(model, cut=cut)
        try:
            candidate.cut_index(input_shape, CLASSES)
        except ValueError:
            break
        allowed.append(candidate)
    return Case(model, input_shape, tuple(allowed))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    cases = {
        f"{kind}{index}": _case(kind, settings, shape)
        for kind in models
        for index, (settings, shape) in enumerate(SMALL.get(kind, [({}, (3, 32, 32))]))
    }
    if "whole_case" in metafunc.fixturenames:
        metafunc.parametrize("whole_case", cases.values(), ids=cases)
    if "split_case" in metafunc.fixturenames:
        parameters = [
            pytest.param(case._replace(model=cut), id=f"{name}-cut{cut.cut}")
            for name, case in cases.items()
            for cut in case.cuts
        ]
        metafunc.parametrize("split_case", parameters)
