"""The contract generator: LLVM text of matrix products, convolutions, their gradients, and what they are fused with.

``result[kept] = sum over reduced of A[affine] * B[affine]``, then maps over the result. A tile of results stays in
registers while the reduced loops run; each result adds its products in the order of the reduced loops, one after the
other, with fused multiply-adds (in lanes first, where a reduced loop runs in vectors). ``contract_plan`` chooses.

Elements outside an operand (padding) read as the padding's value. Where that is zero and only a reduced loop leads
outside, the loop's bounds say so; where the place is known when the code is made, the product is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from ...dtypes import bfloat16, dtype, float16, float32, float64, int8, int16, int32, int64, uint8
from ..affine import Affine, Guard
from ..ir import Value
from ..loops import Load, Nest, Node
from . import nest_maps as maps
from .contract_plan import Plan, operands, plan
from .nest import Kernel
from .points import Points
from .target import Target
from .text import Loop, Renderer, Scope, When, base_type, constant, lane_list, memory_type, suffix, vector

DTYPES = frozenset([float16, bfloat16, float32, float64, int8, int16, int32, int64, uint8])

Shift = dict[int, int]  # steps added to the indices of some loops


def generate(n: Nest, target: Target, name: str = "kernel") -> Kernel:
    """The kernel of a contraction for this kind of processor."""
    dt = partial_dtype(n)
    return _Contraction(n, plan(n, target, dt.itemsize), dt, target, name).kernel()


def partial_dtype(n: Nest) -> dtype:
    """The dtype in which products are added."""
    dt = n.reductions[0].value.dtype
    return float32 if dt in (float16, bfloat16) else dt


class _Contraction(Points):
    def __init__(self, n: Nest, p: Plan, dt: dtype, target: Target, name: str) -> None:
        super().__init__(n, p.axis, p.lanes, target)
        self.name = name
        self.plan = p
        self.dt = dt
        self.fma = target.fma
        self.vectors = p.lanes  # lanes of sums, also where single results are stored
        self.gone = [k for k, r in enumerate(n.reduced) if r]
        self.sides = operands(n)
        self.where: dict[int, Scope] = {}  # the scope in which a loop's index is known
        self.span: dict[int, int] = {}  # indices of a tiled loop that are in registers
        self.bound: set[Guard] = set()  # what the bounds of reduced loops see to

    def kernel(self) -> Kernel:
        """Emits the loops from the outside in, then renders them."""
        self.kept_loops(self.plan.order)
        out = Renderer()
        self.entry.render(out)
        head = self.module.text()
        signature = f"define void @{self.name}(ptr noalias %operands, i64 %chunk, ptr noalias %workspace) nounwind"
        text = "\n".join([*([head] if head else []), f"{signature} {{", "entry:", *out.lines, "  ret void", "}", ""])
        p = self.plan
        axis = p.order[0] if p.order else -1
        return Kernel(self.name, text, list(self.operands), self.n, axis, p.chunk, p.chunks)

    # ---- kept loops

    def kept_loops(self, order: list[int]) -> None:
        """Opens the kept loops, tiled ones a tile at a time; the rest of a tiled loop is code of its own."""
        if not order:
            self.tile()
            return
        k, depth = order[0], len(self.chain)
        step, size = self.step(k), self.n.sizes[k]
        low, high = self.range(k)
        rest = size % step
        if size > rest:
            end = high
            if rest:
                end = str(size - rest) if high == str(size) else self.least(high, size - rest)
            self.steps(k, low, end, step, guarded=bool(rest) and low != "0")
            self.kept_loops(order[1:])
            self.leave(depth)
        if rest:
            self.rest(k, rest, high)
            self.kept_loops(order[1:])
            self.leave(depth)

    def step(self, k: int) -> int:
        """How many indices of a kept loop one tile takes."""
        return self.plan.tile.get(k, self.plan.lanes if k == self.plan.axis else 1)

    def range(self, k: int) -> tuple[str, str]:
        """The bounds of a loop: of the chunk, if it is the outermost kept one."""
        size, p = self.n.sizes[k], self.plan
        if p.chunks == 1 or k != p.order[0]:
            return "0", str(size)
        low = self.put(f"mul nuw nsw i64 %chunk, {p.chunk}", self.entry)
        end = self.put(f"add nuw nsw i64 {low}, {p.chunk}", self.entry)
        return low, end if size % p.chunk == 0 else self.least(end, size)

    def least(self, a: str, b: int) -> str:
        """The smaller of an index and a constant."""
        less = self.put(f"icmp ult i64 {a}, {b}")
        return self.put(f"select i1 {less}, i64 {a}, i64 {b}")

    def steps(self, k: int, low: str, high: str, step: int, guarded: bool) -> None:
        """Opens a loop over tiles; over one tile, a scope."""
        top = self.chain[-1]
        if low == "0" and high == str(step):
            self.open(Scope(top.axes, top.after))
            self.indices[k] = "0"
        else:
            self.indices[k] = self.fresh()
            self.open(Loop(top.axes, top.after, self.indices[k], low, high, step, guarded))
        self.where[k] = self.chain[-1]
        self.span[k] = step

    def rest(self, k: int, rest: int, high: str) -> None:
        """Opens a scope for the indices left over at the end of a loop, if the range up to ``high`` has them."""
        top, size = self.chain[-1], self.n.sizes[k]
        if high == str(size):
            self.open(Scope(top.axes, top.after))
        else:
            self.open(When(top.axes, top.after, self.put(f"icmp eq i64 {high}, {size}")))
        self.indices[k] = str(size - rest)
        self.where[k] = self.chain[-1]
        self.span[k] = rest

    def open(self, s: Scope) -> None:
        """Puts a scope into the innermost one."""
        self.chain[-1].body.append(s)
        self.chain.append(s)

    def leave(self, depth: int) -> None:
        """Closes scopes until ``depth`` are open."""
        closed = self.chain[depth:]
        self.where = {k: s for k, s in self.where.items() if s not in closed}
        del self.chain[depth:]

    # ---- a tile

    def offsets(self) -> list[Shift]:
        """The places in the tile, as steps from its first index."""
        axes = [k for k in self.plan.order if self.span[k] > 1 or k in self.plan.tile]
        every = [range(0, self.span[k], self.lanes if k == self.plan.axis else 1) for k in axes]
        return [dict(zip(axes, at)) for at in product(*every)]

    def tile(self) -> None:
        """The sums of a tile, then what is made of them."""
        places = self.offsets()
        zero = constant(0, base_type(self.dt), self.vectors)
        sums = self.reduced_loops([k for k in self.gone if k not in self.plan.taps], places, [zero] * len(places))
        self.open(Scope(self.chain[-1].axes, False))
        if self.plan.across:
            self.axis = None
            for at, reg in zip(places, self.added_lanes(sums)):
                self.finish(at, reg, False)
            self.axis = self.plan.axis
        else:
            for at, reg in zip(places, sums):
                self.finish(at, reg, bool(self.vectors))
        self.leave(len(self.chain) - 1)

    def finish(self, at: Shift, reg: str, wide: bool) -> None:
        """Stores what is made of one sum."""
        top = self.chain[-1]
        s = Scope(top.axes | set(self.plan.order), True)
        self.open(s)
        bases = {k: self.indices[k] for k in self.plan.order}
        for k in self.plan.order:
            self.indices[k] = self.sum(bases[k], str(at.get(k, 0)), s)
        s.mask = self.mask(at) if wide else None
        dt, lanes = self.n.reductions[0].value.dtype, self.lanes if wide else 0
        s.values["reduced", 0] = maps.cast(self.ops(lanes, s), reg, self.dt, dt), wide
        for store in self.n.stores:
            self.store(store)
        self.indices.update(bases)
        self.leave(len(self.chain) - 1)

    def mask(self, at: Shift) -> str | None:
        """The lanes that exist, where not all do."""
        k = self.plan.axis
        if k is None or k not in self.span:
            return None
        left = self.span[k] - at.get(k, 0)
        return None if left >= self.lanes else lane_list([j < left for j in range(self.lanes)], "i1")

    # ---- reduced loops

    def reduced_loops(self, loops: list[int], places: list[Shift], sums: list[str]) -> list[str]:
        """The sums after the reduced loops, whose innermost steps are unrolled."""
        if not loops:
            return self.products(places, sums)
        k, depth = loops[0], len(self.chain)
        step = self.lanes if k == self.plan.axis else 1
        size = self.n.sizes[k]
        low, high = self.reduced_range(k)
        rest = size % step
        if rest:
            high = str(size - rest)
        if size > rest:
            dynamic = "%" in low + high
            self.steps(k, low, high, step, guarded=dynamic)
            loop = self.chain[-1]
            inner = sums
            if isinstance(loop, Loop):
                inner = [self.fresh() for _ in sums]
            new = self.reduced_loops(loops[1:], places, inner)
            if isinstance(loop, Loop):
                t = vector(base_type(self.dt), self.vectors)
                behind = [[self.fresh()] if dynamic else [] for _ in sums]
                loop.phis = [[r, t, first, last, *b] for r, first, last, b in zip(inner, sums, new, behind)]
                new = [b[0] if b else r for r, b in zip(new, behind)]
            sums = new
            self.leave(depth)
        if rest:
            self.rest(k, rest, str(size))
            sums = self.reduced_loops(loops[1:], places, sums)
            self.leave(depth)
        return sums

    def reduced_range(self, k: int) -> tuple[str, str]:
        """The bounds of a reduced loop, within what padding with zeros leaves of the operands."""
        low, high = "0", str(self.n.sizes[k])
        if k == self.plan.axis:
            return low, high
        for g in dict.fromkeys([g for node in self.loads() for g in node.params.guards]):
            if self.is_bound(g, k):
                low, high = self.bounded(g, k, low, high)
                self.bound.add(g)
        return low, high

    def loads(self) -> list[Node]:
        """The operands that lie in memory."""
        inner = [s.node.args[0] if s.node.op == "pad" else s.node for s in self.sides]
        return [node for node in inner if node.op == "load"]

    def is_bound(self, g: Guard, k: int) -> bool:
        """Does the guard say no more than where loop ``k``, the last of its loops, runs?"""
        if not g.index.of(k) or not self.pads_with_zero(g):
            return False
        others = [a for a, _ in g.index.terms if a != k]
        fixed = [a for a in others if a in self.where and a not in self.plan.tile and a != self.plan.axis]
        return len(fixed) == len(others)

    def pads_with_zero(self, g: Guard) -> bool:
        """Is what the guard excludes zero?"""
        pads = [s.node for s in self.sides if s.node.op == "pad" and g in s.node.params[0]]
        return bool(pads) and all(node.params[1] == 0 for node in pads)

    def bounded(self, g: Guard, k: int, low: str, high: str) -> tuple[str, str]:
        """The bounds of loop ``k`` within which ``0 <= index < size`` holds too."""
        c = g.index.of(k)
        rest = Affine(g.index.const, tuple([t for t in g.index.terms if t[0] != k]))
        at = self.at(rest)
        if c > 0:  # rest + c * i in [0, size)
            first = self.quotient(self.sum(self.negative(at), str(c - 1), self.chain[-1]), c)
            last = self.quotient(self.sum(self.negative(at), str(g.size + c - 1), self.chain[-1]), c)
        else:
            first = self.quotient(self.sum(at, str(-g.size - c), self.chain[-1]), -c)
            last = self.quotient(self.sum(at, str(-c), self.chain[-1]), -c)
        low = self.extreme("smax", low, first)
        return low, self.extreme("smax", self.extreme("smin", high, last), low)

    def negative(self, a: str) -> str:
        """``-a``."""
        return self.put(f"sub nsw i64 0, {a}") if "%" in a else str(-int(a))

    def quotient(self, a: str, c: int) -> str:
        """``a / c`` rounded down, or 0 where ``a`` is negative."""
        a = self.extreme("smax", a, "0")
        if "%" not in a:
            return str(int(a) // c)
        return a if c == 1 else self.put(f"udiv i64 {a}, {c}")

    def extreme(self, how: str, a: str, b: str) -> str:
        """The larger (``smax``) or smaller (``smin``) of two indices."""
        if "%" not in a + b:
            return str((max if how == "smax" else min)(int(a), int(b)))
        self.module.declare(f"declare i64 @llvm.{how}.i64(i64, i64)")
        return self.put(f"call i64 @llvm.{how}.i64(i64 {a}, i64 {b})")

    # ---- products

    def products(self, places: list[Shift], sums: list[str]) -> list[str]:
        """The sums with the products of the unrolled steps, each in the order of the reduced loops."""
        self.open(Scope(self.chain[-1].axes, False))
        taps = self.plan.taps
        for k in taps:
            self.indices[k] = "0"
            self.where[k] = self.chain[-1]
            self.span[k] = self.n.sizes[k]
        new = list(sums)
        for at in product(*[range(self.n.sizes[k]) for k in taps]):
            step = dict(zip(taps, at))
            for j, place in enumerate(places):
                new[j] = self.multiplied(new[j], place | step)
        self.leave(len(self.chain) - 1)
        return new

    def multiplied(self, total: str, shift: Shift) -> str:
        """The sum with one more product in each lane."""
        a, b = [self.side(s.node, shift) for s in self.sides]
        if a is None or b is None:
            return total
        t = vector(base_type(self.dt), self.vectors)
        if self.dt.kind != "f":
            x = self.put(f"mul {t} {a}, {b}")
            return self.put(f"add {t} {total}, {x}")
        if not self.fma:
            x = self.put(f"fmul {t} {a}, {b}")
            return self.put(f"fadd {t} {total}, {x}")
        name = f"@llvm.fma.{suffix(base_type(self.dt), self.vectors)}"
        self.module.declare(f"declare {t} {name}({t}, {t}, {t})")
        return self.put(f"call {t} {name}({t} {a}, {t} {b}, {t} {total})")

    def side(self, node: Node, shift: Shift) -> str | None:
        """One side of a product in a register; None where it is zero because of padding."""
        pad = 0
        if node.op == "pad":
            node, pad = node.args[0], node.params[1]
        if node.op == "const":
            return constant(node.params, base_type(self.dt), self.vectors)
        at: Load = node.params
        shift = {k: d for k, d in shift.items() if d and self.moves(at, k)}
        guards = []
        for g in at.guards:
            held = self.known(g, shift)
            if held is False and pad == 0:
                return None
            if held is None:
                guards.append(Guard(self.moved(g.index, shift), g.size))
        return self.element(node, self.moved(at.address, shift), tuple(guards), shift, pad)

    def moves(self, at: Load, k: int) -> bool:
        """Does an operand's place depend on loop ``k``?"""
        return bool(at.address.of(k)) or any(g.index.of(k) for g in at.guards)

    def moved(self, x: Affine, shift: Shift) -> Affine:
        """The expression some steps further."""
        return x.shift(sum(x.of(k) * d for k, d in shift.items()))

    def known(self, g: Guard, shift: Shift) -> bool | None:
        """Does the guard hold everywhere (True), nowhere (False), or only at some indices?"""
        if g in self.bound:
            return True
        x = self.moved(g.index, shift)
        low = high = x.const
        for k, c in x.terms:
            first, last = self.extent(k)
            low += min(c * first, c * last)
            high += max(c * first, c * last)
        if low >= 0 and high < g.size:
            return True
        return False if high < 0 or low >= g.size else None

    def extent(self, k: int) -> tuple[int, int]:
        """The least and greatest index of a loop at which a tile, or a vector, begins, and the vector's last lane."""
        lanes = self.lanes - 1 if k == self.plan.axis else 0
        if self.indices[k].startswith("%"):
            return 0, self.n.sizes[k] - self.span[k] + lanes
        return int(self.indices[k]), int(self.indices[k]) + lanes

    # ---- elements

    def element(self, node: Node, address: Affine, guards: tuple[Guard, ...], shift: Shift, pad: float) -> str:
        """An element for each lane, loaded in the outermost scope in which its place is known."""
        at: Load = node.params
        scope = self.deepest([k for x in (address, *[g.index for g in guards]) for k, _ in x.terms])
        mask = self.tail_mask(address, shift)
        key = "element", node, address, guards, mask
        if key not in scope.values:
            scope.values[key] = self.loaded(at.value, node.dtype, address, guards, mask, scope, pad)
        return scope.values[key]

    def axis_or(self, other: int) -> int:
        """The loop in vectors."""
        return other if self.plan.axis is None else self.plan.axis

    def tail_mask(self, address: Affine, shift: Shift) -> str | None:
        """The lanes of an operand that exist, where it is read in vectors and not all do."""
        k = self.axis_or(-1)
        return self.mask(shift) if address.of(k) else None

    def loaded(
        self,
        v: Value,
        dt: dtype,
        address: Affine,
        guards: tuple[Guard, ...],
        mask: str | None,
        scope: Scope,
        pad: float,
    ) -> str:
        """Loads, converts, and spreads over the lanes."""
        k = self.axis_or(-1)
        step, same, each = address.of(k), [], []
        for g in guards:
            (each if g.index.of(k) else same).append(g)
        pointer = self.place(v, address, scope)
        cond = self.all_hold(same, scope)
        base, lanes = base_type(self.dt), self.vectors
        if not step and not each or not lanes:
            raw = self.put(
                f"load {memory_type(dt)}, ptr {self.readable(pointer, cond, scope)}, align {dt.itemsize}", scope
            )
            raw = maps.from_memory(self.ops(0, scope), raw, dt)
            raw = maps.cast(self.ops(0, scope), raw, dt, self.dt)
            if pad and cond:
                raw = self.put(f"select i1 {cond}, {base} {raw}, {base} {constant(pad, base, 0)}", scope)
            return self.splat(raw, base, scope) if lanes else raw
        lanes_hold = self.lanes_hold(each, mask, cond, scope)
        raw = self.vector_load(pointer, step, dt, lanes_hold, scope)
        raw = maps.cast(self.ops(lanes, scope), maps.from_memory(self.ops(lanes, scope), raw, dt), dt, self.dt)
        if pad and lanes_hold:
            t = vector(base, lanes)
            raw = self.put(f"select <{lanes} x i1> {lanes_hold}, {t} {raw}, {t} {constant(pad, base, lanes)}", scope)
        return raw

    def vector_load(self, pointer: str, step: int, dt: dtype, mask: str | None, scope: Scope) -> str:
        """An element for each lane, ``step`` apart; those that ``mask`` excludes are zero and not read."""
        t, w = memory_type(dt), self.vectors
        if step == 1 and not mask:
            return self.put(f"load <{w} x {t}>, ptr {pointer}, align {dt.itemsize}", scope)
        m = mask or "splat (i1 true)"
        rest = f"<{w} x i1> {m}, <{w} x {t}> zeroinitializer"
        if step == 1:
            name = f"@llvm.masked.load.{suffix(t, w)}.p0"
            self.module.declare(f"declare <{w} x {t}> {name}(ptr, i32, <{w} x i1>, <{w} x {t}>)")
            return self.put(f"call <{w} x {t}> {name}(ptr {pointer}, i32 {dt.itemsize}, {rest})", scope)
        steps = lane_list([j * step for j in range(w)], "i64")
        ps = self.put(f"getelementptr {t}, ptr {pointer}, <{w} x i64> {steps}", scope)
        name = f"@llvm.masked.gather.{suffix(t, w)}.v{w}p0"
        self.module.declare(f"declare <{w} x {t}> {name}(<{w} x ptr>, i32, <{w} x i1>, <{w} x {t}>)")
        return self.put(f"call <{w} x {t}> {name}(<{w} x ptr> {ps}, i32 {dt.itemsize}, {rest})", scope)

    def lanes_hold(self, each: list[Guard], mask: str | None, cond: str, scope: Scope) -> str | None:
        """The lanes that may be read; None for all."""
        held = [mask] if mask else []
        for g in each:
            held.append(self.lanes_within(g, scope))
        if cond:
            held.append(self.splat(cond, "i1", scope))
        total = held[0] if held else None
        for one in held[1:]:
            total = self.put(f"and <{self.vectors} x i1> {total}, {one}", scope)
        return total

    def lanes_within(self, g: Guard, scope: Scope) -> str:
        """In which lanes a guard holds."""
        key, w = ("lanes", g), self.vectors
        home = self.deepest([k for k, _ in g.index.terms])
        if key not in home.values:
            steps = lane_list([j * g.index.of(self.axis_or(-1)) for j in range(w)], "i64")
            first = self.splat(self.at(g.index), "i64", home)
            x = self.put(f"add nsw <{w} x i64> {first}, {steps}", home)
            home.values[key] = self.put(f"icmp ult <{w} x i64> {x}, splat (i64 {g.size})", home)
        return home.values[key]

    def all_hold(self, guards: list[Guard], scope: Scope) -> str:
        """Whether guards that are the same in all lanes hold; empty for none."""
        held = ""
        for g in guards:
            home = self.deepest([k for k, _ in g.index.terms])
            if ("held", g) not in home.values:
                home.values["held", g] = self.put(f"icmp ult i64 {self.at(g.index)}, {g.size}", home)
            one = home.values["held", g]
            held = self.put(f"and i1 {held}, {one}", scope) if held else one
        return held

    def readable(self, pointer: str, cond: str, scope: Scope) -> str:
        """The address, or where the condition does not hold that of a zero."""
        if not cond:
            return pointer
        if "zero" not in self.entry.values:
            slot = self.put("alloca [8 x i8], align 8", self.entry)
            self.entry.body.insert(0, f"  store i64 0, ptr {slot}, align 8")
            self.entry.values["zero"] = slot
        return self.put(f"select i1 {cond}, ptr {pointer}, ptr {self.entry.values['zero']}", scope)

    # ---- places

    def deepest(self, axes: list[int]) -> Scope:
        """The innermost of the scopes in which these loops' indices become known."""
        depth = max([self.depth(self.where[k]) for k in axes], default=0)
        return self.chain[depth]

    def depth(self, s: Scope) -> int:
        """How deep a scope lies."""
        return next(d for d, one in enumerate(self.chain) if one is s)

    def by_depth(self, x: Affine) -> Iterator[tuple[int, int, Scope]]:
        """The terms from the outermost loop to the innermost."""
        for k, c in sorted(x.terms, key=lambda t: self.depth(self.where[t[0]])):
            yield k, c, self.where[k]

    def scaled_index(self, k: int, c: int) -> str:
        """The index of loop ``k`` times a constant."""
        index, scope = self.indices[k], self.where[k]
        if "%" not in index:
            return str(int(index) * c)
        if c == 1:
            return index
        if ("times", k, c) not in scope.values:
            scope.values["times", k, c] = self.put(f"mul nsw i64 {index}, {c}", scope)
        return scope.values["times", k, c]

    def at(self, x: Affine) -> str:
        """An index expression at the first index of the tile, or of the vector."""
        reg, scope = str(x.const), self.entry
        for k, c, scope in self.by_depth(x):
            key = "at", reg, k, c
            if key not in scope.values:
                scope.values[key] = self.sum(reg, self.scaled_index(k, c), scope)
            reg = scope.values[key]
        return reg

    def place(self, v: Value, x: Affine, scope: Scope) -> str:
        """The address of an element; the constant comes last, so that neighbours share all but that."""
        t, reg = memory_type(v.dtype), self.operand(v, False)
        const = x.const
        for k, c, home in self.by_depth(x):
            offset = self.scaled_index(k, c)
            if "%" not in offset:
                const += int(offset)
                continue
            key = "place", reg, k, c
            if key not in home.values:
                home.values[key] = self.put(f"getelementptr {t}, ptr {reg}, i64 {offset}", home)
            reg = home.values[key]
        return self.put(f"getelementptr {t}, ptr {reg}, i64 {const}", scope) if const else reg

    # ---- lanes

    def added_lanes(self, sums: list[str]) -> list[str]:
        """Each vector's lanes added up: halves are added until one element is left, of several vectors at once."""
        return [one for at in range(0, len(sums), self.vectors) for one in self.added(sums[at : at + self.vectors])]

    def added(self, sums: list[str]) -> list[str]:
        """At most as many vectors as there are lanes."""
        w, base = self.vectors, base_type(self.dt)
        t = vector(base, w)
        add = "fadd" if self.dt.kind == "f" else "add"
        count, half = len(sums), w // 2
        groups = sums
        while half:
            step = 2 * half  # each register holds runs of ``step`` lanes, one for each vector in it
            pairs = [(groups[j], groups[j + 1] if j + 1 < len(groups) else groups[j]) for j in range(0, len(groups), 2)]
            groups = [self.put(f"{add} {t} {x}, {y}") for x, y in [self.halves(p, t, step, half) for p in pairs]]
            half //= 2
        return [self.put(f"extractelement {t} {groups[0]}, i64 {j}") for j in range(count)]

    def halves(self, pair: tuple[str, str], t: str, step: int, half: int) -> tuple[str, str]:
        """The first and the second halves of all runs of two registers."""
        w = self.vectors
        runs = [r * step + (w if second else 0) for second in (0, 1) for r in range(w // step)]
        found = []
        for off in (0, half):
            picks = lane_list([r + off + j for r in runs for j in range(half)], "i32")
            found.append(self.put(f"shufflevector {t} {pair[0]}, {t} {pair[1]}, <{w} x i32> {picks}"))
        return found[0], found[1]
