"""The shape that most optimizers share: collect what has a gradient, then update group by group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import flambeau as torch

from ._rules import Rule, apply_by_key
from ._steps import Mirror, scalar_dtype
from .optimizer import (
    Optimizer,
    ParamsT,
    _check_fused,
    _evaluate,
    _realise,
    _to_scalar,
    _use_grad_for_differentiable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flambeau import Tensor

State = dict[str, Any]
Group = dict[str, Any]

_CAPTURABLE_DEVICES = ("cuda", "xpu", "hpu", "privateuseone", "xla")


class LoopOptimizer(Optimizer):
    """An optimizer with state for each parameter and an update over the lists of one group.

    A subclass gives `_fresh_state` and `_update`, and sets the class variables below.
    """

    _late_options: ClassVar[dict[str, Any]] = {}
    """Options that checkpoints of older versions may lack."""
    _scalar_state: ClassVar[tuple[str, ...]] = ("step",)
    """State that is a 0-dim tensor now and was a number in older checkpoints."""
    _sparse_advice: ClassVar[str | None] = ""
    """What follows the refusal of sparse gradients; None where they are supported."""
    _capturable_what: ClassVar[str] = "params and state_steps"
    _capturable_devices: ClassVar[tuple[str, ...]] = _CAPTURABLE_DEVICES

    def __init__(self, params: ParamsT, defaults: dict[str, Any]) -> None:
        super().__init__(params, defaults)
        self._mirror = Mirror()
        if defaults.get("fused"):
            if defaults["differentiable"]:
                raise RuntimeError("`fused` does not support `differentiable`")
            if defaults["foreach"]:
                raise RuntimeError("`fused` and `foreach` cannot be `True` together.")

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._mirror = Mirror()
        for group in self.param_groups:
            for name, default in self._late_options.items():
                group.setdefault(name, default)
            for p in group["params"]:
                self._make_tensors(self.state.get(p, {}), group)

    def _make_tensors(self, state: State, group: Group) -> None:
        for key in self._scalar_state:
            if state and not torch.is_tensor(state[key]):
                state[key] = torch.tensor(float(state[key]), dtype=scalar_dtype(group.get("fused")))

    def _fresh_state(self, group: Group, p: Tensor) -> State:
        """The state of a parameter before its first update."""
        raise NotImplementedError

    def _update(self, group: Group, params: list[Tensor], grads: list[Tensor], states: list[State]) -> None:
        """Updates the parameters of one group in place, all lists being of the same length."""
        raise NotImplementedError

    def _apply(
        self,
        rule: Rule,
        flags_of: Callable[[Any], Any],
        parameters: list[list[Tensor]],
        states: list[State],
        numbers_of: Callable[[Any], Sequence[Any]],
    ) -> None:
        """Applies a rule that adds one to the step counts, and whose numbers follow from them."""
        steps = [state["step"] for state in states]
        counts = self._mirror.announce(steps)
        apply_by_key(rule, flags_of, parameters, counts, numbers_of)
        self._mirror.note_counts(steps, counts)

    @_use_grad_for_differentiable
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Updates every parameter that has a gradient; returns what `closure` returns."""
        loss = _evaluate(closure)
        touched: list[Tensor] = []
        for group in self.param_groups:
            params, grads, states = self._collect(group)
            if params:
                self._update(group, params, grads, states)
                touched += params
        _realise(touched)
        return loss

    def _collect(self, group: Group) -> tuple[list[Tensor], list[Tensor], list[State]]:
        """The parameters of a group that have a gradient, with their gradients and states."""
        params: list[Tensor] = []
        grads: list[Tensor] = []
        states: list[State] = []
        complex_found = False
        for p in group["params"]:
            grad = p.grad
            if grad is None:
                continue
            if grad.is_sparse:
                self._check_sparse()
            complex_found = complex_found or p.is_complex()
            params.append(p)
            grads.append(grad)
            states.append(self._state_of(group, p))
        if params and group.get("capturable"):
            self._refuse_capturable()
        return _as_real(params, grads, states) if complex_found else (params, grads, states)

    def _state_of(self, group: Group, p: Tensor) -> State:
        state = self.state[p]
        if not state:
            if group.get("fused"):
                _check_fused(p)
            state.update(self._fresh_state(group, p))
        return state

    def _check_sparse(self) -> None:
        if self._sparse_advice is not None:
            name = type(self).__name__ if self._sparse_advice == "" else "Adam"
            raise RuntimeError(f"{name} does not support sparse gradients{self._sparse_advice}")

    def _refuse_capturable(self) -> None:
        """Raises AssertionError: there is no device here whose graphs could be captured."""
        raise AssertionError(
            f"If capturable=True, {self._capturable_what} must be on supported devices: "
            f"{list(self._capturable_devices)}."
        )


def zero_step(group: Group) -> Tensor:
    """The step count of a parameter before its first update."""
    return torch.tensor(0.0, dtype=scalar_dtype(group.get("fused")))


def rows(params: list[Tensor], grads: list[Tensor], states: list[State], *keys: str) -> list[list[Tensor]]:
    """For each parameter the tensors that a rule is given: value, gradient and these states."""
    return [
        [param, grad, *[state[key] for key in keys]] for param, grad, state in zip(params, grads, states, strict=True)
    ]


def zeros_like(p: Tensor) -> Tensor:
    """A state tensor of zeros with the layout of `p`."""
    return torch.zeros_like(p, memory_format=torch.preserve_format)


def with_decay(grad: Tensor, param: Tensor, number: Any, maximize: bool, decay: bool) -> Tensor:
    """The gradient to descend along: negated to maximise, with the pull of an L2 penalty."""
    grad = -grad if maximize else grad
    return grad + param * number if decay else grad


def decay_kind(group: Group) -> str:
    """How weight decay acts: "" for not at all, on the gradient ("l2") or on the parameter ("decoupled")."""
    if isinstance(group["weight_decay"], (int, float)) and group["weight_decay"] == 0:
        return ""
    return "decoupled" if group.get("decoupled_weight_decay") else "l2"


def decay_number(group: Group) -> Any:
    """The number that goes with `decay_kind`: the penalty, or what the parameter is multiplied by."""
    weight_decay = group["weight_decay"]
    return 1 - _to_scalar(group["lr"]) * weight_decay if group.get("decoupled_weight_decay") else weight_decay


def decayed(param: Tensor, grad: Tensor, number: Any, maximize: bool, kind: str) -> tuple[Tensor, Tensor]:
    """Parameter and gradient after either kind of weight decay."""
    if kind == "decoupled":
        return param * number, -grad if maximize else grad
    return param, with_decay(grad, param, number, maximize, kind == "l2")


def _as_real(params: list[Any], grads: list[Any], states: list[State]) -> Any:
    """The lists with real views in the place of complex tensors."""
    return [_real(p) for p in params], [_real(g) for g in grads], [_real_state(s) for s in states]


def _real_state(state: State) -> State:
    return {k: _real(v) for k, v in state.items()}


def _real(x: Any) -> Any:
    return torch.view_as_real(x) if isinstance(x, torch.Tensor) and x.is_complex() else x
