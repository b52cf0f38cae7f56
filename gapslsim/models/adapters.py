"""What is trained of a model: parameters that are frozen by name, and low-rank adapters beside frozen layers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field, PositiveFloat, PositiveInt

from gapslsim.errors import did_you_mean
from gapslsim.registry import component

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Lora", "Patterns", "adapted", "own_parameters"]

Patterns = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    BeforeValidator(
        lambda value: (value,) if isinstance(value, str) else value,
        json_schema_input_type=str | tuple[str, ...],
    ),
]
"""One pattern or several: names with `*`, as in `layer1.*`; the name of a module stands for all that it holds."""


@component
class Lora:
    """Low-rank adapters (Hu et al. 2021, LoRA): W x + (alpha / rank) B A x, where A and B alone are trained.

    A is drawn as PyTorch draws linear layers and B is 0, so that training begins at the model's own outputs. All other
    parameters are frozen, but those of `train`. The rest of the model keeps its initial weights.
    """

    rank: PositiveInt = 4
    """Rows of A and columns of B."""
    alpha: PositiveFloat = 8.0
    """The adapters' output is multiplied by alpha / rank."""
    targets: Annotated[Patterns, Field(min_length=1)]
    """Linear layers and convolutions that get an adapter, by name or pattern: `[encoder*.attention.qkv]`."""
    train: Patterns = ()
    """Parameters that are trained beside the adapters, by name or pattern, for instance a new head."""


def adapted(
    blocks: list[tuple[str, nn.Module]], freeze: tuple[str, ...], lora: Lora | None
) -> list[tuple[str, nn.Module]]:
    """The same blocks, with adapters, and with parameters frozen (`requires_grad` is false).

    Raises:
        ValueError: if a pattern matches nothing, a target cannot be adapted, or nothing is left to train.
    """
    if not freeze and lora is None:
        return blocks
    if lora is not None:
        blocks = _with_adapters(blocks, lora)
    parameters = list(own_parameters(blocks))
    names = [name for name, _ in parameters]
    if lora is not None:
        wanted, low_rank = _matching("lora.train", lora.train, names), set(_of_adapters(blocks))
        for name, parameter in parameters:
            parameter.requires_grad_(name in wanted or parameter in low_rank)
    frozen = _matching("freeze", freeze, names)
    for name, parameter in parameters:
        if name in frozen:
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for _, parameter in parameters):
        raise ValueError("freeze takes every parameter of the model; leave some of them out.")
    return blocks


def _of_adapters(blocks: Iterable[tuple[str, nn.Module]]) -> Iterator[nn.Parameter]:
    """A and B of all adapters."""
    from gapslsim.models.layers import LowRank

    for _, block in blocks:
        for layer in block.modules():
            if isinstance(layer, LowRank):
                yield from (*layer.down.parameters(), *layer.up.parameters())


def own_parameters(blocks: Iterable[tuple[str, nn.Module]]) -> Iterator[tuple[str, nn.Parameter]]:
    """Parameters of blocks in order, named as in the network that they come from."""
    from gapslsim.models.cut_net import own_name

    for block_name, block in blocks:
        for inner, parameter in block.named_parameters():
            yield own_name(block_name, block, inner), parameter


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")


def _matching(setting: str, patterns: tuple[str, ...], names: list[str]) -> set[str]:
    """Names that any of the patterns matches.

    Raises:
        ValueError: if a pattern matches none.
    """
    found: set[str] = set()
    for pattern in patterns:
        matched = {name for name in names if _matches(name, pattern)}
        if not matched:
            known = {name.rpartition(".")[0] for name in names} - {""}
            shown = ", ".join(sorted(known)[:8])
            raise ValueError(
                f"{setting} {pattern!r} matches none of the model's {len(names)} parameters."
                f"{did_you_mean(pattern, [*names, *known])} There are {shown}{', ...' if len(known) > 8 else ''}."
            )
        found |= matched
    return found


def _with_adapters(blocks: list[tuple[str, nn.Module]], lora: Lora) -> list[tuple[str, nn.Module]]:
    from torch import nn

    from gapslsim.models.cut_net import own_name

    places: dict[str, tuple[int, str, Any]] = {}
    for index, (block_name, block) in enumerate(blocks):
        # A module that lies in two places is adapted in both.
        for inner, module in block.named_modules(remove_duplicate=False):
            places[own_name(block_name, block, inner)] = index, inner, module
    able = {name for name, (_, _, layer) in places.items() if type(layer) in (nn.Linear, nn.Conv2d)}
    made: dict[int, nn.Module] = {}
    for pattern in lora.targets:
        targets = [name for name in able if _matches(name, pattern)]
        if not targets:
            what = "is no linear layer or convolution" if pattern in places else "matches no layer"
            raise ValueError(
                f"lora.targets {pattern!r} {what} of the model.{did_you_mean(pattern, sorted(able))} It can be any of"
                f" {', '.join(sorted(able)[:8])}{', ...' if len(able) > 8 else ''}."
            )
        for name in sorted(targets, key=list(places).index):
            index, inner, layer = places[name]
            adapter = made.setdefault(id(layer), _adapter(layer, lora))
            block_name, block = blocks[index]
            if inner:
                parent, _, child = inner.rpartition(".")
                setattr(block.get_submodule(parent), child, adapter)
            else:
                came_from: Any = getattr(block, "came_from", ("", block_name))
                adapter.came_from = came_from
                blocks[index] = block_name, adapter
    return blocks


def _adapter(layer: Any, lora: Lora) -> nn.Module:
    from gapslsim.models.layers import LowRank

    return LowRank(layer, lora.rank, lora.alpha / lora.rank)
