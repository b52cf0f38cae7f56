"""Bytes of tensors that are alive, counted as PyTorch makes them; on the meta device of tensors that only might be."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

__all__ = ["LiveBytes"]


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the storages that operations inside it leave, each once, until it is freed.

    What is not seen: workspaces inside an operation, the rounding and the fragments of an allocator.

    Args:
        known: tensors that do not count.
        device: kind of device whose tensors are counted.
    """

    def __init__(self, known: Iterable[Tensor] = (), device: str = "cpu") -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now_bytes = 0
        self.peak_bytes = 0
        self._device = device
        # Held, as a storage that is freed would leave its place to another.
        self._known = [tensor.untyped_storage() for tensor in known]
        self._sizes: dict[int, int] = {storage._cdata: 0 for storage in self._known}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Carries an operation out and counts what comes."""
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor) and leaf.device.type == self._device:
                self._add(leaf)
        return result

    def restart(self) -> None:
        """Takes the peak from now on."""
        self.peak_bytes = self.now_bytes

    def _add(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        place = storage._cdata
        if place in self._sizes:
            return
        self._sizes[place] = storage.nbytes()
        self.now_bytes += self._sizes[place]
        self.peak_bytes = max(self.peak_bytes, self.now_bytes)
        weakref.finalize(storage, self._forget, place)

    def _forget(self, place: int) -> None:
        self.now_bytes -= self._sizes.pop(place, 0)
