"""Whether a training fits the device that computes it, and the fastest way in which it does; before it begins."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Final

import torch

from gapslsim.errors import MemoryShortError
from gapslsim.hardware.memory import readable
from gapslsim.learning._limits import limits_for, limits_of_gpu
from gapslsim.learning.forecast import Forecast, Forecaster, Protocol
from gapslsim.learning.memory_options import Ways
from gapslsim.learning.setup import LearningSetup
from gapslsim.learning.workers import choose_workers
from gapslsim.models.cost import split_cost
from gapslsim.scenario.keeping import keeps

if TYPE_CHECKING:
    from gapslsim.learning.rules import ServerUpdate
    from gapslsim.scenario.schema import Scenario

__all__ = ["described", "free_bytes", "is_limited", "plan_memory", "protocol_of"]

_USABLE: Final = 0.9
"""Of a GPU's free memory: the rest is rounding and fragments of PyTorch's allocator, and workspaces of kernels."""


def free_bytes(device: torch.device) -> float | None:
    """What tensors may take on a device now; None where nothing limits them."""
    if device.type != "cuda":
        return None
    return _USABLE * torch.cuda.mem_get_info(device)[0]


def is_limited(scenario: Scenario, device: torch.device) -> bool:
    """Whether a run has to look at its memory before it begins."""
    options = scenario.training.memory
    return device.type == "cuda" or options != type(options)()


def plan_memory(
    scenario: Scenario, setup: LearningSetup, device: torch.device, gpu_bytes: float | None = None
) -> Forecast:
    """The fastest way of a training that fits its device.

    Args:
        scenario: whose training it is.
        setup: of the training.
        device: that computes it.
        gpu_bytes: memory of a GPU that is not here, to be forecast in place of `device`.

    Raises:
        MemoryShortError: if it fits in no way that `training.memory` allows; says what takes how much.
    """
    options, limits = scenario.training.memory, limits_for(device)
    limit = options.limit if options.limit is not None else free_bytes(device)
    if gpu_bytes is not None:
        limits, limit = limits_of_gpu(int(gpu_bytes)), min(options.limit or gpu_bytes, _USABLE * gpu_bytes)
    protocol = protocol_of(scenario)
    if scenario.framework.draws_batch_sizes:
        own = [setup.batches.size(client) for client in range(setup.n_clients)]
        _, drawn = scenario.framework.largest_batches(own, [len(shard) for shard in setup.shards])
        protocol = replace(protocol, batch_size=drawn)
    on_cpu = device.type == "cpu" and gpu_bytes is None
    ways = _ways(scenario, protocol)
    try:
        forecaster = Forecaster(setup, protocol, limits, _n_workers(scenario, setup, device) if on_cpu else 1)
        tried = [forecaster.forecast(way) for way in ways]
    # A loss or an optimizer of the user's own may look at numbers, and raise anything where there are none.
    except Exception as error:
        return Forecast(ways[0], "", {}, 0, f"{type(error).__name__}: {str(error).splitlines()[0]}")
    fitting = next((made for made in tried if limit is None or made.peak_bytes <= limit), None)
    if fitting is not None:
        return fitting
    assert limit is not None
    least = min(tried, key=lambda made: made.peak_bytes)
    where = "training.memory.limit" if options.limit is not None else f"what is free on {device}"
    if gpu_bytes is not None and options.limit is None:
        where = f"{_USABLE:.0%} of the GPU"
    raise MemoryShortError(
        f"training does not fit: at its peak ({least.phase}) it takes {readable(least.peak_bytes)}, and "
        f"{readable(limit)} can be used ({where}). {_in_words(least)}. Take a smaller training.batch_size, fewer "
        "clients at a time (framework.participation), an optimizer with less state, or a GPU with more memory."
    )


def _ways(scenario: Scenario, protocol: Protocol) -> list[Ways]:
    """Those that the scenario allows and that save anything, the fastest first."""
    options = scenario.training.memory
    remakes = {"auto": (False, True), "kept": (False,), "remade": (True,)}[options.passes]
    hosts = {"auto": (False, True), "device": (False,), "host": (True,)}[options.gradients]
    if not protocol.n_waiting:
        remakes = remakes[:1]
    if not (protocol.keeps_rows and protocol.reads_blocks):
        hosts = (False,)
    return [Ways(remake, host) for host, remake in product(hosts, remakes)]


def protocol_of(scenario: Scenario) -> Protocol:
    """What the scenario's framework and its rules hold at a time."""
    framework, evaluation = scenario.framework, scenario.evaluation
    rule: ServerUpdate | None = getattr(framework, "server_rule", None)
    at_once = framework.at_once(scenario.n_clients)
    sees = framework.keeps_client_gradients
    every, rounds = evaluation.every, scenario.stop.rounds
    return Protocol(
        n_waiting=at_once.waiting,
        n_served=at_once.served,
        clients_train=framework.clients_train,
        keeps_rows=sees or evaluation.geometry_interval(sees) is not None,
        reads_blocks=not framework.whole_gradients,
        compares_all=rule is not None and rule.compares == "own",
        second_order=rule is not None and rule.second_order,
        measures=evaluation.geometry_interval(sees) is not None,
        # With one in every round they are those that are trained on.
        evaluates_between=every.unit != "rounds" or 1 < every.amount < (rounds or math.inf),
        evaluation_batch=evaluation.batch_size,
        n_copies=at_once.copies,
        is_joined=at_once.is_joined,
        keeps_features=keeps(scenario),
    )


def _n_workers(scenario: Scenario, setup: LearningSetup, device: torch.device) -> int:
    data = setup.data
    costs = split_cost(setup.model, data.input_shape, data.n_classes, setup.batch_size, data.input_dtype)
    return choose_workers(scenario.training.workers, device, costs)


def described(made: Forecast) -> str:
    """A forecast in a sentence or two."""
    if made.unknown:
        return (
            "the memory of training cannot be forecast, as a part of it does not work with shapes alone "
            f"({made.unknown})."
        )
    ways = []
    if made.ways.remakes_passes:
        ways.append("forward passes are made again for their backward passes")
    if made.ways.rows_on_host:
        ways.append(f"{readable(made.host_bytes)} of clients' gradients lie in the host's memory")
    how = f" To fit, {' and '.join(ways)}." if ways else ""
    return f"training takes about {readable(made.peak_bytes)} at its peak ({made.phase}): {_in_words(made)}.{how}"


def _in_words(made: Forecast) -> str:
    """The parts, the largest first."""
    parts = sorted(made.parts.items(), key=lambda part: -part[1])
    return ", ".join(f"{what} {readable(size)}" for what, size in parts)
