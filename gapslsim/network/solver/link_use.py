"""Keeps the load of links over time: one row per interval in which rate, capacity and number of flows stay the same."""

from __future__ import annotations

from collections.abc import Iterable

from gapslsim.network.network import LinkUseRow
from gapslsim.network.solver.flows import Link, load
from gapslsim.tables.rows import Rows

__all__ = ["LinkUse"]


class LinkUse:
    """Rows of link use. Links are named when their load may have changed, and looked at once all has been solved.

    Args:
        record: whether rows are kept; nothing is done otherwise.
    """

    def __init__(self, record: bool) -> None:
        self.rows = Rows(LinkUseRow)
        self._record = record
        self._look: dict[Link, None] = {}
        self._in_use: dict[Link, None] = {}

    def look(self, links: Iterable[Link]) -> None:
        """The load of these links may have changed."""
        if self._record:
            for link in links:
                self._look[link] = None

    def look_around(self, links: Iterable[Link]) -> None:
        """The load of all links may have changed that flows on these links take."""
        if self._record:
            look = self._look
            for own in links:
                for flow in own.flows:
                    for link in flow.links:
                        look[link] = None

    def note(self, now_s: float) -> None:
        """Closes the rows of links whose load has changed and opens new ones."""
        if not self._look:
            return
        for link in self._look:
            if not link.name:  # The cap of one flow, not a link of the network.
                continue
            flows = link.flows
            used = (load(flows), link.capacity, len(flows)) if flows else None
            # Compared only once all is solved: what changes to and fro within an instant makes no row.
            if used != link.used:
                self._close(link, now_s)
                link.used, link.since_s = used, now_s
                if used is None:
                    del self._in_use[link]
                else:
                    self._in_use[link] = None
        self._look.clear()

    def close(self, now_s: float) -> None:
        """Closes the open rows."""
        for link in self._in_use:
            self._close(link, now_s)
            link.since_s = now_s

    def _close(self, link: Link, now_s: float) -> None:
        """Adds the row of a link's load up to now, if it had any for some time."""
        if link.used is not None and now_s > link.since_s:
            self.rows.append((link.name, link.since_s, now_s, *link.used))
