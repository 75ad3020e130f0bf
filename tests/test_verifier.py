"""The verifier accepts what operators build and refuses programs that break the grammar."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from flambeau.compiler.builder import Builder
from flambeau.compiler.ir import Function, Value
from flambeau.compiler.verifier import Malformed, verify
from flambeau.dtypes import float32, float64, int64


def program() -> tuple[Builder, Value, Value]:
    """A builder with two inputs (2, 3) and (3, 4)."""
    b = Builder()
    return b, b.input(0, (2, 3), float32, ((3, 1), 0)), b.input(1, (3, 4), float32, ((4, 1), 0))


def test_accepts_a_program_of_every_kind() -> None:
    b, x, w = program()
    y = b.map("add", b.contract("nk,km->nm", x, w), b.expand(b.const(1.0, float32), (2, 4)))
    s = b.scan("sum", b.reduce("max", b.pad(b.flip(y, [0]), [(1, 1), (0, 0)]), [0]), 0)
    i = b.take(s, b.iota(2))
    u = b.update(y, b.slice(y, 1, 0, 2), (4, 1), (4, 1), 1)
    g = b.gather(u, b.expand(b.const(0, int64), (2, 4)), 1)
    e = b.extern("twice", lambda a: (a, a), [b.reshape(g, (-1,))], [((8,), float32), ((8,), float32)])
    b.f.outputs = [b.reduce("sum", b.window(e[1], [0], [3], [2], [1]), [1]), i, b.permute(x, (1, 0))]
    verify(b.f)


def redefined(change: Callable[[Value], None], make: Callable[[Builder, Value, Value], Value]) -> Function:
    """A program whose last value was changed after it was built."""
    b, x, w = program()
    v = make(b, x, w)
    change(v)
    b.f.outputs = [v]
    return b.f


def to_shape(*shape: int) -> Callable[[Value], None]:
    return lambda v: setattr(v, "shape", shape)


WRONG: dict[str, tuple[Callable[[Value], None], Callable[[Builder, Value, Value], Value]]] = {
    "map": (to_shape(3, 2), lambda b, x, w: b.map("neg", x)),
    "permute": (to_shape(2, 3), lambda b, x, w: b.permute(x, (1, 0))),
    "expand": (to_shape(5, 4, 3), lambda b, x, w: b.expand(x, (5, 2, 3))),
    "reshape": (to_shape(7), lambda b, x, w: b.reshape(x, (6,))),
    "slice": (to_shape(2, 3), lambda b, x, w: b.slice(x, 1, 0, 2)),
    "slice outside": (lambda v: None, lambda b, x, w: b.slice(x, 1, 0, 5)),
    "flip": (to_shape(3, 2), lambda b, x, w: b.flip(x, (0,))),
    "pad": (to_shape(2, 3), lambda b, x, w: b.pad(x, [(1, 1), (0, 0)])),
    "window": (to_shape(2, 3, 2), lambda b, x, w: b.window(x, [1], [2], [1], [1])),
    "diagonal": (to_shape(3), lambda b, x, w: b.diagonal(x, 0, 1)),
    "strided": (to_shape(8), lambda b, x, w: b.strided(x, (3, 1), (6,), (1,), 0, float32)),
    "strided outside": (lambda v: None, lambda b, x, w: b.strided(x, (3, 1), (2,), (1,), 5, float32)),
    "view of another dtype": (lambda v: setattr(v, "dtype", float64), lambda b, x, w: b.flip(x, (0,))),
    "reduce": (to_shape(3, 1), lambda b, x, w: b.reduce("sum", x, [0])),
    "argmax": (lambda v: setattr(v, "dtype", float32), lambda b, x, w: b.reduce("argmax", x, [0])),
    "any": (lambda v: setattr(v, "dtype", float32), lambda b, x, w: b.reduce("any", x, [0])),
    "scan": (to_shape(2, 2), lambda b, x, w: b.scan("sum", x, 0)),
    "contract": (to_shape(4, 2), lambda b, x, w: b.contract("nk,km->nm", x, w)),
    "contract of two sizes": (lambda v: None, lambda b, x, w: b.contract("nk,mk->nm", x, w)),
    "take": (to_shape(2, 4), lambda b, x, w: b.take(x, b.iota(4))),
    "gather": (to_shape(2, 3), lambda b, x, w: b.gather(x, b.expand(b.const(0, int64), (2, 1)), 1)),
    "update outside": (lambda v: None, lambda b, x, w: b.update(x, b.reshape(w, (12,)), (3, 1), (1,), 0)),
    "kind": (lambda v: setattr(v, "kind", "guess"), lambda b, x, w: b.map("neg", x)),
    "order": (lambda v: setattr(v, "args", (v,)), lambda b, x, w: b.map("neg", x)),
    "part": (lambda v: setattr(v, "kind", "part"), lambda b, x, w: b.map("neg", x)),
}


@pytest.mark.parametrize("case", WRONG)
def test_refuses(case: str) -> None:
    with pytest.raises(Malformed):
        verify(redefined(*WRONG[case]))
