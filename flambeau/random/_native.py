"""Native code where NumPy takes several times as long: MT19937's words, what is made of them, and permutations.

All give what NumPy and Python compute beside them, to the bit. That stays for processors without fused multiply-adds,
for where nothing can be compiled, and for programs that draw little: what makes native code takes longer to import than
NumPy to draw a million numbers.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
from typing import Any

import numpy as np

MANY = 1 << 20  # numbers for which native code is fetched
FEW_WORDS = 64  # which are had, or made into what takes NumPy few calls, as soon without native code
FEW_SAMPLES = 1  # that Python draws until they are accepted sooner than native code is called
_DEAR = frozenset(["between", "exponentials", "noise"])  # what takes NumPy many
_drawn = [0]
_UINT64, _INT64 = np.dtype(np.uint64).char, np.dtype(np.int64).char
_OF_WORDS = {  # dtypes and signatures; the first takes the state of the generator and an array, and writes both
    "words": ("II->I", "(s),(n)->()"),
    "coins": (f"{_UINT64}{_UINT64}->?", "(n),()->(n)"),
    "noise": (f"{_UINT64}{_UINT64}f->f", "(n),(),()->(n)"),
    "doubles": (f"{_UINT64}->d", "(n)->(n)"),
    "exponentials": (f"{_UINT64}d->f", "(n),()->(n)"),
    "singles": ("I->f", "(n)->(n)"),
    "between": ("Ifff->f", "(n),(),(),()->(n)"),
    "below": (f"Id{_INT64}->{_INT64}", "(n),(),()->(n)"),
}


def box_muller(count: int) -> Any:
    """The ufunc of float32 uniforms, mean and standard deviation; None where NumPy is to do it."""
    return _made("box_muller", "fff->f", "(n),(),()->(n)") if _worth(count) else None


def shuffle(count: int) -> Any:
    """The ufunc of words, uint32, and items, int64, which it gives in another order; None where NumPy is to do it."""
    return _made("shuffle", "Iq->q", "(m),(n)->(n)") if _worth(count) else None


def of_words(name: str, count: int, always: bool = False) -> Any:
    """The ufunc of this name in ``_words_text``; None where NumPy is to make so many numbers, unless ``always``."""
    many = count > FEW_WORDS or name in _DEAR
    return _made(name, *_OF_WORDS[name]) if always or many and _worth(count) else None


def sampler(name: str, parameters: int, count: int) -> Any:
    """The ufunc of a function of ``_samplers``, over a state, uniforms, parameters and results; None for Python's."""
    if sys.platform == "win32" or count <= FEW_SAMPLES or not _worth(64 * count):  # whose C library has no lgamma
        return None
    dtypes, elements = "d" * (parameters + 3), ",(m)" * (parameters + 1)
    return _made(name, f"{dtypes}->d", f"(s),(n){elements}->()")


def _worth(count: int) -> bool:
    """Have many numbers been drawn, or is what makes native code there already?"""
    _drawn[0] += count
    return _drawn[0] >= MANY or "flambeau.compiler.cpu.first_tier.ufuncs" in sys.modules


@functools.cache
def _made(name: str, dtypes: str, signature: str) -> Any:
    if os.environ.get("FLAMBEAU_EXECUTOR") == "numpy":
        return None
    from flambeau.compiler.cpu.code_cache import default
    from flambeau.compiler.cpu.first_tier.ufuncs import ufunc
    from flambeau.compiler.cpu.target import MissingCompiler

    try:
        return ufunc(name, f"random {name}", lambda: _text(name), dtypes, signature) if default().target.fma else None
    except MissingCompiler:
        return None


def _text(name: str) -> str:
    """The loop of this name, whose author takes longer to import than the loop does to be found on the disk."""
    from flambeau.compiler.cpu.code_cache import default

    if name.endswith("_value"):
        from flambeau.random import _samplers
        from flambeau.random._scalar_code import loop_text

        return loop_text(getattr(_samplers, name))
    own = importlib.import_module("flambeau.random." + ("_words_text" if name in _OF_WORDS else "_native_text"))
    return getattr(own, name)(default().target)
