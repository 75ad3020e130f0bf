"""``state_dict`` and ``load_state_dict``."""

from __future__ import annotations

import warnings
from collections import OrderedDict, namedtuple
from collections.abc import Callable, Mapping
from typing import Any

import flambeau as torch
from flambeau.nn.parameter import Parameter, is_lazy
from flambeau.utils.hooks import RemovableHandle

from ._hooks import _WrappedHook
from ._tree import ModuleTree

_EXTRA_STATE_KEY_SUFFIX = "_extra_state"

_NO_COPY = (
    "for {}: copying from a non-meta parameter in the checkpoint to a meta parameter in the current model, which is a "
    "no-op. (Did you mean to pass `assign=True` to assign items in the state dictionary to their corresponding key in "
    "the module instead of copying them in place?)"
)


class _IncompatibleKeys(namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    """What ``load_state_dict`` found missing and did not expect."""

    __slots__ = ()

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return super().__repr__()

    __str__ = __repr__


def _unreachable(name: str) -> RuntimeError:
    return RuntimeError(
        f"Reached a code path in Module.{name}() that should never be called. "
        "Please file an issue at https://github.com/pytorch/pytorch/issues/new?template=bug-report.yml "
        "to report this bug."
    )


class ModuleState(ModuleTree):
    """The part of :class:`Module` that saves and loads its state; not for use by itself."""

    # ---- extra state ---------------------------------------------------------

    def get_extra_state(self) -> Any:
        """Override this, and :meth:`set_extra_state`, to keep something besides tensors in ``state_dict``."""
        raise _unreachable("get_extra_state")

    def set_extra_state(self, state: Any) -> None:
        """Called by ``load_state_dict`` with what :meth:`get_extra_state` gave."""
        raise _unreachable("set_extra_state")

    # ---- hooks ---------------------------------------------------------------

    def _register_state_dict_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls ``hook(module, state_dict, prefix, local_metadata)`` after saving; its result replaces the dict."""
        if getattr(hook, "_from_public_api", False):
            raise RuntimeError(
                "Cannot register the same function as the state dict post hook that was "
                "previously registered via register_state_dict_post_hook"
            )
        return self._add_hook("_state_dict_hooks", hook, False)

    def register_state_dict_post_hook(self, hook: Any) -> RemovableHandle:
        """Calls ``hook(module, state_dict, prefix, local_metadata)`` after saving; it changes the dict in place."""
        hook._from_public_api = True
        return self._add_hook("_state_dict_hooks", hook, False)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls ``hook(module, prefix, keep_vars)`` before saving."""
        return self._add_hook("_state_dict_pre_hooks", hook, False)

    def _register_load_state_dict_pre_hook(
        self, hook: Callable[..., Any], with_module: bool = False
    ) -> RemovableHandle:
        """Calls ``hook(state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)``."""
        return self._add_hook("_load_state_dict_pre_hooks", _WrappedHook(hook, self if with_module else None), False)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls ``hook(module, state_dict, prefix, local_metadata, strict, missing, unexpected, errors)`` first."""
        return self._register_load_state_dict_pre_hook(hook, with_module=True)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls ``hook(module, incompatible_keys)`` after loading; it may change the lists of keys in place."""
        return self._add_hook("_load_state_dict_post_hooks", hook, False)

    # ---- saving --------------------------------------------------------------

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        """Adds this module's own parameters and buffers to ``destination``."""
        for name, param in self._parameters.items():
            if param is not None:
                destination[prefix + name] = param if keep_vars else param.detach()
        for name, buffer in self._buffers.items():
            if buffer is not None and name not in self._non_persistent_buffers_set:
                destination[prefix + name] = buffer if keep_vars else buffer.detach()
        if type(self).get_extra_state is not ModuleState.get_extra_state:
            destination[prefix + _EXTRA_STATE_KEY_SUFFIX] = self.get_extra_state()

    def state_dict(self, *args: Any, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> Any:
        """The parameters and persistent buffers of the whole tree, by dotted names.

        The tensors share memory with the module's.

        Args:
            *args: ``destination``, ``prefix`` and ``keep_vars`` in this order; deprecated.
            destination: A dictionary to add to. Default: a new OrderedDict.
            prefix: Put before each name.
            keep_vars: Give the parameters themselves rather than detached tensors.
        """
        if args:
            warnings.warn(
                "Positional args are being deprecated, use kwargs instead. Refer to "
                "https://pytorch.org/docs/main/generated/torch.nn.Module.html#torch.nn.Module.state_dict"
                " for details.",
                FutureWarning,
                stacklevel=2,
            )
            destination = args[0] if destination is None else destination
            prefix = args[1] if len(args) > 1 and prefix == "" else prefix
            keep_vars = args[2] if len(args) > 2 and keep_vars is False else keep_vars
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        local_metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = local_metadata
        for hook in self._state_dict_pre_hooks.values():
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=destination, prefix=prefix + name + ".", keep_vars=keep_vars)
        return self._run_state_dict_hooks(destination, prefix, local_metadata)

    def _run_state_dict_hooks(self, destination: Any, prefix: str, local_metadata: dict[str, Any]) -> Any:
        for hook in self._state_dict_hooks.values():
            new = hook(self, destination, prefix, local_metadata)
            if new is None:
                continue
            if getattr(hook, "_from_public_api", False):
                raise RuntimeError("state_dict post-hook must return None")
            destination = new
        return destination

    # ---- loading -------------------------------------------------------------

    def _load_from_state_dict(
        self,
        state_dict: Any,
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Loads this module's own parameters and buffers; a subclass may override it to read older versions.

        Args:
            state_dict: The whole dictionary.
            prefix: What this module's names begin with there.
            local_metadata: What ``state_dict`` noted about this module, such as its version.
            strict: Look for missing and unexpected keys.
            missing_keys: Missing keys are added to it.
            unexpected_keys: Unexpected keys are added to it.
            error_msgs: Messages are added to it.
        """
        for hook in self._load_state_dict_pre_hooks.values():
            hook(state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
        state = {k: v for k, v in self._parameters.items() if v is not None}
        for name, buffer in self._buffers.items():
            if buffer is not None and name not in self._non_persistent_buffers_set:
                state[name] = buffer
        assign = local_metadata.get("assign_to_params_buffers", False)
        for name, current in state.items():
            key = prefix + name
            if key in state_dict:
                self._load_tensor(name, key, current, state_dict[key], assign, error_msgs)
            elif strict:
                missing_keys.append(key)
        self._load_extra_state(state_dict, prefix, strict, missing_keys, unexpected_keys)
        if strict:
            unexpected_keys += self._unexpected(state_dict, prefix, state)

    def _load_tensor(self, name: str, key: str, current: Any, new: Any, assign: bool, error_msgs: list[str]) -> None:
        """Loads one parameter or buffer, or says why not."""
        if not isinstance(new, torch.Tensor) and not hasattr(type(new), "__torch_function__"):
            error_msgs.append(
                f'While copying the parameter named "{key}", '
                "expected torch.Tensor or Tensor-like object from checkpoint but "
                f"received {type(new)}"
            )
            return
        if not is_lazy(current):
            if len(current.shape) == 0 and len(new.shape) == 1 and new.shape[0] == 1:
                new = new[0]  # written before version 0.4
            if new.shape != current.shape:
                error_msgs.append(
                    f"size mismatch for {key}: copying a param with shape {new.shape} from checkpoint, "
                    f"the shape in current model is {current.shape}."
                )
                return
        swap = torch.__future__.get_swap_module_params_on_conversion()
        if current.is_meta and not new.is_meta and not assign:
            warnings.warn(_NO_COPY.format(key), stacklevel=2)
        try:
            with torch.no_grad():
                if swap:
                    _swap_loaded(current, new, assign)
                elif assign:
                    setattr(self, name, _like_current(current, new))
                else:
                    current.copy_(new)
        except Exception as ex:
            error_msgs.append(
                f'While {"swapping" if swap else "copying"} the parameter named "{key}", '
                f"whose dimensions in the model are {current.size()} and "
                f"whose dimensions in the checkpoint are {new.size()}, "
                f"an exception occurred : {ex.args}."
            )

    def _load_extra_state(
        self, state_dict: Any, prefix: str, strict: bool, missing_keys: list[str], unexpected_keys: list[str]
    ) -> None:
        key = prefix + _EXTRA_STATE_KEY_SUFFIX
        wanted = type(self).set_extra_state is not ModuleState.set_extra_state
        if wanted and key in state_dict:
            self.set_extra_state(state_dict[key])
        elif strict and wanted:
            missing_keys.append(key)
        elif strict and key in state_dict:
            unexpected_keys.append(key)

    def _unexpected(self, state_dict: Any, prefix: str, state: dict[str, Any]) -> list[str]:
        """The keys under ``prefix`` that belong neither to this module nor to a submodule."""
        found = []
        for key in state_dict:
            if key.startswith(prefix) and key != prefix + _EXTRA_STATE_KEY_SUFFIX:
                name, dot, _ = key[len(prefix) :].partition(".")
                if name not in (self._modules if dot else state):
                    found.append(key)
        return found

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> _IncompatibleKeys:
        """Copies parameters and buffers from ``state_dict`` into the tree.

        Args:
            state_dict: Tensors by dotted names, as :meth:`state_dict` gives them.
            strict: Raise when keys are missing or not expected.
            assign: Take the tensors themselves instead of copying their values.

        Returns:
            ``missing_keys`` and ``unexpected_keys``.

        Raises:
            TypeError: ``state_dict`` is no mapping.
            RuntimeError: Shapes differ, or ``strict`` and keys do. The message lists all that is wrong.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        metadata = getattr(state_dict, "_metadata", None)
        copied: Any = OrderedDict(state_dict)
        if metadata is not None:
            copied._metadata = metadata  # hooks may change both
        errors: list[str] = []
        keys = _IncompatibleKeys([], [])
        _Loading(metadata, assign, keys, errors).load(self, copied, "")
        if strict:
            for found, what in ((keys.unexpected_keys, "Unexpected"), (keys.missing_keys, "Missing")):
                if found:
                    errors.insert(0, what + " key(s) in state_dict: {}. ".format(", ".join(f'"{k}"' for k in found)))
        if errors:
            raise RuntimeError(
                "Error(s) in loading state_dict for {}:\n\t{}".format(type(self).__name__, "\n\t".join(errors))
            )
        return keys


def _swap_loaded(current: Any, new: Any, assign: bool) -> None:
    """Gives a parameter or buffer what ``module_load`` makes of the loaded tensor."""
    loaded = current.module_load(new, assign=assign)
    if loaded is new or loaded is current:
        raise RuntimeError(
            "module_load returned one of self or other, please .detach() "
            "the result if returning one of the inputs in module_load"
        )
    torch.utils.swap_tensors(current, _like_current(current, loaded))


def _like_current(current: Any, new: Any) -> Any:
    """``new`` as a parameter that wants gradients as ``current`` does, if ``current`` is one."""
    if not isinstance(current, Parameter):
        return new
    if isinstance(new, Parameter):
        return new.requires_grad_(current.requires_grad)
    return Parameter(new, requires_grad=current.requires_grad)


class _Loading:
    """One run of ``load_state_dict``."""

    def __init__(self, metadata: Any, assign: bool, keys: _IncompatibleKeys, errors: list[str]) -> None:
        self.metadata, self.assign, self.keys, self.errors = metadata, assign, keys, errors

    def load(self, module: Any, state_dict: Any, prefix: str) -> None:
        """Loads a module and then its submodules, each from the part of the dictionary under its prefix."""
        local_metadata = {} if self.metadata is None else self.metadata.get(prefix[:-1], {})
        if self.assign:
            local_metadata["assign_to_params_buffers"] = True
        missing, unexpected = self.keys
        module._load_from_state_dict(state_dict, prefix, local_metadata, True, missing, unexpected, self.errors)
        for name, child in module._modules.items():
            if child is not None:
                path = prefix + name + "."
                self.load(child, {k: v for k, v in state_dict.items() if k.startswith(path)}, path)
        for hook in module._load_state_dict_post_hooks.values():
            if hook(module, self.keys) is not None:
                raise AssertionError(
                    "Hooks registered with ``register_load_state_dict_post_hook`` are not"
                    "expected to return new values, if incompatible_keys need to be modified,"
                    "it should be done inplace."
                )
