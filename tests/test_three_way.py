"""Random programs of arithmetic, reductions, views and in-place writes, run by flambeau, by NumPy and by PyTorch.

A program is a list of steps over registers. NumPy's views share memory as PyTorch's do, so writes are seen through
every alias. Where PyTorch is installed it runs the same programs, and strides and dtypes must agree too.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from _thorough import search
from hypothesis import given
from hypothesis import strategies as st

import flambeau as torch
from flambeau.autograd import gradcheck

Step = tuple[Any, ...]
Two = tuple[Callable[..., Any], Callable[..., Any]]  # with tensors, with arrays

UNARY: dict[str, Two] = {
    "neg": (lambda x: -x, np.negative),
    "abs": (lambda x: x.abs(), np.abs),
    "square": (lambda x: x * x, lambda x: x * x),
    "relu": (lambda x: x.relu(), lambda x: np.maximum(x, 0)),
    "sign": (lambda x: x.sign(), np.sign),
    "clamp": (lambda x: x.clamp(-2, 3), lambda x: np.clip(x, -2, 3)),
    "flip": (lambda x: x.flip(0), lambda x: np.flip(x, 0).copy()),
    "clone": (lambda x: x.clone(), lambda x: x.copy()),
    "cumsum": (lambda x: x.cumsum(0), lambda x: x.cumsum(0)),
    "plus one": (lambda x: x + 1, lambda x: x + 1),
    "one minus": (lambda x: 1 - x, lambda x: 1 - x),
}
BINARY: dict[str, Two] = {
    "add": (lambda x, y: x + y, np.add),
    "sub": (lambda x, y: x - y, np.subtract),
    "mul": (lambda x, y: x * y, np.multiply),
    "maximum": (lambda x, y: x.maximum(y), np.maximum),
    "where": (lambda x, y: x.where(x > y, y), lambda x, y: np.where(x > y, x, y)),
}
REDUCTIONS: dict[str, Two] = {
    "sum": (lambda x, d: x.sum(d, keepdim=True), lambda x, d: x.sum(d, keepdims=True)),
    "amax": (lambda x, d: x.amax(d, keepdim=True), lambda x, d: x.max(d, keepdims=True)),
    "amin": (lambda x, d: x.amin(d), lambda x, d: x.min(d)),
    "sum away": (lambda x, d: x.sum(d), lambda x, d: np.asarray(x.sum(d))),
}
VIEWS: dict[str, Two] = {
    "transpose": (lambda x, d: x.transpose(0, d), lambda x, d: x.swapaxes(0, d)),
    "slice": (lambda x, d: x[1:], lambda x, d: x[1:]),
    "step": (lambda x, d: x[::2], lambda x, d: x[::2]),
    "select": (lambda x, d: x.select(d, 0), lambda x, d: x[(slice(None),) * d + (0, ...)]),
    "unsqueeze": (lambda x, d: x.unsqueeze(d), lambda x, d: np.expand_dims(x, d)),
    "narrow": (lambda x, d: x.narrow(d, 0, 1), lambda x, d: x[(slice(None),) * d + (slice(0, 1),)]),
    "detach": (lambda x, d: x.detach(), lambda x, d: x[...]),
}
WRITES: dict[str, Two] = {
    "add_": (lambda x, y: x.add_(y), lambda x, y: np.add(x, y, out=x)),
    "mul_": (lambda x, y: x.mul_(y), lambda x, y: np.multiply(x, y, out=x)),
    "copy_": (lambda x, y: x.copy_(y), lambda x, y: np.copyto(x, y)),
    "neg_": (lambda x, y: x.neg_(), lambda x, y: np.negative(x, out=x)),
    "fill_": (lambda x, y: x.fill_(2), lambda x, y: x.fill(2)),
    "zero_": (lambda x, y: x.zero_(), lambda x, y: x.fill(0)),
    "row": (lambda x, y: x.__setitem__(0, 5), lambda x, y: x.__setitem__(0, 5)),
    "mask": (lambda x, y: x.__setitem__(x > 1, -1), lambda x, y: x.__setitem__(x > 1, -1)),
    "alpha": (lambda x, y: x.sub_(y, alpha=2), lambda x, y: np.subtract(x, 2 * y, out=x)),
}

OPERATIONS = {"unary": UNARY, "binary": BINARY, "reduce": REDUCTIONS, "view": VIEWS, "write": WRITES}

steps = st.one_of(
    st.tuples(st.just("unary"), st.sampled_from(sorted(UNARY)), st.integers(0, 9)),
    st.tuples(st.just("binary"), st.sampled_from(sorted(BINARY)), st.integers(0, 9), st.integers(0, 9)),
    st.tuples(st.just("reduce"), st.sampled_from(sorted(REDUCTIONS)), st.integers(0, 9), st.integers(0, 3)),
    st.tuples(st.just("view"), st.sampled_from(sorted(VIEWS)), st.integers(0, 9), st.integers(0, 3)),
    st.tuples(st.just("write"), st.sampled_from(sorted(WRITES)), st.integers(0, 9), st.integers(0, 9)),
    st.tuples(st.just("look"), st.integers(0, 9)),
)
programs = st.lists(steps, min_size=2, max_size=14)
shapes = st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple)
dtypes = st.sampled_from(["float32", "float64", "int64", "int32"])


def broadcasts(a: np.ndarray, b: np.ndarray, to_first: bool) -> bool:
    """Whether the two go together, and if asked for, with the shape of the first."""
    try:
        shape = np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        return False
    return len(shape) < 6 and (not to_first or shape == a.shape)


def partly_overlap(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether the two share memory without being the same elements; writing one from the other is then refused."""
    same = a.shape == b.shape and a.strides == b.strides and a.ctypes.data == b.ctypes.data
    return not same and np.may_share_memory(a, b)


def bounded(a: np.ndarray) -> bool:
    """Small enough that every dtype here counts exactly."""
    return a.size == 0 or float(np.abs(a.astype(np.float64)).max()) < 1e4


def run(tensors: list[Any], arrays: list[np.ndarray], program: list[Step]) -> None:
    """Runs the steps that make sense on both; new values become new registers."""
    for kind, *arguments in program:
        if kind == "look":
            at = arguments[0] % len(arrays)
            assert tensors[at].tolist() == arrays[at].tolist()
            continue
        name, first, *rest = arguments
        k = first % len(arrays)
        a = arrays[k]
        if a.ndim == 0 or a.size == 0 or not bounded(a):
            continue
        if kind in ("binary", "write"):
            j = rest[0] % len(arrays)
            b = arrays[j]
            if not bounded(b) or not broadcasts(a, b, kind == "write"):
                continue
            if kind == "write" and partly_overlap(a, b):
                continue
            extra = (tensors[j],), (b if b.ndim else b.astype(a.dtype),)  # numbers do not widen
        elif kind == "unary":
            extra = (), ()
        else:
            extra = (rest[0] % a.ndim,), (rest[0] % a.ndim,)
        ours, numpys = {"unary": UNARY, "binary": BINARY, "reduce": REDUCTIONS, "view": VIEWS, "write": WRITES}[kind][
            name
        ]
        y, z = ours(tensors[k], *extra[0]), numpys(a, *extra[1])
        if kind != "write":
            tensors.append(y)
            arrays.append(np.asarray(z))


def start(package: Any, shape: tuple[int, ...], dtype: str) -> tuple[list[Any], list[np.ndarray]]:
    """Two registers of the same values, as tensors and as arrays of their own."""
    r = np.random.RandomState(0)
    arrays = [r.randint(-3, 4, s).astype(dtype) for s in (shape, shape[-1:])]
    return [package.from_numpy(a.copy()).clone() for a in arrays], arrays


def check(tensors: list[Any], arrays: list[np.ndarray]) -> None:
    for x, a in zip(tensors, arrays, strict=True):
        assert (tuple(x.shape), str(x.dtype)) == (a.shape, f"torch.{a.dtype}")
        assert x.tolist() == a.tolist()


@search(120)
@given(shapes, dtypes, programs)
def test_programs_equal_numpy(shape: tuple[int, ...], dtype: str, program: list[Step]) -> None:
    tensors, arrays = start(torch, shape, dtype)
    run(tensors, arrays, program)
    check(tensors, arrays)


@pytest.mark.live
@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
@search(120)
@given(shapes, dtypes, programs)
def test_programs_equal_pytorch(shape: tuple[int, ...], dtype: str, program: list[Step]) -> None:
    real = importlib.import_module("torch")
    ours, arrays = start(torch, shape, dtype)
    theirs, copies = start(real, shape, dtype)
    run(ours, arrays, program)
    run(theirs, copies, program)
    assert [(x.tolist(), x.stride(), x._version) for x in ours] == [
        (x.tolist(), x.stride(), x._version) for x in theirs
    ]


def seen(x: Any) -> Any:
    """All that a user can see of a tensor."""
    return x.tolist(), tuple(x.shape), x.stride(), str(x.dtype), x._version, x.storage_offset()


SMOOTH: dict[str, Callable[..., Any]] = {
    "sin": lambda x, y: x.sin(),
    "exp": lambda x, y: (x * 0.3).exp(),
    "tanh": lambda x, y: x.tanh(),
    "sigmoid": lambda x, y: torch.sigmoid(x),
    "square": lambda x, y: x * x * 0.5,
    "softmax": lambda x, y: x.softmax(-1),
    "logsumexp": lambda x, y: x.logsumexp(0, keepdim=True) * 0.2 + x,
    "mean": lambda x, y: x - x.mean(-1, keepdim=True),
    "cumsum": lambda x, y: x.cumsum(0) * 0.5,
    "product": lambda x, y: x * y,
    "quotient": lambda x, y: x / (y * y + 1),
    "matmul": lambda x, y: (x @ y.mT @ x) * 0.1,
    "transpose": lambda x, y: x.T.contiguous().T,
    "halves": lambda x, y: torch.cat([x[:, 1:], x[:, :1]], 1),
    "flip": lambda x, y: x.flip(0),
    "row": lambda x, y: x + x[1],
    "write": lambda x, y: (x * 1).mul_(y),
    "write a part": lambda x, y: x.index_copy(0, torch.tensor([1]), y[:1]),
    "view written": lambda x, y: _written(x * 1, y),
    "norm": lambda x, y: x / (x.norm() + 1),
}


def _written(z: Any, y: Any) -> Any:
    z[0].mul_(2)
    z[:, 1].add_(y[:, 0])
    return z


@search(25)
@given(st.lists(st.sampled_from(sorted(SMOOTH)), min_size=1, max_size=5), st.integers(0, 1000))
def test_gradients_of_compositions(names: list[str], seed: int) -> None:
    r = np.random.RandomState(seed)
    x, y = (torch.from_numpy(r.uniform(-1, 1, (3, 4))).requires_grad_(True) for _ in range(2))

    def composed(x: Any, y: Any) -> Any:
        for name in names:
            x = SMOOTH[name](x, y)
        return x

    assert gradcheck(composed, (x, y), atol=1e-4)
