"""`gapslsim schema`: JSON Schema of the files that people write."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from gapslsim.cli.say import say

__all__ = ["What", "schema", "schema_text"]


class What(StrEnum):
    """Files that have a schema."""

    SCENARIO = "scenario"
    STUDY = "study"
    DEVICE = "device"


def schema(
    what: Annotated[What, typer.Argument(help="Files of which kind.")] = What.SCENARIO,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", "--output", help="File to write; standard output unless given."),
    ] = None,
) -> None:
    """Writes the schema; an editor uses it by a first line `# yaml-language-server: $schema=FILE`."""
    text = schema_text(what)
    if out is None:
        say(text, nl=False)
        return
    from gapslsim.results.outputs import write_output

    write_output(out, text)
    say(f"Wrote {out}. Put '# yaml-language-server: $schema={out}' at the top of a {what} file to use it.")


def schema_text(what: What) -> str:
    """A definition per line, so that a change of one shows as one. The wheel has them in `gapslsim/schemas`."""
    import json

    made = _schema(what)
    parts = {key: json.dumps(value, ensure_ascii=False) for key, value in made.items() if key != "$defs"}
    head = "".join(f"{json.dumps(key)}: {text},\n" for key, text in parts.items())
    definitions = (
        f"{json.dumps(name)}: {json.dumps(each, ensure_ascii=False)}" for name, each in made["$defs"].items()
    )
    return f'{{\n{head}"$defs": {{\n{{}}\n}}}}\n'.replace("{}", ",\n".join(definitions), 1)


def _schema(what: What) -> dict[str, Any]:
    from gapslsim.scenario.json_schema import json_schema, schema_of

    if what is What.STUDY:
        from gapslsim.studies.schema import Study

        return schema_of(Study, what)
    if what is What.DEVICE:
        from gapslsim.hardware.profile import Profile

        # A power mode says what differs from the profile.
        return schema_of(Profile, what, partial=["Mode"])
    return json_schema()
