"""Values that programs stumble over."""

from __future__ import annotations

from random import Random
from typing import Any, Final

__all__ = ["CANARY", "PATHS", "RAW", "SECRET", "TEXTS", "WANTED", "any_value", "number"]

SECRET: Final = "secret.txt"
"""A file beside the inputs that no command was told to read."""
CANARY: Final = "canary-5e1f-do-not-print"
"""What it holds."""

NUMBERS: Final = [
    0, -0.0, 1, -1, 2, 3, 1.5, 255, 65_536, 2**31, 2**32 + 1, 2**53 + 1, 2**63, -(2**63) - 1, 10**30, 1e-300,
    5e-324, 1e16, 1e39, 1e300, 1e308, -1e308, float("inf"), -float("inf"), float("nan"),
]  # fmt: skip

PATHS: Final = [
    f"../{SECRET}", "../fifo", "/dev/zero", "/dev/full", "/dev/stdin", "/proc/self/mem", "/etc/passwd", "..",
    ".", "/", "~", "$HOME", "a\0b", "x" * 300, "missing.yaml", "CON", "http://127.0.0.1:9/x",
    "\\\\host\\share", "in/../..",
]  # fmt: skip

TEXTS: Final = [
    "", " ", "a", "\n", "\t", "\x00", "a\x00b", "\x1b[2J\x1b[31m", "\x7f", "\x85", "a\nb: c", "\u202eabc",
    "é", "\U0001f642", "\ud800", "x" * 5000, "{}", "%s%n", "{0}", "${HOME}", "null", "true", "5", "1_000",
    "0x10", "1e3", "١٢", "=1+1", "=cmd|' /C calc'!A0", "<script>alert(1)</script>", "</title><script>",
    "[bold red]", "[/]", "a.b.c", "a/b", "../../x", "-o", "--help", "1 Mbit/s", "-1 Mbit/s", "1e300 Mbit/s",
    "1e-300 bit/s", "5 parsec", "1e300 s", "nan s", "inf ms", "1 ms 2 ms", "1e309 s", "0 s", "10 rounds",
    "0 rounds", "1e30 rounds", "0.5 rounds", "psl", "gapsl", "sfl", "constant", "trace", "always", "mean",
    "iid", "wifi",
]  # fmt: skip

RAW: Final = [
    "!!python/object/apply:os.system ['touch pwned']", "!!python/name:os.system", "!!binary aGVsbG8=",
    "!!set {a, b}", "!!omap [a: 1]", "!!timestamp 2026-01-01", "2026-01-01", "12:30:45", "0x" + "f" * 100,
    "9" * 5000, "0x" + "f" * 100_000, "1e400", ".nan", "-.inf", "0o17", "&a [*a]", "&b {x: *b}", "*nobody",
    "<<: {a: 1}", "{? [1, 2] : 3}", "{? {a: b} : 3}", "{1: 2}", "{null: 1}", "{true: 1}", "{[a]: b}",
    "[" * 3000, "[" * 200 + "]" * 200, "{a: " * 150 + "1" + "}" * 150, "|\n a\n b", "'unclosed", '"\\ud800"',
    "!unknown x", "%TAG", "? a", "- b", "- - - c", "\x07", "&x [1, &y [2, *x], *y]",
]  # fmt: skip
"""YAML in its own words, put in where a value was."""

WANTED: Final = [
    None,
    True,
    False,
    [],
    {},
    [[]],
    [None],
    [{}],
    {"kind": "x"},
    {"kind": None},
    {"": 1},
    {"a": {"b": [1, {"c": "d"}]}},
]


def number(dice: Random) -> int | float:
    """A number that hurts, or a plain one."""
    return dice.choice(NUMBERS) if dice.random() < 0.8 else dice.randrange(-10, 1000)


def any_value(dice: Random) -> Any:
    """A value for a key of a tree."""
    return dice.choice(
        [
            number(dice),
            number(dice),
            dice.choice(TEXTS),
            dice.choice(TEXTS),
            dice.choice(PATHS),
            dice.choice(WANTED),
        ]
    )
