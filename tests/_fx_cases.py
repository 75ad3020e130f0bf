"""Functions and modules to trace, what PyTorch's graphs of them show, and changes of graphs.

``python tests/_fx_cases.py`` with the real torch writes ``tests/golden/fx.json``: for each case the text and the code
of its graph, or the error, and what changing the graph gives.
"""

from __future__ import annotations

import json
import math
import operator
import sys
import warnings
from collections import namedtuple
from collections.abc import Callable
from math import sqrt
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parent / "golden" / "fx.json"
Point = namedtuple("Point", ["x", "y"])


def leaf(x: Any, y: Any = 1) -> Any:
    """A function that the cases wrap."""
    return x + y if x.sum() > 0 else x - y


def modules(torch: Any) -> dict[str, Any]:
    """Modules to trace."""
    nn = torch.nn

    class Inner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(4))
            self.register_buffer("mean", torch.zeros(4))

        def forward(self, x: Any, scale: float = 2.0) -> Any:
            return (x - self.mean) * self.weight * scale + torch.ones(4)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), Inner())
            self.inner = Inner()
            self.conv = nn.Conv2d(1, 2, 3)

        def forward(self, x: torch.Tensor, y: Any = None, *, flag: bool = True) -> torch.Tensor:
            a = self.layers(x)
            b = nn.functional.silu(self.inner(a, 3.0)).softmax(dim=-1)
            first, second = b.chunk(2, 1)
            return torch.cat([first, second, a[:, 1:, None].squeeze(-1)], dim=1).to(torch.float64)

    class Shapes(nn.Module):
        def forward(self, x: Any) -> Any:
            n, d = x.shape
            return {"a": x.view(n, -1, d // 2).transpose(1, 2), "b": (x.size(0), x.dtype, [x.mean(), None])}

    return {"net": Net(), "shapes": Shapes(), "sequential": nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))}


def functions(torch: Any) -> dict[str, Callable[..., Any]]:
    """Functions to trace, among them such as cannot be."""
    F = torch.nn.functional

    def several(a: Any, b: Any = 3, *args: Any, c: Any = None, **kwargs: Any) -> Any:
        return a + b, args, kwargs["k"], c

    def branch(x: Any) -> Any:
        return x if x.sum() > 0 else -x

    def loop(x: Any) -> Any:
        return [y for y in x]  # noqa: C416

    def star(x: Any) -> Any:
        return torch.cat(*x)

    return {
        "operators": lambda x, y: (-x + y * 2 - 1 / x) // 3 % y ** 2 @ x | y & x ^ ~x << 1 >> y,
        "comparisons": lambda x, y: ((x < y) == (x >= 2), x != y, abs(x), +x),
        "reflected": lambda x: 1 - x + (2 * x) + 3 // x + 2**x,
        "functions": lambda x: torch.add(torch.relu(x), F.relu(x), alpha=2).clamp(min=0.0, max=math.inf),
        "spaces": lambda x: F.softmax(F.relu(x), -1) + torch.norm(x) + F.cross_entropy(x, x, reduction="sum"),
        "items": lambda x: x[0, ..., None, 1:-1:2] + x[[0, 1]] + x["key"],
        "attributes": lambda x: x.shape[0] + x.foo.bar + x.T.contiguous().data,
        "math": lambda x: math.sqrt(x.size(0)) + sqrt(x.size(1)) + math.floor(2.5),
        "creation": lambda x: x + torch.zeros(2, 3) + torch.arange(x.size(0), dtype=torch.int64, device="cpu"),
        "several": several, "branch": branch, "loop": loop, "star": star,
        "length": lambda x: len(x), "containment": lambda x: 1 in x, "index": lambda x: [1, 2, 3][x],
        "tuples": lambda p: Point(p.x + 1, p.y)._replace(y=2),
        "names": lambda input, len, _x, self: input + len + _x + self,
        "dead": lambda x: (torch.sin(x), x + 1)[1],
        "in place": lambda x: (x.add_(1), torch.relu_(x), operator.iadd(x, 2))[2],
        "inf": lambda x: (x * float("inf"), x * float("nan"), x.to("cpu"), x.type(torch.float16)),
        "method of a tensor": lambda x: torch.ones(2).matmul(x),
    }  # fmt: skip


def _change(torch: Any, name: str, traced: Any) -> str:
    """The code after a change."""
    graph = traced.graph
    if name == "eliminate":
        torch.relu  # noqa: B018
        graph.eliminate_dead_code()
    elif name == "insert":
        node = next(n for n in graph.nodes if n.op == "call_function")
        with graph.inserting_after(node):
            new = graph.call_function(torch.sigmoid, (node,))
        node.replace_all_uses_with(new, lambda user: user is not new)
    elif name == "proxy":
        node = next(n for n in graph.nodes if n.op == "output")
        with graph.inserting_before(node):
            x = torch.fx.Proxy(node.args[0])
            node.args = (torch.tanh(x * 2).add(1).node,)
    elif name == "copy":
        graph = torch.fx.Graph()
        graph.output(graph.graph_copy(traced.graph, {}))
        traced.graph = graph
    elif name == "pattern":
        torch.fx.replace_pattern(traced, lambda a, b: torch.sin(a) + b, lambda a, b: torch.cos(b) - a)
    elif name == "transform":

        class Swap(torch.fx.Transformer):
            def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
                return super().call_function(torch.cos if target is torch.sin else target, args, kwargs)

        traced = Swap(traced).transform()
    elif name == "split":
        parts = {"sin": 0, "cos": 1}
        split = torch.fx.passes.split_module.split_module(traced, traced, lambda n: parts.get(n.name, 1))
        return split.code + "".join(m.code for _, m in split.named_children())
    traced.graph.lint()
    traced.recompile()
    return traced.code


CHANGES = ("eliminate", "insert", "proxy", "copy", "pattern", "transform", "split")


def changeable(torch: Any) -> Callable[..., Any]:
    """The function whose graph is changed."""

    def f(x: Any, y: Any) -> Any:
        unused = x * 3  # noqa: F841
        return torch.cos(torch.sin(x) + y) * torch.sin(y)

    return f


def shown(torch: Any, root: Any, concrete: Any = None) -> list[str]:
    """The graph and the code of what is traced, or the error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            traced = torch.fx.symbolic_trace(root, concrete)
        except Exception as error:
            return [f"{type(error).__name__}: {error}"]
    return [str(traced.graph), traced.code]


def outcomes(torch: Any) -> dict[str, Any]:
    """What all cases show."""
    import importlib

    importlib.import_module(f"{torch.__name__}.fx.passes.split_module")
    found: dict[str, Any] = {name: shown(torch, m) for name, m in modules(torch).items()}
    found |= {name: shown(torch, f) for name, f in functions(torch).items()}
    PH = torch.fx.PH
    found["concrete"] = shown(
        torch, lambda x, y, z: x + y["a"] * y["b"][0] + (z or 0), {"y": {"a": PH, "b": [PH]}, "z": 3}
    )
    for name in CHANGES:
        found[f"change: {name}"] = _change(torch, name, torch.fx.symbolic_trace(changeable(torch)))
    return found


def write() -> None:
    """Writes the golden file with the real torch."""
    import torch

    if "flambeau" in torch.__version__:
        sys.exit("this needs the real torch")
    GOLDEN.write_text(json.dumps(outcomes(torch), indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    import _fx_cases

    _fx_cases.write()
