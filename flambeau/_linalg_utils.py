"""Functions that PyTorch removed, under the name of the module where it keeps them."""

from .ops.removed import eig, lstsq, matrix_rank, solve, symeig

__all__ = ["eig", "lstsq", "matrix_rank", "solve", "symeig"]
