"""Kernels of loop nests, generated once for all nests that differ only in which values they read and write.

The layers of a network, and the steps of a recurrent one, are the same nests over other arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..ir import Value
from ..loops import Nest, Node
from . import contract, contract_order, nest
from .nest_loops import Kernel
from .recurrence import Walk
from .recurrence_kernel import names, text_of
from .recurrence_parts import lasting, text_of_parts
from .target import Target

MOST = 10_000  # kernels that are remembered

_known: dict[Any, tuple[Kernel, list[tuple[int, bool]]]] = {}


def kernel(n: Nest, target: Target) -> Kernel:
    """The kernel of a nest, by the contract generator or the nest generator."""
    if isinstance(n, Walk):
        return _of_parts(n, target) if n.laid.part else _of_rows(n, target)
    values: dict[Value, int] = {}
    key = target, *_shape(n, values)
    known = _known.get(key)
    if known is None:
        if len(_known) >= MOST:
            _known.clear()
        k = _generated(n, target)
        bare = replace(k, nest=Nest([], []), operands=[])  # what is remembered must not keep a program's values alive
        _known[key] = bare, [(values[v], written) for v, written in k.operands]
        return k
    k, operands = known
    order = list(values)
    return replace(k, nest=n, operands=[(order[i], written) for i, written in operands])


def _of_rows(n: Walk, target: Target) -> Kernel:
    """The kernel of a recurrence that shares out rows."""
    laid, needed, operands = n.laid, n.needed, n.accesses
    local = frozenset([name for name, (v, _) in zip(names(laid, needed), operands) if v in n.local])
    text, workspace = text_of(laid, needed, n.dtype, target, local)
    numbers = laid.batch, laid.steps
    axis, chunk = (0, laid.rows // laid.how.group) if n.stores else (-1, 0)
    alone = axis < 0
    return Kernel("kernel", text, operands, n, axis, chunk, laid.chunks, workspace, alone, n.bases, numbers=numbers)


def _of_parts(n: Walk, target: Target) -> Kernel:
    """The kernel of a recurrence that shares out units, a segment for each step."""
    laid = n.laid
    text, workspace = text_of_parts(laid, n.needed, n.dtype, target)
    k = Kernel("kernel", text, n.accesses, n, -1, 0, laid.chunks, workspace, True, n.bases)
    size = lasting(laid, n.dtype.itemsize)
    return replace(k, numbers=(laid.batch, laid.steps), turns=laid.steps + 2, scratch=size)


def _generated(n: Nest, target: Target) -> Kernel:
    contracts = bool(n.reductions) and n.reductions[0].value.kind == "contract"
    return contract.generate(n, target) if contracts else nest.generate(n, target)


def _shape(n: Nest, values: dict[Value, int]) -> tuple[Any, ...]:
    """All of a nest but its values, which are numbered as they come: what its kernel depends on."""
    number = {node: k for k, node in enumerate(n.nodes)}

    def place(v: Value) -> tuple[Any, ...]:
        return values.setdefault(v, len(values)), v.dtype, n.local.get(v)

    def of(v: Value) -> tuple[Any, ...]:
        return (*place(v), v.kind, v.name, contract_order.form(v) if v.kind == "contract" else None)

    return (
        tuple(n.sizes),
        tuple(n.reduced),
        n.chunked,
        n.pieces,
        n.bands,
        [node.params.value.kind for node in n.nodes if node.op == "load"] == ["input"],  # see ``Loops.shortcut``
        tuple([_node(node, number, place) for node in n.nodes]),
        tuple([(of(r.value), number[r.node]) for r in n.reductions]),
        tuple([(number[s.node], of(s.value), s.address) for s in n.stores]),
        tuple([(number[r.node], r.size) for r in n.runtime]),
        None if n.serial is None else of(n.serial),
    )


def _node(node: Node, number: dict[Node, int], place: Callable[[Value], Any]) -> tuple[Any, ...]:
    params = node.params
    if node.op == "load":
        params = place(params.value), params.address, params.guards
    elif node.op in ("const", "pad"):
        params = repr(params)  # 0.0 and -0.0, True and 1 are equal, but not the same constant
    return node.op, node.name, tuple([number[a] for a in node.args]), params, node.dtype, node.axes, node.after
