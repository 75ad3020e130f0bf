"""What a nest computes at one point of its loops: nodes, loads and stores as LLVM instructions.

Every node is put into the outermost open scope in which all that it depends on is known.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...dtypes import bool_, dtype, int64
from ..affine import Affine, Guard
from ..ir import Value
from ..loops import Load, Nest, Node, Store
from . import nest_maps as maps
from .target import Target
from .text import Renderer, Scope, base_type, constant, fenced, lane_list, memory_type, suffix, vector
from .vector_math.emitter import VectorMath
from .vector_math.ssa import Module

Val = tuple[str, bool]  # register, is it a vector


class Points:
    """Emits nodes into the scopes of ``chain``, the open ones from the outermost to the innermost."""

    def __init__(self, n: Nest, axis: int | None, lanes: int, target: Target) -> None:
        self.n = n
        self.axis = axis  # the loop that runs in vectors
        self.lanes = lanes
        self.entry = Scope(frozenset(), False)
        self.chain: list[Scope] = [self.entry]
        self.loops = len(n.sizes)  # axes from here on are indices computed at run time
        self.indices: dict[int, str] = {}  # a register or a number for each open loop
        self.operands: dict[tuple[Value, bool], int] = {}
        self.bases: dict[tuple[Value, bool], int] = {}  # the element at which an operand's address is given
        self.has_masks = target.has("avx512f")  # for vectors of all dtypes
        self.hides_masks = target.splits_masks(lanes)
        self.module = Module(fma=target.fma, scalef=target.has_masks, attributes="nounwind")
        self.count = 0

    # ---- instructions

    def fresh(self) -> str:
        """A new register."""
        self.count += 1
        return f"%v{self.count}"

    def put(self, instruction: str, scope: Scope | None = None) -> str:
        """Appends an instruction with a result."""
        r = self.fresh()
        (scope or self.chain[-1]).head.append(f"  {r} = {instruction}")
        return r

    def least(self, a: str, b: int, scope: Scope | None = None) -> str:
        """The smaller of an index and a constant."""
        less = self.put(f"icmp ult i64 {a}, {b}", scope)
        return self.put(f"select i1 {less}, i64 {a}, i64 {b}", scope)

    def rendered(self, name: str, before: Sequence[str] = ()) -> str:
        """The text of the function that has been emitted; ``before`` is what comes ahead of its entry."""
        out = Renderer()
        self.entry.render(out)
        head = self.module.text()
        signature = f"define void @{name}(ptr noalias %operands, i64 %chunk, ptr noalias %workspace) nounwind"
        lines = [f"{signature} {{", *before, "entry:", *out.lines, "  ret void", "}", ""]
        return "\n".join([*([head] if head else []), *lines])

    def ops(self, lanes: int, scope: Scope | None = None) -> maps.Ops:
        """Instructions on vectors of ``lanes``, or on single elements."""
        s = scope or self.chain[-1]
        return maps.Ops(lambda text: self.put(text, s), self.module.declare, self.functions(s).emit, lanes)

    def functions(self, scope: Scope) -> VectorMath:
        """The vector functions, appended to a scope."""
        if scope.functions is None:
            self.count += 1
            scope.functions = VectorMath(scope.head, self.module, f"f{self.count}.")
        return scope.functions

    @property
    def wide(self) -> bool:
        """Is the innermost scope one of vectors?"""
        return self.axis is not None and self.axis in self.chain[-1].axes

    # ---- nodes

    def home(self, axes: frozenset[int], after: bool = False) -> Scope:
        """The outermost open scope in which these are known."""
        for s in self.chain:
            if axes <= s.axes and s.after >= after:
                return s
        raise LookupError(f"no open scope knows {sorted(axes)}")

    def value(self, node: Node) -> Val:
        """The register of a node, computed where it belongs if it is not there yet."""
        if node.op == "reduced":
            return next(
                s.values["reduced", node.params] for s in reversed(self.chain) if ("reduced", node.params) in s.values
            )
        scope = self.home(node.axes, node.after)
        if node not in scope.values:
            scope.values[node] = self.compute(node, scope)
        return scope.values[node]

    def compute(self, node: Node, scope: Scope) -> Val:
        """Emits one node."""
        if node.op == "load":
            return self.load(node, scope)
        if node.op == "const":
            return constant(node.params, base_type(node.dtype), 0), False
        if node.op == "index":
            return self.index(node, scope)
        if node.op == "pad":
            return self.pad(node, scope)
        args = [self.value(a) for a in node.args]
        wide = any(v for _, v in args)
        regs = [self.as_vector(a) if wide else x[0] for x, a in zip(args, node.args)]
        ops = self.ops(self.lanes if wide else 0, scope)
        return maps.emit(ops, node.name, regs, tuple([a.dtype for a in node.args]), node.dtype), wide

    def as_vector(self, node: Node) -> str:
        """The node's register, the same in all lanes where it is one element."""
        reg, wide = self.value(node)
        return reg if wide else self.splat(reg, base_type(node.dtype), self.home(node.axes, node.after))

    def splat(self, reg: str, base: str, scope: Scope) -> str:
        """A register, or a number, in all lanes."""
        if not reg.startswith("%"):
            return f"splat ({base} {reg})"
        if ("splat", reg) not in scope.values:
            t = vector(base, self.lanes)
            one = self.put(f"insertelement {t} poison, {base} {reg}, i64 0", scope)
            zeros = f"<{self.lanes} x i32> zeroinitializer"
            scope.values["splat", reg] = self.put(f"shufflevector {t} {one}, {t} poison, {zeros}", scope)
        return scope.values["splat", reg]

    # ---- indices

    def parts(self, x: Affine) -> tuple[Affine, list[tuple[int, int]]]:
        """What loops step through, and the terms of indices computed at run time."""
        fixed = Affine(x.const, tuple([t for t in x.terms if t[0] < self.loops]))
        return fixed, [t for t in x.terms if t[0] >= self.loops]

    def varies(self, x: Affine) -> bool:
        """Is the expression another in each lane?"""
        return self.axis is not None and self.n.reach(x).of(self.axis) != 0

    def displaced(self, first: Val, terms: list[tuple[int, int]], scope: Scope) -> Val:
        """An index with the terms of indices computed at run time added."""
        for a, c in terms:
            first = self.added(first, self.computed(a, c), scope)
        return first

    def computed(self, a: int, c: int) -> Val:
        """An index computed at run time, times a constant."""
        node = self.n.runtime[a - self.loops].node
        scope, (reg, wide) = self.home(node.axes, node.after), self.value(node)
        if ("computed", a, c) not in scope.values:
            ops = self.ops(self.lanes if wide else 0, scope)
            reg = maps.cast(ops, reg, node.dtype, int64)
            reg = reg if c == 1 else ops.two("mul", int64, reg, ops.const(c, int64))
            scope.values["computed", a, c] = reg, wide
        return scope.values["computed", a, c]

    def added(self, a: Val, b: Val, scope: Scope) -> Val:
        """Two indices added, of which either may be one for each lane."""
        if not (a[1] or b[1]):
            return self.sum(a[0], b[0], scope), False
        if "0" in (a[0], b[0]):
            return b if a[0] == "0" else a
        x, y = [r if w else self.splat(r, "i64", scope) for r, w in (a, b)]
        return self.put(f"add nsw <{self.lanes} x i64> {x}, {y}", scope), True

    def ordered(self, x: Affine) -> list[tuple[int, int]]:
        """The terms from the outermost loop to the innermost."""
        depth = {a: next(d for d, s in enumerate(self.chain) if a in s.axes) for a, _ in x.terms}
        return sorted(x.terms, key=lambda t: depth[t[0]])

    def scaled(self, k: int, c: int) -> str:
        """The index of loop ``k`` times a constant."""
        index = self.indices[k]
        if not index.startswith("%"):
            return str(int(index) * c)
        if c == 1:
            return index
        scope = self.home(frozenset([k]))
        if ("scaled", k, c) not in scope.values:
            scope.values["scaled", k, c] = self.put(f"mul nsw i64 {index}, {c}", scope)
        return scope.values["scaled", k, c]

    def integer(self, x: Affine) -> str:
        """An index expression (in vectors: for the first lane)."""
        reg, known = str(x.const), frozenset()
        for k, c in self.ordered(x):
            known |= {k}
            scope, key = self.home(known), ("integer", reg, k, c)
            if key not in scope.values:
                scope.values[key] = self.sum(reg, self.scaled(k, c), scope)
            reg = scope.values[key]
        return reg

    def sum(self, a: str, b: str, scope: Scope) -> str:
        """Two indices added."""
        if "%" not in a + b:
            return str(int(a) + int(b))
        return b if a == "0" else a if b == "0" else self.put(f"add nsw i64 {a}, {b}", scope)

    def integers(self, x: Affine, scope: Scope) -> Val:
        """An index expression, in each lane its own."""
        fixed, terms = self.parts(x)
        first = self.integer(fixed)
        c = x.of(self.axis) if self.axis is not None else 0
        if not c:
            return self.displaced((first, False), terms, scope)
        steps = lane_list([j * c for j in range(self.lanes)], "i64")
        lanes = self.put(f"add nsw <{self.lanes} x i64> {self.splat(first, 'i64', scope)}, {steps}", scope)
        return self.displaced((lanes, True), terms, scope)

    def index(self, node: Node, scope: Scope) -> Val:
        """A position as a value."""
        reg, wide = self.integers(node.params, scope)
        return maps.cast(self.ops(self.lanes if wide else 0, scope), reg, int64, node.dtype), wide

    def condition(self, guards: tuple[Guard, ...], scope: Scope) -> Val:
        """Do all guards hold?"""
        held: Val = ("true", False)
        for g in guards:
            key = "guard", g
            if key not in scope.values:
                x, wide = self.integers(g.index, scope)
                lanes = self.lanes if wide else 0
                how = f"icmp ult {vector('i64', lanes)} {x}, {constant(g.size, 'i64', lanes)}"
                scope.values[key] = self.put(how, scope), wide
            held = self.conjunction(held, scope.values[key], scope)
        return held

    def conjunction(self, a: Val, b: Val, scope: Scope) -> Val:
        """Both conditions."""
        if "true" in (a[0], b[0]):
            return b if a[0] == "true" else a
        wide = a[1] or b[1]
        x, y = [self.splat(r, "i1", scope) if wide and not w else r for r, w in (a, b)]
        return self.ops(self.lanes if wide else 0, scope).two("and", bool_, x, y), wide

    def pad(self, node: Node, scope: Scope) -> Val:
        """The operand where the guards hold, else the constant."""
        guards, value = node.params
        cond, wide = self.condition(guards, scope)
        inner, inner_wide = self.value(node.args[0])
        lanes = self.lanes if wide or inner_wide else 0
        if lanes:
            inner = self.as_vector(node.args[0])
        t, base = vector(base_type(node.dtype), lanes), base_type(node.dtype)
        c = f"{vector('i1', self.lanes if wide else 0)} {cond}"
        return self.put(f"select {c}, {t} {inner}, {t} {constant(value, base, lanes)}", scope), bool(lanes)

    # ---- memory

    def operand(self, v: Value, written: bool) -> str:
        """The address of an array."""
        key = "operand", v, written
        if key not in self.entry.values:
            k = self.operands.setdefault((v, written), len(self.operands))
            at = self.put(f"getelementptr inbounds ptr, ptr %operands, i64 {k}", self.entry)
            self.entry.values[key] = self.address_of(at, self.n.local.get(v))
        return self.entry.values[key]

    def address_of(self, at: str, local: int | None) -> str:
        """The address that an operand says; of a value in the workspace it says the place, for the first chunk."""
        if local is None:
            return self.put(f"load ptr, ptr {at}, align 8", self.entry)
        place = self.put(f"load i64, ptr {at}, align 8", self.entry)
        before = self.put(f"mul nuw nsw i64 %chunk, {local}", self.entry)
        place = self.put(f"sub nsw i64 {place}, {before}", self.entry)
        return self.put(f"getelementptr i8, ptr %workspace, i64 {place}", self.entry)

    def pointer(self, v: Value, written: bool, x: Affine) -> str:
        """The address of an element (in vectors: of the first lane's)."""
        t = memory_type(v.dtype)
        reg, known = self.operand(v, written), frozenset()
        const = x.const - self.bases.get((v, written), 0)
        steps = ([(None, const)] if const else []) + [(k, c) for k, c in self.ordered(x)]
        for k, c in steps:
            known = known if k is None else known | {k}
            scope, key = self.home(known), ("pointer", reg, k, c)
            if key not in scope.values:
                offset = str(c) if k is None else self.scaled(k, c)
                scope.values[key] = (
                    reg if offset == "0" else self.put(f"getelementptr {t}, ptr {reg}, i64 {offset}", scope)
                )
            reg = scope.values[key]
        return reg

    def reach(self, v: Value, written: bool, x: Affine, scope: Scope) -> tuple[str, str | None]:
        """The address of an element, and how far from it each lane's lies, if indices of their own say so."""
        fixed, terms = self.parts(x)
        pointer = self.pointer(v, written, fixed)
        near, far = [[t for t in terms if self.varies(Affine(0, (t,))) == wide] for wide in (False, True)]
        if near:
            offset, _ = self.displaced(("0", False), near, scope)
            pointer = self.put(f"getelementptr {memory_type(v.dtype)}, ptr {pointer}, i64 {offset}", scope)
        return pointer, self.displaced(("0", False), far, scope)[0] if far else None

    def load(self, node: Node, scope: Scope) -> Val:
        """An element, or one for each lane; what the guards exclude is not read."""
        at, dt = node.params, node.dtype
        wide = self.axis is not None and self.axis in scope.axes
        moving = tuple([g for g in at.guards if wide and self.varies(g.index)])
        fixed = tuple([g for g in at.guards if g not in moving])
        wide = wide and (bool(moving) or self.varies(at.address))
        pointer, offsets = self.reach(at.value, False, at.address, scope)
        if fixed:
            cond, _ = self.condition(fixed, scope)
            pointer = self.put(f"select i1 {cond}, ptr {pointer}, ptr {self.operand(at.value, False)}", scope)
            if wide:
                both = self.conjunction((cond, False), self.condition(moving, scope), scope)
                both = both if both[1] else (self.splat(both[0], "i1", scope), True)
                return self.load_lanes(at, dt, scope, pointer, offsets, both)
        if not wide:
            t = memory_type(dt)
            raw = self.put(f"load {t}, ptr {pointer}, align {dt.itemsize}", scope)
            return maps.from_memory(self.ops(0, scope), raw, dt), False
        return self.load_lanes(at, dt, scope, pointer, offsets, self.condition(moving, scope))

    def load_lanes(self, at: Load, dt: dtype, scope: Scope, pointer: str, offsets: str | None, cond: Val) -> Val:
        """A vector of elements."""
        t, w = memory_type(dt), self.lanes
        step, ops = at.address.of(self.axis), self.ops(self.lanes, scope)  # type: ignore[arg-type]
        mask = self.conjunction(cond, (scope.mask, True) if scope.mask else ("true", False), scope)
        if step in (1, -1) and offsets is None:
            raw = self.load_run(t, pointer, step, mask, dt.itemsize, scope)
        elif step == 2 and offsets is None and (mask[0] == "true" or self.has_masks or dt.itemsize >= 4):
            raw = self.load_alternate(t, pointer, self.opaque(mask[0], w, scope), dt.itemsize, scope)
        elif offsets is None and self.each_known(mask[0]):
            raw = self.load_each(t, pointer, step, mask[0], dt.itemsize, scope)
        else:
            steps = lane_list([j * step for j in range(w)], "i64")
            if offsets is not None:
                steps = self.put(f"add nsw <{w} x i64> {offsets}, {steps}", scope) if step else offsets
            ps = self.put(f"getelementptr {t}, ptr {pointer}, <{w} x i64> {steps}", scope)
            name = f"@llvm.masked.gather.{suffix(t, w)}.v{w}p0"
            self.module.declare(f"declare <{w} x {t}> {name}(<{w} x ptr>, i32, <{w} x i1>, <{w} x {t}>)")
            m = mask[0] if mask[1] else f"splat (i1 {mask[0]})"
            taken = f"<{w} x ptr> {ps}, i32 {dt.itemsize}, <{w} x i1> {m}, <{w} x {t}> zeroinitializer"
            raw = self.put(f"call <{w} x {t}> {name}({taken})", scope)
        return maps.from_memory(ops, raw, dt), True

    def each_known(self, mask: str) -> bool:
        """Are lanes that lie apart read and written one by one, since it is known which are there?

        Instructions that gather and scatter take as long on some processors with AVX-512, and up to twice on others.
        """
        return "%" not in mask

    def load_each(self, t: str, pointer: str, step: int, mask: str, align: int, scope: Scope, lanes: int = 0) -> str:
        """Elements some steps apart, one after the other: addresses in lanes would have to be taken apart again."""
        w = lanes or self.lanes
        there = list(range(w)) if mask == "true" else [j for j, one in enumerate(mask.split(",")) if "true" in one]
        raw = "poison" if len(there) == w else "zeroinitializer"
        for j in there:
            at = self.put(f"getelementptr {t}, ptr {pointer}, i64 {j * step}", scope) if j else pointer
            one = self.put(f"load {t}, ptr {at}, align {align}", scope)
            raw = self.put(f"insertelement <{w} x {t}> {raw}, {t} {one}, i64 {j}", scope)
        return raw

    def load_run(self, t: str, pointer: str, step: int, mask: Val, align: int, scope: Scope) -> str:
        """Neighbouring elements, ascending or descending."""
        w = self.lanes
        m = self.opaque(mask[0], w, scope) if mask[1] else "true"
        if step < 0:
            pointer = self.put(f"getelementptr {t}, ptr {pointer}, i64 {1 - w}", scope)
            m = self.reversed(m, "i1", scope) if mask[1] else m
        raw = self.load_vector(t, pointer, m, align, scope)
        return self.reversed(raw, t, scope) if step < 0 else raw

    def load_alternate(self, t: str, pointer: str, mask: str, align: int, scope: Scope) -> str:
        """Every second element: picked from two vectors of neighbours, of which the second ends with the last one."""
        w = self.lanes
        ends = self.put(f"getelementptr {t}, ptr {pointer}, i64 {w - 1}", scope)
        parts = []
        for start, at in ((0, pointer), (w - 1, ends)):
            lanes = [(start + j) // 2 if (start + j) % 2 == 0 else w for j in range(w)]
            m = mask if mask == "true" else self.shuffled(mask, "zeroinitializer", "i1", lanes, scope)
            parts.append(self.load_vector(t, at, m, align, scope))
        return self.shuffled(parts[0], parts[1], t, [2 * j if 2 * j < w else 2 * j + 1 for j in range(w)], scope)

    def load_vector(self, t: str, pointer: str, mask: str, align: int, scope: Scope) -> str:
        """Neighbouring elements, zeros where the mask has none."""
        w = self.lanes
        if mask == "true":
            return self.put(f"load <{w} x {t}>, ptr {pointer}, align {align}", scope)
        name = f"@llvm.masked.load.{suffix(t, w)}.p0"
        self.module.declare(f"declare <{w} x {t}> {name}(ptr, i32, <{w} x i1>, <{w} x {t}>)")
        taken = f"ptr {pointer}, i32 {align}, <{w} x i1> {mask}, <{w} x {t}> zeroinitializer"
        return self.put(f"call <{w} x {t}> {name}({taken})", scope)

    def shuffled(self, a: str, b: str, base: str, lanes: list[int], scope: Scope | None = None) -> str:
        """A vector of lanes of two."""
        t, order = vector(base, self.lanes), lane_list(lanes, "i32")
        return self.put(f"shufflevector {t} {a}, {t} {b}, <{self.lanes} x i32> {order}", scope)

    def opaque(self, mask: str, w: int, scope: Scope) -> str:
        """A mask whose origin LLVM 22 does not see where it splits vectors.

        If it finds a part of such a mask to be false everywhere only after it has split it, it loads that part as if
        there were no mask.
        """
        if not self.hides_masks or "%" not in mask:
            return mask
        t = f"<{w} x i{max(8, 128 // w)}>"
        wide = self.put(f"sext <{w} x i1> {mask} to {t}", scope)
        wide = self.put(f'call {t} asm "", "=x,0"({t} {wide})', scope)
        return self.put(f"trunc {t} {wide} to <{w} x i1>", scope)

    def reversed(self, reg: str, base: str, scope: Scope) -> str:
        """The lanes in the opposite order."""
        return self.shuffled(reg, "poison", base, list(range(self.lanes - 1, -1, -1)), scope)

    def turned(self, rows: list[str], dt: dtype) -> list[str]:
        """The transposed square: blocks off the diagonal change places, of half the lanes, a quarter, and so on.

        Rows that are not there may be a constant.
        """
        base, w, d = base_type(dt), self.lanes, self.lanes // 2
        while d:
            low = [j if not j & d else w + j - d for j in range(w)]
            high = [j + d if not j & d else w + j for j in range(w)]
            new = list(rows)
            for i in [i for i in range(w) if not i & d and rows[i] != rows[i + d]]:
                new[i], new[i + d] = [self.shuffled(rows[i], rows[i + d], base, lanes) for lanes in (low, high)]
            d //= 2
            is_fenced = d and dt.kind == "f"
            rows = [fenced(self.put, self.module.declare, r, base, w) if is_fenced and "%" in r else r for r in new]
        return rows

    def store(self, s: Store) -> None:
        """Writes a node's value to its place."""
        scope = self.chain[-1]
        reg = self.as_vector(s.node) if self.wide else self.value(s.node)[0]
        self.write(s, reg, self.reach(s.value, True, s.address, scope)[0])

    def write(self, s: Store, reg: str, pointer: str) -> None:
        """Writes a register to a store's place."""
        scope, dt, wide = self.chain[-1], s.value.dtype, self.wide
        raw = maps.to_memory(self.ops(self.lanes if wide else 0), reg, dt)
        if wide:
            self.store_lanes(raw, memory_type(dt), pointer, s.address.of(self.axis), dt.itemsize, scope)  # type: ignore[arg-type]
        else:
            scope.body.append(f"  store {memory_type(dt)} {raw}, ptr {pointer}, align {dt.itemsize}")

    def store_lanes(self, raw: str, t: str, pointer: str, step: int, align: int, scope: Scope) -> None:
        """Writes a vector of elements."""
        w, mask = self.lanes, scope.mask
        if step == 1 and not mask:
            scope.body.append(f"  store <{w} x {t}> {raw}, ptr {pointer}, align {align}")
            return
        m = mask or "splat (i1 true)"
        there = m.count("true") if mask else w
        single = mask and there == 1  # LLVM 22 writes too many bytes of one lane that it also truncates
        if single or (step != 1 and self.each_known(m)):
            for j in range(there):
                at = self.put(f"getelementptr {t}, ptr {pointer}, i64 {j * step}", scope) if j else pointer
                one = self.put(f"extractelement <{w} x {t}> {raw}, i64 {j}", scope)
                scope.body.append(f"  store {t} {one}, ptr {at}, align {align}")
            return
        if step == 1 and align >= 4 and not self.has_masks and not m.startswith("%"):
            self.store_first(m.count("true"), raw, t, pointer, align, scope)
            return
        if step == 1:
            name, target = f"@llvm.masked.store.{suffix(t, w)}.p0", "ptr"
        else:
            steps = lane_list([j * step for j in range(w)], "i64")
            pointer = self.put(f"getelementptr {t}, ptr {pointer}, <{w} x i64> {steps}", scope)
            name, target = f"@llvm.masked.scatter.{suffix(t, w)}.v{w}p0", f"<{w} x ptr>"
        self.module.declare(f"declare void {name}(<{w} x {t}>, {target}, i32, <{w} x i1>)")
        scope.body.append(f"  call void {name}(<{w} x {t}> {raw}, {target} {pointer}, i32 {align}, <{w} x i1> {m})")

    def store_first(self, count: int, raw: str, t: str, pointer: str, align: int, scope: Scope) -> None:
        """Writes the first lanes in parts of 4, 2 and 1: a store under a mask takes several times as long."""
        w, first = self.lanes, 0
        while first < count:
            part = 1 << (count - first).bit_length() - 1
            lanes = lane_list([first + j for j in range(part)], "i32")
            some = self.put(f"shufflevector <{w} x {t}> {raw}, <{w} x {t}> poison, <{part} x i32> {lanes}", scope)
            place = self.put(f"getelementptr {t}, ptr {pointer}, i64 {first}", scope) if first else pointer
            scope.body.append(f"  store <{part} x {t}> {some}, ptr {place}, align {align}")
            first += part
