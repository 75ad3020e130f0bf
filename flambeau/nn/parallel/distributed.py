"""``DistributedDataParallel`` in a group of one process: it calls its module."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flambeau.nn.modules.module import Module

__all__ = ["DistributedDataParallel"]


class DistributedDataParallel(Module):
    """A module trained by several processes, of which there is one: gradients are the module's own.

    Args:
        module: The module; it is kept as ``module``.
        device_ids: None, as modules are on the CPU.
        output_device: None.
        dim: Accepted, as are all that follow: nothing is sent.

    Raises:
        ValueError: there is no process group (``torch.distributed.init_process_group``), or devices are named.
        RuntimeError: no parameter requires a gradient.
    """

    def __init__(
        self,
        module: Module,
        device_ids: Any = None,
        output_device: Any = None,
        dim: int = 0,
        broadcast_buffers: bool = True,
        *args: Any,
        find_unused_parameters: bool = False,
        static_graph: bool = False,
        **kwargs: Any,
    ) -> None:
        from flambeau.distributed import get_rank, group

        super().__init__()
        get_rank()
        if not any(p.requires_grad for p in module.parameters()):
            raise RuntimeError(
                "DistributedDataParallel is not needed when a module doesn't have any parameter that requires a "
                "gradient."
            )
        if device_ids or output_device is not None:
            raise ValueError(
                "DistributedDataParallel device_ids and output_device arguments only work with "
                "single-device/multiple-device GPU modules or CPU modules, but got device_ids "
                f"{device_ids}, output_device {output_device}, and module parameters "
                f"{ {p.device for p in module.parameters()} }."
            )
        self.module = module
        self.device_ids, self.output_device, self.dim = None, None, dim
        self.device = next(module.parameters()).device
        self.process_group = group.WORLD
        self.broadcast_buffers, self.find_unused_parameters = broadcast_buffers, find_unused_parameters
        self.static_graph, self.require_backward_grad_sync = static_graph, True

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """Calls the module."""
        return self.module(*inputs, **kwargs)

    @contextmanager
    def no_sync(self) -> Iterator[None]:
        """A block whose backward passes send no gradients."""
        before, self.require_backward_grad_sync = self.require_backward_grad_sync, False
        try:
            yield
        finally:
            self.require_backward_grad_sync = before

    @contextmanager
    def join(
        self, divide_by_initial_world_size: bool = True, enable: bool = True, throw_on_early_termination: bool = False
    ) -> Iterator[None]:
        """A block in which processes may have different numbers of batches."""
        yield

    def register_comm_hook(self, state: Any, hook: Any) -> None:
        """Raises NotImplementedError: nothing is sent that a hook could change."""
        raise NotImplementedError("DistributedDataParallel.register_comm_hook is not supported: there is one process")
