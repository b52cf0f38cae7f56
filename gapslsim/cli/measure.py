"""`gapslsim measure`: times this machine for `gapslsim calibrate`, and says how wrong a profile is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from gapslsim.cli.say import say
from gapslsim.kernels import Precision
from gapslsim.terminal import Terminal
from gapslsim.units import whole_number

if TYPE_CHECKING:
    from gapslsim.measuring.check import RoundCheck
    from gapslsim.measuring.measure import Plan
    from gapslsim.measuring.meter import Meter
    from gapslsim.measuring.table import Machine, Measurement

__all__ = ["measure_command"]

_CHECK_S = 10.0
"""Wall time of a check at least."""
_BUSY = 0.5
"""Load (processes that run or wait, mean of a minute) above which times of several threads are disturbed."""
_REST_S = 10.0
"""At rest before the measurement, where the machine measures its own power."""
_QUICK_S = 80.0
"""Wall time after which --quick measures nothing a second time."""


def measure_command(
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the table goes (CSV).")] = Path(
        "measurements.csv"
    ),
    scenario: Annotated[
        list[str] | None,
        typer.Option(help="Also measure the layers of this scenario's model (a file or a shipped name)."),
    ] = None,
    batch_sizes: Annotated[
        str, typer.Option(help="Batch sizes, for instance 8,32; a scenario's own unless given.")
    ] = "",
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps or auto.")] = "cpu",
    precision: Annotated[
        str, typer.Option(help="Of passes: float32, tf32 (NVIDIA's GPUs) or bfloat16.")
    ] = "float32",
    threads: Annotated[
        int | None,
        typer.Option(min=1, max=4096, help="Threads inside each operation; all of PyTorch's unless given."),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, max=99, help="Rows per layer.")] = 7,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer networks; ends within 2 minutes.")] = False,
    name: Annotated[str, typer.Option(help="What to call the device; found out unless given.")] = "",
    power_mode: Annotated[str, typer.Option(help="Power mode that is set, for instance 15w.")] = "",
    power: Annotated[
        float | None, typer.Option(min=0, max=1e6, help="Mean power under load that a meter shows [W].")
    ] = None,
    idle_power: Annotated[
        float | None, typer.Option(min=0, max=1e6, help="Power at rest that a meter shows [W].")
    ] = None,
    rails: Annotated[
        str,
        typer.Option(
            help="Power rails of the board to add (INA3221), such as VDD_IN; found out unless given. none: no power."
        ),
    ] = "",
    peer: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Also measure the link to a machine that runs --serve.")
    ] = "",
    token: Annotated[str, typer.Option(help="That --serve has printed on the peer; --peer needs it.")] = "",
    serve: Annotated[
        int | None, typer.Option(metavar="PORT", min=0, max=65535, help="Only answer one --peer, then end.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address that --serve listens on; 0.0.0.0 for all of this machine's.")
    ] = "127.0.0.1",
    check: Annotated[
        list[str] | None,
        typer.Option(help="Only compare rounds of this scenario, carried out here, with --profile."),
    ] = None,
    profile: Annotated[str, typer.Option(help="Profile to check: a YAML file or a shipped name.")] = "",
    rounds: Annotated[
        int, typer.Option(min=1, max=10_000, help="Rounds of a check; it goes on for 10 s in any case.")
    ] = 10,
) -> None:
    """Time PyTorch on this machine: layers in place, both sides of split models, optimizer steps, memory, links."""
    console = Terminal(stderr=True)
    if serve is not None:
        _serve(serve, host)
    elif check or profile:
        _check(check or ["quickstart"], profile, device, threads, rounds, console)
    else:
        from gapslsim.measuring.meter import power_rows, rest, watched
        from gapslsim.measuring.table import check_table, idle_row, write_table

        if not out.parent.is_dir():
            raise typer.BadParameter(f"--out: there is no folder {out.parent}; make it first.")
        check_table(out)
        machine, torch_device = _machine(device, precision, threads, name, power_mode, power)
        plan = _plan(scenario or [], batch_sizes, repeats, quick, precision)
        meter = _meter(rails, torch_device, console)
        resting = rest(meter, _REST_S) if meter is not None and idle_power is None else []
        with watched(meter if power is None else None) as working:
            rows = _measure(plan, machine, torch_device, peer, token, console)
        if meter is not None:
            rows += power_rows(machine, meter, resting, working)
        from gapslsim.calibration.calibrate import slug

        if idle_power is not None:
            rows.append(idle_row(machine, idle_power))
        write_table(out, rows)
        say(f"{len(rows)} rows for {machine.device} ({machine.runtime}, {machine.threads} threads) in {out}")
        say(f"Next: gapslsim calibrate {out} -o {slug(machine.device)}.yaml")


def _machine(
    device: str, precision: Any, threads: int | None, name: str, power_mode: str, power_w: float | None
) -> tuple[Machine, Any]:
    import torch

    from gapslsim.measuring.machine import machine_name, runtime_name
    from gapslsim.measuring.table import Machine
    from gapslsim.torch_device import check_precision, choose_device

    if precision not in get_args(Precision):
        raise typer.BadParameter(f"--precision: found {precision!r}; write {', '.join(get_args(Precision))}.")
    chosen = choose_device(device, "--device")
    check_precision(precision, chosen, "--precision")
    n_threads = threads or torch.get_num_threads()
    runtime = runtime_name(chosen, precision)
    return Machine(name or machine_name(chosen), runtime, n_threads, power_mode, power_w), chosen


def _meter(rails: str, torch_device: Any, console: Terminal) -> Meter | None:
    """The machine's own meter, if it has one."""
    from gapslsim.measuring.meter import find_meter

    if rails == "none":
        return None
    wanted = [name.strip() for name in rails.split(",") if name.strip()]
    meter = find_meter(torch_device.type, torch_device.index or 0, wanted=wanted)
    if meter is not None:
        console.print(f"Power: {meter.name}. At rest for {_REST_S:g} s first, unless --idle-power is given.")
    elif wanted:
        raise typer.BadParameter(
            f"--rails: this machine has no rails {rails}, or they cannot be read; try as root."
        )
    return meter


def _plan(
    scenarios: list[str], batch_sizes: str, repeats: int, quick: bool, precision: Any = "float32"
) -> Plan:
    from gapslsim.measuring.measure import Plan
    from gapslsim.measuring.passes import Effort
    from gapslsim.measuring.probes import probes, scenario_probe
    from gapslsim.scenario.loading import load

    sizes = _sizes(batch_sizes) or ([8, 32] if quick else [4, 16, 64])
    chosen = probes(quick)
    for each in scenarios:
        loaded = load(each)
        chosen.append(scenario_probe(loaded))
        if not batch_sizes:
            sizes += loaded.batch_sizes
    return Plan(
        probes=chosen,
        batch_sizes=sorted(set(sizes)),
        repeats=repeats,
        precision=precision,
        enough_s=_QUICK_S if quick else float("inf"),
        passes=Effort(least=4, most=100, budget_s=0.5 if quick else 2.0),
        steps=Effort(least=8, most=200, budget_s=0.15 if quick else 0.5),
    )


def _sizes(text: str) -> list[int]:
    parts = [whole_number(part) or 0 for part in text.split(",") if part.strip()]
    if not all(parts):
        raise typer.BadParameter(f"--batch-sizes: found {text!r}; write whole numbers, for instance 8,32.")
    return parts


def _measure(
    plan: Plan, machine: Machine, torch_device: Any, peer: str, token: str, console: Terminal
) -> list[Measurement]:
    from gapslsim.measuring.links import measure_link, parse_peer
    from gapslsim.measuring.measure import measure
    from gapslsim.stages.clock import clock_of

    address = parse_peer(peer) if peer else None
    links: list[Measurement] = []
    _warn_if_busy(machine, torch_device, console)
    with _progress(console) as observer:
        if address is not None:  # first, so that a peer that is not there is found out at once
            observer(f"link to {peer}", 0.0)
            links = measure_link(machine, address, token=token)
        rows = measure(plan, machine, torch_device, clock_of(torch_device, machine.threads), observer)
    return rows + links


def _warn_if_busy(machine: Machine, torch_device: Any, console: Terminal) -> None:
    """Other processes are in the times wherever the clock is the wall time: not with one thread on a CPU."""
    import os

    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > _BUSY and torch_device.type == "cpu" and machine.threads > 1:
        console.print(
            f"The machine is busy (load {load:.1f}). With {machine.threads} threads the wall time is measured, other "
            "processes included: end them, or measure with --threads 1."
        )


def _serve(port: int, host: str) -> None:
    from gapslsim.measuring.link_server import LOOPBACK, serve

    def ready(port: int, token: str) -> None:
        if host == LOOPBACK:
            say("Listening to this machine alone; --host 0.0.0.0 listens to others.", err=True)
        here = "THIS-HOST" if host in ("0.0.0.0", "::", "") else f"[{host}]" if ":" in host else host
        say(f"Waiting for 'gapslsim measure --peer {here}:{port} --token {token}'")

    say(f"Measured with {serve(port, host=host, ready=ready)}")


def _check(
    scenarios: list[str], profile: str, device: str, threads: int | None, rounds: int, console: Terminal
) -> None:
    import torch

    from gapslsim.hardware.devices import load_device
    from gapslsim.measuring.check import check_round
    from gapslsim.scenario.loading import load

    if not profile:
        raise typer.BadParameter("--check needs --profile, a YAML file or a shipped device.")
    checked = load_device(profile)
    for each in scenarios:
        loaded = load(each, set=[f"training.device={device}"])
        with _progress(console) as observer:
            result = check_round(
                loaded, checked, threads or torch.get_num_threads(), rounds, _CHECK_S, observer=observer
            )
        _show(loaded.name, checked.name, result)


def _show(scenario: str, device: str, result: RoundCheck) -> None:
    table = Table(
        title=f"{scenario}: computation of a round here, and as profile {device} says", title_justify="left"
    )
    for column in ("operation", "per round", "measured", "predicted", "error"):
        table.add_column(column, justify="left" if column == "operation" else "right")
    for row in (*result.operations, result.total):
        table.add_row(
            row.operation,
            f"{row.n_per_round:g}",
            f"{1e3 * row.measured_s:.2f} ms",
            f"{1e3 * row.predicted_s:.2f} ms",
            f"{row.error:+.1%}",
        )
    Terminal().print(table)
    say(
        f"Medians of {result.n_rounds} rounds; all devices of the scenario are this one. "
        f"Wall time was {result.wall_over_work:.2f} times the time worked."
    )


@contextmanager
def _progress(console: Terminal) -> Iterator[Callable[[str, float], None]]:
    """A bar on a terminal; elsewhere a line at each tenth."""
    if console.is_terminal:
        columns = (
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}% {task.description}", markup=False),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task("starting", total=1.0)
            yield lambda what, share: bar.update(task, completed=share, description=what)
        return
    told = -1

    def line(what: str, share: float) -> None:
        nonlocal told
        if int(10 * share) > told:
            told = int(10 * share)
            console.print(f"{share:4.0%} {what}")

    yield line
