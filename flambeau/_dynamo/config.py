"""``torch._dynamo.config``: settings of PyTorch's tracer, kept and without effect."""

from __future__ import annotations

import sys

from ._config import Settings

recompile_limit = cache_size_limit = 8
suppress_errors = verbose = disable = capture_scalar_outputs = False
assume_static_by_default = automatic_dynamic_shapes = True
sys.modules[__name__].__class__ = Settings
