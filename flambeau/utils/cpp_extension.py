"""``torch.utils.cpp_extension``: extensions in C++ are written against PyTorch's own library, which is not here."""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = ["BuildExtension", "CUDAExtension", "CppExtension", "include_paths", "library_paths", "load", "load_inline"]

CUDA_HOME = ROCM_HOME = None  # where the compilers of devices are


def _refuse(name: str) -> NoReturn:
    raise NotImplementedError(
        f"torch.utils.cpp_extension.{name} is not supported: extensions in C++ need PyTorch's library; write it "
        "with torch's operators, which flambeau compiles"
    )


class BuildExtension:
    """Raises NotImplementedError."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _refuse("BuildExtension")

    @classmethod
    def with_options(cls, **options: Any) -> NoReturn:
        """Raises NotImplementedError."""
        _refuse("BuildExtension")


def CppExtension(name: str, sources: Any, *args: Any, **kwargs: Any) -> NoReturn:
    """Raises NotImplementedError."""
    _refuse("CppExtension")


def CUDAExtension(name: str, sources: Any, *args: Any, **kwargs: Any) -> NoReturn:
    """Raises NotImplementedError."""
    _refuse("CUDAExtension")


def load(name: str, sources: Any, *args: Any, **kwargs: Any) -> NoReturn:
    """Raises NotImplementedError."""
    _refuse("load")


def load_inline(name: str, cpp_sources: Any, *args: Any, **kwargs: Any) -> NoReturn:
    """Raises NotImplementedError."""
    _refuse("load_inline")


def include_paths(*args: Any, **kwargs: Any) -> NoReturn:
    """Raises NotImplementedError."""
    _refuse("include_paths")


def library_paths(*args: Any, **kwargs: Any) -> NoReturn:
    """Raises NotImplementedError."""
    _refuse("library_paths")
