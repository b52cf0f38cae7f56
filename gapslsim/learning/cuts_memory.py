"""What passes take of memory where clients are cut unlike: those of each cut, put together."""

from __future__ import annotations

from collections import Counter
from functools import cached_property

from gapslsim.learning._limits import Limits
from gapslsim.learning.pass_memory import Client, PassMemory, Server
from gapslsim.learning.setup import LearningSetup

__all__ = ["CutsMemory", "passes_of"]


class CutsMemory:
    """Means over clients of what is counted for each, the largest of what is under way; see `PassMemory`.

    Args:
        setup: model, optimizers, loss.
        batch_size: samples of a mini-batch.
        limits: of the device.
    """

    between_state = 0
    """Of stations: there are none."""

    def __init__(self, setup: LearningSetup, batch_size: int, limits: Limits) -> None:
        self._n = setup.n_clients
        cuts = [setup.cut_of(client) or 0 for client in range(self._n)]
        self._counts = Counter(cuts)
        self._of = {cut: PassMemory(setup, batch_size, limits, cut) for cut in sorted(self._counts)}
        first = self._of[min(self._of)]
        # All that the server holds is what stands behind the first cut.
        self.n_server, self.server_state, self.weights = first.n_server, first.server_state, first.weights
        self.n_outputs, self.n_compared = first.n_outputs, self._of[max(self._of)].n_server
        self.client_state = self._mean({cut: one.client_state for cut, one in self._of.items()})
        self.n_stacked = min(one.n_stacked for one in self._of.values())
        self.n_joined = max(one.n_joined for one in self._of.values())
        self.n_beside = max(one.n_beside for one in self._of.values())

    def _mean(self, of_cut: dict[int, int]) -> float:
        return sum(n * of_cut[cut] for cut, n in self._counts.items()) / self._n

    @property
    def modules(self) -> int:
        """The modules, and copies that the layers of each path make of themselves."""
        return sum(one.modules for one in self._of.values())

    def client(self, n_clients: int) -> Client:
        """Passes of so many clients, as many of each cut as its share."""
        shares = {cut: max(1, round(n_clients * n / self._n)) for cut, n in self._counts.items()}
        made = {cut: self._of[cut].client(n) for cut, n in shares.items()}
        return Client(
            *(round(self._mean({cut: one[place] for cut, one in made.items()})) for place in range(3)),
            *(max(one[place] for one in made.values()) for place in range(3, 6)),
        )

    def server(self, n_batches: int, keeps_rows: bool, second_order: bool) -> Server:
        """The largest pass of the server over mini-batches of one cut."""
        made = [
            one.server(min(n_batches, self._counts[cut]), keeps_rows, second_order)
            for cut, one in self._of.items()
        ]
        return Server(max(one.peak for one in made), max(one.left for one in made))

    @cached_property
    def update(self) -> int:
        """Of all that the server holds."""
        return self._of[min(self._of)].update

    @property
    def local_training(self) -> int:
        """Of the whole model."""
        return self._of[min(self._of)].local_training

    def evaluation(self, batch_size: int) -> int:
        """Through the whole model."""
        return self._of[min(self._of)].evaluation(batch_size)


def passes_of(setup: LearningSetup, batch_size: int, limits: Limits) -> PassMemory | CutsMemory:
    """What measures the passes of a set-up."""
    unlike = setup.segments is not None and not setup.segments.clients_are_alike
    return (CutsMemory if unlike else PassMemory)(setup, batch_size, limits)
