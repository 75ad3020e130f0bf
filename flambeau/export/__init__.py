"""``torch.export``: flambeau records programs as they run and exports none, which the functions here say.

``Dim`` and its like can be made, as programs make them beside what they export.
"""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = [
    "Dim",
    "ExportedProgram",
    "dims",
    "export",
    "export_for_inference",
    "export_for_training",
    "load",
    "register_dataclass",
    "save",
]  # fmt: skip

_INSTEAD = (
    "flambeau compiles what runs and exports no graphs. Save the model's state_dict(), or use torch.onnx.export() or "
    "torch.fx.symbolic_trace()"
)


class _DimHint:
    """Whether a dimension may vary, without a name for it; called with bounds it is another one."""

    def __init__(self, kind: str, min: int | None = None, max: int | None = None) -> None:
        self.kind, self.min, self.max = kind, min, max

    def __call__(self, min: int | None = None, max: int | None = None) -> _DimHint:
        return _DimHint(self.kind, min, max)

    def __repr__(self) -> str:
        return f"Dim.{self.kind}"


class Dim:
    """A dimension of a size that may vary, between ``min`` and ``max``."""

    AUTO = _DimHint("AUTO")
    DYNAMIC = _DimHint("DYNAMIC")
    STATIC = _DimHint("STATIC")

    def __init__(self, name: str, *, min: int | None = None, max: int | None = None) -> None:
        if not name.isidentifier():
            raise ValueError(f"Dim names must be valid identifiers, got {name}")
        self.__name__, self.min, self.max = name, min or 0, max
        if max is not None and max <= self.min:
            raise ValueError(f"Cannot create Dim with inconsistent min={min}, max={max}")


def dims(*names: str, min: int | None = None, max: int | None = None) -> tuple[Dim, ...]:
    """A ``Dim`` for each name."""
    return tuple([Dim(name, min=min, max=max) for name in names])


def _refuse(name: str) -> NoReturn:
    raise NotImplementedError(f"torch.export.{name}() is not supported: {_INSTEAD}")


class ExportedProgram:
    """What PyTorch's ``export`` returns; there are none here."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _refuse("ExportedProgram")


def export(mod: Any, args: Any, kwargs: Any = None, **options: Any) -> NoReturn:
    """Raises NotImplementedError."""
    _refuse("export")


def export_for_training(mod: Any, args: Any, kwargs: Any = None, **options: Any) -> NoReturn:
    """Raises NotImplementedError."""
    _refuse("export_for_training")


def export_for_inference(mod: Any, args: Any, kwargs: Any = None, **options: Any) -> NoReturn:
    """Raises NotImplementedError."""
    _refuse("export_for_inference")


def save(ep: Any, f: Any, **options: Any) -> NoReturn:
    """Raises NotImplementedError."""
    _refuse("save")


def load(f: Any, **options: Any) -> NoReturn:
    """Raises NotImplementedError."""
    _refuse("load")


def register_dataclass(cls: type, *, serialized_type_name: str | None = None) -> None:
    """Says that a dataclass may be an argument of what is exported: nothing is."""
