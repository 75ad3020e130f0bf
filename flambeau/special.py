"""``torch.special``: special functions, most of them also ``torch`` functions under other names."""

from __future__ import annotations

from typing import Any

import flambeau as torch

from .ops import pairs as _pairs  # noqa: F401  their import fills the table
from .ops import show_at_home as _show_at_home
from .ops import special as _functions  # noqa: F401
from .ops._elementwise import SPECIAL as _SPECIAL
from .ops._overriding import offer as _offer

_SHARED = (
    "digamma", "erf", "erfc", "erfinv", "exp2", "expm1", "i0", "log1p", "logit", "logsumexp", "polygamma", "sinc",
    "xlogy",
)  # fmt: skip
_RENAMED = {
    "expit": "sigmoid", "gammaln": "lgamma", "psi": "digamma", "gammainc": "igamma", "gammaincc": "igammac",
    "multigammaln": "mvlgamma",
}  # fmt: skip

globals().update(_SPECIAL)
_show_at_home(_SPECIAL, __name__)
_offer("torch.special", _SPECIAL)


def __getattr__(name: str) -> Any:
    """Functions that ``torch`` has too."""
    if name in _SHARED or name in _RENAMED:
        return getattr(torch, _RENAMED.get(name, name))
    raise AttributeError(f"module 'torch.special' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *_SHARED, *_RENAMED})


def round(input: Any, *, decimals: int = 0, out: Any = None) -> Any:
    """``torch.round`` with ``decimals`` 0 by default."""
    return torch.round(input, decimals=decimals, out=out)


def softmax(input: Any, dim: int, *, dtype: Any = None) -> Any:
    """``torch.softmax``."""
    return torch.softmax(input, dim, dtype=dtype)


def log_softmax(input: Any, dim: int, *, dtype: Any = None) -> Any:
    """``torch.log_softmax``."""
    return torch.log_softmax(input, dim, dtype=dtype)
