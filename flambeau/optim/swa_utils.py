"""Averages of a model's weights and a schedule for them (`torch.optim.swa_utils`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from copy import deepcopy
from itertools import chain
from typing import TYPE_CHECKING, Any

import flambeau as torch

from .. import nn
from .lr_scheduler.base import LRScheduler, per_group
from .optimizer import Optimizer

if TYPE_CHECKING:
    from flambeau import Tensor

__all__ = [
    "SWALR",
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]

AverageFn = Callable[[Any, Any, Any], Any]


def _check_decay(decay: float) -> None:
    if decay < 0.0 or decay > 1.0:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")


def _can_lerp(tensor: Tensor) -> bool:
    return torch.is_floating_point(tensor) or torch.is_complex(tensor)


def get_ema_multi_avg_fn(decay: float = 0.999) -> AverageFn:
    """An update in place of lists of tensors by an exponential moving average.

    Raises:
        ValueError: a decay outside [0, 1].
    """
    _check_decay(decay)

    @torch.no_grad()
    def ema_update(ema_param_list: Any, current_param_list: Any, _: Any) -> None:
        for average, current in zip(ema_param_list, current_param_list, strict=True):
            if _can_lerp(average):
                average.lerp_(current, 1 - decay)
            else:
                average.copy_(average * decay + current * (1 - decay))

    return ema_update


def get_swa_multi_avg_fn() -> AverageFn:
    """An update in place of lists of tensors by the mean of all models so far."""

    @torch.no_grad()
    def swa_update(averaged_param_list: Any, current_param_list: Any, num_averaged: Any) -> None:
        weight = 1 / (float(num_averaged) + 1)
        for average, current in zip(averaged_param_list, current_param_list, strict=True):
            if _can_lerp(average):
                average.lerp_(current, weight)
            else:
                average.add_((current - average) / (num_averaged + 1))

    return swa_update


def get_ema_avg_fn(decay: float = 0.999) -> AverageFn:
    """The exponential moving average of one tensor.

    Raises:
        ValueError: a decay outside [0, 1].
    """
    _check_decay(decay)

    @torch.no_grad()
    def ema_update(ema_param: Any, current_param: Any, num_averaged: Any) -> Any:
        return decay * ema_param + (1 - decay) * current_param

    return ema_update


def get_swa_avg_fn() -> AverageFn:
    """The mean of one tensor over all models so far."""

    @torch.no_grad()
    def swa_update(averaged_param: Any, current_param: Any, num_averaged: Any) -> Any:
        return averaged_param + (current_param - averaged_param) / (num_averaged + 1)

    return swa_update


class AveragedModel(nn.Module):
    """Holds running averages of a model's parameters, and runs as that model.

    Args:
        model: the model, which is copied.
        device: where the averages are kept.
        avg_fn: new average of a tensor from `(average, current, number averaged)`.
        multi_avg_fn: the same in place for lists of tensors. Without either, the equal mean.
        use_buffers: average the buffers too; otherwise they are copied.

    Raises:
        AssertionError: both functions are given.
    """

    n_averaged: Tensor

    def __init__(
        self,
        model: nn.Module,
        device: Any = None,
        avg_fn: AverageFn | None = None,
        multi_avg_fn: AverageFn | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", torch.tensor(0, dtype=torch.long, device=device))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the averaged model."""
        return self.module(*args, **kwargs)

    def update_parameters(self, model: nn.Module) -> None:
        """Takes a model's present parameters into the averages."""
        averages = [t.detach() for t in self._averaged(self.module)]
        current = [t.detach() for t in self._averaged(model)]
        current = [new.to(old.device) for old, new in zip(averages, current, strict=False)]
        if bool(self.n_averaged == 0):
            for old, new in zip(averages, current, strict=False):
                old.copy_(new)
        else:
            self._average(averages, current)
        if not self.use_buffers:
            for old, new in zip(self.module.buffers(), model.buffers(), strict=True):
                old.detach().copy_(new.detach().to(old.device))
        self.n_averaged += 1

    def _averaged(self, model: nn.Module) -> Iterable[Tensor]:
        return chain(model.parameters(), model.buffers()) if self.use_buffers else model.parameters()

    def _average(self, averages: list[Tensor], current: list[Tensor]) -> None:
        if self.multi_avg_fn is None:
            average = self.avg_fn or get_swa_avg_fn()
            for old, new in zip(averages, current, strict=True):
                old.copy_(average(old, new, self.n_averaged))
            return
        by_dtype: dict[Any, tuple[list[Tensor], list[Tensor]]] = {}
        for old, new in zip(averages, current, strict=True):
            olds, news = by_dtype.setdefault(old.dtype, ([], []))
            olds.append(old)
            news.append(new)
        for olds, news in by_dtype.values():
            self.multi_avg_fn(olds, news, self.n_averaged)


@torch.no_grad()
def update_bn(loader: Iterable[Any], model: nn.Module, device: Any = None) -> None:
    """Sets the running statistics of a model's batch norms from one pass over the data.

    Args:
        loader: batches; of a tuple or list the first item is the model's input.
        model: left in the mode it was in.
        device: where the input is moved.
    """
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    if not norms:
        return
    was_training = model.training
    model.train()
    for norm in norms:
        norm.reset_running_stats()
        # Without a momentum the statistics are the mean over all batches.
        norm.momentum = None
    for batch in loader:
        batch = batch[0] if isinstance(batch, (list, tuple)) else batch
        model(batch if device is None else batch.to(device))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """Anneals the rates to a fixed one for averaging weights.

    Args:
        optimizer: the wrapped optimizer.
        swa_lr: the rate to reach, or one for each group.
        anneal_epochs: epochs to get there.
        anneal_strategy: "cos" or "linear".
        last_epoch: the epoch to resume after.

    Raises:
        ValueError: a bad strategy or number of epochs, or a wrong number of rates.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | list[float],
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        for rate, group in zip(per_group("swa_lr", optimizer, swa_lr), optimizer.param_groups, strict=True):
            group["swa_lr"] = rate
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        self._anneal_strategy = anneal_strategy
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        """The rates of this epoch; for `step` to call."""
        self._warn_if_outside_step()
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._share(step - 1), self._share(step)
        return [
            group["swa_lr"] * now + _unmixed(group["lr"], group["swa_lr"], before) * (1 - now)
            for group in self.optimizer.param_groups
        ]

    def _share(self, step: int) -> float:
        """How much of the rate is the final one's after some steps."""
        t = max(0, min(1, step / max(1, self.anneal_epochs)))
        return t if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * t)) / 2


def _unmixed(lr: Any, swa_lr: Any, share: float) -> Any:
    """The rate that gave `lr` when mixed with `swa_lr`."""
    return swa_lr if share == 1 else (lr - share * swa_lr) / (1 - share)
