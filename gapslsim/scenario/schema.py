"""What a scenario holds: one pydantic class per section; each component is its own settings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, cast

from pydantic import (
    AfterValidator,
    Field,
    PositiveFloat,
    PositiveInt,
    TypeAdapter,
    ValidationInfo,
    model_validator,
)

from gapslsim.bounds import Depth
from gapslsim.clock_options import ClockOptions
from gapslsim.data.dataset import Dataset, datasets
from gapslsim.documents import is_printable
from gapslsim.errors import GapslsimError
from gapslsim.frameworks.framework import Framework, frameworks
from gapslsim.kernels import Compiling, Kernels, Precision
from gapslsim.learning.codec import Codec, Way
from gapslsim.learning.loss import Loss, losses
from gapslsim.learning.memory_options import MemoryOptions
from gapslsim.learning.optimizer import Optimizer, optimizers
from gapslsim.models.model import Model, models
from gapslsim.network.fleet import AccessLink, Fleet
from gapslsim.network.topology import ENOUGH, Topology, topologies
from gapslsim.registry import component, settings_of
from gapslsim.regular_files import real_path
from gapslsim.scenario._device_name import DeviceName
from gapslsim.scenario._links import NamedLink
from gapslsim.scenario.codec import CodecOptions
from gapslsim.scenario.draws import Draws
from gapslsim.scenario.limits import Evaluation, Stop
from gapslsim.scenario.planning import Plan
from gapslsim.scenario.shape import Shape, shapes
from gapslsim.sim.availability import Availability, availabilities
from gapslsim.sim.fault import Fault, faults
from gapslsim.sim.hazards import Member
from gapslsim.torch_device import device_name

__all__ = ["ClientGroup", "OwnComponents", "ParameterServerNode", "Scenario", "ServerNode", "Training"]


def _folder_name(name: str) -> str:
    if not 1 <= len(name.strip()) <= 100 or set(name) & set("/\\\n\0") or not is_printable(name):
        rule = (
            "a run's folder is called so: write 1 to 100 characters without slashes, line breaks and controls"
        )
        raise ValueError(f"found {name!r:.60}; {rule}")
    return name


def _own_components(name: str, info: ValidationInfo) -> str:
    """Checks that the file can be used; a path is made absolute, from the scenario file's folder."""
    from gapslsim.own_components import is_file, load_components

    folder = info.context.get("folder") if isinstance(info.context, dict) else None
    if folder is not None and is_file(name):
        name = str(real_path(Path(folder) / name))
    try:
        load_components(name)
    except GapslsimError as error:
        raise ValueError(str(error)) from error
    return name


OwnComponents = Annotated[str, AfterValidator(_own_components)]
"""A `.py` file, relative to the scenario's, or the name of a module."""


MOST_CLIENTS: Final = 1_000_000
"""Of all groups. Each is an object with links and a state of its own: a million take gigabytes."""
Processors = Annotated[int, Field(gt=0, le=4096)]
"""Threads or workers: more than any machine has processors."""
AnyFault = Annotated[Fault, faults]
"""Named here: within `Scenario` the name `faults` is the field."""


@component
class Training:
    """How both sides are trained."""

    batch_size: PositiveInt
    """B: samples of one mini-batch of one client."""
    client: Annotated[Optimizer, optimizers]
    """Optimizer of the client-side models, for instance `{optimizer: sgd, lr: 0.05}`."""
    server: Annotated[Optimizer, optimizers] = Field(default=cast("Any", None))
    """Optimizer of the server-side model; the same settings as `client` unless given."""
    loss: Annotated[Loss, losses] = Field(default_factory=lambda: losses["cross_entropy"]())
    """What models are trained by."""
    device: Annotated[str, AfterValidator(device_name)] = "auto"
    """Where tensors are computed on this machine: `cpu`, `cuda`, `cuda:1`, `mps`, or `auto`, the first CUDA GPU if any;
    no simulated figure."""
    precision: Precision = "float32"
    """Of products and convolutions. `float32`: IEEE's; `tf32`: 10 bits of mantissa, on NVIDIA GPUs since Ampere;
    `bfloat16`: passes as under `torch.autocast`. Weights, optimizers, averages, messages and the comparison of
    gradients are float32 in each case. `clock.precision` says which rates devices are timed by."""
    deterministic: bool = True
    """On a GPU: kernels that repeat bit for bit on one model of GPU, and a refusal of operations that have none. CPUs
    repeat in any case."""
    compile: Compiling = "none"
    """Of passes through layers, on a CUDA GPU: `compile` makes kernels of them by `torch.compile`, for each size of
    batch; `cuda_graphs` records these besides and repeats them as a whole. The first rounds take longer. Not with
    `gradient: exact`, which goes backward twice."""
    threads: Processors = 1
    """Threads inside each tensor operation on a CPU. More may pay for large models; the last bits of results may
    differ."""

    workers: Processors | Literal["auto"] = "auto"
    """Tensor operations of different clients carried out side by side on a CPU. `auto`: one per CPU that the process
    may use, or 1 for tiny models. Changes no result."""

    kernels: Kernels = "pinned"
    """Instructions that PyTorch computes with on a CPU. `pinned`: AVX2, so that one seed has one learning hash on all
    x86-64 processors of one make; `native`: the widest that the processor has. Takes effect if torch is not imported
    before."""
    memory: MemoryOptions = Field(default_factory=MemoryOptions)
    """What training may take of the memory of its device, and what it does to keep within it. Changes no result."""
    frozen: Literal["installed", "sent"] = "installed"
    """Weights that nobody trains (`requires_grad_(False)`) are on the devices already, or sent to every client once,
    before training. Later messages and averages never hold them."""

    @model_validator(mode="after")
    def _server_as_client(self) -> Training:
        given: Optimizer | None = self.server
        if given is None:
            object.__setattr__(self, "server", self.client)
        return self


@component
class ServerNode:
    """The machine that holds the server-side model."""

    device: DeviceName
    """Hardware profile, a name or a path."""


@component
class ParameterServerNode:
    """The machine that averages client-side models (SFL, FedAvg)."""

    device: DeviceName | None = None
    """Hardware profile, a name or a path; that of the server unless given."""


@component
class GroupTraining:
    """What clients of one group train with in place of what `training` says."""

    batch_size: PositiveInt | None = None
    """B of these clients."""
    client: Annotated[Optimizer, optimizers] = Field(default=cast("Any", None))
    """Their optimizer."""
    lr: PositiveFloat | None = None
    """Their learning rate, where all else of `training.client` is theirs too."""

    @model_validator(mode="after")
    def _one_learning_rate(self) -> GroupTraining:
        if self.client is not None and self.lr is not None:
            raise ValueError("lr and client are both given; write the learning rate into client")
        return self

    def optimizer(self, usual: Optimizer) -> Optimizer:
        """Of these clients.

        Args:
            usual: that of all others.
        """
        if self.lr is None:
            return usual if self.client is None else self.client
        settings: dict[str, Any] = settings_of(usual) | {"lr": self.lr}
        return TypeAdapter(Annotated[Optimizer, optimizers]).validate_python(settings)


@component
class ClientGroup:
    """Clients of one kind."""

    count: Annotated[int, Field(gt=0, le=MOST_CLIENTS)] = 1
    """How many."""
    device: DeviceName
    """Hardware profile, a name or a path."""
    link: NamedLink
    """Access link of each of them: `{uplink, downlink, latency, loss}` or a preset's name such as `lte`."""
    name: str = ""
    """What to call the group in tables; the device's name unless given."""
    access_point: str | None = None
    """Access point or edge server that the group hangs on, where the network has several."""
    availability: Annotated[Availability, availabilities] = Field(
        default_factory=lambda: availabilities["always"]()
    )
    """When each of them is there."""
    training: GroupTraining = Field(default_factory=GroupTraining)
    """Batch size, optimizer or learning rate of their own."""
    cut: Depth | str | None = None
    """Where their network is cut, counted as `model.cut`; there unless given."""

    @property
    def label(self) -> str:
        """What tables and faults call the group: its name, or its device's, of a file without folder and ending."""
        return self.name or re.sub(r"\.ya?ml(?=@|$)", "", re.split(r"[/\\]", self.device)[-1])


def _few_enough(groups: tuple[ClientGroup, ...]) -> tuple[ClientGroup, ...]:
    total = sum(group.count for group in groups)
    if total > MOST_CLIENTS:
        raise ValueError(
            f"found {total:,} clients in all groups; the most is {MOST_CLIENTS:,}: lower a count"
        )
    return groups


@component
class Scenario:
    """Everything that determines a run."""

    name: Annotated[str, AfterValidator(_folder_name)]
    """What the run is called in tables and directories."""
    description: str = ""
    """What it is for."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    """Seed of every random stream."""
    components: tuple[OwnComponents, ...] | None = None
    """Python files (relative to this one) or modules that register components of your own. Loading a scenario carries
    them out, so read a stranger's first."""
    data: Annotated[Dataset, datasets]
    """Data set and its division among the clients."""
    model: Annotated[Model, models]
    """The network that is split, and where."""
    shape: Annotated[Shape, shapes] = Field(default_factory=lambda: shapes["split"]())
    """Who owns which blocks of the network: client and server, or others besides."""
    framework: Annotated[Framework, frameworks]
    """The protocol of a training round."""
    training: Training
    """Batch size and optimizers."""
    server: ServerNode
    """The server."""
    parameter_server: ParameterServerNode = Field(default_factory=ParameterServerNode)
    """The parameter server, used by frameworks that average models."""
    clients: Annotated[
        tuple[ClientGroup, ...], Field(min_length=1, max_length=10_000), AfterValidator(_few_enough)
    ]
    """Groups of clients; indices of clients run through the groups in order."""
    network: Annotated[Topology, topologies]
    """How clients and servers are joined."""
    codec: CodecOptions | None = None
    """How smashed data and cut gradients are written, for instance `{activations: {kind: quantise, bits: 8}}`; as they
    are unless given."""
    clock: ClockOptions = Field(default_factory=ClockOptions)
    """What takes simulated time beside computing and sending, and how the server computes."""
    faults: tuple[AnyFault, ...] = ()
    """What goes wrong: losses, crashes, outages; nothing unless given."""
    evaluation: Evaluation = Field(default_factory=Evaluation)
    """When and how accuracy is measured."""
    stop: Stop
    """When the run ends."""
    plan: Plan | None = None
    """What `gapslsim plan` may choose, and for which goal; a run does not look at it."""
    uncertainty: Draws | None = None
    """How often time and energy are drawn anew within what the figures of devices and links leave open; not at all
    unless given."""

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """B of each client."""
        usual = self.training.batch_size
        return tuple(g.training.batch_size or usual for g in self.clients for _ in range(g.count))

    @property
    def client_optimizers(self) -> tuple[Optimizer, ...]:
        """Of each client's model."""
        of_groups = [(group.training.optimizer(self.training.client), group.count) for group in self.clients]
        return tuple(optimizer for optimizer, count in of_groups for _ in range(count))

    @property
    def group_names(self) -> tuple[str, ...]:
        """Of each group, no two alike: its own, or its device's; later groups of one name get a number."""
        names = [group.label for group in self.clients]
        return tuple(
            name if name not in names[:i] else f"{name} #{names[: i + 1].count(name)}"
            for i, name in enumerate(names)
        )

    @property
    def first_of_groups(self) -> tuple[int, ...]:
        """Index of the first client of each group."""
        return tuple(sum(group.count for group in self.clients[:i]) for i in range(len(self.clients)))

    @property
    def codecs(self) -> dict[Way, tuple[Codec, ...]]:
        """Of each way that has some."""
        return {} if self.codec is None else self.codec.of_ways

    @property
    def n_clients(self) -> int:
        """S: clients of all groups."""
        return sum(group.count for group in self.clients)

    @property
    def fleet(self) -> Fleet:
        """Every client with its access link, as the network sees it."""
        return self._fleet()

    @property
    def checked_fleet(self) -> Fleet:
        """The same with as many clients of each group as are enough to find what is wrong with the network."""
        return self._fleet(ENOUGH if self.network.alike else None)

    def _fleet(self, most: int | None = None) -> Fleet:
        clients, first = [], 0
        for group in self.clients:
            link = group.link
            clients += [
                AccessLink(
                    f"client-{i}", link.uplink, link.downlink, link.latency, group.access_point, link.loss
                )
                for i in range(first, first + (group.count if most is None else min(group.count, most)))
            ]
            first += group.count
        return Fleet(tuple(clients), stations=tuple(one.place for one in self.shape.stations()))

    def members(self, idle_w: Sequence[float]) -> list[Member]:
        """What may happen to every client; with their idle power [W]."""
        groups = [group for group in self.clients for _ in range(group.count)]
        return [
            Member(group.availability, group.label, group.access_point, power_w)
            for group, power_w in zip(groups, idle_w, strict=True)
        ]

    @property
    def is_hazardous(self) -> bool:
        """Whether anybody can go away or anything can go wrong."""
        return bool(self.faults) or not all(group.availability.never_changes for group in self.clients)

    @property
    def time_decides_training(self) -> bool:
        """Whether another clock would train something else: who is late, there or done first, or when it ends."""
        intervals = self.evaluation.every, self.evaluation.near_targets
        by_time = self.stop.simulated_time is not None or any(e and e.unit == "s" for e in intervals)
        return self.framework.trains_by_the_clock or self.is_hazardous or by_time

    @property
    def parameter_server_device(self) -> str:
        """Profile of the parameter server."""
        return self.parameter_server.device or self.server.device
