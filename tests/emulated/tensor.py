"""A tensor that holds its numbers on the CPU and says that they are on an accelerator."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch.utils._pytree import tree_flatten, tree_map

from tests.emulated.log import Log

_READS = ("aten._local_scalar_dense", "aten.equal", "aten.is_nonzero")
_SIZED_BY_VALUES = ("aten.nonzero", "aten.masked_select", "aten.bincount", "aten._unique", "aten.unique")
"""A GPU is asked how large the result is before anything goes on."""
_CHECKED = (
    "aten._linalg_eigh",
    "aten._linalg_svd",
    "aten.linalg_lu",
    "aten._linalg_solve",
    "aten.linalg_cholesky",
)
"""Whether they succeeded is read back."""
_NO_KERNEL = (
    "aten.empty",
    "aten.new_empty",
    "aten.detach",
    "aten.alias",
    "aten._unsafe_view",
    "aten.lift",
    "prim",
)


class Emulated(torch.Tensor):
    """A tensor on the emulated device; autograd works on it as on any other."""

    asked: ClassVar[Log] = Log()
    place: ClassVar[torch.device] = torch.device("cuda", 0)
    elem: torch.Tensor

    @staticmethod
    def __new__(cls, elem: torch.Tensor, requires_grad: bool = False) -> Emulated:
        # To PyTorch's own code it is on the CPU: a build without CUDA would look for a device.
        made: Emulated = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, elem.size(), strides=elem.stride(), storage_offset=elem.storage_offset(), dtype=elem.dtype,
            layout=elem.layout, device="cpu", requires_grad=requires_grad,
        )  # fmt: skip
        made.elem = elem
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]
    device = property(lambda self: self.place)  # type: ignore[assignment]
    is_cuda = property(lambda self: self.place.type == "cuda")  # type: ignore[assignment]
    is_mps = property(lambda self: self.place.type == "mps")  # type: ignore[assignment]
    is_cpu = property(lambda self: False)  # type: ignore[assignment]

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"Emulated({tuple(self.shape)}, {self.dtype}, {self.place})"

    def __deepcopy__(self, memo: dict[int, Any]) -> Emulated:
        copied = Emulated(self.elem.clone(), self.requires_grad)
        if getattr(self, "_is_param", False):
            copied._is_param = True  # type: ignore[attr-defined]
        return copied

    def __reduce_ex__(self, protocol: Any) -> Any:
        # Saved as a tensor like any other; see `torch.load` in `accelerator`.
        self.asked.note("waits", "save")
        return self.elem.detach().__reduce_ex__(protocol)

    def tolist(self) -> Any:
        self.asked.note("waits", "tolist")
        return self.elem.tolist()

    def numpy(self, **_: Any) -> Any:  # type: ignore[override]
        raise TypeError(f"can't convert {self.place} device type tensor to numpy. Use Tensor.cpu() first.")

    def cpu(self, *_: Any, **__: Any) -> torch.Tensor:
        self.asked.note("waits", "cpu")
        return self.elem.detach().clone()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, name = kwargs or {}, str(func)
        tensors = [t for t in tree_flatten((args, kwargs))[0] if isinstance(t, torch.Tensor)]
        cls._note(name, func, args, tensors)
        inner_args, inner_kwargs = tree_map(
            lambda t: t.elem if isinstance(t, Emulated) else t, (args, kwargs)
        )
        if isinstance(inner_kwargs.get("device"), torch.device):
            inner_kwargs["device"] = torch.device("cpu")
        made = func(*inner_args, **inner_kwargs)
        if name.startswith("aten._local_scalar_dense"):
            return made
        returns = func._schema.returns
        if func._schema.is_mutable and len(returns) <= 1:
            if "out" in kwargs:
                return kwargs["out"]
            if not returns:
                return None
            if returns[0].alias_info is not None and returns[0].alias_info.is_write:
                return args[0]
        return tree_map(cls.on_device, made)

    @classmethod
    def on_device(cls, value: Any) -> Any:
        """A tensor as one of this device; anything else as it is."""
        if not isinstance(value, torch.Tensor):
            return value
        if cls.place.type == "mps" and value.dtype == torch.float64:
            raise TypeError(
                "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64. "
                "Please use float32 instead."
            )
        return cls(value)

    @classmethod
    def _note(cls, name: str, func: Any, args: Any, tensors: list[torch.Tensor]) -> None:
        log = cls.asked
        # Scalars of the CPU may take part in anything: they travel as arguments of the kernel.
        if any(not isinstance(t, Emulated) and t.dim() for t in tensors):
            moves = name.startswith(("aten.index", "aten.copy_", "aten._index_put", "aten._to_copy"))
            log.note("uploads" if moves else "mixed", name)
        if name.startswith(_READS + _SIZED_BY_VALUES + _CHECKED) or _masks(name, args):
            log.note("waits", name)
        if getattr(func, "is_view", False) or name.startswith((*_NO_KERNEL, *_READS)):
            return
        log.note("launches", name.removeprefix("aten."))
        if any(t.dtype == torch.float64 for t in tensors):
            log.note("float64", name)


def _masks(name: str, args: Any) -> bool:
    """Whether an operation picks by a mask, whose True must be counted first."""
    if not name.startswith(("aten.index.", "aten.index_put", "aten._index_put")):
        return False
    given = [t for t in args[1] if t is not None]
    if not any(t.dtype in (torch.bool, torch.uint8) for t in given):
        return False
    # PyTorch fills with one value without counting.
    return name.startswith("aten.index.") or len(given) > 1 or args[2].numel() > 1
