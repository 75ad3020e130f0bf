"""Shapes and dtypes of the values of a graph, found by running it."""

from __future__ import annotations

from typing import Any, NamedTuple

import flambeau as torch
from flambeau.fx.interpreter import Interpreter
from flambeau.fx.node import Node, map_aggregate

__all__ = ["ShapeProp", "TensorMetadata"]


class TensorMetadata(NamedTuple):
    """What is known of a tensor."""

    shape: Any
    dtype: Any
    requires_grad: bool
    stride: tuple[int, ...]
    memory_format: Any
    is_quantized: bool
    qparams: dict[str, Any]


_FORMATS = (torch.contiguous_format, torch.channels_last, torch.channels_last_3d)


def _extract_tensor_metadata(result: Any, include_contiguity: bool = True) -> TensorMetadata:
    formats = [f for f in _FORMATS if result.is_contiguous(memory_format=f)] if include_contiguity else []
    return TensorMetadata(
        result.shape, result.dtype, result.requires_grad, result.stride(), formats[0] if formats else None, False, {}
    )


class ShapeProp(Interpreter):
    """Runs a graph, and notes in each node's ``meta`` what its value is: ``tensor_meta`` and ``type``.

    Args:
        gm: The module.
        fake_mode: Not used: values are recorded before they are computed.
    """

    def __init__(self, gm: Any, fake_mode: Any = None) -> None:
        super().__init__(gm)

    def run_node(self, n: Node) -> Any:
        """The value of a node, which is noted.

        Raises:
            RuntimeError: The node cannot be run.
        """
        try:
            result = super().run_node(n)
        except Exception as error:
            raise RuntimeError(f"ShapeProp error for: node={n.format_node()} with meta={n.meta}") from error
        found = [False]

        def noted(x: Any) -> Any:
            if not isinstance(x, torch.Tensor):
                return x
            found[0] = True
            return _extract_tensor_metadata(x)

        meta = map_aggregate(result, noted)
        if found[0]:
            n.meta["tensor_meta"] = meta
        n.meta["type"] = type(result)
        return result

    def propagate(self, *args: Any) -> Any:
        """Runs the graph; the result is the graph's."""
        return super().run(*args)
