"""Invariants of models: cut anywhere it is the same network, and its costs come from its layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from gapslsim.checks._tools import is_amount, noise, same
from gapslsim.checks.check import InapplicableError, InvariantError, require
from gapslsim.errors import ComponentError
from gapslsim.models.model import Model

if TYPE_CHECKING:
    from torch import Tensor, nn

    from gapslsim.learning.tensors import Side

_SHAPES = ((1, 8, 8), (3, 16, 16), (1, 28, 28), (3, 32, 32), (20,), (16, 20))
_N_CLASSES = 4
_BATCH = 3
_SEED = 5
_MOST_CUTS = 4
_CLOSE = 1e-10


class Sides(NamedTuple):
    """Both sides of a model, as the learner uses them, in float64."""

    client: Side
    server: Side


class Shaped:
    """A model with a shape of inputs that it takes.

    Args:
        model: what is tried.
        inputs: shape of one input; one of some that it takes unless given.
    """

    def __init__(self, model: Model, inputs: tuple[int, ...] | None = None) -> None:
        self.model: Any = model
        self._shapes = _SHAPES if inputs is None else (inputs,)
        self._sides: dict[Model, Sides] = {}

    @cached_property
    def shape(self) -> tuple[tuple[int, ...], int]:
        """Shape of inputs, the first of some that it takes, and number of classes."""
        from gapslsim.models.cost import split_cost

        said, built = [], []
        for shape in self._shapes:
            try:
                self.model.cut_index(shape, _N_CLASSES)
                self.blocks(shape)
                built.append(shape)
                # Blocks that were made for one size alone say so when they are called.
                split_cost(self.model, shape, _N_CLASSES, _BATCH)
                return shape, _N_CLASSES
            except ValueError as error:
                said.append(f"{shape}: {error}")
        if built:  # the claims below say what is wrong
            return built[0], _N_CLASSES
        tried = ", ".join(map(str, self._shapes))
        raise InvariantError(
            f"it takes inputs of none of the shapes {tried}; give one as --inputs 1,12,12", said[0]
        )

    @property
    def has_cuts(self) -> bool:
        """Whether it can be cut elsewhere: `cut` is a setting, and a number."""
        return isinstance(self.model.cut, int) and "cut" in type(self.model).__pydantic_fields__

    @cached_property
    def cuts(self) -> list[Any]:
        """The model at cuts over its whole range; at its own cut alone where `cut` is no number."""
        found: list[Any] = []
        n_blocks = len(self.blocks(self.shape[0]))
        for cut in range(1, 200) if self.has_cuts else ():
            try:
                moved = replace(self.model, cut=cut)
                moved.cut_index(*self.shape)
            except ValueError:
                if cut >= n_blocks:
                    break  # as are all behind it
                continue
            found.append(moved)
        step = max(1, -(-(len(found) - 1) // (_MOST_CUTS - 1)))
        return [*found[:-1:step], *found[-1:]] or [self.model]

    def blocks(self, shape: tuple[int, ...]) -> list[tuple[str, nn.Module]]:
        """Its blocks, without numbers."""
        from gapslsim.models.split import blocks_on_meta

        return blocks_on_meta(self.model, shape, _N_CLASSES)

    def whole(self, model: Model, seed: int = _SEED) -> nn.Sequential:
        """The network that is not cut, in float64."""
        from gapslsim.models.split import whole

        return whole(model, *self.shape, seed).double()

    def sides(self, model: Model) -> Sides:
        """Both sides; the same objects each time."""
        from gapslsim.learning.optimizers.sgd import Sgd
        from gapslsim.learning.tensors import Side
        from gapslsim.models.split import build

        if model not in self._sides:
            n, n_blocks = model.cut_index(*self.shape), len(self.blocks(self.shape[0]))
            fix = "each side keeps one or more, as `gapslsim.models.checks.check_cut` checks."
            require(
                1 <= n < n_blocks, f"with cut {model.cut} {n} of {n_blocks} blocks are on the client", fix
            )
            split = build(model, *self.shape, _SEED)
            made: list[Side] = []
            entering = self.examples()
            for module in (split.client.double(), split.server.double()):
                try:
                    side = Side(module, Sgd(lr=0.1), None, entering)
                except ComponentError:  # `passes_repeat` says what is wrong
                    side = Side(module, Sgd(lr=0.1), None)
                made.append(side)
                entering = side.example_outputs
            self._sides[model] = Sides(*made)
        return self._sides[model]

    def examples(self) -> Sequence[Tensor]:
        """Three batches of noise."""
        return [self.inputs(seed) for seed in (1, 2, 3)]

    def costs(self, model: Model) -> Any:
        """Costs of both sides."""
        from gapslsim.models.cost import split_cost

        return split_cost(model, *self.shape, _BATCH)

    def inputs(self, seed: int = 1) -> Tensor:
        """A batch of noise, or of tokens."""
        drawn = noise(seed, (_BATCH, *self.shape[0]))[0]
        return drawn if self.model.input_dtype == "float32" else (drawn * 100).long() % _N_CLASSES

    def entering(self, seed: int = 1) -> tuple[Tensor, Tensor]:
        """A batch of noise, as it enters the client's side and the server's."""
        inputs, client = self.inputs(seed), self.sides(self.model).client
        return inputs, client.forward(client.initial(), inputs, 1).output.detach()


def blocks_have_names_of_their_own(shaped: Shaped) -> None:
    """Blocks have names of their own, two of them or more.

    Give two or more, each with a name of its own.
    """
    names = [name for name, _ in shaped.blocks(shaped.shape[0])]
    require(len(set(names)) == len(names) >= 2, f"its blocks are called {', '.join(names)}")


def split_is_whole(shaped: Shaped) -> None:
    """Cut anywhere, the two sides together give the outputs [B, n_classes] and the gradients of the whole network.

    A block is a function of its input and its own weights: none keeps anything from call to call or works in place.
    Blocks and their weights must not depend on `cut`. The last block gives one number per class.
    """
    inputs = shaped.inputs()
    first: list[Tensor] = []
    for model in shaped.cuts:
        sides, network, cut = shaped.sides(model), shaped.whole(model), f"with cut {model.cut}"
        parts = _by_halves(sides, inputs)
        network.train(not any(side.draws for side in sides))
        whole = _with_gradients(network(inputs), network.parameters())
        said = f"its outputs for inputs {tuple(inputs.shape)} have shape {tuple(whole[0].shape)}"
        require(whole[0].shape == (_BATCH, _N_CLASSES), f"{said}, not {(_BATCH, _N_CLASSES)}")
        _compare(parts, whole, f"{cut}, the two sides together", "the whole network")
        first = first or whole
        _compare(whole, first, f"the whole network {cut}", f"that with cut {shaped.cuts[0].cut}")


def _by_halves(sides: Sides, inputs: Tensor) -> list[Tensor]:
    """Outputs, then gradients of client and server, as split learning computes them; as one where a side draws."""
    from torch import nn

    client, server = sides
    if client.draws or server.draws:
        network = nn.Sequential(client.module, server.module).eval()
        return _with_gradients(network(inputs), network.parameters())
    lower = client.forward(client.initial(), inputs, 1)
    smashed = lower.output.detach().requires_grad_()
    upper = server.forward(server.initial(), smashed, 2)
    logits, at_cut, *gradients = _with_gradients(upper.output, [smashed, *upper.parameters])
    return [logits, *client.backward(lower, at_cut), *gradients]


def _with_gradients(logits: Tensor, parameters: Any) -> list[Tensor]:
    """Outputs, and the gradients of the loss of class 0."""
    import torch

    loss, given = -logits.log_softmax(1)[:, 0].mean(), tuple(parameters)
    found = torch.autograd.grad(loss, given, allow_unused=True, materialize_grads=True) if given else ()
    return [logits.detach(), *found]


def _compare(found: list[Tensor], wanted: list[Tensor], what: str, than: str) -> None:
    n, n_wanted = len(found) - 1, len(wanted) - 1
    require(n == n_wanted, f"{what} have {n} parameters, {than} {n_wanted}")
    for place, (one, other) in enumerate(zip(found, wanted, strict=True)):
        said = (
            f"{what} have another {f'gradient of parameter {place - 1}' if place else 'output'} than {than}"
        )
        require(one.shape == other.shape, f"{said}: shape {tuple(one.shape)}, not {tuple(other.shape)}")
        require(_off(one, other) <= _CLOSE, f"{said}, by {_off(one, other):.2g}")


def _off(one: Tensor, other: Tensor) -> float:
    """Largest difference, relative to the largest number where that is above 1."""
    return float((one - other).abs().max() / other.abs().max().clamp(min=1.0)) if one.numel() else 0.0


def weights_come_from_the_seed(shaped: Shaped) -> None:
    """The same seed gives the same weights, and another one others.

    Let torch draw them with its own generator, which is seeded, and seed nothing in `blocks`.
    """
    one, again, other = (list(shaped.whole(shaped.model, seed).parameters()) for seed in (1, 1, 2))
    require(same(one, again), "the same seed gives other weights")
    require(not one or not same(one, other), "another seed gives the same weights")


def _both(shaped: Shaped) -> Iterator[tuple[str, Any, Any]]:
    """In words, side and costs of both sides at every cut."""
    for model in shaped.cuts:
        for name, side in shaped.sides(model)._asdict().items():
            yield f"with cut {model.cut} the {name}", side, getattr(shaped.costs(model), name)


def parameters_are_counted(shaped: Shaped) -> None:
    """The costs count every parameter of both sides, and every one in a layer that has a cost.

    Every layer is called in the forward pass, and every parameter used.
    """
    for what, side, cost in _both(shaped):
        n = sum(p.numel() for p in side.module.parameters())
        counted = min(cost.n_parameters, sum(layer.n_parameters for layer, _ in cost.forward.flat()))
        said = f"{what} has {n} parameters, and its costs count {counted}"
        require(cost.n_parameters == n <= counted, said)


def layers_cost_something(shaped: Shaped) -> None:
    """Costs are finite, 0 or more, and above 0 for layers with parameters.

    They must be finite and 0 or more.
    """
    for what, _, cost in _both(shaped):
        for layer, _ in (*cost.forward.flat(), *cost.backward.flat()):
            flop, moved = layer.work_flop, layer.moved_bytes
            said = f"{what} has a layer {layer.name} with {layer.n_parameters} parameters"
            require(is_amount(flop) and is_amount(moved), f"{said} and costs {flop!r} FLOP, {moved!r} bytes")
            is_free = layer.phase == "forward" and layer.n_parameters and flop + moved == 0
            require(not is_free, f"{said} and costs nothing")


def passes_repeat(shaped: Shaped) -> None:
    """A pass in training with the same seed gives the same to the last bit, and leaves its input as it was.

    Draw with torch's functions without `generator=`, keep what is kept in a buffer, and do not work in place.
    """
    from gapslsim.learning.probe import probe
    from gapslsim.models.split import build

    split, entering = build(shaped.model, *shaped.shape, _SEED), shaped.examples()
    for module in (split.client.double(), split.server.double()):
        try:
            _, entering = probe(module, entering)
        except ComponentError as error:
            raise InvariantError(str(error)) from error


def wrong_cuts_are_refused(shaped: Shaped) -> None:
    """A cut beyond its last block is refused with a `ValueError` that gives the range.

    Raise it as `gapslsim.models.checks.check_cut` does.
    """
    if not shaped.has_cuts:
        raise InapplicableError("its cut is no number")
    try:
        replace(shaped.model, cut=10_000).cut_index(*shaped.shape)
    except ValueError:
        return
    raise InvariantError("cut 10000 is taken")
