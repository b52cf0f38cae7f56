"""A client that is there when a user of a measured trace was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from gapslsim.errors import GapslsimError
from gapslsim.network.file_name import FileName, find_file
from gapslsim.registry import component
from gapslsim.sim._presence_traces import UserTrace, read_presence
from gapslsim.sim.availability import Availability, availabilities
from gapslsim.units import Seconds

__all__ = ["PresenceTrace"]


@availabilities.register
@component
class PresenceTrace(Availability):
    """Presence from a file. Client i is user i of the file in the order of names, counted around."""

    kind: Literal["trace"] = "trace"
    file: FileName
    """Path of the file, relative to the scenario or below the folder of public data (`GAPSLSIM_DATA`)."""
    format: Literal["intervals", "fedscale", "flash"] = "intervals"
    """`intervals`: CSV (also .gz) with columns user, start_s, end_s and perhaps kind; `fedscale`: its
    client_behave_trace, JSON or pickle; `flash`: its state traces, JSON, there while charging, idle and on Wi-Fi."""
    of_kind: str | None = None
    """`intervals` only: rows whose column `kind` says so, for instance `charging`; all unless given."""
    loop: bool = True
    """Begin again at the end; otherwise away for ever then."""
    offset: Seconds = 0.0
    """Where in the trace the simulation starts."""
    scale: Annotated[float, Field(ge=1e-6, le=1e6)] = 1.0
    """Factor on all times of the trace, so that days fit into a short run."""

    @property
    def users(self) -> tuple[UserTrace, ...]:
        """What the file holds.

        Raises:
            GapslsimError: if the file is missing or does not have this format.
        """
        return read_presence(find_file(self.file), self.format, self.of_kind)

    def changes(self, client: int, random: np.random.Generator) -> Iterator[tuple[float, bool]]:
        """From the offset on; draws nothing."""
        users = self.users
        user = users[client % len(users)]
        period_s, offset_s = self.scale * user.period_s, self.offset
        lap = int(offset_s // period_s) if self.loop else 0
        there, before_s = False, 0.0
        first = True
        while user.stays:
            for since_s, until_s in user.stays:
                begin_s = self.scale * since_s + lap * period_s - offset_s
                end_s = self.scale * until_s + lap * period_s - offset_s
                if end_s <= 0:
                    continue
                if first:
                    there = begin_s <= 0
                    first = False
                    yield 0.0, there
                    if there:
                        before_s = end_s
                        continue
                if there and begin_s > before_s:  # A stay that ends with the trace may go on in the next lap.
                    yield before_s, False
                    there = False
                if not there:
                    yield begin_s, True
                there, before_s = True, end_s
            lap += 1
            if not self.loop:
                break
        if first:
            yield 0.0, False
        elif there:
            yield before_s, False

    def problems(self) -> list[str]:
        """A file that is missing or of another format."""
        try:
            _ = self.users
        except GapslsimError as error:
            return [str(error)]
        return []
