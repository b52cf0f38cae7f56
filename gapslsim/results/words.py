"""Numbers as people read them: `1 h 02 min`, `12.3 MB`, `48.3 %`. A missing number is a dash."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

__all__ = [
    "MISSING", "accuracy", "at_most", "between", "clock", "computed_on", "energy", "listed", "number", "percent",
    "plain_seconds", "seconds", "share", "size", "titled",
]  # fmt: skip

MISSING: Final = "-"


def seconds(value: float | None) -> str:
    """A duration: `4.56 ms`, `12.3 s`, `5 min 07 s`, `2 h 05 min`."""
    if value is None or not math.isfinite(value):
        return MISSING
    if value == 0:
        return "0 s"
    if value < 1:
        return f"{_three(value * 1e3)} ms"
    if value < 99.95:
        return f"{_three(value)} s"
    whole = round(value)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(value / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def plain_seconds(value: float | None) -> str:
    """A duration in seconds however long, so that durations compare at sight: `12.3 s`, `7530 s`."""
    if value is None or not 1 <= value < math.inf:
        return seconds(value)
    return f"{_three(value)} s"


def between(interval: Mapping[str, float | None] | None, say: Callable[[float | None], str]) -> str:
    """An interval: `18.2 s .. 38.1 s`, each end as `say` writes it; empty if there is none."""
    if interval is None or interval["low"] is None:
        return ""
    return f"{say(interval['low'])} .. {say(interval['high'])}"


def clock(value: float | None) -> str:
    """A wall time for progress: `0:42`, `1:02:03`."""
    if value is None or not math.isfinite(value):
        return MISSING
    whole = round(value)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def size(value: float | None) -> str:
    """An amount of data in powers of 1000: `812 B`, `12.3 MB`."""
    return _prefixed(value, "B", ("", "k", "M", "G", "T", "P"))


def energy(value: float | None) -> str:
    """An energy: `310 mJ`, `12.3 J`, `4.56 kJ`."""
    if value is not None and 0 < value < 0.9995:
        return f"{_three(value * 1e3)} mJ"
    return _prefixed(value, "J", ("", "k", "M", "G", "T"))


def accuracy(value: float | None) -> str:
    """A share of correct answers: `48.3 %`."""
    return MISSING if value is None or not math.isfinite(value) else f"{100 * value:.1f} %"


def percent(target: float) -> str:
    """A target as it was written: `80 %`."""
    return f"{100 * target:.4g} %"


def computed_on(found: Mapping[str, Any] | None) -> str:
    """What computed tensors: `cuda:0 (NVIDIA A100-SXM4-80GB), float32, deterministic`."""
    if found is None:
        return MISSING
    name = f" ({found['name']})" if found.get("name") else ""
    repeats = {None: "", True: ", deterministic", False: ", not deterministic"}[found.get("deterministic")]
    return f"{found['device']}{name}, {found['precision']}{repeats}"


def listed(names: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`; nothing for none."""
    *most, last = list(names) or [""]
    return f"{', '.join(most)} and {last}" if most else last


def share(part: float | None, whole: float | None) -> str:
    """A part of a whole: `12 %`, `<1 %`."""
    if part is None or not whole or not math.isfinite(part) or not math.isfinite(whole):
        return MISSING
    percent = 100 * part / whole
    return "<1 %" if 0 < percent < 0.5 else f"{percent:.0f} %"


def titled(name: str) -> str:
    """A name as a heading: `table1_cifar10-psl` is `Table1 cifar10 psl`."""
    text = name.replace("_", " ").replace("-", " ").strip()
    return text[:1].upper() + text[1:]


def number(value: float | None) -> str:
    """Three significant digits, without needless zeros: `12.5`, `0.3`."""
    return MISSING if value is None or not math.isfinite(value) else f"{value:.3g}"


def at_most(p: float) -> str:
    """A probability that is hoped to be small: `0.03`, `< 0.001`."""
    return "< 0.001" if p < 0.001 else f"{p:.2g}"


def _three(value: float) -> str:
    """Three significant digits, zeros kept: 1.20, 12.0, 120."""
    digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{digits}f}"


def _prefixed(value: float | None, unit: str, prefixes: tuple[str, ...]) -> str:
    if value is None or not math.isfinite(value):
        return MISSING
    if abs(value) < 999.5:
        text = f"{value:.0f}" if float(value).is_integer() else _three(value)
        return f"{text} {prefixes[0]}{unit}"
    for prefix in prefixes[1:]:
        value /= 1000
        if abs(value) < 999.5 or prefix == prefixes[-1]:
            break
    return f"{_three(value)} {prefix}{unit}"
