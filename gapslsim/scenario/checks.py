"""Checks across sections: those on settings alone, and those that read labels, traces and the model's shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gapslsim.bounds import PARAMETERS
from gapslsim.errors import GapslsimError, Problem, ScenarioError, did_you_mean
from gapslsim.hardware.devices import load_device
from gapslsim.network.channel import Channel
from gapslsim.registry import is_shipped
from gapslsim.rng import stream
from gapslsim.scenario.cutting import check_cuts, check_shape, fails_alone
from gapslsim.scenario.keeping import check_keeping
from gapslsim.scenario.leaks import check_leakage
from gapslsim.scenario.limits import Every
from gapslsim.scenario.problems import pointed_at
from gapslsim.scenario.schema import Scenario
from gapslsim.scenario.targets import check_division, check_target
from gapslsim.scenario.tree import Path, dotted

if TYPE_CHECKING:
    from gapslsim.data.dataset import LoadedData

__all__ = ["check", "check_deep", "deep_problems"]

Finding = tuple[Path, str]
"""Where in the scenario, and what."""


def check(scenario: Scenario) -> list[Finding]:
    """What does not fit together, as far as settings tell; cheap."""
    found: list[Finding] = []
    for name in ("framework", "network"):
        section: Any = getattr(scenario, name)
        for text in section.problems(scenario.n_clients):
            found.append(((name, *pointed_at(type(section), text)), text))
    if not scenario.stop.is_planned:
        found += _check_plan(scenario)
    return (
        found
        + _check_steps(scenario)
        + _check_clock(scenario)
        + _check_codec(scenario)
        + _check_precision(scenario)
        + _check_compile(scenario)
        + _check_faults(scenario)
        + _check_patience(scenario)
        + _check_groups(scenario)
        + _check_memory(scenario)
        + check_leakage(scenario)
        + check_keeping(scenario)
        + [*check_shape(scenario)]
    )


def _check_memory(scenario: Scenario) -> list[Finding]:
    """Gradients in the host's memory, where somebody needs them on the device."""
    if scenario.training.memory.gradients != "host":
        return []
    why = scenario.framework.whole_gradients
    return [(("training", "memory", "gradients"), f"{why}; write auto or device.")] if why else []


def _check_patience(scenario: Scenario) -> list[Finding]:
    """What is waited for to get better, and is never looked at."""
    patience, evaluation = scenario.stop.patience, scenario.evaluation
    if patience is None:
        return []
    found: list[Finding] = []
    known = ["accuracy", "loss", *(metric.kind for metric in evaluation.metrics)]
    if patience.of not in known:
        fix = "add it to evaluation.metrics or choose another"
        text = (
            f"found {patience.of!r}; known here: {', '.join(known)}; {fix}.{did_you_mean(patience.of, known)}"
        )
        found.append((("stop", "patience", "of"), text))
    if patience.view not in evaluation.views:
        views = ", ".join(evaluation.views)
        text = f"found {patience.view!r}, which is not among evaluation.views ({views}); add it or choose another."
        found.append((("stop", "patience", "view"), text))
    return found


def _check_clock(scenario: Scenario) -> list[Finding]:
    """One pass for all clients where each client's gradient is needed; what the server's schedule has no use for."""
    framework = scenario.framework
    schedule: Any = getattr(framework, "server_schedule", None)
    if schedule is not None and (unfit := schedule.unfit(scenario.clock.server)):
        return [(("clock", "server", option), f"{why}.") for option, why in unfit.items()]
    if scenario.clock.server.computes != "joined" or not framework.keeps_client_gradients:
        return []
    text = (
        f"joined gives no gradient of a single client, and framework {framework.kind!r} needs them; write auto or "
        "per_client."
    )
    return [(("clock", "server", "computes"), text)]


def _check_codec(scenario: Scenario) -> list[Finding]:
    """Codecs of what does not travel."""
    why = "" if scenario.codec is None else scenario.codec.unfit(scenario.framework)
    return [(("codec",), why)] if why else []


def _check_precision(scenario: Scenario) -> list[Finding]:
    """Devices that have no rates for the precision that they are timed at."""
    trained, timed = scenario.training.precision, scenario.clock.precision
    wanted = trained if timed == "as_trained" else timed
    places: dict[Path, str] = {
        ("server", "device"): scenario.server.device,
        ("parameter_server", "device"): scenario.parameter_server_device,
        **{("clients", i, "device"): group.device for i, group in enumerate(scenario.clients)},
    }
    found: list[Finding] = []
    for path, name in places.items():
        device = load_device(name)
        if device.precision == wanted or (path[0] == "parameter_server" and name == scenario.server.device):
            continue
        modes = [f"{name}@{m}" for m, mode in device.profile.modes.items() if mode.precision == wanted]
        fix = f"name a mode that has ({', '.join(modes)})" if modes else "name a device or mode that has"
        said = f"training.precision is {trained}" if timed == "as_trained" else f"clock.precision is {timed}"
        text = (
            f"{name} has rates for {device.precision}, and {said}; {fix}, or write clock.precision: {device.precision} "
            "to time devices as if they computed in that."
        )
        found.append((path, text))
    return found


def _check_compile(scenario: Scenario) -> list[Finding]:
    """Compiled passes where second derivatives are wanted."""
    rule: Any = getattr(scenario.framework, "server_rule", None)
    if scenario.training.compile == "none" or rule is None or not rule.second_order:
        return []
    text = (
        f"found {scenario.training.compile!r}; compiled passes go backward once, and this framework needs second "
        "derivatives. Write none, or gradient: detached."
    )
    return [(("training", "compile"), text)]


def _check_faults(scenario: Scenario) -> list[Finding]:
    """Faults of groups that do not exist, and more servers that crash than there are."""
    groups = {group.label for group in scenario.clients}
    found: list[Finding] = []
    for place, fault in enumerate(scenario.faults):
        for name in fault.groups or ():
            if name not in groups:
                known = ", ".join(sorted(groups))
                rule = f"there is no client group {name!r}; groups: {known}.{did_you_mean(name, groups)}"
                found.append((("faults", place, "groups"), rule))
        if fault.does("server_crashes") and fault.groups is not None:
            found.append((("faults", place, "groups"), "the server is in no client group; leave this out."))
    crashing = [i for i, f in enumerate(scenario.faults) if f.does("server_crashes")]
    found += [
        (("faults", place), "there is one server, and it crashes already by another fault; keep one of them.")
        for place in crashing[1:]
    ]
    return found


def _check_plan(scenario: Scenario) -> list[Finding]:
    """Rules and schedules that need to know how long the run will be, where the scenario does not tell."""
    found: list[Finding] = []
    framework: Any = scenario.framework
    own = getattr(framework, "planned_rounds", None)
    if getattr(framework, "needs_planned_rounds", False) and own is None:
        rule = "Eq. (2) needs the planned number of rounds"
        fix = "add rounds, epochs, server_steps or samples here, or framework.planned_rounds"
        found.append((("stop",), f"{rule}; {fix}."))
    optimizers: dict[Path, Any] = {
        ("training", "client"): scenario.training.client,
        ("training", "server"): scenario.training.server,
        **{("clients", i, "training", "client"): g.training.client for i, g in enumerate(scenario.clients)},
    }
    for path, optimizer in optimizers.items():
        schedule = getattr(optimizer, "schedule", None)
        try:
            if schedule is not None:
                schedule.factor(0, None)
        except (GapslsimError, ValueError) as error:
            found.append(((*path, "schedule"), _words(error)))
    return found


def _check_groups(scenario: Scenario) -> list[Finding]:
    """Learning rates for optimizers that have none, and optimizers that one client cannot hand to another."""
    usual: Any = scenario.training.client
    carries = getattr(scenario.framework, "optimizer", None) == "carry"
    found: list[Finding] = []
    for place, group in enumerate(scenario.clients):
        own: Any = group.training.client
        if group.training.lr is not None and not hasattr(usual, "lr"):
            text = f"the optimizer {usual.optimizer} has no lr; give the group's whole optimizer as client."
            found.append((("clients", place, "training", "lr"), text))
        elif own is not None and carries and (own.optimizer, own.n_slots) != (usual.optimizer, usual.n_slots):
            rule = "the optimizer's state is handed from client to client, so that all need the same kind of optimizer"
            fix = "use training.client's with another lr, or framework.optimizer: keep or reset"
            found.append((("clients", place, "training", "client"), f"{rule}; {fix}."))
    return found


def _check_steps(scenario: Scenario) -> list[Finding]:
    """What counts steps of the server where it takes none, and would never come."""
    evaluation, framework = scenario.evaluation, scenario.framework
    counts = {
        ("stop", "server_steps"): scenario.stop.server_steps is not None,
        ("evaluation", "every"): evaluation.every.unit == "steps",
        ("evaluation", "geometry"): isinstance(evaluation.geometry, Every)
        and evaluation.geometry.unit == "steps",
    }
    if not any(counts.values()) or framework.server_steps_per_round([1], [1]) > 0:
        return []
    rule = f"in {framework.kind} the server takes no optimizer steps; count rounds, epochs or samples."
    return [(path, rule) for path, is_counted in counts.items() if is_counted]


def check_deep(scenario: Scenario, *, inputs: bool = False, dry: bool = False) -> list[Finding]:
    """What does not fit the data, the model or the network: reads labels and traces, no weights.

    Args:
        scenario: whose settings are sound.
        inputs: whether to read every input too, which takes as long as it takes.
        dry: whether labels and shapes are enough, as for a run without tensors.
    """
    return [*_check_data(scenario, inputs, dry), *_check_network(scenario), *_check_presence(scenario)]


def _check_presence(scenario: Scenario) -> list[Finding]:
    """Traces of presence that cannot be read."""
    return [
        (("clients", index, "availability"), text)
        for index, group in enumerate(scenario.clients)
        for text in group.availability.problems()
    ]


def _check_data(scenario: Scenario, inputs: bool, dry: bool) -> list[Finding]:
    from gapslsim.data.division import load_sound
    from gapslsim.data.source import public_data_folder

    try:
        loaded = load_sound(scenario.data, public_data_folder(), scenario.seed, dry)
        if inputs and not scenario.data.drawn:
            for part in (loaded.train, loaded.test):
                _ = part.inputs  # so that what is wrong with them is told
    except Exception as error:
        # A data set of the user's own may raise anything.
        text = _words(error)
        return [(("data", *pointed_at(type(scenario.data), text)), text)]
    found, sizes = _check_samples(scenario, loaded, len(loaded.train))
    return [
        *found,
        *_check_model(scenario, loaded, sizes, inputs),
        *_check_loss(scenario, loaded),
        *check_target(scenario, loaded.target),
    ]


def _check_samples(
    scenario: Scenario, loaded: LoadedData, n_train: int
) -> tuple[list[Finding], Sequence[int]]:
    """What is wrong, and how many samples each client has, as far as that can be told."""
    from gapslsim.data.division import divide

    n_clients, batch_size = scenario.n_clients, scenario.training.batch_size
    if n_clients > n_train:
        fix = "lower the counts or use more data"
        return [(("clients",), f"{n_clients} clients share {n_train} training samples; {fix}.")], []
    found: list[Finding] = []
    if batch_size > n_train:
        rule = f"found {batch_size}, but the data has {n_train} training samples; write {n_train} or fewer."
        found.append((("training", "batch_size"), rule))
    sizes: Sequence[int] = []
    for place, group in enumerate(scenario.clients):
        if (own := group.training.batch_size or 1) > n_train:
            rule = f"found {own}, but the data has {n_train} training samples; write {n_train} or fewer."
            found.append((("clients", place, "training", "batch_size"), rule))
    try:
        # As the run itself does it, so that what passes here passes there.
        sizes = [len(share) for share in divide(scenario.data, loaded, n_clients, scenario.seed)[1]]
    except Exception as error:
        # A partition of the user's own may raise anything.
        text = _words(error)
        found.append((("data", "partition", *pointed_at(type(scenario.data.partition), text)), text))
    return [*found, *check_division(scenario, sizes)], sizes


def _check_model(scenario: Scenario, loaded: LoadedData, sizes: Sequence[int], inputs: bool) -> list[Finding]:
    """A model that cannot be cut there, or cannot be run on the batches that it will get; on shapes alone.

    One of the user's own is also tried on a few training samples, if inputs may be read.
    """
    from gapslsim.models.cost import split_cost

    model = scenario.model
    batches = [min(own, n) for own, n in zip(scenario.batch_sizes, sizes, strict=False)]
    largest = max(batches, default=min(scenario.training.batch_size, len(loaded.train)))
    about = (model, loaded.input_shape, loaded.n_classes)
    try:
        model.cut_index(loaded.input_shape, loaded.n_classes)
        cost = split_cost(*about, largest, loaded.input_dtype)
        if (n := cost.client.n_parameters + cost.server.n_parameters) > PARAMETERS:
            text = f"it would have {n:,} parameters, and {PARAMETERS:,} is the most; take narrower layers, or fewer."
            return [(("model",), text)]
        if not is_shipped(model):
            from gapslsim.models._costing import try_backward

            try_backward(*about, largest, loaded.input_dtype)
            if inputs:
                _try_passes(scenario, loaded, largest)
    # A model of the user's own may raise anything.
    except Exception as error:
        text = _words(error)
        return [(("model", *pointed_at(type(model), text)), text)]
    if found := check_cuts(scenario, loaded, largest):
        return found
    # A size that is drawn may be one sample.
    least = 1 if scenario.framework.draws_batch_sizes else min(batches, default=largest)
    try:
        split_cost(*about, least, loaded.input_dtype)
    except ValueError as error:
        if least not in batches:
            return [(("framework",), fails_alone(scenario.framework.kind, least, _words(error)))]
        client = batches.index(least)
        rule = f"client {client} has {sizes[client]} training samples. In its batches of {least}, {_words(error)}"
        return [(("data", "partition"), rule)]
    return []


def _try_passes(scenario: Scenario, loaded: LoadedData, batch_size: int) -> None:
    """Raises ComponentError if passes of the model do not repeat with their seed, or write to their inputs."""
    import torch

    from gapslsim.learning.probe import PROBED, probe
    from gapslsim.models.split import build

    size = min(PROBED, batch_size)
    chosen = torch.arange(3 * size) % len(loaded.train)
    inputs = torch.from_numpy(loaded.train.inputs[chosen.numpy()])
    entering: Sequence[torch.Tensor] = torch.split(inputs, size)
    split = build(scenario.model, loaded.input_shape, loaded.n_classes, scenario.seed)
    for module in (split.client, split.server):
        _, entering = probe(module, entering)


def _check_loss(scenario: Scenario, loaded: LoadedData) -> list[Finding]:
    loss = scenario.training.loss
    found = loss.problems(loaded.n_classes)
    return [(("training", "loss", *pointed_at(type(loss), text)), text) for text in found]


def _check_network(scenario: Scenario) -> list[Finding]:
    """Channels whose files cannot be read, and a network that does not join the fleet."""
    found: list[Finding] = []
    for index, group in enumerate(scenario.clients):
        for side in ("uplink", "downlink"):
            channel: Channel = getattr(group.link, side)
            try:
                next(iter(channel.steps(stream(scenario.seed, "check"))))
                if (why := channel.dies()) is not None:
                    why += "; a transfer would wait for ever."
                    found.append((("clients", index, "link", side), why))
            except (GapslsimError, ValueError) as error:
                found.append((("clients", index, "link", side), _words(error)))
        try:
            group.link.latency.mean_s  # noqa: B018  # Reads files.
        except (GapslsimError, ValueError) as error:
            found.append((("clients", index, "link", "latency"), _words(error)))
    if found:
        return found
    fleet = scenario.checked_fleet
    try:
        router = scenario.network.router(fleet)
        for client in fleet.clients:
            router.route(client.node, fleet.server)
    except (GapslsimError, ValueError) as error:
        text = _words(error)
        return [(("network", *pointed_at(type(scenario.network), text)), text)]
    return []


def deep_problems(scenario: Scenario) -> list[Problem]:
    """Both checks for a scenario made in Python, which has no file and lines."""
    found = check(scenario) or check_deep(scenario)
    return [Problem(dotted(path), text) for path, text in found]


def _words(error: Exception) -> str:
    """The message alone: the place is said by whoever reports it."""
    if isinstance(error, ScenarioError):
        return "; ".join(problem.message for problem in error.problems)
    if isinstance(error, (GapslsimError, ValueError)) and str(error):
        return str(error)
    return f"{type(error).__name__}: {error}; see 'gapslsim check-component'."
