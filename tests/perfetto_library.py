"""Perfetto's own trace processor, as the shared library that Debian's package `chromium-shell` holds.

PyPI's `perfetto` downloads its `trace_processor_shell` at run time, which a machine without network cannot. Chromium is
built with the same trace processor as `libtest_trace_processor.so` for its tests; this calls it. The layouts of
`std::string` and `std::vector` are those of libc++'s stable ABI on 64-bit little-endian machines.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Final

__all__ = ["PerfettoLibrary", "find_library"]

VARIABLE: Final = "PERFETTO_TRACE_PROCESSOR_LIBRARY"
_USUAL: Final = Path("/usr/lib/chromium/libtest_trace_processor.so")
_CLASS: Final = "_ZN4base4test22TestTraceProcessorImpl"
_PARSE: Final = _CLASS + "10ParseTraceERKNSt3__16vectorIcNS2_9allocatorIcEEEE"
_QUERY: Final = (
    "_ZNK4base4test22TestTraceProcessorImpl12ExecuteQuery"
    "ERKNSt3__112basic_stringIcNS2_11char_traitsIcEENS2_9allocatorIcEEEE"
)
_OBJECT_BYTES: Final = 512
"""More than any of the objects that the library fills needs."""
_ITEM_BYTES: Final = 24
"""Size of a string and of a vector."""
_STATUS_OK: Final = 1
"""What `absl::Status` holds if all is well."""


def find_library() -> Path | None:
    """The library named by the environment variable, or where Debian puts it; None if there is none."""
    named = os.environ.get(VARIABLE)
    place = Path(named) if named else _USUAL
    return place if place.is_file() else None


class PerfettoLibrary:
    """One trace in Perfetto's trace processor, to be asked in its SQL."""

    def __init__(self, library: Path, trace: bytes) -> None:
        """Loads a trace.

        Raises:
            ValueError: if Perfetto refuses it.
        """
        loaded = ctypes.CDLL(str(library))
        self._query = loaded[_QUERY]
        self._this = ctypes.create_string_buffer(_OBJECT_BYTES)
        loaded[_CLASS + "C1Ev"](self._this)
        self._trace = ctypes.create_string_buffer(trace, len(trace))
        begin = ctypes.addressof(self._trace)
        vector = (ctypes.c_uint64 * 3)(begin, begin + len(trace), begin + len(trace))
        status = ctypes.create_string_buffer(_OBJECT_BYTES)
        loaded[_PARSE](status, self._this, vector)
        if _word(ctypes.addressof(status)) != _STATUS_OK:
            raise ValueError("Perfetto's trace processor refuses the trace")

    def query(self, sql: str) -> list[list[str]]:
        """Rows of text, the first with the names of the columns.

        Raises:
            ValueError: if the query fails, with Perfetto's words.
        """
        text = ctypes.create_string_buffer(sql.encode())
        string = (ctypes.c_uint64 * 3)((len(sql.encode()) + 1) | 1, len(sql.encode()), ctypes.addressof(text))
        answer = ctypes.create_string_buffer(_OBJECT_BYTES)
        self._query(answer, self._this, string)
        rows = ctypes.addressof(answer)
        error = _string(rows + _ITEM_BYTES)  # A vector of rows, then the error, empty if there is none.
        if error:
            raise ValueError(f"Perfetto's trace processor refuses the query: {error}")
        return [[_string(cell) for cell in _items(row)] for row in _items(rows)]


def _word(address: int) -> int:
    return ctypes.c_uint64.from_address(address).value


def _items(vector: int) -> range:
    """Addresses of a vector's items, strings or vectors."""
    return range(_word(vector), _word(vector + 8), _ITEM_BYTES)


def _string(address: int) -> str:
    """A long string is (capacity with the lowest bit set, length, pointer), a short one (2 * length, bytes)."""
    first = ctypes.c_uint8.from_address(address).value
    if first & 1:
        return ctypes.string_at(_word(address + 16), _word(address + 8)).decode()
    return ctypes.string_at(address + 1, first >> 1).decode()
