"""Forward and backward passes of the client side: one client at a time, or several small models side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import torch
from torch import Tensor

from gapslsim.data.batches import Drawn
from gapslsim.learning._updates import Step, update_all
from gapslsim.learning.messages import Smashed, Weights
from gapslsim.learning.operation import Answer, ClientBackward, ClientForward
from gapslsim.learning.state import SideState
from gapslsim.learning.tensors import Side, Tape

__all__ = ["ClientPasses", "cut_gradient"]


@dataclass(eq=False)
class _Taped:
    """Forward passes that were made together, until one of their clients goes back."""

    keys: tuple[str, ...]
    """Of each pass; not the mini-batches, which hold this."""
    tape: Tape
    is_stacked: bool
    is_used: bool = False
    """Its graph is gone: who has not gone back makes its forward pass again."""

    def outputs(self) -> Sequence[Tensor]:
        """The output of each pass."""
        output = self.tape.output.detach()
        return output.unbind() if self.is_stacked else (output,)


@dataclass(frozen=True, eq=False)
class ClientPasses:
    """Passes of the client side. The tape of a forward pass waits at its mini-batch for the backward pass.

    Passes are stacked where that was chosen, whoever takes part: a lone pass goes beside itself. So a client's numbers
    do not depend on which clients are computed together with it, for instance after a replay.
    """

    side: Side
    """The layers before the cut."""
    batches: Callable[[Sequence[tuple[int, int, Drawn | None]]], list[tuple[Tensor, Tensor]]]
    """Of each (client, step, where it lies), inputs [b, ...] and labels [b]."""
    seed: Callable[[int, int], int]
    """From (client, step) to the seed of the pass (dropout)."""
    most_samples: int
    """Samples in passes that are stacked; 0: one client at a time."""
    own: Mapping[int, Side] = field(default_factory=dict)
    """The side of clients with an optimizer of their own."""
    doubles_lone: bool = True
    """Whether a lone pass goes beside itself, for the same last bits as in company. Not on a GPU: it takes twice the
    time there, and products of unlike numbers of matrices differ in their last bits anyway."""
    head: Callable[[SideState], SideState | Weights] = lambda state: state
    """The weights of these layers in a client's state, which may hold the last blocks as well."""
    keeps: bool = True
    """Whether tapes are kept; else each forward pass is made again for its backward pass, with the same bits."""

    @property
    def stacks(self) -> bool:
        """Whether passes of several clients are made together."""
        return self.most_samples > 0

    def forward(self, calls: Sequence[ClientForward]) -> list[Smashed]:
        """FP of each mini-batch; the tapes are kept for the backward passes."""
        batches = self._batches(calls)
        smashed: dict[int, Smashed] = {}
        for taped, places in self._tape(calls, [inputs for inputs, _ in batches]):
            # Not strict: a lone pass is stacked with its own copy, whose output nobody wants.
            for place, output in zip(places, taped.outputs(), strict=False):
                calls[place].batch.tape = taped if self.keeps else None
                smashed[place] = Smashed(output, batches[place][1])
        return [smashed[place] for place in range(len(calls))]

    def backward(self, calls: Sequence[ClientBackward]) -> list[SideState]:
        """BP of each mini-batch and the update of its client; passes whose tape is gone are made again."""
        after = [call.state for call in calls]
        of_tape: dict[_Taped, list[int]] = {}
        lost: list[int] = []
        for place, call in enumerate(calls):
            batch = call.answer.batch
            # Let go of at once: a graph holds all activations of its pass, and may be used one time only.
            taped, batch.tape = batch.tape, None
            # No step at all, not a step with gradient 0, which momentum and weight decay would turn into a
            # change.
            if call.answer.fate == "freeze":
                continue
            # No tape after a replay; a used one where the clients of a stack went back at different times.
            if taped is None or taped.is_used:
                lost.append(place)
            else:
                of_tape.setdefault(taped, []).append(place)
        # From the state in which the batch was sent, which the client may have left since.
        again = [ClientForward(c.answer.batch, c.answer.batch.state.value) for c in (calls[i] for i in lost)]
        remade = self._tape(again, [inputs for inputs, _ in self._batches(again)])
        steps: dict[int, Step] = {}
        # Of those that are made again one is there at a time.
        for taped, places in chain(of_tape.items(), ((t, [lost[i] for i in of_t]) for t, of_t in remade)):
            gradients = self._gradients(taped, [calls[place] for place in places])
            for place, of_call in zip(places, gradients, strict=True):
                steps[place] = self._step(calls[place], of_call, taped)
        for place, state in zip(steps, update_all(list(steps.values())), strict=True):
            after[place] = state
        return after

    def _batches(self, calls: Sequence[ClientForward]) -> list[tuple[Tensor, Tensor]]:
        return self.batches([(call.batch.client, call.batch.step, call.batch.drawn) for call in calls])

    def _tape(
        self, calls: Sequence[ClientForward], inputs: Sequence[Tensor]
    ) -> Iterator[tuple[_Taped, list[int]]]:
        """Forward passes with the places of their calls; stacked if that was chosen, where batches are of one size."""
        if not self.stacks:
            yield from ((self._alone(call, inputs[place]), [place]) for place, call in enumerate(calls))
            return
        of_size: dict[int, list[int]] = {}
        for place, given in enumerate(inputs):
            of_size.setdefault(len(given), []).append(place)
        for size, places in of_size.items():
            n = max(self.most_samples // size, 1)
            for group in (places[first : first + n] for first in range(0, len(places), n)):
                if len(group) == 1 and not self.doubles_lone:
                    yield self._alone(calls[group[0]], inputs[group[0]]), group
                else:
                    yield self._stacked([(calls[place], inputs[place]) for place in group]), group

    def _alone(self, call: ClientForward, inputs: Tensor) -> _Taped:
        tape = self.side.forward(self.head(call.state), inputs, self.seed(call.batch.client, call.batch.step))
        return _Taped((call.batch.key,), tape, is_stacked=False)

    def _stacked(self, group: list[tuple[ClientForward, Tensor]]) -> _Taped:
        if len(group) == 1:
            # A batched product of a single matrix may take another kernel, with other last bits.
            group = group * 2
        columns = zip(*(self.head(call.state).parameters for call, _ in group), strict=True)
        tape = self.side.forward_stacked(
            [torch.stack(column) for column in columns], torch.stack([inputs for _, inputs in group])
        )
        return _Taped(tuple(call.batch.key for call, _ in group), tape, is_stacked=True)

    def _gradients(self, taped: _Taped, calls: Sequence[ClientBackward]) -> list[tuple[Tensor, ...]]:
        """BP of clients whose forward passes were made together."""
        if not taped.is_stacked:
            (call,) = calls
            return [self.side.backward(taped.tape, cut_gradient(call.answer))]
        # Backpropagation frees the graph of all clients in the stack, also of those that are not here.
        taped.is_used = True
        places = [taped.keys.index(call.answer.batch.key) for call in calls]
        given = dict(zip(places, (cut_gradient(call.answer) for call in calls), strict=True))
        # Who is in the stack but does not go back now gets gradient 0, which touches nobody else.
        for place in set(range(len(taped.keys))) - given.keys():
            given[place] = torch.zeros_like(given[places[0]])
        cuts = torch.stack([given[place] for place in range(len(taped.keys))])
        stacked = [gradient.unbind() for gradient in self.side.backward(taped.tape, cuts)]
        return [tuple(gradient[place] for gradient in stacked) for place in places]

    def _step(self, call: ClientBackward, gradients: tuple[Tensor, ...], taped: _Taped) -> Step:
        """The client's step, with what a pass through the last blocks has left, if it has them."""
        batch, buffers = call.answer.batch, taped.tape.buffers
        if batch.tail is not None:
            tail, batch.tail = batch.tail.value, None
            gradients, buffers = (*gradients, *tail.parameters), (*buffers, *tail.buffers)
        adjusted = call.rule.adjust(gradients, call.state.parameters, call.initial.parameters)
        return Step(self.own.get(batch.client, self.side), call.state, adjusted, buffers)


def cut_gradient(answer: Answer) -> Tensor:
    """What arrived from the server, put together; zeros where the client's fate is so."""
    parts = []
    if answer.shared is not None:
        # Shared samples are the first of a batch, so they come first here; a short batch has fewer.
        parts.append(answer.shared.value[: answer.n_shared])
    if answer.own is not None:
        parts.append(answer.own.value)
    whole = torch.cat(parts) if len(parts) > 1 else parts[0]
    return torch.zeros_like(whole) if answer.fate == "zero" else whole
