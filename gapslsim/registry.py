"""Swappable components: one file each, found by themselves, validated settings being the component.

A family (for instance `partition`) is a package; each of its files registers one class under the `kind`
that is also the file's name:

    @partitions.register
    @component
    class Dirichlet(Partition):
        kind: Literal["dirichlet"] = "dirichlet"
        alpha: PositiveFloat

A scenario field is declared as `Annotated[Partition, partitions]`; the class is picked by `kind` when a value is read,
among the members that are registered then. What a family holds never depends on configuration, nor on what was
imported or registered first.
"""

from __future__ import annotations

import copy
import importlib.util
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, Generic, TypeVar, cast, dataclass_transform

from pydantic import ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter, ValidationInfo
from pydantic.dataclasses import dataclass as pydantic_dataclass
from pydantic.fields import Field, FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from gapslsim.bounds import bounded_schema
from gapslsim.docstrings import attribute_docstrings
from gapslsim.errors import ComponentError, unknown
from gapslsim.regular_files import files_sha256, is_file

__all__ = [
    "FAMILIES", "Family", "component", "content_of", "describe", "is_shipped", "meaning_of",
    "registered_by_users", "settings_of", "unchecked",
]  # fmt: skip

C = TypeVar("C")

_HOMES: Final = {
    "availability": "gapslsim.sim.availability",
    "channel": "gapslsim.network.channel",
    "client_sync": "gapslsim.frameworks.client_sync",
    "client_update": "gapslsim.frameworks.slots",
    "codec": "gapslsim.learning.codec",
    "cost_model": "gapslsim.hardware.cost_model",
    "data": "gapslsim.data.dataset",
    "fault": "gapslsim.sim.fault",
    "figure": "gapslsim.results.study_figure",
    "framework": "gapslsim.frameworks.framework",
    "importer": "gapslsim.importing.importer",
    "lateness": "gapslsim.frameworks.lateness",
    "latency": "gapslsim.network.latency",
    "link_loss": "gapslsim.network.link_loss",
    "loss": "gapslsim.learning.loss",
    "measure": "gapslsim.results.measure",
    "metric": "gapslsim.learning.metric",
    "model": "gapslsim.models.model",
    "network": "gapslsim.network.topology",
    "optimizer": "gapslsim.learning.optimizer",
    "participation": "gapslsim.frameworks.slots",
    "partition": "gapslsim.data.partition",
    "protocol": "gapslsim.network.protocol",
    "schedule": "gapslsim.learning.optimizer",
    "scheduler": "gapslsim.studies.scheduler",
    "staleness": "gapslsim.frameworks.staleness",
    "search": "gapslsim.studies.search",
    "server_schedule": "gapslsim.frameworks.server_schedule",
    "server_update": "gapslsim.frameworks.slots",
    "shape": "gapslsim.scenario.shape",
    "tracker": "gapslsim.tracking.tracker",
}
"""Each family of this package and the module that defines it: the one place that knows them all."""


class _Families(Mapping[str, "Family[Any]"]):
    """Every family by its name: those of this package, imported when asked for, and those that a user has made."""

    def __init__(self) -> None:
        self._made: dict[str, Family[Any]] = {}

    def add(self, family: Family[Any]) -> None:
        """Makes a family known; if its file is loaded again, the new family and the old one share their members."""
        known = self._made.get(family.name)
        if known is not None and known.package != family.package:
            raise ValueError(
                f"there is a family '{family.name}' already, that of {known.package}; rename it."
            )
        if known is not None:
            family.members = known.members
        self._made[family.name] = family

    def made(self) -> tuple[Family[Any], ...]:
        """Those that are imported; only they can have got members from a user."""
        return tuple(self._made.values())

    def __getitem__(self, name: str) -> Family[Any]:
        if name not in self._made and name in _HOMES:
            importlib.import_module(_HOMES[name])
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in _HOMES or name in self._made

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*_HOMES, *self._made}))

    def __len__(self) -> int:
        return len({*_HOMES, *self._made})


FAMILIES: Final = _Families()
"""Every family by its name; the same whatever was imported before."""

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False, arbitrary_types_allowed=True)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(Field,))
def component(cls: type[C]) -> type[C]:
    """Makes a class a frozen, keyword-only pydantic dataclass that refuses unknown keys, NaN and infinity."""
    for name, hook in (("json", _describe), ("core", bounded_schema)):
        if not hasattr(cls, method := f"__get_pydantic_{name}_schema__"):
            setattr(cls, method, classmethod(hook))
    return cast("type[C]", pydantic_dataclass(frozen=True, kw_only=True, config=_STRICT)(cls))


def _describe(cls: type[Any], schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
    """JSON Schema with the docstrings of the fields; pydantic would read all of them whenever a class is made."""
    made = handler(schema)
    describe(cls, handler.resolve_ref_schema(made))
    return made


def describe(cls: type[Any], schema: JsonSchemaValue) -> None:
    """Puts what the settings of a component mean into its JSON Schema."""
    properties = schema.get("properties", {})
    for name, info in cls.__pydantic_fields__.items():
        field = properties.get(info.serialization_alias or info.alias or name)
        meaning = meaning_of(cls, name)
        if field is not None and meaning:
            field.setdefault("description", meaning)


def meaning_of(cls: type[Any], name: str) -> str:
    """What a setting means: its docstring in the class that declares it; empty if there is none.

    Args:
        cls: a component.
        name: of the attribute (`lambda_`, not `lambda`).
    """
    own = (attribute_docstrings(base).get(name, "") for base in cls.__mro__ if base.__module__ != "builtins")
    return next(filter(None, own), "")


def unchecked(member: C, **changes: Any) -> C:
    """A copy with other settings that are not checked again: they may be what no file could hold."""
    made = copy.copy(member)
    for name, value in changes.items():
        object.__setattr__(made, name, value)
    return made


def settings_of(member: object) -> Any:
    """A component's settings as JSON can write them, with units: for content keys and resolved files."""
    cls: Any = type(member)
    return cls.__pydantic_serializer__.to_python(member, mode="json", by_alias=True)


def content_of(member: object) -> Any:
    """A component's settings with the content of every file that they name, for content keys.

    A file may be written anew under its old name; what was computed from the old one must not be taken for it.
    """
    settings = settings_of(member)
    files = {text: files_sha256([Path(text)]) for text in _texts(settings) if is_file(text)}
    return [settings, files] if files else settings


def is_shipped(member: object) -> bool:
    """Whether a component is this package's own, and so follows from its settings alone."""
    return _lies_in(type(member).__module__, __package__)


def _texts(value: Any) -> Iterator[str]:
    """All texts in plain values."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def registered_by_users() -> set[object]:
    """Classes and families that are not this package's."""
    members = {cls for family in FAMILIES.made() for cls in family.members.values()}
    own = {cls for cls in members if not _lies_in(cls.__module__, __package__)}
    return own | {family for family in FAMILIES.made() if family.name not in _HOMES}


def _lies_in(module: str, package: str | None) -> bool:
    return f"{module}.".startswith(f"{package}.")


class Family(Generic[C]):
    """All components of one kind, for instance all partitions.

    Args:
        name: what a user calls it: `partition`, `channel`; used by `gapslsim list`.
        package: the package whose modules register its members; None if whoever needs them imports them.
        shorthand: turns a plain YAML value into settings, for instance `"40 Mbit/s"` into a constant channel.
        short_schema: JSON schema of what the shorthand takes.
        tag: the key that names the member, `kind` but for optimizers.
    """

    def __init__(
        self,
        name: str,
        package: str | None = None,
        shorthand: Callable[[Any], Any] | None = None,
        tag: str = "kind",
        short_schema: Mapping[str, Any] = MappingProxyType({"type": "string"}),
    ) -> None:
        self.name = name
        self.package = package
        self.tag = tag
        self._shorthand = shorthand
        self._short_schema = short_schema
        self.members: dict[str, type[C]] = {}
        """Those registered so far; iterate over the family itself for all."""
        self._adapters: dict[str | None, tuple[dict[str, type[C]], TypeAdapter[C]]] = {}
        self._discovered = package is None
        self._is_described = False
        FAMILIES.add(self)

    def register(self, cls: type[C]) -> type[C]:
        """Adds a class under the `kind` that it declares as default.

        Raises:
            ValueError: if there is another of that kind, or the class declares none or is no `@component`.
        """
        if not _lies_in(cls.__module__, self.package):
            self.discover()  # so that a kind that the package has is refused here, where the line is told
        kind = cls.__dict__.get(self.tag)
        if not isinstance(kind, str) or "__pydantic_validator__" not in cls.__dict__:
            rule = (
                f"put '@component' below '@register', and '{self.tag}: Literal[\"name\"] = \"name\"' into it."
            )
            raise ValueError(f"the {self.name} {cls.__name__} must be a component with a name; {rule}")
        if missing := sorted(getattr(cls, "__abstractmethods__", ())):
            raise ValueError(f"the {self.name} {cls.__name__} lacks {', '.join(missing)}; define it")
        known = self.members.get(kind, cls)
        if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise ValueError(f"{self.name} '{kind}' is registered twice: {known} and {cls}.")
        self.members[kind] = cls
        return cls

    def forget(self, module: str) -> None:
        """Takes out what a module has registered, before the module is carried out again."""
        for kind in [kind for kind, cls in self.members.items() if cls.__module__ == module]:
            del self.members[kind]

    def discover(self) -> None:
        """Imports every module of the family's package, once."""
        if self._discovered or self.package is None:
            return
        self._discovered = True
        try:
            package = importlib.import_module(self.package)
            for module in pkgutil.iter_modules(getattr(package, "__path__", ())):
                importlib.import_module(f"{self.package}.{module.name}")
        except BaseException:
            self._discovered = False
            raise

    def __iter__(self) -> Iterator[str]:
        self.discover()
        return iter(sorted(self.members))

    def __getitem__(self, kind: str) -> type[C]:
        if kind not in self:
            raise ComponentError(unknown(self.name, kind, self))
        return self.members[kind]

    def __contains__(self, kind: object) -> bool:
        """Imports the one file that is named as the kind, and the others only where that does not tell."""
        if not isinstance(kind, str):
            return False
        if kind not in self.members and self.package is not None and kind.isidentifier():
            importlib.import_module(self.package)
            if importlib.util.find_spec(name := f"{self.package}.{kind}") is not None:
                importlib.import_module(name)
        if kind not in self.members:
            self.discover()
        return kind in self.members

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Schema of a field annotated with this family.

        It holds no member: they are looked up when a value is read, so that no class needs to be made again when a
        family grows.
        """
        return core_schema.with_info_plain_validator_function(self._read)

    def _read(self, value: Any, info: ValidationInfo) -> C:
        value = self._prepare(value)
        return self._adapter(self._kind_of(value)).validate_python(value, context=info.context)

    def _kind_of(self, value: Any) -> str | None:
        kind = value.get(self.tag) if isinstance(value, dict) else getattr(value, self.tag, None)
        return kind if isinstance(kind, str) and kind in self else None

    def _adapter(self, kind: str | None = None) -> TypeAdapter[C]:
        """A union of the members that are known now, or of one, told apart by the tag."""
        if kind is None:
            self.discover()
        members = dict(self.members) if kind is None else {kind: self.members[kind]}
        known = self._adapters.get(kind)
        if known is None or known[0] != members:
            known = self._adapters[kind] = members, TypeAdapter(Annotated[Any, _Members(self, members)])
        return known[1]

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """A member by its kind, or the bare name of one that needs no settings, or the family's shorthand.

        By `if` and `then`, so that a validator tells the mistake within the member that was meant and nothing else.
        """
        known = self._adapter().core_schema
        union: Any = known["schema"] if known["type"] == "definitions" else known
        if self._is_described:  # within a member of its own: that one is referred to, else there were no end
            refs = (choice.get("ref", choice.get("schema_ref")) for choice in union["choices"].values())
            choices = [handler(core_schema.definition_reference_schema(ref)) for ref in refs]
        else:
            self._is_described = True
            try:
                made = handler(known)
                choices = list(made["oneOf"]) if "oneOf" in made else [made]
            finally:
                self._is_described = False
        kinds = sorted(self.members)
        chosen = [
            {"if": {"required": [self.tag], "properties": {self.tag: {"const": kind}}}, "then": choice}
            for kind, choice in zip(kinds, choices, strict=True)
        ]
        mapping = {"properties": {self.tag: {"enum": kinds}}, "allOf": chosen, "required": [self.tag]}
        bare = [kind for kind in kinds if not _required(self.members[kind])]
        other: list[JsonSchemaValue] = [{"enum": bare}] if bare else []
        if self._shorthand is not None:
            other.append(dict(self._short_schema))
        otherwise: JsonSchemaValue = {"anyOf": other} if len(other) > 1 else dict(*other)
        return {"if": {"type": "object"}, "then": mapping, "else": otherwise or {"type": "object"}}

    def _prepare(self, value: Any) -> Any:
        """Checks the `kind` first, so that the message names the family and the near miss."""
        if self._shorthand is not None:
            value = self._shorthand(value)
        if isinstance(value, str):
            value = {self.tag: value}
        if isinstance(value, dict):
            if self.tag not in value:
                text = f"'{self.tag}' is missing; add one of: {', '.join(self)}"
                raise PydanticCustomError("component_kind_missing", "{text}", {"text": text})
            kind = value[self.tag]
            if kind not in self:
                text = unknown(self.name, kind, self)
                raise PydanticCustomError("component_kind_unknown", "{text}", {"text": text})
        return value


@dataclass(frozen=True, slots=True)
class _Members:
    """Marker for pydantic: a union of some of a family's members."""

    family: Family[Any]
    members: Mapping[str, type[Any]]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The union, told apart by the family's tag."""
        choices = {kind: handler.generate_schema(cls) for kind, cls in sorted(self.members.items())}
        return core_schema.tagged_union_schema(choices, discriminator=self.family._kind_of)


def _required(cls: type[Any]) -> list[str]:
    fields: dict[str, FieldInfo] = getattr(cls, "__pydantic_fields__", {})
    return [name for name, info in fields.items() if info.is_required()]
