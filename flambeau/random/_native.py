"""Native code where NumPy takes ten times as long: Box-Muller, and the swaps of a permutation.

Both give what ``_box_muller`` and ``_permutation`` compute, to the bit. Those stay for processors without fused
multiply-adds, for where nothing can be compiled, and for programs that draw little: what makes native code takes
longer to import than NumPy to draw a million numbers.
"""

from __future__ import annotations

import functools
import os
import sys
from typing import Any

MANY = 1 << 20  # numbers for which native code is fetched
_drawn = [0]


def box_muller(count: int) -> Any:
    """The ufunc of float32 uniforms, mean and standard deviation; None where NumPy is to do it."""
    return _made("box_muller", "fff->f", "(n),(),()->(n)") if _worth(count) else None


def shuffle(count: int) -> Any:
    """The ufunc of words, uint32, and items, int64, which it gives in another order; None where NumPy is to do it."""
    return _made("shuffle", "Iq->q", "(m),(n)->(n)") if _worth(count) else None


def _worth(count: int) -> bool:
    """Have many numbers been drawn, or is what makes native code there already?"""
    _drawn[0] += count
    return _drawn[0] >= MANY or "flambeau.compiler.cpu.first_tier.ufuncs" in sys.modules


@functools.cache
def _made(name: str, dtypes: str, signature: str) -> Any:
    if os.environ.get("FLAMBEAU_EXECUTOR") == "numpy":
        return None
    from flambeau.compiler.cpu.code_cache import default
    from flambeau.compiler.cpu.first_tier.ufuncs import made
    from flambeau.compiler.cpu.target import MissingCompiler
    from flambeau.random import _native_text

    try:
        return made(getattr(_native_text, name), name, dtypes, signature=signature) if default().target.fma else None
    except MissingCompiler:
        return None
