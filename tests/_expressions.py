"""Expressions evaluated under PyTorch's API, and what they give, in a form that JSON holds.

``python tests/_expressions.py`` with the real torch writes ``tests/golden/expressions_<family>.json`` from the lists
in ``tests/expressions``. Each row is an expression with its outcome: dtype, shape, strides, backward node and values
of every tensor, gradients of a weighted sum of the results with respect to the named inputs, or the error's type and
first line.
"""

from __future__ import annotations

import json
import math
import re
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent


def arrays() -> dict[str, np.ndarray]:
    """The inputs' values, the same on every machine."""
    r = np.random.RandomState(0)
    nan = r.randn(3, 4)
    nan[1, 2], nan[2, 0], nan[0, 0] = np.nan, np.inf, -np.inf
    z = r.randn(3, 4)
    z[0, 1] = z[1, 1] = z[1, 3] = 0
    return {
        "x": r.randn(3, 4).astype("f4"), "y": r.randn(5, 3, 4).astype("f4"), "v": r.randn(7).astype("f4"),
        "i": r.randint(0, 5, (3, 4)).astype("i8"), "iv": r.randint(0, 5, 7).astype("i8"),
        "u8": r.randint(0, 5, (3, 4)).astype("u1"), "b": r.rand(3, 4) > 0.5,
        "nan": nan.astype("f4"), "z": z.astype("f4"),
        "tie": np.array([[1, 2, 2, 0], [2, 2, 1, 1], [0, 0, 0, 0]], "f4"), "h": r.randn(3, 4).astype("f2"),
        "bf": r.randn(3, 4).astype("f4"), "d": r.randn(3, 4), "c": (r.randn(3, 4) + 1j * r.randn(3, 4)).astype("c8"),
        "m": r.randn(4, 4).astype("f4"), "e": np.zeros((0, 3), "f4"), "e2": np.zeros((3, 0), "f4"),
    }  # fmt: skip


def inputs(torch: Any) -> dict[str, Any]:
    """The names that expressions may use."""
    names: dict[str, Any] = {k: torch.from_numpy(a.copy()) for k, a in arrays().items()}
    names["y"] = names["y"].permute(2, 0, 1)
    names["bf"] = names["bf"].to(torch.bfloat16)
    names["s"] = torch.tensor(1.5)
    return names | {"torch": torch, "np": np, "math": math, "assigned": _assigned, "warned": _warned}


def _assigned(x: Any, index: Any, value: Any) -> Any:
    """A copy of ``x`` after ``x[index] = value``."""
    y = x.clone()
    y[index] = value
    return y


def _warned(f: Any) -> Any:
    """The first line of the first warning, without PyTorch's place in its sources, and what ``f`` gives."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = f()
    return (str(caught[0].message).split("\n")[0].split(" (Triggered")[0] if caught else "no warning"), result


def outcome(torch: Any, expression: str) -> Any:
    """What the expression gives."""
    names = inputs(torch)
    used = [k for k in re.findall(r"\b[a-z]\w*\b", expression) if isinstance(names.get(k), torch.Tensor)]
    leaves = [k for k in dict.fromkeys(used) if names[k].dtype in (torch.float32, torch.float64)]
    for k in leaves:
        names[k] = names[k].detach().requires_grad_(True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = eval(expression, names)
            gradients = _gradients(torch, result, {k: names[k] for k in leaves})
    except Exception as error:
        return {"error": type(error).__name__, "message": str(error).split("\n")[0]}
    return {"type": type(result).__name__, "items": [_item(torch, v) for v in _flat(torch, result)]} | gradients


def _flat(torch: Any, result: Any) -> list[Any]:
    if isinstance(result, (list, tuple)):
        return [v for item in result for v in _flat(torch, item)]
    return [result]


def _item(torch: Any, v: Any) -> Any:
    if not isinstance(v, torch.Tensor):
        return repr(v)
    fn = type(v.grad_fn).__name__ if v.grad_fn is not None else None
    return [str(v.dtype), list(v.shape), list(v.stride()), fn, _values(torch, v)]


def _values(torch: Any, v: Any) -> Any:
    v = v.detach()
    if v.dtype == torch.bfloat16:
        v = v.float()
    return torch.view_as_real(v.resolve_conj()).tolist() if v.is_complex() else v.tolist()


def _gradients(torch: Any, result: Any, leaves: dict[str, Any]) -> dict[str, Any]:
    outs = [v for v in _flat(torch, result) if isinstance(v, torch.Tensor) and v.requires_grad]
    if not outs:
        return {}
    weights = np.random.RandomState(9)
    try:
        for v in outs:
            w = torch.tensor(weights.rand(*v.shape).tolist(), dtype=torch.float64).reshape(v.shape)
            (v.double() * w).sum().backward(retain_graph=True)
    except Exception as error:
        return {"gradient error": type(error).__name__, "gradient message": str(error).split("\n")[0]}
    return {"gradients": {k: _values(torch, x.grad) for k, x in leaves.items() if x.grad is not None}}


def same(a: Any, b: Any, half: bool = False) -> bool:
    """Equal, floats to float32's precision (or float16's)."""
    if isinstance(a, float) and isinstance(b, float):
        if a == b or (a != a and b != b):
            return True
        return abs(a - b) <= (2e-3 if half else 1e-4) * abs(b) + 1e-5
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        half = half or bool(b) and b[0] in ("torch.float16", "torch.bfloat16")
        return len(a) == len(b) and all(same(p, q, half) for p, q in zip(a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k], half) for k in a)
    return a == b


def rows(family: str) -> list[list[Any]]:
    """The golden rows of a family: expression and outcome."""
    return json.loads((HERE / "golden" / f"expressions_{family}.json").read_text())


def families() -> list[str]:
    """The lists of expressions there are."""
    return sorted(p.stem for p in (HERE / "expressions").glob("*.txt"))


def main() -> None:
    """Writes the golden files."""
    import torch

    for family in families():
        lines = (HERE / "expressions" / f"{family}.txt").read_text().splitlines()
        found = [[e, outcome(torch, e)] for e in lines if e and not e.startswith("#")]
        text = ",\n".join(json.dumps(row) for row in found)
        (HERE / "golden" / f"expressions_{family}.json").write_text(f"[\n{text}\n]\n")
        print(family, len(found), file=sys.stderr)


if __name__ == "__main__":
    main()
