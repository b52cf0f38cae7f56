"""Links in the words of Linux's network emulator: `delay 100ms 20ms loss 1% rate 10mbit` (tc-netem(8))."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic_core import ArgsKwargs

from gapslsim.errors import did_you_mean

__all__ = ["expanded", "parse_netem"]

_TIMES: Final = {
    **dict.fromkeys(("s", "sec", "secs"), 1.0),
    **dict.fromkeys(("ms", "msec", "msecs"), 1e-3),
    **dict.fromkeys(("us", "usec", "usecs"), 1e-6),
    **dict.fromkeys(("ns", "nsec", "nsecs"), 1e-9),
}
_SCALES: Final = {
    "": 1,
    "k": 1e3,
    "m": 1e6,
    "g": 1e9,
    "t": 1e12,
    "ki": 2**10,
    "mi": 2**20,
    "gi": 2**30,
    "ti": 2**40,
}
_RATES: Final = {f"{p}bit": s for p, s in _SCALES.items()} | {f"{p}bps": 8 * s for p, s in _SCALES.items()}
"""As tc means them: `mbit` is 10^6 bit/s, and `mbps` is 10^6 bytes per second."""
_DISTRIBUTIONS: Final = ("normal", "uniform", "pareto", "paretonormal")
_REFUSED: Final = {
    "limit": "there are no queues that could be full; leave it out",
    "duplicate": "nothing arrives twice; leave it out",
    "reorder": "messages between two nodes keep their order; leave it out",
    "gap": "messages between two nodes keep their order; leave it out",
    "corrupt": "packets are not damaged; leave it out, or damage messages: faults: [{kind: corruption, ...}]",
    "slot": "packets are not gathered in slots; leave it out",
    "ecn": "no packets are marked; leave it out",
    "seed": "the scenario's seed is that of all random numbers; leave it out",
}
_KEYWORDS: Final = ("delay", "latency", "distribution", "loss", "rate", *_REFUSED)
_NUMBER: Final = re.compile(r"(\d+\.?\d*|\.\d+)([A-Za-z%/]*)")


def parse_netem(line: str) -> dict[str, Any]:
    """What a line says: `latency`, `loss` and `rate`, as they are written in scenarios, those alone that it gives.

    A whole command (`tc qdisc add dev eth0 root netem ...`) is read from `netem` on. Jitter without a distribution is
    uniform, as the kernel draws it (the manual page says normal). Correlations leave the distribution as it is.

    Raises:
        ValueError: for what is no netem, and for what has no meaning here; says what to write.
    """
    words = line.split()
    if "netem" in words:
        words = words[len(words) - words[::-1].index("netem") :]
    said: dict[str, Any] = {}
    delay: list[float] = []
    if not words:
        raise ValueError("says nothing; write, for instance, 'delay 100ms 20ms loss 1% rate 10mbit'")
    while words:
        key = words.pop(0)
        if key in _REFUSED:
            raise ValueError(f"{key}: {_REFUSED[key]}")
        if key in said or (key in ("delay", "latency") and delay):
            raise ValueError(f"{key} is given twice; leave one out")
        if key in ("delay", "latency"):
            delay = [_time_s(_taken(words, key), key)]
            if _is_value(words):
                delay += [
                    _time_s(words.pop(0), "jitter"),
                    _percent(words.pop(0), key) if _is_value(words) else 0.0,
                ]
        elif key == "distribution":
            said[key] = _distribution(_taken(words, key), len(delay) > 1)
        elif key == "loss":
            said[key] = _loss(words)
        elif key == "rate":
            said[key] = f"{_rate(_taken(words, key))!r} bit/s"
        else:
            raise ValueError(f"{key!r} is no word of netem's.{did_you_mean(key, _KEYWORDS)}")
        if _is_value(words):
            raise ValueError(
                f"{words[0]!r} behind {key}: one number too many, or one that has no meaning here"
            )
    kind = said.pop("distribution", "uniform")
    if delay:
        said["latency"] = f"{delay[0]!r} s"
        if len(delay) > 1 and delay[1]:
            mean, jitter = (f"{value!r} s" for value in delay[:2])
            said["latency"] = {"kind": kind, "mean": mean, "jitter": jitter, "correlation": delay[2]}
    return said


def expanded(data: Any, up: str, down: str) -> Any:
    """Settings of a link whose `netem` has become latency, loss and rates; other settings as they are.

    Args:
        data: what a pydantic dataclass gets.
        up: key of the rate up.
        down: key of the rate down.

    Raises:
        ValueError: as `parse_netem`, and if something is given twice; begins with `netem`.
    """
    settings = data.kwargs if isinstance(data, ArgsKwargs) else data
    if not isinstance(settings, Mapping) or settings.get("netem") is None:
        return data
    lines, made = settings["netem"], {key: value for key, value in settings.items() if key != "netem"}
    lines = {"up": lines, "down": lines} if isinstance(lines, str) else lines
    if (
        not isinstance(lines, Mapping)
        or not lines
        or not all(isinstance(line, str) for line in lines.values())
    ):
        raise ValueError("netem: write 'delay 100ms loss 1% rate 10mbit', or {up: '...', down: '...'}")
    if wrong := set(lines) - {"up", "down"}:
        raise ValueError(f"netem: {wrong.pop()!r} is no direction; write up and down")
    found = {way: _parsed(line) for way, line in lines.items()}
    for way, key in (("up", up), ("down", down)):
        rate = found.get(way, {}).get("rate")
        # Both directions of a half-duplex link have one rate, which is given once.
        if rate is not None and not (key == "rate_back" and rate == found.get("up", {}).get("rate")):
            _put(made, key, rate, "a rate")
    for key, none in (("latency", "0 s"), ("loss", None)):
        both = {way: said[key] for way, said in found.items() if said.get(key) is not None}
        if both:
            alike = len(both) == 2 and both["up"] == both["down"]
            _put(made, key, both["up"] if alike else {"up": none, "down": none} | both, f"a {key}")
    return ArgsKwargs(data.args, made) if isinstance(data, ArgsKwargs) else made


def _parsed(line: str) -> dict[str, Any]:
    try:
        return parse_netem(line)
    except ValueError as error:
        raise ValueError(f"netem: {error}; found {line!r}") from error


def _put(made: dict[str, Any], key: str, value: Any, what: str) -> None:
    if made.get(key) is not None:
        raise ValueError(f"netem: it gives {what}, and {key!r} is given too; leave one out")
    made[key] = value


def _is_value(words: list[str]) -> bool:
    return bool(words) and words[0][0] in "0123456789.-+"


def _taken(words: list[str], key: str) -> str:
    if not words:
        raise ValueError(f"{key}: its value is missing")
    return words.pop(0)


def _amount(text: str, units: Mapping[str, float], read: Callable[[str], str], example: str) -> float:
    found = _NUMBER.fullmatch(text)
    unit = found[2].lower() if found else ""
    if found and unit in units:
        return float(found[1]) * units[unit]
    if found and not unit:
        raise ValueError(f"{text!r} has no unit ({read(text)}); write, for instance, {example}")
    raise ValueError(
        f"{text!r} is none of tc's quantities; write, for instance, {example}{did_you_mean(unit, units)}"
    )


def _time_s(text: str, what: str) -> float:
    return _amount(text, _TIMES, lambda number: f"tc would read {what} of {number} us", "100ms")


def _rate(text: str) -> float:
    rate = _amount(text, _RATES, lambda number: f"tc would read {number} bit/s", "10mbit")
    if rate <= 0:
        raise ValueError(f"rate {text}: nothing would ever pass; write more, or leave it out")
    return rate


def _percent(text: str, what: str) -> float:
    found = _NUMBER.fullmatch(text)
    if found is None or found[2] not in ("", "%") or float(found[1]) >= 100:
        raise ValueError(f"{what}: {text!r} is no percentage below 100; write, for instance, 25%")
    return float(found[1]) / 100


def _distribution(name: str, has_jitter: bool) -> str:
    if name not in _DISTRIBUTIONS:
        known = ", ".join(_DISTRIBUTIONS)
        raise ValueError(
            f"there is no distribution {name!r}; known: {known}{did_you_mean(name, _DISTRIBUTIONS)}"
        )
    if not has_jitter:
        raise ValueError(
            "distribution: it needs a jitter before it, for instance 'delay 100ms 20ms distribution normal'"
        )
    return name


def _loss(words: list[str]) -> dict[str, Any] | None:
    model = words.pop(0) if words and words[0] in ("random", "state", "gemodel") else "random"
    if model != "random":
        raise ValueError(
            f"loss {model}: packets are lost each for itself; write 'loss P%' with their share in the long run"
        )
    share = _percent(_taken(words, "loss"), "loss")
    if _is_value(words):
        raise ValueError("loss: packets are lost each for itself; leave the correlation out")
    return {"kind": "tcp", "probability": share} if share else None
