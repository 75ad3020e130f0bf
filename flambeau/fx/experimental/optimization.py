"""Changes of traced modules for inference: fused layers, no dropout."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from flambeau import fx, nn
from flambeau.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

__all__ = ["extract_subgraph", "fuse", "matches_module_pattern", "remove_dropout", "replace_node_module"]

_PATTERNS: tuple[tuple[type, type, Any], ...] = (
    (nn.Conv1d, nn.BatchNorm1d, fuse_conv_bn_eval),
    (nn.Conv2d, nn.BatchNorm2d, fuse_conv_bn_eval),
    (nn.Conv3d, nn.BatchNorm3d, fuse_conv_bn_eval),
    (nn.Linear, nn.BatchNorm1d, fuse_linear_bn_eval),
)


def matches_module_pattern(pattern: Iterable[type], node: fx.Node, modules: dict[str, Any]) -> bool:
    """Is a node the call of a module of the second type on the result of one of the first?"""
    if not node.args:
        return False
    for kind, call in zip(pattern, (node.args[0], node)):
        if not isinstance(call, fx.Node) or call.op != "call_module" or type(modules.get(call.target)) is not kind:
            return False
    return True


def replace_node_module(node: fx.Node, modules: dict[str, Any], new_module: Any) -> None:
    """Puts another module where a node finds its own; ``modules`` are all modules by name."""
    parent, _, name = node.target.rpartition(".")
    modules[node.target] = new_module
    setattr(modules[parent], name, new_module)


def fuse(model: Any, inplace: bool = False, no_trace: bool = False) -> fx.GraphModule:
    """Makes each convolution or linear layer and the batch norm behind it one layer, for inference.

    Args:
        model: A module in evaluation mode.
        inplace: Change its own layers; by default those of a copy.
        no_trace: The module is a ``GraphModule``, which need not be traced again.
    """
    model = model if inplace else copy.deepcopy(model)
    traced = model if no_trace and isinstance(model, fx.GraphModule) else fx.symbolic_trace(model)
    modules = dict(traced.named_modules())
    graph = copy.deepcopy(traced.graph)
    for first, second, fused in _PATTERNS:
        for node in graph.nodes:
            if matches_module_pattern((first, second), node, modules):
                _fuse_pair(graph, node, modules, fused)
    return fx.GraphModule(traced, graph)


def _fuse_pair(graph: fx.Graph, node: fx.Node, modules: dict[str, Any], fused: Any) -> None:
    """Makes a batch norm's node and the one before it one, if nobody else uses what is between them."""
    before: Any = node.args[0]
    norm = modules[node.target]
    if len(before.users) > 1 or not norm.track_running_stats:
        return
    replace_node_module(before, modules, fused(modules[before.target], norm))
    node.replace_all_uses_with(before)
    graph.erase_node(node)


class _WithoutDropout(fx.Transformer):
    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if isinstance(self.submodules[target], nn.Dropout):
            return args[0]
        return super().call_module(target, args, kwargs)


def remove_dropout(model: Any) -> fx.GraphModule:
    """The traced module without its dropout layers."""
    return _WithoutDropout(fx.symbolic_trace(model)).transform()


def extract_subgraph(
    orig_module: Any, nodes: list[fx.Node], inputs: list[fx.Node], outputs: list[fx.Node]
) -> fx.GraphModule:
    """A module of part of a graph.

    Args:
        orig_module: The module that has what the nodes name.
        nodes: The nodes, in order.
        inputs: Nodes whose values it takes.
        outputs: Nodes whose values it gives, as a list.
    """
    graph = fx.Graph()
    values = {node: graph.placeholder(node.name) for node in inputs}
    for node in nodes:
        values[node] = graph.node_copy(node, lambda n: values[n])
    graph.output([values[node] for node in outputs])
    graph.lint()
    return fx.GraphModule(orig_module, graph)
