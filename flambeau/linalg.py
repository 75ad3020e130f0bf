"""``torch.linalg``: decompositions, solvers and norms (https://docs.pytorch.org/docs/stable/linalg.html)."""

from __future__ import annotations

from .ops import (
    elimination,
    least_squares,
    lu,
    matrix_functions,
    matrix_norms,
    orthogonal,
    spectra,
    triangular,
)  # fmt: skip
from .ops import show_at_home as _show_at_home
from .ops._matrices import LINALG as _LINALG
from .ops._matrices import LinAlgError
from .ops._overriding import offer as _offer

del elimination, least_squares, lu, matrix_functions, matrix_norms, orthogonal, spectra, triangular
globals().update(_LINALG)
_show_at_home(_LINALG, __name__)
_offer("torch.linalg", _LINALG)

__all__ = ["LinAlgError", *sorted(_LINALG)]
