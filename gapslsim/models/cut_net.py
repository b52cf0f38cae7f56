"""Blocks of a network that is one module: cut wherever a single value passes from one part to the next."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from torch import fx, nn

__all__ = ["blocks_of", "own_name"]


def blocks_of(net: nn.Module) -> list[tuple[str, nn.Module]]:
    """A network as named blocks, for `Model.blocks`: `nn.Sequential(*blocks)` computes what the network does.

    `nn.Sequential` and modules that call a row of blocks are opened; `torch.fx` follows the forward pass of others. A
    block ends where one value alone is needed by what follows, so that residual blocks stay whole. What lies between
    two modules (a flattening, a class token) belongs to one of them.

    Args:
        net: takes a batch and gives the logits; its weights are shared with the blocks.

    Returns:
        Names (that of the module, with `_` for `.`) and blocks.

    Raises:
        ValueError: if the forward pass cannot be followed, or is another one in training than in evaluation.
    """
    blocks: list[tuple[str, nn.Module]] = []
    for path, block in _pieces(net, ""):
        name, known = path.replace(".", "_"), {name for name, _ in blocks}
        # A module that is called twice is two blocks.
        while name in known:
            name += "_again"
        blocks.append((name, block))
    return blocks


def own_name(block_name: str, block: nn.Module, inner: str) -> str:
    """What a parameter or module of a block is called in the network that it comes from.

    Args:
        block_name: of the block.
        block: that it lies in.
        inner: its name within the block; empty for the block itself.
    """
    drop, add = getattr(block, "came_from", ("", block_name))
    return ".".join(filter(None, (add, inner.removeprefix(drop))))


def _pieces(module: nn.Module, path: str) -> list[tuple[str, nn.Module]]:
    """Parts in a row, with their paths in the whole."""
    if _is_row(module):
        children = ((f"{path}.{name}".lstrip("."), child) for name, child in module.named_children())
        return [piece for child in children for piece in _opened(*child)]
    return [piece for group in _groups(module) for piece in _parts(module, path, group)]


def _opened(path: str, module: nn.Module) -> list[tuple[str, nn.Module]]:
    if _opens(module):
        return _pieces(module, path)
    module.came_from = ("", path)  # type: ignore[assignment]
    return [(path, module)]


def _is_row(module: nn.Module) -> bool:
    return type(module).forward is nn.Sequential.forward


def _opens(module: nn.Module) -> bool:
    """Whether a module is a row of blocks rather than a block."""
    children = list(module.children())
    if _is_row(module):
        # `nn.Sequential` itself joins; a class of its own is a unit, as convolution, norm and activation are.
        return type(module) is nn.Sequential or any(any(child.children()) for child in children)
    rows = (child for child in children if isinstance(child, (nn.Sequential, nn.ModuleList)))
    return any(sum(not _is_row(block) and any(block.children()) for block in row) > 1 for row in rows)


class _Tracer(fx.Tracer):
    """Follows the forward pass of one module; the modules that it calls are not looked into."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Every one."""
        return True


def _traced(module: nn.Module) -> fx.Graph:
    kind, before = type(module).__name__, module.training
    # The first is the batch.
    inputs = list(inspect.signature(module.forward).parameters.values())[1:]
    defaults = {p.name: p.default for p in inputs if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    if missing := [name for name, default in defaults.items() if default is inspect.Parameter.empty]:
        raise ValueError(f"{kind}.forward takes {', '.join(missing)} beside the inputs; give them defaults.")
    graphs = []
    try:
        for mode in (True, False):
            graphs.append(_Tracer().trace(module.train(mode), concrete_args=defaults or None))
    except Exception as error:  # whatever a forward pass raises for a stand-in of a tensor
        raise ValueError(
            f"the forward pass of {kind} cannot be followed ({error}); write it without branches on values or shapes,"
            " or list its blocks yourself."
        ) from error
    finally:
        module.train(before)
    if str(graphs[0]) != str(graphs[1]):
        raise ValueError(
            f"{kind}.forward asks `self.training`; leave that to modules (nn.Dropout instead of F.dropout)."
        )
    return graphs[0]


_Group = tuple[list[fx.Node], fx.Node, fx.Node]
"""Nodes, the value that comes in, the value that goes out."""


def _groups(module: nn.Module) -> list[_Group]:
    """Runs of nodes between which a single value passes, each with a call of a module."""
    graph = _traced(module)
    entering = next(node for node in graph.nodes if node.op == "placeholder")
    groups: list[_Group] = []
    waiting: list[fx.Node] = []
    for segment, last in _segments(graph, entering):
        waiting += segment
        begin = groups[-1][2] if groups else entering
        if any(node.op == "call_module" for node in segment):
            groups.append((waiting, begin, last))
        elif groups and not _is_opened(module, groups[-1]):
            groups[-1] = (groups[-1][0] + waiting, groups[-1][1], last)
        else:
            continue  # goes with what follows
        waiting = []
    if waiting and groups:
        groups[-1] = (groups[-1][0] + waiting, groups[-1][1], last)
    elif waiting:
        groups.append((waiting, entering, last))
    return groups


def _segments(graph: fx.Graph, entering: fx.Node) -> Iterator[tuple[list[fx.Node], fx.Node]]:
    """Nodes up to each place where one value is all that is needed later, and that value."""
    order = {node: place for place, node in enumerate(graph.nodes)}
    needed = {node: max((order[user] for user in node.users), default=-1) for node in order}
    segment: list[fx.Node] = []
    live: set[fx.Node] = {entering}
    for node, place in order.items():
        if node.op in ("placeholder", "output"):
            continue
        # Parameters and buffers need not be passed on: whoever reads them has them.
        if node.op != "get_attr":
            segment.append(node)
            live.add(node)
        live = {one for one in live if needed[one] > place}
        if len(live) == 1 and segment:
            yield segment, next(iter(live))
            segment = []


def _called(module: nn.Module, group: _Group) -> nn.Module | None:
    """The module that a group is a plain call of, if it is one."""
    (node, *others), begin, _ = group
    if others or node.op != "call_module" or node.args != (begin,) or node.kwargs:
        return None
    return module.get_submodule(str(node.target))


def _is_opened(module: nn.Module, group: _Group) -> bool:
    called = _called(module, group)
    return called is not None and _opens(called)


def _parts(module: nn.Module, path: str, group: _Group) -> list[tuple[str, nn.Module]]:
    """A group as blocks: the module that it calls, opened, or one that does all that the group does."""
    nodes, begin, end = group
    calls = [node for node in nodes if node.op == "call_module"]
    name = ".".join(filter(None, (path, str(calls[-1].target) if calls else "head")))
    if (called := _called(module, group)) is not None:
        return _opened(name, called)
    graph = fx.Graph()
    copies = {begin: graph.placeholder("x")}

    def copied(node: fx.Node) -> fx.Node:
        if node not in copies:  # parameters and buffers
            copies[node] = graph.node_copy(node, copied)
        return copies[node]

    for node in nodes:
        copied(node)
    graph.output(copies[end])
    block = fx.GraphModule(module, graph)
    block.came_from = ("", path)  # type: ignore[assignment]
    return [(name, block)]
