"""Who owns which blocks of a network: for each client a path of stretches, from its inputs to its loss. Needs no torch.

The usual split network has two stretches, the client's and the server's, cut at one place for all. Here the cut may be
another for each client, the client may own the last blocks as well (U-shape), and stations may lie between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final, NamedTuple

from gapslsim.errors import ProtocolError
from gapslsim.units import whole_number

__all__ = ["OF_CLIENT", "OF_SERVER", "Path", "Range", "Segments", "Stretch", "two_parts"]

OF_CLIENT: Final = "client"
"""Owner of what lies on the client whose path it is."""
OF_SERVER: Final = "server"
"""Owner of what lies on the training server."""


class Range(NamedTuple):
    """Blocks `first` to `last - 1`."""

    first: int
    last: int

    def holds(self, others: Range) -> bool:
        """Whether all of the others are among these."""
        return self.first <= others.first and others.last <= self.last


class Stretch(NamedTuple):
    """A row of blocks with one owner: `client`, `server`, or the name of a station's state."""

    owner: str
    first: int
    last: int

    @property
    def blocks(self) -> Range:
        """Which blocks these are."""
        return Range(self.first, self.last)


Path = tuple[Stretch, ...]
"""Stretches in the order of the forward pass."""


@dataclass(frozen=True, eq=False)
class Segments:
    """The path of each client.

    Args:
        paths: by client; clients that are alike share one object.

    Raises:
        ValueError: if a path leaves a block out, gives it to two, or does not begin at the client.
    """

    paths: tuple[Path, ...]

    def __post_init__(self) -> None:
        ends = set()
        for path in set(self.paths):
            if not path or path[0].owner != OF_CLIENT:
                raise ValueError(
                    f"a path begins with blocks of the client, where the data are; found {path}."
                )
            if path[0].first or any(a.last != b.first for a, b in pairwise(path)):
                raise ValueError(f"every block has one owner on a path, without gaps; found {path}.")
            if any(a.owner == b.owner for a, b in pairwise(path)) or any(s.first >= s.last for s in path):
                raise ValueError(f"stretches in a row have several blocks and unlike owners; found {path}.")
            ends.add(path[-1].last)
        if len(ends) != 1:
            raise ValueError(f"all paths end with the last block; found the ends {sorted(ends)}.")

    @property
    def n_blocks(self) -> int:
        """Blocks of the network."""
        return self.paths[0][-1].last

    @cached_property
    def is_two_parts(self) -> bool:
        """Whether client and server are all there is, with the loss on the server; their cuts may be unlike."""
        return all([stretch.owner for stretch in path] == [OF_CLIENT, OF_SERVER] for path in set(self.paths))

    @cached_property
    def bounds(self) -> tuple[int, ...]:
        """Where any path changes its owner, from 0 to the number of blocks."""
        return tuple(sorted({0, *(stretch.last for path in set(self.paths) for stretch in path)}))

    @cached_property
    def owners(self) -> tuple[str, ...]:
        """All but the client, in the order of their first blocks."""
        found = {s.owner: s.first for path in set(self.paths) for s in path if s.owner != OF_CLIENT}
        return tuple(sorted(found, key=lambda owner: (found[owner], owner)))

    @cached_property
    def _of_owner(self) -> dict[str, Range]:
        of = {
            owner: [s for path in set(self.paths) for s in path if s.owner == owner] for owner in self.owners
        }
        return {o: Range(min(s.first for s in its), max(s.last for s in its)) for o, its in of.items()}

    def of_client(self, client: int) -> tuple[Range, ...]:
        """What lies on a client, in order: its head, and its tail if it has one."""
        return tuple(stretch.blocks for stretch in self.paths[client] if stretch.owner == OF_CLIENT)

    def owner_of(self, state: str) -> str | None:
        """The server or station that a state is of, by the longest name; None for a client's."""
        fitting = (own for own in self.owners if state == own or state.startswith(f"{own}-"))
        return max(fitting, key=len, default=None)

    def held(self, state: str) -> tuple[Range, ...]:
        """Blocks of which a state holds the weights, in order.

        A station's state holds all that any path asks of it, and so do its copies, whose names begin as its own. Where
        clients have unlike blocks, no state is common to all of them.

        Args:
            state: `client-3`, `server`, `server-copy-2`, a station's name; any other name is of a client's state.

        Raises:
            ProtocolError: for a state of clients in general, where they are unlike.
        """
        owner = self.owner_of(state)
        if owner is not None:
            return (self._of_owner[owner],)
        kind, _, index = state.partition("-")
        if kind == OF_CLIENT and (client := whole_number(index)) is not None:
            return self.of_client(client)
        of_all = {self.of_client(client) for client in self._unlike}
        if len(of_all) > 1:
            raise ProtocolError(
                f"the state {state!r} would be common to clients with unlike blocks; give all client groups one cut."
            )
        return next(iter(of_all))

    @cached_property
    def clients_are_alike(self) -> bool:
        """Whether all clients hold the same blocks."""
        return len({self.of_client(client) for client in self._unlike}) == 1

    def cut(self, client: int) -> int:
        """Blocks at the beginning of a client's path that lie on it."""
        return self.paths[client][0].last

    @cached_property
    def _unlike(self) -> tuple[int, ...]:
        """One client of each path."""
        return tuple(self.paths.index(path) for path in dict.fromkeys(self.paths))


def two_parts(cuts: Sequence[int], n_blocks: int) -> Segments:
    """Client and server, cut where each client says.

    Args:
        cuts: blocks on each client.
        n_blocks: of the network.
    """
    of_cut = {
        cut: (Stretch(OF_CLIENT, 0, cut), Stretch(OF_SERVER, cut, n_blocks)) for cut in dict.fromkeys(cuts)
    }
    return Segments(tuple(of_cut[cut] for cut in cuts))
