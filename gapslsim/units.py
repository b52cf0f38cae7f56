"""Quantities with units: `40 Mbit/s`, `4 ms`, `2 GiB`, `150 GFLOP/s`.

A bare number where a unit is needed is an error. Values are kept in base units (bit/s, s, byte, FLOP/s, W, J,
Hz, m, dB, dBm, m/s) and written back with a unit. Decimal prefixes are powers of 1000, binary prefixes
(Ki, Mi, Gi) of 1024.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from gapslsim.errors import did_you_mean

__all__ = [
    "BOUNDS", "STRICT_UNITS", "Decibel", "DecibelMilliwatt", "Distance", "Joules", "Power", "Quantity", "Rate",
    "Seconds", "Speed", "StepLength", "example", "format_quantity", "json_schema_of", "parse_quantity", "unit_factor",
    "whole_number",
]  # fmt: skip

STRICT_UNITS: dict[str, str] = {"units": "required"}
"""Validation context of files: `TypeAdapter(T).validate_python(x, context=STRICT_UNITS)` needs units."""

_DECIMAL = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_SMALL = {"n": 1e-9, "u": 1e-6, "µ": 1e-6, "m": 1e-3}
_BINARY = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30}


def _scaled(symbols: tuple[str, ...], prefixes: dict[str, float], factor: float = 1.0) -> dict[str, float]:
    return {prefix + symbol: scale * factor for symbol in symbols for prefix, scale in prefixes.items()}


_UNITS: dict[str, dict[str, float]] = {
    "bit/s": _scaled(("bit/s", "bps"), _DECIMAL) | _scaled(("B/s",), _DECIMAL | _BINARY, 8.0),
    "B/s": _scaled(("B/s",), _DECIMAL | _BINARY),
    "s": _scaled(("s",), {"": 1.0} | _SMALL) | {"min": 60.0, "h": 3600.0},
    "B": _scaled(("B",), _DECIMAL | _BINARY),
    "FLOP/s": _scaled(("FLOP/s", "FLOPS"), _DECIMAL),
    "W": _scaled(("W",), {"m": 1e-3, "": 1.0, "k": 1e3}),
    "J": _scaled(("J",), {"m": 1e-3, "": 1.0, "k": 1e3}) | {"Wh": 3600.0},
    "Hz": _scaled(("Hz",), _DECIMAL),
    "m": {"m": 1.0, "km": 1e3},
    "m/s": {"m/s": 1.0, "km/h": 1000 / 3600},
    "dB": {"dB": 1.0},
    "dBm": {"dBm": 1.0},
}
_EXAMPLE = {
    "bit/s": "40 Mbit/s", "B/s": "3 GB/s", "s": "4 ms", "B": "2 GiB", "FLOP/s": "150 GFLOP/s", "W": "10 W",
    "J": "5 J", "Hz": "100 MHz", "m": "120 m", "m/s": "1.5 m/s", "dB": "7 dB", "dBm": "23 dBm",
}  # fmt: skip
_PATTERN = re.compile(r"^\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?)\s*([A-Za-zµ/]*)\s*$")
_SIGNED = {"dB", "dBm"}
BOUNDS: dict[str, tuple[float, float]] = {
    "bit/s": (1e-3, 1e18), "B/s": (1e-12, 1e18), "s": (1e-30, 1e10), "B": (1e-3, 1e18), "FLOP/s": (1e-12, 1e24),
    "W": (1e-30, 1e12), "J": (1e-30, 1e18), "Hz": (1e-3, 1e18), "m": (1e-30, 1e12), "m/s": (1e-9, 3e8),
    "dB": (0.0, 1e3), "dBm": (0.0, 1e3),
}  # fmt: skip
"""Least (but for zero) and most of each base unit, of both signs. Between them a product or a quotient of a few stays a
number, and times stay far enough from where a float's steps grow beyond a microsecond (1e10 s, 317 years)."""


def whole_number(text: str) -> int | None:
    """A count or an index as people write it, in up to 18 digits; None for what is none.

    `str.isdigit` takes a superscript for a digit too, and `int` fails at it as at some thousand digits.
    """
    text = text.strip()
    return int(text) if len(text) <= 18 and text.isascii() and text.isdigit() else None


def parse_quantity(value: object, unit: str) -> float:
    """Reads `"40 Mbit/s"` as 4e7 for unit `bit/s`.

    Raises:
        ValueError: on a missing or wrong unit, a negative, NaN or infinite value; the message names the fix.
    """
    write = f"write it with its unit, for instance '{_EXAMPLE[unit]}'"
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError(f"{value!r} is not a quantity in {unit}; {write}")
    text = str(value)
    # No quantity is longer, and the pattern takes time that grows with the square of the digits.
    match = _PATTERN.match(text) if len(text) <= 100 else None
    if match is None:
        raise ValueError(f"{value!r:.60} is not a quantity in {unit}; {write}")
    symbol = match[2]
    if not symbol:
        raise ValueError(f"{value!r} has no unit; {write}")
    known = _UNITS[unit]
    if symbol not in known:
        near = {name.lower(): name for name in known}.get(symbol.lower())
        hint = f" Did you mean {near!r}?" if near else did_you_mean(symbol, known)
        raise ValueError(
            f"{symbol!r} is not a unit of {unit}; {write} (known: {', '.join(sorted(known))}).{hint}"
        )
    try:
        result = _times(match[1], known[symbol])
    except OverflowError:
        raise ValueError(f"{value!r} is not finite; {write}") from None
    if result < 0 and unit not in _SIGNED:
        raise ValueError(f"{value!r} is negative; it must be 0 or more, for instance '{_EXAMPLE[unit]}'")
    least, most = BOUNDS[unit]
    if result and not least <= abs(result) <= most:
        rule = f"at most {most:g} {unit}" if abs(result) > most else f"0, or {least:g} {unit} or more"
        raise ValueError(f"{value!r} is no sensible quantity; write {rule}, for instance '{_EXAMPLE[unit]}'")
    return result


def _times(number: str, scale: float) -> float:
    """The float that is nearest to the product."""
    return float(Fraction(number) * Fraction(repr(scale)))


def format_quantity(value: float, unit: str) -> str:
    """Writes 4e7 bit/s as `"40 Mbit/s"`; `parse_quantity` reads exactly the same value back."""
    if unit in ("bit/s", "B/s", "FLOP/s", "Hz", "B"):
        for prefix in ("T", "G", "M", "k"):
            number = f"{value / _DECIMAL[prefix]:.12g}"
            if abs(value) >= _DECIMAL[prefix] and _times(number, _DECIMAL[prefix]) == value:
                return f"{number} {prefix}{unit}"
    if unit == "s" and 0 < value < 1:
        number = f"{value / 1e-3:.12g}"
        if _times(number, 1e-3) == value:
            return f"{number} ms"
    number = repr(float(value))
    return f"{number.removesuffix('.0')} {unit}"


def unit_factor(symbol: str, unit: str) -> float | None:
    """How many of one unit another one is: 1000 for `Mbit/s` in `kbit/s`; None for units of other kinds."""
    if symbol == unit:
        return 1.0
    known = next((of_kind for of_kind in _UNITS.values() if {symbol, unit} <= of_kind.keys()), None)
    return None if known is None else float(Fraction(repr(known[symbol])) / Fraction(repr(known[unit])))


def example(unit: str) -> str:
    """A typical quantity in this base unit, for messages."""
    return _EXAMPLE[unit]


def json_schema_of(unit: str) -> dict[str, Any]:
    """JSON schema of a quantity in this base unit: a string with a pattern and an example."""
    units = "|".join(re.escape(name) for name in sorted(_UNITS[unit]))
    return {
        "type": "string",
        "pattern": rf"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*({units})\s*$",
        "examples": [_EXAMPLE[unit]],
    }


@dataclass(frozen=True, slots=True)
class Quantity:
    """Marker for pydantic: the field is a float in `unit`, given as text with a unit.

    Args:
        unit: base unit, a key of this module's table.
        positive: refuse zero.
        least: refuse what is less.
    """

    unit: str
    positive: bool = False
    least: float | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Text to float and back. A bare number passes from Python code, never from a file (STRICT_UNITS)."""
        python = core_schema.with_info_plain_validator_function(self._read)
        return core_schema.json_or_python_schema(
            json_schema=python,
            python_schema=python,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda value: format_quantity(value, self.unit), when_used="json"
            ),
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """A string with a pattern and an example."""
        return json_schema_of(self.unit)

    def _read(self, value: Any, info: ValidationInfo) -> float:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and not _from_file(info):
            value = f"{float(value)!r} {self.unit}"
        try:
            number = parse_quantity(value, self.unit)
        except ValueError as error:
            raise PydanticCustomError("quantity", "{reason}", {"reason": str(error)}) from error
        if self.positive and number == 0:
            raise PydanticCustomError(
                "quantity",
                "{value} is zero; it must be more, for instance '{example}'",
                {"value": repr(value), "example": _EXAMPLE[self.unit]},
            )
        if self.least is not None and number < self.least:
            raise PydanticCustomError(
                "quantity",
                "{value} is too little; the least is {least}",
                {"value": repr(value), "least": format_quantity(self.least, self.unit)},
            )
        return number


def _from_file(info: ValidationInfo) -> bool:
    return isinstance(info.context, dict) and info.context.get("units") == STRICT_UNITS["units"]


Rate = Annotated[float, Quantity("bit/s")]
"""Data rate [bit/s]."""
StepLength = Annotated[float, Quantity("s", positive=True, least=1e-6)]
"""Duration [s] of a microsecond or more: of what happens again and again, so that time goes on."""
Seconds = Annotated[float, Quantity("s")]
"""Duration [s]."""
Power = Annotated[float, Quantity("W")]
"""Power [W]."""
Joules = Annotated[float, Quantity("J")]
"""Energy [J]."""
Distance = Annotated[float, Quantity("m")]
"""Distance [m]."""
Speed = Annotated[float, Quantity("m/s")]
"""Speed [m/s]."""
Decibel = Annotated[float, Quantity("dB")]
"""Ratio [dB]."""
DecibelMilliwatt = Annotated[float, Quantity("dBm")]
"""Power level [dBm]."""
