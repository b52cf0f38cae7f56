"""Torch's global switches for the time of a run: precision of float32 products, and kernels that repeat on a GPU."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final

import torch

from gapslsim.errors import ComponentError

if TYPE_CHECKING:
    from gapslsim.kernels import Precision

__all__ = ["computing"]

_VARIABLES: Final = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8", "TORCHINDUCTOR_DETERMINISTIC": "1"}
"""cuBLAS reads its own at its first product, and repeats only with one of two values; the compiler as it is loaded."""


@contextmanager
def computing(
    device: torch.device, precision: Precision = "float32", deterministic: bool = True
) -> Iterator[None]:
    """Float32 products and convolutions as `precision` says, and deterministic kernels on a GPU; all restored after.

    `float32` is IEEE's for both: by itself PyTorch convolves in TF32 on a GPU. With `bfloat16` too, since what is not
    cast stays float32.

    Args:
        device: where tensors are.
        precision: of products.
        deterministic: on a GPU, use kernels that repeat bit for bit.

    Raises:
        ComponentError: for an operation that has no such kernel.
    """
    with ExitStack() as stack:
        stack.enter_context(_float32_products("tf32" if precision == "tf32" else "ieee"))
        if deterministic and device.type == "cuda":
            stack.enter_context(_repeating())
        yield


@contextmanager
def _float32_products(wanted: str) -> Iterator[None]:
    backends: Any = torch.backends
    places = [
        backends.cudnn, backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn,
        backends.mkldnn.matmul, backends.mkldnn.conv, backends.mkldnn.rnn,
    ]  # fmt: skip
    # The older switches as well: torch.compile reads them, and torch raises where old and new ones contradict.
    older = [(place, _older(place)) for place in (backends.cudnn, backends.cuda.matmul)]
    before = [place.fp32_precision for place in places]
    for place, _ in older:
        place.allow_tf32 = wanted == "tf32"
    for place in places[:4]:
        place.fp32_precision = wanted
    for place in places[4:]:
        place.fp32_precision = "ieee"
    try:
        yield
    finally:
        for place, was in older:
            if was is not None:
                place.allow_tf32 = was
        for place, precision in zip(places, before, strict=True):
            place.fp32_precision = precision


def _older(place: Any) -> bool | None:
    """An older switch; None where it contradicts the new ones, so that torch does not say."""
    try:
        return bool(place.allow_tf32)
    except RuntimeError:
        return None


@contextmanager
def _repeating() -> Iterator[None]:
    cudnn, filling = torch.backends.cudnn, torch.utils.deterministic
    mode = torch.get_deterministic_debug_mode()
    of_cudnn, filled = (cudnn.deterministic, cudnn.benchmark), filling.fill_uninitialized_memory  # type: ignore[attr-defined]
    added = _VARIABLES.keys() - os.environ.keys()
    # Torch's compiler is told by hand: `use_deterministic_algorithms` does so too, but loads it, for 1.6 s.
    compiler = _compiler()
    of_compiler = compiler is not None and compiler.deterministic
    if compiler is not None:
        compiler.deterministic = True
    os.environ.update({name: _VARIABLES[name] for name in added})
    # Strictly: where torch only warns it takes attention kernels that do not repeat.
    torch.set_deterministic_debug_mode("error")
    cudnn.deterministic, cudnn.benchmark = True, False
    filling.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # finds bugs, and costs a launch per tensor
    try:
        yield
    except RuntimeError as error:
        if "eterministic" not in str(error):
            raise
        what = f"{str(error).partition(', but')[0]}, and the model needs it"
        if "CuBLAS" in str(error):
            name = "CUBLAS_WORKSPACE_CONFIG"
            what = f"cuBLAS was used in this process before; set {name}={_VARIABLES[name]} before it starts"
        raise ComponentError(
            f"training.deterministic: {what}. Or write `training.deterministic: false`: results then repeat up to "
            "rounding."
        ) from error
    finally:
        torch.set_deterministic_debug_mode(mode)
        cudnn.deterministic, cudnn.benchmark = of_cudnn
        filling.fill_uninitialized_memory = filled  # type: ignore[attr-defined]
        for name in added:
            del os.environ[name]
        compiler = _compiler()  # which the run may have loaded
        if compiler is not None:
            compiler.deterministic = of_compiler


def _compiler() -> Any:
    """Settings of torch's compiler, if it is loaded."""
    return sys.modules.get("torch._inductor.config")
