"""``torch.package``: archives of code and models, which flambeau neither writes nor reads."""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = ["PackageExporter", "PackageImporter"]


def _refuse(name: str) -> NoReturn:
    raise NotImplementedError(
        f"torch.package.{name} is not supported: save the model's state_dict() with torch.save, and its code as files"
    )


class PackageExporter:
    """Raises NotImplementedError."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _refuse("PackageExporter")


class PackageImporter:
    """Raises NotImplementedError."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _refuse("PackageImporter")
