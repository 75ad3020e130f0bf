"""What PyTorch refuses as ``out=``: another dtype than the result's, memory that the operator reads shifted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..dtypes import C_NAMES, SCALAR_NAMES, can_cast, dtype
from ..graph.epoch import node_of
from ..graph.node import PART, VIEW, Node
from ..graph.types import Ty
from ._writing import SHARED

if TYPE_CHECKING:
    from ..graph.tensor_base import TensorBase

# Where an operator is not named, the result is converted.
_EXACT = """
addmm addmv baddbmm bmm mm mv matmul linear cross linalg_cross linalg_eigh linalg_vector_norm diag gather take_along_dim
index_add index_copy index_reduce scatter scatter_add scatter_reduce isin softmax log_softmax msort renorm tril triu
alias_copy as_strided_copy diagonal_copy expand_copy permute_copy split_with_sizes_copy squeeze_copy t_copy
transpose_copy unbind_copy unfold_copy unsqueeze_copy view_copy
"""
_FOUND = "fft_ifft fft_ihfft gelu hardshrink softplus softshrink"
_TEXTS = {
    **dict.fromkeys(_EXACT.split(), "Expected out tensor to have dtype {0}, but got {1} instead"),
    **dict.fromkeys(_FOUND.split(), "Found dtype {3} but expected {2}"),
    **dict.fromkeys(("dot", "vdot"), "result dtype {3} does not match input dtype {2}"),
    **dict.fromkeys(
        ("index_select", "masked_select"), "{4}(): self and result must have the same scalar type"
    ),
    **dict.fromkeys(("quantile", "nanquantile"), "quantile() out tensor must be same dtype as the input tensor"),
    "take": "take(): self and out expected to have the same dtype, but got self.dtype = {0} and out.dtype = {1}",
    **dict.fromkeys(
        ("tensordot", "inner"),
        "tensordot: Expected the output tensor to have dtype {2}, but got an output tensor with dtype {3}",
    ),
    **dict.fromkeys(
        ("linalg_multi_dot", "chain_matmul"), "multi_dot(): expected out tensor to have dtype {0} but got {1}"
    ),
    "logcumsumexp": "expected scalar_type {2} but found {3}",
    "linalg_matrix_norm": "linalg.matrix_norm expected out tensor dtype {2} but got: {3}",
    "linalg_norm": "linalg.norm expected out tensor dtype {2} but got: {3}",
    "linalg_solve_triangular": "expected scalar type {2} but found {3}",
    "linalg_vecdot": "linalg.vecdot: Expected out of dtype{2} but found {3}",
    "ormqr": "torch.ormqr: Expected input and result to have the same dtype, but input has dtype{2} and result has "
             "dtype {3}",
    "histc": "torch.histogram: input tensor and hist tensor should have the same dtype, but got input {0} and hist {1}",
}  # fmt: skip
# Results that are converted where no kind of number is lost: PyTorch's name of the operator, and those of the results.
_CONVERTED = {
    "cholesky": ("cholesky", "result"),
    "cholesky_inverse": ("cholesky_inverse", "result"),
    "cholesky_solve": ("cholesky_solve", "result"),
    "geqrf": ("torch.geqrf", "a", "tau"),
    "linalg_cond": ("linalg.cond", "result"),
    "linalg_eig": ("torch.linalg.eig", "eigenvalues", "eigenvectors"),
    "linalg_eigvals": ("torch.linalg.eigvals", "eigenvalues"),
    "linalg_householder_product": ("torch.linalg.householder_product", "result"),
    "linalg_lstsq": ("torch.linalg.lstsq", "solution", "solution", "rank", "singular_values"),
    "linalg_matrix_rank": ("torch.linalg.matrix_rank", "result"),
    "linalg_pinv": ("linalg.pinv", "result"),
    "linalg_tensorinv": ("tensorinv", "result"),
    "linalg_tensorsolve": ("tensorsolve", "result"),
}  # fmt: skip
# PyTorch does not look here, nor in its linalg functions, most of which work on a copy.
_FREE = frozenset(
    "alias_copy t_copy bucketize tril triu softmax log_softmax logsigmoid cholesky_solve mvlgamma".split()
)
# These read elements in another order than they write, so memory that is both is refused even where both see it alike.
_ANYWHERE = frozenset("cross linalg_cross gather index_select take take_along_dim masked_select kthvalue kron".split())
_SEVERAL = _ANYWHERE | {"sort", "topk"}  # what these read is looked at for each of their results, however large it is


def check_dtype(name: str, result: dtype, out: dtype, part: int = 0) -> None:
    """Refuses an ``out`` of another dtype in the words of the operator; ``part`` says which of its results it is for.

    Raises:
        RuntimeError: the operator converts nothing, or not to this dtype.
    """
    if name in _CONVERTED and not can_cast(result, out):
        operator, *parts = _CONVERTED[name]
        raise RuntimeError(
            f"{operator}: Expected {parts[part]} to be safely castable from {SCALAR_NAMES[result]} dtype, but got "
            f"{parts[part]} with dtype {SCALAR_NAMES[out]}"
        )
    text = _TEXTS.get(name)
    if text is not None:
        raise RuntimeError(text.format(C_NAMES[result], C_NAMES[out], SCALAR_NAMES[result], SCALAR_NAMES[out], name))


def check_exact_dtype(name: str, result: dtype, out: dtype, part: int) -> None:
    """Refuses an ``out`` of another dtype unless the operator converts its results.

    Raises:
        RuntimeError: it does not, or not to this dtype.
    """
    check_dtype(name, result, out, part)
    if name not in _CONVERTED:
        raise RuntimeError(_TEXTS["mm"].format(C_NAMES[result], C_NAMES[out]))


def check_memory(name: str, result: TensorBase, out: TensorBase) -> None:
    """Refuses an ``out`` that sees some elements of an input of the operator, but not as the input does.

    Values are captured when they are recorded, so the result would be right; PyTorch's is not, so it refuses.

    Raises:
        RuntimeError: it does.
    """
    whole, t = out._s.h, out._ty
    if whole is None or not t.dense or not t.numel or name in _FREE:
        return
    if name.startswith("linalg_") and name not in _ANYWHERE:
        return
    node = node_of(result)
    for i in (node.ins[0] if node.op is PART and name in _SEVERAL else node).ins:
        seen = _seen_in(i, whole)
        if seen is not None and _shifted(seen, t, name):
            raise RuntimeError(SHARED)


def _seen_in(node: Node, whole: Node) -> Ty | None:
    if node is whole:
        return node.ty
    return node.ty if node.op is VIEW and node.ins[0] is whole else None


def _shifted(seen: Ty, out: Ty, name: str) -> bool:
    """Do both see some elements, and not all of them alike? Reductions read more than they write, and may."""
    if not seen.dense or seen.numel > out.numel and name not in _SEVERAL:
        return False
    meet = seen.offset < out.offset + out.numel and out.offset < seen.offset + seen.numel
    return meet and (name in _ANYWHERE or not _alike(seen, out))


def _alike(a: Ty, b: Ty) -> bool:
    return a.offset == b.offset and a.numel == b.numel and a.strides == b.strides
