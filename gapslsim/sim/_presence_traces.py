"""Files of measured presence: readers of the common formats."""

from __future__ import annotations

import math
import pickle
import struct
import zlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from gapslsim.documents import json_data
from gapslsim.errors import DataError
from gapslsim.regular_files import open_regular, read_text
from gapslsim.unpacking import bounded_memory, unpacked

__all__ = ["UserTrace", "read_presence"]

_MOST_BYTES: Final = 1 << 30
"""Of a trace: FLASH's whole recording has some hundred megabytes."""
_SMALL_BYTES: Final = 16 << 20
_MOST_SHARED: Final = 10**6
"""Stays of users who share a list; a small file could else name as many as there is no memory for."""
Stays = tuple[tuple[float, float], ...]


class UserTrace(NamedTuple):
    """When one user was there."""

    stays: Stays
    """(from, until) [s], in order, apart from one another."""
    period_s: float
    """After which the trace begins again."""


@lru_cache(maxsize=16)
def read_presence(path: Path, form: str, state: str | None = None) -> tuple[UserTrace, ...]:
    """Reads a trace, users in the order of their names; cached, since many clients share it.

    Args:
        path: the file.
        form: intervals, fedscale or flash.
        state: `intervals` only: rows whose column `kind` says so; all unless given.

    Raises:
        DataError: if the file does not have this format.
    """
    try:
        found = _READERS[form](path, state)
    except (
        ValueError,
        KeyError,
        IndexError,
        TypeError,
        AttributeError,
        pickle.UnpicklingError,
        EOFError,
        OSError,
        OverflowError,
        MemoryError,
        RecursionError,
        zlib.error,
        struct.error,  # of the unpickler in Python, for a file that is cut short
    ) as error:
        raise DataError(f"{path} is not a trace of presence in the format {form!r}: {error}") from error
    if not any(user.stays for user in found):
        raise DataError(f"{path}: nobody is there at any time; check format, state and columns.")
    return tuple(found)


def _intervals(path: Path, state: str | None) -> list[UserTrace]:
    """CSV, also compressed: a row per stay with the columns user, start_s, end_s and perhaps kind."""
    import pandas as pd

    with unpacked(path) as file:
        table = pd.read_csv(file)
    missing = {"user", "start_s", "end_s"} - set(table.columns)
    if missing:
        raise ValueError(f"it has no column {', '.join(sorted(missing))}")
    if state is not None:
        if "kind" not in table.columns:
            raise ValueError("it has no column kind in which to look for the state")
        known = sorted(set(table["kind"].astype(str)))
        table = table[table["kind"] == state]
        if not len(table):
            raise ValueError(f"its column kind never says {state!r}; it says {', '.join(known)}")
    end_s = float(table["end_s"].max())
    return [
        UserTrace(
            _merged(zip(rows["start_s"].astype(float), rows["end_s"].astype(float), strict=True)), end_s
        )
        for _, rows in table.groupby("user", sort=True)
    ]


def _fedscale(path: Path, _: str | None) -> list[UserTrace]:
    """FedScale's client_behave_trace, JSON or its own pickle: by user, times `active`, `inactive` and `finish_time`."""
    if path.suffix == ".json":
        users = json_data(read_text(path, _MOST_BYTES), _MOST_BYTES)
    else:
        with open_regular(path, _MOST_BYTES) as file:
            # The unpickler in Python would take minutes for a file that is large itself.
            size = path.stat().st_size
            made = _PlainUnpickler if size < _SMALL_BYTES else _LargeUnpickler
            with bounded_memory(path):
                users = made(file).load()
        if sum(len(user["active"]) for user in users.values()) > max(size, _MOST_SHARED):
            raise ValueError("its users share lists; give each its own")
    return [
        UserTrace(
            _merged(zip(map(float, user["active"]), map(float, user["inactive"]), strict=True)),
            float(user["finish_time"]),
        )
        for _, user in sorted(users.items(), key=lambda item: (len(str(item[0])), str(item[0])))
    ]


_FLASH: Mapping[str, tuple[str, bool]] = {
    "battery_charged_on": ("charging", True), "battery_charged_off": ("charging", False),
    "screen_off": ("idle", True), "screen_lock": ("idle", True),
    "screen_on": ("idle", False), "screen_unlock": ("idle", False),
    "wifi": ("wifi", True), "2G": ("wifi", False), "3G": ("wifi", False), "4G": ("wifi", False),
    "5G": ("wifi", False), "Unknown": ("wifi", False), "phone_off": ("charging", False),
}  # fmt: skip
"""What each event of FLASH's state traces says."""


def _flash(path: Path, _: str | None) -> list[UserTrace]:
    """FLASH's state traces, JSON: by user, `messages` with a line per event, `YYYY-MM-DD hh:mm:ss`, tab, event.

    A user is there while the phone charges, is idle and has Wi-Fi, as FLASH and Google's system have it.
    """
    users = json_data(read_text(path, _MOST_BYTES), _MOST_BYTES)
    events = {name: list(_flash_events(user["messages"])) for name, user in users.items()}
    begin_s = min(times[0][0] for times in events.values() if times)
    end_s = max(times[-1][0] for times in events.values() if times)
    found = []
    for name in sorted(events, key=lambda name: (len(name), name)):
        is_so = dict.fromkeys(("charging", "idle", "wifi"), False)
        since_s, stays = math.nan, []
        for time_s, event in sorted(events[name], key=lambda entry: entry[0]):
            if event in _FLASH:
                is_so[_FLASH[event][0]] = _FLASH[event][1]
            if all(is_so.values()) and math.isnan(since_s):
                since_s = time_s
            elif not all(is_so.values()) and not math.isnan(since_s):
                stays.append((since_s - begin_s, time_s - begin_s))
                since_s = math.nan
        found.append(UserTrace(_merged(stays), end_s - begin_s))
    return found


def _flash_events(messages: str) -> Iterable[tuple[float, str]]:
    for line in messages.splitlines():
        stamp, _, event = line.strip().partition("\t")
        if event:
            # As if in UTC: only differences count.
            time = datetime.fromisoformat(f"{stamp.strip()}+00:00")
            yield time.timestamp(), event.strip()


def _merged(stays: Iterable[tuple[float, float]]) -> Stays:
    """In order, those that touch or overlap made one; a stay that began before 0 s begins there."""
    merged: list[tuple[float, float]] = []
    for since_s, until_s in sorted(stays):
        if not (-math.inf < since_s <= until_s < math.inf):
            raise ValueError(
                f"a stay from {since_s!r} s to {until_s!r} s; it must end when it begins or later"
            )
        # People were there already when the recording of a study began.
        since_s = max(since_s, 0.0)
        if merged and since_s <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], until_s))
        elif until_s > since_s:
            merged.append((since_s, until_s))
    return tuple(merged)


class _PlainUnpickler(pickle._Unpickler):
    """Dictionaries, lists, numbers and texts alone: a stranger's pickle may otherwise run anything.

    In Python: that in C makes a table as long as the largest number a file names, of 2**31 entries if it says so.
    """

    def find_class(self, module: str, name: str) -> Any:
        """Refuses every class."""
        raise pickle.UnpicklingError(
            "it holds more than plain data (an object of some class); save it as JSON instead"
        )


class _LargeUnpickler(pickle.Unpickler):
    """The same in C, whose table `bounded_memory` bounds."""

    find_class = _PlainUnpickler.find_class


_READERS = {"intervals": _intervals, "fedscale": _fedscale, "flash": _flash}
