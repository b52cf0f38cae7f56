"""Power rails that a machine measures itself: INA3221 on Jetson boards, nvidia-smi for other GPUs."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from gapslsim.measuring.rails import board_power
from gapslsim.measuring.table import Machine, Measurement, idle_row, load_row

__all__ = ["Meter", "find_meter", "power_rows", "rest", "watched"]

_SYSFS = Path("/sys")
_ROWS = 30
"""Rows of one state at most: samples are averaged in as many parts, so that the table tells the spread."""
_SETTLE_S = 0.5
"""After the start of work or rest, of which no samples are kept."""
_QUERY = ("nvidia-smi", "--query-gpu=power.draw", "--format=csv,noheader,nounits", "-i")


@dataclass(frozen=True)
class Meter:
    """What reads the power of this machine."""

    name: str
    """What is measured, for instance `INA3221, VDD_IN`."""
    read_w: Callable[[], float]
    """The power now [W].

    Raises:
        OSError: if it cannot be read now.
        ValueError: if what is read is no number.
    """
    every_s: float
    """Time between two samples: long enough not to disturb what is timed."""


def find_meter(
    device: str,
    index: int = 0,
    sysfs: Path = _SYSFS,
    query: Callable[[Sequence[str]], str] | None = None,
    wanted: Sequence[str] = (),
) -> Meter | None:
    """The meter of this machine, if it has one that can be read.

    Args:
        device: `cpu` or `cuda`; the board's rails are taken for both, nvidia-smi for `cuda` alone.
        index: of the GPU.
        sysfs: root of the kernel's files.
        query: runs nvidia-smi with these words and gives what it prints.
        wanted: rails to add; by default that of the input, else all.
    """
    rails = _rails(sysfs)
    if rails:
        chosen, _ = board_power(dict.fromkeys(rails, 0.0), wanted)
        found = Meter(f"INA3221, {' + '.join(chosen)}", lambda: sum(rails[name]() for name in chosen), 0.25)
    elif device == "cuda":
        ask = query or _ask
        found = Meter("nvidia-smi, power.draw", lambda: float(ask([*_QUERY, str(index)]).strip()), 1.0)
    else:
        return None
    try:
        return found if found.read_w() > 0 else None
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def _ask(words: Sequence[str]) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=10).stdout


def _rails(sysfs: Path) -> dict[str, Callable[[], float]]:
    """What gives the power of each rail [W]: of hwmon (kernel 5.10 and later), else of iio (L4T r32)."""
    rails: dict[str, Callable[[], float]] = {}
    chips = (*sysfs.glob("class/hwmon/hwmon*"), *sysfs.glob("bus/i2c/drivers/ina3221*/*/hwmon/hwmon*"))
    for chip in sorted({chip.resolve() for chip in chips}):
        if _text(chip / "name").startswith("ina3221"):
            for channel in (1, 2, 3):
                # mV times mA are uW.
                files = chip / f"in{channel}_input", chip / f"curr{channel}_input"
                _add(rails, _text(chip / f"in{channel}_label"), files, 1e-6)
    places = (
        *sysfs.glob("bus/i2c/drivers/ina3221*/*/iio:device*"),
        *sysfs.glob("bus/iio/devices/iio:device*"),
    )
    for chip in sorted({place.resolve() for place in places}) if not rails else ():
        for channel in (0, 1, 2):
            name = _text(chip / f"rail_name_{channel}")
            _add(rails, name, (chip / f"in_power{channel}_input",), 1e-3)
    return rails


def _add(rails: dict[str, Callable[[], float]], name: str, files: Sequence[Path], scale: float) -> None:
    """A rail, if it has a name and files that can be read."""

    def read_w() -> float:
        power = scale
        for file in files:
            power *= float(file.read_text())
        return power

    if name and name != "NC" and all(file.is_file() for file in files):
        rails[name] = read_w


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""


@contextmanager
def watched(meter: Meter | None, settle_s: float = _SETTLE_S) -> Iterator[list[float]]:
    """Samples of a meter, taken beside what goes on in the block; none without a meter."""
    samples: list[float] = []
    done = threading.Event()

    def watch() -> None:
        assert meter is not None
        pause_s = settle_s
        while not done.wait(pause_s):
            pause_s = meter.every_s
            try:
                samples.append(meter.read_w())
            except (OSError, ValueError, subprocess.SubprocessError):
                continue  # a sensor may be busy; the next sample is soon

    if meter is None:
        yield samples
        return
    thread = threading.Thread(target=watch, name="meter", daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        done.set()
        thread.join()


def rest(meter: Meter, seconds: float, sleep: Callable[[float], None] = time.sleep) -> list[float]:
    """Samples of a machine that does nothing."""
    with watched(meter) as samples:
        sleep(seconds)
    return samples


def power_rows(
    machine: Machine, meter: Meter, idle: Sequence[float], load: Sequence[float]
) -> list[Measurement]:
    """Rows of rest and of work with their power; each is the mean of a part of the samples."""
    rows: list[Measurement] = []
    for samples, row in ((idle, idle_row), (load, load_row)):
        n_parts = min(_ROWS, len(samples))
        for part in range(n_parts):
            some = samples[part * len(samples) // n_parts : (part + 1) * len(samples) // n_parts]
            if mean(some) > 0:
                made = row(machine, mean(some), len(some) * meter.every_s)
                rows.append(made._replace(note=meter.name))
    return rows
