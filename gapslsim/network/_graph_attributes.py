"""What the attributes of links in a graph file mean: by their own name, as the scenario says, or refused."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, Any, Final

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from gapslsim.errors import did_you_mean
from gapslsim.network._graph_files import RawLink
from gapslsim.units import parse_quantity

__all__ = ["FIELDS", "Meaning", "named", "strangers"]

FIELDS: Final = {
    "rate": "bit/s", "rate_back": "bit/s", "latency": "s", "length": "m", "loss": "", "netem": "", "name": "",
    "duplex": "", "shared": "",
}  # fmt: skip
"""What an attribute can be, with the base unit of those that have one. `length` is that of the cable."""
_STRUCTURE: Final = ("id", "key")
"""What formats write at links beside their attributes."""
_LOOKS: Final = {
    "latency": r"lat(ency)?\b|latency|delay",
    "length": r"dist|length|(^|_)km$",
    "rate": r"rate|speed|band|\bbw\b|capac|through|mbps|gbps|kbps",
}
"""Names that a rate, a latency or a length is likely to have."""
_NO_VALUE: Final = r"unit|label|type|note"
_SUFFIX: Final = {
    r"_?ms$": "ms", r"_us$": "us", r"_?kbps$": "kbps", r"_?mbps$": "Mbps", r"_?gbps$": "Gbps", r"raw$|_bps$": "bit/s",
    r"_?km$": "km",
}  # fmt: skip
_USUAL: Final = {"rate": "Mbit/s", "latency": "ms", "length": "km"}


@dataclass(frozen=True)
class _Meaning:
    field: str
    """A key of `FIELDS`; empty: the attribute means nothing here."""
    unit: str
    """Of bare numbers; empty for none."""


def _read(text: str) -> _Meaning:
    name, _, unit = text.partition(" in ")
    name, unit = name.strip(), unit.strip()
    if name == "ignore" and not unit:
        return _Meaning("", "")
    if name not in FIELDS:
        known = [*FIELDS, "ignore"]
        raise ValueError(
            f"{name!r} is nothing of a link; known: {', '.join(known)}.{did_you_mean(name, known)}"
        )
    if unit and not FIELDS[name]:
        raise ValueError(f"{name!r} has no unit; leave 'in {unit}' out")
    if unit:
        parse_quantity(f"1 {unit}", FIELDS[name])
    return _Meaning(name, unit)


def _checked(text: str) -> str:
    try:
        _read(text)
    except ValueError as error:
        raise PydanticCustomError("attribute", "{text}", {"text": str(error)}) from error
    return text


Meaning = Annotated[str, AfterValidator(_checked)]
"""`rate`, `rate in Mbit/s` where the file has bare numbers, `latency in ms`, `length in km`, ..., or `ignore`."""


def _meaning_of(attribute: str, meanings: Mapping[str, str]) -> _Meaning | None:
    """As the scenario says (an exact name before a pattern such as `Link*`), else by the attribute's own name."""
    for said in (*filter(attribute.__eq__, meanings), *(p for p in meanings if fnmatchcase(attribute, p))):
        if said == attribute or attribute not in (*FIELDS, *_STRUCTURE):
            return _read(meanings[said])
    if attribute in FIELDS:
        return _Meaning(attribute, "")
    return _Meaning("", "") if attribute in _STRUCTURE else None


def strangers(links: Iterable[RawLink], meanings: Mapping[str, str]) -> str:
    """What is wrong, with its fix: attributes that nothing reads, or meanings of attributes that are not there."""
    held = {name: value for link in links for name, value in link.attributes.items()}
    unread = {name: value for name, value in held.items() if _meaning_of(name, meanings) is None}
    if unread:
        shown = ", ".join(f"{name!r} ({str(value)[:30]!r})" for name, value in unread.items())
        fix = ", ".join(f"{name}: {_guess(name, value)}" for name, value in unread.items())
        say = f"Say what each is, for instance attributes: {{{fix}}}"
        near = (
            f" Did you mean {field!r}?"
            for field in FIELDS
            if any(field in _guess(*item) for item in unread.items())
        )
        return f"links have attributes that nothing reads: {shown}.{next(near, '')} {say}"
    for said in meanings:
        if said not in held and not any(sign in said for sign in "*?["):
            return f"attributes: no link has {said!r}; they have {', '.join(held) or 'none'}.{did_you_mean(said, held)}"
    return ""


def _guess(name: str, value: object) -> str:
    """What an attribute is likely to be, for messages."""
    small = name.lower()
    for what, looks in {} if re.search(_NO_VALUE, small) else _LOOKS.items():
        if re.search(looks, small) or did_you_mean(small.rpartition(".")[2], [what]):
            units = (unit for suffix, unit in _SUFFIX.items() if re.search(suffix, small))
            return f"{what} in {next(units, _USUAL[what])}" if _is_number(value) else what
    return "ignore"


def _is_number(value: object) -> bool:
    if isinstance(value, bool):
        return False
    try:
        float(str(value))
    except ValueError:
        return False
    return True


def named(link: RawLink, meanings: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Fields of a link as text with units, and the attribute that each came from.

    Raises:
        ValueError: if two attributes are one field.
    """
    fields: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for attribute, value in link.attributes.items():
        meaning = _meaning_of(attribute, meanings)
        if meaning is None or not meaning.field:
            continue
        if meaning.field in fields:
            raise ValueError(
                f"{origin[meaning.field]!r} and {attribute!r} are both its {meaning.field}; say `ignore` of one"
            )
        if meaning.unit and _is_number(value):
            value = f"{value} {meaning.unit}"
        fields[meaning.field], origin[meaning.field] = value, attribute
    return fields, origin
