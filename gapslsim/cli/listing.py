"""`gapslsim list` and `gapslsim show`: what there is, and what each thing takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table
from rich.text import Text

from gapslsim.cli.json_output import JsonOption, print_json
from gapslsim.cli.say import say
from gapslsim.errors import ComponentError, unknown
from gapslsim.regular_files import read_text
from gapslsim.scenario.presets import LINKS, LinkPreset
from gapslsim.scenario.shipped import shipped_scenarios
from gapslsim.scenario.tree import parse, plain
from gapslsim.terminal import Terminal

__all__ = ["list_components", "show"]

Rows = list[tuple[str, str]]
"""Name and one sentence."""

_ALIASES = {"dataset": "data", "topology": "network", "topologies": "network", "channels": "channel"}

_Own = Annotated[
    list[str] | None,
    typer.Option(
        "--components", metavar="FILE", help="Also load this file or module with components; repeatable."
    ),
]

_ERRORS: Final = {"mean": "mape", "median": "median", "95th percentile": "p95"}
"""What a held-out error is called, and its field."""


def list_components(
    kind: Annotated[
        str | None, typer.Argument(help="Only this kind, for instance framework or device.")
    ] = None,
    search: Annotated[
        str,
        typer.Option("--search", "-s", metavar="WORD", help="Only those whose name or sentence has this."),
    ] = "",
    as_json: JsonOption = False,
    components: _Own = None,
) -> None:
    """Lists components by kind, and the shipped devices, links and scenarios."""
    _load_own(components)
    catalogue = _catalogue()
    kinds = [_kind(kind, catalogue)] if kind is not None else sorted(catalogue)
    found = {
        each: [row for row in catalogue[each]() if search.lower() in " ".join(row).lower()] for each in kinds
    }
    if as_json:
        print_json({each: dict(rows) for each, rows in found.items()})
        return
    if search and not any(found.values()):
        what = "kind" if kind is None else kinds[0]
        raise ComponentError(
            f"no {what} has {search!r} in its name or sentence; leave out --search to see all"
        )
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for each in kinds if not search else filter(found.get, kinds):
        table.add_row(Text(each, "bold"), "")
        for name, about in found[each]:
            table.add_row(f"  {name}", Text(about))
    Terminal().print(table)


def show(
    kind: Annotated[str, typer.Argument(help="Kind, for instance framework, channel, device or scenario.")],
    name: Annotated[
        str,
        typer.Argument(
            help="Name, as 'gapslsim list' gives it. To draw: a scenario for 'network' or 'partition'; for 'channel' "
            'its settings, as in "{kind: markov, ...}", or SCENARIO:GROUP:uplink. For the cuts of a model: a network '
            'of torchvision, settings as in "{kind: cnn, ...}", or a scenario.'
        ),
    ],
    png: Annotated[
        Path | None, typer.Option(help="Also draw a channel, network or partition into this file.")
    ] = None,
    duration: Annotated[str, typer.Option(help="How much of a channel is drawn.")] = "60 s",
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of a random channel.")] = 1,
    input: Annotated[str, typer.Option(help="Shape of a model's inputs.")] = "3x32x32",
    classes: Annotated[int, typer.Option(min=1, max=10**6, help="Classes that a model tells apart.")] = 10,
    as_json: JsonOption = False,
    components: _Own = None,
) -> None:
    """Shows settings, a device's figures, a link, a scenario, cuts of a model; draws channels, networks, partitions."""
    from gapslsim.registry import FAMILIES

    _load_own(components)
    kind = _kind(kind, _catalogue())
    if as_json:
        print_json(_told(kind, name))
        return
    if kind in ("channel", "network") and name not in FAMILIES[kind]:
        from gapslsim.cli.show_network import draw

        draw(kind, name, Terminal(), png, duration, seed)
    elif kind == "model" and name not in FAMILIES[kind]:
        from gapslsim.cli.show_model import show_cuts

        show_cuts(name, Terminal(), input, classes)
    elif kind == "partition" and name not in FAMILIES[kind]:
        from gapslsim.cli.show_partition import draw_partition

        draw_partition(name, Terminal(), png)
    elif kind in FAMILIES:
        _show_component(kind, name)
    else:
        {"device": _show_device, "link": _show_link, "scenario": _show_scenario}[kind](name)


def _catalogue() -> dict[str, Callable[[], Rows]]:
    """Every kind with what fetches its rows."""
    from gapslsim.registry import FAMILIES
    from gapslsim.scenario.fields import first_sentence

    def members(family: str) -> Callable[[], Rows]:
        return lambda: [(name, first_sentence(FAMILIES[family][name].__doc__)) for name in FAMILIES[family]]

    others = {"device": _devices, "link": _links, "scenario": _scenarios}
    return {name: members(name) for name in FAMILIES} | others


def _load_own(names: Iterable[str] | None) -> None:
    from gapslsim.own_components import load_components

    for name in names or ():
        load_components(name)


def _kind(asked: str, known: Iterable[str]) -> str:
    name = asked.lower().replace("-", "_")
    for candidate in (name, _ALIASES.get(name, ""), name.removesuffix("s")):
        if candidate in known:
            return candidate
    raise ComponentError(unknown("kind", asked, sorted(known)))


def _devices() -> Rows:
    from gapslsim.hardware.devices import known_devices, load_profile
    from gapslsim.scenario.fields import first_sentence

    return [(name, first_sentence(load_profile(name).description)) for name in known_devices()]


def _links() -> Rows:
    return [(name, f"{p.uplink} up, {p.downlink} down, {p.latency}") for name, p in sorted(LINKS.items())]


def _scenarios() -> Rows:
    from gapslsim.scenario.fields import first_sentence

    rows = []
    for name, file in shipped_scenarios().items():
        text = read_text(file)
        data = plain(parse(text, str(file))[0])
        described = data.get("description") if isinstance(data, dict) else None
        rows.append((name, first_sentence(str(described or text.partition("\n")[0].lstrip("# ")))))
    return rows


def _show_component(kind: str, name: str) -> None:
    from gapslsim.registry import FAMILIES
    from gapslsim.scenario.fields import default_words, fields_of, meanings_of, type_words

    cls = FAMILIES[kind][name]
    meanings = meanings_of(cls)
    console = _headed(f"{kind} {name}", cls.__doc__)
    table = Table(show_edge=False, pad_edge=False)
    for title in ("setting", "takes", "default", "meaning"):
        table.add_column(title, overflow="fold", no_wrap=title == "setting")
    for field, info in fields_of(cls).items():
        if field != FAMILIES[kind].tag:
            table.add_row(field, *map(Text, (type_words(info), default_words(info), meanings[field])))
    console.print(table if table.row_count else "It takes no settings.")


def _show_device(name: str) -> None:
    from gapslsim.hardware.devices import load_profile
    from gapslsim.hardware.profile import profile_schema

    profile = load_profile(name.partition("@")[0])
    console = _headed(f"device {profile.name}", profile.description)
    table = Table(show_edge=False, pad_edge=False)
    table.add_column("figure", overflow="fold", max_width=34)
    table.add_column("value, status and source", overflow="fold")
    written = profile_schema().dump_python(profile, mode="json", exclude_none=True)
    for path, value, source in _figures(written, ()):
        table.add_row(Text(path), Text(f"{value}\n{source}" if source else value))
    console.print(table)


def _figures(written: Any, path: tuple[str, ...]) -> Iterable[tuple[str, str, str]]:
    """Every number of a profile with its status and its source; errors in a row each; other scalars without source."""
    if isinstance(written, dict) and "value" in written:
        status = f", {written['status']}" if "status" in written else ""
        yield ".".join(path), f"{written['value']}{status}", written.get("source", "")
    elif isinstance(written, dict) and "mape" in written:
        errors = (f"{name} {100 * written[key]:.1f} %" for name, key in _ERRORS.items())
        what = ": ".join(filter(None, (written["split"], written["group"])))
        yield ".".join(path[:-1]), f"{', '.join(errors)}, n = {written['n_points']}", what
    elif isinstance(written, dict):
        for key, inner in written.items():
            if path or key not in ("name", "description"):
                yield from _figures(inner, (*path, str(key)))
    elif isinstance(written, list):
        for index, inner in enumerate(written):
            yield from _figures(inner, (*path, str(index)))
    else:
        yield ".".join(path), str(written), ""


def _told(kind: str, name: str) -> Any:
    """What `show` shows, for programs."""
    from gapslsim.hardware.devices import load_profile
    from gapslsim.hardware.profile import profile_schema
    from gapslsim.registry import FAMILIES
    from gapslsim.scenario.fields import default_words, fields_of, meanings_of, type_words

    if kind == "device":
        profile = load_profile(name.partition("@")[0])
        return profile_schema().dump_python(profile, mode="json", exclude_none=True)
    if kind == "link":
        return {"name": name, **asdict(_link(name))}
    if kind == "scenario":
        return plain(parse(_scenario_text(name), name)[0])
    if name not in FAMILIES[kind]:
        raise ComponentError(
            f"no {kind} is called {name!r}; --json tells components, devices, links and scenarios, and draws nothing"
        )
    cls = FAMILIES[kind][name]
    meanings, tag = meanings_of(cls), FAMILIES[kind].tag
    settings = {
        field: {"takes": type_words(info), "default": default_words(info), "meaning": meanings[field]}
        for field, info in fields_of(cls).items()
        if field != tag
    }
    return {"kind": kind, "name": name, "about": inspect.cleandoc(cls.__doc__ or ""), "settings": settings}


def _link(name: str) -> LinkPreset:
    if name not in LINKS:
        raise ComponentError(unknown("link", name, sorted(LINKS)))
    return LINKS[name]


def _show_link(name: str) -> None:
    link = _link(name)
    for field in ("uplink", "downlink", "latency", "source"):
        say(f"{field + ':':<10}{getattr(link, field)}")


def _show_scenario(name: str) -> None:
    say(_scenario_text(name), nl=False)


def _scenario_text(name: str) -> str:
    known = shipped_scenarios()
    if name not in known:
        raise ComponentError(unknown("scenario", name, known))
    return read_text(known[name])


def _headed(heading: str, text: str | None) -> Terminal:
    """The console, on which a heading and what stands below it are printed."""
    console = Terminal()
    console.print(heading, style="bold")
    console.print(inspect.cleandoc(text or "").strip() + "\n")
    return console
