"""A scenario of four clients on synthetic data that runs in a blink, to be changed at will."""

from __future__ import annotations

import copy
from typing import Any

_LINK = {"uplink": "4 Mbit/s", "downlink": "8 Mbit/s", "latency": "4 ms"}
_SMALL: dict[str, Any] = {
    "name": "small",
    "seed": 3,
    "data": {"kind": "synthetic", "input_shape": [8], "n_classes": 4, "n_train": 240, "n_test": 80},
    "model": {"kind": "mlp", "hidden": [12, 12], "cut": 1},
    "framework": {"kind": "psl"},
    "training": {"batch_size": 8, "client": {"optimizer": "sgd", "lr": 0.05, "momentum": 0.9}},
    "server": {"device": "jetson-orin-nx"},
    "clients": [
        {"count": 2, "device": "jetson-nano", "link": _LINK},
        {"count": 2, "device": "raspberry-pi-4b", "link": _LINK},
    ],
    "network": {"kind": "star", "backhaul": "10 Mbit/s"},
    "evaluation": {"every": "2 rounds"},
    "stop": {"rounds": 4},
}


SHAPES = {
    "hierarchical_sfl": "{kind: tiers, edges: 2, cut: 2}",
    "mp_sl": "{kind: u_shape, tail: 1}",
}
"""Of frameworks that are made for one: with a model of three blocks, cut after the first."""


def chosen(framework: str) -> list[str]:
    """Overrides that choose a framework by name, and its shape."""
    return [f"framework={framework}", *([f"shape={SHAPES[framework]}"] if framework in SHAPES else [])]


def small_scenario(**sections: Any) -> dict[str, Any]:
    """The scenario as plain values; what is given for a section that is a mapping is laid over it."""
    made = copy.deepcopy(_SMALL)
    for name, section in sections.items():
        both = isinstance(section, dict) and isinstance(made.get(name), dict)
        replaced = both and section.get("kind", made[name].get("kind")) != made[name].get("kind")
        made[name] = section if not both or replaced else made[name] | section
    return made
