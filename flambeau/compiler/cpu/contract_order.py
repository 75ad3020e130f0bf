"""In which order a contraction adds, as far as labels and sizes say it, without its loops.

Loops are made where a contraction is compiled (``contract_plan``, ``contract_packing``); what runs a program that was
planned before asks this alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import prod
from typing import Any

from ..ir import Value

STRIDED = 0.02  # how well a loop suits vectors whose elements lie apart
LEAST = 1 << 19  # products below which nothing is packed
FEWEST = 24  # rows that a panel must serve
DEEP = 8  # products of a result, at least


def domain_labels(v: Value) -> str:
    """A contraction's labels in the order of its loops: those of the result, then those that it sums over."""
    return labels_of(*v.params)


@lru_cache(1000)
def labels_of(la: str, lb: str, out: str) -> str:
    """``domain_labels`` of a contraction with these."""
    return out + "".join(dict.fromkeys([c for c in la + lb if c not in out]))


def candidates(
    v: Value, kept: list[Any], gone: list[Any], lanes: int, sizes: Mapping[str, int] | None = None
) -> list[Any]:
    """The loops that may run in vectors. Where it is sums, their order must not depend on how operands lie in memory.

    Products that samples may run through as lanes (``batch``) are added one by one. ``sizes``: of the labels, if they
    are not those of ``v``.
    """
    la, lb, out = v.params
    if v.name == "ordered" or sees_windows(v) and out[:1] in (la[:1], lb[:1]):
        return kept
    if not kept or not gone:
        return kept + gone
    return gone[-1:] if adds_lanes(v, lanes, sizes) else kept


def sizes_of(v: Value) -> dict[str, int]:
    """The sizes of a contraction's labels."""
    return {c: n for a, labels in zip(v.args, v.params) for c, n in zip(labels, a.shape)}


def form(v: Value) -> tuple[Any, ...]:
    """What, beside its loops, the order of a contraction's sums depends on."""
    return v.params, tuple([(a.shape, a.params if a.name == "window" else None) for a in v.args])


def adds_lanes(v: Value, lanes: int, sizes: Mapping[str, int] | None = None) -> bool:
    """Does the last loop of sums suit vectors best? By shapes alone, as if operands lay in memory row by row."""
    sizes = sizes_of(v) if sizes is None else sizes
    last, kept, gone = _loops_in_memory(v)
    if not last or sizes[last] == 1:
        return False
    used = [used_by(sizes[c], lanes) * suits for c, suits in kept if sizes[c] > 1]
    return of_sums(sizes[last], prod([sizes[c] for c in gone]), lanes) > max(used, default=STRIDED)


def decisive(v: Value) -> frozenset[str]:
    """The labels whose sizes ``adds_lanes`` asks for."""
    last, kept, gone = _loops_in_memory(v)
    return frozenset([last, *gone, *[c for c, _ in kept]]) if last else frozenset()


def _loops_in_memory(v: Value) -> tuple[str, list[tuple[str, float]], list[str]]:
    """``_in_memory`` of operands that lie as their shapes say."""
    la, lb, out = v.params
    return _in_memory(la, lb, out, _beside(v.args[0], la), _beside(v.args[1], lb))


@lru_cache(1000)
def _in_memory(
    la: str, lb: str, out: str, first: str, second: str
) -> tuple[str, list[tuple[str, float]], list[str]]:  # fmt: skip
    """The last loop of sums, if it may run in vectors; the kept ones that may, with how well they suit; all of sums.

    ``first`` and ``second``: the labels along which neighbours lie beside each other in the operands.
    """
    beside = (la, first), (lb, second)
    gone = [c for c in labels_of(la, lb, out) if c not in out]
    last = gone[-1] if gone and gone[-1] in first and gone[-1] in second else ""
    kept = [(c, 1 if c == out[-1] else 0.4) for c in out if all(c in found or c not in own for own, found in beside)]
    return last, kept, gone


def _beside(a: Value, labels: str) -> str:
    """The labels along which neighbours lie beside each other, in memory that is as the shape says."""
    if a.kind != "view" or a.name != "window":
        return labels[-1:]
    dims, _, strides, dilations = a.params
    last = a.args[0].ndim - 1
    if last not in dims:
        return labels[last]
    k = dims.index(last)
    return (labels[last] if strides[k] == 1 else "") + (labels[last + 1 + k] if dilations[k] == 1 else "")


def sees_windows(v: Value) -> bool:
    """Is an operand seen through windows?"""
    return any(a.kind == "view" and a.name == "window" for a in v.args)


def of_sums(size: int, products: int, lanes: int) -> float:
    """How well a reduced loop runs in vectors, which are added up at the end."""
    each = products / lanes  # vectors a result is made of
    return 0.9 * used_by(size, lanes) * each / (each + 4)


def used_by(size: int, lanes: int) -> float:
    """Which part of all lanes is used."""
    return size / (-(-size // lanes) * lanes)


def of_matrices(m: int, n: int, k: int, products: int, lanes: int) -> bool:
    """Does it for products of matrices, so many in all?"""
    fits = any(rows >= FEWEST and size * 2 >= lanes for rows, size in ((m, n), (n, m)))
    return fits and k >= DEEP and products >= LEAST
