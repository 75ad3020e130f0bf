"""``torch.utils.flop_counter``: multiplications and additions of products and convolutions, by module."""

from __future__ import annotations

import functools
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from math import prod
from typing import Any

import flambeau as torch
from flambeau.graph.epoch import threads
from flambeau.graph.node import Operator
from flambeau.ops import _watching
from flambeau.ops.recurrent_cells import CELLS

from ._pytree import tree_map
from .module_tracker import ModuleTracker

__all__ = ["FlopCounterMode", "register_flop_formula"]

aten = torch.ops.aten
Formula = Callable[..., int]
flop_registry: dict[Any, Formula] = {}


def _of_shapes(formula: Formula) -> Formula:
    @functools.wraps(formula)
    def of_tensors(*args: Any, out_val: Any = None, **kwargs: Any) -> int:
        args, kwargs, out = tree_map(lambda x: x.shape if isinstance(x, torch.Tensor) else x, (args, kwargs, out_val))
        return formula(*args, out_shape=out, **kwargs)

    return of_tensors


def register_flop_formula(targets: Any, get_raw: bool = False) -> Callable[[Formula], Formula]:
    """Makes a function the formula of operators (``torch.ops.aten.mm``): of the shapes of its arguments and
    ``out_shape``, or, with ``get_raw``, of the tensors and ``out_val``.

    Raises:
        ValueError: a target is not ``torch.ops.….…``.
    """

    def register(formula: Formula) -> Formula:
        counted = formula if get_raw else _of_shapes(formula)
        for target in targets if isinstance(targets, Iterable) else (targets,):
            if not isinstance(target, type(aten.mm)):
                raise ValueError(
                    "register_flop_formula(targets): expected each target to be OpOverloadPacket (i.e. "
                    f"torch.ops.mylib.foo), got {target} which is of type {type(target)}"
                )
            if target in flop_registry:
                raise RuntimeError(f"duplicate registrations for {target}")
            flop_registry[target] = counted
        return counted

    return register


# ---- formulas


@register_flop_formula(aten.mm)
def mm_flop(a_shape: Any, b_shape: Any, *args: Any, out_shape: Any = None, **kwargs: Any) -> int:
    """Of the product of two matrices."""
    (m, k), (_, n) = a_shape, b_shape
    return m * n * 2 * k


@register_flop_formula(aten.addmm)
def addmm_flop(self_shape: Any, a_shape: Any, b_shape: Any, out_shape: Any = None, **kwargs: Any) -> int:
    """Of the product of two matrices; what is added is not counted."""
    return _product(a_shape, b_shape)


@register_flop_formula(aten.bmm)
def bmm_flop(a_shape: Any, b_shape: Any, out_shape: Any = None, **kwargs: Any) -> int:
    """Of the products of two batches of matrices."""
    return _product(a_shape, b_shape)


@register_flop_formula(aten.baddbmm)
def baddbmm_flop(self_shape: Any, a_shape: Any, b_shape: Any, out_shape: Any = None, **kwargs: Any) -> int:
    """Of the products of two batches of matrices; what is added is not counted."""
    return _product(a_shape, b_shape)


def _product(a: Sequence[int], b: Sequence[int]) -> int:
    return prod(a) * b[-1] * 2


def conv_flop_count(x_shape: Any, w_shape: Any, out_shape: Any, transposed: bool = False) -> int:
    """Of a convolution: the weight times each position, of the input if it is transposed; padding is not left out."""
    return x_shape[0] * prod((x_shape if transposed else out_shape)[2:]) * prod(w_shape) * 2


@register_flop_formula([aten.convolution, aten._convolution])
def conv_flop(
    x_shape: Any, w_shape: Any, _bias: Any, _stride: Any, _padding: Any, _dilation: Any, transposed: bool, *args: Any,
    out_shape: Any = None, **kwargs: Any,
) -> int:  # fmt: skip
    """Of a convolution."""
    return conv_flop_count(x_shape, w_shape, out_shape, transposed=transposed)


@register_flop_formula(aten.convolution_backward)
def conv_backward_flop(
    grad_out_shape: Any, x_shape: Any, w_shape: Any, _bias: Any, _stride: Any, _padding: Any, _dilation: Any,
    transposed: bool, _output_padding: Any, _groups: Any, output_mask: Any, out_shape: Any, **kwargs: Any,
) -> int:  # fmt: skip
    """Of the gradients of a convolution that ``output_mask`` names: of the input, of the weight."""
    flops = 0
    if output_mask[0]:
        flops += conv_flop_count(grad_out_shape, w_shape, out_shape[0], not transposed)
    if output_mask[1]:
        x, g = (grad_out_shape, x_shape) if transposed else (x_shape, grad_out_shape)
        flops += conv_flop_count(_exchanged(x), _exchanged(g), _exchanged(out_shape[1]))
    return flops


def _exchanged(shape: Sequence[int]) -> list[int]:
    return [shape[1], shape[0], *shape[2:]]


# ---- recorded operators as PyTorch's

Seen = tuple[Any, tuple[Any, ...], Any]  # PyTorch's operator, its arguments with shapes for tensors, its result's shape


def _mm(shapes: list[Any], attrs: Any, out: Any) -> Seen:
    return aten.mm, tuple([s[::-1] if turned else s for s, turned in zip(shapes, attrs)]), out


def _bmm(shapes: list[Any], attrs: Any, out: Any) -> Seen:
    return aten.bmm, tuple([(*s[:-2], s[-1], s[-2]) if turned else s for s, turned in zip(shapes, attrs)]), out


def _sum_with(packet: Any) -> Any:
    return lambda shapes, attrs, out: (packet, (shapes[0], shapes[1], (*shapes[1][:-2], shapes[1][-1], out[-1])), out)


def _convolution(transposed: bool) -> Any:
    return lambda shapes, attrs, out: (aten.convolution, (*shapes[:2], None, None, None, None, transposed), out)


def _of_input(transposed: bool) -> Any:
    """The gradient of a convolution by its input, of (gradient, weight)."""

    def translate(shapes: list[Any], attrs: Any, out: Any) -> Seen:
        g, w = shapes[:2]
        rest = None, None, None, None, transposed, None, None, (True, False, False)
        return aten.convolution_backward, (g, out, w, *rest), (out, None, None)

    return translate


def _of_weight(shapes: list[Any], attrs: Any, out: Any) -> Seen:
    """The gradient of a convolution by its weight, of (input, gradient)."""
    x, g = shapes
    rest = None, None, None, None, False, None, None, (False, True, False)
    return aten.convolution_backward, (g, x, out, *rest), (None, out, None)


def _recurrent(shapes: list[Any], attrs: Any, out: Any) -> Seen:
    """The products of a layer's states with its weight; those of its inputs are calls of their own."""
    (rows, _), (gates, units) = shapes[:2]
    return aten.addmm, ((gates,), (rows, units), (units, gates)), (rows, gates)


def _recurrent_backward(shapes: list[Any], attrs: Any, out: Any) -> Seen:
    """Products for the weight, of each row, and for the states before all steps but the first."""
    (gates, units), (rows, _) = shapes[0], shapes[2]
    count = 2 * rows - attrs[2]
    return aten.mm, ((count, gates), (gates, units)), (count, units)


_TRANSLATIONS: dict[str, Callable[[list[Any], Any, Any], Seen]] = {
    "mm": _mm, "bmm": _bmm, "addmm": _sum_with(aten.addmm), "baddbmm": _sum_with(aten.baddbmm),
    "convolution": _convolution(False), "convolution_transposed": _convolution(True),
    "convolution_input": _of_input(False), "convolution_output": _of_input(True), "convolution_weight": _of_weight,
    **dict.fromkeys(CELLS, _recurrent), **{f"{name}_backward": _recurrent_backward for name in CELLS},
}  # fmt: skip
_SEEN = tuple(getattr(aten, name) for name in "mm addmm bmm baddbmm convolution convolution_backward".split())


# ---- counting


class FlopCounterMode:
    """Counts the floating point operations of products and convolutions within a block, by module and operator,
    those of backward passes included; see PyTorch's class of this name.

    Attention that PyTorch computes by its fused kernel counts nothing, as there on the CPU. A recurrent layer counts
    as its products do; PyTorch counts none of an LSTM that oneDNN computes.

    Args:
        mods: not needed any more; warns.
        depth: how many levels of modules the table shows.
        display: is the table printed at the end?
        custom_mapping: formulas, of shapes, for operators in place of the usual ones.

    Raises:
        NotImplementedError: a formula is for an operator that is not seen, or on entry for tensors; an operator is
            recorded within ``torch.func.vmap``, for all samples at once.
    """

    def __init__(
        self, mods: Any = None, depth: int = 2, display: bool = True, custom_mapping: dict[Any, Formula] | None = None
    ) -> None:
        if mods is not None:
            warnings.warn("mods argument is not needed anymore, you can stop passing it", stacklevel=2)
        self.flop_counts: dict[str, dict[Any, int]] = defaultdict(lambda: defaultdict(int))
        self.depth = depth
        self.display = display
        self.mod_tracker = ModuleTracker()
        self.flop_registry = {**flop_registry, **{k: _own(k, f) for k, f in (custom_mapping or {}).items()}}

    def get_total_flops(self) -> int:
        """All that was counted."""
        return sum(self.flop_counts["Global"].values())

    def get_flop_counts(self) -> dict[str, dict[Any, int]]:
        """For each module by its name, and for "Global", what was counted of each operator."""
        return {name: dict(counts) for name, counts in self.flop_counts.items()}

    def __enter__(self) -> FlopCounterMode:
        self.flop_counts.clear()
        self.mod_tracker.__enter__()
        _watching.watch(self._count)
        return self

    def __exit__(self, *exc: object) -> None:
        _watching.unwatch(self._count)
        self.mod_tracker.__exit__()
        if self.display:
            print(self.get_table(self.depth))

    def _count(self, op: Operator, ins: tuple[Any, ...], attrs: Any, result: Any) -> None:
        translate = _TRANSLATIONS.get(op.name)
        if translate is None:
            return
        if threads.epoch.sampling is not None:
            raise NotImplementedError("FlopCounterMode within torch.func.vmap is not supported")
        shapes = [tuple(getattr(x, "shape", ())) for x in ins]
        packet, args, out = translate(shapes, attrs, tuple(getattr(result, "shape", ())))
        flops = self.flop_registry[packet](*args, out_val=out)
        for module in self.mod_tracker.parents:
            self.flop_counts[module][packet] += flops

    # ---- the table

    def get_table(self, depth: int | None = None) -> str:
        """The counts as text, down to ``depth`` levels of modules (by default the mode's)."""
        depth = depth or self.depth or 999999
        total = self.get_total_flops()
        rows: list[tuple[str, str, str]] = []
        all_in_modules = False
        for name in sorted(self.flop_counts):
            level = name.count(".")
            if name != "Global" and level < depth:
                rows += self._rows(name, level)
                all_in_modules |= sum(self.flop_counts[name].values()) >= total
        if "Global" in self.flop_counts and not all_in_modules:
            rows = self._rows("Global", 0) + [(" " + name, *rest) for name, *rest in rows]
        return _table([("Module", "FLOP", "% Total"), *(rows or [("Global", "0", "0%")])])

    def _rows(self, name: str, level: int) -> list[Any]:
        counts, total = self.flop_counts[name], self.get_total_flops()
        unit = max(0, min(len(_UNITS) - 1, (len(str(total)) - 2) // 3))

        def row(label: str, flops: int) -> tuple[str, str, str]:
            share = f"{flops / total:.2%}" if total else "0%"
            return " " * level + label, f"{flops / 1000**unit:.3f}{_UNITS[unit]}", share

        return [row(name, sum(counts.values())), *[row(f" - {packet}", flops) for packet, flops in counts.items()]]


_UNITS = ["", "K", "M", "B", "T"]


def _own(packet: Any, formula: Formula) -> Formula:
    """A user's formula for an operator."""
    if packet not in _SEEN or getattr(formula, "_get_raw", False):
        names = ", ".join(map(str, _SEEN))
        raise NotImplementedError(f"FlopCounterMode: custom formulas are of shapes, for {names}, not for {packet}")
    return _of_shapes(formula)


def _table(rows: list[Any]) -> str:
    """Columns under their heads, which have two places more: names to the left, numbers to the right."""
    widths = [max(len(rows[0][k]) + 2, *(len(row[k]) for row in rows)) for k in range(3)]
    lines = [f"{a:<{widths[0]}}  {b:>{widths[1]}}  {c:>{widths[2]}}".rstrip() for a, b, c in rows]
    lines.insert(1, "  ".join("-" * w for w in widths))
    return "\n".join(lines)
