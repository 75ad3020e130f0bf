"""``torch.quasirandom``: sequences of points that fill a cube evenly.

See https://docs.pytorch.org/docs/stable/generated/torch.quasirandom.SobolEngine.html.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import flambeau as torch

from ._directions import BITS, DIMENSIONS, directions

if TYPE_CHECKING:
    from flambeau import Tensor

__all__ = ["SobolEngine"]


class SobolEngine:
    """Draws the points of a Sobol' sequence, scrambled or not; the numbers are PyTorch's.

    Args:
        dimension: of the points, from 1 to 21201.
        scramble: are the points scrambled (Owen's way, by random matrices and a random shift)?
        seed: of the scrambling; if left out it is drawn from the default generator.

    Raises:
        ValueError: there is no such dimension.
    """

    MAXBIT = BITS
    MAXDIM = DIMENSIONS

    def __init__(self, dimension: int, scramble: bool = False, seed: int | None = None) -> None:
        if dimension > self.MAXDIM or dimension < 1:
            raise ValueError(f"Supported range of dimensionality for SobolEngine is [1, {self.MAXDIM}]")
        self.seed = seed
        self.scramble = scramble
        self.dimension = dimension
        self.sobolstate = torch.from_numpy(directions(dimension))
        self.shift = torch.zeros(dimension, dtype=torch.int64)
        if scramble:
            self._scramble()
        self.quasi = self.shift.clone()
        self._first_point = (self.quasi / 2**BITS).reshape(1, -1)
        self.num_generated = 0

    def draw(self, n: int = 1, out: Tensor | None = None, dtype: Any = None) -> Tensor:
        """The next ``n`` points: (n, dimension), between 0 and 1.

        Args:
            n: how many.
            out: where they are written.
            dtype: of the result; the default dtype if it is left out.
        """
        dtype = dtype or torch.get_default_dtype()
        skipped = self.num_generated == 0
        points = self._points(n - 1 if skipped else n, dtype)
        if skipped:
            points = torch.cat([self._first_point.to(dtype), points])
        self.num_generated += n
        return points if out is None else out.resize_as_(points).copy_(points)

    def draw_base2(self, m: int, out: Tensor | None = None, dtype: Any = None) -> Tensor:
        """The next ``2 ** m`` points, so that all points drawn are a power of two.

        Raises:
            ValueError: they are not.
        """
        n = 2**m
        total = self.num_generated + n
        if total & (total - 1):
            raise ValueError(
                "The balance properties of Sobol' points require n to be a power of 2. "
                f"{self.num_generated} points have been previously generated, then: n={self.num_generated}+2**{m}="
                f"{total}. If you still want to do this, please use 'SobolEngine.draw()' instead."
            )
        return self.draw(n, out=out, dtype=dtype)

    def reset(self) -> SobolEngine:
        """Begins the sequence again."""
        self.quasi.copy_(self.shift)
        self.num_generated = 0
        return self

    def fast_forward(self, n: int) -> SobolEngine:
        """Leaves out the next ``n`` points."""
        drawn = max(self.num_generated - 1, 0)
        steps = n - (self.num_generated == 0)
        self.quasi = self.quasi ^ self._offset(drawn) ^ self._offset(drawn + steps)
        self.num_generated += n
        return self

    def _points(self, n: int, dtype: Any) -> Tensor:
        """The ``n`` points after the one where the engine stands, which moves on to the last of them."""
        if n < 1:
            return torch.empty(0, self.dimension, dtype=dtype)
        drawn = max(self.num_generated - 1, 0)
        numbers = torch.arange(drawn + 1, drawn + n + 1)
        points = self._offset(numbers[:, None]) ^ (self.quasi ^ self._offset(drawn))
        self.quasi = points[-1].clone()
        return points.to(dtype) * 2.0**-BITS

    def _offset(self, number: Any) -> Any:
        """What the points of these numbers differ by from the first one: the bits of a Gray code say which directions.

        Args:
            number: an integer, or integers (n, 1).
        """
        gray = number ^ (number >> 1)
        total: Any = torch.zeros(self.dimension, dtype=torch.int64)
        for k in range(BITS):
            total = total ^ (gray >> k & 1) * self.sobolstate[:, k]
        return total

    def _scramble(self) -> None:
        """Draws a shift, and for each dimension a lower triangular matrix by which directions are multiplied."""
        generator = None if self.seed is None else torch.Generator().manual_seed(self.seed)
        powers = 2 ** torch.arange(BITS)
        shift = torch.randint(2, (self.dimension, BITS), generator=generator)
        self.shift = (shift * powers).sum(1)
        matrices = torch.randint(2, (self.dimension, BITS, BITS), generator=generator).tril()
        matrices.diagonal(dim1=1, dim2=2).fill_(1)
        rows = (matrices * powers.flip(0)).sum(2)
        bits = _parity(rows[:, None, :] & self.sobolstate[:, :, None])
        self.sobolstate = (bits * powers.flip(0)).sum(2)

    def __repr__(self) -> str:
        parts = [f"dimension={self.dimension}"]
        parts += ["scramble=True"] if self.scramble else []
        parts += [f"seed={self.seed}"] if self.seed is not None else []
        return f"{type(self).__name__}({', '.join(parts)})"


def _parity(x: Tensor) -> Tensor:
    """Is the number of bits odd, of integers of 32 bits?"""
    for width in (16, 8, 4, 2, 1):
        x = x ^ (x >> width)
    return x & 1
