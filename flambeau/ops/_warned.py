"""PyTorch's warnings of operators that others replace, and of calls that lose something; its texts.

Each is given at the line of the program that called, so Python shows it once a line.
"""

from __future__ import annotations

import sys
import warnings

repeating = [False]  # what ``torch.set_warn_always`` was given
_given: set[tuple[str, ...]] = set()
_DROPPED = "torch.{0} is deprecated in favor of torch.linalg.{1} and will be removed in a future PyTorch release.\n"

TEXTS = {
    "qr": _DROPPED.format("qr", "qr") + "The boolean parameter 'some' has been replaced with a string parameter "
    "'mode'.\nQ, R = torch.qr(A, some)\nshould be replaced with\n"
    "Q, R = torch.linalg.qr(A, 'reduced' if some else 'complete')",
    "cholesky": _DROPPED.format("cholesky", "cholesky") + "L = torch.cholesky(A)\nshould be replaced with\n"
    "L = torch.linalg.cholesky(A)\nand\nU = torch.cholesky(A, upper=True)\nshould be replaced with\n"
    "U = torch.linalg.cholesky(A).mH\n"
    "This transform will produce equivalent results for all valid (symmetric positive definite) inputs.",
    "lu": _DROPPED.format("lu", "lu_factor / torch.linalg.lu_factor_ex") + "LU, pivots = torch.lu(A, compute_pivots)\n"
    "should be replaced with\nLU, pivots = torch.linalg.lu_factor(A, compute_pivots)\nand\n"
    "LU, pivots, info = torch.lu(A, compute_pivots, get_infos=True)\nshould be replaced with\n"
    "LU, pivots, info = torch.linalg.lu_factor_ex(A, compute_pivots)",
    "lu_solve": "torch.lu_solve is deprecated in favor of torch.linalg.lu_solveand will be removed in a future PyTorch "
    "release.\nNote that torch.linalg.lu_solve has its arguments reversed.\nX = torch.lu_solve(B, LU, pivots)\n"
    "should be replaced with\nX = torch.linalg.lu_solve(LU, pivots, B)",
    "triangular_solve": "torch.triangular_solve is deprecated in favor of torch.linalg.solve_triangularand will be "
    "removed in a future PyTorch release.\ntorch.linalg.solve_triangular has its arguments reversed and does not "
    "return a copy of one of the inputs.\nX = torch.triangular_solve(B, A).solution\nshould be replaced with\n"
    "X = torch.linalg.solve_triangular(A, B).",
    "cross": "Using torch.cross without specifying the dim arg is deprecated.\nPlease either pass the dim explicitly "
    "or simply use torch.linalg.cross.\nThe default value of dim will change to agree with that of linalg.cross in a "
    "future release.",
    "searchsorted": "torch.searchsorted(): {0} tensor is non-contiguous, this will lower the performance due to extra "
    "data copy when converting non-contiguous tensor to contiguous, please use contiguous {0} tensor if possible. "
    "This message will only appear once per program.",
    "complex": "Casting complex values to real discards the imaginary part",
    "istft": "A window was not provided. A rectangular window will be applied.Please provide the same window used by "
    "stft to make the inversion lossless.To suppress this warning and use a rectangular window, explicitly set "
    "`window=torch.ones(n_fft, device=<device>)`.",
    "tensor": "To copy construct from a tensor, it is recommended to use sourceTensor.detach().clone() or "
    "sourceTensor.detach().clone().requires_grad_(True), rather than torch.tensor(sourceTensor).",
    "list of arrays": "Creating a tensor from a list of numpy.ndarrays is extremely slow. Please consider converting "
    "the list to a single numpy.ndarray with numpy.array() before converting to a tensor.",
    "storage": "TypedStorage is deprecated. It will be removed in the future and UntypedStorage will be the only "
    "storage class. This should only matter to you if you are using storages directly.  To access UntypedStorage "
    "directly, use tensor.untyped_storage() instead of tensor.storage()",
    "invariants": "Sparse invariant checks are implicitly disabled. Memory errors (e.g. SEGFAULT) will occur when "
    "operating on a sparse tensor which violates the invariants, but checks incur performance overhead. To silence "
    "this warning, explicitly opt in or out. See `torch.sparse.check_sparse_tensor_invariants.__doc__` for guidance. ",
    "compressed": "Sparse {0} tensor support is in beta state. If you miss a functionality in the sparse tensor "
    "support, please submit a feature request to https://github.com/pytorch/pytorch/issues.",
    "sparse type": "torch.sparse.SparseTensor({0}, *, device=) is deprecated.  Please use torch.sparse_coo_tensor({0}, "
    "dtype=, device=).",
    "scalar": "Converting a tensor with requires_grad=True to a scalar may lead to unexpected behavior.\n"
    "Consider using tensor.detach() first.",
    "create_graph": "Using backward() with create_graph=True will create a reference cycle between the parameter and "
    "its gradient which can cause a memory leak. We recommend using autograd.grad when creating the graph to avoid "
    "this. If you have to use this function, make sure to reset the .grad fields of your parameters to None after use "
    "to break the cycle and avoid the leak.",
    "default type": "torch.set_default_tensor_type() is deprecated as of PyTorch 2.1, please use "
    "torch.set_default_dtype() and torch.set_default_device() as alternatives.",
}


def warn_once(name: str, *parts: str) -> None:
    """Warns with the text of this name, the first time in a program, or each time if that is asked for."""
    known = (name, *parts) in _given
    _given.add((name, *parts))
    if repeating[0] or not known:
        warn_of(name, *parts)


def warn_of(name: str, *parts: str) -> None:
    """Warns with the text of this name, at the nearest line outside flambeau."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "flambeau":
        level, frame = level + 1, frame.f_back
    warnings.warn(TEXTS[name].format(*parts) if parts else TEXTS[name], stacklevel=level)
