"""Calling a module with other parameters than its own."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import flambeau as torch

__all__ = ["functional_call"]


def _untie(module: Any, tensors: dict[str, Any]) -> dict[str, Any]:
    """``tensors`` with an entry for every name of a tensor that has several.

    Raises:
        ValueError: Names of one tensor are given different tensors.
    """
    names: dict[int, set[str]] = {}
    for name, tensor in (
        *module.named_parameters(remove_duplicate=False),
        *module.named_buffers(remove_duplicate=False),
    ):
        names.setdefault(id(tensor), set()).add(name)
    untied = dict(tensors)
    for tied in names.values():
        given = tied & tensors.keys()
        if len({id(tensors[name]) for name in given}) > 1:
            raise ValueError(
                f"functional_call got multiple values for keys {sorted(tied)}, "
                "which are tied. Consider using tie_weights=False"
            )
        for name in tied if given else ():
            untied[name] = tensors[next(iter(given))]
    return untied


_ABSENT: Any = object()  # stands for what a module did not have


def _swap(module: Any, name: str, tensor: Any) -> Any:
    """Puts a tensor in the place of a parameter, buffer or attribute, and gives what was there.

    Raises:
        TypeError: what is given, or an attribute that it shall replace, is no tensor.
    """
    if tensor is not None and tensor is not _ABSENT and not isinstance(tensor, torch.Tensor):
        raise TypeError(f"{tensor} is not an instance of torch.Tensor")
    path, _, leaf = name.rpartition(".")
    owner = module.get_submodule(path)
    for table in (owner._parameters, owner._buffers):
        if leaf in table:
            old = table.pop(leaf) if tensor is _ABSENT else table[leaf]
            if tensor is not _ABSENT:
                table[leaf] = tensor
            return old
    old = getattr(owner, leaf, _ABSENT)
    if old is not _ABSENT and not isinstance(old, torch.Tensor):
        raise TypeError(f"attribute `{leaf}`: {old} is not an instance of torch.Tensor")
    if tensor is _ABSENT:
        delattr(owner, leaf)
    else:
        setattr(owner, leaf, tensor)
    return old


def _check_keys(module: Any, tensors: dict[str, Any]) -> None:
    known = {
        *dict(module.named_parameters(remove_duplicate=False)),
        *dict(module.named_buffers(remove_duplicate=False)),
    }
    messages = []
    unexpected = sorted(name for name in tensors if name not in known)
    missing = sorted(name for name in known if name not in tensors)
    if unexpected:
        messages.append(f"Unexpected key(s): {', '.join(map(repr, unexpected))}.")
    if missing:
        messages.append(f"Missing key(s): {', '.join(map(repr, missing))}.")
    if messages:
        raise RuntimeError(
            "Error(s) in reparametrizing for {}:\n\t{}".format(module._get_name(), "\n\t".join(messages))
        )


@contextlib.contextmanager
def _reparametrize_module(
    module: Any, parameters_and_buffers: dict[str, Any], tie_weights: bool = False, strict: bool = False
) -> Iterator[None]:
    """Gives a module other parameters and buffers for the length of a block.

    What the module itself puts in their place in the block is found in ``parameters_and_buffers`` afterwards.
    """
    tensors = _untie(module, parameters_and_buffers) if tie_weights else parameters_and_buffers
    if strict:
        _check_keys(module, tensors)
    old: dict[str, Any] = {}
    try:
        for name, tensor in tensors.items():
            old[name] = _swap(module, name, tensor)
        yield
    finally:
        new = {name: _swap(module, name, tensor) for name, tensor in old.items()}
        parameters_and_buffers.update({k: new[k] for k in parameters_and_buffers if k in new})


def _functional_call(
    module: Any,
    parameters_and_buffers: dict[str, Any],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """Calls a module with other parameters and buffers; see ``torch.func.functional_call``."""
    if args is None:
        args = ()
    elif not isinstance(args, tuple):
        args = (args,)
    with _reparametrize_module(module, parameters_and_buffers, tie_weights=tie_weights, strict=strict):
        return module(*args, **(kwargs or {}))


def functional_call(
    module: Any,
    parameters_and_buffers: dict[str, Any],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """Deprecated place of ``torch.func.functional_call``.

    Args:
        module: The module.
        parameters_and_buffers: Tensors by dotted names.
        args: The argument, or a tuple of them.
        kwargs: Arguments by name.
        tie_weights: Give a tensor that has several names in the module the same value under each.
        strict: The names must be exactly those of the module.
    """
    warnings.warn(
        "`torch.nn.utils.stateless.functional_call` is deprecated as of PyTorch 2.0 "
        "and will be removed in a future version of PyTorch. "
        "Please use `torch.func.functional_call` instead which is a drop-in replacement.",
        FutureWarning,
        stacklevel=2,
    )
    return _functional_call(module, parameters_and_buffers, args, kwargs, tie_weights=tie_weights, strict=strict)
