"""`gapslsim reference`: the pages of `docs/reference/`, from registries, schemas and the commands themselves."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from gapslsim.cli.say import say

if TYPE_CHECKING:
    from gapslsim.registry import Family

__all__ = ["reference_command"]

_HEAD = "<!-- Written by 'gapslsim reference'; do not edit. -->\n"
_UNITS = {
    "_bit_per_s": "bit/s", "_s": "s", "_bytes": "bytes", "_flop": "FLOP", "_j": "J", "_rad": "rad", "_w": "W",
}  # fmt: skip
"""Unit by the end of a column's name."""
_COMMON = {
    "round": "Training round, from 1; 0 is before the first.",
    "client": "Index of the client, from 0 through all groups.",
    "start_s": "When it began, on the simulated clock.",
    "end_s": "When it ended, on the simulated clock.",
    "time_s": "When, on the simulated clock.",
    "energy_j": "Energy drawn, by the power of the device in that state.",
    "loss": "Mean cross-entropy [nat].",
    "gradient_norm": "Length of the server-side gradient.",
    "threshold_rad": "Largest angle that is admitted.",
}
"""Meaning of columns that several tables share, where the row's class says nothing."""
_TYPES = {str: "text", int: "integer", float: "number", bool: "true or false"}


def reference_command(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the pages.", show_default=True)] = Path(
        "docs/reference"
    ),
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail if a page is missing, stale or too many.")
    ] = False,
) -> None:
    """Write every component, setting, table and command as Markdown pages, and the JSON Schemas."""
    from gapslsim.cli.schema import What, schema_text

    made = pages() | {f"{what}.schema.json": schema_text(what) for what in What}
    if check:
        there = [*sorted(out.glob("*.md")), *sorted(out.glob("*.schema.json"))]
        found = {page.name: page.read_text(encoding="utf-8") for page in there}
        stale = sorted(name for name in made.keys() | found.keys() if made.get(name) != found.get(name))
        if stale:
            say(f"{out}: out of date: {', '.join(stale)}. Run: gapslsim reference -o {out}", err=True)
            raise typer.Exit(1)
        say(f"{out}: {len(made)} pages are up to date.")
        return
    from gapslsim.results.outputs import write_text

    for page in out.glob("*.md"):
        if page.name not in made and page.read_text(encoding="utf-8").startswith(_HEAD):
            page.unlink()
    for name, text in made.items():
        write_text(out / name, text)
    say(f"{len(made)} pages written to {out}")


def pages() -> dict[str, str]:
    """Text of every page by its file name."""
    import gapslsim.studies.schema as study
    from gapslsim.registry import FAMILIES
    from gapslsim.scenario.schema import Scenario

    intro = "YAML 1.2. Quantities are text with a unit (`40 Mbit/s`, `4 ms`, `2 GB`, `7.2 W`). "
    made = {
        "scenario.md": _schema_page(
            "Scenario file",
            f"{intro}`base: other.yaml` lays the file upon another one. `--set path=value` changes one value; `*` in a "
            "path means every item of a list.",
            Scenario,
        ),
        "study.md": _schema_page(
            "Study file", f"{intro}Worked through in [studies.md](../studies.md).", study.Study
        ),
        "links.md": _links(),
        "devices.md": _devices(),
        "commands.md": _commands(),
        "tables.md": _tables(),
        "python.md": _python(),
    }
    made |= {f"{name}.md": _family_page(family) for name, family in FAMILIES.items()}
    made["index.md"] = _index(made)
    return {name: f"{_HEAD}\n{text.rstrip()}\n" for name, text in sorted(made.items())}


def _index(made: dict[str, str]) -> str:
    from gapslsim.bounds import LARGEST
    from gapslsim.registry import FAMILIES
    from gapslsim.units import BOUNDS

    families = [
        f"| [{name}]({name}.md) | {_inline(', '.join(FAMILIES[name]))} |" for name in sorted(FAMILIES)
    ]
    others = [
        f"- [{text.partition(chr(10))[0].lstrip('# ')}]({name})"
        for name, text in made.items()
        if name.removesuffix(".md") not in FAMILIES
    ]
    by_unit = "; ".join(f"{least:g} to {most:g} {unit}" for unit, (least, most) in BOUNDS.items())
    text = (
        "# Reference\n\nWritten from the program itself, so it is what the program does.\n\n"
        f"Where a setting tells no bounds, whole numbers end at {LARGEST['int']:g} and others at {LARGEST['float']:g}, "
        f"of both signs. Quantities that are not 0 lie within these, of both signs for dB and dBm: {by_unit}.\n\n"
    )
    table = "## Components\n\n| family | members |\n|---|---|\n"
    return f"{text}{chr(10).join(others)}\n\n{table}{chr(10).join(families)}"


def _family_page(family: Family[Any]) -> str:
    tag = f" The key that names one is `{family.tag}`." if family.tag != "kind" else ""
    parts = [f"# {family.name}", f"{len(list(family))} components.{tag}"]
    inner: dict[type[Any], None] = {}
    for kind in family:
        cls = family[kind]
        inner |= dict.fromkeys(each for each in _sections(cls) if each is not cls)
        parts += [f"## {kind}", _prose(cls.__doc__), _settings(cls, family.tag) or "It takes no settings."]
    return "\n\n".join([*parts, *_of_classes(inner)])


def _schema_page(title: str, about: str, root: type[Any]) -> str:
    return "\n\n".join([f"# {title}", about, *_of_classes(dict.fromkeys(_sections(root)))])


def _of_classes(classes: Iterable[type[Any]]) -> Iterator[str]:
    for cls in classes:
        yield from (f"## {cls.__name__}", _prose(cls.__doc__), _settings(cls))


def _sections(root: Any) -> Iterator[type[Any]]:
    """A settings class and those that lie in its fields, but for members of families."""
    from gapslsim.registry import Family
    from gapslsim.scenario.fields import fields_of

    if isinstance(root, type) and fields_of(root):
        yield root
        for field in fields_of(root).values():
            if not any(isinstance(item, Family) for item in field.metadata):
                yield from _sections(field.annotation)
    for part in get_args(root):
        if not any(isinstance(item, Family) for item in get_args(root)):
            yield from _sections(part)


def _settings(cls: type[Any], tag: str = "") -> str:
    """Table of a class's settings; empty if there is none. A family's name leads to its page."""
    from gapslsim.registry import FAMILIES
    from gapslsim.scenario.fields import default_words, fields_of, meanings_of, type_words

    meanings = meanings_of(cls)
    rows = []
    for name, field in fields_of(cls).items():
        if name == tag:
            continue
        takes = type_words(field)
        inner = [part.__name__ for part in _sections(field.annotation)][:1]
        if takes in FAMILIES:
            takes = f"[{takes}]({takes}.md)"
        elif inner and takes.endswith(inner[0]):
            takes = takes.replace(inner[0], f"[{inner[0]}](#{inner[0].lower()})")
        else:
            takes = _cell(takes)
        rows.append((f"`{name}`", takes, _cell(default_words(field)), _cell(meanings[name])))
    return _table(("setting", "takes", "default", "meaning"), rows) if rows else ""


def _links() -> str:
    from gapslsim.scenario.presets import LINKS

    rows = [(f"`{n}`", p.uplink, p.downlink, p.latency, _cell(p.source)) for n, p in sorted(LINKS.items())]
    return "\n\n".join(
        ["# Links by name", "Write `link: lte` in a group of clients. Latency is one way.",
         _table(("link", "uplink", "downlink", "latency", "source"), rows)]
    )  # fmt: skip


def _devices() -> str:
    from gapslsim.hardware.devices import known_devices, load_profile
    from gapslsim.registry import settings_of

    rows = []
    for name in known_devices():
        profile = load_profile(name)
        modes = ", ".join(f"`{name}@{mode}`" for mode in sorted(profile.modes))
        rows.append((f"`{name}`", _cell(profile.description), settings_of(profile.cost_model)["kind"], modes))
    about = "Every figure with its source: `gapslsim show device NAME`. The format: [hardware.md](../hardware.md)."
    return "\n\n".join(["# Devices", about, _table(("device", "what it is", "cost model", "modes"), rows)])


def _commands() -> str:
    from gapslsim.cli.main import COMMANDS, load_command

    parts = ["# Commands", "`gapslsim COMMAND --help` prints the same."]
    for name, entry in COMMANDS.items():
        parameters = [p for p in load_command(name).params if p.name != "help"]
        arguments = [p for p in parameters if p.param_type_name == "argument"]
        usage = " ".join(["gapslsim", name, *map(_option, arguments), "[OPTIONS]"])
        rows = [
            (f"`{_option(p)}`", _cell(_default(p)), _cell((p.help or "").replace(r"\[", "[")))
            for p in parameters
        ]
        table = _table(("argument or option", "default", "meaning"), rows) if rows else ""
        parts += [f"## {name}", entry.help, f"Usage: `{usage}`", table]
    return "\n\n".join(parts)


def _option(parameter: Any) -> str:
    value = (parameter.metavar or str(parameter.name).upper()).removesuffix("...")
    if parameter.param_type_name == "argument":
        several = "..." if parameter.nargs == -1 else ""
        return f"{value}{several}" if parameter.required else f"[{value}]{several}"
    names = ", ".join([*parameter.opts, *parameter.secondary_opts])
    return names if parameter.is_flag else f"{names} {value}"


def _default(parameter: Any) -> str:
    value = parameter.default
    if parameter.required:
        return "required"
    return str(value) if isinstance(value, (str, int, float, Path)) and value not in (False, "") else ""


def _tables() -> str:
    from gapslsim.results.frames import TABLES
    from gapslsim.tables.table import columns_of

    parts = [
        "# Tables",
        "A run directory holds one Parquet file per table; from Python they are `results.spans` and so on. A study "
        "has the same columns after `run`, one column per axis, and `seed`; its own tables are in "
        "[studies.md](../studies.md). Units are in the names.",
    ]
    for name, row_type in TABLES.items():
        meanings = _COMMON | _docstrings(row_type)
        rows = [
            (f"`{column}`", _TYPES[kind], _unit(column), _cell(meanings.get(column, "")))
            for column, kind in columns_of(row_type).items()
        ]
        parts += [f"## {name}", _prose(row_type.__doc__), _table(("column", "type", "unit", "meaning"), rows)]
    return "\n\n".join(parts)


def _unit(column: str) -> str:
    return next((unit for end, unit in _UNITS.items() if column.endswith(end)), "")


def _docstrings(cls: type[Any]) -> dict[str, str]:
    """The text under each attribute of a class, which Python itself does not keep."""
    (tree,) = ast.parse(inspect.getsource(cls).lstrip()).body
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for this, following in zip(tree.body, tree.body[1:], strict=False):
        match this, following:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = text
    return found


def _python() -> str:
    from gapslsim.results.results import Results
    from gapslsim.run import simulate
    from gapslsim.scenario.loading import load, load_dict, loads

    parts = [
        "# From Python",
        "`from gapslsim import load, simulate`. The others are in `gapslsim.scenario.loading`.",
    ]
    for function in (load, loads, load_dict, simulate):
        signature = str(inspect.signature(function)).replace("'", "")
        parts += [f"## {function.__name__}", f"`{function.__name__}{signature}`", _prose(function.__doc__)]
    meanings = _docstrings(Results)
    rows = [(f"`{name}`", _cell(text)) for name, text in meanings.items()]
    return "\n\n".join([*parts, "## Results", _prose(Results.__doc__), _table(("attribute", "holds"), rows)])


_SECTIONS = ("Args:", "Returns:", "Raises:")
_LIST = re.compile(r"(-|\d+\.) ")


def _prose(text: str | None) -> str:
    """A docstring as Markdown: its lines joined, its lists kept, its sections as lists."""
    paragraphs = []
    for paragraph in inspect.cleandoc(text or "").split("\n\n"):
        first, *rest = paragraph.splitlines()
        if first in _SECTIONS:
            items = textwrap.dedent("\n".join(rest)).splitlines()
            starts = [not line.startswith(" ") for line in items]
            paragraphs += [f"**{first}**", "\n".join(f"- {item}" for item in _joined(items, starts))]
        else:
            starts = [_LIST.match(line.strip()) is not None for line in rest]
            paragraphs.append("\n".join(_joined([first, *rest], [True, *starts])))
    return "\n\n".join(paragraphs)


def _joined(lines: Sequence[str], starts: Sequence[bool]) -> list[str]:
    """Lines that start something, each with those that go on with it."""
    joined: list[str] = []
    for line, start in zip(lines, starts, strict=True):
        if start:
            joined.append(line.strip())
        else:
            joined[-1] += f" {line.strip()}"
    return [_inline(line) for line in joined]


def _cell(text: str) -> str:
    return _inline(" ".join(text.split())).replace("|", "\\|")


def _inline(text: str) -> str:
    """Text in which no sign outside of code is taken for markup."""
    parts = text.split("`")
    return "`".join(part if i % 2 else re.sub(r"([*<])", r"\\\1", part) for i, part in enumerate(parts))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
