"""What clients are called where people read: `client-7 (phone-midrange)`, and the group that each is in."""

from __future__ import annotations

import pandas as pd

from gapslsim.units import whole_number

__all__ = ["Names"]


class Names:
    """Names of the clients of one run.

    Args:
        clients: the table `clients`; runs of earlier versions have an empty one, and then `client-7` stays what it is.
    """

    def __init__(self, clients: pd.DataFrame) -> None:
        self.device: dict[int, str] = dict(zip(clients["client"], clients["device"], strict=True))
        """Of each client by number."""
        self._group: dict[int, str] = dict(zip(clients["client"], clients["group"], strict=True))

    def group(self, client: int) -> str:
        """The group of a client; itself where that is not known."""
        return self._group.get(client, f"client-{client}")

    def client(self, client: int) -> str:
        """`client-7 (phone-midrange)`."""
        device = self.device.get(client)
        return f"client-{client} ({device})" if device else f"client-{client}"

    def device_of(self, actor: str) -> str:
        """Device of an actor of the spans; empty for servers, and where it is not known."""
        stem, _, text = actor.rpartition("-")
        number = whole_number(text)
        return self.device.get(number, "") if stem == "client" and number is not None else ""

    def actor(self, actor: str) -> str:
        """An actor of the spans with its device, if it is a client."""
        device = self.device_of(actor)
        return f"{actor} ({device})" if device else actor
