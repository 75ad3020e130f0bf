"""Numbers that are symbols while PyTorch's compiler traces a program. Nothing is an instance of them here."""

from __future__ import annotations

__all__ = ["SymBool", "SymFloat", "SymInt"]


class SymInt:
    """An integer known when the program runs."""


class SymFloat:
    """A float known when the program runs."""


class SymBool:
    """A truth value known when the program runs."""
