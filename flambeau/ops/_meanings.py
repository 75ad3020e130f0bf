"""What elementwise operators compute, in words: the first line of the documentation of each of their functions."""

from __future__ import annotations

from collections.abc import Iterable

PAGES = "https://docs.pytorch.org/docs/stable/"
KINDS = {"b": "truth values", "u": "integers", "f": "floats", "c": "complex numbers"}
ERRORS = ("NotImplementedError", "RuntimeError")

_LINES = """
abs: the absolute value
acos: the inverse cosine in radians, from 0 to pi; NaN outside of [-1, 1]
acosh: the inverse hyperbolic cosine; NaN below 1
airy_ai: Airy's function Ai
asin: the inverse sine in radians, from -pi/2 to pi/2; NaN outside of [-1, 1]
asinh: the inverse hyperbolic sine
atan: the inverse tangent in radians, from -pi/2 to pi/2
atan2: the angle in radians, from -pi to pi, of the point whose ordinate is ``input`` and whose abscissa is ``other``
atanh: the inverse hyperbolic tangent; infinite at -1 and 1, NaN beyond
bessel_j0: Bessel's function of the first kind of order 0
bessel_j1: Bessel's function of the first kind of order 1
bessel_y0: Bessel's function of the second kind of order 0
bessel_y1: Bessel's function of the second kind of order 1
bitwise_and: the bits that both have; of truth values, whether both are true
bitwise_left_shift: ``input * 2 ** other``, as far as the bits of the dtype hold it
bitwise_not: all bits turned over; of truth values, the others
bitwise_or: the bits that either has; of truth values, whether one is true
bitwise_right_shift: ``input // 2 ** other``, rounded down
bitwise_xor: the bits in which they differ; of truth values, whether they differ
ceil: the least integer that is not below the value
chebyshev_polynomial_t: the Chebyshev polynomial of the first kind and degree ``n`` at ``input``
chebyshev_polynomial_u: the Chebyshev polynomial of the second kind and degree ``n`` at ``input``
chebyshev_polynomial_v: the Chebyshev polynomial of the third kind and degree ``n`` at ``input``
chebyshev_polynomial_w: the Chebyshev polynomial of the fourth kind and degree ``n`` at ``input``
conj_physical: the complex conjugate, computed
copysign: the size of ``input`` with the sign of ``other``, that of a zero too
cos: the cosine of an angle in radians
cosh: the hyperbolic cosine
deg2rad: degrees as radians
digamma: the derivative of the logarithm of the gamma function; minus infinity at 0, NaN at negative integers
div: ``input / other``
entr: ``-input * ln(input)``; 0 at 0, minus infinity below
eq: is it equal? NaN is equal to nothing
erf: the error function
erfc: ``1 - erf(input)``, without the loss of digits
erfcx: ``exp(input ** 2) * erfc(input)``
erfinv: the inverse of the error function; infinite at -1 and 1, NaN beyond
exp: e to the power of the value
exp2: 2 to the power of the value
expm1: ``exp(input) - 1``, without the loss of digits near 0
floor: the greatest integer that is not above the value
floor_divide: ``input / other``, rounded down
fmax: the larger of both; where one is NaN, the other
fmin: the smaller of both; where one is NaN, the other
fmod: the remainder of ``input / other``, with the sign of ``input``
frac: what is behind the point, with the sign of the value
gcd: the greatest common divisor
ge: is ``input >= other``?
gt: is ``input > other``?
hermite_polynomial_h: the physicists' Hermite polynomial of degree ``n`` at ``input``
hermite_polynomial_he: the probabilists' Hermite polynomial of degree ``n`` at ``input``
hypot: ``sqrt(input ** 2 + other ** 2)``, without overflow
i0: the modified Bessel function of the first kind of order 0
i0e: ``exp(-abs(input)) * i0(input)``
i1: the modified Bessel function of the first kind of order 1
i1e: ``exp(-abs(input)) * i1(input)``
igamma: the regularised lower incomplete gamma function of shape ``input`` at ``other``, neither of which is negative
igammac: the regularised upper incomplete gamma function of shape ``input`` at ``other``, neither of which is negative
isfinite: is it neither infinite nor NaN?
isinf: is it infinite?
isnan: is it NaN?
isneginf: is it minus infinity?
isposinf: is it plus infinity?
isreal: is the imaginary part zero?
laguerre_polynomial_l: the Laguerre polynomial of degree ``n`` at ``input``
lcm: the least common multiple
ldexp: ``input * 2 ** other``
le: is ``input <= other``?
legendre_polynomial_p: the Legendre polynomial of degree ``n`` at ``input``
lgamma: the logarithm of the absolute value of the gamma function
log: the natural logarithm; minus infinity at 0, NaN below
log10: the logarithm to base 10; minus infinity at 0, NaN below
log1p: ``log(1 + input)``, without the loss of digits near 0
log2: the logarithm to base 2; minus infinity at 0, NaN below
log_ndtr: the logarithm of the normal distribution function
logaddexp: ``log(exp(input) + exp(other))``, without overflow
logaddexp2: ``log2(2 ** input + 2 ** other)``, without overflow
logical_and: are both other than zero?
logical_not: is it zero?
logical_or: is one other than zero?
logical_xor: is just one other than zero?
lt: is ``input < other``?
maximum: the larger of both; NaN where one is
minimum: the smaller of both; NaN where one is
modified_bessel_i0: the modified Bessel function of the first kind of order 0
modified_bessel_i1: the modified Bessel function of the first kind of order 1
modified_bessel_k0: the modified Bessel function of the second kind of order 0
modified_bessel_k1: the modified Bessel function of the second kind of order 1
mul: ``input * other``
ndtri: the argument at which the normal distribution function has this value
ne: is it another? NaN is unequal to everything
neg: the value with the other sign
nextafter: the next number of the dtype behind ``input`` on the way to ``other``
rad2deg: radians as degrees
reciprocal: ``1 / input``
relu: the value where it is positive, else 0
remainder: the remainder of ``input / other``, with the sign of ``other``
rsqrt: ``1 / sqrt(input)``; infinite at 0, NaN below
scaled_modified_bessel_k0: ``exp(input)`` times the modified Bessel function of the second kind of order 0
scaled_modified_bessel_k1: ``exp(input)`` times the modified Bessel function of the second kind of order 1
sgn: -1, 0 or 1; of complex numbers ``input / abs(input)``, and 0 at 0
shifted_chebyshev_polynomial_t: the Chebyshev polynomial of the first kind and degree ``n`` at ``2 * input - 1``
shifted_chebyshev_polynomial_u: the Chebyshev polynomial of the second kind and degree ``n`` at ``2 * input - 1``
shifted_chebyshev_polynomial_v: the Chebyshev polynomial of the third kind and degree ``n`` at ``2 * input - 1``
shifted_chebyshev_polynomial_w: the Chebyshev polynomial of the fourth kind and degree ``n`` at ``2 * input - 1``
sigmoid: ``1 / (1 + exp(-input))``
sign: -1, 0 or 1
signbit: is the sign minus? That of a zero counts
sin: the sine of an angle in radians
sinc: ``sin(pi * input) / (pi * input)``; 1 at 0
sinh: the hyperbolic sine
spherical_bessel_j0: ``sin(input) / input``; 1 at 0
sqrt: the square root; NaN below 0
tan: the tangent of an angle in radians
tanh: the hyperbolic tangent
trunc: the value without what is behind the point
xlog1py: ``input * log1p(other)``; 0 where ``input`` is 0 and ``other`` is not NaN
xlogy: ``input * log(other)``; 0 where ``input`` is 0 and ``other`` is not NaN
zeta: Hurwitz' zeta function at ``input``, of what is counted from ``other`` on
"""
MEANINGS: dict[str, str] = {line.partition(": ")[0]: line.partition(": ")[2] for line in _LINES.strip().split("\n")}

RESULTS = {
    "same": "The result has the dtype of the {operands}.",
    "float": "The result has the dtype of the {operands}, where that is no float the default one.",
    "bool": "The result holds truth values.",
    "real": "The result has the dtype of the {operands}; of complex numbers that of their parts.",
}


def described(
    name: str, result: str, kinds: str, two: bool, errors: Iterable[str] = (), special: bool = False
) -> str | None:
    """The documentation of an elementwise function; None if nobody has written down what it computes.

    Args:
        name: the operator's.
        result: the dtype of the result, a key of ``RESULTS``.
        kinds: the kinds of dtype that it takes, as in ``Support``.
        two: has it two operands?
        errors: the kinds of dtype for which it raises RuntimeError, not NotImplementedError.
        special: is it one of ``torch.special`` alone?
    """
    meaning = MEANINGS.get(name)
    if meaning is None:
        return None
    page = f"special.html#torch.special.{name}" if special else f"generated/torch.{name}.html"
    first = meaning[0].upper() + meaning[1:] + ("" if meaning.endswith("?") else ".")
    operands = ["Operands are broadcast and promoted to one dtype."] * two
    lines = [first, "", f"Elementwise ({PAGES}{page}).", *operands, _dtype(result, two)]
    refused = [k for k in ("fc" if result == "float" else "bufc") if k not in kinds and not (k == "f" and "F" in kinds)]
    raised = {error: [KINDS[k] for k in refused if (k in errors) == (error == "RuntimeError")] for error in ERRORS}
    lines += ["", "Raises:"] * bool(refused)
    lines += [f"    {error}: {_joined(words)} are given." for error, words in raised.items() if words]
    return "\n".join(lines)


def _dtype(result: str, two: bool) -> str:
    return RESULTS[result].format(operands="operands" if two else "input")


def _joined(words: list[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
