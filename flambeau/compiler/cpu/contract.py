"""The contract generator: LLVM text of matrix products, convolutions, their gradients, and what they are fused with.

``result[kept] = sum over reduced of A[affine] * B[affine]``, then maps over the result. A tile of results stays in
registers while the reduced loops run; each result adds its products in the order of the reduced loops, one after the
other, with fused multiply-adds (in lanes first, where a reduced loop runs in vectors). ``contract_plan`` chooses.

Elements outside an operand (padding) read as the padding's value. Where that is zero and only a reduced loop leads
outside, the loop's bounds say so; where the place is known when the code is made, the product is left out.
"""

from __future__ import annotations

from ...dtypes import bfloat16, dtype, float16, float32, float64, int8, int16, int32, int64, uint8
from ..loops import Nest
from .contract_direct import DirectConvolution
from .contract_direct_plan import direct
from .contract_packed import Packed
from .contract_packing import packing
from .contract_panels import InPanels
from .contract_plan import plan
from .contract_planes import PlaneByPlane, planes
from .contract_tile import Contraction
from .nest_loops import Kernel
from .target import Target

DTYPES = frozenset([float16, bfloat16, float32, float64, int8, int16, int32, int64, uint8])


def generate(n: Nest, target: Target, name: str = "kernel") -> Kernel:
    """The kernel of a contraction for this kind of processor."""
    dt = partial_dtype(n)
    whole = direct(n, target, dt.itemsize)
    if whole is not None:
        return DirectConvolution(n, whole, dt, target, name).kernel()
    depthwise = planes(n, target, dt.itemsize)
    if depthwise is not None:
        return PlaneByPlane(n, depthwise, dt, target, name).kernel()
    packed = packing(n, target, dt.itemsize)
    if packed is not None and packed.direct:
        made = InPanels if packed.ahead else Contraction
        return made(n, packed, dt, target, name).kernel()
    if packed is not None:
        return Packed(n, packed, dt, target, name).kernel()
    return Contraction(n, plan(n, target, dt.itemsize), dt, target, name).kernel()


def partial_dtype(n: Nest) -> dtype:
    """The dtype in which products are added."""
    dt = n.reductions[0].value.dtype
    return float32 if dt in (float16, bfloat16) else dt
