"""A discrete-event network simulator coupled to real split-learning training.

from gapslsim import load, simulate
results = simulate(load("scenarios/quickstart.yaml"))

What is exported here is for users and for components of their own (docs/api.md lists it); all else is the package's
own affair and may change. Names are imported when they are first used, so that `import gapslsim` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from gapslsim.activity import Activity, Late, Lost, Mailbox, Process
    from gapslsim.answers.explain import explain
    from gapslsim.answers.leakage import leakage
    from gapslsim.answers.whatif import whatif
    from gapslsim.data.dataset import Dataset, LoadedData, Samples
    from gapslsim.data.partition import Partition
    from gapslsim.data.stratify import stratified_split
    from gapslsim.errors import (
        ComponentError,
        DataError,
        GapslsimError,
        NumericalError,
        ProtocolError,
        ScenarioError,
        StalledError,
    )
    from gapslsim.frameworks.client_sync import ClientSync
    from gapslsim.frameworks.framework import Framework, FreeFramework
    from gapslsim.frameworks.parallel import ParallelSplitLearning
    from gapslsim.frameworks.slots import Participation
    from gapslsim.frameworks.stage import Actor, Stage
    from gapslsim.importing.importer import Imported, Importer
    from gapslsim.learning.codec import Codec, Encoded, LossyCodec, Part
    from gapslsim.learning.loss import Loss
    from gapslsim.learning.metric import Judged, Metric
    from gapslsim.learning.operation import SentWeights, SmashedData
    from gapslsim.learning.reply import ServerReply
    from gapslsim.learning.rules import ClientUpdate, CutGradient, Decision, Gradients, ServerUpdate
    from gapslsim.models.checks import check_cut, image_shape
    from gapslsim.models.cut_net import blocks_of
    from gapslsim.models.layers import he_init, named
    from gapslsim.models.model import Model
    from gapslsim.network.channel import Channel
    from gapslsim.network.latency import Latency
    from gapslsim.network.link_loss import PacketLoss, Price
    from gapslsim.planning.plan import plan
    from gapslsim.records import Progress
    from gapslsim.registry import FAMILIES, component
    from gapslsim.results.compare import Comparison
    from gapslsim.results.likely import Order
    from gapslsim.results.rankings import rankings
    from gapslsim.results.report.front import compare, load_run
    from gapslsim.results.results import Results
    from gapslsim.rng import stream
    from gapslsim.run import simulate
    from gapslsim.scenario.loading import load, load_dict, loads
    from gapslsim.scenario.schema import Scenario
    from gapslsim.sim.availability import Availability
    from gapslsim.sim.fault import Fault
    from gapslsim.studies.front import sweep
    from gapslsim.studies.sweep import SweepProgress
    from gapslsim.testbed.check import check_testbed
    from gapslsim.tracking.tracker import RunLog, TrackedRun, Tracker
    from gapslsim.tracking.trackers.mlflow import Mlflow
    from gapslsim.tracking.trackers.tensorboard import TensorBoard
    from gapslsim.tracking.trackers.wandb import Wandb
    from gapslsim.uncertainty.draws import with_draws
    from gapslsim.units import Quantity
    from gapslsim.work import Cost, LayerCost, content_key

__all__ = [
    "FAMILIES", "Activity", "Actor", "Availability", "Channel", "ClientSync", "ClientUpdate", "Codec",
    "Comparison", "ComponentError", "Cost", "CutGradient", "DataError", "Dataset", "Decision", "Encoded",
    "Fault", "Framework", "FreeFramework", "GapslsimError", "Gradients", "Imported", "Importer", "Judged",
    "Late", "Latency", "LayerCost", "LoadedData", "Loss", "LossyCodec", "Lost", "Mailbox", "Metric", "Mlflow",
    "Model", "NumericalError", "Order", "PacketLoss", "ParallelSplitLearning", "Part", "Participation",
    "Partition", "Price", "Process", "Progress", "ProtocolError", "Quantity", "Results", "RunLog", "Samples",
    "Scenario", "ScenarioError", "SentWeights", "ServerReply", "ServerUpdate", "SmashedData", "Stage",
    "StalledError", "SweepProgress", "TensorBoard", "TrackedRun", "Tracker", "Wandb", "__version__",
    "blocks_of", "check_cut", "check_testbed", "compare", "component", "content_key", "explain", "he_init",
    "image_shape", "leakage", "load", "load_dict", "load_run", "loads", "named", "plan", "rankings",
    "simulate", "stratified_split", "stream", "sweep", "whatif", "with_draws",
]  # fmt: skip

from gapslsim._version import __version__

_HOMES: Final = {
    "activity": ("Activity", "Late", "Lost", "Mailbox", "Process"),
    "answers.explain": ("explain",),
    "answers.leakage": ("leakage",),
    "answers.whatif": ("whatif",),
    "data.dataset": ("Dataset", "LoadedData", "Samples"),
    "data.partition": ("Partition",),
    "data.stratify": ("stratified_split",),
    "errors": (
        "ComponentError", "DataError", "GapslsimError", "NumericalError", "ProtocolError", "ScenarioError",
        "StalledError",
    ),
    "frameworks.client_sync": ("ClientSync",),
    "frameworks.framework": ("Framework", "FreeFramework"),
    "frameworks.parallel": ("ParallelSplitLearning",),
    "frameworks.slots": ("Participation",),
    "frameworks.stage": ("Actor", "Stage"),
    "importing.importer": ("Imported", "Importer"),
    "learning.codec": ("Codec", "Encoded", "LossyCodec", "Part"),
    "learning.loss": ("Loss",),
    "learning.metric": ("Judged", "Metric"),
    "learning.operation": ("SentWeights", "SmashedData"),
    "learning.reply": ("ServerReply",),
    "learning.rules": ("ClientUpdate", "CutGradient", "Decision", "Gradients", "ServerUpdate"),
    "models.checks": ("check_cut", "image_shape"),
    "models.cut_net": ("blocks_of",),
    "models.layers": ("he_init", "named"),
    "models.model": ("Model",),
    "network.channel": ("Channel",),
    "network.latency": ("Latency",),
    "network.link_loss": ("PacketLoss", "Price"),
    "planning.plan": ("plan",),
    "registry": ("FAMILIES", "component"),
    "results.likely": ("Order",),
    "results.rankings": ("rankings",),
    "results.results": ("Results",),
    "rng": ("stream",),
    "run": ("simulate",),
    "scenario.loading": ("load", "load_dict", "loads"),
    "scenario.schema": ("Scenario",),
    "sim.availability": ("Availability",),
    "sim.fault": ("Fault",),
    "testbed.check": ("check_testbed",),
    "results.report.front": ("compare", "load_run",),
    "studies.front": ("sweep",),
    "tracking.tracker": ("RunLog", "TrackedRun", "Tracker",),
    "tracking.trackers.tensorboard": ("TensorBoard",),
    "tracking.trackers.wandb": ("Wandb",),
    "tracking.trackers.mlflow": ("Mlflow",),
    "results.compare": ("Comparison",),
    "records": ("Progress",),
    "studies.sweep": ("SweepProgress",),
    "uncertainty.draws": ("with_draws",),
    "units": ("Quantity",),
    "work": ("Cost", "LayerCost", "content_key"),
}  # fmt: skip
"""Modules and what they give to the front door."""


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used."""
    from importlib import import_module

    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"gapslsim.{module}"), name)
    raise AttributeError(f"module 'gapslsim' has no attribute {name!r}; docs/api.md lists what it exports.")


def __dir__() -> list[str]:
    return __all__
