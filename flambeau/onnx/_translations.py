"""The table of translations: how a torch function is written in ONNX operators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flambeau.onnx._graph import Graph, Value

# ``translation(graph, result, *args, **kwargs)``: arguments are those of the call, with a ``Value`` for each tensor and
# a ``Size`` for each number that varies; ``result`` has the result's type, or is a sequence of such. Gives the name of
# the result, or a sequence of names.
Translation = Callable[..., Any]

TABLE: dict[str, Translation] = {}


def translation(*names: str) -> Callable[[Translation], Translation]:
    """Enters a translation of the functions and methods of these names."""

    def enter(f: Translation) -> Translation:
        for name in names:
            TABLE[name] = f
        return f

    return enter


def same(g: Graph, out: Value, x: Value, *args: Any, **kwargs: Any) -> str:
    """The first argument, in the dtype of the result."""
    return g.value(x, out.dtype)
