"""When compiling a program pays: what it takes, and what each of its runs then saves, by estimates from shapes.

Nobody knows whether a program will come again. So it is compiled when its runs would have saved as much as compiling
takes: at most as much again is lost on one that ends then, and on one that comes for ever.
"""

from __future__ import annotations

from math import isqrt
from typing import Any

from ..graph.node import LAYOUT, LEAF, PART, SCALAR, VIEW, Node
from ..graph.program import Program

# Seconds, about. Those of compiling and those of runs are as of a machine that does other things beside.
PLANNING = 3e-4  # of planning an operator of a program that is compiled
COMPILING = 2.3e-3  # of compiling an operator of a kind that no program before had, more than that
MULTIPLYING = 1.5e-2  # of compiling a product of matrices, more than others take,
MULTIPLYING_MANY = 6e-2  # and more than that, where panels of them are copied
CONVOLUTION = 0.08  # of compiling a convolution or its gradient, more than others take
DEPTHWISE = 0.016  # where an element meets no weight but its channel's
MANY = 1_000_000  # products
SAVED = 0.5  # of the time that elements and products take: what compiled code saves; of the rest it saves all
SHARE = 0.25  # of what compiling takes: what a run in the first tier may take,
SHARE_OF_SIZES = 0.32  # where it is planned for all sizes: others may come next
JOINED_AFTER = 4  # runs, after which a program is looked through for chains of maps (``chains``),
FEW = 100  # unless it has fewer steps

FREE = frozenset([LEAF, SCALAR, VIEW, LAYOUT, PART])
PRODUCTS = frozenset(["mm", "addmm", "bmm", "baddbmm", "addbmm", "scaled_dot_product_attention"])
MOST = 100_000  # kinds that are remembered
_compiled: set[Any] = set()  # the kinds of operators in programs that were compiled


class Limited:
    """A program that is compiled when it has run often enough.

    Attributes:
        seconds: what a run takes, about.
        calling: of these, what calls take beside elements and products.
        worth: what planning and compiling it takes, about.
        runs: how often it has run.
        together: how often it and its equals have run, as the one element of their common list; None if not known yet.
        asked: the same program, asked for beside this process; None if not yet, False if that cannot be.
    """

    seconds: float
    calling = 0.0
    worth: float
    runs: int
    together: list[int] | None = None
    asked: Any = None

    def joined(self, p: Program) -> Limited:
        """What runs the program from now on in this tier: itself, or something faster."""
        return self

    @property
    def limit(self) -> int:
        """After how many runs it is compiled: those in which compiled code would have saved what it takes."""
        saved = self.calling + SAVED * (self.seconds - self.calling)
        return int(self.worth / saved) + 1 if saved else 1 << 30

    @property
    def ran(self) -> int:
        """How often it has run, with its equals: what is compiled serves them all."""
        return self.together[0] if self.together else self.runs


class LimitedLater(Limited):
    """A limited program that says what compiling it takes when it is asked: the program's order is not known before.

    Attributes:
        program: the program.
    """

    program: Program

    @property
    def worth(self) -> float:  # type: ignore[override]
        """What planning and compiling it takes, about."""
        return worth(self.program.order)


def worth(order: list[Node]) -> float:
    """The seconds that planning and compiling a program takes, about: layers and programs share their kernels."""
    operators = sum([n.op not in FREE for n in order])
    return PLANNING * operators + sum(map(_compiling, kinds_of(order) - _compiled))


def _compiling(kind: tuple[Any, ...]) -> float:
    """The seconds that compiling operators of a kind takes, about."""
    op, _, result, *read = kind
    if op.name.startswith("convolution"):
        return COMPILING + (DEPTHWISE if _is_depthwise(op, kind[1], result) else CONVOLUTION)
    if not read:
        return COMPILING
    products = isqrt(getattr(result, "numel", 1) * read[-2].numel * read[-1].numel)  # of matrices, each label is in two
    return COMPILING + MULTIPLYING + MULTIPLYING_MANY * (products > MANY)


def _is_depthwise(op: Any, attrs: Any, result: Any) -> bool:
    """Is a convolution, or its gradient, one of groups of one channel?"""
    if op.name == "convolution_output":
        return False
    groups = attrs[3] if op.name == "convolution" else attrs[1][3]
    return groups > 1 and result.shape[1] == (1 if op.name == "convolution_weight" else groups)


def least_worth(operators: int, kinds: int) -> float:
    """What it takes at least for so many operators of so many kinds: nothing is shared while nothing is compiled."""
    return PLANNING * operators + COMPILING * kinds * (not _compiled)


def note_compiled(order: list[Node]) -> None:
    """Notes that a program has been compiled, so that others like it take less."""
    if len(_compiled) > MOST:
        _compiled.clear()
    _compiled.update(kinds_of(order))


def kinds_of(order: list[Node]) -> set[Any]:
    """The kinds of operators, of which each has to be compiled once: of products, what they read makes one too."""
    return {
        (n.op, n.attrs, n.ty, *[i.ty for i in n.ins]) if n.op.name in PRODUCTS else (n.op, n.attrs, n.ty)
        for n in order
        if n.op not in FREE
    }
