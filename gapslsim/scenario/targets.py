"""What in a scenario does not fit its data: a loss, metrics or stops for another kind of labels; shares too small."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from gapslsim.data.target import MEANING, Target
from gapslsim.registry import settings_of
from gapslsim.scenario.problems import pointed_at
from gapslsim.scenario.tree import Path

if TYPE_CHECKING:
    from gapslsim.scenario.schema import Scenario

__all__ = ["check_division", "check_target"]


def check_target(scenario: Scenario, target: Target) -> list[tuple[Path, str]]:
    """Where it does not fit, and why.

    Args:
        scenario: whose settings are sound.
        target: what the data set's labels are.
    """
    return list(_found(scenario, target))


def _found(scenario: Scenario, target: Target) -> Iterator[tuple[Path, str]]:
    from gapslsim.learning.logit_adjustment import unfit
    from gapslsim.learning.loss import losses
    from gapslsim.learning.metric import metrics

    evaluation, stop, have = scenario.evaluation, scenario.stop, f"the data have {MEANING[target]}"
    loss = scenario.training.loss
    if target not in loss.takes:
        fitting = [kind for kind in sorted(losses) if target in losses[kind].takes]
        yield (
            ("training", "loss"),
            f"{settings_of(loss)['kind']} is no loss of these labels: {have}; write {' or '.join(fitting)}.",
        )
    fitting = [kind for kind in sorted(metrics) if target in metrics[kind].judges]
    for place, metric in enumerate(evaluation.metrics):
        if target not in metric.judges:
            fix = f"write {' or '.join(fitting)}"
            yield (
                ("evaluation", "metrics", place),
                f"{metric.kind} is no metric of these labels: {have}; {fix}.",
            )
    adjustment = getattr(getattr(scenario.framework, "cut_rule", None), "adjustment", None)
    if adjustment is not None and (why := unfit(loss, target)):
        yield ("framework",), f"{scenario.framework.kind}: {why}."
    if adjustment is not None and scenario.training.compile != "none":
        why = "compiled passes go backward once, and adjusted logits have two losses"
        yield ("training", "compile"), f"found {scenario.training.compile!r}; {why}. Write none, or tau: 0."
    if target == "class":
        return
    for name in ("per_class", "predictions"):
        if getattr(evaluation, name):
            yield ("evaluation", name), f"needs one class per sample, and {have}; leave it out."
    generated = getattr(getattr(scenario.framework, "server_rule", None), "n_generated", 0)
    if generated:
        yield (
            ("framework",),
            f"{scenario.framework.kind} makes up samples by class, and {have}; take another framework.",
        )
    if getattr(scenario.framework, "needs_classes", False):
        fix = "write choice: participation, or take another framework"
        yield ("framework",), f"{scenario.framework.kind} chooses clients by classes, and {have}; {fix}."
    no_local = f"the local view weighs by class, and {have}; write global, clients or ensemble."
    by_accuracy = [
        (("evaluation", "targets"), evaluation.targets),
        (("stop", "target_accuracy"), stop.target_accuracy),
    ]
    for path, given in by_accuracy:
        if given and target == "numbers":
            yield (
                path,
                f"numbers have no accuracy ({have}); leave it out, or write stop.patience with of: loss.",
            )
    if evaluation.target_view == "local":
        yield ("evaluation", "target_view"), no_local
    if stop.patience is not None:
        if stop.patience.view == "local":
            yield ("stop", "patience", "view"), no_local
        if stop.patience.of == "accuracy" and target == "numbers":
            yield (
                ("stop", "patience", "of"),
                f"numbers have no accuracy ({have}); write of: loss, or a metric.",
            )


def check_division(scenario: Scenario, shard_sizes: Sequence[int]) -> list[tuple[Path, str]]:
    """What of the framework does not fit the clients' shares of the data.

    Args:
        scenario: whose settings are sound.
        shard_sizes: training samples of each client; none where that cannot be told.
    """
    framework = scenario.framework
    found = framework.misfits(scenario.batch_sizes, shard_sizes) if len(shard_sizes) else []
    return [(("framework", *pointed_at(type(framework), text)), text) for text in found]
