"""How a tensor prints: the same characters as PyTorch's.

The text is made from a NumPy array of the values (bfloat16 as float32) and the tensor's flags. The width of a
number and the choice between plain, integer and scientific notation follow from all values that are shown.
"""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np


class _PrintOptions:
    """What :func:`set_printoptions` sets."""

    __slots__ = ("edgeitems", "linewidth", "precision", "sci_mode", "threshold")

    precision: int
    threshold: float
    edgeitems: int
    linewidth: int
    sci_mode: bool | None

    def __init__(self) -> None:
        self.apply(precision=4, threshold=1000, edgeitems=3, linewidth=80, sci_mode=None)

    def apply(self, **options: Any) -> None:
        for name, value in options.items():
            setattr(self, name, value)


PRINT_OPTS = _PrintOptions()

_PROFILES = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": math.inf, "edgeitems": 3, "linewidth": 80},
}


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Choose how tensors print.

    Args:
        precision: digits after the point (4 at first).
        threshold: tensors with more elements are shown in summary (1000 at first).
        edgeitems: elements shown at each end of a summarised dimension (3 at first).
        linewidth: characters in a line (80 at first).
        profile: ``"default"``, ``"short"`` or ``"full"``, applied before the other options.
        sci_mode: always (True) or never (False) use scientific notation; None, also when left out, decides by
            the values.
    """
    PRINT_OPTS.apply(**_PROFILES.get(profile, {}) if profile is not None else {})
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    PRINT_OPTS.apply(**{name: value for name, value in given.items() if value is not None}, sci_mode=sci_mode)


def get_printoptions() -> dict[str, Any]:
    """The options in force, as keyword arguments for :func:`set_printoptions`."""
    names = ("precision", "threshold", "edgeitems", "linewidth", "sci_mode")
    return {name: getattr(PRINT_OPTS, name) for name in names}


@contextlib.contextmanager
def printoptions(**kwargs: Any) -> Iterator[None]:
    """:func:`set_printoptions` for the length of a ``with`` block."""
    before = get_printoptions()
    set_printoptions(**kwargs)
    try:
        yield
    finally:
        set_printoptions(**before)


def tensor_str(tensor: Any, *, tensor_contents: str | None = None) -> str:
    """What ``repr(tensor)`` prints; ``tensor_contents`` takes the place of the values."""
    parameter = _parameter_class()
    plain = type(tensor) in (_tensor_class(), parameter)
    prefix = "tensor(" if plain else f"{type(tensor).__name__}("
    if tensor_contents is None:
        tensor_contents = _contents(tensor, len(prefix))
    text = add_suffixes(prefix + tensor_contents, _suffixes(tensor), len(prefix))
    return f"Parameter({text})" if not plain and parameter and isinstance(tensor, parameter) else text


def _tensor_class() -> type:
    import flambeau as torch

    return torch.Tensor


def _parameter_class() -> type | None:
    """``nn.Parameter`` if it has been imported; printing a tensor does not import ``nn``."""
    module = sys.modules.get("flambeau.nn.parameter")
    return module.Parameter if module else None


def array_str(values: np.ndarray, indent: int = 0) -> str:
    """The bracketed values of an array as they print after ``indent`` characters."""
    if values.size == 0:
        return "[]"
    summarize = values.size > PRINT_OPTS.threshold
    shown = _summarized(values) if summarize else values
    if not np.iscomplexobj(values):
        return _nested_str(values, indent, summarize, _Formatter(shown))
    return _nested_str(values, indent, summarize, _ComplexFormatter(shown))


def _contents(tensor: Any, indent: int) -> str:
    if tensor.device.type == "meta":
        return "..."
    return array_str(tensor.detach()._numpy(), indent)


def _suffixes(tensor: Any) -> list[str]:
    """What follows the values: device, size, dtype, and how the tensor takes part in autograd."""
    suffixes = [] if tensor.device.type == "cpu" else [f"device='{tensor.device}'"]
    empty, meta = tensor.numel() == 0, tensor.device.type == "meta"
    if meta or (empty and tensor.dim() != 1) or not (empty or PRINT_OPTS.edgeitems):
        suffixes.append(f"size={tuple(tensor.shape)}")
    if not _dtype_is_evident(tensor.dtype, known_by_values=not (empty or meta)):
        suffixes.append(f"dtype={tensor.dtype}")
    return suffixes + _autograd_suffixes(tensor)


def _dtype_is_evident(dtype: Any, known_by_values: bool) -> bool:
    """Whether ``torch.tensor`` of what is printed would have this dtype."""
    import flambeau as torch

    default = torch.get_default_dtype()
    if dtype == default:
        return True
    default_complex = torch.complex128 if default == torch.float64 else torch.complex64
    return known_by_values and dtype in (default_complex, torch.int64, torch.bool)


def _autograd_suffixes(tensor: Any) -> list[str]:
    """The history of a tensor, and its tangent within a level of forward mode."""
    from .autograd.grad_mode import recording

    if not recording:
        return _history(tensor)
    from .autograd import forward_ad

    primal, tangent = forward_ad.unpack_dual(tensor)
    return _history(tensor) if tangent is None else [*_history(primal), f"tangent={tangent}"]


def _history(tensor: Any) -> list[str]:
    try:
        grad_fn = tensor.grad_fn
    except RuntimeError:  # a view made without a graph and written to since
        return ["grad_fn=<Invalid>"]
    if grad_fn is not None:
        return [f"grad_fn=<{type(grad_fn).__name__}>"]
    return ["requires_grad=True"] if tensor.requires_grad else []


def add_suffixes(text: str, suffixes: list[str], indent: int, apart: bool = False) -> str:
    """Append the suffixes, each on a new line where it would not fit; the first always, if it is ``apart``."""
    parts = [text]
    length = len(text) - text.rfind("\n") + 1
    for i, suffix in enumerate(suffixes):
        if (apart and not i) or length + len(suffix) + 2 > PRINT_OPTS.linewidth:
            parts.append(",\n" + " " * indent + suffix)
            length = indent + len(suffix)
        else:
            parts.append(", " + suffix)
            length += len(suffix) + 2
    return "".join(parts) + ")"


class _Formatter:
    """The common notation and width of real numbers, integers or booleans."""

    def __init__(self, shown: np.ndarray) -> None:
        self.width = 1
        self._to_text: Callable[[Any], str] = str
        if shown.dtype.kind == "f":
            self._choose_float_notation(shown.reshape(-1).astype(np.float64))
        elif shown.size:
            self.width = max(map(len, map(str, shown.reshape(-1).tolist())))

    def _choose_float_notation(self, values: np.ndarray) -> None:
        values = values[np.isfinite(values) & (values != 0)]
        integral = bool((values == np.ceil(values)).all())
        if values.size and _scientific(np.abs(values)):
            self._to_text = f"{{:.{PRINT_OPTS.precision}e}}".format
        elif integral:
            self._to_text = _integral_float_str
        else:
            self._to_text = f"{{:.{PRINT_OPTS.precision}f}}".format
        if values.size:
            self.width = max(map(len, map(self._to_text, values.tolist())))

    def __call__(self, value: Any) -> str:
        return self._to_text(value).rjust(self.width)


def _scientific(magnitudes: np.ndarray) -> bool:
    if PRINT_OPTS.sci_mode is not None:
        return PRINT_OPTS.sci_mode
    smallest, largest = float(magnitudes.min()), float(magnitudes.max())
    return largest / smallest > 1000.0 or largest > 1.0e8 or smallest < 1.0e-4


def _integral_float_str(value: float) -> str:
    return f"{value:.0f}." if math.isfinite(value) else f"{value:.0f}"


class _ComplexFormatter:
    """Real and imaginary parts, each in its own notation."""

    def __init__(self, shown: np.ndarray) -> None:
        self._real, self._imag = _Formatter(np.real(shown)), _Formatter(np.imag(shown))
        self.width = self._real.width + self._imag.width + 1

    def __call__(self, value: complex) -> str:
        imag = self._imag(value.imag).lstrip() + "j"
        return self._real(value.real) + (imag if imag[0] in "+-" else "+" + imag)


def _nested_str(values: np.ndarray, indent: int, summarize: bool, formatter: _Formatter | _ComplexFormatter) -> str:
    if values.ndim == 0:
        return formatter(values.item())
    if values.ndim == 1:
        return _vector_str(values, indent, summarize, formatter)
    edge = PRINT_OPTS.edgeitems
    shortened = summarize and len(values) > 2 * edge
    rows = [*values[:edge], *values[len(values) - edge :]] if shortened else values
    texts = [_nested_str(row, indent + 1, summarize, formatter) for row in rows]
    if shortened:
        texts.insert(edge, "...")
    return "[" + ("," + "\n" * (values.ndim - 1) + " " * (indent + 1)).join(texts) + "]"


def _vector_str(values: np.ndarray, indent: int, summarize: bool, formatter: _Formatter | _ComplexFormatter) -> str:
    edge = PRINT_OPTS.edgeitems
    if summarize and not edge:
        texts = ["..."]
    elif summarize and len(values) > 2 * edge:
        texts = [formatter(value) for value in [*values[:edge].tolist(), *values[-edge:].tolist()]]
        texts.insert(edge, " ...")
    else:
        texts = [formatter(value) for value in values.tolist()]
    per_line = max(1, math.floor((PRINT_OPTS.linewidth - indent) / (formatter.width + 2)))
    lines = [", ".join(texts[i : i + per_line]) for i in range(0, len(texts), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def _summarized(values: np.ndarray) -> np.ndarray:
    """The values that a summary shows."""
    edge = PRINT_OPTS.edgeitems
    if not edge:  # a vector's width is still that of its numbers, although none is shown
        return values if values.ndim <= 1 else values[:0]
    for axis, size in enumerate(values.shape):
        if size > 2 * edge:
            ends = [*range(edge), *range(size - edge, size)]
            values = values.take(ends, axis)
    return values
