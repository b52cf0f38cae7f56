"""Switches the emulated device on: where tensors are made or moved, and what `torch.cuda` says of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch
import torch._dynamo.variables  # when first needed, it would find functions of this file in place of PyTorch's
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from tests.emulated.log import Log
from tests.emulated.tensor import Emulated


@contextmanager
def emulated(kind: str = "cuda", memory_bytes: float = 80e9) -> Iterator[Log]:
    """Inside, `cuda` or `mps` is a device of this machine, and `device: auto` chooses CUDA.

    Args:
        kind: cuda or mps; the latter refuses float64, as real ones do.
        memory_bytes: that `torch.cuda.mem_get_info` says are free, of as many.
    """
    log, place = Log(), torch.device(kind, 0)
    overwrites = torch.__future__.get_overwrite_module_params_on_conversion()
    with ExitStack() as stack:
        stack.enter_context(patch.multiple(Emulated, asked=log, place=place))
        for owner, changes in _patches(kind, int(memory_bytes), log).items():
            stack.enter_context(patch.multiple(owner, **changes))
        # `Module.to` must take the new tensors, not write into the old ones.
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        stack.callback(torch.__future__.set_overwrite_module_params_on_conversion, overwrites)
        stack.enter_context(_Moving())
        yield log


def _patches(kind: str, memory_bytes: int, log: Log) -> dict[Any, dict[str, Any]]:
    load, is_cuda = torch.load, kind == "cuda"

    def load_to(*args: Any, map_location: Any = None, **kwargs: Any) -> Any:
        """Tensors of a file are on the device that is asked for."""
        there = _is_elsewhere(map_location)
        made = load(*args, map_location="cpu" if there else map_location, **kwargs)
        return torch.utils._pytree.tree_map(Emulated.on_device, made) if there else made

    def wait(*_: Any, **__: Any) -> None:
        log.note("waits", "synchronize")

    properties = SimpleNamespace(
        name="Emulated GPU", total_memory=memory_bytes, multi_processor_count=132, major=9, minor=0
    )
    nothing = lambda *_, **__: None  # noqa: E731
    of_cuda: dict[str, Any] = {
        "is_available": lambda: is_cuda,
        "device_count": lambda: int(is_cuda),
        "current_device": lambda: 0,
        "current_stream": lambda *_: None,
        "get_device_name": lambda *_: properties.name,
        "get_device_properties": lambda *_: properties,
        "get_device_capability": lambda *_: (9, 0),
        "mem_get_info": lambda *_: (memory_bytes, memory_bytes),
        "memory_allocated": lambda *_: 0,
        "max_memory_allocated": lambda *_: 0,
        "reset_peak_memory_stats": nothing,
        "empty_cache": nothing,
        "synchronize": wait,
        # Masks of dropout are drawn by the CPU, whose generator is lent and given back anyway.
        "get_rng_state": lambda *_: torch.get_rng_state(),
        "set_rng_state": nothing,
        "manual_seed_all": nothing,
        "Event": lambda **_: _Event(log),
    }
    return {
        torch: {"load": load_to},
        torch.cuda: of_cuda,
        torch.backends.mps: {"is_available": lambda: not is_cuda},
        torch.mps: {
            "synchronize": wait,
            "manual_seed": nothing,
            "get_rng_state": lambda: torch.get_rng_state(),
            "set_rng_state": nothing,
            "recommended_max_memory": lambda: memory_bytes,
            "driver_allocated_memory": lambda: 0,
        },
    }


class _Event:
    """A CUDA event on the clock of the CPU."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._at_s = 0.0

    def record(self, *_: Any) -> None:
        self._at_s = time.perf_counter()

    def query(self) -> bool:
        return True

    def synchronize(self) -> None:
        self._log.note("waits", "event")

    def elapsed_time(self, end: _Event) -> float:
        """Milliseconds, as PyTorch has it."""
        return (end._at_s - self._at_s) * 1e3


class _Moving(TorchFunctionMode):
    """Catches what makes or moves tensors, before PyTorch looks for the device."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        match func:
            case torch.Tensor.to:
                return _to(func, args, kwargs)
            case torch.Tensor.cuda:
                return _to(torch.Tensor.to, (args[0], torch.device("cuda", 0)), kwargs)
            case torch.Tensor.pin_memory:
                args[0].is_emulated_as_pinned = True
                return args[0]
            case torch.Tensor.new_tensor if isinstance(args[0], Emulated):
                kwargs.setdefault("dtype", args[0].dtype)
                Emulated.asked.note("uploads", "new_tensor")
                return Emulated.on_device(torch.tensor(*args[1:], **kwargs))
            case F.one_hot | torch._C._nn.one_hot if isinstance(args[0], Emulated):
                # On the CPU it looks at the labels, on a GPU it does not.
                Emulated.asked.note("launches", "one_hot")
                return Emulated.on_device(func(args[0].elem, *args[1:], **kwargs))
        pins = kwargs.get("pin_memory") and kwargs.pop("pin_memory")
        if not _is_elsewhere(kwargs.get("device")):
            made = func(*args, **kwargs)
            if pins:
                made.is_emulated_as_pinned = True
            return made
        made = func(*args, **kwargs | {"device": "cpu"})
        if not isinstance(made, torch.Tensor) or isinstance(made, Emulated):
            return made
        name = getattr(func, "__name__", str(func))
        if name in ("tensor", "as_tensor"):
            Emulated.asked.note("uploads", name)
        elif not name.startswith("empty"):
            Emulated.asked.note("launches", name)
        return Emulated.on_device(made)


def _to(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """`Tensor.to`: between the CPU and the device, or as ever."""
    tensor, *given = args
    like = next((other for other in given if isinstance(other, torch.Tensor)), None)
    named = [kwargs.pop("device", None), *(g for g in given if isinstance(g, torch.device | str))]
    wanted = next((torch.device(name) for name in named if name is not None), None)
    dtypes = [kwargs.pop("dtype", None), *(g for g in given if isinstance(g, torch.dtype))]
    dtype = next((d for d in dtypes if d is not None), None)
    if like is not None:
        wanted, dtype = like.device, like.dtype
    flags = [g for g in given if isinstance(g, bool)]
    waits = not (kwargs.pop("non_blocking", False) or any(flags[:1]))
    log = Emulated.asked
    if _is_elsewhere(wanted) and not isinstance(tensor, Emulated):
        is_pinned = getattr(tensor, "is_emulated_as_pinned", False)
        log.note("queued_uploads" if is_pinned and not waits else "uploads", "to")
        moved = tensor.detach()
        return Emulated.on_device(moved if dtype is None else moved.to(dtype))
    if wanted is not None and not _is_elsewhere(wanted) and isinstance(tensor, Emulated):
        log.note("waits", "to(cpu)")
        back = tensor.elem.detach().clone()
        return back if dtype is None else back.to(dtype)
    if dtype is None:
        return func(tensor, **kwargs) if "memory_format" in kwargs else tensor
    return func(tensor, dtype, **kwargs)


def _is_elsewhere(device: Any) -> bool:
    """Whether a device is the emulated one."""
    if device is None or isinstance(device, int):
        return False
    try:
        return torch.device(device).type == Emulated.place.type
    except (RuntimeError, TypeError):
        return False
