"""One TCP connection of a link measurement: lines and bodies, with a limit on silence and one on the whole."""

from __future__ import annotations

import socket
import time
from typing import Final

__all__ = ["LONGEST_LINE", "Wire"]

LONGEST_LINE: Final = 64
_CHUNK: Final = 1 << 16


class Wire:
    """Sends and receives what a measurement consists of.

    Args:
        connection: to the peer.
        silence_s: the longest that it may say nothing.
        deadline_s: when the whole must have ended, by `time.monotonic`; a peer may say little for long.
    """

    def __init__(self, connection: socket.socket, silence_s: float, deadline_s: float) -> None:
        self._connection = connection
        self._deadline_s = deadline_s
        connection.settimeout(silence_s)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def say(self, text: bytes) -> None:
        """Sends a few bytes."""
        self._connection.sendall(text)

    def line(self) -> str:
        """The next line; byte by byte, so that nothing of what follows is taken."""
        text = b""
        while len(text) < LONGEST_LINE:
            self._check()
            byte = self._connection.recv(1)
            if byte in (b"", b"\n"):
                break
            text += byte
        return text.decode("ascii", "replace")

    def send(self, size: int) -> None:
        """A body of zeros."""
        chunk = bytes(_CHUNK)
        for begin in range(0, size, _CHUNK):
            self._check()
            self._connection.sendall(chunk[: size - begin])

    def receive(self, size: int) -> None:
        """A body, which is not kept."""
        left = size
        while left > 0:
            self._check()
            got = len(self._connection.recv(min(left, _CHUNK)))
            if got == 0:
                raise ConnectionError("the peer closed the connection")
            left -= got

    def _check(self) -> None:
        # Not a shorter limit per call: to set one is a call of the system, and these calls are timed.
        if time.monotonic() > self._deadline_s:
            raise TimeoutError("the measurement takes too long")
