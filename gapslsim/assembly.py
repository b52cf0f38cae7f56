"""From a scenario to the parts of a run: data divided, devices loaded, memory checked, nodes attached."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import simpy

from gapslsim.clock_options import ServerClock
from gapslsim.data.dataset import Samples
from gapslsim.data.division import divide, load_sound
from gapslsim.data.source import public_data_folder
from gapslsim.errors import DataError, Problem, ScenarioError
from gapslsim.fleet_memory import check_fleet
from gapslsim.hardware.device import Device
from gapslsim.hardware.devices import load_device
from gapslsim.learning.costs import OperationCosts
from gapslsim.learning.journal.compatibility import compatibility
from gapslsim.learning.journal.journal import JournalSettings
from gapslsim.learning.learner import Learner
from gapslsim.learning.memory_options import Ways
from gapslsim.learning.setup import LearningSetup
from gapslsim.network.network import Network
from gapslsim.registry import is_shipped, settings_of
from gapslsim.scenario.cutting import cut_model, refusals
from gapslsim.scenario.keeping import keeping_refusals, keeps
from gapslsim.scenario.schema import Scenario
from gapslsim.scenario.targets import check_division, check_target
from gapslsim.scenario.tree import dotted
from gapslsim.sim.hazards import Hazards
from gapslsim.sim.outages import failing
from gapslsim.sim.recorder import Recorder
from gapslsim.stages.simulated import SimulatedStage
from gapslsim.torch_device import check_compiling, check_precision, choose_device
from gapslsim.work import content_key

if TYPE_CHECKING:
    import torch

    from gapslsim.learning.forecast import Forecast
    from gapslsim.learning.optimizer import Optimizer
    from gapslsim.stages.clock import Clock

__all__ = ["Parts", "Retiming", "assemble", "learning_setup", "memory_forecast"]


@dataclass(frozen=True, eq=False)
class Parts:
    """What a run is made of."""

    setup: LearningSetup
    network: Network
    recorder: Recorder
    learner: Learner
    stage: SimulatedStage
    client_devices: Sequence[Device]
    planned_rounds: int | None
    n_train: int
    memory: dict[str, Any]
    device: torch.device | None
    """Of this machine, where tensors are; None in a dry run, for which torch is not imported."""

    def leaks(self, scenario: Scenario) -> dict[str, Sequence[Any]]:
        """Rows of `leakage` and of `reconstructions` that `evaluation.leakage` asks for; none in a dry run."""
        attack = scenario.evaluation.leakage
        if attack is None or self.device is None:
            return {"leakage": (), "reconstructions": ()}
        from gapslsim.attacks.of_training import leaks_of_learner

        rows, pixels = leaks_of_learner(self.learner, attack, scenario.first_of_groups, self.device)
        return {"leakage": rows, "reconstructions": pixels}


@dataclass(frozen=True, eq=False)
class Retiming:
    """The same training on another clock: what a draw of the uncertain figures changes."""

    like: Parts
    """Whose set-up of the training is taken."""
    device: Callable[[str], Device]
    """In place of `load_device`."""
    seed: int
    """Of jitter, channels, absences and faults; who is chosen for a round stays as it is."""


def assemble(
    scenario: Scenario,
    dry: bool,
    journal: JournalSettings | None = None,
    clock: Clock | None = None,
    retiming: Retiming | None = None,
) -> Parts:
    """Builds everything and checks that it fits together, before anything is simulated.

    Args:
        scenario: what to build.
        dry: without tensors.
        journal: where training is looked up and recorded, if anywhere.
        clock: of this machine, where everything is carried out and timed; None to simulate. Then neither a dry run
            nor a journal.
        retiming: what to take in place of the scenario's own, in a dry run.

    Raises:
        GapslsimError: if data, a device, memory or a route is missing.
    """
    stop = scenario.stop
    if dry and stop.rounds is stop.epochs is stop.simulated_time is None:
        message = "a dry run has no accuracy to stop at; add rounds, epochs or simulated_time."
        raise ScenarioError([Problem("stop", message)])
    if clock is not None and scenario.data.augmentation is not None:
        raise ScenarioError(
            [Problem("data.augmentation", "is not carried out in measurements; leave it out")]
        )
    if clock is not None and any(codec.kind != "none" for own in scenario.codecs.values() for codec in own):
        raise ScenarioError(
            [Problem("codec", "is simulated and not carried out in measurements; leave it out")]
        )
    if clock is not None and scenario.training.compile != "none":
        raise ScenarioError([Problem("training.compile", "is not carried out in measurements; write none")])
    if clock is not None and scenario.is_hazardous:
        message = "is simulated and cannot be measured here; leave it out, or write kind: always"
        where = "faults" if scenario.faults else "clients.availability"
        raise ScenarioError([Problem(where, message)])
    if clock is not None and any(o != scenario.training.client for o in scenario.client_optimizers):
        message = "an optimizer per client group is simulated and cannot be measured here; leave it out"
        raise ScenarioError([Problem("clients.training", message)])
    if clock is not None and len({group.cut for group in scenario.clients}) > 1:
        message = "a cut per client group is simulated and cannot be measured here; leave it out"
        raise ScenarioError([Problem("clients.cut", message)])
    if scenario.training.frozen == "sent" and scenario.is_hazardous:
        message = (
            "sent needs clients that are always there and no faults; write installed, or leave those out"
        )
        raise ScenarioError([Problem("training.frozen", message)])
    if clock is not None and getattr(scenario.framework, "auxiliary", None) is not None:
        message = "trains auxiliary networks, which is simulated and cannot be measured here; take another"
        raise ScenarioError([Problem("framework", f"{scenario.framework.kind} {message}")])
    schedule: Any = getattr(scenario.framework, "server_schedule", None)
    if clock is not None and schedule is not None and schedule.trains_first:
        message = f"{schedule.kind} is simulated and cannot be measured here; write another"
        raise ScenarioError([Problem("framework.server_schedule", message)])
    if clock is not None and keeps(scenario):
        message = "once is simulated and cannot be measured here; write always"
        raise ScenarioError([Problem("framework.client_update.upload", message)])
    device = None if dry else choose_device(scenario.training.device)
    if device is not None:
        check_precision(scenario.training.precision, device)
        check_compiling(scenario.training.compile, device)
    if clock is not None and not scenario.shape.is_split:
        message = "is simulated and cannot be measured here; write split"
        raise ScenarioError([Problem("shape", message)])
    groups = [group for group in scenario.clients for _ in range(group.count)]
    of_servers = scenario.server.device, scenario.parameter_server_device
    device_by_name = load_device if retiming is None else retiming.device
    of_stations = {one.name: one.device or scenario.server.device for one in scenario.shape.stations()}
    kinds: dict[str, Device] = {
        name: device_by_name(name)
        for name in {*of_servers, *of_stations.values(), *(group.device for group in groups)}
    }
    time_seed = scenario.seed if retiming is None else retiming.seed
    client_devices: list[Device] = [kinds[group.device] for group in groups]
    server, parameter_server = (kinds[name] for name in of_servers)
    if retiming is None:
        setup, planned_rounds = learning_setup(scenario, dry)
    else:
        setup, planned_rounds = retiming.like.setup, retiming.like.planned_rounds
    between = {name: kinds[device] for name, device in of_stations.items()}
    memory, most_joined = check_fleet(scenario, setup, client_devices, server, between)
    ways = Ways()
    if device is not None:
        from gapslsim.device_memory import is_limited, plan_memory

        if is_limited(scenario, device):
            made = plan_memory(scenario, setup, device)
            ways, memory["training_bytes"] = made.ways, made.peak_bytes or None
    at_once, plain = scenario.evaluation.batch_size, None
    if clock is not None and device is not None:
        from gapslsim.stages.measured import MeasuredStage
        from gapslsim.stages.plain_engine import PlainEngine

        plain = PlainEngine(setup, device, clock, evaluation_batch=at_once)
    how = (scenario.clock.server, most_joined)
    if plain is not None:
        # What is made at once here is timed as one operation.
        learner = Learner(setup, plain, None, at_once, replace(how[0], serves="at_barrier"), how[1])
        plain.joins = learner.costs.joins
    else:
        learner = (
            Learner(setup, None, None, at_once, *how)
            if device is None
            else _real_learner(scenario, setup, device, journal, *how, ways)
        )
    env = simpy.Environment()
    idle_w = [device.power.idle_w for device in client_devices]
    fleet, hazards = scenario.fleet, None
    if scenario.is_hazardous:
        members = scenario.members(idle_w)
        hazards = Hazards(env, members, scenario.faults, time_seed)
        fleet = failing(fleet, members, scenario.faults, time_seed)
    network = scenario.network.build(env, fleet, time_seed)
    recorder = Recorder(idle_w)
    of_stage = (
        env, network, client_devices, server, parameter_server, learner, recorder, scenario.seed, hazards,
    )  # fmt: skip
    # What is carried out here takes its own overheads.
    stage = (
        SimulatedStage(
            *of_stage, scenario.clock, {name: kinds[device] for name, device in of_stations.items()}
        )
        if plain is None
        else MeasuredStage(*of_stage, engine=plain)
    )
    n_train = sum(len(shard) for shard in setup.shards)
    stage.time_seed = time_seed
    return Parts(
        setup, network, recorder, learner, stage, client_devices, planned_rounds, n_train, memory, device
    )


def learning_setup(scenario: Scenario, dry: bool = False) -> tuple[LearningSetup, int | None]:
    """What a scenario trains: its data, divided, and the settings of training; and the planned rounds.

    Args:
        scenario: whose.
        dry: whether labels and shapes are enough.

    Raises:
        GapslsimError: if the data are missing, not sound or cannot be divided.
    """
    n_clients = scenario.n_clients
    data = load_sound(scenario.data, public_data_folder(), scenario.seed, dry)
    if not is_shipped(scenario.data) and not dry:
        # A key of the user's making may stay while files change. A dry run reads no inputs, and keeps no journal.
        data = replace(
            data, key=content_key("data", data.key, *(_digest(part) for part in (data.train, data.test)))
        )
    if n_clients > len(data.train):
        raise DataError(
            f"clients: {n_clients} clients for {len(data.train)} training samples; "
            "each client needs at least one. Use fewer clients or a larger data set."
        )
    if unfit := check_target(scenario, data.target):
        raise ScenarioError([Problem(dotted(path), text) for path, text in unfit])
    data, shards = divide(scenario.data, data, n_clients, scenario.seed)
    batch_sizes = [min(size, len(shard)) for size, shard in zip(scenario.batch_sizes, shards, strict=True)]
    shard_sizes = [len(shard) for shard in shards]
    if unfit := check_division(scenario, shard_sizes):
        raise ScenarioError([Problem(dotted(path), text) for path, text in unfit])
    per_round = scenario.framework.samples_per_round(batch_sizes, shard_sizes)
    of_server = scenario.framework.server_steps_per_round(batch_sizes, shard_sizes)
    planned_rounds = scenario.stop.planned_rounds(
        sum(map(len, shards)) / per_round, per_round, of_server or 1.0
    )
    steps = scenario.framework.optimizer_steps(planned_rounds or 1, batch_sizes, shard_sizes)
    own, server_optimizer = scenario.client_optimizers, _of_server(scenario, batch_sizes)
    optimizers = own, (server_optimizer,)
    # What training does not depend on is left out of the set-up: it would keep runs of other lengths from sharing it.
    client_steps, server_steps = (
        math.ceil(of_rounds)
        if planned_rounds is not None and any(optimizer.reads_planned_steps for optimizer in of_side)
        else None
        for of_rounds, of_side in zip(steps, optimizers, strict=True)
    )
    try:
        model, segments = cut_model(scenario, data.input_shape, data.n_classes)
    except ValueError as error:
        where = "clients.cut" if scenario.shape.is_split else "shape"
        raise ScenarioError([Problem(where, str(error))]) from error
    if refused := refusals(scenario, segments) or keeping_refusals(scenario, model, segments, data):
        raise ScenarioError([Problem(dotted(path), text) for path, text in refused])
    setup = LearningSetup(
        data=data,
        shards=shards,
        model=model,
        batch_size=scenario.training.batch_size,
        client_optimizer=scenario.training.client,
        server_optimizer=server_optimizer,
        seed=scenario.seed,
        planned_rounds=planned_rounds if scenario.framework.reads_planned_rounds else None,
        planned_client_steps=client_steps,
        planned_server_steps=server_steps,
        augmentation=scenario.data.augmentation,
        loss=scenario.training.loss,
        batch_sizes=None
        if set(scenario.batch_sizes) == {scenario.training.batch_size}
        else scenario.batch_sizes,
        client_optimizers=None if all(optimizer == scenario.training.client for optimizer in own) else own,
        precision=scenario.training.precision,
        compile=scenario.training.compile,
        sends_frozen=scenario.training.frozen == "sent",
        segments=segments,
        auxiliary=getattr(scenario.framework, "auxiliary", None),
        codecs=scenario.codecs,
        gradients_follow=scenario.codec is not None and scenario.codec.gradients_follow,
    )
    if setup.auxiliary is not None:
        try:
            OperationCosts(setup).auxiliary(setup.batch_size)
        except ValueError as error:
            raise ScenarioError([Problem("framework.auxiliary", str(error))]) from error
    return setup, planned_rounds


def _of_server(scenario: Scenario, batch_sizes: Sequence[int]) -> Optimizer:
    """The server's optimizer, with its learning rate as the framework scales it."""
    optimizer: Any = scenario.training.server
    factor = scenario.framework.server_rate_factor(batch_sizes)
    if factor == 1:
        return optimizer  # type: ignore[no-any-return]
    rate = getattr(optimizer, "lr", None)
    if not isinstance(rate, float):
        rule = f"{scenario.framework.kind} scales the server's learning rate, and {optimizer.optimizer} has no `lr`"
        text = f"{rule}; take sgd, adam or adamw"
        raise ScenarioError([Problem("training.server", text)])
    return replace(optimizer, lr=rate * factor)  # type: ignore[no-any-return]


def memory_forecast(scenario: Scenario, gpu_bytes: float | None = None) -> Forecast:
    """What a training will take of its device's memory, without reading inputs or allocating anything.

    Args:
        scenario: whose.
        gpu_bytes: memory of a GPU that is not here; unless given, of the device that would compute it here.

    Raises:
        GapslsimError: if it does not fit, or the data cannot be divided.
    """
    import torch

    from gapslsim.device_memory import plan_memory

    setup, _ = learning_setup(scenario, dry=True)
    device = torch.device("cpu") if gpu_bytes is not None else choose_device(scenario.training.device)
    return plan_memory(scenario, setup, device, gpu_bytes)


def _digest(samples: Samples) -> str:
    """Of all labels and inputs."""
    digest = hashlib.sha256()
    for array in (samples.labels, samples.inputs):
        digest.update(f"{array.shape} {array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _real_learner(
    scenario: Scenario,
    setup: LearningSetup,
    device: torch.device,
    settings: JournalSettings | None,
    server: ServerClock,
    most_joined: int,
    ways: Ways,
) -> Learner:
    """A learner with tensors; they are made when the first operation that the journal does not know needs them."""
    from gapslsim.learning.engines import engine_for

    evaluation_batch, workers = scenario.evaluation.batch_size, scenario.training.workers
    journal = None
    if settings is not None:
        about = {"name": scenario.name, "framework": scenario.framework.kind, "seed": scenario.seed}
        execution = settings_of(scenario.training)
        for part_of_setup in (
            "batch_size", "client", "server", "loss", "device", "workers", "frozen", "kernels", "precision", "compile",
            "memory",
        ):  # fmt: skip
            del execution[part_of_setup]
        if device.type == "cpu":  # which repeats in any case
            del execution["deterministic"]
        made_by = compatibility(execution, str(device), "float32", scenario.components or ())
        journal = settings.open(setup.key, made_by, about, str(device))
    return Learner(
        setup,
        lambda: engine_for(setup, device, evaluation_batch=evaluation_batch, workers=workers, ways=ways),
        journal,
        evaluation_batch,
        server,
        most_joined,
    )
