"""Cutting a graph where its nodes say so."""

from __future__ import annotations

from typing import Any

from flambeau.fx.graph_module import GraphModule

from .split_module import split_module

__all__ = ["split_by_tags"]


def split_by_tags(gm: GraphModule, tags: list[str], return_fqn_mapping: bool = False, **_: Any) -> Any:
    """A module of modules, one for each tag.

    Args:
        gm: The module, whose nodes have a ``tag`` each.
        tags: The tags in the order in which the parts run; the parts have their names.
        return_fqn_mapping: Give also the new names of what the parts have, by the old ones.
    """
    names: dict[str, str] = {}
    split = split_module(gm, gm, lambda node: node.tag, names, keep_original_order=True)  # type: ignore[attr-defined]
    for tag in tags:
        _rename(split, f"submod_{tag}", tag)
    split.recompile()
    return (split, {old: new.removeprefix("submod_") for new, old in names.items()}) if return_fqn_mapping else split


def _rename(module: GraphModule, old: str, new: str) -> None:
    """Gives a part another name."""
    part = getattr(module, old, None)
    if part is None:
        return
    delattr(module, old)
    module.add_module(new, part)
    for node in module.graph.find_nodes(op="call_module", target=old):
        node.target = new
        node._rename(new)
