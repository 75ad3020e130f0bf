"""The first tier: programs run operator by operator, to the bits of compiled ones."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from math import prod
from typing import Any

import _two_tiers as two_tiers
import numpy as np
import pytest
from _thorough import thorough

import flambeau as torch
from flambeau import _execution, nn
from flambeau.compiler import affine
from flambeau.compiler import numpy as reference
from flambeau.compiler.builder import Builder
from flambeau.compiler.cpu import code_cache, contract_order, contract_packing
from flambeau.compiler.cpu.execute import Executable
from flambeau.compiler.cpu.first_tier import contractions, fused, operators, orders, unseen, widths, windows
from flambeau.compiler.cpu.first_tier.present import CountingBuilder
from flambeau.compiler.cpu.first_tier.sizes import ONE, Size, Table, flat, times
from flambeau.compiler.cpu.first_tier.widths import lanes_of
from flambeau.dtypes import bool_, dtype, float32, float64
from flambeau.first_tier import by_operator, paying, shared_plans
from flambeau.graph import realisation
from flambeau.graph.node import SCALAR, Node
from flambeau.graph.types import ty
from flambeau.ops import _immediate
from flambeau.ops._registry import call
from flambeau.ops._row_products import LAST, SEEN, TAKEN

F = nn.functional


@pytest.fixture
def in_both(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, int]]:
    """Every program runs in both tiers; how many did."""
    realisation.realise()
    monkeypatch.setattr(realisation, "executor", [two_tiers.run])
    monkeypatch.setattr(two_tiers, "ran", {"both": 0, "compiled": 0, "shared": 0})
    realisation.forget()
    yield two_tiers.ran
    realisation.forget()


@pytest.fixture
def tier(monkeypatch: pytest.MonkeyPatch, native_code: None) -> Callable[[str], None]:
    """Chooses the tier of native programs."""
    return lambda name: monkeypatch.setattr(_execution, "tier", [name])


# ---- views


def test_views_of_no_elements_have_the_strides_of_their_type() -> None:
    # NumPy's arrays of no elements have strides of zero.
    assert affine.seen_under((2, 2, 0), (0, 0, 0), (0, 0, 1), (4, 0), (1, 1)) == (1, 1)
    assert affine.seen_under((4, 0), (0, 0), (0, 1), (2, 2, 0), (2, 1, 1)) == (2, 1, 1)


# ---- kernels


def strides_of(shape: Sequence[int], order: Sequence[int] | None) -> tuple[int, ...]:
    """Dense strides of an array whose dimensions lie in memory in this order."""
    order = order or range(len(shape))
    out, step = [0] * len(shape), 1
    for d in reversed(order):
        out[d], step = step, step * shape[d]
    return tuple(out)


CONTRACTIONS: list[tuple[str, tuple[int, ...], tuple[int, ...], Any, Any, bool]] = [
    ("nk,mk->nm", (1, 128), (384, 128), None, None, True),
    ("nk,mk->nm", (5, 33), (21, 33), None, None, True),
    ("nk,mk->nm", (50, 128), (384, 128), None, None, False),
    ("nk,km->nm", (7, 33), (33, 65), None, None, False),
    ("nk,km->nm", (7, 33), (33, 3), None, None, False),
    ("nk,km->nm", (9, 16), (16, 3), None, (1, 0), False),
    ("kn,km->nm", (7, 33), (7, 20), None, None, False),
    ("bnk,bmk->bnm", (4, 9, 32), (4, 9, 32), None, None, True),
    ("bnk,bkm->bnm", (4, 9, 9), (4, 9, 32), None, None, False),
    ("bhqd,bhkd->bhqk", (1, 4, 9, 32), (1, 4, 9, 32), (0, 2, 1, 3), (0, 2, 1, 3), True),
    ("bhqk,bhkd->bhqd", (1, 4, 9, 9), (1, 4, 9, 32), None, (0, 2, 1, 3), False),
    ("k,k->", (70,), (70,), None, None, True),
    ("nk,k->n", (6, 70), (70,), None, None, True),
    ("bnk,bnm->km", (3, 5, 7), (3, 5, 9), None, None, False),
    ("i,j->ij", (5,), (9,), None, None, False),
    ("nk,mk->nm", (100, 300), (70, 300), None, None, False),
    ("nk,km->nm", (20, 140), (140, 70), None, None, False),
    ("bnk,bkm->bnm", (2, 13, 20), (2, 20, 40), None, (1, 2, 0), False),
    ("abnk,abkm->banm", (2, 3, 13, 20), (2, 3, 20, 5), (1, 0, 2, 3), None, False),
    ("abcnk,abcmk->abcnm", (2, 3, 2, 5, 20), (2, 3, 2, 7, 20), None, None, True),
    ("abcd,cd->ab", (3, 4, 5, 6), (5, 6), None, None, True),
    ("nk,km->nm", (1, 1), (1, 1), None, None, False),
    ("nk,km->mn", (2, 3), (3, 37), None, None, False),
    ("abcde,cdef->abf", (2, 2, 2, 3, 4), (2, 3, 4, 5), None, None, False),
    ("abcdefg,cdefgh->abh", (2, 2, 2, 3, 2, 2, 2), (2, 3, 2, 2, 2, 5), None, None, False),
]


@pytest.mark.parametrize("rows", [1, 3, 4, 7])
def test_sums_of_any_length_have_the_bits_of_compiled_code(rows: int) -> None:
    """Some steps stand between two jumps: what is left over is added behind them, in every block of the sums."""
    rng = np.random.default_rng(0)
    for depth in (*range(1, 10), widths.DEPTH + 1, 2 * widths.DEPTH + 6):
        f = Builder()
        shapes = (rows, depth), (depth, 21)
        x, y = [f.input(k, s, float32, (strides_of(s, None), 0)) for k, s in enumerate(shapes)]
        v = f.contract("mk,kn->mn", x, y)
        f.f.outputs = [v]
        arrays = [rng.standard_normal(s).astype(np.float32) for s in shapes]
        found = np.ascontiguousarray(operators.planned(f.f, 2).call(*arrays))
        expected = Executable(f.f, [ty(v.shape, float32)]).run([a.reshape(-1) for a in arrays], [])[0]
        assert found.tobytes() == expected.tobytes(), depth


@pytest.mark.parametrize("dt", [float32, float64], ids=["float32", "float64"])
@pytest.mark.parametrize("case", CONTRACTIONS, ids=[f"{c[0]} {c[1]}" for c in CONTRACTIONS])
def test_a_contraction_adds_in_the_order_of_compiled_code(case: Any, dt: dtype) -> None:
    spec, a, b, first, second, lanes = case
    f = Builder()
    strides = strides_of(a, first), strides_of(b, second)
    x, y = [f.input(k, s, dt, (own, 0)) for k, (s, own) in enumerate(zip((a, b), strides))]
    v = f.contract(spec, x, y)
    f.f.outputs = [v]
    rng = np.random.default_rng(0)
    flat = [rng.standard_normal(prod(s)).astype(dt.np) for s in (a, b)]
    arrays = [np.ndarray(s, m.dtype, m, 0, [n * m.itemsize for n in own]) for s, own, m in zip((a, b), strides, flat)]
    found = np.ascontiguousarray(operators.planned(f.f, 2).call(*arrays))
    expected = Executable(f.f, [ty(v.shape, dt)]).run(flat, [])[0]
    assert found.tobytes() == expected.tobytes()
    if dt is float32:
        assert (contractions.in_lanes(v, dict(zip((x, y), strides))) is not None) == lanes


@pytest.mark.parametrize("spec", ["nk,mk->nm", "nk,km->nm", "kn,km->nm", "bnk,bmk->bnm", "bcnk,bckm->bcnm", "nk,k->n"])
@pytest.mark.parametrize("dense", [True, False])
def test_an_order_that_lasts_is_that_of_the_sizes(spec: str, dense: bool) -> None:
    f, rng, lasted, lanes = Builder(), np.random.default_rng(0), 0, 0
    labels = sorted(set(spec) - set(",->"))
    x, y = [f.input(k, (4,) * len(own), float32) for k, own in enumerate(spec.split("->")[0].split(","))]
    v = f.contract(spec, x, y)
    for _ in range(1000):
        before = dict(zip(labels, rng.choice([1, 2, 5, 16, 33, 64], len(labels)).tolist()))
        sizes = {c: n * int(rng.choice([1, 1, 1, 2])) + int(rng.choice([0, 0, 0, 1])) for c, n in before.items()}
        found = orders.by_sizes(v, before, dense)
        if found is not NotImplemented:
            exact = [c in contract_order.decisive(v) for c in labels]
            if orders.lasting(exact, list(before.values()), list(sizes.values()), found is not None):
                assert orders.by_sizes(v, sizes, dense) == found
                lasted += sizes != before
                lanes += sizes != before and found is not None
            else:
                assert sizes != before
    assert lasted > 30
    assert lanes > 30 or spec not in ("nk,mk->nm", "bnk,bmk->bnm", "nk,k->n")


@pytest.mark.parametrize("outer", [(), (3,), (2, 3)], ids=str)
def test_sizes_say_whether_products_of_matrices_are_packed(outer: tuple[int, ...]) -> None:
    target = code_cache.default().target
    lanes = lanes_of(float32, target)
    for m, n, k in product((2, 7, 8, 23, 24, 100), (2, 7, 8, 24, 700), (7, 8, 600)):
        f = Builder()
        x, y = f.input(0, (*outer, m, k), float32), f.input(1, (*outer, n, k), float32)
        letters = "ab"[: len(outer)]
        v = f.contract(f"{letters}mk,{letters}nk->{letters}mn", x, y)
        strides = [strides_of(a.shape, None) for a in (x, y)]
        expected = contract_packing.pays(contractions._nest(v, dict(zip((x, y), strides))), target, 4)
        sizes = contract_order.sizes_of(v)
        assert orders._in_panels(v, sizes, prod(sizes.values()), lanes) == expected, (m, n, k)


@pytest.mark.parametrize("dt", [float32, float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", ["sum", "prod", "max", "min"])
@pytest.mark.parametrize(
    ("shape", "dims"),
    [((5, 37), (1,)), ((7, 33, 4), (0,)), ((3, 5, 2, 3), (0, 2)), ((3, 50), (0, 1)), ((2, 1, 900), (0, 2)),
     ((12, 3), (0,)), ((40, 7, 3), (0, 1)), ((5000, 2), (0,)), ((9, 1, 1), (0, 2)), ((20_011,), (0,))],
)  # fmt: skip
def test_a_reduction_has_the_tree_of_compiled_code(shape: Any, dims: Any, name: str, dt: dtype) -> None:
    f = Builder()
    v = f.reduce(name, f.input(0, shape, dt, (strides_of(shape, None), 0)), dims)
    f.f.outputs = [v]
    x = np.random.default_rng(1).standard_normal(shape).astype(dt.np)
    x.flat[::7] = -0.0
    for a in (x, np.where(x == x.max(), np.nan, x)):
        with np.errstate(all="ignore"):
            found = np.ascontiguousarray(operators.planned(f.f, 1).call(a))
        assert two_tiers.same(found.reshape(-1), Executable(f.f, [ty(v.shape, dt)]).run([a.reshape(-1)], [])[0])


@pytest.mark.parametrize("dt", [float32, float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", ["exp", "tanh", "sin", "erf", "pow", "sigmoid", "atan2"])
def test_a_function_serves_all_shapes_and_strides(name: str, dt: dtype) -> None:
    x = np.abs(np.random.default_rng(2).standard_normal((6, 50))).astype(dt.np)
    for a in (x, x.T, x[:, ::3], x[::-1, 5:22], x[:0], x[2, 3]):
        f = Builder()
        one = f.input(0, a.shape, dt, (strides_of(a.shape, None), 0))
        f.f.outputs = [f.map(name, *[one] * (1 + (name in ("pow", "atan2"))))]
        with np.errstate(all="ignore"):
            found = operators.planned(f.f, 1).call(a)
        if a.size:
            flat = Executable(f.f, [ty(a.shape, dt)]).run([np.array(a).reshape(-1)], [])[0]
            assert np.ascontiguousarray(found).tobytes() == flat.tobytes()


@pytest.mark.parametrize("dt", [float32, float64], ids=["float32", "float64"])
def test_a_choice_serves_all_shapes_and_strides(dt: dtype) -> None:
    x = np.random.default_rng(3).standard_normal((6, 50)).astype(dt.np)
    y, z = -x[::-1, ::-1], np.full((), -np.inf, dt.np)
    for a, b, c in ((x, y, x), (x, x, z), (x.T, z, y.T), (x[0], x, y[:, :1]), (x[:, :1], y[0], z), (x[:0], y[:0], z)):
        f = Builder()
        arrays = [a > 0, b, c]
        values = [
            f.input(k, i.shape, d, (strides_of(i.shape, None), 0))
            for k, (i, d) in enumerate(zip(arrays, (bool_, dt, dt)))
        ]
        f.f.outputs = [f.where(*values)]
        found = operators.planned(f.f, 3).call(*arrays)
        assert np.array_equal(found, np.where(a > 0, b, c))


# ---- programs


class Net(nn.Module):
    """A transformer's block with an embedding before and batch normalisation behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.e, self.norm = nn.Embedding(11, 24), nn.LayerNorm(24)
        self.qkv, self.out, self.head = nn.Linear(24, 72), nn.Linear(24, 24), nn.Linear(24, 11)
        self.bn = nn.BatchNorm1d(24)

    def forward(self, i: Any) -> Any:
        """Scores of the next token at each place."""
        x = self.e(i)
        b, t, c = x.shape
        q, k, v = [y.view(b, t, 3, 8).transpose(1, 2) for y in self.qkv(self.norm(x)).split(c, 2)]
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(b, t, c)
        x = x + F.gelu(self.out(y))
        x = self.bn(x.transpose(1, 2)).transpose(1, 2)
        return self.head(F.dropout(x, 0.1))


@pytest.mark.parametrize("size", [(12, 7), *thorough([((3, 5),), ((16, 4),)])])
def test_training_has_the_same_bits(size: Any, in_both: dict[str, int]) -> None:
    torch.manual_seed(0)
    net = Net()
    optimizer = torch.optim.AdamW(net.parameters(), 1e-2)
    for _ in range(3):
        i = torch.randint(0, 11, size)
        loss = F.cross_entropy(net(i).flatten(0, 1), i.roll(1, 1).flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
    assert in_both["both"] >= 3


def gradients(f: Callable[[Any], Any], x: Any, g: Any) -> tuple[Any, ...]:
    """Those of a function, with a gradient that has all its elements and with one that repeats one."""
    v = x.clone().requires_grad_()
    return (*torch.autograd.grad(f(v), v, g), *torch.autograd.grad(f(v).sum(), v))


def uniform(m: int, n: int, k: int) -> dict[str, Callable[[], Any]]:
    """Operators that may share plans, with an attribute and with broadcasting where it has them."""
    x, y, w, row = torch.randn(m, n), torch.randn(m, n), torch.randn(k, n), torch.randn(n)
    unary = {name: getattr(torch, name) for name in ("neg", "exp", "relu", "sigmoid", "tanh", "abs", "log", "sqrt")}
    unary |= {"gelu": F.gelu, "silu": F.silu, "leaky_relu": F.leaky_relu, "pow": lambda v: v**3}
    unary |= {name: getattr(torch, name) for name in ("cos", "sin", "reciprocal", "rsqrt")}
    found: dict[str, Callable[[], Any]] = {name: lambda f=f: (f(x), f(row)) for name, f in unary.items()}
    found["gelu"] = lambda: (F.gelu(x), F.gelu(x, approximate="tanh"))
    for name in ("add", "sub", "mul", "div"):
        f = getattr(torch, name)
        found[name] = lambda f=f: (f(x, y), f(x, row), f(x, 3), f(x, y[:, :1]), f(row, row[:1]))
    found["add"] = lambda: (torch.add(x, y), torch.add(x, y, alpha=2), x + row)
    found["softmax"] = lambda: (F.softmax(x, -1), F.softmax(x, 0), F.softmax(row, 0), F.softmax(torch.stack([x, y]), 2))
    found["addmm"] = lambda: (F.linear(x, w, torch.ones(k)), torch.addmm(torch.ones(m, 1), x, w.t()))
    q, kv = torch.randn(m, 2, n, k), torch.randn(m, n, 4, k)
    heads = [kv[:, :, j : j + 2].transpose(1, 2) for j in (0, 2)]
    found["scaled_dot_product_attention"] = lambda: (
        F.scaled_dot_product_attention(q, *heads, is_causal=True), F.scaled_dot_product_attention(heads[0], q, q),
    )  # fmt: skip
    found["mm"] = lambda: (x @ w.t(), x.t() @ y)
    for name in ("eq", "ne", "lt", "le", "gt", "ge", "maximum", "minimum"):
        f = getattr(torch, name)
        found[name] = lambda f=f: (f(x, y), f(x, row), f(row, row[:1]))
    found["clamp"] = lambda: (x.clamp(-1, 1), x.clamp(min=0), x.clamp(row, row + 1))
    found["where"] = lambda: (torch.where(x > y, x, y), torch.where(x > 0, row, 1.0))
    found["sum"] = lambda: (x.sum(), x.sum(0), x.sum(1, keepdim=True), torch.stack([x, y]).sum((0, 2)), x.t().sum(1))
    found["log_softmax"] = lambda: (F.log_softmax(x, -1), F.log_softmax(x, 0))
    differentiable = {
        "_softmax_backward_data": lambda v: v.softmax(-1), "_log_softmax_backward_data": lambda v: v.log_softmax(0),
        "sigmoid_backward": torch.sigmoid, "tanh_backward": torch.tanh, "threshold_backward": torch.relu,
        "gelu_backward": F.gelu, "silu_backward": F.silu, "leaky_relu_backward": F.leaky_relu,
    }  # fmt: skip
    for name, f in differentiable.items():
        found[name] = lambda f=f: gradients(f, x, y)
    found["masked_fill"] = lambda: (x.masked_fill(x > y, 2.0), x.masked_fill(row > 0, -1.0))
    found["bitwise_not"] = lambda: (~(x > y), ~(row > 0))
    found["amax"] = lambda: (x.amax(), x.amax(0), x.amax(1, keepdim=True))
    found["native_layer_norm"] = lambda: (F.layer_norm(x, (n,)), F.layer_norm(x, (m, n)), F.layer_norm(x, (n,), row))
    return found


def of_any_size(m: int, n: int, k: int) -> dict[str, Callable[[], Any]]:
    """These and the others that may."""
    x, y = torch.randn(m, n), torch.randn(m, n)
    return uniform(m, n, k) | _of_counts(x, y) | _of_indices(x, y) | _of_batches(x) | _in_order(x)


def _in_order(x: Any) -> dict[str, Callable[[], Any]]:
    """Operators along a dimension in its order, and those that find an order."""
    whole = (x * 10).long()
    return {
        "cumsum": lambda: (x.cumsum(0), x.cumsum(1), whole.cumsum(1), x.double().cumsum(0)),
        "cumprod": lambda: (x.cumprod(0), x.cumprod(1), whole.cumprod(0)),
        "logcumsumexp": lambda: (x.logcumsumexp(0), x.logcumsumexp(1), x.double().logcumsumexp(1)),
        "sort": lambda: (
            *x.sort(0), *x.sort(1, descending=True), *whole.sort(1), *whole.sort(0, stable=True, descending=True),
        ),
    }  # fmt: skip


def _of_counts(x: Any, y: Any) -> dict[str, Callable[[], Any]]:
    """Operators that divide by how many elements there are."""
    found: dict[str, Callable[[], Any]] = {}
    moments = {"mean": torch.mean, "std": partial(torch.std, correction=0), "var": partial(torch.var, correction=0.5)}
    for name, f in moments.items():
        found[name] = lambda f=f: (f(x), f(x, 0), f(x, 1, keepdim=True), f(torch.stack([x, y]), (0, 2)))
    targets = y.sigmoid()
    losses = "mse_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits"
    for name in losses:
        loss = getattr(F, name)
        found[name] = lambda f=loss: tuple(f(x.sigmoid(), targets, reduction=r) for r in ("mean", "sum", "none"))
        found[name + "_backward"] = lambda f=loss: (
            *torch.autograd.grad(f(v := x.sigmoid().requires_grad_(), targets), v),
            *torch.autograd.grad(f(v, targets, reduction="none"), v, y),
        )
    return found


def _of_indices(x: Any, y: Any) -> dict[str, Callable[[], Any]]:
    """Operators that read elements at indices, or say where they are."""
    m, n = x.shape
    at, rows = torch.arange(m * n).view(m, n), torch.arange(2 * m).view(2, m)
    labels, table = torch.arange(m) % n, torch.randn(11, n)
    weight = torch.rand(n)
    found: dict[str, Callable[[], Any]] = {
        "gather": lambda: (x.gather(1, at % n), x.gather(0, at % m), x.gather(1, (at % n)[:, :1])),
        "scatter_add": lambda: (
            x.scatter_add(1, at % n, y), x.scatter_add(0, (at % m)[:1], y), x[0].scatter_add(0, at[0] % n, y[0]),
        ),
        "index": lambda: (x[labels % m], x[:, labels], x[at % m, at % n], x[x > 0], x[(at % m)[:, :1], labels]),
        "index_put": lambda: (
            x.index_put((labels % m,), y[labels % m]), x.index_put((labels % m, labels), y[0, 0]),
            x.index_put((at % m, at % n), y, accumulate=True), x.index_put((labels % m,), y[:1], accumulate=True),
        ),
        "argmax": lambda: (x.argmax(1), x.argmax(0), x.argmax()),
        "argmin": lambda: (x.argmin(1), x.argmin(0, keepdim=True)),
        "embedding": lambda: (F.embedding(labels % 11, table), F.embedding(rows % 11, table)),
        "nll_loss": lambda: (
            F.nll_loss(x, labels), F.nll_loss(x, labels, weight), F.nll_loss(x[0], labels[0]),
            F.nll_loss(x, labels, reduction="sum", ignore_index=1), F.nll_loss(x, labels, reduction="none"),
        ),
    }  # fmt: skip
    found["nll_loss_backward"] = lambda: (
        *torch.autograd.grad(F.nll_loss(v := (x + 0).requires_grad_(), labels), v),
        *torch.autograd.grad(F.nll_loss(v, labels, weight, ignore_index=1), v),
        *torch.autograd.grad(F.nll_loss(v, labels, reduction="none"), v, y[:, 0]),
    )
    found["embedding_dense_backward"] = lambda: (
        *torch.autograd.grad(F.embedding(labels % 11, w := (table + 0).requires_grad_()), w, y),
        *torch.autograd.grad(F.embedding(rows % 11, w, padding_idx=1), w, torch.stack([x, y])),
    )
    last = labels % m - 1
    found["last_rows"] = lambda: (call(LAST, (labels % 11,), (11, False)), call(LAST, (rows % 11,), (11, False)))
    found["rows_at_last"] = lambda: (call(TAKEN, (y, last), ()),)
    found["seen_rows"] = lambda: (call(SEEN, (y, last), -1), call(SEEN, (y, last), 0))
    return found


def _of_batches(x: Any) -> dict[str, Callable[[], Any]]:
    """Batch norm of rows and of images."""
    m, n = x.shape
    images = torch.stack([x, x.exp(), x - 1]).view(3, 1, m, n).expand(3, 2, m, n) + torch.ones(2, 1, 1)
    samples = x.expand(2, m, n).reshape(2 * m, n)
    row, mean, var = torch.rand(n), torch.zeros(n), torch.ones(n)

    def gradients(v: Any, c: int, training: bool) -> tuple[Any, ...]:
        w, b = torch.ones(c, requires_grad=True), torch.zeros(c, requires_grad=True)
        v = (v + 0).requires_grad_()
        y = F.batch_norm(v, torch.zeros(c), torch.ones(c), w, b, training)
        return torch.autograd.grad(y, (v, w, b), y.detach().cos())

    return {
        "native_batch_norm": lambda: (
            F.batch_norm(samples, mean.clone(), var.clone(), row, row, True), F.batch_norm(samples, mean, var),
            F.batch_norm(images, None, None, training=True),
            F.batch_norm(images, torch.zeros(2), torch.ones(2), training=True),
        ),
        "native_batch_norm_backward": lambda: (
            *gradients(samples, n, True), *gradients(samples, n, False), *gradients(images, 2, True),
        ),
    }  # fmt: skip


def recurrent(steps: int, batch: int, units: int) -> dict[str, Callable[[], Any]]:
    """Recurrent layers and their gradients."""

    def run(layer: Any) -> tuple[Any, ...]:
        net = layer(units + 1, units)
        x = torch.randn(steps, batch, units + 1, requires_grad=True)
        y = net(x)[0]
        return (y.detach(), *torch.autograd.grad(y, (x, *net.parameters()), y.detach().cos()))

    layers = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn_tanh": nn.RNN, "rnn_relu": partial(nn.RNN, nonlinearity="relu")}
    found = {name: lambda layer=layer: run(layer) for name, layer in layers.items()}
    return found | {name + "_backward": lambda: () for name in layers}


SIZES = [
    (1, 1, 1),
    (2, 3, 4),
    (30, 1, 16),
    (3, 1025, 8),  # sums in pieces, for other sizes beside
    (70, 130, 150),
]
MORE_SIZES = [(5, 7, 9), (16, 16, 2), (12, 20, 13), (5, 1025, 7), (7, 5, 9), *SIZES[::-1]]


def test_what_is_reversed_is_not_planned(in_both: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    original = by_operator._planned

    def planned(n: Node, strides: list[Any]) -> Any:
        assert n.op.name != "flip"
        return original(n, strides)

    monkeypatch.setattr(by_operator, "_planned", planned)
    monkeypatch.setattr(by_operator, "_operators", {})
    for m, n in [(1, 1), (1, 5), (6, 4)]:
        x = torch.randn(m, n)
        for y in (
            x.flip(0),
            x.flip(1) * 2,
            x.flip(0, 1).cumsum(1).flip(1),
            x.t().flip(0).exp(),
            x[0].expand(3, n).flip(0),
        ):
            (y + 1).sum().item()
        (x.flip(1) @ x.t()).sum().item()
        x[:, 0] = x.flip(0)[:, -1]
        x.sum().item()
    assert in_both["both"] and not in_both["compiled"]


@pytest.mark.parametrize("all_sizes", [[*SIZES, SIZES[1]], *thorough([[*SIZES, *MORE_SIZES]])], ids=len)
def test_plans_that_serve_all_sizes_do(all_sizes: list[tuple[int, ...]], in_both: dict[str, int]) -> None:
    for sizes in all_sizes:
        for f in of_any_size(*sizes).values():
            for y in f():
                y.sum().item()
    assert in_both["compiled"] <= 6 < 100 < in_both["both"]  # the former are three that are large, both ways


RECURRENT = [(5, 3, 4), (9, 2, 4), (6, 1, 4), (3, 4, 9), (13, 16, 9), (2, 1, 4)]


def test_plans_of_recurrent_layers_serve_all_sizes(in_both: dict[str, int]) -> None:
    for sizes in RECURRENT:
        for f in recurrent(*sizes).values():
            for y in f():
                y.sum().item()
    assert in_both["compiled"] == 0 < 100 < in_both["both"]


COUNTS = ("counted", "iota")  # constants that are found again by the sizes of arguments, or belong to the form


def test_the_lowering_of_what_shares_plans_depends_on_their_form_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    found: dict[Any, set[str]] = {}
    original = by_operator._of_form

    def planned(n: Node, strides: list[Any]) -> Any:
        form = shared_plans.form_of(n, strides)
        if form is not None:
            b = CountingBuilder()
            args = [b.scalar(k, i.ty.dtype) if i.op is SCALAR else b.input(k, i.ty.shape, i.ty.dtype)
                    for k, i in enumerate(n.ins)]  # fmt: skip
            b.ty = n.ty
            n.op.lower(b, n.attrs, *args)
            at = {v: k for k, v in enumerate(b.f.values)}
            told = [(v.kind, v.name, v.dtype, len(v.shape), [at[a] for a in v.args],
                     v.params if v.kind in ("const", "reduce", "contract") and v.name not in COUNTS else None)
                    for v in b.f.values]  # fmt: skip
            found.setdefault(form, set()).add(repr(told))
        return original(n, strides)

    monkeypatch.setattr(by_operator, "_of_form", planned)
    for table in ("_operators", "_forms"):
        monkeypatch.setattr(by_operator, table, {})
    monkeypatch.setattr(realisation, "executor", [lambda p, *args: by_operator.FirstTier(p).run(*args)])
    monkeypatch.setattr(by_operator, "SHARE", 1e9)
    assert of_any_size(1, 1, 1).keys() | recurrent(1, 1, 1).keys() == shared_plans.UNIFORM.keys()
    for f in [*[of_any_size(*sizes) for sizes in SIZES], *[recurrent(*sizes) for sizes in RECURRENT]]:
        for y in [y for one in f.values() for y in one()]:
            y.sum().item()
    realisation.forget()
    assert len(found) > 30
    assert all(len(texts) == 1 for texts in found.values())


def test_writes_keep_what_was_read_before(in_both: dict[str, int]) -> None:
    x = torch.zeros(4, 5)
    seen = []
    for k in range(4):
        row = x[k]
        before = x.sum(0)
        row += k + 1
        x[:, k] *= 2
        seen += [before, x[k].clone(), x.t()[k].exp()]
    y = x.clone()
    y[0, 0] = 7
    z = y.view(-1)[3:9]
    y[2] = z[:5].exp()
    torch.stack([s.sum() for s in seen]).tolist()
    assert (y - x).abs().sum().item() >= 0
    assert in_both["both"] and not in_both["compiled"]


def test_elements_written_one_by_one(tier: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    tier("auto")
    monkeypatch.setattr(_immediate, "writable", lambda s, epoch: False)
    counts = torch.zeros(5, 6, dtype=torch.int32)
    expected = np.zeros((5, 6), np.int32)
    rng = np.random.default_rng(0)
    seen = counts[2]
    for i, j in rng.integers(0, 5, (400, 2)).tolist():
        counts[i, j] += 1
        expected[i, j] += 1
    assert counts._version == 800  # an addition and an assignment each
    assert counts.tolist() == expected.tolist() and seen.tolist() == expected[2].tolist()
    assert set(programs()) == {"FirstTier"}


NUMBERS = [0.7, -0.3, 0.0, -0.0, 1.0, float("inf"), float("nan"), 1e-40, 88.9]


@pytest.mark.parametrize("dt", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("name", ["log", "exp", "tanh", "sqrt", "neg", "abs", "sigmoid", "log10", "digamma"])
def test_functions_of_one_number_have_the_bits_of_programs(name: str, dt: Any, tier: Callable[[str], None]) -> None:
    tier("auto")
    f = getattr(torch, name)
    table = torch.tensor(NUMBERS, dtype=dt)
    ran = realisation.counters["realisations"]
    at_once = [f(table[k]) for k in range(len(NUMBERS))]
    assert all(x._s.pending == (dt.itemsize < 4) for x in at_once)
    assert realisation.counters["realisations"] == ran
    expected = f(table)
    for k, x in enumerate(at_once):
        assert x.dtype is expected.dtype and x.shape == ()
        assert x.double().numpy().tobytes() == expected[k].double().numpy().tobytes()


def test_functions_of_numbers_that_autograd_or_a_program_needs_are_recorded(tier: Callable[[str], None]) -> None:
    tier("auto")
    x = torch.tensor(0.5, requires_grad=True)
    y = x.exp()
    assert y.grad_fn is not None
    y.backward()
    assert x.grad is not None and x.grad.item() == y.item()
    assert (torch.ones(()) * 2).log()._s.pending
    with pytest.raises(TypeError, match="must be Tensor"):
        torch.log(2.0)
    assert torch.log(torch.tensor(3)).dtype is torch.float32


def test_what_is_overwritten_as_a_whole_is_not_computed(tier: Callable[[str], None]) -> None:
    """What NumPy may write is copied only if somebody reads it."""
    tier("first")
    x = torch.from_numpy(np.arange(8, dtype=np.float32))
    low = x[:4] <= 2.5
    low[...] = False
    twice = x * 2
    twice.fill_(3.0)
    assert low.tolist() == [False] * 4 and twice.tolist() == [3.0] * 8


def test_what_it_cannot_run_is_compiled(in_both: dict[str, int]) -> None:
    w = torch.ones(3, 2, 3, requires_grad=True)
    F.conv1d(F.pad(torch.ones(2, 2, 40), (1, 1)), w).sum().backward()
    assert w.grad.sum().item() == 1416
    assert in_both["compiled"] and not in_both["both"]


CONVOLUTIONS: list[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
    ((2, 3, 20), (4, 3, 3), {"padding": 1}),
    ((16, 2, 33), (5, 2, 3), {"padding": 2, "stride": 2}),
    ((1, 70, 9), (20, 70, 3), {"padding": "same"}),
    ((2, 3, 9, 17), (4, 3, 3, 3), {"padding": 1}),
    ((4, 6, 8, 8), (6, 1, 3, 3), {"padding": 1, "groups": 6}),
    ((2, 6, 2, 2), (6, 1, 5, 5), {"padding": 2, "groups": 6, "stride": 2}),
    ((3, 8, 5, 6), (8, 4, 1, 1), {"groups": 2}),
    ((3, 4, 9, 9), (6, 4, 3, 2), {"padding": (2, 1), "stride": (2, 3), "dilation": (1, 2)}),
    ((12, 2, 9, 9), (3, 2, 3, 3), {"padding": 1}),
    ((4, 32, 9, 14), (48, 32, 3, 3), {"padding": 1}),
    ((1, 64, 6, 6), (64, 64, 1, 1), {"stride": 2}),
    ((2, 37, 7, 6), (74, 1, 3, 2), {"padding": 1, "groups": 37}),
    ((12, 33, 9), (33, 1, 3), {"padding": 1, "stride": 2, "groups": 33}),
    ((2, 16, 5, 6, 5), (16, 1, 2, 3, 2), {"padding": (1, 0, 1), "groups": 16}),
    ((2, 3, 5, 6, 5), (4, 3, 2, 3, 2), {"padding": (1, 0, 1), "stride": (1, 2, 1)}),
    ((4, 4, 8, 8, 8), (3, 4, 1, 1, 1), {"padding": (0, 1, 0), "stride": (2, 1, 1)}),
    ((16, 24, 1, 1), (40, 24, 3, 3), {"padding": 1}),
    ((5, 16, 2, 2), (24, 16, 3, 3), {"padding": 1, "stride": 2}),
    ((2, 3, 5, 4), (4, 3, 11, 9), {"padding": (5, 4), "stride": (3, 1)}),
    ((1, 6, 1, 40), (4, 3, 5, 3), {"padding": (4, 1), "groups": 2, "dilation": (2, 1)}),
    ((4, 16, 2, 2), (64, 16, 3, 3), {"padding": 1}),
    ((6, 20, 8, 7), (24, 20, 3, 3), {"padding": 1, "stride": 2}),
    ((2, 24, 6, 6), (32, 12, 3, 3), {"padding": (2, 1), "groups": 2, "dilation": (2, 1)}),
]


IN_DOUBLE = CONVOLUTIONS[::3]
OF_TYPES = [*[(case, torch.float32) for case in CONVOLUTIONS], *[(case, torch.float64) for case in IN_DOUBLE],
            *thorough([(case, torch.float64) for case in CONVOLUTIONS if case not in IN_DOUBLE])]  # fmt: skip


@pytest.mark.parametrize(("case", "dt"), OF_TYPES, ids=str)
def test_convolutions_and_their_gradients_have_the_same_bits(case: Any, dt: Any, in_both: dict[str, int]) -> None:
    shape, kernel, options = case
    torch.manual_seed(0)
    x, w = [torch.randn(s, dtype=dt, requires_grad=True) for s in (shape, kernel)]
    y = getattr(F, f"conv{len(shape) - 2}d")(x, w, **options)
    (y * torch.randn(y.shape, dtype=dt)).sum().backward()
    assert x.grad.shape == x.shape and w.grad.sum().isfinite().item()
    assert in_both["both"] and not in_both["compiled"]


UNDER_WINDOWS: list[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
    ((2, 20, 16, 32), (70, 20, 3, 3), {"padding": 1}),  # rows of whole vectors
    ((3, 40, 11, 13), (7, 40, 3, 3), {"dilation": (2, 1)}),  # vectors of several rows
    ((5, 16, 3, 3), (40, 16, 2, 2), {"stride": 2, "padding": 1}),  # several images in a panel
    ((2, 130, 8, 16), (9, 130, 1, 1), {}),
    ((2, 4, 4, 6, 16), (6, 4, 3, 3, 3), {"padding": 1}),
    ((3, 24, 9, 16), (36, 8, 3, 3), {"padding": 1, "groups": 3}),
]


@pytest.mark.parametrize("least", [1, 1 << 40], ids=["windows", "loops"])
@pytest.mark.parametrize("dt", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("case", UNDER_WINDOWS, ids=lambda case: f"{case[0]} {case[1]}")
def test_products_under_windows_have_the_same_bits(
    case: Any, dt: Any, least: int, in_both: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "LEAST", least)
    monkeypatch.setattr(by_operator, "SHARE", 1e9)
    test_convolutions_and_their_gradients_have_the_same_bits(case, dt, in_both)


def test_products_under_windows_are_shared_out_among_threads(in_both: dict[str, int]) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        case = ((1, 64, 12, 12), (200, 64, 3, 3), {"padding": 1})
        test_convolutions_and_their_gradients_have_the_same_bits(case, torch.float32, in_both)
    finally:
        torch.set_num_threads(before)


POOLS = [nn.AvgPool2d(2), nn.MaxPool2d(3, 2, 1), nn.AvgPool2d((2, 9), 1), nn.AvgPool2d(3, 1, 1)]


@pytest.mark.parametrize("pool", POOLS, ids=str)
def test_many_results_of_few_elements_have_the_same_bits(pool: Any, in_both: dict[str, int]) -> None:
    x = torch.linspace(-3, 3, 4 * 8 * 33 * 32).sin().reshape(4, 8, 33, 32).requires_grad_()
    y = pool(x * (x.detach() > 0))
    (y * y).sum().backward()
    x.grad.unflatten(2, (3, 11)).sum((1, 2)).sum().item()
    assert in_both["both"] and not in_both["compiled"]


COLUMNS = {
    "columns": lambda x: x,
    "of a matrix that is turned": lambda x: x.t().contiguous().t(),
    "of rows": lambda x: x.t(),
    "in the middle": lambda x: x.unflatten(0, (3, -1)),
    "of three dimensions, turned": lambda x: x.unflatten(0, (3, -1)).mT.contiguous().mT,
}


@pytest.mark.parametrize("shape", [(45, 70), (300, 8), (36, 133), (2100, 17)], ids=str)
@pytest.mark.parametrize("layout", COLUMNS)
@pytest.mark.parametrize("dt", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_sums_of_columns_have_the_same_bits(
    dt: Any, layout: str, shape: tuple[int, ...], in_both: dict[str, int]
) -> None:
    """Results that lie beside one another are summed in vectors of results."""
    x = COLUMNS[layout]((torch.arange(shape[0] * shape[1], dtype=dt).sin() * 3).reshape(shape) + 0)
    for dim in range(x.ndim):
        x.sum(dim).numpy(), x.amax(dim).numpy(), x.prod(dim).numpy()
    assert in_both["both"] > 4


BESIDE = [
    ((2, 3, 9, 12), nn.MaxPool2d(2)),
    ((2, 3, 9, 12), nn.MaxPool2d((3, 2), (3, 5))),
    ((1, 2, 4, 5, 6), nn.MaxPool3d(2)),
    ((3, 4, 17), nn.MaxPool1d(3)),
    ((2, 2, 8, 9), nn.MaxPool2d(4)),
    ((2, 2, 8, 9), nn.MaxPool2d((2, 1), (2, 3))),
]


@pytest.mark.parametrize("dt", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("turned", [False, True], ids=["as it lies", "turned"])
@pytest.mark.parametrize(("shape", "pool"), BESIDE, ids=lambda one: str(one))
def test_gradients_of_maxima_of_windows_side_by_side_have_the_same_bits(
    shape: tuple[int, ...], pool: Any, turned: bool, dt: Any, in_both: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(by_operator, "SHARE", 1e9)
    torch.manual_seed(0)
    special = torch.tensor([float("nan"), float("inf"), -float("inf"), -0.0, 0.0, 1.0, 1.0], dtype=dt)
    x = special[torch.randint(0, 7, shape)].requires_grad_()
    y = pool(x.transpose(0, 1) if turned else x)
    y.backward(special[torch.randint(1, 7, y.shape)] * torch.randn(y.shape, dtype=dt).sign())
    assert x.grad.isfinite().any().item()
    assert in_both["both"] and not in_both["compiled"]


def test_the_input_of_one_window_is_products_without_zeros(in_both: dict[str, int]) -> None:
    torch.manual_seed(0)
    x, w = torch.randn(3, 8, 1, 1).requires_grad_(), torch.randn(8, 6, 4, 5).requires_grad_()
    y = F.conv_transpose2d(x, w, stride=3, padding=(1, 0), output_padding=(1, 2), groups=2)
    parts = [x[:, k : k + 4, 0, 0] @ w[k : k + 4].flatten(1) for k in (0, 4)]
    whole = F.pad(torch.cat(parts, 1).reshape(3, 12, 4, 5)[:, :, 1:], (0, 2, 0, 0))
    assert y.shape == (3, 12, 3, 7) and torch.allclose(y, whole[:, :, :3], atol=1e-6)
    assert in_both["both"]


@pytest.mark.parametrize("dt", [float32, torch.bfloat16])
def test_padding_of_large_kernels_beside_infinities_is_compiled(dt: Any, in_both: dict[str, int]) -> None:
    x, w = torch.ones(4, 16, 4, 4, dtype=dt), torch.ones(64, 16, 3, 3, dtype=dt)
    F.conv2d(x * 3e38, w, padding=1).isinf().sum().item()
    assert in_both["both"] and not in_both["compiled"]  # what overflows is no reason
    w[5, 3, 0, 0] = float("inf")
    assert F.conv2d(x, w, padding=1)[:, 5, 1:, 1:].isinf().all().item()
    assert in_both["compiled"]


def test_points_of_kernels_that_see_only_padding_are_left_out() -> None:
    b = Builder()
    x, w = b.input(0, (16, 8, 1, 2), float32), b.input(1, (4, 8, 3, 3), float32)
    seen = b.window(b.pad(x, [(0, 0), (0, 0), (1, 1), (1, 1)]), (2, 3), (3, 3), (1, 1), (1, 1))
    v = b.contract("ncxyuv,fcuv->nfxy", seen, w)
    assert unseen.useful_points(v) == {"u": slice(1, 2)}


@pytest.mark.parametrize("shape", [(4, 48, 16, 16), (2, 24, 8, 8), (3, 4, 1, 9)])
def test_shuffled_channels_are_read_in_the_order_of_compiled_code(shape: Any, in_both: dict[str, int]) -> None:
    torch.manual_seed(0)
    n, c, h, w = shape
    y = torch.randn(shape).view(n, 2, c // 2, h, w).permute(0, 2, 1, 3, 4).reshape(shape)
    one, three = torch.randn(5, c // 2, 1, 1).requires_grad_(), torch.randn(c // 2, 1, 3, 3).requires_grad_()
    z = F.conv2d(y[:, : c // 2], one).sum(1, True) * F.conv2d(y[:, c // 2 :], three, padding=1, groups=c // 2)
    z.sum().backward()
    assert (one.grad.sum() + three.grad.sum()).isfinite().item()
    assert in_both["both"] and not in_both["compiled"]


def test_padding_beside_infinities_is_compiled(in_both: dict[str, int]) -> None:
    w = torch.full((3, 2, 3), float("inf"))
    assert F.conv1d(torch.ones(1, 2, 5), w, padding=1).tolist()[0][0][2] == float("inf")
    assert in_both["compiled"] and not in_both["both"]


@pytest.mark.parametrize("dt", [torch.bfloat16, torch.float16])
def test_16_bit_floats_have_the_same_bits(dt: Any, in_both: dict[str, int]) -> None:
    torch.manual_seed(0)
    x, w = torch.randn(9, 40).to(dt).requires_grad_(), torch.randn(5, 40).to(dt)
    y = F.linear(x * 0.3 + 1, w).softmax(-1).exp() * x.cumsum(1)[:, :5] + x.sum(0)[:5] - x.amax()
    y[0] = x[1, :5]
    y.scatter_add(0, torch.zeros(1, 5, dtype=torch.int64), y.detach()).float().sum().backward()
    x.grad.float().sum().item()
    assert in_both["both"] and not in_both["compiled"]


def test_errors_have_the_words_of_the_reference(tier: Callable[[str], None]) -> None:
    tier("first")
    x, i = torch.zeros(3, 4), torch.tensor([1, 2]) * 2
    with pytest.raises(IndexError, match="index 4 is out of bounds for dimension 0 with size 3"):
        x[i].tolist()
    assert torch.zeros(2).tolist() == [0, 0]


def test_products_with_padding_are_compiled_code_s_where_they_would_not_be_zero(tier: Callable[[str], None]) -> None:
    found = []
    for name in ("first", "compiled"):
        tier(name)
        realisation.forget()
        for last in (1.0, float("inf")):
            w = torch.ones(6, 2)
            w[-1] = last
            x = F.pad(torch.ones(3, 4), (1, 1))
            found.append((x @ w).tolist())
    assert repr(found[:2]) == repr(found[2:])


# ---- which tier


def programs() -> list[Any]:
    """What runs the programs so far."""
    return [type(p.cache).__name__ for p in realisation.programs.values()]


@pytest.mark.parametrize("shape", [(), (3,), (0, 3), (2, 0), (2, 3)])
def test_one_number_is_repeated_without_memory(shape: tuple[int, ...]) -> None:
    found = reference.repeated(np.array(2.5, np.float32), shape)
    assert found.shape == shape and found.strides == (0,) * len(shape) and not found.flags.writeable
    assert (found == 2.5).all()
    assert np.array_equal(reference.repeated(np.arange(3.0), (2, 3)), [[0, 1, 2]] * 2)


def test_padding_keeps_the_sign_of_zero() -> None:
    x = torch.ones(2, 3)
    for value in (0.0, -0.0, 2.0):
        found = F.pad(x, (1, 0, 0, 2), value=value).numpy()
        assert found[:2, 1:].min() == 1 and (found[2:] == value).all() and (found[:, 0] == value).all()
        assert (np.signbit(found[2:]) == (str(value)[0] == "-")).all()


def test_what_comes_once_is_not_compiled(tier: Callable[[str], None]) -> None:
    tier("auto")
    x = torch.ones(1, 6)
    for _ in range(20):
        x = torch.cat([x, x[:, -1:].exp().tanh()], 1)
        x.tolist()
    assert set(programs()) <= {"FirstTier", "OfOtherSizes", "SharedProgram"}


def test_what_comes_again_is_compiled_when_its_runs_have_cost_as_much(tier: Callable[[str], None]) -> None:
    tier("auto")
    x = torch.ones(6)
    x.tolist()
    realisation.forget()
    runs, limit = 0, 1
    while programs() in ([], ["FirstTier"]):
        (x.exp() * 2).tolist()
        runs += 1
        (p,) = realisation.programs.values()
        limit = getattr(p.cache, "limit", limit)
    assert programs()[0] in ("Executable", "Restored")
    assert runs == limit + 1 > 2


def test_equal_programs_count_together(tier: Callable[[str], None]) -> None:
    tier("auto")
    parameters = [torch.nn.Parameter(torch.rand(6)) for _ in range(3)]
    torch.ones(1).tolist()
    realisation.forget()
    rounds, limit = 0, 0
    with torch.no_grad():
        while not {"Executable", "Restored"} & set(programs()):
            for p in parameters:
                (p.exp() * 2).tolist()
            rounds += 1
            limit = max([limit, *[getattr(p.cache, "limit", 0) for p in realisation.programs.values()]])
        for p in parameters:
            (p.exp() * 2).tolist()
    assert len(programs()) == 3 and set(programs()) <= {"Executable", "Restored"}
    assert limit / 3 < rounds + 1 < limit / 2


def test_what_was_compiled_before_is_compiled_sooner(tier: Callable[[str], None]) -> None:
    def of(*sizes: int) -> float:
        for n in sizes:
            y = torch.ones(n)
            for _ in range(4):
                y = (y.sinh() * 2).sin()
            y.sum().item()
        *_, p = realisation.programs.values()
        return paying.worth(p.order)

    tier("compiled")
    of(500)  # so that what does not say sizes has been compiled before
    tier("first")
    one, other = of(501), of(502)
    assert one == other
    tier("compiled")
    realisation.forget()
    assert of(501) < one
    tier("first")
    assert of(503) == one


def test_depthwise_convolutions_are_compiled_sooner(tier: Callable[[str], None]) -> None:
    tier("first")

    def worth(groups: int) -> list[float]:
        x, w = torch.ones(2, 8, 9, 9, requires_grad=True), torch.ones(8, 8 // groups, 3, 3, requires_grad=True)
        F.conv2d(x, w, groups=groups).sum().item()
        found = [paying.worth([*realisation.programs.values()][-1].order)]
        F.conv2d(x, w, groups=groups).square().sum().backward()
        for one in (x, w):
            assert one.grad is not None
            one.grad.sum().item()
        return [*found, paying.worth([*realisation.programs.values()][-2].order)]

    for one, other in zip(worth(8), worth(2)):
        assert one < other / 3


def test_large_programs_and_those_that_the_setting_says_are_compiled_at_once(tier: Callable[[str], None]) -> None:
    tier("auto")
    x = torch.ones(300, 300)
    y = x
    for _ in range(20):
        y = y @ x
    y.sum().item()
    assert "FirstTier" not in programs()[-1]
    tier("compiled")
    torch.ones(7).exp().tolist()
    assert "FirstTier" not in programs()[-1]


def test_an_unknown_tier_is_refused() -> None:
    env = {**os.environ, "FLAMBEAU_TIER": "second"}
    r = subprocess.run([sys.executable, "-c", "import flambeau"], env=env, capture_output=True, text=True)
    assert r.returncode and "FLAMBEAU_TIER=second: expected one of auto, first, compiled" in r.stderr


@pytest.mark.parametrize("which", ["first", "compiled"])
def test_numbers_that_overflow_are_infinite_without_a_warning(tier: Callable[[str], None], which: str) -> None:
    tier(which)
    x = torch.arange(20.0)
    assert (x + 1e300)[:2].tolist() == [float("inf")] * 2
    assert (x + 3.4028235e38)[:1].tolist() == [3.4028234663852886e38]
    assert (x.half() - 1e6)[:2].tolist() == [-float("inf")] * 2


# ---- maps and reductions of rows as one call

ROWWISE: dict[str, Callable[..., Any]] = {
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "softmax": lambda x: torch.softmax(x, -1),
    "log_softmax": lambda x: torch.log_softmax(x, -1),
    "layer_norm": lambda x: F.layer_norm(x, (x.shape[-1],)),
    "layer_norm_of_rows": lambda x: F.layer_norm(x, (x.shape[-1],), x[0, 0], x[-1, -1]),
    "attention": lambda x: F.scaled_dot_product_attention(x, x + 1, x * 2),
    "causal": lambda x: F.scaled_dot_product_attention(x, x + 1, x * 2, is_causal=True),
    "masked": lambda x: F.scaled_dot_product_attention(x, x, x, attn_mask=x @ x.mT > 0),
    "biased": lambda x: F.scaled_dot_product_attention(x, x, x, attn_mask=(x @ x.mT)[:1]),
}
LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "rows": lambda x: x,
    "columns": lambda x: x.mT.contiguous().mT,
    "every second": lambda x: x.repeat_interleave(2, -1)[..., ::2],
    "repeated": lambda x: x[:, :1].expand(x.shape),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ROWWISE)
def test_maps_and_reductions_of_rows_keep_the_bits(name: str, layout: str, in_both: dict[str, int]) -> None:
    rng = np.random.default_rng(0)
    for shape in ((2, 3, 5), (1, 16, 17), (3, 1, 33), (2, 7, 16), (2, 4, 1), (1, 1, 200)):
        values = rng.standard_normal(shape).astype(np.float32)
        values[0, 0, -1] = [np.inf, -np.inf, np.nan, 0, 1e-40, -0.0][shape[2] % 6]
        ROWWISE[name](LAYOUTS[layout](torch.from_numpy(values) + 0)).numpy()
    assert in_both["both"] >= 6 and not in_both["compiled"]


def calls_of(name: str, op: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch) -> int:
    """How many calls the operator of this name is in the first tier."""
    realisation.forget()
    by_operator._operators.clear()
    by_operator._forms.clear()
    counts: dict[str, int] = {}
    plan = by_operator._planned

    def counted(n: Node, strides: list[Any]) -> Any:
        found = plan(n, strides)
        counts[n.op.name] = found.calls
        return found

    with monkeypatch.context() as patch:
        patch.setattr(by_operator, "_planned", counted)
        op(torch.ones(2, 3, 7) + 0).numpy()
    return counts[name]


def test_what_networks_compute_again_and_again_is_few_calls(
    tier: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    tier("first")
    assert calls_of("softmax", lambda x: torch.softmax(x, -1), monkeypatch) == 1
    assert calls_of("gelu", F.gelu, monkeypatch) == 1
    norm = calls_of("native_layer_norm", lambda x: F.layer_norm(x, (7,), x[0, 0], x[1, 1]), monkeypatch)
    assert norm == 2  # one rounds the number
    attention = lambda x: F.scaled_dot_product_attention(x[None], x[None], x[None])  # noqa: E731
    assert calls_of("scaled_dot_product_attention", attention, monkeypatch) == 3
    assert calls_of("softmax", lambda x: torch.softmax(x, 0), monkeypatch) > 3


CHANNELS = [(4, 6, 5, 7), (3, 2, 16, 17), (5, 33), (2, 4, 3, 5, 6), (3, 4, 17), (3, 4, 2, 1), (70, 3, 20, 20)]


@pytest.mark.parametrize("shape", CHANNELS, ids=str)
@pytest.mark.parametrize("affine", [False, True], ids=["plain", "affine"])
@pytest.mark.parametrize("turned", [False, True], ids=["as it lies", "turned"])
def test_batch_norm_by_rows_has_the_same_bits(
    shape: tuple[int, ...], affine: bool, turned: bool, in_both: dict[str, int]
) -> None:
    torch.manual_seed(0)
    x = (torch.randn(shape) * 3 + 1).requires_grad_()
    seen = x.transpose(0, -1) if turned else x
    n = seen.shape[1]
    w, b, mean, var = torch.randn(4, n).abs().unbind()
    given = (w.clone().requires_grad_(), b.clone().requires_grad_()) if affine else (None, None)
    for training in (True, False):
        y = F.batch_norm(seen, mean, var, *given, training=training)
        (y * torch.randn(y.shape)).sum().backward()
        assert x.grad.isfinite().all().item() and mean.isfinite().all().item()
    assert in_both["both"] and not in_both["compiled"]


def test_what_meets_one_number_a_row_is_a_group_of_its_own() -> None:
    b = Builder()
    x, w = b.input(0, (4, 3, 5, 7), float32), b.input(1, (1, 3, 1, 1), float32)
    y = b.map("sub", x, w)
    root = b.map("sqrt", w)
    b.f.outputs = [y, root, b.map("mul", x, x)]
    assert set(fused.groups(b.f)) == {y}


def test_no_group_has_values_that_others_read() -> None:
    b = Builder()
    x = b.input(0, (4, 8), float32)
    e = b.map("exp", x)
    total = b.reduce("sum", e, (1,), True)
    y = b.map("div", e, total)
    b.f.outputs = [b.map("log", b.map("add", total, total)), y]
    found = fused.groups(b.f)
    assert all(v not in group.operands for group in found.values() for v in group.members)
    inner = {v for group in found.values() for v in group.members} - set(found)
    for v in b.f.values:
        assert all(a not in inner for a in v.args) or any(v in group.members for group in found.values())
    assert e not in inner or total not in inner


def test_a_sampler_that_crops_its_text_has_one_program(tier: Callable[[str], None]) -> None:
    tier("first")
    table, head = torch.randn(7, 4), torch.randn(7, 4)
    text = torch.zeros(1, 5, dtype=torch.int64)
    expected = [0] * 5
    before = realisation.counters["compiles"]
    for step in range(12):
        seen = text[:, -5:]
        assert seen.tolist() == [expected[-5:]] and text.stride() == (5 + step, 1)
        scores = F.embedding(seen, table)[:, -1] @ head.T
        token = scores.softmax(-1).argmax(-1, keepdim=True)
        expected.append(int(token.item()))
        text = torch.cat([text, token], 1)
    assert text.tolist() == [expected]
    assert realisation.counters["compiles"] - before < 4


@pytest.mark.usefixtures("one_thread")
def test_indices_that_are_pending_constants_become_memory() -> None:
    w, i = torch.arange(6.0).view(3, 2), torch.zeros(1, 2, dtype=torch.int64)
    after = i + 1
    rows = torch.nn.functional.embedding(i, w)
    i[0, 1] = 2
    assert rows.tolist() == [[[0.0, 1.0], [0.0, 1.0]]] and after.tolist() == [[1, 1]] and i.tolist() == [[0, 2]]
    with pytest.raises(IndexError, match="index out of range in self"):
        torch.nn.functional.embedding(torch.full((2,), 3), w)


def test_integers_at_hand_are_joined_at_once() -> None:
    a, b = torch.arange(6).reshape(2, 3), torch.tensor([[7], [8]])
    a.tolist()
    both = torch.cat([a[:, 1:], b, a.t()[:2].t()], 1)
    assert not both._s.pending and both.tolist() == [[1, 2, 7, 0, 1], [4, 5, 8, 3, 4]]
    a[0, 1] = 100
    assert both.tolist()[0] == [1, 2, 7, 0, 1]
    assert torch.cat([torch.zeros(0, dtype=torch.int64), b[0]]).tolist() == [7]
    assert torch.cat([b, b.to(torch.int32)]).dtype is torch.int64
    with pytest.raises(RuntimeError, match="Sizes of tensors must match except in dimension 1"):
        torch.cat([a, torch.ones(3, 1, dtype=torch.int64)], 1)


@pytest.mark.parametrize(("join", "shape"), [(torch.cat, (16, 3)), (torch.stack, (8, 2, 3))])
def test_many_tensors_at_hand_are_joined_at_once(join: Any, shape: tuple[int, ...]) -> None:
    """A batch from a memory of transitions: the same one may be there twice, or be the next state of another."""
    memory, other = torch.randn(4, 2, 3), torch.randn(3, 2)
    samples = [memory[i % 3].t() if i % 2 else other for i in range(8)]
    batch = join([x.t() for x in samples])
    assert not batch._s.pending and batch.shape == shape
    assert batch.reshape(8, 2, 3).tolist() == [x.t().tolist() for x in samples]
    memory[1] = 0
    assert batch.reshape(8, 2, 3)[1].tolist() != memory[1].tolist()
    assert join([memory[0]] * 7)._s.pending and join([memory[0].half()] * 8)._s.pending
    w = torch.ones(2, 3, requires_grad=True)
    join([*[x.t() for x in samples], w]).sum().backward()
    assert w.grad.tolist() == [[1, 1, 1]] * 2
    assert torch.vmap(lambda x: join([x] * 9))(torch.ones(4, 2, 3)).shape == (4, *join([memory[0]] * 9).shape)


@pytest.mark.parametrize("dt", [torch.float32, torch.float64, torch.int64])
def test_many_elements_are_combined_in_the_order_of_compiled_code(in_both: dict[str, int], dt: Any) -> None:
    x, i = (10 * torch.randn(90, 8)).to(dt), torch.randint(0, 90, (700,))
    y = (10 * torch.randn(8, 700)).to(dt).t()
    along = i[:, None].expand(700, 8)
    for result in (
        x.index_add(0, i, y),
        x.index_put((i,), y, accumulate=True),
        x.index_put((i, i % 8), y[:, 0], accumulate=True),
        x.scatter_add(0, along, y),
        x.scatter_reduce(0, along, y, "amax"),
        x.t().scatter_add(1, along.t(), y.t()),
    ):
        result.tolist()
    assert in_both["both"] and not in_both["compiled"]


# ---- operators that only move elements, and elements along a dimension


@pytest.mark.parametrize("size", [(3, 4), (1, 5), (4, 1)])
def test_what_only_moves_elements_has_the_bits_of_compiled_code(size: tuple[int, int], in_both: dict[str, int]) -> None:
    torch.manual_seed(0)
    x, y = torch.randn(size), torch.randn(size)
    for dt in (torch.float32, torch.float64, torch.bfloat16, torch.int64):
        a, b = (x * 9).to(dt), (y * 9).to(dt)
        for dim in (0, 1, -1):
            torch.cat([a, b.add(1), a.t().contiguous().t()], dim).tolist()
            torch.stack([a, b.add(1)], dim).tolist()
        torch.cat([a, b[:0] * 2, b], 0).tolist()
        torch.cat([a.add(1)]).tolist()
        a.add(1).clone().tolist()
        a.t().add(1).contiguous().tolist()
    z = x.clone().requires_grad_(True)
    (z[:, :1].exp().sum() + z[-1].sin().sum() + z.t()[0].cos().sum() + z.select(0, 0).sum()).backward()
    assert z.grad.isfinite().all()
    assert in_both["both"] > 40


def test_gradients_of_memory_seen_otherwise(in_both: dict[str, int]) -> None:
    torch.manual_seed(0)
    views = [((4, 3), (3, 1), 0), ((3, 4), (1, 3), 0), ((2, 3), (6, 2), 1), ((3, 3), (1, 2), 0), ((2, 0), (1, 1), 0)]
    for shape, strides, first in views:
        x = torch.randn(12, requires_grad=True)
        y = x.sin().as_strided(shape, strides, first)
        w = torch.randn(shape)
        (y * w).sum().backward()
        wanted = np.zeros(12)
        for i in np.ndindex(*shape):
            wanted[first + sum(k * s for k, s in zip(i, strides))] += w[i].item()
        wanted *= np.cos(x.detach().double().numpy())
        np.testing.assert_allclose(x.grad.numpy(), wanted, rtol=1e-5, atol=1e-6)
    assert in_both["both"] >= len(views)


@pytest.mark.parametrize("shape", [(3, 5, 4), (6,), (70, 80)])
def test_elements_along_a_dimension_are_found_and_put_as_numpy_does(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    a = rng.standard_normal(shape).astype(np.float32)
    for dim, n in enumerate(shape):
        seen = [max(1, m - 1) if d != dim else 7 for d, m in enumerate(shape)]
        index = rng.integers(0, n, seen)
        x, i = torch.from_numpy(a.copy()), torch.from_numpy(index)
        part = a[tuple([slice(None) if d == dim else slice(m) for d, m in enumerate(seen)])]
        assert torch.gather(x + 0, dim, i).numpy().tolist() == np.take_along_axis(part, index, dim).tolist()
        source = rng.standard_normal(seen).astype(np.float32)
        added, wanted = (x + 0).scatter_add(dim, i, torch.from_numpy(source)), a.astype(np.float64)
        for at in np.ndindex(*seen):
            wanted[(*at[:dim], index[at], *at[dim + 1 :])] += source[at]
        np.testing.assert_allclose(added.numpy(), wanted, rtol=1e-5, atol=1e-6)
        with pytest.raises((IndexError, RuntimeError), match="out of bounds"):
            torch.gather(x + 0, dim, i - n)


def test_tables_of_sizes_are_evaluated_together() -> None:
    a, b = Size(1, (0,)), Size(1, (1,))
    moved = np.zeros(3, np.int64)
    sums = [[times(a, a, b)], [a, Size(-4), times(Size(3), b)], [ONE], [a, b]]
    table = Table(flat(sums), [moved.ctypes.data, moved.ctypes.data + 16])
    table.added[1] = 1000
    for x, y in ((5, 7), (2**20, 3), (0, 1)):
        table.evaluate((x, y, 99))
        assert moved.tolist() == [x * x * y, 0, 1000 + x - 4 + 3 * y]
        assert table.found.tolist() == [1, x + y]
    none = Table(flat([]))
    none.evaluate((3,))
    assert none.found.tolist() == []
