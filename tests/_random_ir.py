"""Random functions in the IR, made together with their values, so that each step knows what it works on.

``Maker(seed)`` puts down one primitive (or a convolution, a pooling, a product) after the other over operands that are
inputs in odd layouts, constants, counters, views of views, and the same value twice. Each value is computed by the
reference executor as it is made: a step whose result would be too large is left out, and ``bounds`` has for each value
how far a correct result may be from the reference's: 0 where every order of adding is exact.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from _compiled import memory

from flambeau import dtypes as dt
from flambeau.compiler import numpy as reference
from flambeau.compiler.builder import Builder
from flambeau.compiler.ir import Function, Value
from flambeau.ops._convolution_lowering import Geometry, lower_forward, lower_input, lower_weight

SIZES = [1, 1, 2, 2, 3, 3, 4, 5, 7, 8, 12, 15, 16, 16, 17, 20, 31, 32, 33, 48, 64, 65, 127, 128, 129, 130]
DTYPES = [dt.float32] * 8 + [dt.float64, dt.float64, dt.float16, dt.bfloat16, dt.int64, dt.int32, dt.uint8, dt.int8,
          dt.bool_]  # fmt: skip
MOST = 1 << 14  # elements of a value
WORK = 1 << 20  # products of a contraction
DIGITS = {dt.float16: 11, dt.bfloat16: 8, dt.float32: 24, dt.float64: 53}
MAPS = {
    "f": ["add", "sub", "mul", "maximum", "minimum", "fmax", "fmin", "div"],
    "i": ["add", "sub", "mul", "maximum", "minimum", "floor_divide", "remainder", "trunc_divide", "bitwise_xor"],
    "u": ["add", "sub", "mul", "maximum", "minimum", "bitwise_and"],
    "b": ["add", "mul", "maximum", "logical_and", "logical_xor", "bitwise_or"],
}
UNARY = {
    "f": ["neg", "abs", "sign", "floor", "rint", "relu", "sqrt", "exp", "tanh", "half", "clip", "clip", "plus"],
    "i": ["neg", "abs", "sign", "clip", "plus"],
    "u": ["neg", "bitwise_not", "clip", "plus"],
    "b": ["logical_not"],
}
EXACT_MAPS = frozenset(["neg", "abs", "sign", "floor", "rint", "maximum", "minimum", "fmax", "fmin", "where", "copy"])
ORDER_FREE = frozenset(["max", "min", "any", "all", "argmax", "argmin"])


class Skip(Exception):
    """The step does not fit what there is."""


class Maker:
    """A function in the making.

    Attributes:
        f: the function; its outputs are set by ``finish``.
        inputs: flat memory of its inputs.
        arrays: what each value is, by the reference executor.
        bounds: how far a value may be from that; inf: not comparable.
    """

    def __init__(self, seed: int, steps: tuple[int, int] = (3, 12)) -> None:
        self.rng = random.Random(seed)
        self.b = Builder()
        self.f: Function = self.b.f
        self.dtype = self.rng.choice(DTYPES)
        self.inputs: list[np.ndarray] = []
        self.arrays: list[np.ndarray] = []
        self.bounds: list[float] = []
        self.special = self.dtype.kind == "f" and self.rng.random() < 0.1
        self.batch = self.rng.choice([0, 0, 0, 12, 16, 17, 33, 48])
        self.pool: list[Value] = [self.operand(self.shape())]
        for _ in range(self.rng.randint(*steps)):
            self.step()
        self.finish()

    # ---- random choices

    def one(self, options: Any) -> Any:
        """One of these."""
        return self.rng.choice(list(options))

    def chance(self, p: float) -> bool:
        """True so often."""
        return self.rng.random() < p

    def shape(self, least: int = 0, most: int = 4, size: int = 4096) -> tuple[int, ...]:
        """A random shape of not too many elements, led by the batch if there is one."""
        out: list[int] = [self.batch] if self.batch and self.chance(0.7) else []
        for _ in range(max(least, self.one([0, 1, 2, 2, 3, 3, 4])) - len(out)):
            n = 0 if self.chance(0.01) else self.one(SIZES)
            if prod(out) * n <= size:
                out.append(n)
        out += [1] * (least - len(out))
        return tuple(out[:most])

    # ---- values

    def settle(self) -> None:
        """Computes what has been put down since the last time.

        Raises:
            Skip: something is too large; it is taken back.
        """
        begin = len(self.arrays)
        try:
            with np.errstate(all="ignore"):
                for v in self.f.values[begin:]:
                    self.arrays.append(self.value(v))
                    self.bounds.append(self.bound(v))
        except Skip:
            for kept in (self.f.values, self.arrays, self.bounds):
                del kept[begin:]
            raise

    def value(self, v: Value) -> np.ndarray:
        """The array by the reference executor."""
        if prod(v.shape) > MOST:
            raise Skip
        if v.kind == "input":
            return reference._input(v, self.inputs)
        args = reference._arguments(v, self.arrays)
        if v.kind == "update":
            return reference._update(v, *args, False)
        return np.asarray(reference._KINDS[v.kind](v, *args), v.dtype.compute).reshape(v.shape)

    def bound(self, v: Value) -> float:
        """How far a correct result may be from the array."""
        if v.dtype.kind != "f":
            given = [self.bounds[a.index] for a in v.args]
            if any(given):
                raise Skip  # a decision about something inexact
            return 0.0
        a = np.asarray(self.arrays[v.index], np.float64)
        largest = float(np.max(np.abs(a[np.isfinite(a)]), initial=0.0))
        if largest > 1e4 or (v.kind == "const" and v.name == "iota" and largest > 2 ** DIGITS[v.dtype]):
            raise Skip
        return _Bound(self, v, largest).of()

    def exact_sum(self, v: Value, total: float) -> bool:
        """Is a sum of such integers exact in every order?"""
        return total <= 2 ** DIGITS[v.dtype if v.dtype in (dt.float32, dt.float64) else dt.float32]

    def integers(self, v: Value) -> bool:
        """Does the value hold integers, as far as they are finite?"""
        a = np.asarray(self.arrays[v.index], np.float64)
        a = a[np.isfinite(a)]
        return bool((a == np.rint(a)).all())

    # ---- operands

    def operand(self, shape: tuple[int, ...], dtype: Any = None) -> Value:
        """A new value of this shape: mostly an input; or a constant, a counter, or a view of either."""
        dtype = dtype or self.dtype
        kind = self.one(["input"] * 5 + ["const", "const", "iota", "padded const", "padded"])
        v = self.make(kind, shape, dtype)
        self.settle()
        return v

    def make(self, kind: str, shape: tuple[int, ...], dtype: Any) -> Value:
        """An operand of some kind."""
        if kind == "iota" and prod(shape) and dtype.kind != "b":
            line = self.b.iota(shape[-1] if shape else 1, dtype)
            return self.b.expand(line if shape else self.b.reshape(line, ()), shape)
        if kind.startswith("padded") and shape and min(shape) > 1:
            inner, pads = self.inside(shape)
            a = self.constant(inner, dtype) if kind == "padded const" else self.input(inner, dtype)
            return self.b.pad(a, pads, self.one([0, 0, 0, 1]))
        return self.constant(shape, dtype) if "const" in kind else self.input(shape, dtype)

    def inside(self, shape: tuple[int, ...]) -> tuple[tuple[int, ...], list[tuple[int, int]]]:
        """What gives ``shape`` when it is padded, and by how much."""
        pads = [self.one([(0, 0), (0, 0), (1, 0), (0, 1), (-1, 0), (1, -2)]) for _ in shape]
        return tuple([n - lo - hi for n, (lo, hi) in zip(shape, pads)]), pads

    def constant(self, shape: tuple[int, ...], dtype: Any) -> Value:
        """The same number everywhere."""
        number = self.one([0, 1, 1, 2, 3]) if dtype.kind in "ub" else self.one([0, 1, 1, -1, 2, 3])
        return self.b.const(bool(number) if dtype.kind == "b" else number, dtype, shape)

    def input(self, shape: tuple[int, ...], dtype: Any, numbers: Any = None) -> Value:
        """An input in a random layout: row-major, permuted, with gaps, or the same along a dimension."""
        order = list(range(len(shape)))
        if self.chance(0.4):
            self.rng.shuffle(order)
        step, offset = self.one([1, 1, 1, 2]), self.one([0, 0, 3])
        strides = [0] * len(shape)
        for d in reversed(order):
            strides[d], step = step, step * max(1, shape[d])
        if shape and numbers is None and self.chance(0.1):
            strides[self.one(range(len(shape)))] = 0
        size = offset + sum(max(0, n - 1) * s for n, s in zip(shape, strides)) + 1
        flat = self.numbers(size, dtype)
        if numbers is not None and 0 not in shape:
            reference.strided(flat, shape, tuple(strides), offset)[...] = numbers
        self.inputs.append(memory(flat, dtype))
        return self.b.input(len(self.inputs) - 1, shape, dtype, (tuple(strides), offset))

    def numbers(self, size: int, dtype: Any) -> np.ndarray:
        """Small integers; sometimes with infinities, NaN and negative zeros among them."""
        low = 0 if dtype.kind in "ub" else -3
        a = np.random.default_rng(self.rng.randrange(1 << 30)).integers(low, 4, size).astype(np.float64)
        if self.special and dtype.kind == "f" and self.chance(0.5):
            a[self.rng.randrange(size) :: max(1, size // 3)] = self.one([np.nan, np.inf, -np.inf, -0.0])
        return a

    def indices(self, shape: tuple[int, ...], n: int) -> Value:
        """Indices below ``n``: an input, a constant, a counter that is computed, or an argmax."""
        kind = self.one(["input", "input", "const", "counter", "argmax"])
        if kind == "const":
            return self.b.const(self.rng.randrange(n), dt.int64, shape)
        if kind == "counter" and shape and shape[-1] <= n:
            line = self.b.iota(shape[-1])
            if self.chance(0.5):
                line = self.b.map("sub", self.b.const(n - 1, dt.int64), line)
            return self.b.expand(line, shape)
        if kind == "argmax" and prod(shape) * n <= 4096:
            return self.b.reduce("argmax", self.input((*shape, n), dt.int32), (len(shape),))
        if not prod(shape):
            return self.input(shape, dt.int64)
        numbers = np.random.default_rng(self.rng.randrange(1 << 30)).integers(0, n, shape)
        return self.input(shape, dt.int64, numbers)

    # ---- steps

    def step(self) -> None:
        """One more value, or several."""
        for _ in range(20):
            try:
                v = self.one(self.pool[-4:] if self.chance(0.6) else self.pool)
                name = self.one(STEPS)
                made = getattr(self, "do_" + name)(v)
                self.settle()
            except Skip:
                del self.f.values[len(self.arrays) :]
                del self.inputs[1 + max([v.params[0] for v in self.f.values if v.kind == "input"], default=-1) :]
                continue
            self.pool += [x for x in (made if isinstance(made, list) else [made]) if x not in self.pool]
            return

    def need(self, condition: Any) -> None:
        """Goes on only if this holds.

        Raises:
            Skip: it does not.
        """
        if not condition:
            raise Skip

    def partner(self, v: Value) -> Value:
        """Another value of the same shape and dtype: one that there is, itself, or a new one that is broadcast."""
        same = [w for w in self.pool if w.shape == v.shape and w.dtype is v.dtype]
        if same and self.chance(0.6):
            return self.one(same)
        return self.operand(tuple([1 if self.chance(0.3) else n for n in v.shape])[self.one([0, 0, 1]) :], v.dtype)

    def do_binary(self, v: Value) -> Value:
        name = self.one(MAPS[v.dtype.kind])
        w = self.partner(v)
        a, b = (v, w) if self.chance(0.6) else (w, v)
        if name == "div":
            b = self.b.map("add", self.b.map("abs", b), self.b.const(self.one([1, 2]), b.dtype))
        if name in ("floor_divide", "remainder", "trunc_divide"):
            b = self.b.where(self.b.map("eq", b, self.b.const(0, b.dtype)), self.b.const(3, b.dtype), b)
        return self.b.map(name, a, b)

    def do_unary(self, v: Value) -> Value:
        name = self.one(UNARY[v.dtype.kind])
        const = lambda x: self.b.const(x, v.dtype)  # noqa: E731
        if name == "sqrt":
            return self.b.map("sqrt", self.b.map("abs", v))
        if name == "exp":
            return self.b.map("exp", self.b.map("minimum", v, const(1)))
        if name in ("clip", "relu"):
            top = self.b.map("minimum", v, const(3)) if name == "clip" else v
            return self.b.map("maximum", top, const(0 if v.dtype.kind == "u" or name == "relu" else -2))
        if name == "half":
            return self.b.map("mul", v, const(0.5))
        return self.b.map("add", v, const(1)) if name == "plus" else self.b.map(name, v)

    def do_choose(self, v: Value) -> Value:
        w = self.partner(v)
        if self.chance(0.3) and v.ndim and v.dtype.kind != "b":
            line = self.b.iota(v.shape[-1], v.dtype)
            self.need(v.shape[-1] <= 100)
            cond = self.b.map(self.one(["lt", "eq"]), line, self.b.const(self.one([0, 1, 5]), v.dtype))
        else:
            cond = self.b.map(self.one(["lt", "ge", "eq", "ne"]), v, w)
        return self.b.where(cond, w, v)

    def do_cast(self, v: Value) -> Value:
        to = self.one([dt.float32, dt.float64, dt.float16, dt.bfloat16, dt.int64, dt.int32, dt.uint8, dt.bool_])
        back = self.b.cast(self.b.cast(v, to), v.dtype)
        return back if self.chance(0.7) else self.b.cast(v, to)

    def some(self, v: Value, p: float = 0.5) -> list[int]:
        """Some dimensions."""
        return [d for d in range(v.ndim) if self.chance(p)]

    def do_reduce(self, v: Value) -> Value:
        ops = ["max", "min", "any", "all"] if v.dtype is dt.bool_ else ["sum", "sum", "sum", "max", "min", "prod"]
        op = self.one(ops)
        dims = self.some(v)
        self.need(op in ("sum", "prod", "any", "all") or 0 not in [v.shape[d] for d in dims])
        return self.b.reduce(op, v, dims, keepdim=self.chance(0.5))

    def do_argument(self, v: Value) -> Value:
        self.need(v.ndim)
        d = self.one(range(v.ndim))
        self.need(v.shape[d])
        found = self.b.reduce(self.one(["argmax", "argmin"]), v, (d,), keepdim=True)
        if self.chance(0.5):
            return self.b.gather(v, found, d)
        return self.b.cast(found, v.dtype) if v.dtype.kind != "b" else found

    def do_centre(self, v: Value) -> Value:
        op = self.one(["max", "sum"])
        dims = self.some(v)
        self.need(v.dtype.kind != "b" and 0 not in v.shape)
        return self.b.map("sub", v, self.b.reduce(op, v, dims, keepdim=True))

    # ---- views

    def do_permute(self, v: Value) -> Value:
        order = list(range(v.ndim))
        self.rng.shuffle(order)
        return self.b.permute(v, order)

    def do_expand(self, v: Value) -> Value:
        new = tuple([self.one(SIZES[:12]) for _ in range(self.one([0, 1, 1, 2]))])
        return self.b.expand(v, (*new, *[self.one(SIZES[:16]) if n == 1 else n for n in v.shape]))

    def do_unsqueeze(self, v: Value) -> Value:
        return self.b.unsqueeze(v, self.rng.randint(0, v.ndim))

    def do_reshape(self, v: Value) -> Value:
        total, shape = prod(v.shape), []
        self.need(total)
        for _ in range(self.one([0, 1, 2, 3])):
            n = self.one([k for k in range(1, total + 1) if total % k == 0][:40])
            shape.append(n)
            total //= n
        return self.b.reshape(v, (*shape, total))

    def do_slice(self, v: Value) -> Value:
        self.need(v.ndim)
        d = self.one(range(v.ndim))
        n = v.shape[d]
        start = self.rng.randint(0, max(0, n - 1))
        stop = self.rng.randint(start if self.chance(0.03) else min(n, start + 1), n)
        return self.b.slice(v, d, start, n if self.chance(0.5) else stop, self.one([1, 1, 2, 3]))

    def do_select(self, v: Value) -> Value:
        self.need(v.ndim and min(v.shape))
        d = self.one(range(v.ndim))
        return self.b.select(v, d, self.rng.randrange(v.shape[d]))

    def do_flip(self, v: Value) -> Value:
        return self.b.flip(v, self.some(v))

    def do_pad(self, v: Value) -> Value:
        pads = [self.one([(0, 0), (0, 0), (1, 1), (0, 2), (3, 0), (-1, 0), (0, -1), (2, -1), (0, 13)]) for _ in v.shape]
        interior = [self.one([0, 0, 0, 0, 1, 2]) for _ in v.shape]
        sizes = [n + max(n - 1, 0) * k + lo + hi for n, (lo, hi), k in zip(v.shape, pads, interior)]
        self.need(min(sizes, default=0) >= 0 and prod(sizes) <= MOST)
        value = self.one([0, 0, 0, 1]) if v.dtype.kind != "b" else self.chance(0.5)
        return self.b.pad(v, pads, value, interior if self.chance(0.4) else None)

    def do_weave(self, v: Value) -> Value:
        """Values spread out with zeros between them, and added: what the gradients of strided windows do."""
        self.need(v.ndim and v.dtype.kind == "f" and prod(v.shape) * 4 <= MOST)
        steps = [self.one([1, 1, 2, 3]) for _ in v.shape]
        self.need(prod(steps) in range(2, 10) and 0 not in v.shape)
        total = None
        for k in range(self.one([2, 2, prod(steps)])):
            first = [k // prod(steps[d + 1 :]) % s for d, s in enumerate(steps)]
            pads = [(x, s - 1 - x) for x, s in zip(first, steps)]
            one = self.b.map("mul", v, self.b.const(k + 1, v.dtype)) if self.chance(0.7) else v
            spread = self.b.pad(one, pads, 0, [s - 1 for s in steps])
            total = spread if total is None else self.b.map("add", total, spread)
        assert total is not None
        return total

    def do_diagonal(self, v: Value) -> Value:
        self.need(v.ndim >= 2)
        one, other = self.rng.sample(range(v.ndim), 2)
        return self.b.diagonal(v, one, other, self.one([0, 0, 1, -1, 3]))

    def windows(self, v: Value) -> Value:
        """Windows over one or two dimensions."""
        dims = sorted(self.rng.sample(range(v.ndim), min(v.ndim, self.one([1, 2, 2]))))
        sizes = [self.one([1, 2, 2, 3, 5]) for _ in dims]
        steps, far = [self.one([1, 1, 2, 2, 3]) for _ in dims], [self.one([1, 1, 1, 2]) for _ in dims]
        self.need(all((v.shape[d] - e * (k - 1) - 1) >= 0 for d, k, e in zip(dims, sizes, far)))
        return self.b.window(v, dims, sizes, steps, far)

    def do_window(self, v: Value) -> Value:
        self.need(v.ndim)
        return self.windows(v)

    def do_pooling(self, v: Value) -> Value:
        self.need(v.ndim)
        w = self.windows(v)
        ops = ["max", "any"] if v.dtype is dt.bool_ else ["max", "sum", "min", "max"]
        if self.chance(0.4) and w.ndim - v.ndim:
            flat = self.b.reshape(w, (*w.shape[: v.ndim], prod(w.shape[v.ndim :])))
            self.need(v.dtype is not dt.bool_)
            found = self.b.reduce("argmax", flat, (v.ndim,))
            return self.b.cast(self.b.map("eq", found, self.b.const(self.one([0, 1, 2]), dt.int64)), v.dtype)
        return self.b.reduce(self.one(ops), w, range(v.ndim, w.ndim))

    def do_strided(self, v: Value) -> Value:
        """Memory in some order of the dimensions, read under any strides that stay within it."""
        self.need(prod(v.shape))
        order = list(range(v.ndim))
        self.rng.shuffle(order)
        layout, step = [0] * v.ndim, 1
        for d in order:
            layout[d], step = step, step * v.shape[d]
        shape, strides, offset = self.within(prod(v.shape), layout)
        return self.b.strided(v, layout, shape, strides, offset, v.dtype)

    def within(self, numel: int, layout: list[int], distinct: bool = False) -> Any:
        """A shape, strides and offset that stay within memory."""
        left, shape, strides = numel - 1, [], []
        offset = self.rng.randint(0, min(left, 5)) if self.chance(0.4) else 0
        left -= offset
        for _ in range(self.one([1, 2, 2, 3])):
            step = self.one([1, 1, 2, 3, *layout, *layout, 0])
            n = self.rng.randint(1, max(1, min(left // step + 1 if step else 5, 40)))
            shape.append(n)
            strides.append(step)
            left -= (n - 1) * step
        reach = 0
        for s, n in sorted((s, n) for s, n in zip(strides, shape) if n > 1):
            self.need(s > reach or not distinct)
            reach += (n - 1) * s
        return shape, strides, offset

    # ---- contractions

    def do_product(self, v: Value) -> Value:
        """An Einstein sum of ``v`` and another value, or itself."""
        self.need(v.ndim <= 5 and not (self.special and self.chance(0.8)))
        labels = "abcde"[: v.ndim]
        sizes = dict(zip(labels, v.shape))
        other = [c for c in labels if self.chance(0.6)]
        for c in "xy"[: self.one([0, 1, 1, 2])]:
            sizes[c] = self.one(SIZES)
            other.append(c)
        self.rng.shuffle(other)
        again = self.chance(0.15)
        second = labels if again else "".join(other)
        if again and self.chance(0.5) and v.ndim:
            second = second.replace(self.one(labels), "z")
            sizes |= dict(zip(second, v.shape))
        kept = [c for c in sizes if c in labels + second and self.chance(0.5)]
        self.rng.shuffle(kept)
        self.need(prod(sizes.values()) <= WORK)
        w = v if again else self.operand(tuple([sizes[c] for c in other]), v.dtype)
        if not again and self.chance(0.2):
            w = self.b.map("add", w, w)
        a, b, la, lb = (v, w, labels, second) if self.chance(0.5) else (w, v, second, labels)
        y = self.b.contract(f"{la},{lb}->{''.join(kept)}", a, b, name=self.one(["einsum"] * 5 + ["ordered"]))
        return self.behind(y)

    def behind(self, y: Value) -> Any:
        """With or without a bias and an activation."""
        kind = self.one(["plain", "plain", "bias", "both"])
        if kind == "plain" or y.dtype.kind == "b":
            return y
        self.settle()
        z = self.b.map("maximum", self.b.map("add", y, self.operand(y.shape[-1:], y.dtype)), self.b.const(0, y.dtype))
        return z if kind == "bias" else [y, z]

    def do_convolution(self, v: Value) -> Any:
        """A convolution of ``v`` or one of its gradients."""
        self.need(v.ndim in (3, 4) and not self.special and v.dtype.kind in "fi" and 0 not in v.shape)
        n = v.ndim - 2
        one = self.one
        groups = one([k for k in (1, 1, 1, 2, v.shape[1]) if v.shape[1] % k == 0])
        g = Geometry(
            tuple([one([1, 1, 2, 3]) for _ in range(n)]),
            tuple([(one([0, 1, 2]), one([0, 1, 2])) for _ in range(n)]),
            tuple([one([1, 1, 1, 2]) for _ in range(n)]),
            groups,
        )
        kernel = tuple([one([1, 2, 3, 3, 5]) for _ in range(n)])
        return self.behind(getattr(self, one(["forward", "weight", "backward"]))(v, kernel, g))

    def places(self, size: Any, kernel: Any, g: Geometry) -> tuple[int, ...]:
        """The output's positions."""
        reach = [d * (k - 1) + 1 for d, k in zip(g.dilation, kernel)]
        out = [(s + lo + hi - r) // step + 1 for s, (lo, hi), r, step in zip(size, g.pads, reach, g.stride)]
        self.need(min(out) > 0)
        return tuple(out)

    def channels(self, v: Value, kernel: Any, out: Any, groups: int) -> int:
        """Some channels of a group for the other side."""
        c = self.one([1, 2, 3, 5, 8, 16, 17])
        self.need(v.shape[0] * v.shape[1] * c * prod(kernel) * prod(out) <= WORK)
        return c

    def forward(self, v: Value, kernel: Any, g: Geometry) -> Value:
        out = self.places(v.shape[2:], kernel, g)
        c = self.channels(v, kernel, out, g.groups)
        w = self.operand((c * g.groups, v.shape[1] // g.groups, *kernel), v.dtype)
        return lower_forward(self.b, v, w, out, g)

    def weight(self, v: Value, kernel: Any, g: Geometry) -> Value:
        out = self.places(v.shape[2:], kernel, g)
        c = self.channels(v, kernel, out, g.groups)
        gy = self.operand((v.shape[0], c * g.groups, *out), v.dtype)
        return lower_weight(self.b, v, gy, kernel, g)

    def backward(self, v: Value, kernel: Any, g: Geometry) -> Value:
        """``v`` is the gradient of the output; rows behind the last window are allowed."""
        out = v.shape[2:]
        size = tuple([(n - 1) * s + d * (k - 1) + 1 - lo - hi + self.one([0, 0, *range(s)]) for n, s, d, k, (lo, hi)
                      in zip(out, g.stride, g.dilation, kernel, g.pads)])  # fmt: skip
        self.need(min(size) > 0)
        c = self.channels(v, kernel, size, g.groups)
        w = self.operand((v.shape[1], c, *kernel), v.dtype)
        return lower_input(self.b, v, w, size, g)

    # ---- indices

    def do_gather(self, v: Value) -> Value:
        self.need(v.ndim and 0 not in v.shape)
        d = self.one(range(v.ndim))
        shape = tuple([self.one([1, 2, 5, 16, 17]) if k == d else n for k, n in enumerate(v.shape)])
        return self.b.gather(v, self.indices(shape, v.shape[d]), d)

    def do_take(self, v: Value) -> Value:
        self.need(v.ndim and 0 not in v.shape)
        d = self.one(range(v.ndim))
        shape = tuple([self.one(SIZES[:14]) for _ in range(self.one([1, 1, 2]))])
        return self.b.take(v, self.indices(shape, v.shape[d]), d)

    def do_index(self, v: Value) -> Value:
        self.need(v.ndim and 0 not in v.shape)
        where = sorted(self.rng.sample(range(v.ndim), self.rng.randint(1, min(2, v.ndim))))
        shape = (self.one(SIZES[:16]),)
        indices = [self.indices(shape, v.shape[d]) for d in where]
        rest = [n for d, n in enumerate(v.shape) if d not in where]
        at = where[0] if where == list(range(where[0], where[0] + len(where))) else 0
        return self.b.index(v, where, indices, (*rest[:at], *shape, *rest[at:]))

    def do_scatter(self, v: Value) -> Value:
        self.need(v.ndim and 0 not in v.shape and v.dtype.kind != "b")
        d = self.one(range(v.ndim))
        shape = tuple([self.one([1, 2, 5, 16]) if k == d else self.rng.randint(1, n) for k, n in enumerate(v.shape)])
        op = self.one(["add", "add", "max", "min", "set"])
        if op == "set":
            shape = tuple([1 if k == d else n for k, n in enumerate(shape)])  # nothing twice
        index = self.indices(shape, v.shape[d])
        return self.b.scatter(op, v, index, self.operand(shape, v.dtype), d)

    def do_put(self, v: Value) -> Value:
        self.need(v.ndim and 0 not in v.shape and v.dtype.kind != "b")
        d = self.one(range(v.ndim))
        shape = (self.one([1, 3, 16]),)
        rest = [n for k, n in enumerate(v.shape) if k != d]
        indices = self.indices(shape, v.shape[d])
        return self.b.index_put("add", v, (d,), [indices], self.operand((*rest[:d], *shape, *rest[d:]), v.dtype))

    def do_scan(self, v: Value) -> Value:
        self.need(v.ndim and v.dtype.kind != "b" and 0 not in v.shape)
        return self.b.scan(self.one(["sum", "sum", "max", "min"]), v, self.one(range(v.ndim)))

    def do_update(self, v: Value) -> Value:
        self.need(prod(v.shape))
        order = list(range(v.ndim))
        if self.chance(0.3):
            self.rng.shuffle(order)
        layout, step = [0] * v.ndim, 1
        for d in reversed(order):
            layout[d], step = step, step * v.shape[d]
        if self.chance(0.5) and v.ndim:  # a box
            shape = [self.rng.randint(1, n) for n in v.shape]
            offset = sum(self.rng.randint(0, n - m) * s for n, m, s in zip(v.shape, shape, layout))
            strides = layout
        else:
            shape, strides, offset = self.within(prod(v.shape), layout, distinct=True)
        return self.b.update(v, self.operand(tuple(shape), v.dtype), layout, strides, offset)

    def do_operand(self, v: Value) -> Value:
        return self.operand(self.shape())

    # ---- the end

    def finish(self) -> None:
        """Some values become outputs: the last ones, and any others; sometimes an input or one value twice."""
        last = self.pool[-self.one([1, 1, 2, 3]) :]
        more = self.rng.sample(self.pool, min(len(self.pool), self.one([0, 0, 1, 2])))
        self.f.outputs = last + more if self.chance(0.2) else list(dict.fromkeys(last + more))


class _Bound:
    """The error bound of one value from those of its operands."""

    def __init__(self, m: Maker, v: Value, largest: float) -> None:
        self.m, self.v, self.largest = m, v, largest
        self.given = [m.bounds[a.index] for a in v.args]
        self.tops = [_top(m.arrays[a.index]) for a in v.args]
        self.eps = 2.0 ** (1 - DIGITS[v.dtype])

    def of(self) -> float:
        """The bound."""
        rules: dict[str, Callable[[], float]] = {
            "map": self.map, "reduce": self.reduce, "contract": self.contract, "scan": self.scan,
            "scatter": self.scatter,
        }  # fmt: skip
        e = rules.get(self.v.kind, lambda: max(self.given, default=0.0))()
        if e > 1e-2 * (1 + self.largest) and self.v.dtype in (dt.float32, dt.float64):
            raise Skip
        return e

    def rounded(self) -> float:
        """One rounding, if there is one."""
        a = np.asarray(self.m.arrays[self.v.index], np.float64)
        a = a[np.isfinite(a)]
        whole = bool((a * 4 == np.rint(a * 4)).all()) and self.largest * 4 <= 2 ** DIGITS[self.v.dtype]
        return 0.0 if whole and not any(self.given) else self.eps * (self.largest + 1e-3)

    def map(self) -> float:
        name, e = self.v.name, self.given
        if name == "where":
            return max(e[1:])
        if name in ("sign", "floor", "rint") and any(e):
            raise Skip
        if name == "cast":
            if self.v.args[0].dtype.kind != "f" and not any(e):
                return self.rounded()
            return max(e) + self.rounded()
        if name in EXACT_MAPS:
            return max(e)
        if name == "mul":
            return e[0] * self.tops[1] + e[1] * self.tops[0] + e[0] * e[1] + self.rounded()
        if name == "div":  # by 1 or more
            return e[0] + e[1] * self.tops[0] + 2 * self.eps * (self.largest + 1e-3)
        if name == "sqrt":
            if any(e):
                raise Skip
            return 2 * self.eps * (self.largest + 1e-3)
        if name in ("exp", "tanh"):
            return 3 * sum(e) + 8 * self.eps * (self.largest + 1e-3)
        return sum(e) + self.rounded()

    def reduce(self) -> float:
        v, e = self.v, self.given[0]
        if v.name in ORDER_FREE:
            return e
        a = np.abs(np.asarray(self.m.arrays[v.args[0].index], np.float64))
        n = prod(v.args[0].shape) // max(1, prod(v.shape)) if prod(v.shape) else 0
        with np.errstate(all="ignore"):
            total = _top(np.sum(np.where(np.isfinite(a), a, 0), axis=v.params)) if v.name == "sum" else _products(a, v)
        if v.name == "prod" and (e or total > 1e30):
            raise Skip
        return self.summed(n, total, n * e)

    def summed(self, n: int, total: float, given: float) -> float:
        """A sum of ``n`` terms whose sizes add up to ``total`` at most."""
        wide = self.eps if self.v.dtype is dt.float64 else 2.0**-23
        whole = self.m.exact_sum(self.v, total) and all(self.m.integers(a) for a in self.v.args if a.dtype.kind == "f")
        inner = 0.0 if whole and not given else (n + 2) * wide * total
        return given + inner + (0.0 if self.v.dtype in (dt.float32, dt.float64) and not inner else self.rounded())

    def contract(self) -> float:
        la, lb, out = self.v.params
        a, b = [self.m.arrays[x.index] for x in self.v.args]
        sizes = dict(zip(la, a.shape)) | dict(zip(lb, b.shape))
        n = prod([k for c, k in sizes.items() if c not in out])
        clean = [np.where(np.isfinite(x), np.abs(x), 0).astype(np.float64) for x in (a, b)]
        if not all(np.isfinite(x).all() for x in (a, b)) and (set(la) - set(lb + out) or set(lb) - set(la + out)):
            raise Skip  # the reference adds such a dimension first, which differs where there are infinities
        total = _top(reference.contract(self.v.params, *clean))
        given = n * (self.given[0] * self.tops[1] + self.given[1] * self.tops[0] + self.given[0] * self.given[1])
        return self.summed(n, total, given)

    def scan(self) -> float:
        v = self.v
        if v.name != "sum":
            return self.given[0]
        a = np.asarray(self.m.arrays[v.args[0].index], np.float64)
        n = v.shape[v.params]
        total = _top(np.sum(np.where(np.isfinite(a), np.abs(a), 0), axis=v.params))
        if v.dtype in (dt.float16, dt.bfloat16) and total > 2 ** DIGITS[v.dtype]:
            raise Skip  # rounded at each step
        return self.summed(n, total, n * self.given[0])

    def scatter(self) -> float:
        if self.v.name != "add":
            return max(self.given)
        n = self.v.args[-1].ndim and prod(self.v.args[-1].shape)
        total = self.tops[0] + n * self.tops[-1]
        if not self.m.exact_sum(self.v, total) or any(self.given):
            raise Skip
        return self.summed(n, total, 0.0)


def _top(a: Any) -> float:
    """The largest finite absolute value."""
    a = np.abs(np.asarray(a, np.float64))
    return float(np.max(a[np.isfinite(a)], initial=0.0))


def _products(a: np.ndarray, v: Value) -> float:
    """The largest absolute product, of factors that are 1 at least."""
    return float(np.max(np.prod(np.where(np.isfinite(a), np.maximum(a, 1), 1), axis=v.params), initial=1.0))


STEPS = (
    ["binary"] * 5 + ["unary"] * 4 + ["reduce"] * 4 + ["product"] * 4 + ["convolution"] * 4 + ["pooling"] * 2
    + ["permute", "expand", "unsqueeze", "reshape", "slice", "select", "flip", "pad", "pad", "window", "strided"] * 2
    + ["diagonal", "weave", "choose", "choose", "cast", "argument", "centre", "gather", "take", "index", "scatter"]
    + ["put", "scan", "scan", "update", "update", "operand"]
)  # fmt: skip
