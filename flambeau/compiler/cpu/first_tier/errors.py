"""What the first tier raises."""

from __future__ import annotations


class UnsupportedError(Exception):
    """The first tier cannot run this to the same bits."""
