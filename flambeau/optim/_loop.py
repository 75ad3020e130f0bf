"""The shape that most optimizers share: collect what has a gradient, then update group by group."""

from __future__ import annotations

import functools
from operator import itemgetter
from typing import TYPE_CHECKING, Any, ClassVar

import flambeau as torch

from ._rules import (
    Rule,
    apply_by_key,
    apply_rule,
    ending,
    floats,
    from_one_pass,
    gradients,
    plus_scaled,
    repeat,
    standing,
)
from ._steps import FLOAT32_LIMIT, Mirror, scalar_dtype
from .optimizer import (
    Optimizer,
    ParamsT,
    _check_fused,
    _evaluate,
    _realise,
    _to_scalar,
    call_with_grad_mode,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flambeau import Tensor

State = dict[str, Any]
Group = dict[str, Any]

_CAPTURABLE_DEVICES = ("cuda", "xpu", "hpu", "privateuseone", "xla")


class _Unknown(Exception):
    """A group's step is not one that was taken before."""


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
    _by_rule: ClassVar[bool] = True
    """Are gradients used by rules alone?"""
    _updates_last: ClassVar[bool] = True
    """Is applying the rule the last that `_update` does?"""
    _capturable_what: ClassVar[str] = "params and state_steps"
    _capturable_devices: ClassVar[tuple[str, ...]] = _CAPTURABLE_DEVICES

    def __init__(self, params: ParamsT, defaults: dict[str, Any]) -> None:
        super().__init__(params, defaults)
        self._mirror = Mirror()
        self._standing: dict[int, Any] = {}
        self._found: list[Any] | None = None  # while it is found out whether the step is known for all groups
        self._complex = self._has_complex()
        if defaults.get("fused"):
            if defaults["differentiable"]:
                raise RuntimeError("`fused` does not support `differentiable`")
            if defaults["foreach"]:
                raise RuntimeError("`fused` and `foreach` cannot be `True` together.")

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._mirror = Mirror()
        self._standing: dict[int, Any] = {}
        self._found: list[Any] | None = None
        self._complex = self._has_complex()
        for group in self.param_groups:
            for name, default in self._late_options.items():
                group.setdefault(name, default)
            for p in group["params"]:
                self._make_tensors(self.state.get(p, {}), group)

    def add_param_group(self, param_group: Group) -> None:
        """Adds a group of parameters, a dictionary with `params` and the group's own options."""
        super().add_param_group(param_group)
        self._complex = self._has_complex()

    def _has_complex(self) -> bool:
        return any(p.is_complex() for group in self.param_groups for p in group["params"])

    def _make_tensors(self, state: State, group: Group) -> None:
        for key in self._scalar_state:
            if state and not torch.is_tensor(state[key]):
                state[key] = torch.tensor(float(state[key]), dtype=scalar_dtype(group.get("fused")))

    def _fresh_state(self, group: Group, p: Tensor) -> State:
        """The state of a parameter before its first update."""
        raise NotImplementedError

    def _update(self, group: Group) -> Sequence[Any]:
        """Updates the parameters of one group in place; returns something for each one that was updated."""
        raise NotImplementedError

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Updates every parameter that has a gradient; returns what `closure` returns."""
        return call_with_grad_mode(self.defaults.get("differentiable", False), self._step, closure)

    def _step(self, closure: Callable[[], Any] | None) -> Any:
        loss = None if closure is None else _evaluate(closure)
        groups = self.param_groups
        if len(groups) > 1 and self._repeat_all(groups):
            return loss
        updated = 0
        for group in groups:
            ending[0] = self._updates_last and group is groups[-1]
            updated += len(self._update(group))
        if updated and ending[0] is not None:
            _realise()
        return loss

    def _repeat_all(self, groups: list[Group]) -> bool:
        """Takes the step of several groups as one before, if it is known for all of them."""
        standing = self._standing
        if not all([id(group) in standing for group in groups]) or not from_one_pass(groups):  # noqa: C419
            return False
        self._found = found = []
        try:
            for group in groups:
                self._update(group)
        except _Unknown:
            return False
        finally:
            self._found = None
        return repeat(found)

    def _gather(self, group: Group, keys: tuple[str, ...]) -> tuple[list[list[Any]], list[State]]:
        """What a rule is given of each parameter that has a gradient: value, gradient, these states."""
        rows: list[list[Any]] = []
        states: list[State] = []
        known, pick = self.state, _picker(keys)
        params, by_rule = group["params"], self._by_rule and not self._complex
        for p, grad in zip(params, gradients(params) if by_rule else [p.grad for p in params]):
            if grad is None:
                continue
            if grad.is_sparse:
                self._check_sparse()
            state = known[p] or self._new_state(group, p)
            states.append(state)
            rows.append([p, grad, *pick(state)])
        if rows and group.get("capturable"):
            self._refuse_capturable()
        return (_as_real(rows) if self._complex else rows), states

    def _apply(
        self,
        rule: Rule,
        group: Group,
        keys: tuple[str, ...],
        flags_of: Callable[[Any], Any],
        numbers_of: Callable[[Any], Sequence[Any]],
    ) -> Sequence[Any]:
        """Applies a rule that adds one to the step counts, and whose numbers follow from them."""
        if self._repeat(rule, group, keys, flags_of, numbers_of):
            return group["params"]
        rows, states = self._gather(group, keys)
        steps = [state["step"] for state in states]
        counts = self._mirror.announce(steps)
        self._stand(group, rows, apply_by_key(rule, flags_of, rows, counts, numbers_of), steps, counts)
        return rows

    def _apply_to_all(
        self, rule: Rule, group: Group, keys: tuple[str, ...], flags: Any, numbers: Sequence[Any]
    ) -> Sequence[Any]:
        """Applies a rule whose numbers depend on no count."""
        if self._repeat(rule, group, keys, lambda count: flags, lambda count: numbers):
            return group["params"]
        rows, _ = self._gather(group, keys)
        if rows:
            self._stand(group, rows, apply_rule(rule, flags, rows, numbers))
        return rows

    def _repeat(
        self,
        rule: Rule,
        group: Group,
        keys: tuple[str, ...],
        flags_of: Callable[[Any], Any],
        numbers_of: Callable[[Any], Sequence[Any]],
    ) -> bool:
        """Takes a step as one before, if it is the last update of a step and one that is known."""
        step = self._known(rule, group, keys, flags_of, numbers_of) if ending[0] or self._found is not None else None
        if self._found is not None:
            if step is None:
                raise _Unknown
            self._found.append(step)
            return True
        if step is not None and repeat([step]):
            ending[0] = None
            return True
        found = self._standing.get(id(group))
        if found is not None and found.counted and found.counting:
            self._mirror.restore(found.steps, found.count)
        return False

    def _known(
        self,
        rule: Rule,
        group: Group,
        keys: tuple[str, ...],
        flags_of: Callable[[Any], Any],
        numbers_of: Callable[[Any], Sequence[Any]],
    ) -> tuple[Any, ...] | None:
        """A group's step as `repeat` takes it, if its parameters and states stand as after the one before."""
        found = self._standing.get(id(group))
        if found is None or group.get("capturable"):
            return None
        params = group["params"]
        states = list(map(self.state.get, params))
        try:
            members = [state[key] for key in keys for state in states]  # type: ignore[index]
        except (TypeError, KeyError):  # there is none yet
            return None
        if found.counted and not found.counting:
            return None
        count = found.count + 1.0
        if count >= FLOAT32_LIMIT or not found.holds(params, members):
            return None
        return found, rule, flags_of(count), floats(numbers_of(count))

    def _stand(
        self,
        group: Group,
        rows: list[list[Any]],
        taken: Any,
        steps: Sequence[Tensor] = (),
        counts: Sequence[float] = (),
    ) -> None:
        """Remembers a step that may be taken again."""
        params = group["params"]
        if taken is None or len(rows) != len(params) or self._complex:
            return
        members = [x for column in list(zip(*rows))[2:] for x in column]
        found = self._standing.get(id(group))
        count = counts[0] if counts else 0.0
        if found is None or not found.stands_for(params, members) or len(found.steps) != len(steps):
            found = self._standing[id(group)] = standing(params, members, steps, count)
        found.learn(taken, count)

    def _new_state(self, group: Group, p: Tensor) -> State:
        """Fills the state of a parameter before its first update."""
        if group.get("fused"):
            _check_fused(p)
        state = self.state[p]
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


@functools.cache
def _picker(keys: tuple[str, ...]) -> Callable[[State], tuple[Any, ...]]:
    """A function that takes these entries out of a state."""
    if len(keys) == 1:
        (key,) = keys
        return lambda state: (state[key],)
    return itemgetter(*keys) if keys else lambda state: ()


def zeros_like(p: Tensor) -> Tensor:
    """A state tensor of zeros with the layout of `p`."""
    return torch.zeros_like(p, memory_format=torch.preserve_format)


def with_decay(grad: Tensor, param: Tensor, number: Any, maximize: bool, decay: bool) -> Tensor:
    """The gradient to descend along: negated to maximise, with the pull of an L2 penalty."""
    grad = -grad if maximize else grad
    return plus_scaled(grad, param, number) if decay else grad


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


def _as_real(rows: list[list[Any]]) -> list[list[Any]]:
    """The rows with real views in the place of complex tensors."""
    return [[torch.view_as_real(x) if x.is_complex() else x for x in row] for row in rows]
