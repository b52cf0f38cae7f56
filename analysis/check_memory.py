"""Forecast of peak memory against what PyTorch allocates: python analysis/check_memory.py (about ten seconds)."""

from __future__ import annotations

from gapslsim.measuring.memory import Peak, client_peak, server_peak
from gapslsim.measuring.probes import Probe
from gapslsim.models.zoo.cnn import Cnn
from gapslsim.models.zoo.mlp import Mlp
from gapslsim.models.zoo.vgg16 import Vgg16
from gapslsim.models.zoo.vit import Vit

IMAGE = (3, 32, 32)
CASES = [
    (Probe("mlp 256-128", Mlp(hidden=(256, 128)), (1, 28, 28)), 64),
    (Probe("cnn (quickstart)", Cnn(channels=(16, 32, 32)), (1, 8, 8)), 16),
    (Probe("cnn, group norm", Cnn(channels=(16, 32, 64)), IMAGE), 64),
    (Probe("cnn, batch norm", Cnn(channels=(16, 32, 64), norm="batch"), IMAGE), 64),
    (Probe("vgg16, width 0.25", Vgg16(width=0.25), IMAGE), 32),
    (Probe("vgg16, width 0.25", Vgg16(width=0.25), IMAGE), 128),
    (Probe("vgg16, width 0.5", Vgg16(width=0.5, cut=8), IMAGE), 64),
    (Probe("vit, dim 96", Vit(patch=4, dim=96, depth=4, heads=3, cut=2), IMAGE), 32),
]


def line(name: str, batch_size: int, side: str, peak: Peak) -> str:
    megabytes = f"{peak.forecast_bytes / 1e6:10.2f} {peak.measured_bytes / 1e6:10.2f}"
    return f"{name:20} {batch_size:5} {side:24} {megabytes} {peak.ratio:7.2f}"


def main() -> None:
    print(f"{'model':20} {'batch':>5} {'side':24} {'forecast':>10} {'measured':>10} {'ratio':>7}   [MB]")
    for probe, batch_size in CASES:
        print(line(probe.name, batch_size, "client", client_peak(probe, batch_size)))
        for keeps, what in ((False, "server, 5 clients"), (True, "server, 5, own gradients")):
            print(line(probe.name, batch_size, what, server_peak(probe, batch_size, 5, keeps)))


if __name__ == "__main__":
    main()
