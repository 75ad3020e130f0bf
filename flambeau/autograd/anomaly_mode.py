"""Anomaly detection: backward errors name the forward call, and NaN gradients are errors."""

from __future__ import annotations

from typing import Any

state = {"enabled": False, "check_nan": True}


class set_detect_anomaly:
    """Turns anomaly detection on or off, as a call or a context manager."""

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self._before = dict(state)
        state.update(enabled=mode, check_nan=check_nan)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        state.update(self._before)


class detect_anomaly(set_detect_anomaly):
    """Anomaly detection within a block (``torch.autograd.detect_anomaly``)."""

    def __init__(self, check_nan: bool = True) -> None:
        super().__init__(True, check_nan)
        state.update(self._before)
        self._check_nan = check_nan

    def __enter__(self) -> None:
        import warnings

        self._before = dict(state)
        state.update(enabled=True, check_nan=self._check_nan)
        warnings.warn("Anomaly Detection has been enabled. This mode will increase the runtime and should only be "
                      "enabled for "
                      "debugging.", stacklevel=2)  # fmt: skip


def is_anomaly_enabled() -> bool:
    """Is anomaly detection on?"""
    return bool(state["enabled"])


def is_anomaly_check_nan_enabled() -> bool:
    """Are NaN gradients errors while anomaly detection is on?"""
    return bool(state["check_nan"])


def report(node: Any) -> None:
    """Warns where the forward call of a backward node that raised was recorded."""
    import linecache
    import warnings

    where = node.node.src if node.node is not None else None
    if where:
        line = linecache.getline(where[0], where[1]).strip()
        warnings.warn(f"Error detected in {node.op.grad_name}. Traceback of forward call that caused the error:\n"
                      f'  File "{where[0]}", line {where[1]}\n    {line}\n', stacklevel=2)  # fmt: skip


def check(name: str, grads: Any, node: Any) -> None:
    """Warns and raises if a gradient that the node ``name`` returned has a NaN."""
    if not state["check_nan"]:
        return
    for i, g in enumerate(grads):
        if g is not None and g._ty.dtype.kind in "fc" and bool((g != g).any()):
            report(node)
            raise RuntimeError(f"Function '{name}' returned nan values in its {i}th output.")
