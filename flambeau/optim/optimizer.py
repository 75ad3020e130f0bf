"""The base class of all optimizers (`torch.optim.Optimizer`)."""

from __future__ import annotations

import functools
import importlib
import warnings
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias

import flambeau as torch

from ..autograd.grad_mode import call_with_grad_mode
from ..utils.hooks import RemovableHandle

if TYPE_CHECKING:
    from flambeau import Tensor

ParamsT: TypeAlias = "Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]"
StateDict: TypeAlias = dict[str, Any]
Hooks: TypeAlias = "OrderedDict[int, Callable[..., Any]]"

__all__ = ["Optimizer", "register_optimizer_step_post_hook", "register_optimizer_step_pre_hook"]

_global_pre_hooks: Hooks = OrderedDict()
_global_post_hooks: Hooks = OrderedDict()


class _RequiredParameter:
    """The default of an option that every parameter group has to give."""

    def __repr__(self) -> str:
        return "<required parameter>"


required = _RequiredParameter()


# ---- helpers that the optimizers share ---------------------------------------


def _to_scalar(x: Any) -> Any:
    """A one-element tensor as a 0-dim tensor; everything else as it is."""
    return x if type(x) is float or not isinstance(x, torch.Tensor) or x.dim() == 0 else x.squeeze()


def _number(x: Any) -> Any:
    """A tensor as a Python number; everything else as it is."""
    return x.item() if isinstance(x, torch.Tensor) else x


def _use_grad_for_differentiable(step: Callable[..., Any]) -> Callable[..., Any]:
    """Runs `step` with gradients recorded only if the optimizer is differentiable."""

    @functools.wraps(step)
    def wrapper(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        return call_with_grad_mode(self.defaults.get("differentiable", False), step, self, *args, **kwargs)

    return wrapper


def _evaluate(closure: Callable[[], Any] | None) -> Any:
    """Calls a closure with gradients on; None without one."""
    if closure is None:
        return None
    with torch.enable_grad():
        return closure()


@functools.cache
def _flush_after_step() -> Callable[[], None] | None:
    """The graph's entry point for the end of a step, where there is a graph."""
    try:
        graph = importlib.import_module(f"{torch.__package__}.graph")
    except ImportError:
        return None
    return getattr(graph, "flush_after_step", None)


def _realise() -> None:
    """Runs the pending work of a training step, so that nothing has to mark its end."""
    flush = _flush_after_step()
    if flush is not None:
        flush()


def _check_fused(p: Tensor) -> None:
    """Raises RuntimeError for a parameter that a fused update cannot take."""
    if torch.is_floating_point(p):
        return
    devices = ["mps", "cuda", "xpu", "hpu", "cpu", "mtia", "privateuseone"]
    raise RuntimeError(
        "`fused=True` requires all the params to be floating point Tensors of supported devices: "
        f"{devices} but {p.dtype} and {p.device.type}"
    )


def _check_one_element(lr: Any, name: str = "lr") -> None:
    """Raises ValueError for a tensor option of more than one element."""
    if isinstance(lr, torch.Tensor) and lr.numel() != 1:
        raise ValueError(f"Tensor {name} must be 1-element")


def _at_least_zero(value: Any) -> bool:
    """Is an option zero or more? Compared in the order that PyTorch's TypeError for other types names."""
    return 0.0 <= value  # noqa: SIM300


def _check_lr(lr: Any) -> None:
    """Raises ValueError for a learning rate that is negative or a tensor of several elements."""
    _check_one_element(lr)
    if not _at_least_zero(lr):
        raise ValueError(f"Invalid learning rate: {lr}")


def _check_not_negative(**options: Any) -> None:
    """Raises ValueError naming the first option below zero."""
    for name, value in options.items():
        if not _at_least_zero(value):
            raise ValueError(f"Invalid {name} value: {value}")


def _check_betas(betas: Any) -> None:
    """Raises ValueError unless both betas lie in [0, 1)."""
    for index in (0, 1):
        if not 0.0 <= betas[index] < 1.0:
            raise ValueError(f"Invalid beta parameter at index {index}: {betas[index]}")


# ---- hooks of all optimizers ---------------------------------------------------


def register_optimizer_step_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Registers `hook(optimizer, args, kwargs)` before `step` of every optimizer.

    It may return new `(args, kwargs)`. Returns a handle with `remove()`.
    """
    return _register(_global_pre_hooks, hook)


def register_optimizer_step_post_hook(hook: Callable[..., None]) -> RemovableHandle:
    """Registers `hook(optimizer, args, kwargs)` after `step` of every optimizer."""
    return _register(_global_post_hooks, hook)


def _register(registry: Hooks, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
    handle = RemovableHandle(registry)
    registry[handle.id] = hook
    if prepend:
        registry.move_to_end(handle.id, last=False)
    return handle


_HOOK_REGISTRIES = (
    "_optimizer_step_pre_hooks",
    "_optimizer_step_post_hooks",
    "_optimizer_state_dict_pre_hooks",
    "_optimizer_state_dict_post_hooks",
    "_optimizer_load_state_dict_pre_hooks",
    "_optimizer_load_state_dict_post_hooks",
)


class Optimizer:
    """Base class of all optimizers.

    Subclasses pass their options as `defaults` and define `step`.

    Args:
        params: tensors, `(name, tensor)` pairs, or dictionaries that define parameter groups.
        defaults: option values for groups that do not give their own.

    Raises:
        TypeError: `params` is a tensor, or an item is not one.
        ValueError: `params` is empty, a tensor is not a leaf, or one is in two groups.
    """

    _optimizer_step_pre_hooks: Hooks
    _optimizer_step_post_hooks: Hooks
    _optimizer_state_dict_pre_hooks: Hooks
    _optimizer_state_dict_post_hooks: Hooks
    _optimizer_load_state_dict_pre_hooks: Hooks
    _optimizer_load_state_dict_post_hooks: Hooks

    def __init__(self, params: ParamsT, defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self._make_registries()
        self._patch_step_function()
        if isinstance(params, torch.Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got "
                + torch.typename(params)
            )
        self.state: defaultdict[Any, Any] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        groups: list[Any] = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)

    def _make_registries(self) -> None:
        for name in _HOOK_REGISTRIES:
            self.__dict__.setdefault(name, OrderedDict())

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._make_registries()
        self._patch_step_function()
        self.defaults.setdefault("differentiable", False)

    def __repr__(self) -> str:
        blocks = []
        for i, group in enumerate(self.param_groups):
            options = (f"    {key}: {group[key]}\n" for key in sorted(group) if key != "params")
            blocks.append(f"\nParameter Group {i}\n" + "".join(options))
        return f"{type(self).__name__} ({''.join(blocks)})"

    # ---- step and its hooks --------------------------------------------------

    def _patch_step_function(self) -> None:
        """Makes the class's `step` run the hooks; once for each class."""
        cls: Any = type(self)
        if not getattr(cls.step, "hooked", None):
            cls.step = self.profile_hook_step(cls.step)
            cls.step.hooked = True

    @staticmethod
    def profile_hook_step(func: Callable[..., Any]) -> Callable[..., Any]:
        """Wraps a `step` method so that it runs the registered hooks before and after."""

        @functools.wraps(func)
        def wrapper(self: Optimizer, *more: Any, **kwargs: Any) -> Any:
            before, after = self._optimizer_step_pre_hooks, self._optimizer_step_post_hooks
            if not (before or after or _global_pre_hooks or _global_post_hooks):
                return func(self, *more, **kwargs)
            args: tuple[Any, ...] = (self, *more)
            for hook in chain(_global_pre_hooks.values(), before.values()):
                args, kwargs = _replaced_arguments(func, hook(self, args, kwargs), args, kwargs)
            out = func(*args, **kwargs)
            for hook in chain(after.values(), _global_post_hooks.values()):
                hook(self, args, kwargs)
            return out

        return wrapper

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Registers `hook(optimizer, args, kwargs)` before `step`; it may return new `(args, kwargs)`."""
        return _register(self._optimizer_step_pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Registers `hook(optimizer, args, kwargs)` after `step`."""
        return _register(self._optimizer_step_post_hooks, hook)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Updates the parameters once.

        Args:
            closure: evaluates the model again and returns the loss, which `step` returns.
        """
        raise NotImplementedError

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drops the gradients of all parameters, or fills them with zeros if `set_to_none` is False."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p._g = None  # ``p.grad = None`` without a call
                elif p.grad is not None:
                    _zero_gradient(p.grad)

    # ---- state_dict ----------------------------------------------------------

    def register_state_dict_pre_hook(self, hook: Callable[..., None], prepend: bool = False) -> RemovableHandle:
        """Registers `hook(optimizer)` before `state_dict`."""
        return _register(self._optimizer_state_dict_pre_hooks, hook, prepend)

    def register_state_dict_post_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Registers `hook(optimizer, state_dict)` after `state_dict`; it may return another one."""
        return _register(self._optimizer_state_dict_post_hooks, hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Registers `hook(optimizer, state_dict)` before `load_state_dict`; it may return another one."""
        return _register(self._optimizer_load_state_dict_pre_hooks, hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Callable[..., None], prepend: bool = False) -> RemovableHandle:
        """Registers `hook(optimizer)` after `load_state_dict`."""
        return _register(self._optimizer_load_state_dict_post_hooks, hook, prepend)

    def state_dict(self) -> StateDict:
        """The state as a dictionary of `state` and `param_groups`, with parameters numbered from 0.

        The state tensors are the optimizer's own, not copies.
        """
        for hook in self._optimizer_state_dict_pre_hooks.values():
            hook(self)
        numbers: dict[int, int] = {}
        packed, first = [], 0
        for group in self.param_groups:
            packed.append(_pack_group(group, numbers, first))
            first += len(group["params"])
        state = {numbers[id(k)] if isinstance(k, torch.Tensor) else k: v for k, v in self.state.items()}
        result: StateDict = {"state": state, "param_groups": packed}
        for hook in self._optimizer_state_dict_post_hooks.values():
            result = _or_else(hook(self, result), result)
        return result

    def load_state_dict(self, state_dict: StateDict) -> None:
        """Takes over a state that `state_dict` returned, matching parameters by position.

        State tensors are cast to their parameter's dtype (step counts are not).

        Raises:
            ValueError: the number of groups, or of parameters in a group, differs.
        """
        state_dict = state_dict.copy()
        for hook in self._optimizer_load_state_dict_pre_hooks.values():
            state_dict = _or_else(hook(self, state_dict), state_dict)
        groups, saved = self.param_groups, deepcopy(state_dict["param_groups"])
        _check_groups_match(groups, saved)
        by_number = dict(zip(_members(saved), _members(groups), strict=True))
        state: defaultdict[Any, Any] = defaultdict(dict)
        for key, value in state_dict["state"].items():
            if key in by_number:
                param = by_number[key]
                state[param] = _cast_state(param, value, key, state_dict["param_groups"])
            else:
                state[key] = value
        for group, new in zip(groups, saved, strict=True):
            new["params"] = group["params"]
            if "param_names" in group:
                new.setdefault("param_names", group["param_names"])
        self.__setstate__({"state": state, "param_groups": saved})
        for hook in self._optimizer_load_state_dict_post_hooks.values():
            hook(self)

    @staticmethod
    def _process_value_according_to_param_policy(
        param: Tensor, value: Tensor, param_id: int, param_groups: list[dict[str, Any]], key: Any = None
    ) -> Tensor:
        """A loaded state tensor in the dtype that its parameter asks for."""
        if key == "step":
            group = next((g for g in param_groups if param_id in g["params"]), {})
            wants_float32 = group.get("capturable", False) or group.get("fused", False)
            return value.to(dtype=torch.float32, device=param.device) if wants_float32 else value
        if param.is_floating_point():
            return value.to(dtype=param.dtype, device=param.device)
        return value.to(device=param.device)

    # ---- parameter groups ----------------------------------------------------

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds a group of parameters, a dictionary with `params` and the group's own options.

        Raises:
            TypeError: not a dictionary, parameters in a set, or a parameter that is no tensor.
            ValueError: a tensor is not a leaf or in another group, a required option or a name is missing.
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        _split_names(param_group)
        params = param_group["params"]
        for param in params:
            self._check_param(param)
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError(f"parameter group didn't specify a value of required optimization parameter {name}")
            param_group.setdefault(name, default)
        if len(params) != len({id(p) for p in params}):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; "
                "in future, this will cause an error; "
                "see github.com/pytorch/pytorch/issues/40967 for more information",
                stacklevel=3,
            )
        self._check_against_groups(param_group)
        self.param_groups.append(param_group)

    def _check_param(self, param: Any) -> None:
        if not isinstance(param, torch.Tensor):
            raise TypeError("optimizer can only optimize Tensors, but one of the params is " + torch.typename(param))
        if not self.defaults.get("differentiable", None) and not (param.is_leaf or param.retains_grad):
            raise ValueError("can't optimize a non-leaf Tensor")

    def _check_against_groups(self, param_group: dict[str, Any]) -> None:
        named = "param_names" in param_group
        if any(("param_names" in group) != named for group in self.param_groups):
            raise ValueError(
                "all optimizer param groups should be with/without names. "
                f"cannot add param group {'with names' if named else 'without names'} to the optimizer"
            )
        taken = {id(p) for p in _members(self.param_groups)}
        if not taken.isdisjoint({id(p) for p in param_group["params"]}):
            raise ValueError("some parameters appear in more than one parameter group")


def _replaced_arguments(func: Any, result: Any, args: Any, kwargs: Any) -> tuple[Any, Any]:
    """The arguments of a step after a pre-hook returned `result`."""
    if result is None:
        return args, kwargs
    if isinstance(result, tuple) and len(result) == 2:
        return result
    raise RuntimeError(f"{func} must return None or a tuple of (new_args, new_kwargs), but got {result}.")


def _or_else(value: Any, other: Any) -> Any:
    return other if value is None else value


def _zero_gradient(grad: Tensor) -> None:
    """Fills a gradient with zeros in place, cut off from the graph that made it."""
    if grad.grad_fn is not None:
        grad.detach_()
    else:
        grad.requires_grad_(False)
    grad.zero_()


def _members(groups: list[dict[str, Any]]) -> Iterator[Any]:
    """The parameters (or their numbers) of all groups in order."""
    return chain.from_iterable(group["params"] for group in groups)


def _pack_group(group: dict[str, Any], numbers: dict[int, int], first: int) -> dict[str, Any]:
    """A group with its parameters as numbers from `first`; `numbers` holds the ones given so far."""
    packed = {k: v for k, v in group.items() if k != "params"}
    numbers.update({id(p): i for i, p in enumerate(group["params"], first) if id(p) not in numbers})
    packed["params"] = [numbers[id(p)] for p in group["params"]]
    return packed


def _check_groups_match(groups: list[dict[str, Any]], saved: list[dict[str, Any]]) -> None:
    if len(groups) != len(saved):
        raise ValueError("loaded state dict has a different number of parameter groups")
    if any(len(g["params"]) != len(s["params"]) for g, s in zip(groups, saved, strict=True)):
        raise ValueError(
            "loaded state dict contains a parameter group that doesn't match the size of optimizer's group"
        )


def _cast_state(param: Tensor, value: Any, number: int, groups: list[dict[str, Any]], key: Any = None) -> Any:
    """Loaded state of one parameter with its tensors cast; containers are built anew."""
    if isinstance(value, torch.Tensor):
        return Optimizer._process_value_according_to_param_policy(param, value, number, groups, key)
    if isinstance(value, dict):
        return {k: _cast_state(param, v, number, groups, k) for k, v in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        kind: Any = type(value)
        return kind(_cast_state(param, v, number, groups) for v in value)
    return value


def _split_names(param_group: dict[str, Any]) -> None:
    """Makes `params` of a group a list of tensors, and `param_names` where they came as pairs."""
    params = param_group["params"]
    if isinstance(params, set):
        raise TypeError(
            "optimizer parameters need to be organized in ordered collections, but "
            "the ordering of tensors in sets will change between runs. Please use a list instead."
        )
    params = [params] if isinstance(params, torch.Tensor) else list(params)
    names = [p[0] for p in params if isinstance(p, tuple)]
    param_group["params"] = [p[1] if isinstance(p, tuple) else p for p in params]
    if names:
        if len(names) != len(params):
            raise ValueError("all optimizer params should be with/without names. Some param names are missing")
        param_group["param_names"] = names
