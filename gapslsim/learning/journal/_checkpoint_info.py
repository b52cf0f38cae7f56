"""What a record says of a checkpoint file: read in this one place, as a journal may come from elsewhere."""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass
from functools import cache
from typing import Annotated, Final

from pydantic import Field, TypeAdapter, ValidationError

__all__ = ["NAME", "CheckpointInfo", "new_name", "read_info"]

NAME: Final = r"checkpoint-[0-9a-f]{32}\.pt"
"""Names of checkpoint files. A record with any other is damage: the name becomes a path, also one to delete."""


@dataclass(frozen=True)
class CheckpointInfo:
    """What a record says of a checkpoint file."""

    name: Annotated[str, Field(pattern=f"^{NAME}$")]
    sha256: str
    size_bytes: Annotated[int, Field(ge=0)]
    round: int
    """Last round that the states know of."""
    keys: list[str]
    """Content keys of the states in it."""

    def payload(self) -> bytes:
        """As it is recorded."""
        return json.dumps(asdict(self)).encode()


def new_name() -> str:
    """A name that nobody else can have: processes write here at the same time, and nobody overwrites."""
    return f"checkpoint-{uuid.uuid4().hex}.pt"


def read_info(payload: bytes) -> CheckpointInfo | None:
    """What a recorded payload says; None if it is not what `payload` makes."""
    try:
        return _reader().validate_json(payload, strict=True)
    except ValidationError:
        return None


@cache
def _reader() -> TypeAdapter[CheckpointInfo]:
    return TypeAdapter(CheckpointInfo)
