"""Data parallelism over GPUs, of which there are none: the module runs as it is."""

from __future__ import annotations

from typing import Any

from flambeau.nn.modules.module import Module

__all__ = ["DataParallel", "data_parallel"]


class DataParallel(Module):
    """Calls ``module``. Its parameters have names that begin with ``module.``, as in PyTorch.

    Args:
        module: The module.
        device_ids: Accepted and ignored.
        output_device: Accepted and ignored.
        dim: The dimension of the batch; without effect on one device.
    """

    def __init__(self, module: Any, device_ids: Any = None, output_device: Any = None, dim: int = 0) -> None:
        super().__init__()
        self.module = module
        self.device_ids: list[int] = []

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        return self.module(*inputs, **kwargs)


def data_parallel(
    module: Any,
    inputs: Any,
    device_ids: Any = None,
    output_device: Any = None,
    dim: int = 0,
    module_kwargs: dict[str, Any] | None = None,
) -> Any:
    """Calls ``module`` with ``inputs``, an argument or a tuple of them.

    Args:
        module: The module.
        inputs: Its arguments.
        device_ids: Accepted and ignored.
        output_device: Accepted and ignored.
        dim: The dimension of the batch; without effect on one device.
        module_kwargs: Arguments by name.
    """
    inputs = inputs if isinstance(inputs, tuple) else () if inputs is None else (inputs,)
    return module(*inputs, **(module_kwargs or {}))
