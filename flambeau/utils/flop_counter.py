"""``torch.utils.flop_counter``: flambeau counts a program's operations with ``flambeau explain`` instead."""

from __future__ import annotations

from typing import Any

__all__ = ["FlopCounterMode"]


class FlopCounterMode:
    """PyTorch's counter of the operations within a block; it can be made, not entered."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __enter__(self) -> Any:
        raise NotImplementedError(
            "torch.utils.flop_counter.FlopCounterMode: operators are counted when a program is compiled; use "
            "torch.profiler.explain() or `flambeau explain SCRIPT`"
        )

    def __exit__(self, *exc: object) -> None:
        pass
