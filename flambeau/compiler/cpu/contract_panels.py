"""A piece of rows times a weight that lies in panels, each of which all rows meet before the next one."""

from __future__ import annotations

from ...dtypes import dtype
from ..loops import Nest
from .contract_loads import Shift
from .contract_packing import Packing
from .contract_tile import Contraction
from .target import Target
from .text import memory_type


class InPanels(Contraction):
    """Emits one kernel, which asks for the next panel while the rows meet this one.

    Weights come from the third cache or beyond, once for each piece. Every tile of rows asks for one line of as many as
    there are steps between two jumps, the next tile for the next of them, so that a few tiles have asked for all.
    """

    def __init__(self, n: Nest, p: Packing, dt: dtype, target: Target, name: str) -> None:
        super().__init__(n, p, dt, target, name)
        self.weight = self.sides[p.vector].node.params
        self.panel_loop = p.outer[0]
        self.turn = ""

    def tile(self) -> None:
        number = self.quotient(self.indices[0], self.step(0))
        self.turn = self.product(self.remainder(number, self.plan.together), self.weight.address.of(self.gone[-1]))
        super().tile()

    def remainder(self, a: str, c: int) -> str:
        """What division leaves of an index."""
        return self.put(f"urem i64 {a}, {c}") if "%" in a else str(int(a) % c)

    def products(self, places: list[Shift], sums: list[str]) -> list[str]:
        if not places[0].get(self.gone[-1]):
            self.fetch()
        return super().products(places, sums)

    def fetch(self) -> None:
        """Asks for a line of the next panel to be in the second cache."""
        t, at = memory_type(self.weight.value.dtype), self.moved(self.weight.address, {self.panel_loop: 1})
        place = self.place(self.weight.value, at, self.chain[-1])
        place = self.put(f"getelementptr {t}, ptr {place}, i64 {self.turn}")
        self.module.declare("declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")
        self.chain[-1].body.append(f"  call void @llvm.prefetch.p0(ptr {place}, i32 0, i32 2, i32 1)")
