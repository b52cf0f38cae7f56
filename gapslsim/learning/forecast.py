"""What training will take of its device's memory at the peak: from shapes alone, before anything is allocated.

Counted are tensors: the data set, modules, states with their optimizers, what forward passes keep, messages, gradients,
and what the passes take besides. Not counted: PyTorch and its libraries, workspaces of their kernels, fragments.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from gapslsim.learning._limits import Limits
from gapslsim.learning.costs import OperationCosts
from gapslsim.learning.cuts_memory import passes_of
from gapslsim.learning.feature_store import MOST_BYTES
from gapslsim.learning.memory_options import Ways
from gapslsim.learning.setup import LearningSetup

__all__ = ["Forecast", "Forecaster", "Protocol"]


@dataclass(frozen=True, slots=True)
class Protocol:
    """What a protocol and its rules hold at a time."""

    n_waiting: int
    """Forward passes of clients that wait for their backward passes; 0 where clients train the whole model."""
    n_served: int
    """Mini-batches of one step of the server, or clients whose models are averaged."""
    clients_train: bool
    keeps_rows: bool
    """Whether the server's rule sees the gradient of each client."""
    reads_blocks: bool
    """Whether it can do so in blocks of columns."""
    compares_all: bool
    """Whether it compares gradients of all blocks where clients are cut unlike."""
    second_order: bool
    """Whether it differentiates gradients again."""
    measures: bool
    """Whether the geometry of the clients' gradients is measured."""
    evaluates_between: bool
    """Whether there are evaluations before the last one: the models that they saw are held until the next."""
    evaluation_batch: int
    n_copies: int = 1
    """Server-side states beside one another."""
    is_joined: bool = False
    """Whether a step of the server is one pass in any case."""
    batch_size: int | None = None
    """Samples in a mini-batch on average, where the method says it and not the set-up."""
    keeps_features: bool = False
    """Whether frozen clients' smashed data are held."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """Bytes at the peak."""

    ways: Ways
    phase: str
    """When it is reached."""
    parts: Mapping[str, int]
    """What they are, then."""
    host_bytes: int
    """Of gradients that lie in the host's memory."""
    unknown: str = ""
    """Why there is none, in words: a component of the user's own cannot be run on shapes."""

    @property
    def peak_bytes(self) -> int:
        """All of them."""
        return sum(self.parts.values())


_LOGIT_BYTES = 44
"""Of an evaluation, per output of a test sample: outputs twice, what they say, and float64 means and their parts."""
_FLOAT = 4

_Parts = dict[str, float]
_WORK = "work under way"


class Forecaster:
    """Forecasts of one training, for every way of making it.

    Args:
        setup: data, model, optimizers.
        protocol: of the scenario's framework.
        limits: of the device.
        n_workers: passes that threads make side by side.
    """

    def __init__(self, setup: LearningSetup, protocol: Protocol, limits: Limits, n_workers: int = 1) -> None:
        self._setup, self._protocol, self._limits, self._workers = setup, protocol, limits, n_workers
        own, each = protocol.batch_size, range(setup.n_clients)
        sizes = [setup.batches.size(client) if own is None else own for client in each]
        self._passes = passes_of(setup, max(sizes), limits)
        # Of clients with smaller batches less is kept.
        self._n_waiting = protocol.n_waiting * sum(sizes) / len(sizes) / max(sizes)

    def forecast(self, ways: Ways = Ways()) -> Forecast:  # noqa: B008
        """The peak and its parts."""
        phases = ((phase, self._base | parts) for phase, parts in self._phases(ways))
        phase, most = max(phases, key=lambda found: sum(found[1].values()))
        parts = {what: round(size) for what, size in most.items() if size}
        rows = self._protocol.keeps_rows * self._protocol.n_served * self._passes.n_server * _FLOAT
        return Forecast(ways, phase, parts, rows if ways.rows_on_host else 0)

    @property
    def _n_servers(self) -> int:
        """Server-side states: copies have the one beside them that they begin with."""
        n = self._protocol.n_copies
        return n if n == 1 else n + 1

    @property
    def _seen(self) -> float:
        """How much of a server-side state an evaluation holds: in shapes its weights alone."""
        segments, passes = self._setup.segments, self._passes
        if segments is None or segments.is_two_parts or not passes.server_state:
            return 1.0
        return min(1.0, passes.n_server * _FLOAT / passes.server_state)

    @cached_property
    def _base(self) -> _Parts:
        passes, data = self._passes, self._setup.data
        itemsize = 8 if data.input_dtype == "int64" else _FLOAT
        of_label = data.train.labels[:1].size * (_FLOAT if data.target == "numbers" else 8)
        n_samples = len(data.train) + len(data.test)
        return {
            "data set": n_samples * (math.prod(data.input_shape) * itemsize + of_label),
            "modules and initial weights": passes.modules + passes.client_state + passes.server_state,
            "auxiliary networks": self._auxiliary,
            "models of stations": passes.between_state
            * (1 + self._n_servers * (1 + self._protocol.evaluates_between * self._seen)),
            "server-side model": passes.server_state
            * self._n_servers
            * (1 + self._protocol.evaluates_between * self._seen),
        }

    @property
    def _auxiliary(self) -> float:
        """The network that all begin with, one of each client before and after a step, with its optimizer."""
        setup = self._setup
        if setup.auxiliary is None:
            return 0
        network = OperationCosts(setup).auxiliary(setup.batch_size)
        states = [
            network.parameter_bytes + setup.auxiliary_optimizer(client).n_slots * network.trained_bytes
            for client in range(setup.n_clients)
        ]
        return max(states) + 2 * sum(states)

    def _phases(self, ways: Ways) -> Iterator[tuple[str, _Parts]]:
        """What is held in each, beside the base."""
        passes, protocol = self._passes, self._protocol
        states = self._setup.n_clients * passes.client_state if protocol.clients_train else 0
        yield "evaluation", {"client-side models": states, _WORK: self._evaluation}
        if not protocol.n_waiting:
            at_once = min(self._workers, protocol.n_served)
            models = protocol.n_served * passes.weights
            yield "local training", {"models of clients": models, _WORK: passes.local_training * at_once}
            return
        held: _Parts = {"client-side models": states * (1 + protocol.evaluates_between)}
        yield from self._split_phases(ways, held, states)

    def _split_phases(self, ways: Ways, held: _Parts, states: float) -> Iterator[tuple[str, _Parts]]:
        passes, protocol = self._passes, self._protocol
        client = passes.client(protocol.n_waiting)
        if protocol.keeps_features:
            of_sample = client.smashed / max(map(self._setup.batches.size, range(self._setup.n_clients)))
            kept = of_sample * len(self._setup.data.train)
            held |= {"kept smashed data": kept if kept <= MOST_BYTES else 0}
        at_once = min(self._workers, protocol.n_waiting) if passes.n_stacked < 2 else 1
        group = min(passes.n_stacked or 1, protocol.n_waiting) * at_once
        kept_each = client.smashed if ways.remakes_passes else client.kept
        # Waiting passes hold their batches; those that are made again pick them again.
        kept = self._n_waiting * (kept_each + (0 if ways.remakes_passes else client.batch))
        remade = group * (client.kept - client.smashed + client.batch) if ways.remakes_passes else 0
        held |= {"forward passes of clients": kept} | self._coded(client.smashed)
        yield "forward passes of clients", held | {_WORK: client.forward * at_once + remade}

        n, d_bytes = protocol.n_served, passes.n_server * _FLOAT
        held |= {"cut gradients": n * client.smashed}
        n_rows = n if protocol.keeps_rows and not ways.rows_on_host else 0
        of_server = held | {"gradients of clients": n_rows * d_bytes}
        beside = min(passes.n_beside if protocol.keeps_rows else passes.n_joined, n)
        if protocol.is_joined:
            beside = n
        own = protocol.second_order or protocol.keeps_rows
        taken = passes.server(1 if protocol.second_order else beside, own, protocol.second_order)
        threads = min(self._workers, -(-n // beside))
        graphs = 0 if ways.remakes_passes or not protocol.second_order else (n - 1) * taken.left
        buffers = beside * threads * d_bytes if ways.rows_on_host and protocol.keeps_rows else 0
        yield "passes of the server", of_server | {_WORK: taken.peak * threads + graphs + buffers}

        at_decision: float = d_bytes + passes.update
        if protocol.keeps_rows:
            # Blocks of columns in float64 and their squares; vectors: the leader or mean gradient twice, the update.
            n_compared = passes.n_server if protocol.compares_all else passes.n_compared
            blocks = 2 * 8 * n * min(self._limits.columns(n), n_compared)
            of_vectors = (7 if protocol.measures else 1) * n_compared * _FLOAT
            at_decision = max(at_decision, of_vectors + blocks)
            # A rule of another kind may copy them.
            if not protocol.reads_blocks or protocol.second_order:
                at_decision += n_rows * n_compared * _FLOAT
        again = (
            taken.peak if ways.remakes_passes and protocol.second_order else graphs and graphs + taken.left
        )
        yield "decision of the server", of_server | {_WORK: at_decision + again}
        if not protocol.clients_train:
            return
        of_servers = self._base["server-side model"]
        held |= {"server-side model": of_servers + passes.server_state}
        # At the first backward pass all others wait, at the last all others have their new states.
        work = client.backward * at_once
        yield "backward passes of clients", held | {_WORK: work + remade}
        held |= {"forward passes of clients": kept * ways.remakes_passes}
        before_last = states * (1 - group / self._setup.n_clients)
        tapes = remade if ways.remakes_passes else client.kept * group
        for new, under_way in ((before_last, work + tapes), (states, client.update * at_once)):
            models = {"client-side models": held["client-side models"] + new}
            # By then each copy has stepped, and what was evaluated last is still there.
            of_seen = passes.server_state * (self._seen if protocol.n_copies > 1 else 1)
            models["server-side model"] = of_servers + protocol.n_copies * of_seen
            yield "backward passes of clients", held | models | {_WORK: under_way}

    def _coded(self, smashed: float) -> _Parts:
        """What codecs leave: messages as they are decoded, and what error feedback keeps for each client and way."""
        codings = self._setup.codings
        n_kept = sum(coding.feedback_from is not None for coding in codings.values())
        return {
            "decoded messages": self._n_waiting * smashed * ("activations" in codings),
            "residuals": self._setup.n_clients * smashed * n_kept,
        }

    @property
    def _evaluation(self) -> float:
        """A pass for each worker, the mean model, outputs for all test samples."""
        passes, n_tests = self._passes, len(self._setup.data.test)
        size = max(1, min(self._protocol.evaluation_batch, n_tests))
        outputs = passes.n_outputs * n_tests * _LOGIT_BYTES
        return passes.evaluation(size) * self._workers + passes.weights + outputs
