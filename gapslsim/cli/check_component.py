"""`gapslsim check-component`: the invariants of a user's own components, or of shipped ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from gapslsim.cli.say import say
from gapslsim.cli.validate import SetOption
from gapslsim.terminal import Terminal
from gapslsim.units import whole_number

if TYPE_CHECKING:
    from gapslsim.checks.check import Outcome

__all__ = ["check_component_command"]

_MARKS = {
    "passed": ("holds", "green"),
    "failed": ("FAILS", "red"),
    "note": ("note", "yellow"),
    "not looked at": ("-", "white"),
}


def check_component_command(
    file: Annotated[
        str | None, typer.Argument(metavar="FILE", help="A .py file or a module that registers components.")
    ] = None,
    kind: Annotated[
        list[str] | None, typer.Option(metavar="KIND", help="Only these, by kind or family; repeatable.")
    ] = None,
    set: SetOption = None,
    shipped: Annotated[
        list[str] | None,
        typer.Option(metavar="FAMILY:KIND", help="A component of the package, as framework:psl; repeatable."),
    ] = None,
    inputs: Annotated[
        str | None, typer.Option(metavar="SHAPE", help="Shape of one input of a model, for instance 1,28,28.")
    ] = None,
) -> None:
    """Looks at everything that a component must keep, in seconds; exit code 1 if something fails.

    `--set KIND.NAME=VALUE` gives a setting of the component KIND; what else is required is guessed.
    """
    from gapslsim.checks.families import check

    chosen = _chosen(file, kind or (), shipped or ())
    given = _given(set or (), sorted(name for _, name in chosen))
    shape = None if inputs is None else _shape(inputs)
    found = {pair: check(*pair, given.get(pair[1]), inputs=shape) for pair in chosen}
    for (family, name), outcomes in found.items():
        say(f"{family} {name}")
        for outcome in outcomes:
            _show(outcome)
    for (family, name), outcomes in found.items():
        for outcome in outcomes:
            if outcome.result == "failed":
                say(f"\n{family} {name} fails: {outcome.sentence}\n  {outcome.words}")
    n = Counter(outcome.result for outcomes in found.values() for outcome in outcomes)
    what = "1 component" if len(found) == 1 else f"{len(found)} components"
    fail = f"{n['failed']} {'fails' if n['failed'] == 1 else 'fail'}"
    rest = f", {n['not looked at']} not looked at" if n["not looked at"] else ""
    say(f"\n{what}: {n['passed'] + n['note']} claims hold, {fail}{rest}.")
    if n["failed"]:
        raise typer.Exit(1)


def _shape(text: str) -> tuple[int, ...]:
    """Raises ComponentError unless it is whole numbers with commas between them."""
    from gapslsim.errors import ComponentError

    parts = [whole_number(part) or 0 for part in text.split(",")]
    if not all(parts):
        raise ComponentError(f"--inputs {text}: write the shape of one input, for instance --inputs 1,28,28.")
    return tuple(parts)


def _show(outcome: Outcome) -> None:
    """A line: what is claimed and what came of it."""
    mark, colour = _MARKS[outcome.result]
    why = f" ({outcome.words:.160})" if outcome.result in ("note", "not looked at") else ""
    line = Text.assemble("  ", (f"{mark:<5}", colour), f" {outcome.sentence}{why}")
    Terminal().print(line, soft_wrap=True)


def _chosen(file: str | None, kinds: Sequence[str], shipped: Iterable[str]) -> list[tuple[str, str]]:
    """Family and kind of everything that is looked at.

    Raises:
        ComponentError: if there is nothing, or something that is not known.
    """
    from gapslsim.errors import ComponentError, unknown
    from gapslsim.own_components import load_components, registered_by
    from gapslsim.registry import FAMILIES

    chosen: list[tuple[str, str]] = []
    for family, _, kind in (name.partition(":") for name in shipped):
        if family not in FAMILIES:
            said = unknown("family", family, FAMILIES)
            raise ComponentError(f"--shipped {family}:{kind}: {said} Write for instance framework:psl.")
        FAMILIES[family][kind]
        chosen.append((family, kind))
    if file is not None:
        load_components(file)
        chosen += registered_by(file)
    if not chosen:
        raise ComponentError(
            "name a file of your own components, or a shipped one with --shipped framework:psl."
        )
    for name in kinds:
        if not any(name in pair for pair in chosen):
            known = ", ".join(f"{family} {kind}" for family, kind in chosen)
            raise ComponentError(f"--kind {name}: there is none of this kind or family; there is: {known}.")
    return [pair for pair in chosen if not kinds or {*pair} & {*kinds}]


def _given(overrides: Iterable[str], known: Collection[str]) -> Mapping[str, Mapping[str, Any]]:
    """Settings by kind and path.

    Raises:
        ComponentError: for what cannot be read, or is of nothing that is looked at.
    """
    from gapslsim.errors import ComponentError, did_you_mean
    from gapslsim.scenario.tree import parse, plain

    found: dict[str, dict[str, Any]] = {}
    for override in overrides:
        path, _, text = override.partition("=")
        kind, _, name = path.strip().partition(".")
        tree, problems = parse(text, "")
        wrong = ""
        if not text or not name:
            wrong = "write it as KIND.NAME=VALUE, for instance sample.k=3."
        elif kind not in known:
            wrong = f"{kind!r} is not looked at; there is: {', '.join(known)}.{did_you_mean(kind, known)}"
        elif problems:
            wrong = problems[0].message
        if wrong:
            raise ComponentError(f"--set {override}: {wrong}")
        found.setdefault(kind, {})[name] = plain(tree)
    return found
