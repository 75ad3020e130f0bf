"""`torch.backends`: the switches of libraries that PyTorch may use, kept for programs that read or set them.

None of these libraries is used here, so a switch is stored and changes nothing.
"""

from __future__ import annotations

from flambeau.backends import cpu, cuda, cudnn, mha, mkl, mkldnn, mps, nnpack, openmp, opt_einsum, quantized

__all__ = ["cpu", "cuda", "cudnn", "mha", "mkl", "mkldnn", "mps", "nnpack", "openmp", "opt_einsum", "quantized"]

fp32_precision = "none"
