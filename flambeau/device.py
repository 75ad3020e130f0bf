"""``torch.device``, layouts and memory formats. There are two devices: the CPU, and "meta", which has no memory."""

from __future__ import annotations

from typing import Any

_TYPES = (
    "cpu", "cuda", "ipu", "xpu", "mkldnn", "opengl", "opencl", "ideep", "hip", "ve", "fpga", "maia", "xla", "lazy",
    "vulkan", "mps", "meta", "hpu", "mtia", "privateuseone",
)  # fmt: skip

_MISSING: Any = object()


class device:
    """Where a tensor lives: a type and an index (``torch.device``)."""

    __slots__ = ("index", "type")

    def __init__(self, type: Any = _MISSING, index: int | None = None, *, device: Any = _MISSING) -> None:
        if type is _MISSING:
            type = device
        if isinstance(type, self.__class__):
            type, index = type.type, type.index
        if isinstance(type, int) and index is None:
            raise _numbered(type)
        if not isinstance(type, str):
            raise _not_named(type)
        if index is not None:
            _check_index(index, type)
        if not type:
            raise RuntimeError("Device string must not be empty")
        kind, colon, number = str(type).partition(":")
        if kind not in _TYPES:
            names = ", ".join(_TYPES[:-1])
            raise RuntimeError(f"Expected one of {names}, privateuseone device type at start of device string: {kind}")
        if colon and (not number.isdigit() or number != str(int(number))):
            raise RuntimeError(f"Invalid device string: '{type}'")
        self.type = kind
        self.index = int(number) if number else index

    def __repr__(self) -> str:
        where = "" if self.index is None else f", index={self.index}"
        return f"device(type='{self.type}'{where})"

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __reduce__(self) -> tuple[Any, ...]:
        return device, (self.type, self.index)

    def __enter__(self) -> device:
        _defaults.append(chosen(self))
        return self

    def __exit__(self, *exc: object) -> None:
        _defaults.pop()


def _check_index(index: Any, type: str) -> None:
    if not hasattr(index, "__index__"):
        name = index.__class__.__name__
        raise TypeError(f"device(): argument 'index' (position 2) must be int, not {name}")
    if index < 0:
        raise RuntimeError("Device index must not be negative")
    if ":" in type:
        raise RuntimeError(f"type (string) must not include an index because index was passed explicitly: {type}")


def _numbered(d: int) -> Exception:
    """The error of a device that is given by its number: those are an accelerator's, and there is none."""
    if isinstance(d, bool):
        return _not_named(d)
    if d < 0:
        return RuntimeError("Device index must not be negative")
    return RuntimeError("Cannot access accelerator device when none is available.")


def _not_named(d: Any) -> TypeError:
    if d is _MISSING:
        return TypeError(
            "device() received an invalid combination of arguments - got (), but expected one of:\n"
            " * (torch.device device)\n * (str type, int index = -1)\n"
        )
    name = d.__class__.__name__
    return TypeError(
        f"device() received an invalid combination of arguments - got ({name}), but expected one of:\n"
        f" * (torch.device device)\n      didn't match because some of the arguments have invalid types: (!{name}!)\n"
        " * (str type, int index = -1)\n"
    )


CPU = device("cpu")
META = device("meta")
_defaults = [CPU]  # where new tensors are made: by ``set_default_device``, then by each ``with torch.device(...)``


def set_default(d: Any) -> None:
    """Makes a device the one of new tensors."""
    _defaults[0] = CPU if d is None else chosen(d)


def chosen(d: Any = None) -> device:
    """The device on which a new tensor is made: ``CPU`` or ``META``, the default one for None.

    Raises:
        AssertionError: CUDA.
        RuntimeError: another device that is not there.
    """
    if d is None:
        return _defaults[-1]
    if d is CPU or d == "cpu":
        return CPU
    d = device(d)
    if d.type == "cuda":
        raise AssertionError("Torch not compiled with CUDA enabled")
    if d.type == "meta":
        return META
    if d.type != "cpu":
        raise RuntimeError(f"PyTorch is not linked with support for {d.type} devices")
    return CPU


def refuse_device(d: Any, own: device = CPU) -> None:
    """Raises unless ``d`` is None or names a device of the kind that an old constructor makes tensors on.

    Raises:
        RuntimeError: another kind of device.
    """
    if d is not None and device(d).type != own.type:
        raise RuntimeError(
            f"legacy constructor expects device type: {own.type} but device type: {device(d).type} was passed"
        )


class _Named:
    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"torch.{self.name}"


class layout(_Named):
    """How elements are stored (``torch.layout``)."""

    __slots__ = ()

    def __reduce__(self) -> str:
        return self.name


class memory_format(_Named):
    """A named order of strides (``torch.memory_format``)."""

    __slots__ = ()

    def __reduce__(self) -> str:
        return self.name


strided = layout("strided")
sparse_coo = layout("sparse_coo")
sparse_csr, sparse_csc = layout("sparse_csr"), layout("sparse_csc")
sparse_bsr, sparse_bsc = layout("sparse_bsr"), layout("sparse_bsc")  # names, to compare with: no tensor has these
jagged = layout("jagged")
contiguous_format = memory_format("contiguous_format")
preserve_format = memory_format("preserve_format")
channels_last = memory_format("channels_last")
channels_last_3d = memory_format("channels_last_3d")
