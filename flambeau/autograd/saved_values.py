"""What a backward node saved, under the names that PyTorch gives it: ``y.grad_fn._saved_self``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..graph import packing
from ..graph.fn import Fn, edge_of_saved, saved_attributes
from ..graph.node import OUT
from ..graph.packing import Packed
from .engine import FREED, unpack

__all__ = ["SavedTensor"]

_INPUTS = ("self", "other", "weight")
_NAMES = {
    "AddcdivBackward0": ("self", "tensor1", "tensor2"),
    "AddcmulBackward0": ("self", "tensor1", "tensor2"),
    "AddmmBackward0": ("self", "mat1", "mat2"),
    "AddmvBackward0": ("self", "mat", "vec"),
    "BaddbmmBackward0": ("self", "batch1", "batch2"),
    "BinaryCrossEntropyBackward0": ("self", "target", "weight"),
    "BmmBackward0": ("self", "mat2"),
    "ConvolutionBackward0": ("input", "weight", "bias"),
    "DotBackward0": ("self", "tensor"),
    "EmbeddingBackward0": ("weight", "indices"),
    "GatherBackward0": ("self", "index"),
    "IndexSelectBackward0": ("self", "index"),
    "LerpBackward0": ("self", "end", "weight"),
    "MmBackward0": ("self", "mat2"),
    "MseLossBackward0": ("self", "target"),
    "MvBackward0": ("self", "vec"),
    "NativeBatchNormBackward0": ("input", "weight", "bias", "running_mean", "running_var"),
    "NativeLayerNormBackward0": ("input", "weight", "bias"),
    "NllLossBackward0": ("self", "target", "weight"),
    "PowBackward0": ("self", "exponent"),
    "PowBackward1": ("self", "exponent"),
    "WhereBackward0": ("condition", "self", "other"),
}


def _name(fn: Fn, which: int) -> str:
    """The name of a saved input or output."""
    if which >= OUT:
        return "result" if len(fn.outs) == 1 else f"result{which - OUT}"
    known = _NAMES.get(fn.op.grad_name, _INPUTS)
    return known[which] if which < len(known) else f"input{which}"


def _places(fn: Fn) -> dict[str, tuple[int, int]]:
    """For each name where ``fn.saved`` has the value, and which input or output it is."""
    return {_name(fn, which): (at, which) for at, (which, _) in enumerate(fn.op.saves)}


class SavedTensor:
    """A tensor that a node saved, to which hooks can be given (``torch.autograd.SavedTensor``)."""

    _fn: Fn
    _at: int
    _which: int

    def __init__(self, *args: Any) -> None:
        raise RuntimeError("Trying to create a SavedTensor object from Python is forbidden.")

    def register_hooks(self, pack_hook: Callable[[Any], Any], unpack_hook: Callable[[Any], Any]) -> None:
        """Keeps what ``pack_hook`` makes of the tensor, now, and gives what ``unpack_hook`` makes of that.

        Raises:
            RuntimeError: the tensor was freed, is None, or has hooks already.
        """
        fn = self._fn
        if fn.freed:
            raise RuntimeError(FREED)
        x = fn.saved[self._at]
        if x is None:
            raise RuntimeError("Calling register_hooks on a saved tensor with value None is forbidden")
        if x.__class__ is Packed:
            raise RuntimeError(
                "Calling register_hooks on a saved tensor whose hooks have already been set. Hint: only one pair of "
                "hooks is allowed at a time."
            )
        packing.enter(pack_hook, unpack_hook)
        try:
            packed = packing.pack(x, edge_of_saved(fn, self._which))
        finally:
            packing.leave()
        fn.saved = [packed if at == self._at else kept for at, kept in enumerate(fn.saved)]
        fn.versions = [None if at == self._at else version for at, version in enumerate(fn.versions)]
        fn.simple = False  # the pass must go through the engine, which unpacks


def _saved(fn: Fn, name: str) -> Any:
    """The attribute ``name`` of a node.

    Raises:
        AttributeError: the node saves nothing of that name.
        RuntimeError: it was freed, or written in place since.
    """
    if fn.traced is not None:
        fn.unfold()
    raw = name.startswith("_raw")
    place = _places(fn).get(name.removeprefix("_raw").removeprefix("_saved_"))
    if place is None:
        raise AttributeError(f"'{type(fn).__name__}' object has no attribute '{name}'")
    if not raw:
        return unpack(fn, place[1])
    made: Any = object.__new__(SavedTensor)
    made._fn, made._at, made._which = fn, *place
    return made


def _names_of(fn: Fn) -> list[str]:
    if fn.traced is not None:
        fn.unfold()
    return [prefix + name for name in _places(fn) for prefix in ("_saved_", "_raw_saved_")]


saved_attributes.extend((_saved, _names_of))
