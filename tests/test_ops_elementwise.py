"""Elementwise operators: PyTorch's values, dtypes and errors; gradients; in-place and ``out=`` forms; promotion."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path
from typing import Any

import elementwise_cases as cases
import pytest

import flambeau as torch
from flambeau.autograd import gradcheck, gradgradcheck

INF, NAN = math.inf, math.nan

GOLDEN = Path(__file__).parent / "golden"
VALUES = json.loads((GOLDEN / "elementwise.json").read_text())
ERRORS = json.loads((GOLDEN / "elementwise_errors.json").read_text())
TOLERANCE = {"torch.float16": 2e-3, "torch.bfloat16": 1e-2, "torch.float64": 1e-12, "torch.complex128": 1e-12}


def close(a: Any, b: Any, tolerance: float) -> bool:
    """Equal numbers, NaN included, or near ones; zeros of the same sign are not asked for."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    return a == b or (a != a and b != b) or math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance / 10)


@pytest.mark.parametrize("expression", cases.VALUES)
def test_value(expression: str) -> None:
    dtype, shape, values = VALUES[expression]
    got = cases.record(torch, eval(expression, cases.environment(torch)))
    assert got[:2] == [dtype, shape]
    assert all(close(a, b, TOLERANCE.get(dtype, 2e-6)) for a, b in zip(got[2], values)), (got[2], values)


@pytest.mark.parametrize("expression", cases.ERRORS)
def test_error(expression: str) -> None:
    assert cases.outcome(torch, expression) == ERRORS[expression]


def leaf(*values: Any, dtype: Any = torch.float64) -> Any:
    return torch.tensor(values, dtype=dtype, requires_grad=True)


SMOOTH = cases.words("""
neg abs exp exp2 expm1 sin cos tan asin acos atan sinh cosh tanh asinh atanh reciprocal sigmoid erf erfc
erfinv digamma i0 sinc deg2rad rad2deg frac square special.i0e special.i1 special.i1e special.erfcx
special.log_ndtr special.ndtr
""")
POSITIVE = cases.words("""
log log2 log10 log1p sqrt rsqrt lgamma logit special.entr
""")


def function(name: str) -> Any:
    f: Any = torch
    for part in name.split("."):
        f = getattr(f, part)
    return f


@pytest.mark.parametrize("name", [*SMOOTH, *POSITIVE, "acosh"])
def test_gradient_of_one_operand(name: str) -> None:
    x = leaf(0.3, 0.72, 0.11) if name in POSITIVE else leaf(1.5, 2.5) if name == "acosh" else leaf(0.3, -0.72, 0.45)
    assert gradcheck(function(name), (x,))
    if name not in ("digamma", "i0"):
        assert gradgradcheck(function(name), (x,))


PAIRS = cases.words("""
add sub mul div pow atan2 hypot logaddexp logaddexp2 xlogy maximum minimum fmax fmin copysign special.xlog1py
""")


@pytest.mark.parametrize("name", PAIRS)
def test_gradient_of_two_operands(name: str) -> None:
    x, y = leaf([0.3], [0.8]), leaf(0.7, 1.4, -0.6 if name in ("add", "sub", "mul", "div", "atan2", "hypot") else 0.2)
    assert gradcheck(function(name), (x, y))


TERNARY = {
    "where": lambda x, y, z: torch.where(x > 0, y, z),
    "clamp": torch.clamp,
    "clamp_numbers": lambda x, y, z: torch.clamp(x, -0.1, 0.5) * y * z,
    "lerp": torch.lerp,
    "lerp_number": lambda x, y, z: torch.lerp(x, y, 0.3) + z,
    "addcmul": lambda x, y, z: torch.addcmul(x, y, z, value=2),
    "addcdiv": lambda x, y, z: torch.addcdiv(x, y, z, value=0.5),
    "alpha": lambda x, y, z: torch.add(x, y, alpha=3) - torch.sub(y, z, alpha=2) + torch.rsub(z, x, alpha=0.5),
    "operators": lambda x, y, z: 2 - x + 3 / y + 2**z - x**3 + x % 0.4 - 1.5 * y,
    "remainders": lambda x, y, z: torch.remainder(x, y) + torch.fmod(x, z),
    "complex": lambda x, y, z: torch.complex(x, y).abs() + torch.polar(z, y).real + torch.complex(x, z).angle(),
}


@pytest.mark.parametrize("name", TERNARY)
def test_gradient_of_three_operands(name: str) -> None:
    x, y, z = leaf(0.31, -0.72, 0.9), leaf(-0.45, 0.2, 0.35), leaf(0.62, 0.55, 1.7)
    assert gradcheck(TERNARY[name], (x, y, z))


@pytest.mark.parametrize(
    "name", ["mul", "div", "exp", "log", "sin", "sqrt", "tanh", "sigmoid", "reciprocal", "abs", "angle", "sgn", "pow"]
)
def test_gradient_of_complex_numbers(name: str) -> None:
    x = leaf(0.3 + 0.5j, -0.7 + 0.2j, dtype=torch.complex128)
    y = leaf(0.9 - 0.4j, 0.6 + 0.1j, dtype=torch.complex128)
    assert gradcheck(function(name), (x, y) if name in ("mul", "div", "pow") else (x,))


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        ("x ** 2", "PowBackward0"),
        ("x ** x", "PowBackward1"),
        ("2 ** x", "PowBackward2"),
        ("x % 2", "RemainderBackward0"),
        ("x % x", "RemainderBackward1"),
        ("2 - x", "RsubBackward1"),
        ("2 / x", "MulBackward0"),
        ("x // 2", "NotImplemented"),
        ("x.clamp(0, 1)", "ClampBackward1"),
        ("x.clamp(x, x)", "ClampBackward0"),
        ("x.clamp_min(0)", "ClampMinBackward0"),
        ("x.square()", "PowBackward0"),
        ("x.lerp(x, 0.5)", "LerpBackward0"),
        ("x.lerp(x, x)", "LerpBackward1"),
        ("x.log1p()", "Log1PBackward0"),
        ("x.deg2rad()", "Deg2RadBackward0"),
        ("x.atan2(x)", "Atan2Backward0"),
        ("torch.where(x > 0, x, 1)", "WhereBackward0"),
        ("x.round(decimals=1)", "RoundBackward1"),
        ("torch.special.i1(x)", "SpecialI1Backward0"),
        ("x.double()", "ToCopyBackward0"),
        ("x.div(2, rounding_mode='floor')", "DivBackward2"),
    ],
)
def test_backward_names(expression: str, name: str) -> None:
    x = torch.ones(2, requires_grad=True)
    assert eval(expression, {"torch": torch, "x": x}).grad_fn.name() == name


def test_floor_divide_has_no_derivative() -> None:
    x = torch.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="derivative for aten::floor_divide is not implemented"):
        (x // 2).sum().backward()


def test_python_in_place_operators() -> None:
    x = y = torch.tensor([7.0, 8.0])
    x += 1
    x -= 2
    x *= 4
    x /= 2
    x //= 3
    x **= 2
    x %= 5
    assert x is y and x.tolist() == [1.0, 1.0]
    i = k = torch.tensor([6, 5])
    i &= 7
    i |= 8
    i ^= 1
    i <<= 2
    i >>= 1
    assert i is k and i.tolist() == [30, 24]


def test_comparison_with_other_objects() -> None:
    x = torch.ones(2)
    assert (x == "a") is False and (x != None) is True  # noqa: E711
    assert x.equal(torch.ones(2)) and not x.equal(torch.ones(3))


def test_out_is_resized_with_a_warning() -> None:
    out = torch.ones(3)
    with pytest.warns(UserWarning, match="An output with one or more elements was resized"):
        torch.add(torch.ones(2), 1, out=out)
    assert out.tolist() == [2.0, 2.0]


def test_uint8_condition_warns() -> None:
    with pytest.warns(UserWarning, match="uint8 condition tensor"):
        torch.where(torch.ones(2, dtype=torch.uint8), 1, 2)


def test_default_dtype_of_floating_functions() -> None:
    i = torch.tensor([1, 2])
    assert i.exp().dtype is torch.float32
    torch.set_default_dtype(torch.float64)
    try:
        assert i.exp().dtype is torch.float64 and (i * 1.5).dtype is torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert i.exp().dtype is torch.float32 and (i / 2).dtype is torch.float32


def test_strides_follow_the_operands() -> None:
    x = torch.arange(6.0).reshape(2, 3).t()
    assert (x + 1).stride() == (1, 3) and (x > 0).stride() == (1, 3) and torch.where(x > 0, x, x).stride() == (1, 3)


def test_parts_of_complex_numbers_share_memory() -> None:
    z = torch.tensor([1 + 2j, 3 - 4j])
    z.real.mul_(10)
    z.imag = torch.tensor([7.0, 8.0])
    assert z.tolist() == [10 + 7j, 30 + 8j]


@pytest.mark.parametrize(("name", "reference"), [("erf", math.erf), ("erfc", math.erfc), ("lgamma", math.lgamma)])
def test_double_precision(name: str, reference: Any) -> None:
    points = [k / 7 + 0.01 for k in range(-30, 60)]
    for x, y in zip(points, function(name)(torch.tensor(points, dtype=torch.float64)).tolist()):
        assert math.isclose(y, reference(x), rel_tol=1e-13, abs_tol=1e-15)


def test_inverse_error_function() -> None:
    x = torch.tensor([-0.999999, -0.3, 1e-9, 0.5, 0.99999999], dtype=torch.float64)
    assert torch.allclose(torch.erfinv(x).erf(), x, rtol=1e-14, atol=0)
    assert torch.erfinv(torch.tensor([-1.0, 1.0, 2.0])).tolist()[:2] == [-math.inf, math.inf]


def test_digamma_is_the_slope_of_lgamma() -> None:
    x = leaf(0.1, 1.46, 7.3, 25.0, -0.5, -3.3)
    assert gradcheck(torch.lgamma, (x,))


def test_scipy_is_named_when_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    with pytest.raises(ImportError, match=r"pip install flambeau\[scipy\]"):
        torch.special.bessel_j0(torch.ones(2)).tolist()


def test_no_warnings_from_numpy() -> None:
    s = torch.tensor([0.0, -1.0, math.inf, -math.inf, math.nan, 1e38])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in [*cases.UNARY, *cases.PREDICATES]:
            function(name)(s).tolist()


HALVES_AND_NUMBERS = [
    ("float16", "x + 0.3", [3.00390625, -2.3984375, 0.8505859375, -6.80078125]),
    ("float16", "x - 0.7", [2.00390625, -3.3984375, -0.14990234375, -7.80078125]),
    ("float16", "0.7 - x", [-2.00390625, 3.3984375, 0.14990234375, 7.80078125]),
    ("float16", "x % 0.3", [0.002685546875, 0.001220703125, 0.250244140625, 0.099609375]),
    ("float16", "x * 0.3", [0.81103515625, -0.8095703125, 0.1650390625, -2.130859375]),
    ("float16", "x / 0.7", [3.861328125, -3.85546875, 0.7861328125, -10.1484375]),
    ("float16", "x.add(x, alpha=0.3)", [3.513671875, -3.509765625, 0.71533203125, -9.234375]),
    ("float16", "x - 70000.0", [-math.inf, -math.inf, -math.inf, -math.inf]),
    ("bfloat16", "x + 0.3", [3.0, -2.40625, 0.8515625, -6.78125]),
    ("bfloat16", "x - 0.7", [2.0, -3.40625, -0.1484375, -7.78125]),
    ("bfloat16", "0.7 - x", [-2.0, 3.40625, 0.1484375, 7.78125]),
    ("bfloat16", "x % 0.3", [0.296875, 0.00390625, 0.25, 0.125]),
    ("bfloat16", "x * 0.3", [0.8125, -0.8125, 0.1650390625, -2.125]),
    ("bfloat16", "x / 0.7", [3.859375, -3.859375, 0.78515625, -10.125]),
    ("bfloat16", "x - 70000.0", [-70144.0, -70144.0, -70144.0, -70144.0]),
]


@pytest.mark.parametrize(("dtype", "expression", "want"), HALVES_AND_NUMBERS)
def test_numbers_are_rounded_as_pytorch_rounds_them(dtype: str, expression: str, want: list[float]) -> None:
    """A number is rounded to 16 bits before it is added or divides with a remainder; factors and divisors are not."""
    x = torch.tensor([2.703125, -2.69921875, 0.55029296875, -7.1015625]).to(getattr(torch, dtype))
    assert eval(expression, {"x": x}).tolist() == want


def test_logarithms_of_small_complex_numbers_keep_their_digits() -> None:
    z = torch.log1p(torch.tensor([1e-19 + 1e-18j, 1e30 + 1e-30j, 1e-8j], dtype=torch.complex128))
    assert z.real.tolist() == pytest.approx([1e-19, 69.07755278982137, 5e-17], rel=1e-6, abs=0)
    assert z.imag.tolist() == pytest.approx([1e-18, 0.0, 1e-8], rel=1e-6, abs=1e-50)


def test_logarithms_of_sums_of_infinite_complex_numbers() -> None:
    x = torch.tensor([complex(INF, 0), complex(-INF, 2), complex(INF, 1), complex(NAN, 0)])
    y = torch.tensor([complex(INF, 0), complex(-INF, 0), complex(INF, -1), complex(1, 1)])
    found = torch.view_as_real(torch.logaddexp(x, y)).tolist()
    assert found[:2] == [[INF, 0], [-INF, 0]]
    assert torch.view_as_real(torch.logaddexp(y, x)).tolist()[1] == [-INF, 2]
    assert found[2][0] == INF and all(math.isnan(v) for v in (found[2][1], *found[3]))


def test_powers_of_two_that_are_infinite() -> None:
    x = torch.tensor([complex(INF, 0), complex(-INF, 1), complex(-INF, INF), complex(1, -0.0)])
    assert torch.view_as_real(torch.exp2(x)).tolist() == [[INF, 0], [0, 0], [0, 0], [2, 0]]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_quotients_of_halves_are_rounded_before_they_are_truncated(dtype: torch.dtype) -> None:
    x, y = torch.tensor([2.998, -2.998], dtype=dtype), torch.tensor([1.0, 1.0], dtype=dtype)
    thirds = torch.tensor([8.9921875, 9.0], dtype=torch.float64).to(dtype)
    by = torch.tensor([2.998046875, 3.0], dtype=torch.float64).to(dtype)
    assert torch.equal(torch.div(x, y, rounding_mode="trunc"), (x / y).trunc())
    assert torch.equal(torch.div(thirds, by, rounding_mode="trunc"), (thirds / by).trunc())
    many = torch.arange(1.0, 1500.0).to(dtype)
    for k in (3.0, 7.0, 0.7):
        same = torch.full_like(many, k)
        assert torch.equal(torch.div(many, same, rounding_mode="trunc"), (many / same).trunc())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_shrinking_compares_with_the_rounded_bound(dtype: torch.dtype) -> None:
    for bound in (0.1, 0.3, 0.7):
        x = torch.tensor([bound, -bound, 2 * bound], dtype=dtype, requires_grad=True)
        y = torch.nn.functional.hardshrink(x, bound)
        y.sum().backward()
        assert y.tolist() == [0, 0, x[2].item()]
        assert x.grad.tolist() == [0, 0, 1]


def test_second_derivatives_where_pieces_meet() -> None:
    x = torch.tensor([0.0, -1.0, 1.0], dtype=torch.float64, requires_grad=True)
    for f in (torch.nn.functional.elu, torch.nn.functional.celu, torch.nn.functional.selu):
        (g,) = torch.autograd.grad(f(x).sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(g.sum(), x)
        assert second[0] == second[2] == 0
        assert second[1] == g[1]


def test_the_slope_of_sinc_at_tiny_numbers() -> None:
    x = torch.tensor([0.0, 2.0**-1022, 1.0], dtype=torch.float64, requires_grad=True)
    torch.sinc(x).sum().backward()
    assert x.grad.tolist() == [0, 0, -1]


def test_factors_that_are_bool_or_want_a_gradient() -> None:
    x, factor = torch.ones(2, dtype=torch.int8), torch.tensor(2.0, requires_grad=True)
    with pytest.raises(RuntimeError, match="Boolean alpha only supported for Boolean results."):
        torch.rsub(x, x, alpha=True)
    y = torch.ones(2)
    for call in (lambda: torch.add(y, y, alpha=factor), lambda: y.addcmul(y, y, value=factor)):
        with pytest.raises(TypeError, match="must be Number, not Tensor"):
            call()
    with pytest.raises(TypeError, match=r"full\(\): argument 'fill_value' \(position 2\) must be Number, not Tensor"):
        torch.full((2,), factor)
    assert torch.add(y, y, alpha=factor.detach()).tolist() == [3, 3]


def test_exponents_have_a_dtype_of_their_own() -> None:
    x = torch.ones(2, dtype=torch.float64)
    for outs, message in (
        ((torch.empty(2), torch.empty(2, dtype=torch.int32)), "mantissa to have dtype double but got float"),
        ((torch.empty_like(x), torch.empty_like(x)), "exponent to have dtype int but got double"),
    ):
        with pytest.raises(RuntimeError) as caught:
            torch.frexp(x, out=outs)
        assert str(caught.value) == f"torch.frexp() expects {message}"
