"""High-precision samples of the vector functions: ``python scripts/make_vector_math_golden.py``. Needs mpmath.

Writes ``tests/golden/vector_math.json``: for each function a list of ``[arguments..., high, low]`` whose result is
high + low to about 100 bits. Arguments are float64, random over the function's domain and at its hard places.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from math import exp2, isfinite, ldexp, pi
from pathlib import Path
from typing import Any

from mpmath import mp, mpf

mp.prec = 1400
TARGET = Path(__file__).resolve().parent.parent / "tests" / "golden" / "vector_math.json"
COUNT = 100

FUNCTIONS: dict[str, tuple[Callable[..., Any], float, float]] = {
    "exp": (mp.exp, -745.0, 709.7),
    "exp2": (lambda x: mpf(2) ** x, -1074.0, 1023.9),
    "expm1": (mp.expm1, -40.0, 709.7),
    "sigmoid": (lambda x: 1 / (1 + mp.exp(-x)), -744.0, 40.0),
    "tanh": (mp.tanh, -20.0, 20.0),
    "sinh": (mp.sinh, -710.4, 710.4),
    "cosh": (mp.cosh, -710.4, 710.4),
    "log": (mp.log, 0.0, 4.0),
    "log2": (lambda x: mp.log(x, 2), 0.0, 4.0),
    "log10": (mp.log10, 0.0, 4.0),
    "log1p": (mp.log1p, -1.0, 4.0),
    "sin": (mp.sin, -100.0, 100.0),
    "cos": (mp.cos, -100.0, 100.0),
    "tan": (mp.tan, -100.0, 100.0),
    "asin": (mp.asin, -1.0, 1.0),
    "acos": (mp.acos, -1.0, 1.0),
    "atan": (mp.atan, -5.0, 5.0),
    "asinh": (mp.asinh, -5.0, 5.0),
    "acosh": (mp.acosh, 1.0, 5.0),
    "atanh": (mp.atanh, -1.0, 1.0),
    "erf": (mp.erf, -6.0, 6.0),
    "erfc": (mp.erfc, -2.0, 27.2),
    "erfinv": (lambda x: mp.erfinv(x) if abs(x) < 1 else mp.nan, -1.0, 1.0),
    "sqrt": (mp.sqrt, 0.0, 9.0),
    "rsqrt": (lambda x: 1 / mp.sqrt(x), 0.0, 9.0),
    "reciprocal": (lambda x: 1 / x, -9.0, 9.0),
}
LATER = {
    "lgamma": (lambda x: mp.log(abs(mp.gamma(x))), -20.0, 40.0),
    "digamma": (mp.digamma, -20.0, 40.0),
}  # drawn after all others
POSITIVE = {"log", "log2", "log10", "sqrt", "rsqrt"}
# The doubles nearest to multiples of pi/2, the edges of the two reductions, and large powers of two.
ANGLES = [
    6381956970095103.0 * exp2(797), 1e22, exp2(1023), 1.7976931348623157e308, 1.64e6, 1640000.0000000002, -1e300,
    *[k * pi / 2 for k in (1, 2, 3, 4, 100, 1000003, 2**20, 2**21)],
    *[ldexp(5.0, e) for e in range(18, 1020, 40)],
]  # fmt: skip


def points(name: str, low: float, high: float) -> Iterator[float]:
    """Arguments: uniform, of every small magnitude, and special ones."""
    for _ in range(COUNT):
        yield random.uniform(low, high)
    for _ in range(COUNT // 2):
        x = random.uniform(1, 2) * exp2(random.randint(-70, 0)) * random.choice((-1, 1))
        yield abs(x) if name in POSITIVE else x
    yield from (5e-324, 2.3e-308, 1e-310)
    if name in POSITIVE:
        for e in range(-1074, 1023, 60):
            yield ldexp(random.uniform(1, 2), e)
        yield from (1 - exp2(-53), 1 + exp2(-52), 0.7071067811865475, 0.7071067811865476)
    if name in ("sin", "cos", "tan"):
        yield from ANGLES


def split(y: Any) -> tuple[float, float]:
    """A number as two doubles."""
    high = float(y)
    return high, float(y - mpf(high))


def unary(name: str) -> list[list[float]]:
    """The samples of a function of one argument."""
    f, low, high = (FUNCTIONS | LATER)[name]
    rows = []
    for x in points(name, low, high):
        y = f(mpf(x))
        if not isinstance(y, mpf) or not isfinite(float(y)):
            continue
        rows.append([x, *split(y)])
    return rows


def powers() -> list[list[float]]:
    """Samples of pow: ordinary, near overflow and underflow, near 1, negative bases."""
    rows = []
    for i in range(3 * COUNT):
        x = random.uniform(0.9999, 1.0001) if i % 3 == 0 else exp2(random.uniform(-60, 60))
        y = random.uniform(-1074, 1023) / float(mp.log(mpf(x), 2)) if i % 3 else random.uniform(-1e6, 1e6)
        if i % 7 == 0:
            x, y = -x, float(round(random.uniform(-15, 15)))
        rows.append([x, y, *split(mp.power(mpf(x), mpf(y)))])
    return rows


def points_of_the_plane(f: Callable[..., Any]) -> list[list[float]]:
    """Samples of atan2 or hypot in all quadrants."""
    rows = []
    for _ in range(2 * COUNT):
        y, x = (random.uniform(1, 2) * exp2(random.randint(-30, 30)) * random.choice((-1, 1)) for _ in range(2))
        rows.append([y, x, *split(f(mpf(y), mpf(x)))])
    return rows


def main() -> None:
    """Writes the file."""
    random.seed(0)
    golden = {name: unary(name) for name in FUNCTIONS} | {"pow": powers()}
    golden |= {name: points_of_the_plane(f) for name, f in {"atan2": mp.atan2, "hypot": mp.hypot}.items()}
    golden |= {name: unary(name) for name in LATER}
    lines = ",\n".join(f"{json.dumps(k)}: [\n" + ",\n".join(map(json.dumps, v)) + "\n]" for k, v in golden.items())
    TARGET.write_text("{\n" + lines + "\n}\n")


if __name__ == "__main__":
    main()
