"""`gapslsim schema`: JSON Schema of scenario files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["schema"]


def schema(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; standard output unless given.")
    ] = None,
) -> None:
    """Writes the schema; an editor uses it by a first line `# yaml-language-server: $schema=FILE`."""
    import json

    from gapslsim.scenario.json_schema import json_schema

    text = json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
    if output is None:
        typer.echo(text, nl=False)
        return
    output.write_text(text, encoding="utf-8")
    typer.echo(
        f"Wrote {output}. Put '# yaml-language-server: $schema={output}' at the top of a scenario to use it."
    )
