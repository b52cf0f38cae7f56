"""Hierarchical split federated learning: client, edge and cloud tiers, averaged at two intervals."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from gapslsim.frameworks.client_sync import ClientSync, client_syncs
from gapslsim.frameworks.framework import frameworks
from gapslsim.frameworks.parallel import ParallelSplitLearning
from gapslsim.frameworks.rules.client_sync.hierarchical import Hierarchical
from gapslsim.registry import component

__all__ = ["HierarchicalSfl"]


@frameworks.register
@component
class HierarchicalSfl(ParallelSplitLearning):
    """HSFL (Lin et al., arXiv 2412.07197): SFL over three tiers, each with an interval of averaging of its own.

    For `shape: tiers`: clients, edge servers with a middle part for each, the cloud with the last part. After each
    mini-batch the tiers step; every `every` rounds clients are averaged at their edge server, every `cloud_every` these
    means and the edge servers' parts in the cloud. From the source: the tiers, a sub-model for each entity below the
    top, one at the top, an interval for each tier. Not from it: where to cut and which intervals, which it optimises;
    here they are settings. A middle part steps on the mean over its own clients, the top on that over all.
    """

    shapes: ClassVar[tuple[str, ...]] = ("tiers",)
    kind: Literal["hierarchical_sfl"] = "hierarchical_sfl"
    client_sync: Annotated[ClientSync, client_syncs] = Field(default_factory=Hierarchical)
    """When models are averaged at edge servers and in the cloud; `hierarchical` alone."""

    def problems(self, n_clients: int) -> list[str]:
        """An averaging that is not in tiers."""
        found = super().problems(n_clients)
        if not isinstance(self.client_sync, Hierarchical):
            found.append(
                "client_sync: hierarchical_sfl averages in tiers; write hierarchical, or take sfl, which has the choice"
            )
        return found
