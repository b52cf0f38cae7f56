"""The other end of a link measurement: answers one peer that knows the token, and nobody else."""

from __future__ import annotations

import hmac
import secrets
import selectors
import socket
import time
from collections.abc import Callable
from typing import Final

from gapslsim.errors import NetworkError
from gapslsim.measuring._link_wire import LONGEST_LINE, Wire
from gapslsim.units import whole_number

__all__ = ["LOOPBACK", "serve"]

LOOPBACK: Final = "127.0.0.1"
_GREETING_S: Final = 5.0
"""For who connects to say the token; a scan says something else, or nothing."""
_MOST_WAITING: Final = 64
_LARGEST: Final = 1 << 30
"""Bytes of one transfer at most."""
_MOST_BYTES: Final = 1 << 34
_MOST_REQUESTS: Final = 10_000


def serve(
    port: int,
    *,
    host: str = LOOPBACK,
    token: str = "",
    patience_s: float = 600.0,
    timeout_s: float = 10.0,
    ready: Callable[[int, str], None] = lambda port, token: None,
) -> str:
    """Answers one measurement, then ends.

    Who does not say the token is sent away without an answer, and waited for is on.

    Args:
        port: to listen on; 0 for any free one.
        host: address to listen on; this machine alone reaches it unless given.
        token: that the peer must say; a random one unless given.
        patience_s: when all must have ended, counted from now.
        timeout_s: the longest silence of the peer.
        ready: told the port and the token when listening.

    Returns:
        The peer's address.

    Raises:
        NetworkError: if the port is taken, nobody comes, or the peer breaks off.
    """
    token = token or secrets.token_hex(16)
    deadline_s = time.monotonic() + patience_s
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.create_server((host, port), family=family) as listener:
            ready(listener.getsockname()[1], token)
            connection = _greeted(listener, token.encode(), deadline_s)
        with connection:
            address = connection.getpeername()[0]
            _answer(Wire(connection, timeout_s, deadline_s))
            return str(address)
    except TimeoutError as error:
        raise NetworkError(
            f"--serve: no measurement within {patience_s:g} s, or silent for {timeout_s:g} s; start again."
        ) from error
    except OSError as error:
        raise NetworkError(f"--serve: port {port}: {error}; choose another port, or start again.") from error


def _greeted(listener: socket.socket, token: bytes, deadline_s: float) -> socket.socket:
    """The first connection whose first line is the token; several may be slow to say theirs at the same time."""
    listener.setblocking(False)
    said: dict[socket.socket, tuple[bytes, float]] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)

        def send_away(connection: socket.socket) -> None:
            selector.unregister(connection)
            del said[connection]
            connection.close()

        try:
            while (now_s := time.monotonic()) < deadline_s:
                for late in [one for one, (_, until_s) in said.items() if now_s > until_s]:
                    send_away(late)
                for key, _ in selector.select(min(0.2, deadline_s - now_s)):
                    if key.fileobj is listener:
                        _accept(listener, selector, said)
                        continue
                    connection = key.fileobj
                    assert isinstance(connection, socket.socket)
                    text = said[connection][0] + _read(connection)
                    if hmac.compare_digest(text, b"hello " + token + b"\n"):
                        selector.unregister(connection)
                        del said[connection]
                        connection.setblocking(True)
                        connection.sendall(b".")
                        return connection
                    if not text or text.endswith((b"\n", b"\0")) or len(text) >= LONGEST_LINE:
                        send_away(connection)
                    else:
                        said[connection] = text, said[connection][1]
        finally:
            for connection in list(said):
                send_away(connection)
    raise TimeoutError


def _accept(
    listener: socket.socket, selector: selectors.BaseSelector, said: dict[socket.socket, tuple[bytes, float]]
) -> None:
    try:
        connection, _ = listener.accept()
    except OSError:  # it has gone again
        return
    connection.setblocking(False)
    if len(said) >= _MOST_WAITING:
        connection.close()
        return
    said[connection] = b"", time.monotonic() + _GREETING_S
    selector.register(connection, selectors.EVENT_READ)


def _read(connection: socket.socket) -> bytes:
    """What there is; a NUL, which is in no greeting, where the connection has ended."""
    try:
        return connection.recv(LONGEST_LINE) or b"\0"
    except OSError:
        return b"\0"


def _answer(wire: Wire) -> None:
    left = _MOST_BYTES
    for _ in range(_MOST_REQUESTS):
        verb, _, rest = wire.line().partition(" ")
        size = whole_number(rest) or 0
        if size > min(_LARGEST, left):
            raise NetworkError(f"--serve: the peer asks for {size} bytes; at most {_LARGEST} are served.")
        left -= size
        if verb == "ping":
            wire.say(b".")
        elif verb == "up":
            wire.receive(size)
            wire.say(b".")
        elif verb == "down":
            wire.send(size)
        elif verb in ("end", ""):
            return
        else:
            raise NetworkError(f"--serve: the peer says {verb[:40]!r}; it is no 'gapslsim measure --peer'.")
