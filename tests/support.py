"""Small worlds for tests: devices whose times are chosen, a star with round rates, a learner on synthetic data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import repeat
from types import SimpleNamespace
from typing import Any

import numpy as np
import simpy
import torch

from gapslsim.clock_options import ClockOptions, ServerClock
from gapslsim.data.datasets.synthetic import Synthetic
from gapslsim.frameworks.framework import Framework, frameworks
from gapslsim.hardware.device import Device, PowerStates
from gapslsim.hardware.figure import Figure
from gapslsim.hardware.overheads import Overheads
from gapslsim.learning.engine import Engine
from gapslsim.learning.engines import engine_for
from gapslsim.learning.learner import Learner
from gapslsim.learning.optimizer import Optimizer
from gapslsim.learning.setup import LearningSetup
from gapslsim.models.model import Model
from gapslsim.models.segments import Segments, Stretch
from gapslsim.models.zoo.mlp import Mlp
from gapslsim.network.channels.constant import Constant
from gapslsim.network.fleet import AccessLink, Fleet, Station
from gapslsim.network.topologies.star import Star
from gapslsim.registry import Family
from gapslsim.sim.availability import Availability, availabilities
from gapslsim.sim.fault import Fault
from gapslsim.sim.hazards import Hazards, Member
from gapslsim.sim.outages import failing
from gapslsim.sim.recorder import Recorder
from gapslsim.stages.simulated import SimulatedStage
from gapslsim.work import Cost, LayerCost


def make(family: Family[Any], kind: str, **settings: Any) -> Any:
    """A component by its kind."""
    return family[kind](**settings)


def three_batches(module: Any, *shape: int) -> list[Any]:
    """Noise in three batches of two, to try a module with; of the module's type of numbers."""
    import torch

    dtype = next((p.dtype for p in module.parameters()), torch.float32)
    random = torch.Generator().manual_seed(0)
    return [torch.randn(2, *shape, generator=random, dtype=torch.float64).to(dtype) for _ in range(3)]


def sgd(lr: float = 0.1, **settings: Any) -> Optimizer:
    from gapslsim.learning.optimizers.sgd import Sgd

    return Sgd(lr=lr, **settings)


@dataclass
class RateDevice(Device):
    """Takes work_flop / rate seconds, nothing else."""

    rate: float = 1.0
    name: str = "rate-device"
    ram_bytes: float = 1e12
    power: PowerStates = field(default_factory=lambda: PowerStates(1.0, 5.0, 3.0, 2.0))
    overheads: Overheads = field(default_factory=Overheads)

    def duration_s(self, cost: Cost) -> float:
        return cost.work_flop / self.rate

    def jitter(self, random: Callable[[], np.random.Generator]) -> Iterator[float]:
        return repeat(1.0)


def figure(value: Any) -> Figure[Any]:
    """A number of a profile."""
    return Figure(value=value, status="assumed", source="chosen for the test")


def flop(amount: float) -> Cost:
    return Cost((LayerCost("fixed", "other", "other", amount, 0.0),))


class FixedCosts:
    """Costs in whole FLOP, so that timelines can be worked out by hand."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def split(self, batch_size: int) -> Any:
        return self._inner.split(batch_size)

    @property
    def sizes(self) -> Any:
        return self._inner.sizes

    def client_forward(self, batch_size: int, cut: int | None = None) -> Cost:
        return flop(1.0)

    def client_backward(self, batch_size: int, rule: Any, optimizer: Any, cut: int | None = None) -> Cost:
        return flop(2.0)

    server = ServerClock()

    def server_step(
        self,
        batch_sizes: Sequence[int],
        n_shared: Sequence[int],
        rule: Any,
        *,
        served: bool = False,
        cuts: Sequence[int] = (),
    ) -> Cost:
        return flop(3.0 * len(batch_sizes))

    def server_training(self, sizes: tuple[int, ...], epochs: int) -> Cost:
        return flop(1.5 * len(sizes) * epochs)

    def joined_step(self, batch_sizes: Sequence[int], rule: Any, adjusted: bool = False) -> Cost:
        return flop((3.0 if adjusted else 2.5) * len(batch_sizes))

    def local_training(self, batch_size: int, n_steps: int, optimizer: Any) -> Cost:
        return flop(4.0 * n_steps)

    def average(self, n_models: int, n_parameters: int) -> Cost:
        return flop(0.5)

    def of(self, stretch: Any, batch_size: int) -> Any:
        return SimpleNamespace(forward=flop(1.5), backward=flop(0.25))

    def relay_step(self, stretch: Any, batch_sizes: Sequence[int]) -> Cost:
        return flop(2.5 * len(batch_sizes))

    def auxiliary_step(self, batch_size: int, trains: bool, optimizer: Any) -> Cost:
        return flop(1.0 if trains else 0.5)

    def alignment(self, n_samples: int, epochs: int, batch_size: int, optimizer: Any) -> Cost:
        return flop(4.0)


def small_setup(
    n_clients: int = 2,
    *,
    n_train: int = 40,
    batch_size: int = 5,
    model: Model | None = None,
    client: Optimizer | None = None,
    server: Optimizer | None = None,
    planned_rounds: int | None = 10,
    input_shape: tuple[int, ...] = (6,),
    n_classes: int = 3,
    itemsize: int = 8,
    seed: int = 7,
    codecs: Any = None,
) -> LearningSetup:
    """Synthetic data in equal shards, an MLP of one hidden layer on each side."""
    data = Synthetic(input_shape=input_shape, n_classes=n_classes, n_train=n_train, n_test=30).load(
        None, seed
    )
    shards = [np.arange(i, n_train, n_clients) for i in range(n_clients)]
    return LearningSetup(
        data=data,
        shards=shards,
        model=model or Mlp(hidden=(4, 5), cut=1, activation="tanh"),
        batch_size=batch_size,
        client_optimizer=client or sgd(0.1, momentum=0.9),
        server_optimizer=server or sgd(0.1, momentum=0.9),
        seed=seed,
        planned_rounds=planned_rounds,
        planned_client_steps=planned_rounds,
        itemsize=itemsize,
        codecs=codecs or {},
    )


def setup_for(kind: str, n_clients: int = 2, **settings: Any) -> LearningSetup:
    """`small_setup` as a framework needs it: auxiliary networks, edge servers `e0` and `e1`, `helper` and a tail."""
    if kind not in ("hierarchical_sfl", "mp_sl"):
        made = small_setup(n_clients, **settings)
        # Its settings as they are by default; whoever wants others says so.
        return replace(made, auxiliary=getattr(frameworks[kind](), "auxiliary", None))
    made = small_setup(n_clients, model=Mlp(hidden=(4, 5, 6), cut=1, activation="tanh"), **settings)
    paths = []
    for client in range(n_clients):
        head, server = Stretch("client", 0, 1), Stretch("server", 2, 4)
        ways = {
            "hierarchical_sfl": (head, Stretch(f"e{client % 2}", 1, 2), server),
            "mp_sl": (head, Stretch("helper", 1, 2), Stretch("server", 2, 3), Stretch("client", 3, 4)),
        }
        paths.append(ways[kind])
    return replace(made, segments=Segments(tuple(paths)))


def stations_of(setup: LearningSetup) -> list[Station]:
    """Machines on the clients' paths, in the order of the forward pass."""
    owners = () if setup.segments is None else setup.segments.owners
    return [Station(owner) for owner in owners if owner != "server"]


class Rounds:
    """Ends a run after so many rounds; what the main flow does otherwise is left out."""

    limit_s = None

    def __init__(self, stage: SimulatedStage, n_rounds: int) -> None:
        self._stage = stage
        self._n_rounds = n_rounds
        self.is_over = False

    def opens(self) -> None:
        """Nothing."""

    def closes(self, start_s: float) -> None:
        self.is_over = self._stage.round >= self._n_rounds

    def updated(self) -> None:
        """Nothing."""


@dataclass
class Stage:
    """A world to run a framework in."""

    env: simpy.Environment
    world: SimulatedStage
    learner: Learner
    recorder: Recorder
    engine: Engine | None

    def run(self, framework: Framework, n_rounds: int) -> Stage:
        """Runs rounds one after the other."""
        self.world.play(framework, Rounds(self.world, self.world.round + n_rounds))
        return self

    def spans(self, actor: str) -> list[tuple[str, float, float]]:
        """(phase, start, end) of an actor in order of time."""
        rows = [(s.start_s, s.end_s, s.phase) for s in self.recorder.spans if s.actor == actor]
        return [(phase, start, end) for start, end, phase in sorted(rows)]


def stage(
    setup: LearningSetup,
    *,
    rates: Sequence[float] = (1.0, 0.5),
    server_rate: float = 1.0,
    uplinks: Sequence[float] | None = None,
    downlinks: Sequence[float] | None = None,
    latency_s: float = 0.0,
    backhaul: float | None = None,
    dry: bool = False,
    fixed_costs: bool = True,
    broadcast: str = "multicast",
    availability: Sequence[Availability] = (),
    faults: Sequence[Fault] = (),
    overheads: Overheads = Overheads(),  # noqa: B008
    server_overheads: Overheads = Overheads(),  # noqa: B008
    clock: ClockOptions = ClockOptions(),  # noqa: B008
    stations: Sequence[Station] = (),
    station_rate: float = 1.0,
) -> Stage:
    """A star of clients with the given device rates [FLOP/s] and link rates [bit/s]; always there unless said."""
    n, stations = setup.n_clients, tuple(stations) or tuple(stations_of(setup))
    rates = list(rates) + [rates[-1]] * (n - len(rates))
    ups = list(uplinks or [1e12] * n)
    downs = list(downlinks or [1e12] * n)
    env = simpy.Environment()
    fleet = Fleet(
        clients=tuple(
            AccessLink(f"client-{i}", Constant(rate=ups[i]), Constant(rate=downs[i]), latency_s)
            for i in range(n)
        ),
        stations=stations,
    )
    rate = None if backhaul is None else Constant(rate=backhaul)
    star = Star(backhaul=rate, broadcast=broadcast, protocol=None)  # timelines are computed by hand
    hazards = None
    if availability or faults:
        kinds = [*availability, *[availabilities["always"]()] * (n - len(availability))]
        members = [Member(kind, "all", None, 1.0) for kind in kinds]
        hazards = Hazards(env, members, faults, setup.seed)
        fleet = failing(fleet, members, faults, setup.seed)
    network = star.build(env, fleet, setup.seed)
    engine = (
        None
        if dry
        else engine_for(setup, torch.device("cpu"), torch.float64 if setup.itemsize == 8 else torch.float32)
    )
    learner = Learner(setup, engine)
    if fixed_costs:
        learner.costs = FixedCosts(learner.costs)  # type: ignore[assignment]
    devices = [RateDevice(rate=rate, overheads=overheads) for rate in rates[:n]]
    recorder = Recorder([device.power.idle_w for device in devices])
    server = RateDevice(rate=server_rate, overheads=server_overheads)
    between: dict[str, Device] = {one.node: RateDevice(rate=station_rate) for one in stations}
    world = SimulatedStage(
        env, network, devices, server, replace(server), learner, recorder, setup.seed, hazards, clock, between
    )
    return Stage(env, world, learner, recorder, engine)
