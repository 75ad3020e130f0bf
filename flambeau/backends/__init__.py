"""`torch.backends`: the switches of libraries that PyTorch may use, kept for programs that read or set them.

None of these libraries is used here, so a switch is stored and changes nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from flambeau.backends import cpu, cuda, cudnn, mha, mkl, mkldnn, mps, nnpack, openmp, opt_einsum, quantized

__all__ = ["cpu", "cuda", "cudnn", "mha", "mkl", "mkldnn", "mps", "nnpack", "openmp", "opt_einsum", "quantized"]

fp32_precision = "none"
_frozen = {"flags": False}


def flags_frozen() -> bool:
    """Have the switches been frozen?"""
    return _frozen["flags"]


def disable_global_flags() -> None:
    """Freezes the switches in PyTorch; here they stay free, as they mean nothing."""
    _frozen["flags"] = True


@contextlib.contextmanager
def __allow_nonbracketed_mutation() -> Iterator[None]:
    """A block in which frozen switches may be set; they are never frozen here."""
    yield


class _Absent:
    """A library that is not there, and its switch."""

    immediate = False
    enabled = False

    def is_available(self) -> bool:
        """Never."""
        return False


cusparselt, kleidiai, miopen = _Absent(), _Absent(), _Absent()
