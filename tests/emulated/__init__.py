"""An emulated accelerator: tensors that compute on the CPU, say that they are elsewhere, and count what that costs.

    from tests.emulated import emulated
    with emulated("cuda") as log:
        results = simulate(load("scenarios/quickstart.yaml"))
    print(log.report())

What is counted is what PyTorch's dispatcher is asked for: a convolution's backward pass is one launch here and
two or three kernels on a GPU, a copy between tensors of the device is a launch. Values are those of the CPU, so
that what runs on both has the same hashes.
"""

from tests.emulated.accelerator import emulated
from tests.emulated.log import Log

__all__ = ["Log", "emulated"]
