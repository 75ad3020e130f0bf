"""``torch._inductor.config``: settings of PyTorch's code generator, kept and without effect."""

from __future__ import annotations

import sys

from .._dynamo._config import Settings, groups

max_autotune = max_autotune_gemm = coordinate_descent_tuning = False
fallback_random = freezing = cpp_wrapper = benchmark_kernel = permute_fusion = debug = False
epilogue_fusion = shape_padding = fx_graph_cache = True
sys.modules[__name__].__class__ = Settings
groups(sys.modules[__name__], "cpp", "triton", "trace", "aot_inductor", "cuda")
