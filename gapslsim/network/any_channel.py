"""A field that holds another member of the family that is being defined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter, ValidationError, ValidationInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from gapslsim.network.channel import channels

__all__ = ["AnyChannel"]


@dataclass(frozen=True, slots=True)
class AnyChannel:
    """Marker for pydantic: any channel. The family is asked at validation, when all of its members are known."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validates through the family; writes whatever the member itself writes."""
        return core_schema.with_info_plain_validator_function(
            self._read,
            serialization=core_schema.plain_serializer_function_ser_schema(self._write, info_arg=True),
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """A rate, or settings with a `kind`."""
        return {"anyOf": [{"type": "string"}, {"type": "object", "required": ["kind"]}]}

    @staticmethod
    def _adapter() -> TypeAdapter[Any]:
        return TypeAdapter(Annotated[Any, channels])

    def _read(self, value: Any, info: ValidationInfo) -> Any:
        try:
            return self._adapter().validate_python(value, context=info.context)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise PydanticCustomError(
                "inner_channel", "{reason}", {"reason": f"{where}: {first['msg']}" if where else first["msg"]}
            ) from error

    def _write(self, value: Any, info: Any) -> Any:
        return TypeAdapter(type(value)).dump_python(value, mode=info.mode)
