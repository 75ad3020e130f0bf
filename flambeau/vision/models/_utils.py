"""Parts of models as models."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import flambeau as torch
from flambeau import nn

__all__ = ["IntermediateLayerGetter", "last_of_each_size"]


class IntermediateLayerGetter(nn.ModuleDict):
    """The direct children of a model up to the last one that is wanted, one after another.

    Args:
        model: whose children are called in the order in which they were registered.
        return_layers: the names of those whose results are wanted, and the names of the results.

    Raises:
        ValueError: the model has no child of one of these names.
    """

    _version = 2

    def __init__(self, model: nn.Module, return_layers: Mapping[str, str]) -> None:
        children = dict(model.named_children())
        if not set(return_layers) <= set(children):
            raise ValueError("return_layers are not present in model")
        last = max(list(children).index(str(name)) for name in return_layers)
        super().__init__(OrderedDict(list(children.items())[: last + 1]))
        self.return_layers = return_layers

    def forward(self, x: torch.Tensor) -> dict[str, Any]:
        """The wanted results by their names."""
        results: dict[str, Any] = OrderedDict()
        for name, module in self.items():
            x = module(x)
            if name in self.return_layers:
                results[self.return_layers[name]] = x
        return results


def last_of_each_size(features: Any) -> list[int]:
    """Which blocks of a mobile network's features are the last of their size, the first block among them."""
    smaller = [i for i, block in enumerate(features) if getattr(block, "_is_cn", False)]
    return [0, *smaller, len(features) - 1]
