"""What a round may ask of a GPU: launches, waits, copies. Counted on the emulated one; widths do not change counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from gapslsim import Scenario, load_dict, simulate
from gapslsim.frameworks.framework import frameworks
from gapslsim.learning import _limits
from gapslsim.models.model import models
from tests.emulated import emulated
from tests.emulated.rounds import last_round
from tests.worlds import small_scenario

_IMAGES = {"kind": "synthetic", "input_shape": [3, 32, 32], "n_classes": 10, "n_train": 40, "n_test": 10}
_SMALL_IMAGES = _IMAGES | {"input_shape": [3, 16, 16]}
_VGG16 = {"kind": "vgg16", "cut": 4, "width": 0.1, "classifier": [8, 8]}
_TRAINING = {"batch_size": 2, "device": "auto", "client": {"optimizer": "sgd", "lr": 0.05, "momentum": 0.9}}
_CLIENTS = [{"count": 10, "device": "jetson-nano", "link": {"uplink": "4 Mbit/s", "downlink": "8 Mbit/s"}}]


def _scenario(**sections: Any) -> Scenario:
    given = {
        "data": _IMAGES,
        "model": _VGG16,
        "clients": _CLIENTS,
        "evaluation": {"every": "100 rounds", "views": ["global"]},
        "stop": {"rounds": 2},
        "training": _TRAINING,
    }
    return load_dict(small_scenario(**(given | sections)))


OF_FRAMEWORK: dict[str, tuple[int, int]] = {
    "async_gapsl": (1250, 30),
    "async_sfl": (1400, 11),
    "async_sl": (1200, 11),
    "buffered_sl": (1100, 10),
    "cse_fsl": (1500, 32),
    "cyclesl": (2000, 30),
    "epsl": (280, 2),
    "fedavg": (2300, 10),
    "fixed_ratio": (240, 6),
    "fixed_threshold": (260, 8),
    "gapsl": (250, 6),
    "cpsl": (330, 4),
    "fsl_sage": (4100, 32),
    "gas": (1700, 20),
    "locsplitfed": (2650, 42),
    "gpsl": (320, 2),
    "scala": (420, 2),
    "hierarchical_sfl": (800, 4),
    "mergesfl": (330, 2),
    "mp_sl": (5000, 22),
    "sglr": (280, 2),
    "splitfed_v3": (2600, 22),
    "non_gda": (240, 6),
    "non_lgi": (250, 6),
    "parallel": (150, 2),
    "pipelined_psl": (150, 2),
    "psl": (150, 2),
    "rand_gda": (250, 6),
    "rand_lgi": (250, 6),
    "sfl": (170, 2),
    "sfl_replay": (170, 2),
    "single_client": (280, 8),
    "sl": (1200, 11),
    "splitfed_v1": (2600, 22),
    "splitfrozen": (150, 2),
    "splitfed_v2": (2350, 22),
}
"""Launches and waits of one round of VGG-16 with ten clients, at most. Frameworks that step client by client, or
without barriers, ask for each step; a step waits for its loss, so that training ends where one is not finite."""

_TEXT = {"kind": "text", "file": "text.txt", "length": 8}
OF_MODEL: dict[str, tuple[dict[str, Any], dict[str, Any], int, int]] = {
    "cnn": ({"cut": 2}, _IMAGES, 100, 150),
    "mlp": ({"cut": 1, "hidden": [8, 8]}, _IMAGES | {"input_shape": [8]}, 55, 90),
    "vgg16": (_VGG16, _IMAGES, 150, 250),
    # Attention on a CPU cannot be stacked, and is counted once per client; a GPU's can.
    "vit": ({"cut": 3, "patch": 8, "dim": 8, "heads": 2, "depth": 5}, _IMAGES, 600, 1000),
    "transformer_lm": ({"dim": 8, "heads": 2, "depth": 2}, _TEXT, 250, 400),
    # Batch norm mixes the samples of a batch: each client, of two, has passes of its own, at the server too.
    "torchvision": ({"arch": "shufflenet_v2_x0_5", "cut": 3, "stem": "small"}, _SMALL_IMAGES, 1350, 1400),
}
"""Settings, data, and launches of a round of PSL and of GAPSL with ten clients at most."""


def _shape(kind: str, cut: int) -> dict[str, Any]:
    """That a framework is made for."""
    made = {
        "hierarchical_sfl": {"kind": "tiers", "edges": 2, "cut": cut},
        "mp_sl": {"kind": "u_shape", "tail": 1},
    }
    return {"shape": made[kind]} if kind in made else {}


def _check(scenario: Scenario, launches: int, waits: int) -> None:
    log, _ = last_round(scenario)
    assert (log.total("mixed"), log.total("uploads")) == (0, 0), log.report()
    assert log.total("launches") <= launches, log.report()
    assert log.total("waits") <= waits, log.report()


@pytest.mark.parametrize("kind", sorted(frameworks))
def test_a_round_of_every_framework_keeps_to_its_budget(kind: str) -> None:
    _check(_scenario(framework={"kind": kind}, **_shape(kind, 6)), *OF_FRAMEWORK[kind])


@pytest.mark.filterwarnings("ignore:There is a performance drop")  # of attention on a CPU, side by side
@pytest.mark.parametrize("kind", sorted(models))
@pytest.mark.parametrize("framework", ["psl", "gapsl"])
def test_a_round_of_every_model_keeps_to_its_budget(kind: str, framework: str, tmp_path: Path) -> None:
    settings, data, *launches = OF_MODEL[kind]
    if data["kind"] == "text":
        (tmp_path / "text.txt").write_text("the quick brown fox jumps over the lazy dog\n" * 20)
        data = data | {"file": str(tmp_path / "text.txt")}
    clients = [_CLIENTS[0] | {"count": 2}] if kind == "torchvision" else _CLIENTS
    model = {"kind": kind} | settings
    scenario = _scenario(data=data, model=model, framework={"kind": framework}, clients=clients)
    _check(scenario, launches[framework == "gapsl"], 8)


def _hash(device: str, **sections: Any) -> str:
    return str(
        simulate(_scenario(training=_TRAINING | {"device": device}, **sections)).summary["learning_sha256"]
    )


@pytest.mark.parametrize("kind", sorted(frameworks))
def test_training_there_has_the_hash_of_the_cpu(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sections = {
        "model": {"kind": "cnn", "channels": [4, 4]},
        "framework": {"kind": kind},
        "data": _SMALL_IMAGES,
        **_shape(kind, 2),
    }
    with emulated():
        there = _hash("cuda", **sections)
        limits = _limits.limits_for(torch.device("cuda"))
    # The same passes are joined, so that the same numbers are added in the same order.
    monkeypatch.setattr(_limits, "_CPU", limits)
    assert there == _hash("cpu", **sections)
