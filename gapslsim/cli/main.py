"""The command line: finds commands by name; `endings` turns errors into words and exit codes.

A command's module is imported when the command is called, so that `--help` answers at once.
"""

from __future__ import annotations

import importlib
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import typer
from typer.core import TyperGroup
from typer.main import get_command

from gapslsim.cli.endings import INTERRUPTED, end, flush, prepare_streams
from gapslsim.cli.log import log, start_log
from gapslsim.cli.say import say
from gapslsim.cli.signals import interrupting
from gapslsim.faults import nobody_exits
from gapslsim.plain_text import visible

__all__ = ["COMMANDS", "main"]


class Entry(NamedTuple):
    """Where a command's function is."""

    target: str
    """`module:function` in `gapslsim.cli`; the function carries typer's annotations."""
    help: str
    """One sentence for the list of commands."""


COMMANDS: dict[str, Entry] = {
    "run": Entry("run:run_command", "Run a scenario: train, simulate, write a run directory."),
    "new": Entry("new:new_command", "Make a folder with a scenario, a study and stubs to begin from."),
    "sweep": Entry("sweep:sweep_command", "Run a study: many scenarios from one file."),
    "figure": Entry("figure:figure_command", "Draw a study's own figure, with its numbers."),
    "report": Entry("report:report_command", "Write runs or studies as one HTML page."),
    "trace": Entry("trace:trace_command", "Write a run as a Perfetto trace, or what set its pace."),
    "explain": Entry(
        "explain:explain_command", "Say what set a run's pace, and what each resource would save if faster."
    ),
    "whatif": Entry(
        "whatif:whatif_command", "Compare a run with itself under other settings, through its journal."
    ),
    "leakage": Entry(
        "leakage:leakage_command",
        "Attack a run's smashed data: what it gives away of the inputs, with pictures.",
    ),
    "plan": Entry(
        "plan:plan_command",
        "Choose cut, batch sizes, devices, shares: timed, with a bound on what is missed.",
    ),
    "measure": Entry("measure:measure_command", "Time PyTorch on this machine, or check a profile."),
    "check-testbed": Entry(
        "check_testbed:check_testbed_command",
        "Hold a scenario to what a real testbed measured; calibrate it.",
    ),
    "import": Entry(
        "import_log:import_command", "Turn another tool's log into a trace or a measurement table."
    ),
    "check-network": Entry(
        "check_network:check_network_command", "Run reference cases through the network and print its error."
    ),
    "check-component": Entry(
        "check_component:check_component_command",
        "Try components of your own: what each must keep, and what it breaks.",
    ),
    "compare": Entry("compare:compare_command", "Put several runs side by side in one table."),
    "journal": Entry("journal:journal_command", "List, check or prune a journal of computed training."),
    "validate": Entry("validate:validate", "Check a scenario and list every problem with its fix."),
    "data": Entry("data:data_command", "Fetch a public data set and check it."),
    "calibrate": Entry(
        "calibrate:calibrate_command", "Fit a hardware profile to measurements; say how wrong it is."
    ),
    "schema": Entry("schema:schema", "Print the JSON Schema of scenario files, for editors."),
    "list": Entry("listing:list_components", "List components, devices, links and scenarios."),
    "show": Entry("listing:show", "Show a component's settings, a device's figures, a scenario."),
    "reference": Entry("reference:reference_command", "Write all components and commands as Markdown pages."),
}
"""Every command; a new one is one line here."""


_NO_COMPONENTS: Final = "--no-components"
_HELP: Final = {"help_option_names": ["-h", "--help"]}


class _Commands(TyperGroup):
    """Shows stubs in the help and fetches a command's function when it is called."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Name, real command and its arguments."""
        name, stub, rest = super().resolve_command(ctx, args)
        if name is None or stub is None or name not in COMMANDS:
            return name, stub, rest
        from gapslsim.own_components import TELL

        told = TELL.set(lambda own: say(f"Runs the Python of {own}; {_NO_COMPONENTS} runs none.", err=True))
        ctx.call_on_close(lambda: TELL.reset(told))
        return name, load_command(name), rest

    def make_context(self, *given: Any, **more: Any) -> Any:
        """Parses the options before the command."""
        with _handed_on():
            return super().make_context(*given, **more)

    def invoke(self, ctx: Any) -> Any:
        """Carries the command out."""
        with _handed_on(), nobody_exits():
            return super().invoke(ctx)


@contextmanager
def _handed_on() -> Iterator[None]:
    """Hands on what typer would end in its own way, and spells out control characters in what it prints by itself."""
    try:
        yield
    except (KeyboardInterrupt, EOFError, OSError) as error:
        raise _PassedError(error) from error
    except Exception as error:
        if isinstance(message := getattr(error, "message", None), str):
            error.message = visible(message)  # type: ignore[attr-defined]
        raise


class _PassedError(Exception):
    """An error on its way past typer."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error


def load_command(name: str) -> Any:
    """The command's own parser, from its module."""
    entry = COMMANDS[name]
    module, _, function = entry.target.partition(":")
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    called = getattr(importlib.import_module(f"gapslsim.cli.{module}"), function)
    app.command(name=name, help=entry.help, context_settings=_HELP)(called)
    command = get_command(app)
    for parameter in command.params:
        # Else rich takes `[default: ...]` for markup and leaves it out.
        text = getattr(parameter, "help", None)
        if text:
            parameter.help = text.replace("[", r"\[")  # type: ignore[attr-defined]
    return command


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        say(f"gapslsim {version('gapslsim')}")
        raise typer.Exit


def _application() -> typer.Typer:
    app = typer.Typer(
        name="gapslsim",
        cls=_Commands,
        no_args_is_help=True,
        context_settings=_HELP,
        pretty_exceptions_enable=False,
        help="A discrete-event network simulator coupled to real split-learning training.",
    )

    @app.callback()
    def options(
        version: Annotated[
            bool,
            typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit."),
        ] = False,
        verbose: Annotated[
            bool,
            typer.Option(
                "--verbose", "-v", help="Say on the error output what is done; with traces of errors."
            ),
        ] = False,
        to_file: Annotated[
            Path | None,
            typer.Option("--log", metavar="FILE", help="Add the same to this file, with the time."),
        ] = None,
        no_components: Annotated[
            bool,
            typer.Option(
                _NO_COMPONENTS,
                help="Run no Python that a scenario or study names under components, as GAPSLSIM_NO_COMPONENTS=1.",
            ),
        ] = False,
    ) -> None:
        if verbose or log is not None:
            start_log(verbose, to_file)

    for name, entry in COMMANDS.items():
        app.command(name=name, help=entry.help)(_stub)
    return app


def _stub() -> None:
    """Stands in the list of commands; never called."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits with its code."""
    call: Callable[..., Any] = get_command(_application())
    given = list(arguments) if arguments is not None else sys.argv[1:]
    started_s = time.perf_counter()
    prepare_streams()
    with interrupting() as signalled, _components_refused(given) as rest:
        code = _code_of(call, rest)
    if code == INTERRUPTED and signalled.number:
        code = 128 + signalled.number
    told = " ".join(map(shlex.quote, given))
    log().info("gapslsim %s: exit code %d after %.1f s", told, code, time.perf_counter() - started_s)
    sys.exit(code)


@contextmanager
def _components_refused(given: list[str]) -> Iterator[list[str]]:
    """The arguments without `--no-components`, which may stand anywhere; a variable tells of it, to workers too."""
    if _NO_COMPONENTS not in given:
        yield given
        return
    from gapslsim.own_components import REFUSED

    before = os.environ.get(REFUSED, "")
    os.environ[REFUSED] = "1"
    try:
        yield [argument for argument in given if argument != _NO_COMPONENTS]
    finally:
        os.environ[REFUSED] = before


def _code_of(call: Callable[..., Any], given: list[str]) -> int:
    try:
        try:
            call(args=given, prog_name="gapslsim")
        except SystemExit as ended:
            code = ended.code
            if isinstance(code, str):
                say(code, err=True)
            flush()
            return code if isinstance(code, int) else int(code is not None)
        flush()
        return 0
    except _PassedError as passed:
        return end(passed.error, given)
    except BaseException as error:
        return end(error, given)
