"""Writes a scenario with everything resolved: defaults, presets, bases and overrides, units spelt out."""

from __future__ import annotations

import dataclasses
from typing import Any

import yaml
from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

from gapslsim.documents import Core
from gapslsim.scenario.fields import attribute_of, fields_of
from gapslsim.scenario.schema import Scenario

__all__ = ["dump", "to_dict"]


def dump(scenario: Scenario) -> str:
    """YAML text; `loads(dump(s)) == s`."""
    return yaml.dump(to_dict(scenario), Dumper=_Writer, sort_keys=False, allow_unicode=True, width=100)


def to_dict(scenario: Scenario) -> dict[str, Any]:
    """Plain dicts and lists, quantities with units; what is unset is left out."""
    written: dict[str, Any] = TypeAdapter(Scenario).dump_python(scenario, mode="json", by_alias=True)
    tidy: dict[str, Any] = _tidy(scenario, written)
    return tidy


def _tidy(value: object, written: Any) -> Any:
    if dataclasses.is_dataclass(value) and isinstance(written, dict):
        fields = fields_of(type(value))
        order = sorted(written, key=lambda key: key not in ("kind", "optimizer"))
        kept = {
            key: _tidy(getattr(value, attribute_of(type(value), key), None), written[key]) for key in order
        }
        return {key: inner for key, inner in kept.items() if not _is_unset(inner, fields.get(key))}
    if isinstance(value, (list, tuple)) and isinstance(written, list):
        return [_tidy(item, inner) for item, inner in zip(value, written, strict=True)]
    return written


def _is_unset(written: object, field: FieldInfo | None) -> bool:
    """None, empty text and empty sections, where leaving them out means the same."""
    if field is None or field.is_required():
        return False
    return written == {} or (written in (None, "") and field.default == written)


class _Writer(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Mappings in block style, short lists of scalars in flow style, no anchors. By libyaml where PyYAML has it."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_sequence(
        self, tag: str, sequence: Any, flow_style: bool | None = None
    ) -> yaml.SequenceNode:
        """A list of scalars goes on one line."""
        node: yaml.SequenceNode = super().represent_sequence(tag, sequence, flow_style)
        node.flow_style = all(isinstance(item, yaml.ScalarNode) for item in node.value)
        return node


def _text(writer: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """Text with a line break of Unicode is escaped: PyYAML would write the break, and fold it when it reads."""
    style = '"' if _BREAKS & set(text) else None
    return writer.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_BREAKS = {"\x85", "\u2028", "\u2029"}
_Writer.add_representer(str, _text)
# Text is put in quotes where YAML 1.1 or 1.2 would read something else.
_Writer.yaml_implicit_resolvers = {
    first: yaml.SafeDumper.yaml_implicit_resolvers.get(first, [])
    + Core.yaml_implicit_resolvers.get(first, [])
    for first in {*yaml.SafeDumper.yaml_implicit_resolvers, *Core.yaml_implicit_resolvers}
}
