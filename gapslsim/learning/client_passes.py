"""Forward and backward passes of the client side: one client at a time, or several small models side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gapslsim.learning.calls import ClientBackward, ClientForward
from gapslsim.learning.messages import Smashed
from gapslsim.learning.state import SideState
from gapslsim.learning.tensors import Side, Tape

__all__ = ["ClientPasses"]


@dataclass(frozen=True, eq=False)
class _Taped:
    """Forward passes that were made together, until one of their clients goes back."""

    keys: tuple[str, ...]
    """Of each pass."""
    tape: Tape
    is_stacked: bool

    def outputs(self) -> Sequence[Tensor]:
        """The output of each pass."""
        output = self.tape.output.detach()
        return output.unbind() if self.is_stacked else (output,)


class ClientPasses:
    """Passes of the client side, with the tapes that wait for their backward pass.

    Passes are stacked where that was chosen, whoever takes part: a lone pass goes beside itself. So a client's numbers
    do not depend on which clients are computed together with it, for instance after a replay.

    Args:
        side: the layers before the cut.
        batches: of each (client, step), inputs [b, ...] and labels [b].
        seed: (client, step) to the seed of the pass (dropout).
        most_samples: samples in passes that are stacked; 0: one client at a time.
    """

    def __init__(
        self,
        side: Side,
        batches: Callable[[Sequence[tuple[int, int]]], list[tuple[Tensor, Tensor]]],
        seed: Callable[[int, int], int],
        most_samples: int,
    ) -> None:
        self._side = side
        self._make_batches = batches
        self._seed = seed
        self._most_samples = most_samples
        self._tapes: dict[int, _Taped] = {}

    @property
    def stacks(self) -> bool:
        """Whether passes of several clients are made together."""
        return self._most_samples > 0

    @property
    def n_tapes(self) -> int:
        """Clients whose forward pass waits for its backward pass."""
        return len(self._tapes)

    def forget(self, clients: Sequence[int]) -> None:
        """Drops the tapes of all but these clients: the others do not train in this round."""
        for absent in self._tapes.keys() - set(clients):
            del self._tapes[absent]

    def forward(self, calls: Sequence[ClientForward]) -> list[Smashed]:
        """FP of each client; the tapes are kept for the backward passes."""
        batches = self._batches(calls)
        smashed: dict[int, Smashed] = {}
        for taped, places in self._tape(calls, [inputs for inputs, _ in batches]):
            for place, output in zip(places, taped.outputs(), strict=False):
                self._tapes[calls[place].client] = taped
                smashed[place] = Smashed(output, batches[place][1])
        return [smashed[place] for place in range(len(calls))]

    def backward(self, calls: Sequence[ClientBackward]) -> list[SideState]:
        """BP of each client and its update; passes whose tape is gone are made again."""
        after = [call.state for call in calls]
        of_tape: dict[_Taped, list[int]] = {}
        lost: list[int] = []
        for place, call in enumerate(calls):
            taped = self._tapes.pop(call.client, None)
            if call.reply.fates[call.client] == "freeze":
                continue
            if taped is not None and call.forward_key in taped.keys:
                of_tape.setdefault(taped, []).append(place)
            else:
                lost.append(place)
        again = [ClientForward(c.forward_key, c.state, c.client, c.step) for c in (calls[i] for i in lost)]
        for taped, places in self._tape(again, [inputs for inputs, _ in self._batches(again)]):
            of_tape[taped] = [lost[place] for place in places]
        for taped, places in of_tape.items():
            states = self._backward(taped, [calls[place] for place in places])
            for place, state in zip(places, states, strict=True):
                after[place] = state
        return after

    def _batches(self, calls: Sequence[ClientForward]) -> list[tuple[Tensor, Tensor]]:
        return self._make_batches([(call.client, call.step) for call in calls])

    def _tape(
        self, calls: Sequence[ClientForward], inputs: Sequence[Tensor]
    ) -> list[tuple[_Taped, list[int]]]:
        """Forward passes with the places of their calls; stacked if that was chosen, where batches are of one size."""
        if not self.stacks:
            return [(self._alone(call, inputs[place]), [place]) for place, call in enumerate(calls)]
        of_size: dict[int, list[int]] = {}
        for place, given in enumerate(inputs):
            of_size.setdefault(len(given), []).append(place)
        made = []
        for size, places in of_size.items():
            n = max(self._most_samples // size, 1)
            for group in (places[first : first + n] for first in range(0, len(places), n)):
                made.append((self._stacked([(calls[place], inputs[place]) for place in group]), group))
        return made

    def _alone(self, call: ClientForward, inputs: Tensor) -> _Taped:
        tape = self._side.forward(call.state, inputs, self._seed(call.client, call.step))
        return _Taped((call.key,), tape, is_stacked=False)

    def _stacked(self, group: list[tuple[ClientForward, Tensor]]) -> _Taped:
        if len(group) == 1:
            group = group * 2
        columns = zip(*(call.state.parameters for call, _ in group), strict=True)
        tape = self._side.forward_stacked(
            [torch.stack(column) for column in columns], torch.stack([inputs for _, inputs in group])
        )
        return _Taped(tuple(call.key for call, _ in group), tape, is_stacked=True)

    def _backward(self, taped: _Taped, calls: Sequence[ClientBackward]) -> list[SideState]:
        """BP and updates of clients whose forward passes were made together."""
        if not taped.is_stacked:
            (call,) = calls
            return [self._updated(call, self._side.backward(taped.tape, _cut_gradient(call)), taped)]
        # Its graph is used up for those who are not here.
        self._tapes = {client: other for client, other in self._tapes.items() if other is not taped}
        places = [taped.keys.index(call.forward_key) for call in calls]
        cuts = torch.zeros_like(taped.tape.output)
        for place, call in zip(places, calls, strict=True):
            cuts[place] = _cut_gradient(call)
        stacked = [gradient.unbind() for gradient in self._side.backward(taped.tape, cuts)]
        return [
            self._updated(call, tuple(gradient[place] for gradient in stacked), taped)
            for place, call in zip(places, calls, strict=True)
        ]

    def _updated(self, call: ClientBackward, gradients: tuple[Tensor, ...], taped: _Taped) -> SideState:
        """The client's state after its step."""
        adjusted = call.rule.adjust(gradients, call.state.parameters, call.initial.parameters)
        return self._side.update(call.state, adjusted, taped.tape.buffers)


def _cut_gradient(call: ClientBackward) -> Tensor:
    """What arrived from the server, put together; zeros where the client's fate is so."""
    reply, client = call.reply, call.client
    parts = []
    if reply.shared is not None:
        parts.append(reply.shared.value[: reply.n_shared[client]])
    if client in reply.own:
        parts.append(reply.own[client].value)
    whole = torch.cat(parts) if len(parts) > 1 else parts[0]
    return torch.zeros_like(whole) if reply.fates[client] == "zero" else whole
