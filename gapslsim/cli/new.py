"""`gapslsim new`: a folder with a scenario, a study and stubs of components to begin from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from gapslsim.cli.say import say

__all__ = ["new_command"]

_TEMPLATES = Path(__file__).parents[1] / "_new"


def new_command(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Folder to make; its last part names what is in it.")
    ],
    stub: Annotated[
        list[str] | None,
        typer.Option(metavar="KIND", help="Only this stub, for instance framework, or none; repeatable."),
    ] = None,
) -> None:
    """Writes NAME/ with scenario.yaml, study.yaml, README.md and components/. Nothing that is there is replaced."""
    from gapslsim.errors import ComponentError, did_you_mean
    from gapslsim.results.outputs import write_text

    folder = Path(name)
    word = folder.name
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", word):
        raise ComponentError(
            f"new {name}: a name has letters, digits, '-' and '_', and begins with a letter."
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ComponentError(f"new {name}: {folder} is there already and is not empty; give another name.")
    stubs = {file.stem: file for file in sorted((_TEMPLATES / "components").iterdir()) if file.is_file()}
    for kind in stub or ():
        if kind not in stubs and kind != "none":
            known = [*stubs, "none"]
            raise ComponentError(f"--stub {kind}: there is {', '.join(known)}.{did_you_mean(kind, known)}")
    chosen = [file for kind, file in stubs.items() if not stub or kind in stub]
    for file in [_TEMPLATES / "scenario.yaml", _TEMPLATES / "study.yaml", _TEMPLATES / "README.md", *chosen]:
        target = folder / file.relative_to(_TEMPLATES)
        write_text(target, _named(file.read_text("utf-8"), word))
        say(f"Wrote {target}")
    say(f"Next: cd {folder} && gapslsim run scenario.yaml --dry")


def _named(template: str, word: str) -> str:
    """The template with this name in the place of `my`, also within the names of kinds and classes."""
    kind = word.lower().replace("-", "_")
    camel = "".join(part.capitalize() for part in kind.split("_"))
    device = f"{kind.replace('_', '-')}-device"
    for old, new in (
        (r"\bmy-device", device),
        (r"\bmy_(?=[a-z])", f"{kind}_"),
        (r"\bMy(?=[A-Z])", camel),
        (r"\bmy\b", word),
    ):
        template = re.sub(old, new, template)
    return template
