"""The named states of one training, and how far each client and server has come."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from copy import copy
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from weakref import WeakSet

from gapslsim.learning.names import AUXILIARY, CLIENT, SERVER, auxiliary_of, name_of, side_of
from gapslsim.work import Keyed

if TYPE_CHECKING:
    from gapslsim.learning.operation import MiniBatch
    from gapslsim.learning.state import SideState

__all__ = ["RuleMemory", "Snapshot", "States"]


class RuleMemory(NamedTuple):
    """What a server-side rule remembers of the step before."""

    key: str
    """Content key of that step; empty before the first."""
    values: Mapping[str, float] | None
    """None before the first step, and in a dry run."""


class Snapshot(NamedTuple):
    """What a server holds at one moment."""

    states: Mapping[str, Keyed[SideState]]
    memories: Mapping[str, RuleMemory]
    residuals: Mapping[tuple[str, str, str], Keyed[SideState]]


Begin = Callable[[str], "Keyed[SideState] | None"]

_BEGUN: Final = "server as it began"


class _Named(dict[str, "Keyed[SideState]"]):
    """States by name, with what stands for those that were never written."""

    def __init__(self, client: Keyed[SideState] | None, server: Keyed[SideState], begin: Begin) -> None:
        super().__init__({} if client is None else {CLIENT: client})
        self.update({SERVER: server, _BEGUN: server})
        self._begin = begin

    def __missing__(self, name: str) -> Keyed[SideState]:
        return self._begin(name) or self[_BEGUN if (side := side_of(name)) == SERVER else side]


class States:
    """States by name.

    A client that has no state of its own has the common one, `client`, as it is. A server-side copy that was never
    written begins as `server` did: with the initial weights, or those that were installed last.

    Args:
        client: the initial client-side state; None where clients have unlike blocks.
        server: the initial server-side state.
        begin: what a state of a name begins with, if not with one of these.
    """

    def __init__(
        self,
        client: Keyed[SideState] | None,
        server: Keyed[SideState],
        begin: Begin = lambda name: None,
    ) -> None:
        self.samples_seen = 0
        self.server_steps = 0
        self.named: MutableMapping[str, Keyed[SideState]] = _Named(client, server, begin)
        self._begin = begin
        """The states as a mapping, for who asks often; whoever installs weights writes to `States` itself."""
        self._steps: MutableMapping[int, int] = {}
        self._taken: MutableMapping[int, int] = {}
        self._turns: MutableMapping[str, int] = {}
        self._updates: MutableMapping[str, int] = {}
        """Steps that each server-side state has taken."""
        self._memories: MutableMapping[str, RuleMemory] = {}
        self._served_by: MutableMapping[int, str] = {}
        self._relayed_by: MutableMapping[tuple[int, str], str] = {}
        self.residuals: MutableMapping[tuple[str, str, str], Keyed[SideState]] = {}
        """What error feedback keeps of the last message, by sender, receiver and way."""
        self.kept: dict[int, tuple[str, set[int]]] = {}
        """By client, training samples whose smashed data the server keeps, and the key of the state they came from."""
        self.lives: dict[int, int] = {}
        """How often each client has lost its state; without those that have not."""
        self.in_flight: WeakSet[MiniBatch] = WeakSet()
        """Mini-batches that somebody still holds; noted where there is a journal."""
        self._used: list[MiniBatch] | None = None
        """Mini-batches whose backward pass is made; noted in tentative states alone."""

    def __getitem__(self, name: str) -> Keyed[SideState]:
        return self.named[name]

    def __setitem__(self, name: str, state: Keyed[SideState]) -> None:
        self.named[name] = state
        if name == SERVER:
            self.named[_BEGUN] = state

    def __iter__(self) -> Iterator[str]:
        return (name for name in self.named if name != _BEGUN)

    def by_key(self) -> dict[str, Keyed[SideState]]:
        """Every state that a later operation can begin with: what a checkpoint holds.

        What is in flight has begun with earlier ones. Without those a resume would compute all from the start again.
        """
        earlier = [
            state
            for batch in self.in_flight
            if not batch.is_used or batch.is_kept
            for state in (batch.state, *batch.needs)
            if state.deferred is None
            or state.deferred.done  # Else nobody has needed it since the journal was read.
        ]
        return {state.key: state for state in (*self.named.values(), *self.residuals.values(), *earlier)}

    def forget(self, client: int) -> None:
        """A client has lost its state: it has what it began with again, and nothing that is in flight."""
        name = name_of(client)
        self.named[name] = self._begin(name) or self.named[CLIENT]
        if AUXILIARY in self.named:
            self.named[auxiliary_of(client)] = self.named[AUXILIARY]
        for hop in [hop for hop in self.residuals if hop[0] == name]:
            del self.residuals[hop]
        self.lives[client] = self.lives.get(client, 0) + 1

    def snapshot(self, names: Iterable[str] = ()) -> Snapshot:
        """What the server holds: its states, what their rules remember, and the states of these names."""
        kept = [name for name in self if side_of(name) == SERVER]
        residuals = {hop: state for hop, state in self.residuals.items() if side_of(hop[0]) == SERVER}
        states = {name: self.named[name] for name in (*kept, *names)}
        return Snapshot(states, dict(self._memories), residuals)

    def restore(self, snapshot: Snapshot) -> None:
        """Makes what the server holds what it was; copies that are newer begin anew."""
        begun = self.named[_BEGUN]
        for name in [name for name in self if side_of(name) == SERVER]:
            self.named[name] = snapshot.states.get(name) or self._begin(name) or begun
        self.named.update(snapshot.states)
        self._memories = dict(snapshot.memories)
        for hop in [hop for hop in self.residuals if side_of(hop[0]) == SERVER]:
            del self.residuals[hop]
        self.residuals.update(snapshot.residuals)

    def begin_round(self) -> None:
        """Counts the turns of servers anew."""
        self._turns.clear()

    def next_steps(self, client: int, n: int, n_samples: int) -> int:
        """First of the client's next `n` mini-batches, which are now begun, with so many samples in all."""
        step = self._steps.get(client, 0)
        self._taken[client] = self.taken(client) + n_samples
        self._steps[client] = step + n
        return step

    def n_begun(self, client: int) -> int:
        """Mini-batches that a client has begun."""
        return self._steps.get(client, 0)

    def taken(self, client: int) -> int:
        """Samples of its stream that a client's mini-batches have taken."""
        return self._taken.get(client, 0)

    def turn(self, server: str) -> int:
        """Steps that a state of a server or station has taken in this round."""
        return self._turns.get(server, 0)

    def updates(self, server: str) -> int:
        """Steps that a server-side state has taken in all."""
        return self._updates.get(server, 0)

    def rule_memory(self, server: str) -> RuleMemory:
        """What the rule of a server-side state remembers."""
        return self._memories.get(server, RuleMemory("", None))

    def station_of(self, client: int, station: str) -> str:
        """Name of the state of a station that took the client's last mini-batch."""
        return self._relayed_by.get((client, station), station)

    def server_of(self, client: int) -> str:
        """Name of the server-side state that took the client's last mini-batch."""
        return self._served_by.get(client, SERVER)

    def stepped(
        self,
        server: str,
        state: Keyed[SideState],
        clients: Sequence[int],
        n_samples: int,
        memory: RuleMemory,
        n_steps: int = 1,
    ) -> None:
        """Notes a step of a server-side state, or several in a row.

        Args:
            server: its name.
            state: after the step.
            clients: whose mini-batches it took.
            n_samples: in all of them.
            memory: what its rule remembers.
            n_steps: of the optimizer.
        """
        self.named[server] = state
        self._turns[server] = self.turn(server) + 1
        self._updates[server] = self.updates(server) + n_steps
        self._memories[server] = memory
        self.server_steps += n_steps
        self.samples_seen += n_samples
        if server != SERVER or self._served_by:
            self._served_by.update(dict.fromkeys(clients, server))

    def relayed(self, station: str, name: str, state: Keyed[SideState], clients: Sequence[int]) -> None:
        """Notes a step of a station.

        Args:
            station: whose.
            name: of the state: the station's own or a copy.
            state: after the step.
            clients: whose mini-batches it took.
        """
        self.named[name] = state
        self._turns[name] = self.turn(name) + 1
        if name != station:
            self._relayed_by.update({(client, station): name for client in clients})

    def use(self, batch: MiniBatch) -> None:
        """Notes that a mini-batch's backward pass is made.

        Raises:
            ProtocolError: if it was made before.
        """
        batch.use()
        if self._used is not None:
            self._used.append(batch)

    def tentative(self) -> States:
        """These states with room above them: what is written there is not written here."""
        above = copy(self)
        for name in (*_ENTRIES, *_COUNTERS):
            setattr(above, name, ChainMap({}, getattr(self, name)))
        above._used = []
        return above

    def merging(self, above: States) -> Callable[[], None]:
        """Undoes the use of mini-batches, and gives what writes here all that was written above, once.

        Args:
            above: made by `tentative`, with nothing written here since.
        """
        entries = {name: _written(above, name) for name in _ENTRIES}
        counts = {
            name: {key: n - getattr(self, name).get(key, 0) for key, n in _written(above, name).items()}
            for name in _COUNTERS
        }
        n_samples, n_steps = above.samples_seen - self.samples_seen, above.server_steps - self.server_steps
        used = above._used or []
        for batch in used:
            batch.is_used = False

        def merge() -> None:
            for name, written in entries.items():
                getattr(self, name).update(written)
            for name, added in counts.items():
                counter = getattr(self, name)
                counter.update({key: counter.get(key, 0) + n for key, n in added.items()})
            self.samples_seen += n_samples
            self.server_steps += n_steps
            for batch in used:
                batch.use()

        return merge


_ENTRIES, _COUNTERS = (
    ("named", "_memories", "_served_by", "_relayed_by", "residuals"),
    ("_steps", "_taken", "_turns", "_updates"),
)


def _written(above: States, name: str) -> dict[Any, Any]:
    """What was written above the states below."""
    written: dict[Any, Any] = getattr(above, name).maps[0]
    return written
