"""U-shape: the last blocks lie on the client again, so that labels never leave it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gapslsim.models.segments import OF_CLIENT, OF_SERVER, Segments, Stretch
from gapslsim.registry import component
from gapslsim.scenario.shape import Cuts, Shape, shapes

__all__ = ["UShape"]


@shapes.register
@component
class UShape(Shape):
    """Client | server | client: labels stay on the client, which takes the loss itself.

    Two more transfers a mini-batch: the server sends features down, the client sends their gradient up, with its loss.
    The client's blocks at both ends are one model: one optimizer steps them together when the cut gradient has come,
    and averages hold both. Source: the U-shaped configuration of Vepakomma et al. (arXiv 1812.00564), without labels.
    """

    kind: Literal["u_shape"] = "u_shape"
    tail: Annotated[int, Field(ge=0, le=10_000)] = 1
    """Blocks at the end of the network that lie on the client (`gapslsim show model` lists them); 0: as `split`."""

    @property
    def is_split(self) -> bool:
        """Only without a tail."""
        return not self.tail

    def segments(self, cuts: Cuts) -> Segments | None:
        """Head, server, tail."""
        if not self.tail:
            return None
        end = cuts.n_blocks - self.tail
        for cut in dict.fromkeys(cuts.first):
            if cut >= end:
                most = cuts.n_blocks - cut - 1
                fix = f"write {most} or less" if most > 0 else "cut the model earlier"
                raise ValueError(
                    f"tail is {self.tail} of {cuts.n_blocks} blocks, {cut} of which lie before the cut: the server has "
                    f"none left; {fix}."
                )
        of_cut = {
            cut: (Stretch(OF_CLIENT, 0, cut), Stretch(OF_SERVER, cut, end), Stretch(OF_CLIENT, end, cuts.n_blocks))
            for cut in cuts.first
        }  # fmt: skip
        return Segments(tuple(of_cut[cut] for cut in cuts.first))
