"""Derives the polynomials of the vector functions: ``python scripts/make_vector_math_coefficients.py``.

Writes ``flambeau/compiler/cpu/vector_math/coefficients.py``. Needs mpmath.

Method: the minimax polynomial on a dense Chebyshev grid by Remez' exchange (Remez 1934; see Muller, *Elementary
Functions*, chapter 3), with a weight that makes the error relative to the function's final result. Coefficients are
rounded one by one from the lowest order, and the rest is fitted again each time, so that later coefficients absorb the
rounding of earlier ones (the idea of Brisebarre and Chevillard's *Efficient polynomial L-infinity approximations*,
2007, in its greedy form).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mpmath import mp, mpf

mp.prec = 300
TARGET = Path(__file__).resolve().parent.parent / "flambeau" / "compiler" / "cpu" / "vector_math" / "coefficients.py"

Number = Any
Real = Callable[[Number], Number]


@dataclass(frozen=True)
class Polynomial:
    """What to approximate: ``f`` on [low, high], errors multiplied by ``weight``, degrees by format."""

    name: str
    f: Real
    weight: Real
    low: Number
    high: Number
    degrees: dict[str, int]


def grid(low: Number, high: Number, points: int) -> list[Number]:
    """Chebyshev points of [low, high]."""
    middle, half = (low + high) / 2, (high - low) / 2
    return [middle - half * mp.cos(mp.pi * (2 * i + 1) / (2 * points)) for i in range(points)]


def horner(c: Sequence[Number], x: Number) -> Number:
    """The polynomial with coefficients ``c``, lowest order first."""
    y = mpf(0)
    for k in reversed(c):
        y = y * x + k
    return y


def exchange(error: list[Number], count: int) -> list[int]:
    """``count`` indices where the error has its largest alternating extrema."""
    runs: list[int] = []
    for i, e in enumerate(error):
        if runs and (error[runs[-1]] > 0) == (e > 0):
            if abs(e) > abs(error[runs[-1]]):
                runs[-1] = i
        else:
            runs.append(i)
    while len(runs) > count:
        runs.pop(0 if abs(error[runs[0]]) < abs(error[runs[-1]]) else -1)
    return runs


def remez(xs: list[Number], f: list[Number], w: list[Number], first: int, degree: int) -> list[Number]:
    """Coefficients of x**first .. x**degree of the weighted minimax fit on the grid."""
    unknowns = degree - first + 1
    count = unknowns + 1
    points = [round(len(xs) * (1 - np.cos(np.pi * (i + 0.5) / count)) / 2) for i in range(count)]
    points = [min(p, len(xs) - 1) for p in points]
    best: list[Number] = []
    best_error = mp.inf
    for _ in range(30):
        a = mp.matrix(count, count)
        b = mp.matrix(count, 1)
        for row, p in enumerate(points):
            for k in range(unknowns):
                a[row, k] = xs[p] ** (first + k)
            a[row, unknowns] = (-1) ** row / w[p]
            b[row] = f[p]
        solution = mp.lu_solve(a, b)
        c = [solution[k] for k in range(unknowns)]
        error = [(horner(c, x) * x**first - y) * v for x, y, v in zip(xs, f, w)]
        worst = max(map(abs, error))
        if worst < best_error:
            best, best_error = c, worst
        if worst <= abs(solution[unknowns]) * mpf("1.01"):
            break
        points = exchange(error, count)
        if len(points) < count:
            break
    return best


def least_squares(xs: list[Number], f: list[Number], w: list[Number], first: int, degree: int) -> list[Number]:
    """Coefficients of x**first .. x**degree of the weighted least squares fit on the Chebyshev grid.

    Powers that start above x**0 have no alternation theorem on an interval with 0 inside; on this grid least squares
    come close to the minimax fit.
    """
    n = degree - first + 1
    rows = [[x ** (first + k) * v for k in range(n)] for x, v in zip(xs, w)]
    moments = [mp.fsum(x ** (2 * first + j) * v * v for x, v in zip(xs, w)) for j in range(2 * n - 1)]
    gram = mp.matrix([[moments[j + k] for k in range(n)] for j in range(n)])
    right = mp.matrix([mp.fsum(r[j] * y * v for r, y, v in zip(rows, f, w)) for j in range(n)])
    return list(mp.lu_solve(gram, right))


def rounded(x: Number, fmt: str) -> float:
    """``x`` to the nearest number of the format."""
    return float(np.float32(float(x))) if fmt == "f32" else float(x)


def fit(p: Polynomial, fmt: str) -> tuple[list[float], Number]:
    """Rounded coefficients, lowest order first, and the largest weighted error."""
    degree = p.degrees[fmt]
    xs = grid(mpf(p.low), mpf(p.high), 24 * (degree + 3))
    w = [abs(p.weight(x)) for x in xs]
    rest = [p.f(x) for x in xs]
    full = list(rest)
    c: list[float] = []
    for first in range(degree + 1):
        method = least_squares if first and p.low < 0 < p.high else remez
        c.append(rounded(method(xs, rest, w, first, degree)[0], fmt))
        rest = [y - mpf(c[-1]) * x**first for x, y in zip(xs, rest)]
    error = max(abs((horner([mpf(k) for k in c], x) - y) * v) for x, y, v in zip(xs, full, w))
    return c, error


def odd(f: Real) -> tuple[Real, Real]:
    """For f(a) = a + a z P(z), z = a²: P and the weight of its error relative to f."""
    return (lambda z: (f(mp.sqrt(z)) / mp.sqrt(z) - 1) / z), (lambda z: z * mp.sqrt(z) / f(mp.sqrt(z)))


def scaled_erfcx(k: Number) -> Real:
    """(1 + 2a) erfcx(a) - 5/4 as a function of t = (a - k) / (a + k)."""

    def g(t: Number) -> Number:
        a = k * (1 + t) / (1 - t)
        return (1 + 2 * a) * mp.exp(a * a) * mp.erfc(a) - mpf("1.25")

    return g


def ratio(a: Number, k: Number) -> Number:
    """t = (a - k) / (a + k)."""
    return (a - k) / (a + k)


def logarithm_of_s(z: Number) -> Number:
    """log((1 + s) / (1 - s)) / s, s = sqrt(z)."""
    s = mp.sqrt(z)
    return mp.log((1 + s) / (1 - s)) / s


def erfinv_slope(w: Number) -> Number:
    """erfinv(x) / x as a function of w = -log(1 - x²)."""
    x = mp.sqrt(-mp.expm1(-w))
    return mp.erfinv(x) / x if x else mp.sqrt(mp.pi) / 2


def lgamma_without_zeros(x: Number) -> Number:
    """log Γ(x) / ((x - 1) (x - 2))."""
    near = next((k for k in (1, 2) if abs(x - k) < mpf(10) ** -40), 0)
    if near:
        return mp.digamma(near) * (1 if near == 2 else -1)
    return mp.loggamma(x) / ((x - 1) * (x - 2))


def sinc_pi_of_root(z: Number) -> Number:
    """sin(π r) / (π r), r = sqrt(z)."""
    return mp.sincpi(mp.sqrt(z))


QUARTER = mpf("0.2500001")
HALF_LN2 = mp.log(2) / 2 * (1 + mpf(2) ** -9)
S_MAX = ((mp.sqrt(2) - 1) / (mp.sqrt(2) + 1)) ** 2 * (1 + mpf(2) ** -20)
QUARTER_PI = mp.pi / 4 * (1 + mpf(2) ** -12)
SQRT2 = mp.sqrt(2)
ERFCX_K = mpf("3.75")
ERFINV_CENTRE = mpf("3.125")
ERFINV_TAIL = mpf("3.25")


def polynomials() -> list[Polynomial]:
    """Every polynomial that the vector functions use."""
    return [
        Polynomial(
            "exp",
            lambda r: (mp.exp(r) - 1 - r) / r**2,
            lambda r: r**2 / mp.expm1(r),
            -HALF_LN2,
            HALF_LN2,
            {"f32": 4, "f64": 10, "wide": 7},
        ),
        Polynomial(
            "log",
            lambda f: (mp.log1p(f) - f + f * f / 2) / f**3,
            lambda f: f**3 / mp.log1p(f),
            1 / SQRT2 - 1,
            SQRT2 - 1,
            {"f32": 7},
        ),
        Polynomial(
            "log_ratio",
            lambda z: (logarithm_of_s(z) - 2) / z,
            lambda z: z / 2,
            0,
            S_MAX,
            {"f64": 6, "wide": 4},
        ),
        Polynomial(
            "log_ratio_tail",
            lambda z: ((logarithm_of_s(z) - 2) / z - mpf(2) / 3) / z**2 - mpf(2) / 5 / z,
            lambda z: z**3 / 2,
            0,
            S_MAX,
            {"f64": 6},
        ),
        Polynomial("sin", *odd(mp.sin), 0, QUARTER_PI**2, {"f32": 3, "f64": 6, "wide": 4}),
        Polynomial(
            "cos",
            lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2,
            lambda z: z**2 / mp.cos(mp.sqrt(z)),
            0,
            QUARTER_PI**2,
            {"f32": 2, "f64": 5, "wide": 4},
        ),
        Polynomial("tanh", *odd(mp.tanh), 0, mpf("0.5625") ** 2, {"f32": 5, "f64": 12}),
        Polynomial("sinh", *odd(mp.sinh), 0, 1, {"f32": 3, "f64": 7}),
        Polynomial("atan", *odd(mp.atan), 0, 1, {"f32": 8, "f64": 20}),
        Polynomial("asin", *odd(mp.asin), 0, mpf("0.25"), {"f32": 4, "f64": 12}),
        Polynomial("erf", *(erf_small()), 0, 1, {"f32": 6, "f64": 13, "wide": 9}),
        Polynomial(
            "erf_tail",
            lambda a: -mp.log(mp.erfc(a)),
            lambda a: mp.erfc(a) / mp.erf(a),
            1,
            mpf("3.93"),
            {"f32": 7},
        ),
        Polynomial(
            "erfcx",
            scaled_erfcx(ERFCX_K),
            lambda t: 1,
            ratio(mpf("0.46"), ERFCX_K),
            ratio(mpf("27.5"), ERFCX_K),
            {"f64": 22},
        ),
        Polynomial(
            "erfcx",
            scaled_erfcx(ERFCX_K),
            lambda t: 1,
            ratio(mpf("0.46"), ERFCX_K),
            ratio(mpf("10.2"), ERFCX_K),
            {"wide": 12},
        ),
        Polynomial(
            "erfinv",
            lambda t: erfinv_slope(t + ERFINV_CENTRE),
            lambda t: 1 / erfinv_slope(t + ERFINV_CENTRE),
            -ERFINV_CENTRE,
            ERFINV_CENTRE,
            {"wide": 13, "f64": 11},
        ),
        Polynomial(
            "erfinv_tail",
            lambda t: erfinv_slope((t + ERFINV_TAIL) ** 2),
            lambda t: 1 / erfinv_slope((t + ERFINV_TAIL) ** 2),
            mp.sqrt(2 * ERFINV_CENTRE) - ERFINV_TAIL,
            mpf("4.0") - ERFINV_TAIL,
            {"wide": 10},
        ),
        Polynomial(
            "erfinv_tail",
            lambda t: erfinv_slope((t + ERFINV_TAIL) ** 2),
            lambda t: 1 / erfinv_slope((t + ERFINV_TAIL) ** 2),
            mp.sqrt(2 * ERFINV_CENTRE) - ERFINV_TAIL,
            mpf("6.1") - ERFINV_TAIL,
            {"f64": 12},
        ),
        Polynomial(
            "lgamma",
            lambda t: lgamma_without_zeros(t + 2),
            lambda t: 1 / lgamma_without_zeros(t + 2),
            -1,
            1,
            {"f64": 27},
        ),
        Polynomial("sin_pi", sinc_pi_of_root, lambda z: 1 / sinc_pi_of_root(z), 0, QUARTER, {"f64": 8}),
        Polynomial("cos_pi", lambda z: mp.cospi(mp.sqrt(z)), lambda z: 1, 0, QUARTER, {"f64": 9}),
    ]


def erf_small() -> tuple[Real, Real]:
    """For erf(a) = a + a P(z): P and its weight."""
    return (lambda z: mp.erf(mp.sqrt(z)) / mp.sqrt(z) - 1), (lambda z: mp.sqrt(z) / mp.erf(mp.sqrt(z)))


# Constants in fixed point with this many fraction bits.
FRACTION_BITS = 240
CONSTANTS: dict[str, Callable[[], Number]] = {
    "ln2": lambda: mp.log(2),
    "log2_e": lambda: 1 / mp.log(2),
    "log10_e": lambda: 1 / mp.log(10),
    "log10_2": lambda: mp.log10(2),
    "half_pi": lambda: mp.pi / 2,
    "two_over_pi": lambda: 2 / mp.pi,
}
# 2/pi to as many 64-bit words as the largest double needs; a word of zeros stands before them.
TWO_OVER_PI_WORDS = 20


def constants() -> str:
    """The constants as Python text."""
    items = [f'    "{k}": 0x{int(mp.floor(v() * mpf(2) ** FRACTION_BITS)):X},\n' for k, v in CONSTANTS.items()]
    with mp.workprec(64 * TWO_OVER_PI_WORDS + 64):
        digits = int(mp.floor(2 / mp.pi * mpf(2) ** (64 * TWO_OVER_PI_WORDS)))
    words = [(digits >> (64 * (TWO_OVER_PI_WORDS - 1 - i))) & (2**64 - 1) for i in range(TWO_OVER_PI_WORDS)]
    table = "".join(f"    0x{w:016X},\n" for w in [0, *words])
    return (
        f"\nFRACTION_BITS = {FRACTION_BITS}\n\n# In fixed point with FRACTION_BITS fraction bits, rounded down.\n"
        f"CONSTANTS: dict[str, int] = {{\n{''.join(items)}}}\n\n"
        f"# The bits of 2/pi after the point in words of 64, most significant first, after a word of zeros.\n"
        f"TWO_OVER_PI: tuple[int, ...] = (\n{table})\n"
    )


HEADER = '''"""Polynomials of the vector functions, by ``scripts/make_vector_math_coefficients.py``; lowest order first.

Each comment gives the largest approximation error over the interval, relative to the function's result.
"""

from __future__ import annotations

COEFFICIENTS: dict[tuple[str, str], tuple[float, ...]] = {
'''


def entry(name: str, fmt: str, c: list[float], error: Number) -> str:
    """One item of the table."""
    lines = "".join(f"        {k!r},\n" for k in c)
    return f'    # error 2**{float(mp.log(error, 2)):.1f}\n    ("{name}", "{fmt}"): (\n{lines}    ),\n'


def main() -> None:
    """Writes the table; with names as arguments, only prints those polynomials' errors."""
    text = HEADER
    for p in polynomials():
        if sys.argv[1:] and p.name not in sys.argv[1:]:
            continue
        for fmt in p.degrees:
            c, error = fit(p, fmt)
            print(p.name, fmt, p.degrees[fmt], f"2**{float(mp.log(error, 2)):.1f}", flush=True)
            text += entry(p.name, fmt, c, error)
    if not sys.argv[1:]:
        TARGET.write_text(text + "}\n" + constants())


if __name__ == "__main__":
    main()
