"""Files of reference cases, as JSON: what a case must have, and everything that is wrong with those that lack it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from gapslsim.documents import json_data
from gapslsim.errors import NetworkError, unknown
from gapslsim.regular_files import read_text
from gapslsim.units import BOUNDS

__all__ = ["ReferenceCase", "ReferenceFlow", "ReferenceLink", "case_of", "read_cases"]

_VERSION: Final = 1
_TOLD: Final = 20

_Name = Annotated[str, Field(min_length=1)]
_Seconds = Annotated[float, Field(ge=0, le=BOUNDS["s"][1])]
_Rate = Annotated[float, Field(ge=0, le=BOUNDS["bit/s"][1])]
_Ends = dict[str, _Seconds]


class _Part(BaseModel):
    """Part of a case; published cases hold further entries, which are not read."""

    model_config = ConfigDict(strict=True, frozen=True)


class ReferenceStep(_Part):
    """A rate from some time on."""

    t_s: _Seconds
    bandwidth_bps: _Rate


class ReferenceLink(_Part):
    """One direction of a link."""

    id: _Name
    bandwidth_bps: _Rate
    latency_s: _Seconds
    shared: bool
    profile: list[ReferenceStep] = []

    @model_validator(mode="after")
    def _times_grow(self) -> Self:
        if any(later.t_s <= step.t_s for step, later in pairwise(self.profile)):
            raise PydanticCustomError("case", "profile: its times do not grow")
        return self


class ReferenceRoute(_Part):
    """The links from one node to another."""

    src: _Name
    dst: _Name
    links: list[_Name]


class ReferenceFlow(_Part):
    """Bytes that are sent at a time, or after others."""

    id: _Name
    src: _Name
    dst: _Name
    bytes: Annotated[float, Field(ge=0, le=BOUNDS["B"][1])]
    start_s: _Seconds
    after: list[_Name] = []
    delay_s: _Seconds = 0.0


class ReferenceTime(_Part):
    """Of a flow in the reference."""

    start_s: _Seconds
    finish_s: _Seconds


class Reference(_Part):
    """Times to be held to: those of a fluid model, or of ns-3 with fluid estimates beside."""

    maxmin: dict[str, ReferenceTime] | None = None
    ns3: dict[str, _Ends] | None = None
    fluid_raw_finish_s: _Ends = {}
    fluid_overhead_finish_s: _Ends = {}
    fluid_overhead_handshake_finish_s: _Ends = {}

    def of_flows(self) -> Iterator[tuple[str, Mapping[str, object]]]:
        """Everything that has a time for each flow, by name."""
        if self.maxmin is not None:
            yield "maxmin", self.maxmin
        if self.ns3 is not None:
            for name in (
                "fluid_raw_finish_s",
                "fluid_overhead_finish_s",
                "fluid_overhead_handshake_finish_s",
            ):
                yield name, getattr(self, name)
            yield from ((f"ns3.{variant}", ends) for variant, ends in self.ns3.items())


class ReferenceCase(_Part):
    """Links, routes and flows, with the times that the flows should take."""

    id: _Name
    family: str = ""
    links: list[ReferenceLink]
    routes: list[ReferenceRoute]
    flows: Annotated[list[ReferenceFlow], Field(min_length=1)]
    reference: Reference

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        """Names are given once, and those that are referred to are there."""
        wrong = [*self._doubles(), *self._strangers()]
        if not wrong and self.reference.maxmin is None and self.reference.ns3 is None:
            wrong = ["reference: has neither 'maxmin' nor 'ns3'; give the times that flows should take"]
        if wrong:
            raise PydanticCustomError("case", "{text}", {"text": "; ".join(wrong)})
        return self

    def _doubles(self) -> Iterator[str]:
        names: dict[str, list[str]] = {
            "link": [link.id for link in self.links],
            "flow": [flow.id for flow in self.flows],
            "route": [f"{route.src} -> {route.dst}" for route in self.routes],
        }
        for what, given in names.items():
            yield from (f"{what} {name!r} is given twice" for name, n in Counter(given).items() if n > 1)

    def _strangers(self) -> Iterator[str]:
        links, flows = [link.id for link in self.links], {flow.id: flow for flow in self.flows}
        routes = {(route.src, route.dst) for route in self.routes}
        for route in self.routes:
            where = f"route {route.src} -> {route.dst}"
            yield from (
                f"{where}: {unknown('link', name, links)}" for name in route.links if name not in links
            )
        for flow in self.flows:
            if flow.src != flow.dst and (flow.src, flow.dst) not in routes:
                yield f"flow {flow.id!r}: there is no route {flow.src} -> {flow.dst}"
            for name in flow.after:
                if name not in flows:
                    yield f"flow {flow.id!r}: after: {unknown('flow', name, flows)}"
        for what, of_flows in self.reference.of_flows():
            unlike = sorted(flows.keys() ^ of_flows.keys())
            yield from (
                f"reference.{what}: {'lacks' if name in flows else 'has an unknown'} flow {name!r}"
                for name in unlike
            )


def case_of(data: Mapping[str, Any]) -> ReferenceCase:
    """A case from plain values.

    Raises:
        NetworkError: if it is none; names everything that is wrong.
    """
    found = _checked([data])
    return found[0]


def read_cases(path: Path) -> list[ReferenceCase]:
    """The cases of a file.

    Raises:
        NetworkError: if it is no such file, holds no case, or cases are wrong; names every case and entry.
    """
    try:
        document = json_data(read_text(path))
    except (OSError, ValueError, RecursionError) as error:
        raise NetworkError(
            f"{path} cannot be read as JSON: {getattr(error, 'strerror', None) or error}"
        ) from error
    cases = document.get("cases") if isinstance(document, dict) else None
    version = document.get("schema_version") if isinstance(document, dict) else None
    if not isinstance(cases, list) or version != _VERSION:
        raise NetworkError(
            f"{path} holds no reference cases; it needs schema_version {_VERSION} (found {version!r}) and a list "
            "`cases`."
        )
    if not cases:
        raise NetworkError(f"{path} holds no case: its list `cases` is empty, so there is nothing to check.")
    return _checked(cases, f"{path}: ")


def _checked(cases: Iterable[Any], front: str = "") -> list[ReferenceCase]:
    found: dict[str, ReferenceCase] = {}
    wrong: list[str] = []
    for number, data in enumerate(cases):
        own = data.get("id") if isinstance(data, dict) else None
        place = f"{front}case {own if isinstance(own, str) and own else number}"
        try:
            case = ReferenceCase.model_validate(data)
        except ValidationError as error:
            wrong += [f"{place}: {_words(item)}" for item in error.errors(include_url=False)]
            continue
        if case.id in found:
            wrong.append(f"{place}: is given twice; give every case an id of its own")
        found[case.id] = case
    if wrong:
        more = [f"... and {len(wrong) - _TOLD} more"] if len(wrong) > _TOLD else []
        raise NetworkError("\n".join([*wrong[:_TOLD], *more]))
    return list(found.values())


def _words(item: Any) -> str:
    where, message = ".".join(map(str, item["loc"])), str(item["msg"])
    if item["type"] == "missing":
        return f"{where}: is missing"
    if item["type"] in ("model_type", "dict_type"):
        message = "must be a mapping"
    found = "" if item["type"] == "case" else f", found {str(item['input'])[:60]!r}"
    return ": ".join(filter(None, (where, message))) + found
