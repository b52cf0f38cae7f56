"""The hash of a timeline, whatever its length: rows that leave memory are sorted first, and merged at the end."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Final
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from gapslsim.tables.rows import Chunk, Rows

__all__ = ["Timeline"]

_ENTRY: Final = np.dtype(
    [("round", "<i8"), ("start_s", "<f8"), ("end_s", "<f8"), ("size_bytes", "<i8")]
    + [(name, "<f8") for name in ("work_flop", "energy_j", "overlap_s")]
)
"""What is hashed of a span besides its track, in the order by which spans of one track are sorted."""
_AT_ONCE: Final = 1 << 18
"""Spans that are hashed together, about."""

_Entries = NDArray[np.void]


@dataclass(frozen=True, slots=True)
class _Sorted:
    """Rows by track (actor and phase), and of each track by round and time."""

    tracks: NDArray[np.int64]
    """Actor and phase of each, as one number of their codes."""
    places: NDArray[np.int64]
    """Where each begins, and where the last ends."""
    entries: _Entries | None
    """None where they lie in the file."""
    begins: int = 0
    """Its place in the file [entries]."""


class Timeline:
    """Hash of all rows of a table of spans, independent of the order in which simultaneous ones were written.

    Rounds of the rows never decrease.

    Args:
        rows: whose fields are those of a `SpanRow`.
    """

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._file: BinaryIO | None = None
        self._runs: list[_Sorted] = []
        self._n_spilled = 0
        rows.when_spilled.append(self._spill)

    def sha256(self) -> str:
        """Of all rows so far."""
        held = self._rows.held()  # Which may spill.
        runs = [*self._runs, self._sorted(held)]
        rank = self._ranks()
        ranks = [rank(run.tracks) for run in runs]
        tracks = np.unique(np.concatenate([run.tracks for run in runs]))
        tracks = tracks[np.argsort(rank(tracks))]
        n_of = np.zeros(len(tracks), np.int64)
        ordered = rank(tracks)
        for own, run in zip(ranks, runs, strict=True):
            n_of[np.searchsorted(ordered, own)] += np.diff(run.places)
        digest = hashlib.sha256()
        for first, last in _portions(n_of):
            cuts = [np.searchsorted(own, [ordered[first], ordered[last] + 1]) for own in ranks]
            bounds = [run.places[cut] for run, cut in zip(runs, cuts, strict=True)]
            parts = (self._read(run, *b) for run, b in zip(runs, bounds, strict=True) if b[1] > b[0])
            if last > first:
                of = [
                    np.repeat(own[a:b], np.diff(run.places[a : b + 1]))
                    for own, run, (a, b) in zip(ranks, runs, cuts, strict=True)
                ]
                heads = np.searchsorted(ordered, np.concatenate(of))
                entries = np.concatenate(list(parts))
                order = _order(heads, entries)
                self._hash(digest, tracks[heads[order]], entries[order])
            else:
                for entries in _by_rounds(parts):
                    self._hash(digest, np.full(len(entries), tracks[first]), entries)
        return digest.hexdigest()

    def _spill(self, chunk: Chunk) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._rows.folder)  # noqa: SIM115
            finalize(self, self._file.close)
        run = self._sorted(chunk)
        assert run.entries is not None
        self._file.seek(0, 2)
        self._file.write(run.entries.data)
        self._runs.append(_Sorted(run.tracks, run.places, None, self._n_spilled))
        self._n_spilled += len(run.entries)

    def _read(self, run: _Sorted, begin: int, end: int) -> _Entries:
        if run.entries is not None:
            return run.entries[begin:end]
        assert self._file is not None
        self._file.seek((run.begins + int(begin)) * _ENTRY.itemsize)
        return np.frombuffer(self._file.read(int(end - begin) * _ENTRY.itemsize), _ENTRY)

    def _sorted(self, chunk: Chunk) -> _Sorted:
        tracks = (chunk["actor"].astype(np.int64) << 32) | chunk["phase"]
        entries = np.empty(len(tracks), _ENTRY)
        for name in _ENTRY.names or ():
            entries[name] = chunk[name]
        order = _order(self._ranks()(tracks), entries)
        tracks = tracks[order]
        firsts = np.flatnonzero(np.r_[True, tracks[1:] != tracks[:-1]][: len(tracks)])
        return _Sorted(tracks[firsts], np.r_[firsts, len(tracks)], entries[order])

    def _ranks(self) -> Any:
        """Gives tracks numbers by which they are sorted as by their names."""
        actor, phase = (_rank_of_codes(list(self._rows.codes[name])) for name in ("actor", "phase"))
        return lambda tracks: (actor[tracks >> 32] << 32) | phase[tracks & 0xFFFFFFFF]

    def _hash(self, digest: Any, tracks: NDArray[np.int64], entries: _Entries) -> None:
        """Adds `actor|phase|round|bytes|` of each, and its numbers as eight bytes each; the overlap if there is any."""
        import pyarrow as pa
        import pyarrow.compute as pc

        actors, phases = (list(self._rows.codes[name]) for name in ("actor", "phase"))
        used, place = np.unique(tracks, return_inverse=True)
        heads = [f"{actors[track >> 32]}|{phases[track & 0xFFFFFFFF]}" for track in used.tolist()]
        numbers = np.stack(
            [entries[n] for n in ("start_s", "end_s", "work_flop", "energy_j", "overlap_s")], axis=1
        )
        is_said = np.ones(numbers.shape, bool)
        is_said[:, 4] = numbers[:, 4] != 0
        places = np.r_[0, np.cumsum(8 * is_said.sum(axis=1))].astype(np.int32)
        packed = pa.Array.from_buffers(
            pa.binary(), len(entries), [None, pa.py_buffer(places), pa.py_buffer(numbers[is_said])]
        )
        texts = [
            pa.array(heads).take(pa.array(place)),
            *(pa.array(entries[n]) for n in ("round", "size_bytes")),
        ]
        joined = pc.binary_join_element_wise(
            *(text.cast(pa.string()).cast(pa.binary()) for text in texts),
            packed,
            pa.scalar(b"|", pa.binary()),
        )
        ends = np.frombuffer(joined.buffers()[1], np.int32)[len(joined)]
        digest.update(joined.buffers()[2].slice(0, int(ends)))


def _rank_of_codes(names: list[str]) -> NDArray[np.int64]:
    ranks = np.empty(len(names), np.int64)
    ranks[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
    return ranks


def _order(heads: NDArray[np.int64], entries: _Entries) -> NDArray[np.int64]:
    """By track, round and time; what is equal in these, which is rare, by all else."""
    keys = [heads, *(entries[name] for name in ("round", "start_s", "end_s"))]
    order = np.lexsort(keys[::-1])
    is_equal = np.ones(max(0, len(order) - 1), bool)
    for key in keys:
        is_equal &= key[order][1:] == key[order][:-1]
    if is_equal.any():
        order = np.lexsort([*(entries[name] for name in reversed(_ENTRY.names or ())), heads])
    return order


def _portions(n_of: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """First and last of neighbours that have no more entries together than are hashed at once; one may have more."""
    first, n = 0, 0
    for place, more in enumerate(n_of.tolist()):
        if n and n + more > _AT_ONCE:
            yield first, place - 1
            first, n = place, 0
        n += more
    if n:
        yield first, len(n_of) - 1


def _by_rounds(parts: Iterator[_Entries]) -> Iterator[_Entries]:
    """Entries of one track, in order: runs follow one another, but the last round of one may go on in the next."""
    left = np.empty(0, _ENTRY)
    for part in parts:
        both = np.concatenate([left, part])
        both = both[_order(np.zeros(len(both), np.int64), both)]
        is_done = both["round"] < both["round"][-1]
        if is_done.any():
            yield both[is_done]
        left = both[~is_done]
    if len(left):
        yield left
