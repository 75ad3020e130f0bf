"""Which PyTorch this package follows, and its own version.

`__version__` is what programs read as `torch.__version__`. It is a valid PEP 440 version whose local part says
whose it is, so both `packaging.version.parse` and `__version__.split("+")[0]` work.
"""

from __future__ import annotations

__all__ = ["__flambeau_version__", "__version__", "cuda", "debug", "git_version", "hip", "rocm", "xpu"]

__flambeau_version__ = "0.1.0"
__version__ = "2.13.0+flambeau"
git_version = "unknown"
debug = False
cuda: str | None = None
hip: str | None = None
rocm: str | None = None
xpu: str | None = None
