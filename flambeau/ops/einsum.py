"""``einsum``, ``tensordot`` and what is built on them, as batched matrix products.

The steps are PyTorch's: operands are permuted to common dimensions, contracted from left to right.
"""

from __future__ import annotations

import warnings
from collections import Counter
from math import prod
from typing import Any

from ..dtypes import C_NAMES
from ..graph.node import Operator
from ._matrices import check_one_dtype
from ._registry import call, function, into, is_tensor, wrap_dim
from .matrix_products import BMM, mm

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ELLIPSIS = "."


def contract_pair(x: Any, y: Any, dims: tuple[int, ...]) -> Any:
    """The broadcast product of two tensors of as many dimensions, summed over ``dims`` (kept with size 1)."""
    if not dims:
        return x * y
    a, b = x._ty.shape, y._ty.shape
    n = len(a)
    for d in dims:
        if a[d] != 1 and b[d] == 1:
            x = _summed(x, d)
        elif a[d] == 1 and b[d] != 1:
            y = _summed(y, d)
    rest = [d for d in range(n) if d not in dims]
    both = [d for d in rest if a[d] != 1 and b[d] != 1]
    left = [d for d in rest if a[d] != 1 and b[d] == 1]
    right = [d for d in rest if a[d] == 1]
    summed = list(dims)
    return _product(x, y, both, left, summed, right)


def _summed(x: Any, dim: int) -> Any:
    return x.sum(dim, True, dtype=x._ty.dtype)


def _product(x: Any, y: Any, both: list[int], left: list[int], summed: list[int], right: list[int]) -> Any:
    a, b = x._ty.shape, y._ty.shape
    batch, rows, inner, cols = [prod(s[d] for d in dims) for s, dims in ((a, both), (a, left), (a, summed), (b, right))]
    p = x.permute([*both, *left, *summed, *right]).reshape((batch, rows, inner))
    q = y.permute([*both, *summed, *right, *left]).reshape((batch, inner, cols))
    z = call(BMM, (p, q), (False, False))
    shape = [a[d] for d in (*both, *left)] + [1] * len(summed) + [b[d] for d in right]
    order = [0] * len(a)
    for i, d in enumerate((*both, *left, *summed, *right)):
        order[d] = i
    return z.view(shape).permute(order)


# ---- the equation


def _subscripts(equation: str, start: int, stop: int, where: str, dots: str) -> list[str]:
    """One character a subscript of a part of the equation, ``ELLIPSIS`` for three dots; ``dots`` says that there are
    some already.

    Raises:
        RuntimeError: another character, or dots that are not three.
    """
    out: list[str] = []
    i = start
    while i < stop:
        c = equation[i]
        if c == ".":
            if ELLIPSIS in out:
                raise RuntimeError(f"einsum(): found '.' for {where} {dots} already found")
            if equation[i : min(i + 3, stop)] != "...":
                named = " (...)" if where == "output" else ""
                raise RuntimeError(f"einsum(): found '.' for {where} that is not part of any ellipsis{named}")
            out.append(ELLIPSIS)
            i += 2
        elif c in LETTERS:
            out.append(c)
        elif c != " ":
            raise RuntimeError(
                f"einsum(): invalid subscript given at index {i} in the equation string, subscripts must be in [a-zA-Z]"
            )
        i += 1
    return out


_NO_OPERAND = (
    "einsum(): must specify the equation string and at least one operand, "
    "or at least one operand and its subscripts list"
)


def _parse(equation: str, tensors: list[Any]) -> tuple[list[list[str]], list[str] | None]:
    left, arrow, _ = equation.partition("->")
    parts = left.split(",")
    if len(parts) < len(tensors):
        raise RuntimeError("einsum(): more operands were provided than specified in the equation")
    if len(parts) > len(tensors):
        raise RuntimeError("einsum(): fewer operands were provided than specified in the equation")
    inputs, at = [], 0
    for i, part in enumerate(parts):
        stop = at + len(part)
        inputs.append(_subscripts(equation, at, stop, f"operand {i}", "for which an ellipsis was"))
        at = stop + 1
    if not arrow:
        return inputs, None
    return inputs, _subscripts(equation, at + 1, len(equation), "output", "but an ellipsis (...) was")


def _ellipsis_size(inputs: list[list[str]], tensors: list[Any]) -> int:
    """The number of dimensions that the ellipsis stands for."""
    size = 0
    for i, (labels, x) in enumerate(zip(inputs, tensors)):
        named = len(labels) - (ELLIPSIS in labels)
        n = x._ty.ndim
        if ELLIPSIS in labels:
            if named > n:
                raise RuntimeError(
                    f"einsum(): the number of subscripts in the equation ({named}) is more than the number of "
                    f"dimensions ({n}) for operand {i}"
                )
            size = max(size, n - named)
        elif named != n:
            raise RuntimeError(
                f"einsum(): the number of subscripts in the equation ({named}) does not match the number of "
                f"dimensions ({n}) for operand {i} and no ellipsis was given"
            )
    return size


def _output(inputs: list[list[str]], output: list[str] | None) -> list[str]:
    """The subscripts of the result; without an arrow those that appear once, in order."""
    counts = Counter(c for labels in inputs for c in labels)
    if output is None:
        lead = [ELLIPSIS] if ELLIPSIS in counts else []
        return lead + [c for c in LETTERS if counts[c] == 1]
    for c in output:
        if c != ELLIPSIS and c not in counts:
            raise RuntimeError(f"einsum(): output subscript {c} does not appear in the equation for any input operand")
        if output.count(c) > 1:
            raise RuntimeError(f"einsum(): output subscript {c} appears more than once in the output")
    return output


def _check_sizes(inputs: list[list[str]], tensors: list[Any], dots: int) -> None:
    sizes: dict[str, int] = {}
    covered = [1] * dots
    for i, (labels, x) in enumerate(zip(inputs, tensors)):
        own: dict[str, int] = {}
        at = 0
        for c in labels:
            if c == ELLIPSIS:
                n = x._ty.ndim - len(labels) + 1
                _check_covered(covered, i, at, x._ty.shape[at : at + n])
                at += n
                continue
            n, have = x._ty.shape[at], sizes.get(c, 1)
            if own.setdefault(c, n) != n:
                raise RuntimeError(
                    f"einsum(): subscript {c} is repeated for operand {i} but the sizes don't match, {n} != {own[c]}"
                )
            if n != 1 and have not in (1, n):
                raise RuntimeError(
                    f"einsum(): subscript {c} has size {n} for operand {i} which does not broadcast with "
                    f"previously seen size {have}"
                )
            sizes[c] = n if have == 1 else have
            at += 1


def _check_covered(covered: list[int], operand: int, at: int, shape: tuple[int, ...]) -> None:
    """Raises if the dimensions under an operand's ellipsis, from ``at`` on, do not broadcast with ``covered``, those of
    the operands before it, and notes them there."""
    first = len(covered) - len(shape)
    for k, n in enumerate(shape):
        have = covered[first + k]
        if n != 1 and have not in (1, n):
            raise RuntimeError(
                f"einsum(): dimension {at + k} covered by ellipsis in operand {operand}has size {n} which does not "
                f"broadcast with previously seen ellipsis with size {have} for the respective dimension"
            )
        covered[first + k] = n if have == 1 else have


def _aligned(x: Any, labels: list[str], order: list[str], dots: int) -> Any:
    """The operand with one dimension for each of ``order``, of size 1 where it has none; diagonals taken."""
    names: list[Any] = []
    for c in labels:
        if c == ELLIPSIS:
            n = x._ty.ndim - len(labels) + 1
            names += [(ELLIPSIS, dots - n + k) for k in range(n)]
        else:
            names.append(c)
    for c in [c for c in dict.fromkeys(names) if names.count(c) > 1]:
        while names.count(c) > 1:
            first = names.index(c)
            second = names.index(c, first + 1)
            x = x.diagonal(0, first, second).movedim(-1, first)
            del names[second]
    missing = [c for c in order if c not in names]
    for c in missing:
        x = x.unsqueeze(x._ty.ndim)
        names.append(c)
    return x.permute([names.index(c) for c in order])


@function()
def einsum(*args: Any) -> Any:
    """Sums of products of operands by an equation such as ``"bij,bjk->bik"``, or by sublists of integers
    (https://docs.pytorch.org/docs/stable/generated/torch.einsum.html). Operands are contracted from left to right.

    Raises:
        RuntimeError: the equation is malformed or does not fit the operands.
    """
    if len(args) < 2:
        raise ValueError(_NO_OPERAND)
    equation, tensors = _arguments(args)
    if not tensors:
        raise ValueError(_NO_OPERAND)
    inputs, output = _parse(equation, tensors)
    dots = _ellipsis_size(inputs, tensors)
    output = _output(inputs, output)
    _check_sizes(inputs, tensors, dots)
    return _evaluate(inputs, output, tensors, dots)


def _arguments(args: tuple[Any, ...]) -> tuple[str, list[Any]]:
    if is_tensor(args[0]):
        return _from_sublists(args)
    tensors = args[1:]
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tuple(tensors[0])
    return args[0], list(tensors)


def _letter(subscript: int) -> str:
    if subscript >= 0 and subscript < len(LETTERS):
        return LETTERS[subscript]
    raise ValueError("einsum(): subscript in subscript list is not within the valid range [0, 52)")


def _from_sublists(args: tuple[Any, ...]) -> tuple[str, list[Any]]:
    def text(sublist: Any) -> str:
        return "".join("..." if s is Ellipsis else _letter(s) for s in sublist)

    pairs = len(args) // 2
    left = ",".join(text(args[2 * k + 1]) for k in range(pairs))
    return left + ("->" + text(args[-1]) if len(args) % 2 else ""), [args[2 * k] for k in range(pairs)]


def _evaluate(inputs: list[list[str]], output: list[str], tensors: list[Any], dots: int) -> Any:
    kept: list[Any] = []
    for c in output:
        kept += [(ELLIPSIS, k) for k in range(dots)] if c == ELLIPSIS else [c]
    seen = {c for labels in inputs for c in labels}
    summed: list[Any] = [] if ELLIPSIS in output else [(ELLIPSIS, k) for k in range(dots)]
    summed += [c for c in LETTERS if c in seen and c not in output]
    order = kept + summed
    operands = [_aligned(x, labels, order, dots) for x, labels in zip(tensors, inputs)]
    out = _contract_all(operands, len(kept))
    if not summed:
        return out
    if len(operands) == 1:
        return out.sum(list(range(len(kept), len(order))))
    return out.view(out._ty.shape[: len(kept)])


def _contract_all(operands: list[Any], kept: int) -> Any:
    """The operands multiplied from left to right; a dimension is summed when no other operand has it."""
    total = operands[0]
    n = total._ty.ndim
    users = [sum(x._ty.shape[d] != 1 for x in operands) for d in range(n)]
    for x in operands[1:]:
        dims, lone_total, lone_x = [], [], []
        for d in range(kept, n):
            in_total, in_x = total._ty.shape[d] != 1, x._ty.shape[d] != 1
            if in_total and in_x:
                users[d] -= 1
                if users[d] == 1:
                    dims.append(d)
            elif users[d] == 1 and (in_total or in_x):
                (lone_total if in_total else lone_x).append(d)
        total = total.sum(lone_total, True) if lone_total else total
        x = x.sum(lone_x, True) if lone_x else x
        total = contract_pair(total, x, tuple(dims))
    return total


# ---- tensordot, bilinear, chains


@function()
def tensordot(a: Any, b: Any, dims: Any = 2, out: Any = None) -> Any:
    """Sums of products over the last ``dims`` dimensions of ``a`` and the first of ``b``, or over two lists.

    Raises:
        RuntimeError: the contracted sizes differ.
    """
    da, db = _contracted(a, b, dims)
    if len(da) != len(db):
        raise RuntimeError("both dimension lists should have same length")
    if a._ty.dtype is not b._ty.dtype:
        raise RuntimeError("both inputs should have same dtype")
    for i, j in zip(da, db):
        n, m = a._ty.shape[i], b._ty.shape[j]
        if n != m and 1 not in (n, m):
            raise RuntimeError(
                f"contracted dimensions need to match, but first has size {n} in dim {i} and second has size "
                f"{m} in dim {j}"
            )
    return into(_tensordot(a, b, da, db), out, "tensordot")


def _contracted(a: Any, b: Any, dims: Any) -> tuple[list[int], list[int]]:
    if hasattr(dims, "tolist"):
        dims = dims.tolist()
    if isinstance(dims, (tuple, list)):
        first, second = [[d] if isinstance(d, int) else list(d) for d in dims]
        return first, second
    if dims < 0:
        raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
    if dims > min(a._ty.ndim, b._ty.ndim):
        raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
    return list(range(-dims, 0)), list(range(dims))


def _tensordot(a: Any, b: Any, da: list[int], db: list[int]) -> Any:
    da, db = [wrap_dim(d, a._ty.ndim) for d in da], [wrap_dim(d, b._ty.ndim) for d in db]
    for i, j in zip(da, db):
        if b._ty.shape[j] == 1 != a._ty.shape[i]:
            a = _summed(a, i)
        elif a._ty.shape[i] == 1 != b._ty.shape[j]:
            b = _summed(b, j)
    rows = [d for d in range(a._ty.ndim) if d not in da]
    cols = [d for d in range(b._ty.ndim) if d not in db]
    sa, sb = a._ty.shape, b._ty.shape
    inner = prod(sa[d] for d in da)
    p = a.permute(rows + da).reshape((prod(sa[d] for d in rows), inner))
    q = b.permute(db + cols).reshape((inner, prod(sb[d] for d in cols)))
    return mm(p, q).reshape([sa[d] for d in rows] + [sb[d] for d in cols])


@function()
def bilinear(input1: Any, input2: Any, weight: Any, bias: Any = None) -> Any:
    """``input1 @ weight[k] @ input2`` for each k: (*, n), (*, m), weight (out, n, m) -> (*, out).

    Raises:
        RuntimeError: the sizes do not go together.
    """
    a, b, w = input1._ty, input2._ty, weight._ty
    if a.ndim != b.ndim:
        raise RuntimeError(f"bilinear(): input dimensions do not match: got {a.ndim} and {b.ndim}")
    for i in range(a.ndim - 1):
        if a.shape[i] != b.shape[i]:
            raise RuntimeError(
                f"bilinear(): input batch dimensions do not match at dim {i}: got {a.shape[i]} and {b.shape[i]}"
            )
    for k, t in ((1, a), (2, b)):
        if t.shape[-1] != w.shape[k]:
            raise RuntimeError(
                f"bilinear(): input{k} size does not match weight size: got {t.shape[-1]} but expected {w.shape[k]}"
            )
    if bias is not None and bias._ty.shape[0] != w.shape[0]:
        raise RuntimeError(
            f"bilinear(): bias size does not match weight size: got {bias._ty.shape[0]} but expected {w.shape[0]}"
        )
    _check_bilinear_dtypes(input1, input2, weight, bias)
    lead = a.shape[:-1]
    x, y = [v.reshape((prod(lead), v._ty.shape[-1])) for v in (input1, input2)]
    z = _trilinear(x, weight, y).reshape((*lead, w.shape[0]))
    return z if bias is None else z + bias


def _check_bilinear_dtypes(input1: Any, input2: Any, weight: Any, bias: Any) -> None:
    given = {"input1": input1, "input2": input2, "weight": weight}
    if bias is not None:
        given["bias"] = bias
    if len({t._ty.dtype for t in given.values()}) > 1:
        said = ", ".join(f"{name}: {C_NAMES[t._ty.dtype]}" for name, t in given.items())
        raise RuntimeError(f"All tensors must have the same dtype, got {said}")


def _trilinear(x: Any, w: Any, y: Any) -> Any:
    """``out[b, o] = sum x[b, i] w[o, i, j] y[b, j]``."""
    return call(TRILINEAR, (x, w, y))


def _trilinear_lower(b: Any, attrs: Any, x: Any, w: Any, y: Any) -> Any:
    return b.contract("boj,bj->bo", b.contract("bi,oij->boj", x, w), y)


def _trilinear_vjp(f: Any, g: Any) -> tuple[Any, Any, Any]:
    x, w, y = f.saved(0), f.saved(1), f.saved(2)
    return (
        einsum("bo,oij,bj->bi", g, w, y) if f.needs(0) else None,
        einsum("bo,bi,bj->oij", g, x, y) if f.needs(1) else None,
        einsum("bo,oij,bi->bj", g, w, x) if f.needs(2) else None,
    )


def _trilinear_ty(tys: Any, attrs: Any) -> Any:
    from ..graph.types import ty

    x, w, _ = tys
    return ty((x.shape[0], w.shape[0]), x.dtype)


TRILINEAR = Operator(
    "_trilinear", _trilinear_ty, _trilinear_lower, _trilinear_vjp, tuple((k, (0, 1, 2)) for k in range(3))
)


@function()
def chain_matmul(*matrices: Any, out: Any = None) -> Any:
    """The product of several matrices, multiplied in the cheapest order.

    Raises:
        RuntimeError: one is not a matrix.
    """
    if len(matrices) == 1 and isinstance(matrices[0], (list, tuple)):
        matrices = tuple(matrices[0])
    if not matrices:
        raise RuntimeError("chain_matmul(): Expected one or more matrices")
    for x in matrices:
        if x._ty.ndim != 2:
            raise RuntimeError(f"Tensor dimension is {x._ty.ndim}, expected 2 instead.")
    if len(matrices) == 1:
        return matrices[0]
    warnings.warn(
        "torch.chain_matmul is deprecated and will be removed in a future PyTorch release. Use torch.linalg.multi_dot "
        "instead, which accepts a list of two or more tensors rather than multiple parameters.",
        stacklevel=2,
    )
    check_one_dtype(matrices)
    y = _cheapest(matrices)
    return into(y.view(y._ty.shape), out, "chain_matmul")


def _cheapest(xs: tuple[Any, ...]) -> Any:
    """The product in the order of the fewest multiplications."""
    sizes = [x._ty.shape[0] for x in xs] + [xs[-1]._ty.shape[1]]
    n = len(xs)
    best: dict[tuple[int, int], tuple[int, int]] = {(i, i + 1): (0, i) for i in range(n)}
    for length in range(2, n + 1):
        for i in range(n - length + 1):
            j = i + length
            best[i, j] = min(
                (best[i, k][0] + best[k, j][0] + sizes[i] * sizes[k] * sizes[j], k) for k in range(i + 1, j)
            )

    def multiply(i: int, j: int) -> Any:
        if j == i + 1:
            return xs[i]
        k = best[i, j][1]
        return mm(multiply(i, k), multiply(k, j))

    return multiply(0, n)
