"""Are indices of new sparse tensors checked: what a program says of it, and the warning if it says nothing."""

from __future__ import annotations

from flambeau.ops._warned import warn_once

__all__ = ["check_sparse_tensor_invariants"]


class check_sparse_tensor_invariants:
    """Whether indices of new sparse tensors are checked: here they always are, whatever is said."""

    _said: bool | None = None

    def __init__(self, enable: bool = True) -> None:
        self._wanted = enable
        self._before: bool | None = None

    @classmethod
    def is_enabled(cls) -> bool:
        """What was said last."""
        return bool(cls._said)

    @classmethod
    def enable(cls) -> None:
        """Says that they should be checked."""
        check_sparse_tensor_invariants._said = True

    @classmethod
    def disable(cls) -> None:
        """Says that they need not be checked."""
        check_sparse_tensor_invariants._said = False

    def __enter__(self) -> None:
        self._before, check_sparse_tensor_invariants._said = self._said, self._wanted

    def __exit__(self, *exc: object) -> None:
        check_sparse_tensor_invariants._said = self._before


def note(wanted: bool | None) -> None:
    """Warns, as PyTorch does once, if neither a call (``wanted``) nor the program says whether indices are checked."""
    if wanted is None and check_sparse_tensor_invariants._said is None:
        warn_once("invariants")
