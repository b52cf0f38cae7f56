"""What all operations of a learner have in common: the named states, their sizes and costs, evaluation."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from gapslsim.clock_options import ServerClock
from gapslsim.learning._observations import Observations
from gapslsim.learning.costs import OperationCosts
from gapslsim.learning.holdings import Holdings
from gapslsim.learning.hops import Hops
from gapslsim.learning.judging import Judge, Wanted
from gapslsim.learning.names import AUXILIARY, CLIENT, SERVER, name_of, side_of
from gapslsim.learning.operations import Operations
from gapslsim.learning.setup import LearningSetup
from gapslsim.learning.state import SideState
from gapslsim.learning.states import States
from gapslsim.models.segments import OF_CLIENT, OF_SERVER, Segments
from gapslsim.records import StalenessRow
from gapslsim.registry import content_of
from gapslsim.tables.rows import Rows
from gapslsim.work import Keyed, content_key

if TYPE_CHECKING:
    from gapslsim.learning.engine import Engine
    from gapslsim.learning.journal.journal import Journal
    from gapslsim.learning.operation import SmashedData
    from gapslsim.learning.segmented_engine import SegmentedEngine
    from gapslsim.learning.trained import TrainedModels

__all__ = ["LearnerCore", "Shares"]

T = TypeVar("T")
Shares = Literal["uniform", "samples"]
"""Weight of each model in a mean: the same for all, or the number of its client's training samples."""


class LearnerCore:
    """The states of one training and what is asked of them beside operations; see `Learner`."""

    def __init__(
        self,
        setup: LearningSetup,
        engine: Engine | Callable[[], Engine] | None,
        journal: Journal | None = None,
        evaluation_batch: int = 256,
        server_clock: ServerClock | None = None,
        most_joined: int = sys.maxsize,
    ) -> None:
        self.setup = setup
        self.round = 0
        self.measures_geometry = False
        """Whether the geometry of this round's gradients is recorded, where two clients or more take part."""
        self.when_updated: list[Callable[[], None]] = []
        """Called after every update of the server or of averaged models; for the main flow."""
        self._evaluated: tuple[int, list[Keyed[SideState]], list[Keyed[SideState]]] | None = None
        self.staleness_rows = Rows(StalenessRow)
        """What servers took without waiting for all; noted by protocols whose clients do not wait for one another."""
        self._operations = Operations(engine, journal)
        self._keyed = self._operations.keyed
        # Rules are frozen, so each is written out once; not once for all runs, since files may change in between.
        self._settings: Callable[[object], Any] = cache(content_of)
        self._rule_key: Callable[[object], str] = cache(
            lambda rule: content_key("rule", self._settings(rule))
        )
        self._evaluation_batch = evaluation_batch
        self.costs = OperationCosts(setup, server_clock, most_joined)
        self.holdings = Holdings(setup, self.costs)
        """What each state holds and each cut lets pass."""
        shapes = self.holdings.smashed_shape, self.holdings.served_shape
        self._hops = Hops(setup, self._operations, *shapes)
        self._begun: dict[str, Keyed[SideState]] = {}
        common = None if self._cuts_differ else self._initial(CLIENT)
        self.states = States(common, self._initial(SERVER), self._begin)
        """The named states, and how far each client and server has come."""
        if setup.auxiliary is not None:
            self.states[AUXILIARY] = self._initial(AUXILIARY)

    def _initial(self, name: str) -> Keyed[SideState]:
        """What a state begins with: the same value for all that hold the same blocks."""
        setup = self.setup
        if setup.segments is None:
            key = content_key(f"initial_{side_of(name)}", None, setup.key)
        else:
            key = content_key("initial", [side_of(name), setup.segments.held(name)], setup.key)
        if key not in self._begun:
            size_bytes = self.holdings.of(name).size_bytes
            self._begun[key] = self._keyed(key, size_bytes, (), lambda e: e.initial(name))
        return self._begun[key]

    def _begin(self, name: str) -> Keyed[SideState] | None:
        """What a state begins with that is no copy of another: only where blocks have several owners."""
        segments = self.setup.segments
        if segments is None:
            return None
        # What was never written is a copy of the server's state, of a station's, or of the one that all clients have in
        # common.
        owner = segments.owner_of(name)
        if owner not in (None, name, SERVER):
            return self.states[owner]
        if name not in segments.owners and (owner == SERVER or segments.clients_are_alike):
            return None
        return self._initial(name)

    @property
    def _cuts_differ(self) -> bool:
        """Whether clients hold unlike blocks."""
        return self.setup.segments is not None and not self.setup.segments.clients_are_alike

    @property
    def _segments(self) -> Segments:
        """Who owns which blocks, where that is said."""
        assert self.setup.segments is not None
        return self.setup.segments

    def begin_round(self, round: int) -> None:
        """Names the round for the observations and for rules that depend on it; closes the one before."""
        self._operations.end_round(self.round, self.states.by_key)
        self.round = round
        self.states.begin_round()

    def save(self) -> None:
        """Leaves a checkpoint in the journal, if there is one, before a run ends early."""
        if not self._operations.is_dry:
            self._operations.save(self.round, self.states.by_key())

    @property
    def serves_on_arrival(self) -> bool:
        """Whether a server that steps once for all makes each client's passes as its message arrives."""
        return self.costs.server.serves == "on_arrival"

    @property
    def journal(self) -> Journal | None:
        """What is known of this training; None if nothing is recorded."""
        return self._operations.journal

    @property
    def observed(self) -> Observations:
        """What training let us see so far."""
        return self._operations.observed

    @property
    def samples_seen(self) -> int:
        """Training samples that steps of the server, or local steps, have taken."""
        return self.states.samples_seen

    @property
    def server_steps(self) -> int:
        """Updates of server-side models, and of a global model by averaging."""
        return self.states.server_steps

    def frozen_weights(self, client: int, whole: bool) -> Keyed[None] | None:
        """What a client is sent once, before it begins: weights that nobody trains; None if there is nothing to send.

        Args:
            client: who is sent to.
            whole: whether clients hold both sides of the model.
        """
        if not self.setup.sends_frozen:
            return None
        sides = self.holdings.sides(name_of(client)) + (self.holdings.sides(SERVER) if whole else [])
        scale = self.setup.itemsize / 4
        size_bytes = sum(int((side.parameter_bytes - side.trained_bytes) * scale) for side in sides)
        if not size_bytes:
            return None
        return Keyed(content_key("frozen", [whole], self.setup.key), size_bytes)

    def client_state(self, client: int) -> Keyed[SideState]:
        """The client-side model of a client; the common one until it has its own."""
        return self.states[f"client-{client}"]

    @property
    def server_state(self) -> Keyed[SideState]:
        """The server-side model."""
        return self.states[SERVER]

    def staleness(self, smashed: SmashedData, model: str = SERVER) -> int:
        """Updates of a server-side state since the forward pass of a mini-batch."""
        return self.states.updates(model) - smashed.batch.n_updates

    def note_staleness(self, smashed: Iterable[SmashedData], weights: Iterable[float]) -> None:
        """Adds mini-batches that the server's next step takes, or that are dropped (weight 0), to `staleness_rows`."""
        for message, weight in zip(smashed, weights, strict=True):
            batch, step = message.batch, self.states.updates(SERVER) + (weight > 0)
            self.staleness_rows.append(
                StalenessRow(self.round, step, batch.client, batch.step, self.staleness(message), weight)
            )

    def evaluate(self, views: tuple[str, ...], wanted: Wanted = Wanted()) -> None:  # noqa: B008
        """Test accuracy in each view, now; takes no simulated time. Nothing in a dry run.

        Every client's model is paired with the server-side state that took its last mini-batch.

        Args:
            views: of whose models.
            wanted: what is asked for besides.
        """
        if self._operations.is_dry:
            return
        states, each = self.states, range(self.setup.n_clients)
        clients, servers = [states[name_of(c)] for c in each], [states[states.server_of(c)] for c in each]
        if self.setup.segments is not None:
            clients, servers = [self._whole(c) for c in each], [self._nothing] * self.setup.n_clients
        self._evaluated = self.round, clients, servers
        self._judge("evaluate", views, wanted)

    def _whole(self, client: int) -> Keyed[SideState]:
        """A client's whole network, put together from the states along its path."""
        path = self._segments.paths[client]
        own, station_of = (
            {OF_CLIENT: name_of(client), OF_SERVER: self.states.server_of(client)},
            self.states.station_of,
        )
        names = {s.owner: own.get(s.owner) or station_of(client, s.owner) for s in path}
        states = {name: self.states[name] for name in names.values()}
        held = [path, *(state.key for state in states.values())]
        return self._keyed(
            content_key("whole", held),
            0,
            tuple(states.values()),
            lambda e: cast("SegmentedEngine", e).assembled(
                client, {name: state.value for name, state in states.items()}, names
            ),
            light=True,
        )

    @property
    def _nothing(self) -> Keyed[SideState]:
        """What stands after a whole network."""
        nothing = content_key("nothing", None)
        return self._keyed(nothing, 0, (), lambda e: cast("SegmentedEngine", e).nothing, light=True)

    def predict(self, views: tuple[str, ...]) -> None:
        """What the models of the last evaluation say of each test sample. Nothing in a dry run."""
        if self._evaluated is not None:
            self._judge("predict", views, Wanted(predictions=True))

    def _judge(self, operation: str, views: tuple[str, ...], wanted: Wanted) -> None:
        assert self._evaluated is not None
        round, clients, servers = self._evaluated
        needed = {state.key: state for state in (*servers, *clients)}
        settings = [list(views), round, self._evaluation_batch, self.setup.shards_key]
        keys = [[state.key for state in side] for side in (clients, servers)]

        def record(engine: Engine) -> dict[str, Any]:
            of_clients, of_servers = ([state.value for state in side] for side in (clients, servers))
            judge = Judge(wanted, round, self.setup.data.target)
            rows = engine.evaluate(round, of_clients, of_servers, views, judge if judge.record else None)
            return judge.record | ({"accuracies": rows} if operation == "evaluate" else {})

        key = content_key(operation, [*settings, keys, *wanted.key])
        wanted_of = "accuracies" if operation == "evaluate" else "seconds"
        self._operations.observe(key, list(needed.values()), record, lambda found: wanted_of in found)

    def trained(self, compute: bool = False) -> TrainedModels | None:
        """The models as the last evaluation saw them; None without one, as in a dry run.

        Args:
            compute: bring them about where a journal knew the training, so that nothing was computed; else None.
        """
        if self._evaluated is None:
            return None
        from gapslsim.learning.trained import TrainedModels

        sides = self._evaluated[1:]
        if not compute and any(s.deferred and not s.deferred.done for side in sides for s in side):
            return None
        engine, data = self._operations.engine, self.setup.data
        clients, servers = ([state.value for state in side] for side in sides)
        lower, upper = engine.evaluated
        frozen, is_whole = (lower.frozen, upper.frozen), self.setup.segments is not None
        return TrainedModels(
            self.setup.model,
            data.input_shape,
            data.n_classes,
            clients,
            servers,
            engine.criterion,
            frozen,
            is_whole,
        )

    def tentatively(self, call: Callable[[], T]) -> tuple[T, Callable[[], None]]:
        """Carries an operation out now of which nothing is to be seen before it is committed, if it ever is.

        Args:
            call: an operation's `carry_out`.

        Returns:
            Its result, and what makes visible what it leaves: states, steps taken, observations. Counters grow by
            what the operation added, whatever was committed meanwhile.
        """
        states, when_updated = self.states, self.when_updated
        updates: list[None] = []
        tentative = self.states = states.tentative()
        self.when_updated = [lambda: updates.append(None)]
        try:
            with self._operations.aside() as observed:
                result = call()
        finally:
            self.states, self.when_updated = states, when_updated
            merge = states.merging(tentative)

        def commit() -> None:
            merge()
            self._operations.take_over(observed)
            for _ in updates:
                self._updated()

        return result, commit

    def _updated(self) -> None:
        for call in self.when_updated:
            call()

    def shares_of(self, groups: Mapping[str, Collection[int]], shares: Shares) -> dict[str, float]:
        """Weight of groups of clients in the mean over all of their clients; they sum to 1.

        Args:
            groups: clients by name.
            shares: weight of each client.
        """
        clients = tuple(sorted(client for group in groups.values() for client in group))
        of_client = dict(zip(clients, self._shares(clients, shares), strict=True))
        return {name: sum(of_client[client] for client in group) for name, group in groups.items()}

    def _shares(self, clients: tuple[int, ...], shares: Shares) -> list[float]:
        if shares == "uniform":
            return [1 / len(clients)] * len(clients)
        sizes = [len(self.setup.shards[client]) for client in clients]
        return [size / sum(sizes) for size in sizes]
