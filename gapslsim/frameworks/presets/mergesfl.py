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

    1. As many workers as `participation` asks for are chosen, so that the labels of their samples together are nearest
       to those of all data, by Kullback-Leibler divergence; who has waited for long comes in any case (`patience`).
    2. They get the newest client-side model. B samples are shared out in inverse proportion to the time that a sample
       takes each, so that all arrive at about the same time.
    3. `local_steps` times: the server makes one pass over the merged features and steps; each gets its cut gradient.
    4. The mean of their models, weighted by their samples, is the newest. Evaluations see it on every client.

    Of the source abstract and introduction were at hand. It chooses by a genetic algorithm, bounds the bandwidth into
    the server, and tunes sizes for the divergence too; here B and the number of workers are settings, so that a run can
    be planned, and all combinations of few, else greedy choice with exchanges, stand for the genetic algorithm. Cut
    gradients are of a worker's own mean loss (`cut_scale: mean` weighs them by B_k / B). The labels' distributions and
    the sizes travel uncounted. A worker that is lost between choice and step leaves B to the others.
    """

    kind: Literal["mergesfl"] = "mergesfl"
