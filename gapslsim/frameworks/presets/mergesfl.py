"""MergeSFL: workers chosen for their labels together, with batch sizes that make them ready at about the same time."""

from __future__ import annotations

from typing import Literal

from gapslsim.frameworks._regulated import RegulatedSplitLearning
from gapslsim.frameworks.framework import frameworks
from gapslsim.registry import component

__all__ = ["MergeSfl"]


@frameworks.register
@component
class MergeSfl(RegulatedSplitLearning):
    """MergeSFL (Liao et al.: SFL with Feature Merging and Batch Size Regulation, arXiv 2311.13348).

    1. As many workers as `participation` asks for are chosen, so that their labels together, each in proportion to its
       worker's speed, are nearest to those of all data, by Kullback-Leibler divergence; who has waited for long comes
       in any case (`patience`). Bounds of sizes (`most`, one sample, whole numbers) come after the choice.
    2. They get the newest client-side model. B samples are shared out in inverse proportion to the time that a sample
       takes each, so that all arrive at about the same time.
    3. `local_steps` times: the server makes one pass over the merged features and steps; each gets its cut gradient.
    4. The mean of their models, weighted by their samples, is the newest. Evaluations see it on every client.

    Of the source abstract and introduction were at hand, and the authors' public code (ymliao98/MergeSFL, 89802ed): its
    cut gradients are of a worker's own mean loss, as here (`cut_scale: mean` weighs them by B_k / B), its workers'
    optimizers are new in every round (`optimizer: reset`), and so is its server's, which here goes on. It draws workers
    by chance, gives them equal sizes and averages them alike; the choice, the sizes and the weights here are those of
    the paper as we read it. The paper chooses by a genetic algorithm, bounds the bandwidth into the server, and tunes
    sizes for the divergence too. Here B and the number of workers are settings, so that a run can be planned, and all
    combinations of few, else greedy choice with exchanges, stand for the genetic algorithm. The labels' distributions
    and the sizes travel uncounted. A worker that is lost between choice and step leaves B to the others.
    """

    kind: Literal["mergesfl"] = "mergesfl"
