"""What training will take of its device's memory at the peak: from shapes alone, before anything is allocated.

Counted are tensors: the data set, modules, states with their optimizers, what forward passes keep, messages, gradients,
and what the passes take besides. Not counted: PyTorch and its libraries, workspaces of their kernels, fragments.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from gapslsim.learning.pass_memory import PassMemory
from gapslsim.learning.setup import LearningSetup

__all__ = ["Forecast", "Protocol", "forecast"]


@dataclass(frozen=True, slots=True)
class Protocol:
    """What a protocol and its rules hold at a time."""

    n_clients: int
    """S: clients of the fleet."""
    n_waiting: int
    """Forward passes of clients that wait for their backward passes; 0 where clients train the whole model."""
    n_served: int
    """Mini-batches of one step of the server."""
    clients_train: bool
    keeps_rows: bool
    """Whether the server's rule sees the gradient of each client."""
    second_order: bool
    """Whether it differentiates gradients again."""
    measures: bool
    """Whether the geometry of the clients' gradients is measured."""
    evaluates_between: bool
    """Whether there are evaluations before the last one: the models that they saw are held until the next."""
    evaluation_batch: int
    n_workers: int = 1
    """Passes that are made side by side by threads."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """Bytes at the peak."""

    phase: str
    """When it is reached."""
    parts: Mapping[str, int]
    """What they are, then."""

    @property
    def peak_bytes(self) -> int:
        """All of them."""
        return sum(self.parts.values())


_LOGIT_BYTES = 44
"""Of an evaluation, per output of a test sample: outputs twice, what they say, and float64 means and their parts."""


def forecast(setup: LearningSetup, protocol: Protocol, evaluation_tests: bool = True) -> Forecast:
    """The peak and its parts."""
    sizes = [setup.batches.size(client) for client in range(setup.n_clients)]
    passes = PassMemory(setup, max(sizes))
    mean_share = sum(sizes) / len(sizes) / max(sizes)
    n, n_served = protocol.n_clients, protocol.n_served
    n_waiting = protocol.n_waiting * mean_share
    client = passes.client
    base = {
        "data set": _data_bytes(setup),
        "modules and initial weights": passes.modules + passes.client_state + passes.server_state,
        "server-side model": passes.server_state * (1 + protocol.evaluates_between),
    }
    states = n * passes.client_state if protocol.clients_train else 0
    seen = states if protocol.evaluates_between else 0
    kept = n_waiting * (client.kept + client.batch) if protocol.clients_train else n_waiting * (client.smashed + client.batch)
    side_by_side = min(protocol.n_workers, max(protocol.n_waiting, 1))
    phases: dict[str, dict[str, float]] = {}
    if protocol.n_waiting:
        old = {"client-side models": states + seen}
        waits = old | {"clients' forward passes": kept}
        phases["forward passes of clients"] = waits | {"passes under way": client.forward * side_by_side}
        group = min(passes.n_beside if protocol.keeps_rows else passes.n_joined, n_served)
        taken = passes.server(group, keeps_rows=protocol.keeps_rows, second_order=protocol.second_order)
        n_groups = math.ceil(n_served / group)
        d_bytes = 4 * passes.n_server
        cuts = {"cut gradients": n_served * client.smashed}
        of_server = waits | cuts
        if protocol.keeps_rows:
            of_server |= {"clients' gradients": n_served * d_bytes}
        graphs = taken.left * (n_groups - 1) if protocol.second_order else 0
        at_once = min(protocol.n_workers, n_groups)
        phases["passes of the server"] = of_server | {"passes under way": taken.peak * at_once + graphs}
        decided = 0
        if protocol.keeps_rows:
            decided = n_served * d_bytes + d_bytes + (4 * d_bytes if protocol.measures else 0)
        phases["decision of the server"] = of_server | {
            "passes under way": max(decided, d_bytes + passes.update) + graphs
        }
        if protocol.clients_train:
            # The first of the backward passes, and the last.
            of_clients = old | cuts | {"server-side model": base["server-side model"] + passes.server_state}
            phases["backward passes of clients"] = max(
                (
                    of_clients | {"clients' forward passes": kept, "passes under way": client.backward * side_by_side},
                    of_clients
                    | {
                        "client-side models": 2 * states + seen,
                        "passes under way": client.backward + client.kept,
                    },
                ),
                key=lambda parts: sum(parts.values()),
            )
    else:
        whole = passes.client_state + passes.server_state
        phases["local training"] = {
            "models of clients": n_served * whole,
            "passes under way": passes.local_training * min(protocol.n_workers, n_served),
        }
    outputs = passes.n_outputs * len(setup.data.test) * _LOGIT_BYTES
    mean = passes.client_state + passes.server_state
    tested = passes.evaluation(min(protocol.evaluation_batch, max(len(setup.data.test), 1)))
    phases["evaluation"] = {"client-side models": states, "passes under way": tested * protocol.n_workers + outputs + mean}
    found = {name: base | parts for name, parts in phases.items()}
    phase = max(found, key=lambda name: sum(found[name].values()))
    return Forecast(phase, {what: round(size) for what, size in found[phase].items() if size})


def _data_bytes(setup: LearningSetup) -> int:
    data = setup.data
    n_samples = len(data.train) + len(data.test)
    itemsize = 8 if data.input_dtype == "int64" else 4
    of_labels = data.train.labels[:1].size * (4 if data.target == "numbers" else 8)
    return n_samples * (math.prod(data.input_shape) * itemsize + of_labels)
