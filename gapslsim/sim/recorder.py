"""Collects what happened and when; fills the time of every client without gap or overlap."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from gapslsim.records import AttendanceRow, SpanRow
from gapslsim.sim.timeline import Timeline
from gapslsim.tables.rows import Chunk, Rows
from gapslsim.tables.span_sums import SpanSums

__all__ = ["Recorder"]


class Recorder:
    """Spans of all actors. A client's idle time becomes `waiting` spans, so that its phases sum to elapsed time.

    What a client does is announced with `begin`, so that time is idle only while nothing of it goes on: it may compute
    while a gradient is under way. Of such time each span says how much others account for already (`overlap_s`).

    Args:
        idle_w: power that each client draws while it waits [W].
    """

    def __init__(self, idle_w: Sequence[float]) -> None:
        self.round = 0
        self.rows = Rows(SpanRow)
        """The spans, in the order in which they ended."""
        self.sums = SpanSums(self.rows)
        self.servers: set[str] = set()
        """Names of the servers that have computed."""
        self.attendance = Rows(AttendanceRow)
        """What became of each client's part in what was gathered."""
        self._idle_w = idle_w
        self._filled_until: dict[int, float] = {}
        self._going: dict[int, int] = {}
        """How many things each client does now; without those that do nothing."""
        self._idle_until: dict[int, float] = {}
        """When each of them began the first."""
        self._covered: dict[int, list[tuple[float, float]]] = {}
        """Stretches that spans account for, since the client was last idle; kept where several things go on."""
        self._tails: dict[int, tuple[float, float, float]] = {}
        """From when until when each radio is awake behind a transfer, and what that takes beyond idle power [W]."""
        self._names: dict[int, str] = {}
        self.away: Callable[[int, float, float], Sequence[tuple[float, float]]] | None = None
        """Stretches of a time that has passed in which a client was away; None where all are always there."""
        self._timeline = Timeline(self.rows)
        self._sizes: dict[str, int] = {}
        self._energy_j = 0.0
        self._n_tallied = 0
        """How many of the recent rows are in these two."""
        self.rows.when_folded.append(self._folds)

    @property
    def spans(self) -> list[SpanRow]:
        """The spans with their names."""
        return list(self.rows)

    def begin(self, now_s: float, *clients: int | None) -> None:
        """Announces a span of each client; until now it was waiting if nothing else goes on. None stands for nobody."""
        going = self._going
        for client in clients:
            if client in going:
                going[client] += 1
            elif client is not None:
                self._idle_until[client] = now_s
                going[client] = 1

    def client_span(
        self,
        client: int,
        phase: str,
        start_s: float,
        end_s: float,
        power_w: float,
        size_bytes: int = 0,
        work_flop: float = 0.0,
        extra_j: float = 0.0,
        *,
        goes_on: bool = False,
    ) -> None:
        """Adds what a client did since it was announced.

        Args:
            client: its index.
            phase: name of the span.
            start_s: not before it was announced [s].
            end_s: now [s].
            power_w: drawn meanwhile, idle power included [W].
            size_bytes: sent or received.
            work_flop: computed.
            extra_j: energy beside power [J].
            goes_on: another span of the same announcement follows.
        """
        since_s = self._idle_until[client]
        if since_s > self._filled_until.get(client, 0.0):
            self._wait(client, since_s)
        name = self._names.get(client) or self._name(client)
        energy_j = power_w * (end_s - start_s) + extra_j
        overlap_s = 0.0
        if (
            self._going[client] == 1 and client not in self._covered
        ):  # As a rule: it does one thing at a time.
            self._filled_until[client] = end_s
            if not goes_on:
                del self._going[client]
        else:
            overlap_s = self._cover(client, start_s, end_s)
            if phase != "away":
                energy_j -= self._idle_w[client] * overlap_s  # Idle power is drawn once.
        self.rows.append(
            (name, client, phase, self.round, start_s, end_s, size_bytes, work_flop, energy_j, overlap_s)
        )
        if not goes_on and client in self._covered:
            self.ends(client, end_s)

    def ends(self, client: int, now_s: float) -> None:
        """Takes back what was announced and left no span, such as a computation that was cancelled in the queue."""
        left = self._going[client] - 1
        if left:
            self._going[client] = left
            self._covered.setdefault(client, [])
            return
        del self._going[client]
        covered = self._covered.pop(client, None)
        if covered is None:
            return
        for since_s, until_s in sorted(covered):
            if since_s > self._filled_until.get(client, 0.0):
                self._wait(client, since_s)
            self._filled_until[client] = until_s
        if now_s > self._filled_until.get(client, 0.0):
            self._wait(client, now_s)

    def clients_waited(self, clients: Iterable[int], asked_s: float, start_s: float, end_s: float) -> None:
        """Adds time that clients spent idle for a server, as announced: in its queue, then while it computed."""
        for client in clients:
            for phase, since_s, until_s in (
                ("server_queue", asked_s, start_s),
                ("server_compute", start_s, end_s),
            ):
                for name, from_s, to_s, power_w in self._idle(client, phase, since_s, until_s):
                    self.client_span(client, name, from_s, to_s, power_w, goes_on=True)
            self.ends(client, end_s)

    def server_span(
        self, actor: str, phase: str, start_s: float, end_s: float, power_w: float, work_flop: float
    ) -> None:
        """Adds what a server did; servers may be idle between spans."""
        self.servers.add(actor)
        energy_j = power_w * (end_s - start_s)
        self.rows.append((actor, -1, phase, self.round, start_s, end_s, 0, work_flop, energy_j, 0.0))

    def relay_span(self, actor: str, phase: str, start_s: float, end_s: float, size_bytes: int) -> None:
        """Adds a message between two machines of which none is a client, to what its sender did.

        It takes no energy beside their idle power: machines on cables have no radio.
        """
        self.rows.append((actor, -1, phase, self.round, start_s, end_s, size_bytes, 0.0, 0.0, 0.0))

    def wait_until(self, clients: Iterable[int], now_s: float) -> None:
        """Fills the time of clients with waiting up to now, where nothing of theirs goes on."""
        filled_until, going = self._filled_until.get, self._going
        for client in clients:
            until_s = now_s if client not in going else self._idle_until[client]
            if until_s > filled_until(client, 0.0):
                self._wait(client, until_s)

    def begin_tail(self, client: int, now_s: float, until_s: float, extra_w: float) -> None:
        """A client's radio stays awake, until then at most [s], and takes this beyond idle power [W]."""
        self._tails[client] = now_s, until_s, extra_w

    def end_tail(self, client: int, now_s: float) -> None:
        """Records the tail of a client up to now, if there is one. Other spans account for its time."""
        tail = self._tails.pop(client, None)
        if tail is None or now_s <= tail[0]:
            return
        since_s, until_s, extra_w = tail[0], min(tail[1], now_s), tail[2]
        gone = [] if self.away is None else self.away(client, since_s, until_s)
        name = self._names.get(client) or self._name(client)
        for left_s, back_s in (*gone, (until_s, until_s)):
            if left_s > since_s:
                row = (0, 0.0, extra_w * (left_s - since_s), left_s - since_s)
                self.rows.append((name, client, "radio_tail", self.round, since_s, left_s, *row))
            since_s = back_s

    def cut_tails(self, now_s: float) -> None:
        """Records all tails up to now; what is left of them goes on, and belongs to the next round."""
        for client, (_, until_s, extra_w) in list(self._tails.items()):
            self.end_tail(client, now_s)
            if until_s > now_s:
                self._tails[client] = now_s, until_s, extra_w

    def timeline_sha256(self) -> str:
        """Hash of all spans, independent of the order in which simultaneous ones were written."""
        return self._timeline.sha256()

    def used_since(self) -> tuple[dict[str, int], float]:
        """Bytes by phase and energy [J] of the spans that were written since this was asked last."""
        self._tally()
        used = self._sizes, self._energy_j
        self._sizes, self._energy_j = {}, 0.0
        return used

    def _folds(self, chunk: Chunk) -> None:
        self._tally()
        self._n_tallied = 0

    def _tally(self) -> None:
        sizes, energy_j = self._sizes, self._energy_j
        for row in islice(self.rows.recent, self._n_tallied, None):
            energy_j += row[8]
            if row[6]:
                sizes[row[2]] = sizes.get(row[2], 0) + row[6]
        self._energy_j = energy_j
        self._n_tallied = len(self.rows.recent)

    def _cover(self, client: int, start_s: float, end_s: float) -> float:
        """Notes a span of a client that does several things; returns how much of it earlier ones account for [s]."""
        overlap_s = 0.0
        merged: list[tuple[float, float]] = []
        low, high = start_s, end_s
        for since_s, until_s in self._covered.get(client, ()):
            overlap_s += max(0.0, min(until_s, end_s) - max(since_s, start_s))
            if until_s < low or since_s > high:
                merged.append((since_s, until_s))
            else:
                low, high = min(low, since_s), max(high, until_s)
        self._covered[client] = [*merged, (low, high)]
        return overlap_s

    def _wait(self, client: int, now_s: float) -> None:
        since_s = self._filled_until.get(client, 0.0)
        name = self._names.get(client) or self._name(client)
        for phase, from_s, to_s, power_w in self._idle(client, "waiting", since_s, now_s):
            energy_j = power_w * (to_s - from_s)
            self.rows.append((name, client, phase, self.round, from_s, to_s, 0, 0.0, energy_j, 0.0))
        self._filled_until[client] = now_s

    def _idle(
        self, client: int, phase: str, since_s: float, until_s: float
    ) -> Iterator[tuple[str, float, float, float]]:
        """A time in which a client does nothing, with its power [W]: `phase`, and `away` while it is not there."""
        if self.away is not None and until_s > since_s:
            for left_s, back_s in self.away(client, since_s, until_s):
                if left_s > since_s:
                    yield phase, since_s, left_s, self._idle_w[client]
                yield "away", left_s, back_s, 0.0
                since_s = back_s
        if until_s > since_s:
            yield phase, since_s, until_s, self._idle_w[client]

    def _name(self, client: int) -> str:
        """Name of a client as an actor; the same string in all of its spans."""
        name = self._names[client] = f"client-{client}"
        return name
