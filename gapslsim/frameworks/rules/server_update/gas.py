"""The server's rule of GAS: the mean gradient, with generated activations for labels that came too seldom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from gapslsim.bounds import Width
from gapslsim.frameworks.rules.costs import average_cost
from gapslsim.frameworks.slots import server_updates
from gapslsim.learning.rules import Decision, Fate, Gradients, ServerUpdate
from gapslsim.registry import component
from gapslsim.work import Cost

if TYPE_CHECKING:
    from torch import Tensor

    from gapslsim.learning.messages import Smashed

__all__ = ["GasUpdate"]

Statistics = Mapping[str, "Tensor"]


@server_updates.register
@component
class GasUpdate(ServerUpdate):
    """GAS: the server also trains on activations generated for labels that came too seldom (arXiv 2409.01251).

    From the source: activations are kept by label as normal distributions, updated with what arrives; activations drawn
    from them make up for labels that fast clients do not have. Our readings: the deviation is that of each element by
    itself; old samples count `memory` times as much at every step; `generated` samples are made per step, of labels
    drawn in proportion to what each lacks to the most frequent one in this step, among those seen so far; all samples
    of a step, generated or not, weigh the same. Left out: the source's analysis and its schedule of learning rates.
    """

    kind: Literal["gas"] = "gas"
    generated: Width = 16
    """Samples that are generated for each step."""
    memory: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Weight of what is known of a label, in samples, from one step to the next."""

    @property
    def n_generated(self) -> int:
        """As the settings say."""
        return self.generated

    @property
    def reads_planned_rounds(self) -> bool:
        """No."""
        return False

    def decide(self, gradients: Gradients) -> Decision:
        """The mean over all samples of the step and the generated ones; everyone trains.

        What it remembers: `count` [C], `mean` and `square` [C, elements of a sample], C labels seen so far.
        """
        fates: tuple[Fate, ...] = tuple("train" for _ in gradients.clients)
        if gradients.at is None:  # Nothing to make activations from: the mean.
            return Decision(update=gradients.matrix.mean(0), fates=fates, losses=gradients.losses)
        import torch

        from gapslsim.learning._layout import sent

        matrix = gradients.matrix
        statistics, here = _updated(gradients.memory, gradients.smashed, self.memory)
        activations, labels = _generated(
            statistics, here, gradients.smashed[0].activations, self.generated, gradients.random
        )
        n_samples = [len(message.labels) for message in gradients.smashed]
        sizes = sent(torch.tensor(n_samples, dtype=matrix.dtype), matrix.device)
        total = (sizes[:, None] * matrix).sum(0) + self.generated * gradients.at(activations, labels)
        return Decision(
            update=total / (sizes.sum() + self.generated),
            fates=fates,
            losses=gradients.losses,
            memory=statistics,
        )

    def cost(self, n_clients: int, n_parameters: int) -> Cost:
        """The mean of S + 1 rows; the learner charges the passes of what is generated."""
        return Cost((average_cost(n_clients + 1, n_parameters),))


def _updated(
    before: Statistics, smashed: Sequence[Smashed], keep: float
) -> tuple[dict[str, Tensor], np.ndarray]:
    """Statistics of each label with what arrived, and how often each label is among that."""
    import torch
    from torch.nn import functional as F

    activations = torch.cat([message.activations.detach().flatten(1) for message in smashed])
    labels = torch.cat([message.labels for message in smashed])
    # Read once: how many labels there are decides the shapes.
    here = np.bincount(labels.cpu().numpy(), minlength=len(before.get("count", ())))
    shapes = {
        "count": (len(here),),
        "mean": (len(here), activations.shape[1]),
        "square": (len(here), activations.shape[1]),
    }
    old = {name: activations.new_zeros(shape) for name, shape in shapes.items()}
    for name, known in before.items():
        old[name][: len(known)] = known
    of_label = F.one_hot(labels, len(here)).to(activations.dtype).T
    kept = keep * old["count"]
    count = kept + of_label.sum(1)
    seen = count.clamp(min=torch.finfo(count.dtype).tiny)[:, None]
    mean = (kept[:, None] * old["mean"] + of_label @ activations) / seen
    square = (kept[:, None] * old["square"] + of_label @ activations**2) / seen
    return {"count": count, "mean": mean, "square": square}, here


def _generated(
    statistics: Statistics, here: np.ndarray, like: Tensor, n: int, random: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Activations [n, *smashed_shape] and labels [n]: more of those labels that are seldom in this step."""
    import torch

    from gapslsim.learning._layout import sent

    known = (statistics["count"] > 0).cpu().numpy()
    lacking = (here.max() - here) * known
    # Where all labels are as frequent, each is as likely.
    weights = lacking if lacking.any() else known.astype(float)
    labels = sent(torch.from_numpy(random.choice(len(weights), n, p=weights / weights.sum())), like.device)
    mean, square = statistics["mean"][labels], statistics["square"][labels]
    noise = sent(torch.from_numpy(random.standard_normal(mean.shape)).to(mean.dtype), like.device)
    deviation = (square - mean**2).clamp(min=0).sqrt()
    return (mean + deviation * noise).view(n, *like.shape[1:]), labels
