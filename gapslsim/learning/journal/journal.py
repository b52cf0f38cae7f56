"""The journal of one training under way: looks up, records, keeps checkpoints within limits, counts what it saved."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gapslsim.errors import JournalError
from gapslsim.learning._observations import Seen, read_record
from gapslsim.learning.journal._checkpoints import Checkpoints, OpenCheckpoint
from gapslsim.learning.journal._frames import CHECKPOINT, OBSERVATION
from gapslsim.learning.journal._own_files import LOCK, TURNS, size_of
from gapslsim.learning.journal._records import RecordFiles
from gapslsim.learning.journal.folder import open_training
from gapslsim.locks import Turns, take
from gapslsim.work import content_key

if TYPE_CHECKING:
    from gapslsim.learning.state import SideState

__all__ = ["Journal", "JournalSettings"]

_AUTO_SHARE: Final = 0.01
_AUTO_LEAST_S: Final = 5.0
_LOSSES: Final = {"losses", "local_losses"}
"""What is compared where an operation is carried out again."""


@dataclass(frozen=True, slots=True)
class JournalSettings:
    """Where a run keeps its journal, and within which limits."""

    directory: Path
    """Of the journal, shared by any number of trainings and processes."""
    checkpoint_every: int | None = None
    """Rounds from one checkpoint to the next; None writes one when the time since the last is 100 times what writing
    it took and at least 5 s, so that checkpoints cost at most 1 % of the run."""
    max_checkpoints: int | None = None
    """How many are kept; the oldest go first. None keeps all within `max_bytes`."""
    max_bytes: int = 4 << 30
    """Of this training's files without its newest checkpoint, which is kept whatever its size: a resume needs it. The
    oldest checkpoints go first, then nothing more is added."""

    def open(self, setup: str, compatibility: dict[str, Any], about: dict[str, Any], device: str) -> Journal:
        """The journal of one training.

        Raises:
            JournalError: if the directory cannot be used.
        """
        return Journal(self, setup, compatibility, about, device)


class Journal:
    """What is known of one training, and what is added to it.

    Args:
        settings: where it is kept, and within which limits.
        setup: content key of the set-up.
        compatibility: see `compatibility`; records made otherwise are never looked at.
        about: name, framework and seed, for `gapslsim journal list`.
        device: torch device that states are read to.

    Raises:
        JournalError: if the directory cannot be used.
    """

    def __init__(
        self,
        settings: JournalSettings,
        setup: str,
        compatibility: dict[str, Any],
        about: dict[str, Any],
        device: str = "cpu",
    ) -> None:
        self._settings = settings
        self.n_replayed = 0
        self.n_computed = 0
        self.n_rebuilt = 0
        """Operations that were known, but computed again to have their values."""
        self.n_differing = 0
        """Those of them that gave other losses than the first time."""
        self.largest_difference = 0.0
        """Of such a loss, relative to the recorded one."""
        self.n_checkpoints = 0
        self.saved_s = 0.0
        """What the replayed operations took when they were computed."""
        self.rebuilt_s = 0.0
        """What it took to rebuild states from checkpoints where the replay ended."""
        self.training, self._messages = open_training(settings.directory, setup, compatibility, about)
        """Where this training is kept."""
        folder = self.training.folder
        # Shared: any number of runs may use a training, but none while it is pruned.
        try:
            hold = take(folder / LOCK, shared=True)
        except OSError as error:
            raise JournalError(f"{folder / LOCK} cannot be used: {error.strerror}.") from error
        if hold is None:
            raise JournalError(f"{folder} is being pruned or verified by another process; try again.")
        self._hold = hold
        if hold.how:
            self._messages.append(f"{folder}: {hold.how}.")
        self._turns = Turns(folder / TURNS)
        self._records = RecordFiles(folder)
        self._checkpoints = Checkpoints(folder, device)
        # Counted once and then kept up to date: a listing per record would cost more than the record.
        self._bytes = size_of(folder)
        self._is_full = False
        self._last_round: int | None = None
        self._last_write = time.perf_counter()
        self._write_took_s = 0.0
        self._learn_of_checkpoints()

    @property
    def messages(self) -> list[str]:
        """What was ignored, torn, damaged or could not be written."""
        differing = []
        if self.n_differing:
            differing = [
                f"{self.training.folder}: {self.n_differing} of {self.n_rebuilt} operations that were computed again "
                f"gave other losses (by {self.largest_difference:.1g} of them at most): results do not repeat bit for "
                "bit here. What was recorded stands; the run went on from what was computed again."
            ]
        return [*self._messages, *self._records.messages, *self._checkpoints.messages, *differing]

    def get(self, key: str, fits: Callable[[Seen], bool] = bool) -> Seen | None:
        """What an operation let us see when it was computed; None if it never was. Counts as replayed.

        Args:
            key: of the operation.
            fits: whether that is what such an operation lets us see; what is not is computed again.
        """
        record = self._known(key, fits)
        if record is not None:
            self.n_replayed += 1
            self.saved_s += record["seconds"]
        return record

    def _known(self, key: str, fits: Callable[[Seen], bool] = bool, look_again: bool = True) -> Seen | None:
        payload = self._records.get(key, look_again=look_again)
        if payload is None:
            return None
        # Only who wrote it could say what is right: it counts as damaged, like a wrong checksum.
        with suppress(ValueError):
            record = read_record(payload)
            if fits(record):
                return record
        told = (
            f"{self.training.folder}: records that hold something else than they should are computed again."
        )
        if told not in self._messages:
            self._messages.append(told)
        return None

    @contextmanager
    def computing(self, wanted: Mapping[str, Callable[[Seen], bool]]) -> Iterator[dict[str, Seen]]:
        """Nobody else computes these operations meanwhile; gives those that others have computed until then."""
        with self._turns.of(int(key[:15], 16) for key in wanted):
            news = self._records.refresh()
            found = {key: self.get(key, fits) for key, fits in wanted.items()} if news else {}
            yield {key: record for key, record in found.items() if record is not None}

    def compare(self, key: str, again: Callable[[], Mapping[str, Any]]) -> None:
        """Counts an operation that was carried out again, and how far its losses are from those recorded, if they are.

        Nothing stops: on another GPU, or one whose kernels do not repeat, the last bit differs, and both are right.
        """
        found = self._known(key, lambda record: bool(_LOSSES & record.keys()), look_again=False)
        if found is None:
            return
        self.n_rebuilt += 1
        before, now = (
            [row.loss for name in _LOSSES & record.keys() for row in record[name]]
            for record in (found, again())
        )
        if before != now:
            self.n_differing += 1
            pairs = zip(before, now, strict=False)
            off = max((abs(a - b) / (abs(a) or 1.0) for a, b in pairs), default=1.0)
            self.largest_difference = max(self.largest_difference, off)

    def put(self, key: str, record: Mapping[str, Any], seconds: float) -> None:
        """Records what an operation that was computed let us see, and how long it took."""
        self.n_computed += 1
        if self._is_full:
            return
        payload = json.dumps({"seconds": round(seconds, 6), **record}, separators=(",", ":")).encode()
        self._append(OBSERVATION, key, payload)

    def holding(self, key: str) -> OpenCheckpoint | None:
        """A sound checkpoint that holds this state."""
        # Other processes may have added some since.
        if self._records.checkpoints:
            self._learn_of_checkpoints()
        return self._checkpoints.holding(key)

    def checkpoint_is_due(self, round: int) -> bool:
        """Whether a checkpoint shall be written at the end of this round."""
        # Round 0 is the initial state, which costs nothing to make again.
        if self._is_full or round == 0:
            return False
        if (every := self._settings.checkpoint_every) is not None:
            return round % every == 0 and round != self._last_round
        waited_s = time.perf_counter() - self._last_write
        return waited_s >= max(_AUTO_LEAST_S, self._write_took_s / _AUTO_SHARE)

    def checkpoint(self, states: Mapping[str, SideState], round: int) -> None:
        """Writes a checkpoint; keeps within the limits by deleting earlier ones."""
        started = time.perf_counter()
        try:
            info = self._checkpoints.write(states, round)
        except OSError as error:
            return self._stop(f"no checkpoint was written ({error.strerror or error})")
        self._bytes += info.size_bytes
        self._checkpoints.add(info)
        self.n_checkpoints += 1
        # After the file is whole: a record never names a checkpoint that was not written. A file without a
        # record is an orphan, which pruning takes.
        self._append(CHECKPOINT, content_key("checkpoint", info.name), info.payload())
        # Then older ones may go: whenever the run is killed, a recorded checkpoint is there.
        self._make_room()
        self._last_round = round
        self._last_write = time.perf_counter()
        self._write_took_s = self._last_write - started

    def summary(self) -> dict[str, Any]:
        """What was replayed, computed and saved, for the run's summary."""
        return {
            "directory": str(self._settings.directory),
            "replayed": self.n_replayed,
            "computed": self.n_computed,
            "rebuilt": self.n_rebuilt,
            "differing": self.n_differing,
            "largest_difference": self.largest_difference,
            "checkpoints": self.n_checkpoints,
            "saved_s": self.saved_s - self.rebuilt_s,
            "rebuilt_s": self.rebuilt_s,
            "messages": self.messages,
        }

    def close(self) -> None:
        """Lets go of every file; the summary can still be had."""
        self._records.close()
        self._turns.close()
        self._hold.release()

    def _make_room(self) -> None:
        """Deletes the oldest checkpoints beyond the limits, never the newest one."""
        *infos, newest = self._checkpoints.infos()
        most = (self._settings.max_checkpoints or len(infos) + 1) - 1
        limit = self._settings.max_bytes + newest.size_bytes
        while infos and (len(infos) > most or self._bytes > limit):
            self._checkpoints.delete(infos[0])
            self._bytes -= infos.pop(0).size_bytes

    def _append(self, kind: int, key: str, payload: bytes) -> None:
        of_checkpoints = sum(info.size_bytes for info in self._checkpoints.infos())
        if self._bytes - of_checkpoints > self._settings.max_bytes:
            return self._stop(f"it has reached its limit of {self._settings.max_bytes} bytes")
        try:
            self._bytes += self._records.put(kind, key, payload)
        except OSError as error:
            self._stop(f"nothing more could be written ({error.strerror or error})")

    def _stop(self, why: str) -> None:
        """The run goes on without adding to the journal."""
        # A journal saves time and is never worth a run: it stops, the training goes on.
        self._is_full = True
        self._messages.append(f"{self.training.folder}: {why}; the rest of this run is not in the journal.")

    def _learn_of_checkpoints(self) -> None:
        for info in self._records.checkpoints:
            self._checkpoints.add(info)
        self._records.checkpoints.clear()
