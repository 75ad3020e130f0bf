"""``torch.library.opcheck``: does an operator that a program defines do what it was said to do?"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import flambeau as torch
from flambeau.library import CustomOpDef
from flambeau.utils._pytree import tree_flatten, tree_leaves, tree_map


class OpCheckError(Exception):
    """A test of an operator has failed."""


def _copied(x: Any) -> Any:
    if not isinstance(x, torch.Tensor):
        return x
    y = x.detach().clone(memory_format=torch.preserve_format)
    return y.requires_grad_(x.requires_grad)


def _arguments(op: CustomOpDef, args: Any, kwargs: Any) -> dict[str, Any]:
    """The arguments by their names."""
    bound = inspect.signature(op._fn).bind(*args, **kwargs)  # type: ignore[arg-type]
    return dict(bound.arguments)


def _tensors(x: Any) -> list[Any]:
    return [y for y in tree_leaves(x) if isinstance(y, torch.Tensor)]


def _shown(op: CustomOpDef) -> str:
    return f"{op._qualname.replace('::', '.')}.default"


def _schema(op: CustomOpDef, args: Any, kwargs: Any, near: Any) -> None:
    before = _arguments(op, *tree_map(_copied, (args, kwargs)))
    outs = _tensors(op(*args, **kwargs))
    after = _arguments(op, args, kwargs)
    for name in before:
        changed = any(not _equal(a, b) for a, b in zip(_tensors(before[name]), _tensors(after[name])))
        if changed and op._mutates != "unknown" and name not in op._mutates:
            raise RuntimeError(f"Argument {name} is not defined as mutable but was mutated")
    memory = {x.untyped_storage().data_ptr() for x in _tensors(after) if x.numel()}
    if any(y.numel() and y.untyped_storage().data_ptr() in memory for y in outs):
        raise RuntimeError(
            f"{op._qualname.partition('::')[2]} (with implementation in {inspect.getmodule(op._fn)}): The output of "
            "this custom operator (1) must not also be an input to this custom operator and (2) may not alias any "
            "inputs to this custom operator or other returns. The most common way to trigger this error is if we have "
            "y = custom_op(x) and y and x are the same Tensor. Please instead return a clone of the offending output "
            "tensor(s) (e.g. return x.clone()) or refactor the custom operator to not return y."
        )


def _equal(a: Any, b: Any) -> bool:
    same_form = a.shape == b.shape and a.stride() == b.stride()
    return same_form and bool(((a == b) | ((a != a) & (b != b))).all())


def _registration(op: CustomOpDef, args: Any, kwargs: Any, near: Any) -> None:
    op(*args, **kwargs)


def _without_memory(x: Any) -> Any:
    return x.detach().to("meta") if isinstance(x, torch.Tensor) else x


def _fake(op: CustomOpDef, args: Any, kwargs: Any, near: Any) -> None:
    fakes = tree_map(_without_memory, (args, kwargs))
    made = op(*args, **kwargs)
    if op._fake is None:
        if not _tensors(made):
            return  # as after an operator that only writes
        raise RuntimeError(
            f"There was no fake impl registered for {op!r}. This is necessary for torch.compile/export/fx tracing to "
            f"work. Please use `{op._qualname.partition('::')[2]}.register_fake` to add an fake impl."
        )
    said = op._fake(*fakes[0], **fakes[1])
    head = (f"When comparing the output of {_shown(op)} on FakeTensor and concrete Tensors, found mismatched tensor "
            "metadata: ")  # fmt: skip
    if tree_flatten(said)[1] != tree_flatten(made)[1]:
        raise RuntimeError(f"{head}{tree_flatten(made)[1]} and {tree_flatten(said)[1]} are not equal!")
    for real, fake in zip(_tensors(made), _tensors(said)):
        _compare_forms(real, fake, head)


def _compare_forms(real: Any, fake: Any, head: str) -> None:
    for name, what in (("Dtypes", "dtype"), ("Shapes", "shape")):
        a, b = getattr(real, what), getattr(fake, what)
        if a != b:
            raise RuntimeError(f"{head}{name} {a} and {b} are not equal!")
    if real.stride() != fake.stride():
        raise RuntimeError(f"{head}Stride mismatch! Strides are {real.stride()} and {fake.stride()}")


def _compiled(op: CustomOpDef, args: Any, kwargs: Any, near: Any) -> None:
    again = tree_map(_copied, (args, kwargs))
    outs = _differentiated(op, args, kwargs)
    torch.testing.assert_close(_differentiated(torch.compile(op), *again), outs, equal_nan=True, **near)


def _differentiated(f: Callable[..., Any], args: Any, kwargs: Any) -> list[Any]:
    """Results, what arguments hold afterwards, and their gradients."""
    outs = _tensors(f(*args, **kwargs))
    given = _tensors((args, kwargs))
    wanted = [x for x in given if x.requires_grad]
    roots = [y.abs().sum() for y in outs if y.requires_grad]
    grads = torch.autograd.grad(roots, wanted, allow_unused=True) if roots and wanted else ()
    return [y.detach() for y in (*outs, *given)] + [g for g in grads if g is not None]


_TESTS: dict[str, Callable[[CustomOpDef, Any, Any, Any], None]] = {
    "test_schema": _schema,
    "test_autograd_registration": _registration,
    "test_faketensor": _fake,
    "test_aot_dispatch_static": _compiled,
    "test_aot_dispatch_dynamic": _compiled,
}


def check(
    op: Any, args: Any, kwargs: Any, test_utils: str | Sequence[str], raise_exception: bool, near: dict[str, Any]
) -> dict[str, Any]:
    """``torch.library.opcheck``."""
    if not isinstance(op, CustomOpDef) or op._fn is None:
        raise ValueError(
            f"opcheck(op, ...): op must be instance of torch._ops.OpOverload, e.g. torch.ops.aten.sin.default, got "
            f"{type(op)}"
        )
    names = (test_utils,) if isinstance(test_utils, str) else tuple(test_utils)
    if not set(names) <= set(_TESTS):
        raise ValueError(f"opcheck(op, ..., test_utils={names}), expected test_utils to be subset of {tuple(_TESTS)} "
                         "but it was not")  # fmt: skip
    found: dict[str, Any] = {}
    for name in names:
        try:
            own = tree_map(_copied, (args, kwargs))
            _TESTS[name](op, own[0], own[1], near)
            found[name] = "SUCCESS"
        except Exception as error:
            if raise_exception:
                raise OpCheckError(
                    f"opcheck(op, ...): {name} failed with {error} (scroll up for stack trace)"
                ) from error
            found[name] = error
    return found
