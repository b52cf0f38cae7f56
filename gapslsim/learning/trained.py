"""The models that a run leaves, as its last evaluation saw them: modules of PyTorch, and files that it reads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gapslsim.errors import ResultsError, unknown
from gapslsim.learning.criterion import Criterion
from gapslsim.learning.evaluation import identity_of, mean_model, with_shared_weights
from gapslsim.learning.messages import Weights
from gapslsim.learning.state import SideState
from gapslsim.learning.tensors import with_frozen
from gapslsim.models.model import Model
from gapslsim.models.split import build, whole
from gapslsim.whole_files import whole_file

__all__ = ["TrainedModels"]

_OF_CLIENTS: Final = ("clients", "local")
_VIEWS: Final = ("global", *_OF_CLIENTS, "ensemble")

_Pair = tuple[SideState | Weights, SideState | Weights]


@dataclass(frozen=True, eq=False)
class TrainedModels:
    """The model of each view.

    Args:
        network: settings of the model.
        input_shape: of one input.
        n_classes: number of classes.
        clients: the client-side state of each client.
        servers: the server-side state that each is paired with.
        criterion: that they were trained by, which knows what outputs mean.
        frozen: parameters of each side that are in no state, by their places.
        is_whole: whether a client's state is that of its whole network, and the server's holds nothing.
    """

    network: Model
    input_shape: tuple[int, ...]
    n_classes: int
    clients: Sequence[SideState]
    servers: Sequence[SideState]
    criterion: Criterion
    frozen: tuple[Mapping[int, Tensor], Mapping[int, Tensor]] = ({}, {})
    is_whole: bool = False

    def model(self, view: str, client: int | None = None) -> nn.Module:
        """The whole network of a view in evaluation mode, from inputs to logits; a copy, on the CPU.

        Args:
            view: `global`, `clients` or `local` (which have the same models), or `ensemble`: that gives the
                logarithm of the mean of the clients' probabilities, or the mean of the numbers that they say.
            client: whose, for `clients` and `local`.

        Raises:
            ResultsError: for an unknown view, or a client too many, too few or unknown.
        """
        if view not in _VIEWS:
            raise ResultsError(unknown("view", view, _VIEWS))
        n = len(self.clients)
        if view not in _OF_CLIENTS:
            if client is not None:
                raise ResultsError(f"the view {view!r} has one model; leave out client (found {client})")
            return self._ensemble() if view == "ensemble" else self._module(self._global)
        if client is None or not 0 <= client < n:
            raise ResultsError(
                f"the view {view!r} has a model per client; give client as 0 to {n - 1} (found {client})"
            )
        return self._module((self.clients[client], self.servers[client]))

    def client_side(self, n_blocks: int, client: int | None = None) -> nn.Module:
        """The first blocks of a network in evaluation mode, from inputs to smashed data; a copy, on the CPU.

        Args:
            n_blocks: that lie before the client's cut.
            client: whose network; the mean of all, as in the view `global`, unless given.
        """
        pair = self._global if client is None else (self.clients[client], self.servers[client])
        network = self._module(pair)
        assert isinstance(network, nn.Sequential)
        return network[:n_blocks]

    def save(self, path: Path, about: Mapping[str, str]) -> None:
        """Writes all models to one file of safetensors, whole or not at all.

        Tensors are named `global/NAME` for the whole network of the view `global`, `client-3/NAME` for the client side
        of client 3, and `server/NAME` for the server side, NAME being that of the network's state dict. Where clients
        have unlike server sides these are `server-0/NAME` and so on; `server_of` in the header says whose is which.
        Where the network has more than two owners, or clients have unlike cuts, `client-3/NAME` is the client's whole
        network and there is no server's.

        Args:
            path: of the file.
            about: texts for the file's header.

        Raises:
            OSError: if it cannot be written.
        """
        from safetensors.torch import save

        servers = with_shared_weights(self.servers)
        distinct = list({identity_of(state): state for state in servers}.values())
        names = ["server"] if len(distinct) == 1 else [f"server-{i}" for i in range(len(distinct))]
        of = {identity_of(state): name for state, name in zip(distinct, names, strict=True)}
        tensors = _named("global", self._module(self._global))
        for client, state in enumerate(self.clients):
            tensors |= _named(f"client-{client}", self._side(0, state))
        server_of: dict[str, str] = {}
        if not self.is_whole:
            for name, state in zip(names, distinct, strict=True):
                tensors |= _named(name, self._side(1, state))
            server_of = {f"client-{client}": of[identity_of(state)] for client, state in enumerate(servers)}
        with whole_file(path) as file:
            file.write(save(tensors, {"format": "pt", "server_of": json.dumps(server_of), **about}))

    @cached_property
    def _global(self) -> _Pair:
        return mean_model(with_shared_weights(self.clients)), mean_model(with_shared_weights(self.servers))

    @cached_property
    def _sides(self) -> tuple[nn.Sequential, nn.Sequential]:
        # All weights are replaced.
        if self.is_whole:
            return whole(self.network, self.input_shape, self.n_classes, seed=0), nn.Sequential()
        split = build(self.network, self.input_shape, self.n_classes, seed=0)
        return split.client, split.server

    def _module(self, pair: _Pair) -> nn.Module:
        module = whole(self.network, self.input_shape, self.n_classes, seed=0)
        lower, upper = (
            with_frozen(state.parameters, frozen) for state, frozen in zip(pair, self.frozen, strict=True)
        )
        return _filled(module, [*lower, *upper], [*pair[0].buffers, *pair[1].buffers])

    def _side(self, place: Literal[0, 1], state: SideState) -> nn.Module:
        return _filled(self._sides[place], with_frozen(state.parameters, self.frozen[place]), state.buffers)

    def _ensemble(self) -> nn.Module:
        pairs = zip(self.clients, self.servers, strict=True)
        return _Ensemble([self._module(pair) for pair in pairs], self.criterion).eval()


class _Ensemble(nn.Module):
    """Says what its members say on average."""

    def __init__(self, members: Sequence[nn.Module], criterion: Criterion) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self._criterion = criterion

    def forward(self, inputs: Float[Tensor, "b ..."]) -> Float[Tensor, "b n_classes"]:
        """Logarithm of the mean of the members' probabilities, or the mean of their numbers, float64."""
        criterion = self._criterion
        said = [criterion.to_mix(criterion.said(member(inputs))) for member in self.members]
        return criterion.mixed(torch.stack(said).mean(0))[1]


def _filled(module: nn.Module, parameters: Sequence[Tensor], buffers: Sequence[Tensor]) -> nn.Module:
    """The module with these tensors, in evaluation mode."""
    with torch.no_grad():
        if parameters:
            module.to(parameters[0].dtype)
        for own, given in zip(
            (*module.parameters(), *module.buffers()), (*parameters, *buffers), strict=True
        ):
            own.copy_(given)
    return module.eval()


def _named(prefix: str, module: nn.Module) -> dict[str, Tensor]:
    # Cloned, as the next model goes into the same module, and a file of safetensors holds nothing twice.
    return {f"{prefix}/{name}": t.contiguous().clone() for name, t in module.state_dict().items()}
