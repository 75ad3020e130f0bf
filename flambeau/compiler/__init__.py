"""From the primitive IR to what runs; also what PyTorch calls ``torch.compiler``, which has nothing to prepare here.

The modules, in the order in which they meet a program:

    ir, builder, verifier      the language, what operators' lowerings call to write it, and its rules checked
    affine, axes               index maps of views; which axes of values are one
    passes                     the passes in their order, from the function as lowered:
    simplify, unstride         constants folded, views composed, equal values merged
    looked_up                  rows of a table are multiplied as the table
    chunked, batch             sums over samples in one order; samples as the lanes of vectors
    unroll, interleave         small reductions as maps; pieces of gradients woven together
    legalise, composed_maps, checks, float8   what kernels do not compute, in terms of what they do
    split_reductions           long reductions as several short ones
    transpose_weights, channels_first         what lies otherwise than it is read, copied once
    inplace                    what an update or a scatter may overwrite
    sequence, cluster, repeated, equal_nests  the function cut into clusters, one kernel each, and their order
    loops, picking, placing, triangles        a cluster as a loop nest: reads, writes, what need not be computed
    recurrence, vectorise      rows that go through time; functions of one sample as functions of a batch
    memory                     where values between kernels lie
    flight, blas_threads       a run that goes on beside Python; linear algebra on one thread
    numpy, numpy_maps, numpy_contract, numpy_along, numpy_order, numpy_linalg, numpy_recurrence, numpy_special
                               the reference executor
    cpu                        native code
    twins                      machine code of flambeau's own Python
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_DYNAMOS = frozenset(
    "allow_in_graph assume_constant_result disable is_compiling is_dynamo_compiling list_backends reset".split()
)


def __getattr__(name: str) -> Any:
    """``torch.compiler.disable`` and the like."""
    if name in _DYNAMOS:
        return getattr(import_module("flambeau._dynamo"), name)
    if name == "compile":
        return import_module("flambeau._compile").compile
    raise AttributeError(f"module 'torch.compiler' has no attribute {name!r}")


def is_exporting() -> bool:
    """``torch.compiler.is_exporting``: False, as nothing is traced."""
    return False


def cudagraph_mark_step_begin() -> None:
    """``torch.compiler.cudagraph_mark_step_begin``: does nothing."""


class set_stance:
    """``torch.compiler.set_stance``: how ``torch.compile`` behaves, at once, in a block or in a function; no effect."""

    def __init__(self, stance: str = "default", *, skip_guard_eval_unsafe: bool = False, force_backend: Any = None):
        self.stance = stance

    def __enter__(self) -> None: ...

    def __exit__(self, *exc: object) -> None: ...

    def __call__(self, fn: Any) -> Any:
        return fn
