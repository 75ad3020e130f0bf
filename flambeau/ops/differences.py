"""Calculus on samples: ``diff``, ``gradient``, ``trapezoid``, ``cumulative_trapezoid``; ``cov``, ``corrcoef``."""

from __future__ import annotations

from typing import Any

from ..dtypes import SCALAR_NAMES, bool_
from ..graph.node import Operator
from ._arguments import tensor_first
from ._registry import call, export, function, into, is_number, is_tensor, wrap_dim, wrap_dims
from ._signatures import invalid_arguments
from .arithmetic import DIV, MUL

# ---- diff


def _step(x: Any, dim: int) -> Any:
    n = x._ty.shape[dim]
    a, b = x.narrow(dim, 1, n - 1), x.narrow(dim, 0, n - 1)
    return a.logical_xor(b) if x._ty.dtype is bool_ else a - b


@export()
@tensor_first
def diff(input: Any, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None, *, out: Any = None) -> Any:
    """The ``n``-th differences of neighbours along ``dim``, which is ``n`` shorter
    (https://docs.pytorch.org/docs/stable/generated/torch.diff.html).

    ``prepend`` and ``append`` are joined to the input before. Of truth values a difference is whether they differ.

    Raises:
        RuntimeError: ``n`` is negative, or the input has no dimension.
        IndexError: ``dim`` is no dimension of the input.
    """
    t = input._ty
    if t.ndim == 0:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    d = wrap_dim(dim, t.ndim)
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    for extra in (prepend, append):
        if extra is not None and extra._ty.ndim != t.ndim:
            raise RuntimeError("diff expects prepend or append to be the same dimension as input")
        if extra is not None:
            _check_beside(t.shape, extra._ty.shape, d)
    if n == 0:
        return into(input.new_zeros(input.shape).copy_(input), out, "diff")
    x = _extended(input, prepend, append, d)
    n = min(n, x._ty.shape[d])
    for _ in range(n):
        x = _step(x, d) if x._ty.shape[d] else x
    return into(x, out, "diff")


def _check_beside(shape: tuple[int, ...], other: tuple[int, ...], dim: int) -> None:
    """Raises unless the sizes are equal in all other dimensions than ``dim``."""
    for d, (n, m) in enumerate(zip(shape, other)):
        if d != dim and n != m:
            raise RuntimeError(
                "diff expects the shape of tensor to prepend or append to match that of input except along the "
                f"differencing dimension; input.size({d}) = {n}, but got tensor.size({d}) = {m}"
            )


def _extended(x: Any, before: Any, after: Any, dim: int) -> Any:
    from .joining import cat

    parts = [p for p in (before, x, after) if p is not None]
    return x if len(parts) == 1 else cat(parts, dim)


# ---- trapezoids

_SAMPLED = ("(Tensor y, Tensor x, *, int dim = -1)", "(Tensor y, *, Number dx = 1, int dim = -1)")


def _check_samples(name: str, y: Any, x: Any) -> None:
    if y._ty.dtype is bool_ or (x is not None and x._ty.dtype is bool_):
        raise RuntimeError(
            f"{name}: received a bool input for `{'y' if y._ty.dtype is bool_ else 'x'}`, but bool is not supported"
        )


MUL_NUMBER = Operator("mul", MUL.infer, MUL.lower, lambda f, g: (g * f.saved(1), None), ((1, (0,)),), "MulBackward1")
DIV_NUMBER = Operator("div", DIV.infer, DIV.lower, lambda f, g: (g / f.saved(1), None), ((1, (0,)),), "DivBackward1")


def _by_number(op: Operator, x: Any, value: float) -> Any:
    """A product or quotient with a number, whose backward node has a name of its own."""
    return call(op, (x, value))


def _half(name: str, dx: Any) -> Any:
    """Half of the distance between samples, which a tensor of one number may stand for."""
    dx = dx.item() if is_tensor(dx) else dx
    if isinstance(dx, complex):
        raise RuntimeError(f"{name}: Currently, we only support dx as a real number.")
    return 0.5 if dx is None else dx / 2.0


def _sides(y: Any, dim: int) -> Any:
    """The sums of neighbours."""
    n = y._ty.shape[dim]
    return y.narrow(dim, 0, n - 1) + y.narrow(dim, 1, n - 1)


def _widths(y: Any, x: Any, dim: int) -> Any:
    if x._ty.ndim == 1 and y._ty.ndim > 1:
        w = x.narrow(0, 1, x._ty.shape[0] - 1) - x.narrow(0, 0, x._ty.shape[0] - 1)
        return w.view([-1 if d == dim else 1 for d in range(y._ty.ndim)])
    d = dim - y._ty.ndim + x._ty.ndim
    n = x._ty.shape[d]
    return x.narrow(d, 1, n - 1) - x.narrow(d, 0, n - 1)


def _sampled(name: str, y: Any, x: Any, dx: Any, dim: int) -> int:
    if x is not None and dx is not None:
        raise invalid_arguments(name, (y,), {"dx": dx, "x": x}, *_SAMPLED)
    _check_samples(name, y, x)
    d = wrap_dim(dim, y._ty.ndim)
    if x is not None:
        have = x._ty.shape[0] if x._ty.ndim == 1 else x._ty.shape[dim] if x._ty.ndim else None
        if have is None:
            raise RuntimeError(f"{name}: There must be one `x` value for each sample point")
        if have != y._ty.shape[d] and (have != 1 or x._ty.ndim == 1):
            raise RuntimeError(f"{name}: There must be one `x` value for each sample point")
    return d


@export("trapz", method=False)
def trapezoid(y: Any, x: Any = None, *, dx: Any = None, dim: int = -1) -> Any:
    """The integral along ``dim`` by the trapezoidal rule, at points ``x`` or ``dx`` apart."""
    d = _sampled("trapezoid", y, x, dx, dim)
    if y._ty.shape[d] == 0:
        return y.new_zeros([n for k, n in enumerate(y._ty.shape) if k != d])
    if x is None:
        return _by_number(MUL_NUMBER, _sides(y, d).sum(d), _half("trapezoid", dx))
    return _by_number(DIV_NUMBER, (_sides(y, d) * _widths(y, x, d)).sum(d), 2.0)


@export(method=False)
def cumulative_trapezoid(y: Any, x: Any = None, *, dx: Any = None, dim: int = -1) -> Any:
    """The running integral along ``dim`` by the trapezoidal rule."""
    d = _sampled("cumulative_trapezoid", y, x, dx, dim)
    if y._ty.shape[d] == 0:
        return y.new_zeros(y._ty.shape)
    if x is None:
        return _by_number(MUL_NUMBER, _sides(y, d), _half("cumulative_trapezoid", dx)).cumsum(d)
    return _by_number(DIV_NUMBER, (_sides(y, d) * _widths(y, x, d)).cumsum(d), 2.0)


# ---- gradient


@function()
def gradient(input: Any, *, spacing: Any = 1, dim: Any = None, edge_order: int = 1) -> Any:
    """Central differences along each of ``dim``; a tuple of tensors.

    ``spacing`` is one number, one a dimension, or the coordinates of each dimension.
    """
    if edge_order not in (1, 2):
        raise RuntimeError("torch.gradient only supports edge_order=1 and edge_order=2.")
    dims = wrap_dims(dim, input._ty.ndim)
    steps = _steps(input, spacing, dim, len(dims))
    for d in dims:
        if input._ty.shape[d] < edge_order + 1:
            raise RuntimeError("torch.gradient expected each dimension size to be at least edge_order+1")
    return tuple([_slope(input, h, d, edge_order) for h, d in zip(steps, dims)])


def _steps(x: Any, spacing: Any, dim: Any, n: int) -> list[Any]:
    """The spacing of each dimension: a number or coordinates."""
    if spacing is None or is_number(spacing):
        return [1 if spacing is None else spacing] * n
    if is_tensor(spacing) and spacing._ty.ndim == 0:
        return [spacing.item()] * n
    steps = list(spacing)
    if len(steps) == n:
        return steps
    if dim is None:
        raise RuntimeError(
            "torch.gradient expected spacing to be unspecified, a scalar, or a list of length equal to 'self.dim() "
            f"= {x._ty.ndim}', since dim argument was not given, but got a list of length {len(steps)}"
        )
    raise RuntimeError(
        "torch.gradient expected spacing to be unspecified, a scalar or it's spacing and dim arguments to have the "
        f"same length, but got a spacing argument of length {len(steps)} and a dim argument of "
        f"length {n}."
    )


def _slope(x: Any, h: Any, dim: int, edge_order: int) -> Any:
    """Differences to both sides inside, one-sided ones at the two ends."""
    from .joining import cat

    n = x._ty.shape[dim]
    ends = _even_ends if not is_tensor(h) else _uneven_ends
    h = _gaps(x, h, dim, n) if is_tensor(h) else h
    left, right = ends(x, h, dim, n, edge_order)
    if n == 2:
        return cat([left, right], dim)
    a, b, c = [x.narrow(dim, k, n - 2) for k in range(3)]
    if not is_tensor(h):
        return cat([left, (c - a) / (2 * h), right], dim)
    p, q = h.narrow(dim, 0, n - 2), h.narrow(dim, 1, n - 2)
    inner = -q / (p * (p + q)) * a + (q - p) / (p * q) * b + p / (q * (p + q)) * c
    return cat([left, inner, right], dim)


def _even_ends(x: Any, h: Any, dim: int, n: int, edge_order: int) -> tuple[Any, Any]:
    if edge_order == 1:
        return (_at(x, dim, 1) - _at(x, dim, 0)) / h, (_at(x, dim, n - 1) - _at(x, dim, n - 2)) / h
    left = -1.5 / h * _at(x, dim, 0) + 2.0 / h * _at(x, dim, 1) - 0.5 / h * _at(x, dim, 2)
    right = 0.5 / h * _at(x, dim, n - 3) - 2.0 / h * _at(x, dim, n - 2) + 1.5 / h * _at(x, dim, n - 1)
    return left, right


def _uneven_ends(x: Any, h: Any, dim: int, n: int, edge_order: int) -> tuple[Any, Any]:
    if edge_order == 1:
        return (
            (_at(x, dim, 1) - _at(x, dim, 0)) / _at(h, dim, 0),
            (_at(x, dim, n - 1) - _at(x, dim, n - 2)) / _at(h, dim, n - 2),
        )
    p, q = _at(h, dim, 0), _at(h, dim, 1)
    left = (
        -(2 * p + q) / (p * (p + q)) * _at(x, dim, 0)
        + (p + q) / (p * q) * _at(x, dim, 1)
        - p / (q * (p + q)) * _at(x, dim, 2)
    )
    p, q = _at(h, dim, n - 3), _at(h, dim, n - 2)
    right = q / (p * (p + q)) * _at(x, dim, n - 3) - (p + q) / (p * q) * _at(x, dim, n - 2)
    return left, right + (2 * q + p) / (q * (p + q)) * _at(x, dim, n - 1)


def _at(x: Any, dim: int, k: int) -> Any:
    return x.narrow(dim, k, 1)


def _gaps(x: Any, h: Any, dim: int, n: int) -> Any:
    """The distances of neighbours along ``dim``, from their coordinates."""
    w = h.narrow(0, 1, n - 1) - h.narrow(0, 0, n - 1)
    return w.reshape([-1 if d == dim else 1 for d in range(x._ty.ndim)])


# ---- covariance


@export()
@tensor_first
def cov(input: Any, *, correction: int = 1, fweights: Any = None, aweights: Any = None) -> Any:
    """The covariance matrix of the variables in the rows of (variables, observations)
    (https://docs.pytorch.org/docs/stable/generated/torch.cov.html).

    ``correction`` is taken from the number of observations; ``fweights`` (integers) say how often each was made,
    ``aweights`` (floats) how much it counts.

    Raises:
        RuntimeError: the input has more than two dimensions, or weights have another number than observations.
    """
    _check_variables(input, fweights, aweights)
    x = input.view(1, -1) if input._ty.ndim < 2 else input
    n = x._ty.shape[1]
    w = fweights
    if aweights is not None:
        w = aweights if fweights is None else fweights * aweights
    total = n if w is None else w.sum()
    mean = (x if w is None else x * w).sum(1) / total
    spread = total - correction
    if w is not None and aweights is not None and correction:
        spread = total - correction * (w * aweights).sum() / total
    x = x - mean.unsqueeze(1)
    y = (x if w is None else x * w).t()
    c = x @ (y.conj_physical() if y._ty.dtype.is_complex else y)
    return c.true_divide(spread if is_tensor(spread) else max(spread, 0)).squeeze()


def _check_variables(x: Any, fweights: Any, aweights: Any) -> None:
    if x._ty.ndim > 2:
        raise RuntimeError(
            f"cov(): expected input to have two or fewer dimensions but got an input with {x._ty.ndim} dimensions"
        )
    if x._ty.dtype is bool_:
        raise RuntimeError("cov(): bool dtype is not supported for input")
    n = x._ty.shape[-1] if x._ty.ndim else 1
    for name, w, kinds in (("fweights", fweights, "ui"), ("aweights", aweights, "f")):
        if w is None:
            continue
        if w._ty.ndim > 1:
            raise RuntimeError(
                f"cov(): expected {name} to have one or fewer dimensions but got {name} with {w._ty.ndim} dimensions"
            )
        if w._ty.dtype.kind not in kinds:
            raise RuntimeError(
                f"cov(): expected {name} to have "
                f"{'integral' if kinds == 'ui' else 'floating point'} dtype but got "
                f"{name} with {SCALAR_NAMES[w._ty.dtype]} dtype"
            )
        if w._ty.numel != n:
            raise RuntimeError(
                f"cov(): expected {name} to have the same numel as there are observations in the "
                f"input but got "
                f"{w._ty.numel} != {n}"
            )
        if not w._ty.meta and (w < 0).any():
            raise RuntimeError(f"cov(): {name} cannot be negative")


@export()
@tensor_first
def corrcoef(input: Any) -> Any:
    """The matrix of correlation coefficients of the variables in the rows."""
    if input._ty.ndim > 2:
        raise RuntimeError(
            "corrcoef(): expected input to have two or fewer dimensions but got an input with "
            f"{input._ty.ndim} dimensions"
        )
    c = input.cov()
    if c._ty.ndim == 0:
        return c / c
    deviation = (c.diag().real if c._ty.dtype.is_complex else c.diag()).sqrt()
    c = c / deviation.view(-1, 1) / deviation.view(1, -1)
    return c if c._ty.dtype.is_complex else c.clip(-1, 1)
