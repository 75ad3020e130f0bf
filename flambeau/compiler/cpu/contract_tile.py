"""A contraction with its operands where they lie: a tile of results in registers while the reduced loops run."""

from __future__ import annotations

from itertools import product
from math import prod

from ...dtypes import dtype
from ..affine import Affine, Guard
from ..loops import Load, Nest, Node
from . import nest_maps as maps
from .contract_loads import Elements, Shift
from .contract_plan import Operand, Plan
from .nest_loops import Kernel
from .target import Target
from .text import Loop, Scope, When, base_type, constant, lane_list, suffix, vector

PREFETCHED = 48  # products of a result from which on there is time to fetch what is made of it


class Contraction(Elements):
    """Emits the loops of a contraction and what is stored behind them."""

    def __init__(self, n: Nest, p: Plan, dt: dtype, target: Target, name: str) -> None:
        super().__init__(n, p, dt, target)
        self.name = name
        self.fma = target.fma
        self.gone = [k for k, r in enumerate(n.reduced) if r]

    def kernel(self) -> Kernel:
        """Emits the loops from the outside in, then renders them."""
        self.emit()
        return self.finished()

    def emit(self) -> None:
        """All that the kernel does."""
        self.kept_loops(self.plan.nested or self.plan.order)

    def finished(self) -> Kernel:
        """The rendered kernel."""
        text = self.rendered(self.name)
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
        if self.in_pieces and k == 0:
            self.piece(order, low, high)
            return
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

    @property
    def in_pieces(self) -> bool:
        """Is a chunk a piece of the first loop?"""
        n, p = self.n, self.plan
        return bool(n.pieces) and p.order[0] == 0 and p.chunks == n.pieces and p.axis != 0

    def piece(self, order: list[int], low: str, high: str) -> None:
        """The chunk's piece of the first loop, whose end is a smaller tile."""
        step, count, depth = self.step(0), self.plan.chunk, len(self.chain)
        rest = count % step
        end = self.sum(low, str(count - rest), self.entry) if rest else high
        if count > rest:
            self.steps(0, low, end, step, guarded=False)
            self.kept_loops(order[1:])
            self.leave(depth)
        if rest:
            self.open(Scope(self.chain[-1].axes, self.chain[-1].after))
            self.indices[0], self.where[0], self.span[0] = end, self.chain[-1], rest
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
        self.prefetch(places)
        loops = [k for k in self.gone if k not in self.plan.taps]
        sums = self.reduced_loops(loops, places, self.initial(places))
        self.open(Scope(self.chain[-1].axes, False))
        self.concluded(places, sums)
        self.leave(len(self.chain) - 1)

    def prefetch(self, places: list[Shift]) -> None:
        """Asks for what is made of a tile's sums to be in the cache by then: state of an optimizer, for example."""
        k = self.axis_or(-1)
        tiled = [j for j in self.plan.tile if j != k]
        if self.plan.across or prod([self.n.sizes[j] for j in self.gone]) < PREFETCHED:
            return
        for node in [node for node in self.n.nodes if node.op == "load" and node not in self.loads()]:
            at: Load = node.params
            if node.args or at.guards or at.address.of(k) != 1 or not any(at.address.of(j) for j in tiled):
                continue
            self.module.declare("declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")
            for place in places:
                pointer = self.place(at.value, self.moved(at.address, place), self.chain[-1])
                self.chain[-1].body.append(f"  call void @llvm.prefetch.p0(ptr {pointer}, i32 0, i32 3, i32 1)")

    def initial(self, places: list[Shift]) -> list[str]:
        """What the sums of a tile begin with."""
        return [constant(0, base_type(self.dt), self.vectors)] * len(places)

    def concluded(self, places: list[Shift], sums: list[str]) -> None:
        """Stores what is made of the sums of a tile."""
        if not self.plan.across:
            for at, reg in zip(places, sums):
                self.finish(at, reg, bool(self.vectors), self.mask(at))
            return
        for run in self.runs(places):
            total = self.folded([sums[j] for j in run])
            if self.beside is None:
                self.finish_each([places[j] for j in run], total)
            else:
                self.axis = self.beside
                held = lane_list([j < len(run) for j in range(self.lanes)], "i1")
                self.finish(places[run[0]], total, True, held if len(run) < self.lanes else None)
            self.axis = self.plan.axis

    @property
    def beside(self) -> int | None:
        """The loop along which the tile's sums of lanes are stored in vectors."""
        k = self.plan.beside
        return k if k is not None and self.span[k] > 1 else None

    def runs(self, places: list[Shift]) -> list[list[int]]:
        """The places whose lanes are added up together: neighbours, if they are stored in vectors."""
        order = sorted(range(len(places)), key=lambda j: [n for k, n in places[j].items() if k != self.beside])
        row = self.span[self.beside] if self.beside is not None else len(places)
        starts = [at + i for at in range(0, len(places), row) for i in range(0, row, self.lanes)]
        return [order[at : min(at + self.lanes, at - at % row + row)] for at in starts]

    def finish_each(self, places: list[Shift], total: str) -> None:
        """Stores what is made of a vector's lanes, one after the other."""
        self.axis = None
        t = vector(base_type(self.dt), self.vectors)
        for j, at in enumerate(places):
            self.finish(at, self.put(f"extractelement {t} {total}, i64 {j}"), False, None)

    def finish(self, at: Shift, reg: str, wide: bool, mask: str | None) -> None:
        """Stores what is made of one sum, or in vectors of several."""
        top = self.chain[-1]
        s = Scope(top.axes | set(self.plan.order), True)
        s.mask = mask if wide else None
        self.open(s)
        bases = {k: self.indices[k] for k in self.plan.order}
        for k in self.plan.order:
            self.indices[k] = self.sum(bases[k], str(at.get(k, 0)), s)
        dt, lanes = self.n.reductions[0].value.dtype, self.lanes if wide else 0
        s.values["reduced", 0] = maps.cast(self.ops(lanes, s), reg, self.dt, dt), wide
        for store in self.n.stores:
            self.store(store)
        self.indices.update(bases)
        self.leave(len(self.chain) - 1)

    # ---- reduced loops

    def reduced_loops(self, loops: list[int], places: list[Shift], sums: list[str]) -> list[str]:
        """The sums after the reduced loops, whose innermost steps are unrolled."""
        if not loops:
            return self.products(places, sums)
        k, depth = loops[0], len(self.chain)
        step = self.lanes if k == self.plan.axis else 1
        size = self.n.sizes[k]
        low, high = self.in_bands(k, *self.reduced_range(k))
        if "%" not in low + high and int(low) >= int(high):
            return sums
        rest = size % step
        if rest:
            high = str(size - rest)
        if size > rest:
            dynamic, together = "%" in low + high, self.together(k)
            self.steps(k, low, high, step * together, guarded=dynamic)
            loop = self.chain[-1]
            new = inner = [self.fresh() for _ in sums] if isinstance(loop, Loop) else sums
            for j in range(together):
                new = self.reduced_loops(loops[1:], [place | {k: j} for place in places] if j else places, new)
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

    def together(self, k: int) -> int:
        """How many steps of a reduced loop are code of their own, one behind the other."""
        return self.plan.together if k == self.gone[-1] else 1

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

    def in_bands(self, k: int, low: str, high: str) -> tuple[str, str]:
        """The bounds of a reduced loop less the steps that the bands leave out for all of a tile."""
        for x in self.n.bands:
            c, others = x.of(k), [a for a, _ in x.terms if a != k]
            if k in (self.plan.axis, *self.plan.taps) or abs(c) > 1 or not all(a in self.where for a in others):
                continue
            rest = Affine(x.const + self.most(x, others), tuple([t for t in x.terms if t[0] != k]))
            at = self.at(rest)  # the band's greatest value in the tile, less what this loop adds
            if c > 0:
                low = self.extreme("smin", self.extreme("smax", low, self.negative(at)), high)
            else:
                last = self.extreme("smax", self.sum(at, "1", self.chain[-1]), "0")
                last = last if c else self.product(last, self.n.sizes[k])
                high = self.extreme("smax", self.extreme("smin", high, last), low)
        return low, high

    def most(self, x: Affine, loops: list[int]) -> int:
        """How much greater than at the tile's first indices an expression becomes in the tile."""
        return sum(max(0, x.of(a) * (self.span[a] - 1)) for a in loops)

    def product(self, a: str, c: int) -> str:
        """An index times a constant."""
        return self.put(f"mul nsw i64 {a}, {c}") if "%" in a else str(int(a) * c)

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
        for k in self.plan.taps:
            self.indices[k] = "0"
            self.where[k] = self.chain[-1]
            self.span[k] = self.n.sizes[k]
        new = list(sums)
        for j, shift in self.in_turn(places):
            new[j] = self.multiplied(new[j], shift)
        self.leave(len(self.chain) - 1)
        return new

    def in_turn(self, places: list[Shift]) -> list[tuple[int, Shift]]:
        """The products of an unrolled step, so that the elements of the side with more of them come one by one.

        Each sum meets its products in the order of the reduced loops.
        """
        taps = self.plan.taps
        steps = [dict(zip(taps, at)) for at in product(*[range(self.n.sizes[k]) for k in taps])]
        every = [(j, place | step) for step in steps for j, place in enumerate(places)]
        longer = max(self.sides, key=lambda s: len({_position(s, shift) for _, shift in every}))
        last = taps[-1] if taps else -1
        if any(longer.of(k) for k in taps[:-1]) or longer.of(last) < 0:
            return every
        return sorted(every, key=lambda one: _position(longer, one[1]))

    def multiplied(self, total: str, shift: Shift) -> str:
        """The sum with one more product in each lane that there is."""
        a, b = [self.side(s.node, shift) for s in self.sides]
        if a is None or b is None:
            return total
        new, mask = self.multiply_add(total, a, b), self.mask(shift) if self.plan.across else None
        t = vector(base_type(self.dt), self.vectors)
        return self.put(f"select <{self.vectors} x i1> {mask}, {t} {new}, {t} {total}") if mask else new

    def multiply_add(self, total: str, a: str, b: str) -> str:
        """``total + a * b``."""
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

    # ---- lanes

    def folded(self, sums: list[str]) -> str:
        """Each vector's lanes added up, of at most as many vectors as there are lanes: a vector of the sums.

        Halves are added until one element is left, of several vectors at once.
        """
        w, base = self.vectors, base_type(self.dt)
        t = vector(base, w)
        add = "fadd" if self.dt.kind == "f" else "add"
        half, groups = w // 2, sums
        while half:
            step = 2 * half  # each register holds runs of ``step`` lanes, one for each vector in it
            pairs = [(groups[j], groups[j + 1] if j + 1 < len(groups) else groups[j]) for j in range(0, len(groups), 2)]
            groups = [self.put(f"{add} {t} {x}, {y}") for x, y in [self.halves(p, t, step, half) for p in pairs]]
            half //= 2
        return groups[0]

    def halves(self, pair: tuple[str, str], t: str, step: int, half: int) -> tuple[str, str]:
        """The first and the second halves of all runs of two registers."""
        w = self.vectors
        runs = [r * step + (w if second else 0) for second in (0, 1) for r in range(w // step)]
        found = []
        for off in (0, half):
            picks = lane_list([r + off + j for r in runs for j in range(half)], "i32")
            found.append(self.put(f"shufflevector {t} {pair[0]}, {t} {pair[1]}, <{w} x i32> {picks}"))
        return found[0], found[1]


def _position(s: Operand, shift: Shift) -> int:
    """Where an element lies after some steps."""
    return sum(s.of(k) * d for k, d in shift.items())
