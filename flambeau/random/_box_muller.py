"""Box-Muller in float32 with the polynomials and roundings of PyTorch's vectorised kernel.

Its logarithm, sine and cosine are the single-precision Cephes polynomials evaluated with fused multiply-adds.
Here every intermediate value is a float32 value held in float64: a product of two such values is exact there, so
multiply, add and one rounding to float32 is a fused multiply-add. (Rounding twice, to float64 and to float32,
differs from rounding once for none of the 2**24 possible inputs.)
"""

from __future__ import annotations

import math

import numpy as np

from flambeau.random._exact import fma32

_BLOCKS_PER_CHUNK = 1024  # 8,192 pairs: the work arrays stay in the level-two cache


def _float32_constants(*values: float) -> tuple[float, ...]:
    return tuple(float(np.float32(value)) for value in values)


_LOG = _float32_constants(
    7.0376836292e-2,
    -1.1514610310e-1,
    1.1676998740e-1,
    -1.2420140846e-1,
    1.4249322787e-1,
    -1.6668057665e-1,
    2.0000714765e-1,
    -2.4999993993e-1,
    3.3333331174e-1,
)
_LN2_LOW, _LN2_HIGH = _float32_constants(-2.12194440e-4, 0.693359375)
_QUARTER_PI = _float32_constants(-0.78515625, -2.4187564849853515625e-4, -3.77489497744594108e-8)
_SIN = _float32_constants(-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
_COS = _float32_constants(2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
_SQRT_HALF, _FOUR_OVER_PI, _TWO_PI = np.float32(math.sqrt(0.5)), np.float32(1.27323954473516), np.float32(2 * math.pi)


def box_muller32(uniforms: np.ndarray, mean: float = 0.0, std: float = 1.0) -> np.ndarray:
    """Normals from float32 uniforms of shape (blocks, 2, 8): row 0 gives the radii, row 1 the angles."""
    out = np.empty_like(uniforms)
    workspace = _Workspace(8 * min(_BLOCKS_PER_CHUNK, max(1, len(uniforms))))
    for start in range(0, len(uniforms), _BLOCKS_PER_CHUNK):
        part = slice(start, start + _BLOCKS_PER_CHUNK)
        workspace.normals(uniforms[part], out[part])
    if (mean, std) == (0, 1):
        return np.add(out, np.float32(0), out=out)  # a zero is positive after the kernel's last addition
    return fma32(out, float(np.float32(std)), float(np.float32(mean)))


class _Workspace:
    """The scratch arrays of one chunk of pairs."""

    def __init__(self, size: int) -> None:
        self._doubles = [np.empty(size) for _ in range(4)]
        self._singles = [np.empty(size, np.float32) for _ in range(5)]
        self._ints = [np.empty(size, np.int32) for _ in range(2)]
        self._mask = np.empty(size, bool)

    def normals(self, uniforms: np.ndarray, out: np.ndarray) -> None:
        """Standard normals of one chunk of blocks into ``out``."""
        self._trim(uniforms.shape[0] * 8)
        radius, angle, sine, cosine, _ = self._singles
        np.subtract(np.float32(1), uniforms[:, 0, :], out=radius.reshape(-1, 8))
        self._log(radius)
        np.multiply(radius, np.float32(-2), radius)
        np.sqrt(radius, radius)
        np.multiply(uniforms[:, 1, :], _TWO_PI, out=angle.reshape(-1, 8))
        self._sincos(angle, sine, cosine)
        np.multiply(radius.reshape(-1, 8), cosine.reshape(-1, 8), out=out[:, 0, :])
        np.multiply(radius.reshape(-1, 8), sine.reshape(-1, 8), out=out[:, 1, :])

    def _trim(self, size: int) -> None:
        """Shorten the arrays for the last chunk."""
        if size != self._mask.size:
            self._doubles = [a[:size] for a in self._doubles]
            self._singles = [a[:size] for a in self._singles]
            self._ints = [a[:size] for a in self._ints]
            self._mask = self._mask[:size]

    def _round(self, x: np.ndarray) -> None:
        """Round the float64 values of ``x`` to float32."""
        np.copyto(self._singles[4], x, casting="same_kind")
        np.copyto(x, self._singles[4])

    def _multiply(self, x: np.ndarray, factor: np.ndarray) -> None:
        """x = float32(x * factor)"""
        np.multiply(x, factor, x)
        self._round(x)

    def _fma(self, x: np.ndarray, factor: np.ndarray, term: float | np.ndarray) -> None:
        """x = float32(x * factor + term)"""
        np.multiply(x, factor, x)
        np.add(x, term, x)
        self._round(x)

    def _polynomial(self, out: np.ndarray, x: np.ndarray, coefficients: tuple[float, ...]) -> None:
        """out = the polynomial in ``x`` by Horner's rule, highest power first."""
        np.multiply(x, coefficients[0], out)
        np.add(out, coefficients[1], out)
        self._round(out)
        for coefficient in coefficients[2:]:
            self._fma(out, x, coefficient)

    def _log(self, values: np.ndarray) -> None:
        """values = log(values) for float32 values in (0, 1]."""
        x, y, z, exponent = self._doubles
        self._split_exponent(values, x, exponent)
        np.multiply(x, x, z)
        self._round(z)
        self._polynomial(y, x, _LOG)
        self._multiply(y, x)
        low = self._singles[4]
        np.multiply(exponent, _LN2_LOW, out=low, casting="same_kind")
        np.multiply(y, z, y)
        np.add(y, low, y)
        self._round(y)
        np.multiply(z, 0.5, z)
        np.subtract(y, z, y)
        self._round(y)
        np.add(x, y, x)
        self._round(x)
        np.multiply(exponent, _LN2_HIGH, exponent)
        np.add(x, exponent, x)
        np.copyto(values, x, casting="same_kind")

    def _split_exponent(self, values: np.ndarray, x: np.ndarray, exponent: np.ndarray) -> None:
        """values = (x + 1) * 2**exponent with x + 1 in [sqrt(1/2), sqrt(2)); ``values`` is used up."""
        bits, power = values.view(np.int32), self._ints[0]
        np.right_shift(bits, 23, out=power)
        np.subtract(power, 126, out=power)
        np.bitwise_and(bits, np.int32(0x007FFFFF), out=bits)
        np.bitwise_or(bits, np.int32(0x3F000000), out=bits)
        np.less(values, _SQRT_HALF, out=self._mask)
        np.subtract(power, self._mask, out=exponent)
        np.copyto(x, values)
        np.add(x, x, out=x, where=self._mask)
        np.subtract(x, 1.0, x)

    def _sincos(self, angle: np.ndarray, sine: np.ndarray, cosine: np.ndarray) -> None:
        """Sine and cosine of float32 angles in [0, 2 pi)."""
        x, y, z, t = self._doubles
        octant, sign = self._ints
        self._reduce(angle, x, octant)
        np.multiply(x, x, z)
        self._round(z)
        self._cos_polynomial(y, z, t)
        np.copyto(cosine, y, casting="same_kind")
        self._sin_polynomial(y, z, x)
        np.copyto(sine, y, casting="same_kind")
        self._swap_where_odd(octant, sine, cosine)
        np.left_shift(np.bitwise_and(octant, 4, out=sign), 29, out=sign)
        np.bitwise_xor(sine.view(np.int32), sign, out=sine.view(np.int32))
        np.subtract(octant, 2, octant)
        np.left_shift(np.bitwise_and(np.invert(octant, out=sign), 4, out=sign), 29, out=sign)
        np.bitwise_xor(cosine.view(np.int32), sign, out=cosine.view(np.int32))

    def _reduce(self, angle: np.ndarray, x: np.ndarray, octant: np.ndarray) -> None:
        """octant = the even number of eighths nearest to ``angle``, x = what is left."""
        single, y = self._singles[4], self._doubles[1]
        np.multiply(angle, _FOUR_OVER_PI, single)
        np.copyto(octant, single, casting="unsafe")
        np.add(octant, 1, octant)
        np.bitwise_and(octant, -2, octant)
        np.copyto(x, angle)
        for part in _QUARTER_PI:
            np.multiply(octant, part, out=y)
            np.add(x, y, x)
            self._round(x)

    def _cos_polynomial(self, y: np.ndarray, z: np.ndarray, t: np.ndarray) -> None:
        """y = cos(x) for z = x * x, |x| <= pi / 4."""
        self._polynomial(y, z, _COS)
        self._multiply(y, z)
        np.multiply(y, z, y)
        np.multiply(z, 0.5, t)
        np.subtract(y, t, y)
        self._round(y)
        np.add(y, 1.0, y)

    def _sin_polynomial(self, y: np.ndarray, z: np.ndarray, x: np.ndarray) -> None:
        """y = sin(x) for z = x * x, |x| <= pi / 4."""
        self._polynomial(y, z, _SIN)
        self._multiply(y, z)
        np.multiply(y, x, y)
        np.add(y, x, y)

    def _swap_where_odd(self, octant: np.ndarray, sine: np.ndarray, cosine: np.ndarray) -> None:
        """Exchange sine and cosine where the number of quarter turns is odd."""
        sign, kept = self._ints[1], self._singles[4]
        np.not_equal(np.bitwise_and(octant, 2, out=sign), 0, out=self._mask)
        np.copyto(kept, sine)
        np.copyto(sine, cosine, where=self._mask)
        np.copyto(cosine, kept, where=self._mask)
