"""A device whose figures come from a profile."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import repeat
from weakref import WeakKeyDictionary

import numpy as np

from gapslsim.errors import ComponentError, did_you_mean
from gapslsim.hardware._fitted_range import furthest_outside
from gapslsim.hardware.cost_model import CostModel
from gapslsim.hardware.device import Device, PowerStates
from gapslsim.hardware.overheads import Overheads
from gapslsim.hardware.profile import Jitter, Mode, Profile
from gapslsim.kernels import Precision
from gapslsim.work import Cost

__all__ = ["ProfiledDevice", "device_of"]

_MOST_AT_A_TIME = 256
"""Normal numbers drawn ahead."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class ProfiledDevice(Device):
    """A kind of device, from its profile; shared by all nodes of that kind, compared by identity."""

    name: str
    ram_bytes: float
    power: PowerStates
    cost_model: CostModel
    spread: Jitter
    profile: Profile = field(repr=False)
    overheads: Overheads = field(default_factory=Overheads, repr=False)
    mode: Mode | None = field(default=None, repr=False)
    """The power mode that it is in; None for the profile's own."""
    outside: list[tuple[float, str]] = field(default_factory=list, init=False, repr=False)
    """Computations outside the fitted range so far: by what factor, and in words."""
    _durations: WeakKeyDictionary[Cost, float] = field(
        default_factory=WeakKeyDictionary, init=False, repr=False
    )

    @property
    def precision(self) -> Precision:
        """Of the products that its rates are for."""
        return (self.mode and self.mode.precision) or self.profile.precision or "float32"

    def duration_s(self, cost: Cost) -> float:
        """Seconds that a computation takes without jitter; memoised by the identity of `cost`."""
        # By identity, weakly: the same few costs are asked for in every round, and die with their run.
        known = self._durations.get(cost)
        if known is None:
            known = self._durations[cost] = self.cost_model.duration_s(cost)
            self._note_range(cost)
        return known

    def _note_range(self, cost: Cost) -> None:
        """Says once how far outside the fitted range the device is used; `outside` keeps the worst so far."""
        calibration = (self.mode and self.mode.calibration) or self.profile.calibration
        if calibration is None or not calibration.fitted_range:
            return
        factor, words = furthest_outside(calibration.fitted_range, (layer for layer, _ in cost.flat()))
        if factor <= 1:
            return
        if not self.outside:
            _log.warning(
                "Device %s is used outside the range in which its profile was fitted: %s. Its times are extrapolated.",
                self.name,
                words,
            )
        self.outside.append((factor, words))

    def jitter(self, random: Callable[[], np.random.Generator]) -> Iterator[float]:
        """Lognormal factors exp(sigma z - sigma^2 / 2), of mean 1; 1, and nothing drawn, for sigma 0."""
        sigma = self.spread.sigma.value
        if sigma == 0:
            yield from repeat(1.0)
        kept = self.spread.correlation.value if self.spread.correlation else 0.0
        new = math.sqrt(1 - kept * kept)
        stream, n = random(), 1
        z = stream.standard_normal() if kept else 0.0  # Stationary from the first.
        while True:  # More at a time the longer it goes on: one at a time takes longer than all the rest.
            for e in stream.standard_normal(n).tolist():
                z = kept * z + new * e
                yield math.exp(sigma * z - sigma * sigma / 2)
            n = min(2 * n, _MOST_AT_A_TIME)


def device_of(profile: Profile, mode: str | None = None) -> ProfiledDevice:
    """The device that a profile describes, in a power mode.

    Raises:
        ComponentError: if the profile has no such mode; lists those it has.
    """
    # A mode replaces whole sections; what a section leaves out was filled in when the file was read.
    changed = None
    if mode is not None:
        if mode not in profile.modes:
            known = ", ".join(f"{profile.name}@{known}" for known in profile.modes)
            raise ComponentError(
                f"Device {profile.name!r} has no mode {mode!r}; "
                f"{f'known: {known}' if known else 'it has none, leave the @ away'}."
                f"{did_you_mean(mode.lower(), profile.modes)}"
            )
        changed = profile.modes[mode]
    power = (changed and changed.power) or profile.power
    cost_model = (changed and changed.cost_model) or profile.cost_model
    if profile.corrections is not None:
        cost_model = profile.corrections.on(cost_model)
    return ProfiledDevice(
        name=profile.name if mode is None else f"{profile.name}@{mode}",
        ram_bytes=((changed and changed.memory) or profile.memory).usable.value,
        power=PowerStates(
            idle_w=power.idle.value,
            compute_w=power.compute.value,
            loading_w=None if power.loading is None else power.loading.value,
            send_w=power.send.value,
            receive_w=power.receive.value,
            send_j_per_bit=power.send_per_bit.value if power.send_per_bit else 0.0,
            receive_j_per_bit=power.receive_per_bit.value if power.receive_per_bit else 0.0,
            tail_w=power.tail.power.value if power.tail else 0.0,
            tail_s=power.tail.duration.value if power.tail else 0.0,
        ),
        cost_model=cost_model,
        spread=(changed and changed.jitter) or profile.jitter,
        overheads=(changed and changed.overheads) or profile.overheads or Overheads(),
        profile=profile,
        mode=changed,
    )
