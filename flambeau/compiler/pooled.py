"""Arrays that programs keep between their runs, to give them out again (``cpu.running``)."""

from __future__ import annotations

pooled: set[int] = set()  # their ids: each array has one more reference than those to whom it was given know of
