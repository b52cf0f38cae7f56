"""Swappable components: one file each, found by themselves, validated settings being the component.

A family (for instance `partition`) is a package; each of its files registers one class under the `kind`
that is also the file's name:

    @partitions.register
    @component
    class Dirichlet(Partition):
        kind: Literal["dirichlet"] = "dirichlet"
        alpha: PositiveFloat

A scenario field is declared as `Annotated[Partition, partitions]`; pydantic then picks the class by `kind`.
What a family holds never depends on configuration.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any, Generic, TypeVar, cast, dataclass_transform, get_args

from pydantic import ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter
from pydantic.dataclasses import dataclass as pydantic_dataclass
from pydantic.dataclasses import rebuild_dataclass
from pydantic.fields import Field, FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from gapslsim.errors import ComponentError, did_you_mean

__all__ = ["FAMILIES", "Family", "component", "meaning_of", "settings_of"]

C = TypeVar("C")

FAMILIES: dict[str, Family[Any]] = {}
"""Every family by its name; filled when the packages that define them are imported."""

_COMPONENTS: list[type[Any]] = []
"""Every component class in the order of definition: what a class holds comes before it."""

_STRICT = ConfigDict(
    extra="forbid", allow_inf_nan=False, arbitrary_types_allowed=True, use_attribute_docstrings=True
)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(Field,))
def component(cls: type[C]) -> type[C]:
    """Makes a class a frozen, keyword-only pydantic dataclass that refuses unknown keys, NaN and infinity."""
    if not hasattr(cls, "__get_pydantic_json_schema__"):
        cls.__get_pydantic_json_schema__ = classmethod(_describe_inherited)  # type: ignore[attr-defined]
    made: Any = pydantic_dataclass(frozen=True, kw_only=True, config=_STRICT)(cls)
    _COMPONENTS.append(made)
    return cast("type[C]", made)


def _describe_inherited(cls: type[Any], schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
    """JSON Schema whose inherited fields keep their docstrings; pydantic reads those of the class itself only."""
    made = handler(schema)
    properties = handler.resolve_ref_schema(made).get("properties", {})
    for name, info in cls.__pydantic_fields__.items():
        field = properties.get(info.serialization_alias or info.alias or name)
        meaning = meaning_of(cls, name)
        if field is not None and meaning:
            field.setdefault("description", meaning)
    return made


def meaning_of(cls: type[Any], name: str) -> str:
    """What a setting means: its docstring in the class that declares it; empty if there is none.

    Args:
        cls: a component.
        name: of the attribute (`lambda_`, not `lambda`).
    """
    for base in cls.__mro__:
        info = base.__dict__.get("__pydantic_fields__", {}).get(name)
        if info is not None and info.description:
            return str(info.description)
    return ""


def settings_of(member: object) -> Any:
    """A component's settings as JSON can write them, with units: for content keys and resolved files."""
    cls: Any = type(member)
    return _adapter(cls).dump_python(member, mode="json", by_alias=True)


@cache
def _adapter(cls: Any) -> TypeAdapter[Any]:
    return TypeAdapter(cls)


class Family(Generic[C]):
    """All components of one kind, for instance all partitions.

    Args:
        name: what a user calls it: `partition`, `channel`; used by `gapslsim list`.
        package: the package whose modules register its members.
        shorthand: turns a plain YAML value into settings, for instance `"40 Mbit/s"` into a constant channel.
        tag: the key that names the member, `kind` but for optimizers.
    """

    def __init__(
        self, name: str, package: str, shorthand: Callable[[Any], Any] | None = None, tag: str = "kind"
    ) -> None:
        self.name = name
        self.tag = tag
        self._package = package
        self._shorthand = shorthand
        self._members: dict[str, type[C]] = {}
        self._discovered = False
        self._complete = False
        FAMILIES[name] = self

    def register(self, cls: type[C]) -> type[C]:
        """Adds a class under the `kind` that it declares as default. Raises ValueError on a second one."""
        kind = cls.__dict__[self.tag]
        known = self._members.get(kind, cls)
        if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise ValueError(f"{self.name} '{kind}' is registered twice: {known} and {cls}.")
        self._members[kind] = cls
        if self._complete:
            _renew(self)
        return cls

    def discover(self) -> None:
        """Imports every module of the family's package, once."""
        if self._discovered:
            return
        self._discovered = True
        try:
            package = importlib.import_module(self._package)
            for module in pkgutil.iter_modules(package.__path__):
                importlib.import_module(f"{self._package}.{module.name}")
        except BaseException:
            self._discovered = False
            raise
        self._complete = True
        _renew(self, self._members.values())

    def __iter__(self) -> Iterator[str]:
        self.discover()
        return iter(sorted(self._members))

    def __getitem__(self, kind: str) -> type[C]:
        self.discover()
        if kind not in self._members:
            raise ComponentError(
                f"Unknown {self.name} {kind!r}; known: {', '.join(self)}.{did_you_mean(str(kind), self)}"
            )
        return self._members[kind]

    def __contains__(self, kind: object) -> bool:
        self.discover()
        return kind in self._members

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Schema of a field annotated with this family: a union told apart by `kind`."""
        self.discover()
        choices = {kind: handler.generate_schema(cls) for kind, cls in sorted(self._members.items())}
        union = core_schema.tagged_union_schema(choices, discriminator=self._kind_of)
        return core_schema.no_info_before_validator_function(self._prepare, union)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Any member, or the bare name of one that needs no settings, or the family's shorthand."""
        choices = list(handler(schema)["oneOf"])
        bare = [kind for kind, cls in sorted(self._members.items()) if not _required(cls)]
        if bare:
            choices.append({"enum": bare})
        if self._shorthand is not None:
            choices.append({"type": "string"})
        return {"anyOf": choices}

    def _prepare(self, value: Any) -> Any:
        """Checks the `kind` first, so that the message names the family and the near miss."""
        if self._shorthand is not None:
            value = self._shorthand(value)
        if isinstance(value, str):
            value = {self.tag: value}
        if isinstance(value, dict):
            if self.tag not in value:
                raise PydanticCustomError(
                    "component_kind_missing",
                    "'{tag}' is missing; add one of: {known}",
                    {"tag": self.tag, "known": ", ".join(self), "family": self.name},
                )
            kind = value[self.tag]
            if not isinstance(kind, str) or kind not in self._members:
                raise PydanticCustomError(
                    "component_kind_unknown",
                    "unknown {family} {kind}; known: {known}.{hint}",
                    {
                        "family": self.name,
                        "kind": repr(kind),
                        "known": ", ".join(self),
                        "hint": did_you_mean(str(kind), self),
                    },
                )
        return value

    def _kind_of(self, value: Any) -> str | None:
        kind = value.get(self.tag) if isinstance(value, dict) else getattr(value, self.tag, None)
        return kind if isinstance(kind, str) else None


def _required(cls: type[Any]) -> list[str]:
    fields: dict[str, FieldInfo] = getattr(cls, "__pydantic_fields__", {})
    return [name for name, info in fields.items() if info.is_required()]


def _renew(family: Family[Any], classes: Iterable[type[Any]] | None = None) -> None:
    """Rebuilds classes that hold members of a family, directly or within others: made before all were known.

    Args:
        family: whose members became more.
        classes: where to look; every component unless given.
    """
    for cls in _COMPONENTS if classes is None else classes:
        if _holds(cls, family, set()):
            _rebuild(cls)
    _adapter.cache_clear()


def _rebuild(cls: Any) -> None:
    """Makes a component's schema anew; pydantic finds docstrings of fields in the class statement only."""
    meanings = {name: info.description for name, info in cls.__pydantic_fields__.items()}
    rebuild_dataclass(cls, force=True)
    for name, info in cls.__pydantic_fields__.items():
        info.description = info.description or meanings[name]


def _holds(part: Any, family: Family[Any], seen: set[Any]) -> bool:
    """Whether a class, an annotation or a family's member can hold a member of `family`."""
    if part is family:
        return True
    if isinstance(part, Family):
        inner: Iterable[Any] = part._members.values()
    else:
        inner = [*get_args(part), *_parts(part)]
    if any(each is family for each in inner):
        return True
    if isinstance(part, (type, Family)):
        if part in seen:
            return False
        seen.add(part)
    return any(_holds(each, family, seen) for each in inner)


def _parts(cls: Any) -> Iterator[Any]:
    """Annotations and metadata of a settings class's fields."""
    fields: dict[str, FieldInfo] = getattr(cls, "__pydantic_fields__", {})
    for info in fields.values():
        yield info.annotation
        yield from (item for item in info.metadata if isinstance(item, Family))
