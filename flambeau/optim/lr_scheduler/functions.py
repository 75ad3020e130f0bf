"""Schedules given as functions of the epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..optimizer import Optimizer
from .base import LRScheduler, restore_function, split_functions

EpochFunction = Callable[[int], float]


class _FunctionLR(LRScheduler):
    """One function of the epoch for each group."""

    lr_lambdas: list[EpochFunction]

    def __init__(
        self, optimizer: Optimizer, lr_lambda: EpochFunction | list[EpochFunction], last_epoch: int = -1
    ) -> None:
        self.optimizer = optimizer
        groups = len(optimizer.param_groups)
        if not isinstance(lr_lambda, (list, tuple)):
            self.lr_lambdas = [lr_lambda] * groups
        elif len(lr_lambda) != groups:
            raise ValueError(f"Expected {groups} lr_lambdas, but got {len(lr_lambda)}")
        else:
            self.lr_lambdas = list(lr_lambda)
        self._check_functions()
        super().__init__(optimizer, last_epoch)

    def _check_functions(self) -> None:
        pass

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer; of the functions only the attributes of callable objects."""
        state = super().state_dict()
        del state["lr_lambdas"]
        state["lr_lambdas"] = split_functions(state, self.lr_lambdas)
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over what `state_dict` returned."""
        self.__dict__.update({k: v for k, v in state_dict.items() if k != "lr_lambdas"})
        for i, attributes in enumerate(state_dict["lr_lambdas"]):
            restore_function(self.lr_lambdas[i], attributes)


class LambdaLR(_FunctionLR):
    """Sets each rate to the first rate times `lr_lambda(epoch)`.

    Args:
        optimizer: the wrapped optimizer.
        lr_lambda: a function, or one for each group.
        last_epoch: the epoch to resume after.

    Raises:
        ValueError: another number of functions than of groups.
    """

    def get_lr(self) -> list[Any]:
        """The rates of this epoch; for `step` to call."""
        self._warn_if_outside_step()
        pairs = zip(self.lr_lambdas, self.base_lrs, strict=True)
        return [base_lr * function(self.last_epoch) for function, base_lr in pairs]


class MultiplicativeLR(_FunctionLR):
    """Multiplies each rate by `lr_lambda(epoch)`.

    Args:
        optimizer: the wrapped optimizer.
        lr_lambda: a function, or one for each group.
        last_epoch: the epoch to resume after.

    Raises:
        ValueError: another number of functions than of groups.
        TypeError: something that cannot be called.
    """

    def _check_functions(self) -> None:
        for function in self.lr_lambdas:
            if not callable(function):
                raise TypeError(f"lr_lambda should be a function, but got {type(function).__name__}")

    def get_lr(self) -> list[Any]:
        """The rates of this epoch; for `step` to call."""
        self._warn_if_outside_step()
        if self._is_initial:
            return self._same()
        pairs = zip(self.lr_lambdas, self.optimizer.param_groups, strict=True)
        return [group["lr"] * function(self.last_epoch) for function, group in pairs]
