"""The shape that most optimizers share: collect what has a gradient, then update group by group."""

from __future__ import annotations

import functools
from operator import itemgetter
from typing import TYPE_CHECKING, Any, ClassVar

import flambeau as torch

from ..ops import stepping
from ._rules import Update, apply_by_key, apply_rule, ending, floats, gradients, plus_scaled
from ._steps import FLOAT32_LIMIT, Mirror, rounding, scalar_dtype
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


class LoopOptimizer(Optimizer):
    """An optimizer with state for each parameter and an update over the lists of one group.

    A subclass gives `_fresh_state`, and `_describe` or `_update`, and sets the class variables below.
    """

    _late_options: ClassVar[dict[str, Any]] = {}
    """Options that checkpoints of older versions may lack."""
    _scalar_state: ClassVar[tuple[str, ...]] = ("step",)
    """State that is a 0-dim tensor now and was a number in older checkpoints."""
    _sparse_advice: ClassVar[str | None] = ""
    """What follows the refusal of sparse gradients; None where they are supported."""
    _by_rule: ClassVar[bool] = True
    """Are gradients used by rules alone?"""
    _capturable_what: ClassVar[str] = "params and state_steps"
    _capturable_devices: ClassVar[tuple[str, ...]] = _CAPTURABLE_DEVICES

    def __init__(self, params: ParamsT, defaults: dict[str, Any]) -> None:
        super().__init__(params, defaults)
        self._mirror = Mirror()
        self._standing: dict[int, stepping.Standing] = {}  # by the id of the group
        self._complex = self._has_complex()
        if defaults.get("fused"):
            if defaults["differentiable"]:
                raise RuntimeError("`fused` does not support `differentiable`")
            if defaults["foreach"]:
                raise RuntimeError("`fused` and `foreach` cannot be `True` together.")

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._mirror = Mirror()
        self._standing = {}
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

    def _describe(self, group: Group) -> Update:
        """How the group's parameters are updated, for `_update`."""
        raise NotImplementedError

    def _update(self, group: Group) -> Sequence[Any]:
        """Updates the parameters of one group in place; returns something for each one that was updated."""
        return self._apply(self._describe(group), group)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Updates every parameter that has a gradient; returns what `closure` returns."""
        differentiable = self.defaults.get("differentiable", False)
        if closure is None and not differentiable and self._standing and self._repeat():
            return None
        return call_with_grad_mode(differentiable, self._step, closure)

    def _step(self, closure: Callable[[], Any] | None) -> Any:
        loss = None
        if closure is not None:
            loss = _evaluate(closure)
            if not torch.is_grad_enabled() and self._repeat():
                return loss
        groups, updated = self.param_groups, 0
        for group in groups:
            ending[0] = group is groups[-1]
            updated += len(self._update(group))
        if updated and ending[0] is not None:
            _realise()
        return loss

    def _repeat(self) -> bool:
        """Takes the step as one before with all that is pending, if it is known for all groups."""
        steps = []
        for group in self.param_groups:
            found = self._known(group)
            if found is None:
                return False
            steps.append(found)
        return stepping.repeat(steps)

    def _known(self, group: Group) -> stepping.Standing | None:
        """A group whose options, parameters and states stand as after the step before, ready for the next one."""
        found = self._standing.get(id(group))
        if found is None:
            return None
        if not stepping.same(group.values(), found.options):
            if group.get("capturable"):
                return None
            self._describe_again(found, group)
        params, update = group["params"], found.update
        members = stepping.members(self.state, params, update.keys)
        if members is None:
            return None
        if not stepping.holds(found, params, members):
            return None
        if found.counters:
            key = found.next = update.following(found.key[: len(found.counted)], found.rounded)
            if key[0] >= FLOAT32_LIMIT or not found.counting:
                return None
            found.flags, numbers = update.at(*key)
            found.numbers = floats(numbers)
        return found

    def _describe_again(self, found: stepping.Standing, group: Group) -> None:
        """Notes the update that follows from a group's options, for as long as they stay what they are."""
        update = found.update = self._describe(group)
        found.options = tuple(group.values()) if all(map(_is_lasting, group.items())) else ()
        if not update.counted:
            found.flags, numbers = update.at()
            found.numbers = floats(numbers)

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

    def _apply(self, update: Update, group: Group) -> Sequence[Any]:
        """Updates the parameters of a group that have a gradient; returns what the rule was given of each."""
        found = self._standing.get(id(group))
        if found is not None and found.counters and found.counting:
            self._mirror.restore(found.counted, found.key)
        rows, states = self._gather(group, update.keys)
        if rows:
            counted = [[state[key] for state in states] for key in update.counted]
            if torch.is_grad_enabled() and any(x.requires_grad for column in counted for x in column):
                _apply_to_derived(update, rows, counted)
                return rows
            keys = self._foretold(update, counted) if counted else [()] * len(rows)
            self._stand(update, group, rows, apply_by_key(update.rule, update.at, rows, keys), counted, keys[0])
        return rows

    def _foretold(self, update: Update, counted: list[list[Tensor]]) -> list[tuple[float, ...]]:
        """What the step of each parameter depends on; notes what the values of these states will be."""
        columns = [map(self._mirror.read, column) for column in counted]
        rows = [(values, rounding(last)) for *values, last in zip(*columns, counted[-1])]
        known: dict[Any, tuple[float, ...]] = {}
        keys = []
        for values, rounded in rows:
            if (*values, rounded) not in known:
                known[(*values, rounded)] = update.following(values, rounded)
            keys.append(known[(*values, rounded)])
        for column, values in zip(counted, zip(*keys)):
            self._mirror.foretell_all(column, values)
        return keys

    def _stand(
        self,
        update: Update,
        group: Group,
        rows: list[list[Any]],
        taken: stepping.Taken | None,
        counted: Sequence[Sequence[Tensor]] = (),
        key: tuple[float, ...] = (),
    ) -> None:
        """Remembers a step that may be taken again."""
        params = group["params"]
        if taken is None or len(rows) != len(params) or self._complex:
            return
        members = [x for column in list(zip(*rows))[2:] for x in column]
        found = self._standing.get(id(group))
        if found is None or not found.stands_for(params, members) or len(found.counted) != len(counted):
            rounded = {rounding(x) for x in counted[-1]} if counted else {float}
            if len(rounded) > 1:
                return
            found = self._standing[id(group)] = stepping.Standing(update, params, members, counted, rounded.pop())
        found.learn(taken, key)

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


def _is_lasting(option: tuple[str, Any]) -> bool:
    """Does an option stay what it is as long as it is the same object? The parameters are looked at by themselves."""
    name, value = option
    if type(value) is tuple:
        return all([type(x) in _LASTING for x in value])  # noqa: C419
    return type(value) in _LASTING or name in ("params", "param_names")


_LASTING = (float, int, bool, str, type(None))


def _apply_to_derived(update: Update, rows: list[list[Any]], counted: list[list[Tensor]]) -> None:
    """A differentiable step that depends on states through which gradients flow, which are taken as tensors."""
    for row, states in zip(rows, zip(*counted)):
        values: list[Any] = [x if x.requires_grad else x.item() for x in states]
        flags, numbers = update.at(*update.following(values, lambda x: x))
        apply_rule(update.rule, flags, [row], numbers)


def zero_step(group: Group) -> Tensor:
    """The step count of a parameter before its first update."""
    return stepping.zero(scalar_dtype(group.get("fused")))


@functools.cache
def _picker(keys: tuple[str, ...]) -> Callable[[State], tuple[Any, ...]]:
    """A function that takes these entries out of a state."""
    if len(keys) == 1:
        (key,) = keys
        return lambda state: (state[key],)
    return itemgetter(*keys) if keys else lambda state: ()


def zeros_like(p: Tensor) -> Tensor:
    """A state tensor of zeros with the layout of `p`."""
    return stepping.zeros_like(p)


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
