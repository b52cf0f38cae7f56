"""Client-side models from a file that `run --save` wrote."""

from __future__ import annotations

import copy
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from gapslsim.errors import ResultsError
from gapslsim.models.model import Model
from gapslsim.models.split import whole
from gapslsim.regular_files import read_bytes

__all__ = ["ClientSides", "SavedModels"]

_MOST_BYTES: Final = 64 << 30
_LENGTH: Final = struct.Struct("<Q")


class SavedModels:
    """What such a file holds.

    Args:
        path: of the file.

    Raises:
        ResultsError: if it cannot be read, or is another one.
    """

    def __init__(self, path: Path) -> None:
        from safetensors import SafetensorError
        from safetensors.torch import load

        try:
            content = read_bytes(path, _MOST_BYTES)
            self.tensors: Mapping[str, Tensor] = load(content)
            about: Any = json.loads(content[_LENGTH.size :][: _LENGTH.unpack_from(content)[0]])
            self.scenario_yaml = str(about["__metadata__"]["scenario"])
        except OSError as error:
            raise ResultsError(f"{path} cannot be read: {error.strerror or error}") from error
        except (SafetensorError, ValueError, KeyError, TypeError, struct.error) as error:
            raise ResultsError(
                f"{path} holds no models of a run ({error}); give one that 'gapslsim run --save' wrote"
            ) from error
        self.path = path

    def client_sides(self, network: Model, input_shape: tuple[int, ...], n_classes: int) -> ClientSides:
        """Its client-side models, for the scenario's model and data."""
        return ClientSides(self, whole(network, input_shape, n_classes, seed=0))  # All weights are replaced.


class ClientSides:
    """The client-side models of a file, see `SavedModels.client_sides`."""

    def __init__(self, saved: SavedModels, network: nn.Sequential) -> None:
        self._saved = saved
        self._network = network

    def client_side(self, n_blocks: int, client: int | None = None) -> nn.Module:
        """See `TrainedModels.client_side`.

        Raises:
            ResultsError: if the file has no such model, or one of another shape.
        """
        prefix = "global" if client is None else f"client-{client}"
        module = copy.deepcopy(self._network[:n_blocks])
        try:
            wanted = {name: self._saved.tensors[f"{prefix}/{name}"] for name in module.state_dict()}
            floats = (tensor.dtype for tensor in wanted.values() if tensor.is_floating_point())
            module.to(next(floats, torch.float32)).load_state_dict(wanted)
        except (KeyError, RuntimeError) as error:
            raise ResultsError(
                f"{self._saved.path} does not hold {prefix} as its scenario says it is ({error}); save it again"
            ) from error
        return module.eval()
