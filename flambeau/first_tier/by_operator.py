"""The first tier: a program that has not been seen before runs operator by operator, with kernels for all sizes.

Each operator is planned once for the types that it meets (``compiler/cpu/first_tier``); a program is the list of its
operators. So a run costs some microseconds an operator, while planning and compiling costs some milliseconds an
operator: a program is compiled when that would have saved its runs as much (``paying``), or at once if one would cost
a quarter. What comes once is thus hardly ever compiled. Which tier runs follows from the program and from how often
it has run; the bits are the same in both.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextlib import suppress
from math import prod
from sys import getrefcount
from typing import TYPE_CHECKING, Any

import numpy as np

from .._collector import Hiding
from .._records import Record
from ..compiler import float8
from ..compiler import numpy as reference
from ..compiler.affine import row_major, seen_under
from ..compiler.builder import Builder
from ..compiler.cpu.first_tier.errors import UnsupportedError
from ..compiler.cpu.first_tier.present import CountingBuilder
from ..compiler.cpu.target import MissingCompiler
from ..compiler.ir import Value
from ..compiler.simplify import without_dead
from ..dtypes import bfloat16
from ..graph.node import LAYOUT, LEAF, PART, SCALAR, UPDATE, VIEW, Node, leaf_node
from ..graph.program import Program
from ..graph.realisation import exit_hooks
from ..graph.types import Ty, ty
from .more_samples import SPARED, Apart, of_fewer, with_more
from .moving import is_itself, moving, turned
from .paying import FEW, FREE, JOINED_AFTER, SHARE, Limited, worth
from .shared_plans import FUSED, UNIFORM, every_size, form_of, results

if TYPE_CHECKING:
    from ..compiler.cpu.first_tier.operators import Planned

# Seconds, about:
STEP = 4e-6  # of an operator
CALL = 1.5e-6  # of a call in it
ELEMENT = 1e-9  # of an element of a result
PRODUCT = 5e-11  # of a product of a contraction

LAID_OUT = 1 << 15  # elements from which on generated code copies what lies otherwise

Call = Callable[..., Any]


class Operator(Record):
    """How an operator is computed.

    Attributes:
        call: from the values of its inputs.
        work: the seconds that its elements and products take, about.
        calls: how many calls it is.
        strides: in elements, with which compiled code would find its value in memory; None where that cannot be told.
        sized: do its calls serve these sizes alone?
        held: sizes that it serves alone, where it serves all others.
        everywhere: is it the one of all nodes of its form (``shared_plans``)? Then its value lies row by row.
    """

    call: Call
    work: float
    calls: int
    strides: Any
    sized: bool = True
    held: frozenset[int] = frozenset()
    everywhere: bool = False


class FirstTier(Limited):
    """A program as a list of operators.

    Raises:
        UnsupportedError: an operator has no form in this tier, or a run would take too long.
    """

    def __init__(self, p: Program) -> None:
        order = p.order
        self.worth = worth(order)
        elements = sum([n.ty.numel for n in order if n.op not in FREE and n.op is not UPDATE and type(n.ty) is Ty])
        if elements * ELEMENT > SHARE * self.worth:
            raise UnsupportedError("large")
        self.types = p.outputs
        self.count = len(order)
        self.kept = {i: p.leaves + k for k, i in enumerate(p.kept)}
        self.leaves: list[tuple[int, int]] = []  # as scalars and steps of integers alone: nothing to collect
        self.leaf_types: list[Ty] = []
        self.scalars: list[tuple[int, int]] = []
        self.calls: list[Call] = []
        self.steps: list[tuple[tuple[int, ...], int, tuple[int, ...]]] = []
        self.seconds = 0.0
        self.runs = 0
        calls = self._steps(order, p.roots, p.values)
        del p.values
        self.calling = STEP * len(self.steps) + CALL * calls
        self.seconds += self.calling
        if self.seconds > SHARE * self.worth:
            raise UnsupportedError("large")

    def _steps(self, order: list[Node], roots: Sequence[Node], read: set[Node]) -> int:
        """Notes how each node is computed; the number of calls.

        Of what is not ``read``, as what is overwritten as a whole, types are all that counts.
        """
        at = {n: k for k, n in enumerate(order)}
        self.roots = [at[r] for r in roots]
        needed = [n for n in order if n in read]
        last = dict(zip(needed, last_uses([tuple([at[i] for i in n.ins]) for n in needed], self.roots)))
        strides: dict[Node, Any] = {}
        calls = 0
        stored = {n: roots[k].ty.strides for n, k in stored_nodes(roots).items()}
        for k, n in enumerate(order):
            if n.op is SCALAR:
                self.scalars.append((k, n.attrs))
                strides[n] = ()
            elif n.op is LEAF:
                self._leaf(k, n)
                strides[n] = n.ty.strides
            else:
                one = operator(n, [strides[i] for i in n.ins])
                if n in read:
                    self.seconds += one.work
                    calls += one.calls
                    self.calls.append(one.call)
                    self.steps.append((tuple([at[i] for i in n.ins]), k, last[n]))
                strides[n] = stored.get(n, one.strides)
        return calls

    def _leaf(self, k: int, n: Node) -> None:
        _refuse_float8(n)
        if n.ty.dtype is bfloat16:  # is converted
            self.seconds += ELEMENT * n.ty.numel
        self.leaves.append((k, self.kept[n.attrs] if n.attrs < 0 else n.attrs))
        self.leaf_types.append(n.ty)

    def joined(self, p: Program) -> FirstTier:
        """What runs the program from its next run on: chains of maps as single calls, where that pays."""
        if self.runs != JOINED_AFTER or len(self.steps) < FEW or type(self) is not FirstTier:
            return self
        from .chains import joined

        try:
            return joined(p, self) or self
        except MissingCompiler:
            return self

    def run(
        self, inputs: Sequence[Any], scalars: Sequence[Any], olds: Sequence[Any] = (), wanted: int | None = None
    ) -> list[np.ndarray]:
        """The outputs as flat memory, none of which is shared with an input or another output, all complete."""
        self.runs += 1
        env: list[Any] = [None] * self.count
        for (k, ordinal), t in zip(self.leaves, self.leaf_types):
            if inputs[ordinal] is not None:  # else nobody reads it
                env[k] = _leaf(inputs[ordinal], t)
        for k, ordinal in self.scalars:
            env[k] = scalars[ordinal]
        with np.errstate(all="ignore"):
            _run(self.calls, self.steps, env)
            taken = {id(_owner(a)) for a in inputs}
            return [_output(env[k], t, taken) for k, t in zip(self.roots, self.types)]


def _run(calls: Sequence[Call], steps: Sequence[tuple[tuple[int, ...], int, tuple[int, ...]]], env: list[Any]) -> None:
    """Takes the steps, each of which lets go of what nobody needs after it.

    One and two arguments, as nearly all calls have, are written out: a list for them takes as long as a short step.
    """
    for f, (ins, out, dropped) in zip(calls, steps):
        count = len(ins)
        if count == 2:
            i, j = ins
            x, y = env[i], env[j]
            for i in dropped:
                env[i] = None
            env[out] = f(x, y)
        elif count == 1:
            x, y = env[ins[0]], None
            for i in dropped:
                env[i] = None
            env[out] = f(x)
        else:
            x = y = None  # else what they were would seem to be needed
            args = [env[i] for i in ins]
            for i in dropped:
                env[i] = None
            env[out] = f(*args)
            del args


def stored_nodes(roots: Sequence[Node]) -> dict[Node, int]:
    """The nodes whose values lie in memory as results do, also results in another layout, and which these are."""
    found: dict[Node, int] = {}
    for k, n in enumerate(roots):
        while n.op is LAYOUT:
            n = n.ins[0]
        if n.op is not LEAF and type(n.ty) is Ty:
            found.setdefault(n, k)
    return found


def last_uses(steps: Sequence[tuple[int, ...]], roots: Sequence[int]) -> list[tuple[int, ...]]:
    """For each step, by the values that it takes, which of these nobody needs after it."""
    seen = set(roots)
    last: list[tuple[int, ...]] = []
    for ins in reversed(steps):
        own: tuple[int, ...] = ()
        for k in ins:
            if k not in seen:
                seen.add(k)
                own += (k,)
        last.append(own)
    return last[::-1]


# ---- memory


def _keep_memory() -> None:
    """Has the C library keep memory that is given back: a page that the system gives anew takes a microsecond.

    glibc raises what it keeps to twice the largest block that came from the system by itself and is given back, if that
    is below 32 MB. The block is never touched, so it takes no memory.
    """
    np.empty(BLOCK, np.int8)


BLOCK = 31 << 20
_keep_memory()


def _refuse_float8(n: Node) -> None:
    """Floats of 8 bits, which the reference executor alone computes, make the program a compiled one."""
    if getattr(n.ty, "dtype", None) in float8.FORMATS:
        raise UnsupportedError("floats of 8 bits")


def _owner(a: Any) -> Any:
    """The object whose memory an array sees."""
    while getattr(a, "base", None) is not None:
        a = a.base
    return a


def _leaf(flat: np.ndarray, t: Ty) -> np.ndarray:
    """An input's memory under its type."""
    if t.dtype is bfloat16:
        flat = reference.to_values(flat, t.dtype)
    if t.contiguous and not t.offset and flat.size == t.numel:
        return flat.reshape(t.shape)
    return _under(flat, t)


def _under(a: np.ndarray, t: Ty) -> np.ndarray:
    """Memory without gaps under a type."""
    if not t.numel or not a.flags.c_contiguous:
        return reference.strided(a.reshape(-1), t.shape, t.strides, t.offset)
    size = a.itemsize
    return np.ndarray(t.shape, a.dtype, a, t.offset * size, [s * size for s in t.strides])


def _output(value: Any, t: Ty, taken: set[int]) -> np.ndarray:
    """A value in the order of its type's memory, in memory of its own."""
    if _is_free(value) and t.contiguous and value.dtype == t.dtype.np and value.shape == t.shape:
        if id(value) not in taken:
            taken.add(id(value))
            return value.reshape(-1)
    a = reference._number(value, t.dtype) if type(value) in (int, float, bool) else np.asarray(value, t.dtype.compute)
    if a.shape != t.shape:
        a = np.broadcast_to(a, t.shape)
    flat = _in_rows(a).reshape(-1) if t.contiguous else reference.flatten(a, t.strides)
    owner = _owner(flat)
    if id(owner) in taken or not flat.flags.writeable or getattr(owner, "size", -1) != flat.size:
        owner = flat = flat.copy()
    taken.add(id(owner))
    return reference.to_memory(flat, t.dtype)


def _in_rows(a: Any) -> Any:
    """An array that lies row by row: itself, or a copy."""
    if a.size >= LAID_OUT and not a.flags.c_contiguous:
        from ..compiler.cpu.first_tier.layouts import in_rows

        with suppress(MissingCompiler):
            return in_rows(a)
    return np.ascontiguousarray(a)


# ---- operators

_operators: dict[Any, Operator | None] = {}
_forms: dict[Any, Operator] = {}  # those that serve all sizes, their work for each element
_exact: dict[Any, tuple[int, ...]] = {}  # the sizes that plans of a form hold, by their places
_hiding = Hiding(_operators)
exit_hooks.extend([_operators.clear, _forms.clear, _exact.clear])
MOST = 100_000  # operators that are remembered


def operator(n: Node, strides: list[Any]) -> Operator:
    """How a node is computed from the values of its inputs, which lie in memory with these strides.

    Raises:
        UnsupportedError: it has no form in this tier.
    """
    key = n.op, n.attrs, n.ty, *[i.ty for i in n.ins], *strides
    found = _operators.get(key)
    if found is None:
        found = _operators[key] = None if key in _operators else _new_operator(n, strides)
    if found is None:
        raise UnsupportedError(repr(n.op))
    return found


def _new_operator(n: Node, strides: list[Any]) -> Operator | None:
    """How a node is computed; None if it has no form in this tier."""
    if len(_operators) >= MOST:
        _hiding.show()
        _operators.clear()
        _forms.clear()
        _exact.clear()
    try:
        _refuse_float8(n)
        structural = STRUCTURAL.get(n.op)
        if structural is not None:
            return structural(n, strides)
        return _moving(n, strides) or _of_more_samples(n, strides) or _of_form(n, strides)
    except UnsupportedError:
        return None


def _moving(n: Node, strides: list[Any]) -> Operator | None:
    """The operator, if it moves elements and computes nothing."""
    if is_itself(n):
        return Operator(lambda x: x, 0, 0, strides[0])
    back = turned(n, strides[0]) if strides else None
    if back is not None:
        return Operator(back[0], 0, 1, back[1])
    call = moving(n)
    return call and Operator(call, ELEMENT * n.ty.numel, 1, row_major(n.ty.shape))


def _of_more_samples(n: Node, strides: list[Any]) -> Operator | None:
    """The operator by the plan of a round number of samples, if that takes less than planning it."""
    apart = with_more(n, strides)
    if apart is None:
        return None
    count, more, batches = n.ins[0].ty.shape[0], apart.node.ins[0].ty.shape[0], apart.batches
    own = [*[row_major(i.ty.shape) for i in apart.node.ins[:batches]], *strides[batches:]]
    one = _by_parts(apart) if apart.parts else operator(apart.node, own)
    if one.work * (more - count) > SPARED * more:
        return None
    call = one.call if apart.parts else of_fewer(one.call, batches, more)
    return one._replace(call=call, calls=one.calls + batches)


def _by_parts(apart: Apart) -> Operator:
    """A sum over samples by the plan of more of them, for any number that these serve."""
    from ..compiler.cpu.first_tier.operators import Planned, reduced
    from ..compiler.cpu.first_tier.reduced_in_steps import of_any_samples

    found = _operators.get(apart)
    if found is None:
        each, rest = apart.parts  # type: ignore[misc]
        one, last, dt = Planned(each, apart.batches, final=True), Planned(rest, 1, final=True), each.outputs[0].dtype
        samples = of_fewer(one.call, apart.batches, apart.node.ins[0].ty.shape[0])
        total = of_any_samples("sum", (0,), dt, lambda x: reduced("sum", x.shape, (0,), dt, dt)(x))
        own = last.strides.get(rest.outputs[0], row_major(rest.outputs[0].shape))
        steps = len(one.steps) + len(last.steps)
        found = Operator(lambda *args: last.call(total(samples(*args))), _work(one) + _work(last), steps, own)
        _operators[apart] = found
    return found


def _of_form(n: Node, strides: list[Any]) -> Operator:
    """The operator, planned anew unless it has been planned for other sizes and serves these too."""
    form = form_of(n, strides)
    if form is None:
        return (_full if n.op.name == "full" else _planned)(n, strides)
    exact = _exact.get(form, ())
    if exact:
        form = form, *_sizes(n, exact)
    if form not in _forms:
        one = _planned(n, strides)
        if one.sized or one.strides != in_rows(n.ty):
            return one
        if one.held and not exact:
            form = _of_some_sizes(n, form, one.held)
        if form is None:
            return one
        _forms[form] = one._replace(work=one.work / _elements(n), everywhere=True)
    one = _forms[form]
    return one._replace(work=one.work * _elements(n), strides=in_rows(n.ty))


def _of_some_sizes(n: Node, form: Any, held: frozenset[int]) -> Any:
    """The form with these sizes, which a plan holds; None where some of them is no dimension's."""
    sizes = [size for t in (*results(n.ty), *[i.ty for i in n.ins]) for size in t.shape]
    if not held <= {*sizes}:
        return None
    exact = _exact[form] = tuple([k for k, size in enumerate(sizes) if size in held])
    return form, *_sizes(n, exact)


def _sizes(n: Node, places: Sequence[int]) -> list[int]:
    """Some of the sizes of a node's results and inputs."""
    sizes = [size for t in (*results(n.ty), *[i.ty for i in n.ins]) for size in t.shape]
    return [sizes[k] for k in places]


def _elements(n: Node) -> int:
    """How many elements results and inputs have: what work grows with, about."""
    return sum([t.numel for t in (*results(n.ty), *[i.ty for i in n.ins])])


def in_rows(t: Any) -> Any:
    """The strides of what lies row by row, of each if there are several."""
    return tuple([row_major(one.shape) for one in t]) if type(t) is tuple else row_major(t.shape)


def _planned(n: Node, strides: list[Any]) -> Operator:
    """The operator, planned anew; constants that count elements serve all sizes, but where passes look at constants."""
    from ..compiler.cpu.first_tier.operators import planned, rewritten

    b = CountingBuilder() if UNIFORM.get(n.op.name) is every_size else Builder()
    several = _lower(n, strides, b)
    f = without_dead(b.f)
    if rewritten(f) and any([v.name == "counted" for v in f.values]):  # noqa: C419
        b = Builder()
        several = _lower(n, strides, b)
        f = without_dead(b.f)
    one = planned(f, len(n.ins), several, n.op.name in FUSED)
    own = tuple([one.strides.get(v, row_major(v.shape)) for v in one.f.outputs])
    held = frozenset([size for size in one.sizes.held if size > 1])
    return Operator(one.call, _work(one), len(one.steps), own if several else own[0], one.sized, held)


def _lower(n: Node, strides: list[Any], b: Builder) -> bool:
    """Has a builder make an operator's function; does that have several results?"""
    args = [
        b.scalar(k, i.ty.dtype) if i.op is SCALAR else b.input(k, i.ty.shape, i.ty.dtype, (own, 0))
        for k, (i, own) in enumerate(zip(n.ins, strides))
    ]
    b.ty = n.ty
    result = n.op.lower(b, n.attrs, *args)
    b.f.outputs = list(result) if isinstance(result, tuple) else [result]
    return isinstance(result, tuple)


def _full(n: Node, strides: list[Any]) -> Operator:
    """One element, repeated."""
    value, t = n.attrs
    one = reference._const(Value("const", "const", (), value, (), t.dtype))
    found = reference.repeated(one, t.shape)
    return Operator(lambda: found, 0, 1, row_major(t.shape))


def of_one_number(op: Any, dt: Any) -> Call | None:
    """The function of an array of one number that gives an array of one; None if the operator has no form for that."""
    t = ty((1,), dt)
    try:
        leaf = leaf_node(t, 0)
        n = Node(op, (leaf,), (), op.infer((t,), ()), None)
        call = operator(n, [t.strides]).call
    except (UnsupportedError, MissingCompiler, NotImplementedError, RuntimeError, TypeError):
        return None
    return call if n.ty.dtype is dt and n.ty.shape == t.shape else None


def _work(one: Planned) -> float:
    """The seconds that an operator's elements and products take, about."""
    elements = sum([prod(v.shape) for v in one.f.values if v.kind not in ("input", "scalar", "const", "view")])
    products = sum([_products(*v.params[:2], *v.args) for v in one.f.values if v.kind == "contract"])
    products += sum([prod(v.args[0].shape) * v.shape[0] for v in one.f.values if v.kind == "recur"])
    return ELEMENT * elements + PRODUCT * products


def _products(la: str, lb: str, a: Any, b: Any) -> int:
    return prod((dict(zip(la, a.shape)) | dict(zip(lb, b.shape))).values())


# ---- views and writes


def _view(n: Node, strides: list[Any]) -> Operator:
    """Memory under another type."""
    if n.numbers:
        raise UnsupportedError("the memory of a number")
    base, t, found = n.ins[0].ty, n.ty, strides[0]
    own = None if found is None else seen_under(base.shape, base.strides, found, t.shape, t.strides) or _copied(t)
    if t.dtype is not base.dtype:
        b = Builder()
        v = b.strided(b.input(0, base.shape, base.dtype), base.strides, t.shape, t.strides, t.offset, t.dtype)
        return Operator(lambda x: reference._strided(v, np.asarray(x)), 0, 1, own)
    if base.contiguous:
        return Operator(_seeing(t), 0, 1, own)
    return Operator(lambda x: _under(reference.flatten(np.asarray(x), base.strides), t), 0, 1, own)


def _seeing(t: Ty) -> Call:
    """The function from what lies row by row to what a type sees of its memory."""
    if not t.numel:
        return lambda x: _under(np.ascontiguousarray(x), t)
    dt = t.dtype.compute
    return functools.partial(_seen, t.shape, dt, t.offset * dt.itemsize, tuple([s * dt.itemsize for s in t.strides]))


def _seen(shape: tuple[int, ...], dt: Any, first: int, steps: tuple[int, ...], x: Any) -> Any:
    if type(x) is not np.ndarray or not x.flags.c_contiguous:
        x = np.ascontiguousarray(x, dt)
    return np.ndarray(shape, dt, x, first, steps)


def _copied(t: Ty) -> Any:
    """The strides of what compiled code copies, a view or its base; None where they differ by more than samples."""
    own = row_major(t.shape)
    return own if t.ndim > 1 and t.shape[1] > 1 and tuple(t.strides[1:]) == own[1:] else None


def _update(n: Node, strides: list[Any]) -> Operator:
    """What the type ``n.attrs`` sees in memory is replaced: in place, if nobody else knows that memory."""
    if n.numbers:
        raise UnsupportedError("the memory of a number")
    (base, value), t = [i.ty for i in n.ins], n.attrs
    if not base.contiguous or value.dtype is not base.dtype or not t.numel:
        b = Builder()
        x, y = b.input(0, base.shape, base.dtype), b.input(1, value.shape, value.dtype)
        v = b.update(x, y, base.strides, t.strides, t.offset)
        call: Call = lambda x, y: reference._update(v, np.asarray(x), np.asarray(y), False)  # noqa: E731
        return Operator(call, ELEMENT * base.numel, 1, base.strides)

    def update(x: Any, y: Any) -> Any:
        if getrefcount(x) > ALONE or not _is_free(x):
            x = np.array(x, order="C")
        _under(x, t)[...] = y
        return x

    return Operator(update, ELEMENT * value.numel, 1, base.strides)


def _is_free(x: Any) -> bool:
    """Is it an array that has its memory for itself?"""
    return type(x) is np.ndarray and x.base is None and x.flags.c_contiguous and x.flags.writeable


def _alone() -> int:
    """References to an array that a step has as its argument, and that nobody else knows."""
    env = [np.empty(1), None]
    _run([lambda x, y: getrefcount(x)], [((0, 1), 0, (0, 1))], env)
    return env[0]


ALONE = _alone()


def _part(n: Node, strides: list[Any]) -> Operator:
    which = n.attrs
    return Operator(lambda x: x[which], 0, 1, strides[0][which])


def _layout(n: Node, strides: list[Any]) -> Operator:
    if n.numbers:
        raise UnsupportedError("the memory of a number")
    return Operator(lambda x: x, 0, 0, strides[0])


STRUCTURAL: dict[Any, Callable[[Node, list[Any]], Operator]] = {
    VIEW: _view, UPDATE: _update, PART: _part, LAYOUT: _layout,
}  # fmt: skip
