"""``torch.autograd.functional``: Jacobians, Hessians and products with them, by repeated backward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..graph.tensor_base import TensorBase
from ..ops._samples import at_each
from ..ops.ranges import eye
from . import grad
from ._backward import grad_up_to
from .grad_mode import enable_grad

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]

_OUTPUTS = "outputs of the user-provided function"


# ---- arguments and results


def _tensors_of(x: Any, what: str, name: str) -> tuple[tuple[Any, ...], bool]:
    """A tensor or tensors as a tuple, and whether it was one.

    Raises:
        TypeError: something is no tensor.
    """
    several = isinstance(x, tuple)
    for i, y in enumerate(x if several else (x,)):
        if not isinstance(y, TensorBase):
            which = f"value at index {i}" if several else f"given {what}"
            raise TypeError(
                f"The {what} given to {name} must be either a Tensor or a tuple of Tensors but the {which} has type "
                f"{type(y)}."
            )
    return (x, True) if several else ((x,), False)


def _leaves(inputs: tuple[Any, ...], create_graph: bool, needed: bool = True) -> tuple[Any, ...]:
    """New tensors on the same memory, connected to what the caller tracks if the result shall be."""
    return tuple(
        [x.view_as(x) if create_graph and x.requires_grad else x.detach().requires_grad_(needed) for x in inputs]
    )


def _vector(v: Any, like: tuple[Any, ...], several: bool, create_graph: bool, name: str, missing: str) -> Any:
    """The vector to multiply by, of the shapes of ``like``; None only if that is one number.

    Raises:
        RuntimeError: it is missing, or of another length or shape.
    """
    if v is None:
        if len(like) != 1 or like[0].numel() != 1:
            raise RuntimeError(f"The vector v can only be None if {missing} a single Tensor with a single element.")
        return None
    v, _ = _tensors_of(v, "v", name)
    if len(v) != len(like):
        expected = f"v is a tuple of invalid length: should be {len(like)} but got {len(v)}."
        raise RuntimeError(expected if several else "The given v should contain a single Tensor.")
    for i, (a, b) in enumerate(zip(v, like)):
        if a.shape != b.shape:
            where = f"Entry {i} in " if several else ""
            raise RuntimeError(f"{where}v has invalid size: should be {b.shape} but got {a.shape}.")
    return _leaves(v, create_graph, needed=False)


def _done(x: Any, several: bool, create_graph: bool) -> Any:
    """A tuple of results, or the only one, without history unless that is wanted."""
    out = tuple(
        [_done(y, True, create_graph) if isinstance(y, tuple) else y if create_graph else y.detach() for y in x]
    )
    return out if several else out[0]


# ---- strict mode

_DEPENDENT = {
    "outputs": "Output {i} of the user-provided function does not require gradients. The outputs must be computed in a "
    "differentiable manner from the input when running in strict mode.",
    "grad_inputs": "The gradient with respect to input {i} is independent of the inputs of the user-provided function. "
    "This is not allowed in strict mode.",
    "jacobian": "While computing the hessian, found that the jacobian of the user-provided function with respect to "
    "input {i} is independent of the input. This is not allowed in strict mode. You should ensure that your function "
    "is twice differentiable and that the jacobian depends on the inputs (this would be violated by a linear function "
    "for example).",
}  # fmt: skip
_UNREACHED = {
    "back": "The output of the user-provided function is independent of input {i}. This is not allowed in strict mode.",
    "back_trick": "The gradient with respect to the input is independent of entry {i} in the grad_outputs when using "
    "the double backward trick to compute forward mode gradients. This is not allowed in strict mode.",
    "double_back": "The jacobian of the user-provided function is independent of input {i}. This is not allowed in "
    "strict mode.",
    "double_back_trick": "The hessian of the user-provided function is independent of entry {i} in the grad_jacobian. "
    "This is not allowed in strict mode as it prevents from using the double backward trick to replace forward mode "
    "AD.",
}  # fmt: skip
_FIXED = (
    "The {what} of the user-provided function is independent of input {i}. This is not allowed in strict mode when "
)
_FIXED += "create_graph=True."


def _require_dependent(xs: Sequence[Any], kind: str, strict: bool) -> None:
    for i, x in enumerate(xs if strict else ()):
        if x is None:
            raise RuntimeError(_UNREACHED["back"].format(i=i))
        if not x.requires_grad:
            raise RuntimeError(_DEPENDENT[kind].format(i=i))


def _filled(grads: Sequence[Any], like: Sequence[Any], strict: bool, create_graph: bool, stage: str) -> tuple[Any, ...]:
    """Gradients with zeros for those that are missing.

    Raises:
        RuntimeError: in strict mode one is missing, or is to be differentiated again and cannot be.
    """
    for i, g in enumerate(grads if strict else ()):
        if g is None:
            raise RuntimeError(_UNREACHED[stage].format(i=i))
        if create_graph and not g.requires_grad:
            raise RuntimeError(_FIXED.format(what="hessian" if "double" in stage else "jacobian", i=i))
    return tuple([x.new_zeros(x.shape) if g is None else g for g, x in zip(grads, like)])


def _gradients(
    ys: Sequence[Any], xs: Sequence[Any], gs: Any, create_graph: bool, retain_graph: bool | None = None
) -> tuple[Any, ...]:
    """Gradients by way of those outputs that have any; None for an input that no output depends on."""
    pairs = [(y, None if gs is None else g) for y, g in zip(ys, gs or ys) if y is not None and y.requires_grad]
    if not pairs:
        return (None,) * len(xs)
    return grad(
        [y for y, _ in pairs], xs, None if gs is None else [g for _, g in pairs], retain_graph, create_graph,
        allow_unused=True,
    )  # fmt: skip


# ---- Jacobians


def _rows(y: Any, xs: tuple[Any, ...], create_graph: bool, strict: bool, k: int) -> tuple[Any, ...]:
    """The Jacobians of output number ``k`` by each input, all rows at once."""
    shapes = [(*y.shape, *x.shape) for x in xs]
    if not y.numel():
        return tuple([x.new_zeros(shape) for x, shape in zip(xs, shapes)])
    basis = eye(y.numel(), dtype=y.dtype).reshape(y.numel(), *y.shape)
    found = at_each(y.numel(), lambda sample: _gradients((y,), xs, (sample(basis),), create_graph, True))
    for i, g in enumerate(found if strict else ()):
        if g is None:
            raise RuntimeError(f"Output {k} of the user-provided function is independent of input {i}. This is not "
                               "allowed in strict mode.")  # fmt: skip
        if create_graph and not g.requires_grad:
            raise RuntimeError(_FIXED.format(what="jacobian", i=k))
    return tuple([x.new_zeros(s) if g is None else g.reshape(s) for x, s, g in zip(xs, shapes, found)])


def _check_ways(name: str, create_graph: bool, strict: bool, vectorize: bool, strategy: str) -> None:
    if strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError(
            'Expected strategy to be either "forward-mode" or "reverse-mode". Hint: If your function has more outputs '
            'than inputs, "forward-mode" tends to be more performant. Otherwise, prefer to use "reverse-mode".'
        )
    if strategy == "forward-mode" and create_graph:
        raise NotImplementedError(
            f'torch.autograd.functional.{name}: `create_graph=True` and `strategy="forward-mode"` are not supported '
            'together (yet). Please either set `create_graph=False` or `strategy="reverse-mode"`.'
        )
    if strategy == "forward-mode" and strict:
        raise RuntimeError(
            f'torch.autograd.functional.{name}: `strict=True` and `strategy="forward-mode"` are not supported together '
            '(yet). Please either set `strict=False` or `strategy="reverse-mode"`.'
        )
    if strategy == "forward-mode" and not vectorize:
        raise NotImplementedError(
            "Computing Jacobian using forward-AD or forward-over-reverse Hessian is only implemented for "
            "`vectorize=True`."
        )
    if vectorize and strict:
        raise RuntimeError(
            f"torch.autograd.functional.{name}: `strict=True` and `vectorized=True` are not supported together. Please "
            "either set `strict=False` or `vectorize=False`."
        )


@enable_grad()
def jacobian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """The Jacobian of ``func``: shape of output + shape of input, nested in tuples where there are several
    (https://docs.pytorch.org/docs/stable/generated/torch.autograd.functional.jacobian.html).

    It is computed by all rows at once, whatever ``vectorize`` and ``strategy`` say.

    Raises:
        TypeError: an input or output is no tensor.
        RuntimeError: in strict mode, an output does not depend on an input.
    """
    _check_ways("jacobian", create_graph, strict, vectorize, strategy)
    xs, many_in = _tensors_of(inputs, "inputs", "jacobian")
    xs = _leaves(xs, create_graph)
    ys, many_out = _tensors_of(func(*xs), _OUTPUTS, "jacobian")
    _require_dependent(ys, "outputs", strict)
    rows = [_done(_rows(y, xs, create_graph, strict, k), many_in, create_graph) for k, y in enumerate(ys)]
    return tuple(rows) if many_out else rows[0]


def _single(out: Any, name: str, strict: bool) -> Any:
    """The output of a function, which must be one number."""
    ys, several = _tensors_of(out, _OUTPUTS, name)
    _require_dependent(ys, "outputs", strict)
    if several:
        raise RuntimeError(f"The function given to {name} should return a single Tensor")
    if out.numel() != 1:
        raise RuntimeError(f"The Tensor returned by the function given to {name} should contain a single element")
    return out


@enable_grad()
def hessian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The Hessian of a scalar function (see ``jacobian``).

    Raises:
        RuntimeError: the function's result is not one number.
    """
    xs, many = _tensors_of(inputs, "inputs", "hessian")
    if outer_jacobian_strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError('Expected strategy to be either "forward-mode" or "reverse-mode".')

    def gradient(*args: Any) -> Any:
        row = jacobian(lambda *xs: _single(func(*xs), "hessian", strict).squeeze(), args, create_graph=True)
        _require_dependent(row, "jacobian", strict)
        return row

    result = jacobian(gradient, xs, create_graph, strict, vectorize, outer_jacobian_strategy)
    return result if many else result[0][0]


# ---- products


@enable_grad()
def vjp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The outputs, and ``v`` times the Jacobian.

    Raises:
        RuntimeError: ``v`` does not fit the outputs; in strict mode, an output does not depend on an input.
    """
    xs, many_in = _tensors_of(inputs, "inputs", "vjp")
    xs = _leaves(xs, create_graph)
    ys, many_out = _tensors_of(func(*xs), _OUTPUTS, "vjp")
    _require_dependent(ys, "outputs", strict)
    vs = _vector(v, ys, many_out, create_graph, "vjp", "the user-provided function returns")
    gs = _filled(_gradients(ys, xs, vs, create_graph), xs, strict, create_graph, "back")
    return _done(ys, many_out, create_graph), _done(gs, many_in, create_graph)


def pushed(ys: Any, xs: Any, tangents: Any, create_graph: bool) -> tuple[Any, ...] | None:
    """The tangents of ``ys`` from those of ``xs``: the derivative of the backward pass with respect to its vector, in
    which it is linear. What lies before an ``x`` adds nothing. None if no ``x`` reaches a ``y``."""
    seeds = [y.new_zeros(y.shape).requires_grad_(True) for y in ys]
    found = grad_up_to(ys, xs, seeds)
    if all(g is None for g in found):
        return None
    pairs = [(g, t) for g, t in zip(found, tangents) if g is not None and g.requires_grad]
    out: Any = [None] * len(seeds)
    if pairs:
        out = grad([g for g, _ in pairs], seeds, [t for _, t in pairs], create_graph=create_graph, allow_unused=True)
    return tuple([y.new_zeros(y.shape) if g is None else g for g, y in zip(out, ys)])


_OF_INPUT = "the input to the user-provided function is"


@enable_grad()
def jvp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The outputs, and the Jacobian times ``v``, by differentiating the vector-Jacobian product.

    Raises:
        RuntimeError: ``v`` does not fit the inputs; in strict mode, an output does not depend on an input.
    """
    xs, many_in = _tensors_of(inputs, "inputs", "jvp")
    xs = _leaves(xs, create_graph)
    vs = _vector(v, xs, many_in, create_graph, "jvp", _OF_INPUT)
    ys, many_out = _tensors_of(func(*xs), _OUTPUTS, "jvp")
    _require_dependent(ys, "outputs", strict)
    seeds = [y.new_zeros(y.shape).requires_grad_(True) for y in ys]
    pulled = _gradients(ys, xs, seeds, True)
    _require_dependent(pulled, "grad_inputs", strict)
    out = _filled(_gradients(pulled, seeds, vs, create_graph), ys, strict, create_graph, "back_trick")
    return _done(ys, many_out, create_graph), _done(out, many_out, create_graph)


def _with_gradients(
    func: Callable[..., Any], inputs: Any, v: Any, create_graph: bool, strict: bool, name: str
) -> tuple[Any, bool, Any, Any, Any]:
    """What a product with a Hessian begins with: inputs, were they several, the vector, the value, its gradients."""
    xs, many = _tensors_of(inputs, "inputs", name)
    xs = _leaves(xs, create_graph)
    vs = _vector(v, xs, many, create_graph, name, _OF_INPUT)
    y = _single(func(*xs), name, strict)
    gs = _gradients((y,), xs, None, True)
    _require_dependent(gs, "jacobian", strict)
    return xs, many, vs, y, gs


@enable_grad()
def vhp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The value of a scalar function, and ``v`` times its Hessian.

    Raises:
        RuntimeError: the result is not one number, or ``v`` does not fit the inputs.
    """
    xs, many, vs, y, gs = _with_gradients(func, inputs, v, create_graph, strict, "vhp")
    out = _filled(_gradients(gs, xs, vs, create_graph), xs, strict, create_graph, "double_back")
    return _done((y,), False, create_graph), _done(out, many, create_graph)


@enable_grad()
def hvp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The value of a scalar function, and its Hessian times ``v``: by differentiating the product with a vector.

    Raises:
        RuntimeError: the result is not one number, or ``v`` does not fit the inputs.
    """
    xs, many, vs, y, gs = _with_gradients(func, inputs, v, create_graph, strict, "hvp")
    seeds = [x.new_zeros(x.shape).requires_grad_(True) for x in xs]
    pulled = _gradients(gs, xs, seeds, True)
    out = _filled(_gradients(pulled, seeds, vs, create_graph), xs, strict, create_graph, "double_back_trick")
    return _done((y,), False, create_graph), _done(out, many, create_graph)


# ---- PyTorch's private names, which packages import


def _as_tuple(inp: Any, arg_name: str | None = None, fn_name: str | None = None) -> tuple[bool, tuple[Any, ...]]:
    """Whether a tuple was given, and the tensors as one."""
    tensors, several = _tensors_of(inp, arg_name or "inputs", fn_name or "functional")
    return several, tensors


def _tuple_postprocess(res: Any, to_unpack: Any) -> Any:
    """The first of results, on both levels if ``to_unpack`` says so of both, where there was no tuple."""
    if not isinstance(to_unpack, tuple):
        return res if to_unpack else res[0]
    inner = res if to_unpack[1] else tuple([el[0] for el in res])
    return inner if to_unpack[0] else inner[0]


def _grad_postprocess(inputs: Any, create_graph: bool) -> Any:
    """Tensors, and tuples of them, without their history unless ``create_graph``."""
    if isinstance(inputs, tuple):
        return tuple([_grad_postprocess(x, create_graph) for x in inputs])
    return inputs if create_graph else inputs.detach()


def _construct_standard_basis_for(tensors: Sequence[Any], tensor_numels: Sequence[int]) -> tuple[Any, ...]:
    """The columns of an identity matrix that belong to each of ``tensors``, in its dtype."""
    total, start, found = sum(tensor_numels), 0, []
    for x, n in zip(tensors, tensor_numels):
        columns = x.new_zeros(total, n)
        columns[start : start + n].fill_diagonal_(1)
        found.append(columns)
        start += n
    return tuple(found)
