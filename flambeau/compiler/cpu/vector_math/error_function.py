"""erf, erfc.

Small arguments: ``a + a P(a²)``. Else ``erfc a = e^(-a²) G(t) / (1 + 2a)`` with a polynomial G of
``t = (a - 15/4) / (a + 15/4)`` (the form of Shepherd and Laframboise, 1981); float32's erf takes
``1 - e^(-P(a))`` with P for ``-log erfc``.
"""

from __future__ import annotations

from .exponential import exp_minus_square, exp_of_reduced, reduce, scale, scale_normal
from .formats import F64, Format, Word, full_sum, plus, polynomial, quick_sum, two_product
from .ssa import Vector

CENTRE = 3.75
ERFC_SMALL = 0.46875
# from here on erf is 1
ERF_LARGEST = {"f32": 3.9296875, "f64": 6.0}
# from here on erfc is 0
ERFC_LARGEST = {"f64": 27.5, "wide": 10.125}
# float64 without low words: enough for what is subtracted from 1
LOOSE = F64._replace(wide=True)


def erf_small(f: Format, x: Vector) -> Vector:
    """erf for \\|x\\| <= 1."""
    return x.block.fma(x, polynomial(f, "erf", x * x), x)


def _tail(f: Format, a: Vector) -> tuple[Vector, Vector]:
    """``erfc a = value 2^n`` for a >= 0.46."""
    e, e_low, n = exp_minus_square(f, a)
    d, d_low = full_sum(f, a + a, a.same(1.0))
    centred = a + CENTRE
    # one division for both quotients
    both = 1.0 / (d * centred)
    g, g_low = quick_sum(f, 1.25, polynomial(f, "erfcx", (a - CENTRE) * (d * both)))
    inverse = centred * both
    p, p_low = two_product(f, e, g)
    q = p * inverse
    if f.wide:
        return q, n
    product, error = two_product(f, q, d)
    rest = plus(plus((p - product) - _present(error), p_low), e * _present(g_low))
    rest = plus(rest, _present(e_low) * g - q * _present(d_low))
    return q + _present(rest) * inverse, n


def erfc_tail(f: Format, a: Vector) -> Vector:
    """erfc for a from ``ERFC_SMALL`` to ``ERFC_LARGEST``."""
    return scale(f, *_tail(f, a))


def _present(w: Word) -> Vector:
    assert w is not None
    return w


def erfc(f: Format, x: Vector) -> Vector:
    """``1 - erf x`` without cancellation."""
    a = x.abs()
    tail = erfc_tail(f, a.at_most(ERFC_LARGEST[f.name]).at_least(ERFC_SMALL))
    large = x.block.select(x.lt(0.0), 2.0 - tail, tail)
    return x.block.select(a.lt(ERFC_SMALL), 1.0 - erf_small(f, x), large)


def _one_minus_exp(f: Format, a: Vector) -> Vector:
    """``1 - e^(-P(a))`` for float32."""
    t = reduce(f, -polynomial(f, "erf_tail", a))
    return 1.0 - scale_normal(f, exp_of_reduced(f, t.r), t.shifted)


def _one_minus_tail(a: Vector) -> Vector:
    value, n = _tail(LOOSE, a)
    return 1.0 - scale(LOOSE, value, n)


def erf(f: Format, x: Vector) -> Vector:
    """The error function."""
    a = x.abs()
    b = a.at_most(ERF_LARGEST[f.name]).at_least(ERFC_SMALL)
    large = _one_minus_exp(f, b) if f.name == "f32" else _one_minus_tail(b)
    return x.block.select(a.lt(1.0), erf_small(f, a), large).with_sign_of(x)
