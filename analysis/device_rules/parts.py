"""What profiles are put together from: figures, sections, and the sentence on what a profile rests on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from device_rules.public import PAGODA, RESNET_LAYERS, SBC_BENCH, Public
from gapslsim.hardware.cost_models.roofline import Roofline
from gapslsim.hardware.figure import Figure
from gapslsim.hardware.grouped import Jump
from gapslsim.hardware.profile import (
    Calibration,
    Evidence,
    HeldOutError,
    Jitter,
    Memory,
    Mode,
    PowerDraw,
    Profile,
)  # fmt: skip

AGX_MIPS_OF = "Jetson AGX Orin"


def rounded(value: float, digits: int = 3) -> float:
    """To so many digits, halves up."""
    exact = Decimal(f"{value:.12g}")
    if exact == 0:
        return 0.0
    step = Decimal(1).scaleb(exact.adjusted() - digits + 1)
    return float((exact / step).quantize(Decimal(1), ROUND_HALF_UP) * step)


def figure(value: float, status: Any, source: str, digits: int = 3) -> Figure[float]:
    """A figure, rounded."""
    return Figure(value=rounded(value, digits), status=status, source=source)


def assumed(value: float, source: str, digits: int = 3) -> Figure[float]:
    """A figure that is carried over or made by a rule."""
    return figure(value, "assumed", source, digits)


def memory(total: float, status: Any, source: str, shared: str = "") -> Memory:
    """Three quarters of what is built in can be used."""
    why = f"three quarters of the total; the operating system and the runtime take the rest{shared}"
    return Memory(total=figure(total, status, source), usable=assumed(0.75 * total, why))


def overhead(public: Public, mips: float, whose: str, dispatch_s: float | None = None) -> Figure[float]:
    """Time per layer: what PyTorch takes on Jetson AGX Orin, scaled by single-core 7-zip; whole microseconds."""
    there = public.mips(AGX_MIPS_OF)
    rows = public.pagoda[public.pagoda.model == "resnet50"].set_index("batch_size")
    source = (
        f"77 us of PyTorch dispatch per layer on Jetson AGX Orin, from {PAGODA}: resnet50 at batch 1 takes "
        f"{rows.latency_ms[1]:.2f} ms, less its {rows.flops[1] / 1e9:.2f} GFLOP at "
        f"{rows.rate[[16, 32]].mean() / 1e9:.0f} GFLOP/s (mean of batch 16 and 32), over {RESNET_LAYERS} "
        "executed layers"
    )
    if whose:
        source += (
            f"; scaled by single-core 7-zip ({SBC_BENCH}): {there:g} MIPS there, {mips:g} here ({whose})"
        )
    value = (dispatch_s or public.dispatch_s) * there / mips
    return assumed(round(1e6 * value) / 1e6, source)


def per_call(per_layer: Figure[float]) -> Figure[float]:
    """Time per call."""
    why = "ten times the overhead per layer: entering a pass costs some Python and one synchronisation"
    return assumed(10 * per_layer.value, why)


def jitter(sigma: float, source: str, status: Any = "assumed", digits: int = 2) -> Jitter:
    """Lognormal jitter."""
    return Jitter(sigma=figure(sigma, status, source, digits))


def power(idle: Figure[float], compute: Figure[float], network_w: float = 1.0) -> PowerDraw:
    """Sending and receiving take a little more than nothing."""
    what = f"the idle power plus {network_w:g} W" + (" for the network interface" if network_w == 1 else "")
    talking = assumed(idle.value + network_w, what)
    return PowerDraw(idle=idle, compute=compute, send=talking, receive=talking)


def slower(
    profile: Profile,
    description: str,
    gpu: tuple[float, str],
    cpu: tuple[float, str],
    budget: Figure[float],
    memory_rate: Figure[float] | None = None,
) -> Mode:
    """A power mode of a GPU board: rates by the ratio of GPU clocks, overheads by that of CPU clocks.

    Args:
        profile: in its own mode.
        description: of the mode.
        gpu: ratio of GPU clocks (times units that are on), and where it is from.
        cpu: ratio of CPU clocks, and where it is from.
        budget: power when computing.
        memory_rate: where the memory clock differs.
    """
    model = profile.cost_model
    assert isinstance(model, Roofline)
    rate = "the rate of the full mode times " + gpu[1]
    per_layer = assumed(
        round(1e6 * model.overhead_per_layer.value / cpu[0]) / 1e6,
        "overhead of the full mode times " + cpu[1],
    )
    changed = replace(
        model,
        forward_rate=assumed(model.forward_rate.value * gpu[0], rate),
        backward_rate=assumed(model.backward_rate.value * gpu[0], rate),
        memory_rate=memory_rate or model.memory_rate,
        overhead_per_layer=per_layer,
        overhead_per_call=assumed(10 * per_layer.value, "ten times the overhead per layer"),
    )
    return Mode(description=description, cost_model=changed, power=replace(profile.power, compute=budget))


def evidence(
    profile: Profile,
    held_out: str,
    held_out_errors: tuple[HeldOutError, ...] = (),
    rule_errors: tuple[HeldOutError, ...] = (),
) -> Profile:
    """The profile, saying what it rests on."""
    by_status = numbers(profile)
    texts = {status: ", ".join(names) or "none" for status, names in by_status.items()}
    made = Evidence(
        **texts, held_out=held_out, held_out_errors=held_out_errors, rule_errors=rule_errors
    )  # fmt: skip
    return replace(profile, evidence=made)


def numbers(profile: Profile) -> dict[str, list[str]]:
    """Names of a profile's numbers (those of its modes left out) by status."""
    found: dict[str, list[str]] = {"measured": [], "published": [], "fitted": [], "assumed": []}
    for name, one in _figures("", replace(profile, modes={}, evidence=None)):
        if name not in found[one.status]:
            found[one.status].append(name)
    return found


def _figures(name: str, thing: Any) -> Iterator[tuple[str, Figure[float]]]:
    """Figures with their places; those of a group of layers under the group's name."""
    if isinstance(thing, Figure):
        yield name, thing
    elif isinstance(thing, Calibration):
        return
    elif is_dataclass(thing):
        group = f"{getattr(thing, 'phase', '')} {getattr(thing, 'layer_kind', '')}".strip()
        for field in fields(thing):
            inner = (
                name if isinstance(thing, Jump) or hasattr(thing, "layer_kind") else f"{name}.{field.name}"
            )
            yield from _figures((inner or group).strip("."), getattr(thing, field.name))
    elif isinstance(thing, Mapping):
        for value in thing.values():
            yield from _figures(name, value)
    elif isinstance(thing, tuple):
        for value in thing:
            yield from _figures(name, value)
