"""``assert_close``: are two results equal within the rounding of their dtype?"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np

import flambeau as torch

_TOLERANCES = {
    "float16": (1e-3, 1e-5), "bfloat16": (1.6e-2, 1e-5), "float32": (1.3e-6, 1e-5), "float64": (1e-7, 1e-7),
    "complex32": (1e-3, 1e-5), "complex64": (1.3e-6, 1e-5), "complex128": (1e-7, 1e-7),
}  # fmt: skip
_NUMBERS = (int, float, complex, np.number)
_BOOLEANS = (bool, np.bool_)


class _How(NamedTuple):
    """The caller's options."""

    rtol: float | None
    atol: float | None
    equal_nan: bool
    device: bool
    dtype: bool
    layout: bool
    stride: bool
    msg: str | Callable[[str], str] | None


def assert_close(
    actual: Any,
    expected: Any,
    *,
    allow_subclasses: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_layout: bool = True,
    check_stride: bool = False,
    msg: str | Callable[[str], str] | None = None,
) -> None:
    """Raises unless ``actual`` and ``expected`` are close: tensors, arrays, numbers, or sequences and mappings of them
    (https://docs.pytorch.org/docs/stable/testing.html#torch.testing.assert_close).

    Args:
        actual: what was computed.
        expected: what it should be.
        allow_subclasses: False: both must be of one type.
        rtol: relative tolerance; by default that of the dtype.
        atol: absolute tolerance, to be given together with ``rtol``.
        equal_nan: NaN equals NaN.
        check_device: the devices must be equal.
        check_dtype: the dtypes must be equal.
        check_layout: the layouts must be equal.
        check_stride: the strides must be equal.
        msg: the error's message, or a function of the usual message.

    Raises:
        AssertionError: they differ.
        TypeError: they cannot be compared.
        ValueError: one tolerance is given without the other.
    """
    if (rtol is None) != (atol is None):
        lost = "rtol" if rtol is None else "atol"
        raise ValueError(f"Both 'rtol' and 'atol' must be either specified or omitted, but got no {lost}.")
    if not allow_subclasses and type(actual) is not type(expected):
        _unsupported(actual, expected)
    how = _How(rtol, atol, equal_nan, check_device, check_dtype, check_layout, check_stride, msg)
    _compare(actual, expected, how, "")


def _fail(text: str, how: _How, item: str) -> NoReturn:
    if item:
        text += f"\n\nThe failure occurred for item {item}"
    raise AssertionError(how.msg if isinstance(how.msg, str) else how.msg(text) if how.msg is not None else text)


def _unsupported(a: Any, b: Any) -> NoReturn:
    raise TypeError(f"No comparison pair was able to handle inputs of type {type(a)} and {type(b)}.")


def _compare(a: Any, b: Any, how: _How, item: str) -> None:
    if isinstance(a, Sequence) and isinstance(b, Sequence) and not isinstance(a, str) and not isinstance(b, str):
        _compare_sequences(a, b, how, item)
    elif isinstance(a, Mapping) and isinstance(b, Mapping):
        _compare_mappings(a, b, how, item)
    elif a is None or b is None:
        if a is not b:
            _fail(f"None mismatch: {a} is not {b}", how, item)
    elif isinstance(a, _BOOLEANS) and isinstance(b, _BOOLEANS):
        if bool(a) is not bool(b):
            _fail(f"Booleans mismatch: {a} is not {b}", how, item)
    elif isinstance(a, _NUMBERS) and isinstance(b, _NUMBERS):
        _compare_numbers(a, b, how, item)
    elif isinstance(a, (torch.Tensor, np.ndarray)) and (isinstance(a, type(b)) or isinstance(b, type(a))):
        _compare_tensors(torch.as_tensor(a), torch.as_tensor(b), how, item)
    else:
        _unsupported(a, b)


def _compare_sequences(a: Any, b: Any, how: _How, item: str) -> None:
    if len(a) != len(b):
        _fail(f"The length of the sequences mismatch: {len(a)} != {len(b)}", how, item)
    for k, (x, y) in enumerate(zip(a, b)):
        _compare(x, y, how, f"{item}[{k}]")


def _compare_mappings(a: Any, b: Any, how: _How, item: str) -> None:
    if a.keys() != b.keys():
        missing, more = sorted(set(b) - set(a), key=repr), sorted(set(a) - set(b), key=repr)
        text = "The keys of the mappings do not match:"
        text += f"\nMissing keys in the actual mapping: {missing}" if missing else ""
        text += f"\nAdditional keys in the actual mapping: {more}" if more else ""
        _fail(text, how, item)
    for k in b:
        _compare(a[k], b[k], how, f"{item}[{k!r}]")


# ---- numbers


def _compare_numbers(a: Any, b: Any, how: _How, item: str) -> None:
    a, b = [x.item() if isinstance(x, np.number) else x for x in (a, b)]
    if how.dtype and type(a) is not type(b):
        _fail(f"The (d)types do not match: {type(a)} != {type(b)}.", how, item)
    rtol, atol = _tolerances(how, ["int64" if isinstance(x, int) else "float64" for x in (a, b)])
    if not _number_is_close(a, b, rtol, atol, how.equal_nan):
        _fail(_scalar_message(a, b, rtol, atol), how, item)


def _number_is_close(a: Any, b: Any, rtol: float, atol: float, equal_nan: bool) -> bool:
    if a == b or (equal_nan and a != a and b != b):
        return True
    difference = abs(a - b)
    return math.isfinite(difference) and difference <= atol + rtol * abs(b)


def _scalar_message(a: Any, b: Any, rtol: float, atol: float) -> str:
    difference = abs(a - b)
    relative = difference / abs(b) if b else math.inf
    allowed = _allowed(rtol, atol)
    return (
        f"Scalars are not {_word(rtol, atol)}!\n\nExpected {b} but got {a}.\n"
        f"Absolute difference: {difference}{allowed[1]}\nRelative difference: {relative}{allowed[0]}"
    )


def _word(rtol: float, atol: float) -> str:
    return "equal" if rtol == atol == 0 else "close"


def _allowed(rtol: float, atol: float) -> tuple[str, str]:
    if rtol == atol == 0:
        return "", ""
    return f" (up to {rtol} allowed)", f" (up to {atol} allowed)"


def _tolerances(how: _How, dtypes: list[str]) -> tuple[float, float]:
    """The caller's, or the larger of the dtypes'."""
    if how.rtol is not None and how.atol is not None:
        return how.rtol, how.atol
    known = [_TOLERANCES.get(name, (0.0, 0.0)) for name in dtypes]
    return max(r for r, _ in known), max(a for _, a in known)


# ---- tensors


def _compare_tensors(a: Any, b: Any, how: _How, item: str) -> None:
    _compare_attributes(a, b, how, item)
    rtol, atol = _tolerances(how, [str(x.dtype).removeprefix("torch.") for x in (a, b)])
    a, b = a.detach(), b.detach()
    if a.dtype != b.dtype:
        dt = torch.promote_types(a.dtype, b.dtype)
        a, b = a.to(dt), b.to(dt)
    close = torch.isclose(a, b, rtol=rtol, atol=atol, equal_nan=how.equal_nan)
    if bool(close.all()):
        return
    if a.ndim == 0:
        _fail(_scalar_message(a.item(), b.item(), rtol, atol), how, item)
    _fail(_tensor_message(a, b, close, rtol, atol), how, item)


def _compare_attributes(a: Any, b: Any, how: _How, item: str) -> None:
    wanted = {"shape": True, "layout": how.layout, "device": how.device, "dtype": how.dtype, "stride()": how.stride}
    for name, checked in wanted.items():
        x, y = [t.stride() if name == "stride()" else getattr(t, name) for t in (a, b)]
        if checked and x != y:
            _fail(f"The values for attribute '{name}' do not match: {x} != {y}.", how, item)


def _tensor_message(a: Any, b: Any, close: Any, rtol: float, atol: float) -> str:
    wrong, total = int((~close).sum()), close.numel()
    if not (a.is_floating_point() or a.is_complex()):
        a, b = a.to(torch.int64), b.to(torch.int64)
    difference = torch.abs(a - b).masked_fill(close, 0).flatten()
    relative = (torch.abs(a - b) / torch.abs(b)).masked_fill(close, 0).flatten()
    allowed = _allowed(rtol, atol)
    return (
        f"Tensor-likes are not {_word(rtol, atol)}!\n\nMismatched elements: {wrong} / {total} ({wrong / total:.1%})\n"
        f"Greatest absolute difference: {_greatest(difference, close.shape)}{allowed[1]}\n"
        f"Greatest relative difference: {_greatest(relative, close.shape)}{allowed[0]}"
    )


def _greatest(flat: Any, shape: Any) -> str:
    at = int(flat.argmax())
    index = tuple(int(k) for k in np.unravel_index(at, tuple(shape)))
    return f"{flat[at].item()} at index {index}"
