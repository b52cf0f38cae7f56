"""How a client reaches the network, written out or by the name of a preset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from gapslsim.errors import did_you_mean
from gapslsim.network.channel import Channel, channels
from gapslsim.network.latencies.constant import NO_LATENCY
from gapslsim.network.latency import Latency, latencies
from gapslsim.network.link_loss import LinkLoss, link_losses
from gapslsim.network.netem import expanded
from gapslsim.registry import component, describe
from gapslsim.scenario.presets import LINKS

__all__ = ["Link", "NamedLink"]


@component
class Link:
    """Access link of a client."""

    uplink: Annotated[Channel, channels]
    """From the client to the network; `40 Mbit/s` means a constant channel."""
    downlink: Annotated[Channel, channels]
    """From the network to the client; `80 Mbit/s` means a constant channel."""
    latency: Annotated[Latency, latencies] = NO_LATENCY
    """One way: `4 ms`, a latency that varies, or one for each direction (`{up: 4 ms, down: 2 ms}`)."""
    loss: Annotated[LinkLoss, link_losses] | None = None
    """Loss of packets, for instance `1 %`: they are sent again. What the protocol of training loses is a fault."""
    netem: str | dict[str, str] | None = None
    """The same in netem's words: `delay 100ms 20ms loss 1% rate 10mbit`, or `{up: ..., down: ...}`; units are tc's."""

    @model_validator(mode="before")
    @classmethod
    def _in_other_words(cls, data: Any) -> Any:
        return expanded(data, "uplink", "downlink")

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Rates are given, or `netem` may give them."""
        made = handler(schema)
        link = handler.resolve_ref_schema(made)
        describe(cls, link)
        link["anyOf"] = [{"required": link.pop("required")}, {"required": ["netem"]}]
        return made


@dataclass(frozen=True, slots=True)
class _ByName:
    """Marker for pydantic: a link may be given by the name of a preset."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Looks the name up, then reads the link."""
        return core_schema.no_info_before_validator_function(_look_up, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """A mapping or one of the names."""
        return {"anyOf": [handler(schema), {"enum": sorted(LINKS)}]}


NamedLink = Annotated[Link, _ByName()]
"""A link, or the name of a preset such as `lte`."""


def _look_up(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value not in LINKS:
        raise PydanticCustomError(
            "link_unknown",
            "unknown link {value}; known: {known}, or write {uplink: ..., downlink: ...}.{hint}",
            {"value": repr(value), "known": ", ".join(sorted(LINKS)), "hint": did_you_mean(value, LINKS)},
        )
    preset = LINKS[value]
    return {"uplink": preset.uplink, "downlink": preset.downlink, "latency": preset.latency}
