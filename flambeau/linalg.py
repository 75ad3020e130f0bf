"""``torch.linalg``: decompositions, solvers and norms (https://docs.pytorch.org/docs/stable/linalg.html)."""

from __future__ import annotations

from .ops._matrices import LINALG as _LINALG
from .ops._matrices import LinAlgError

globals().update(_LINALG)

__all__ = ["LinAlgError", *sorted(_LINALG)]
