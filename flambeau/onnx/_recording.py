"""What a model calls: the torch functions of one run, or of two whose inputs differ in size."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Container, Sequence
from types import FunctionType
from typing import Any, NamedTuple

import flambeau as torch
from flambeau.func._tree import flatten
from flambeau.graph.epoch import node_of, threads
from flambeau.graph.node import Node
from flambeau.graph.program import in_order
from flambeau.jit import TracerWarning
from flambeau.ops._overriding import itself
from flambeau.ops._registry import version_of
from flambeau.overrides import TorchFunctionMode, resolve_name

# What tells of a tensor without computing another one:
_LOOKS = frozenset(
    "dim size shape ndim dtype device layout numel nelement is_floating_point is_complex is_contiguous stride "
    "requires_grad requires_grad_ is_leaf grad grad_fn __len__ element_size storage_offset data_ptr is_cuda names "
    "is_sparse is_quantized is_meta is_nested is_mkldnn get_device is_pinned _version is_inference is_signed".split()
)
# What makes Python numbers of a tensor:
_VALUES = frozenset("item tolist __bool__ __int__ __float__ __index__ numpy equal allclose".split())
# What draws random numbers: no constants, whatever it depends on.
DRAWS = frozenset(
    "rand randn rand_like randn_like randint randint_like randperm normal normal_ uniform_ bernoulli bernoulli_ "
    "multinomial poisson random_ exponential_ geometric_ cauchy_ log_normal_".split()
)


class Call(NamedTuple):
    """A call of a torch function by its name, such as ``relu_`` or ``__getitem__``.

    Attributes:
        written: the arguments whose memory it wrote.
        before: by identity, what constants among the arguments were at this call, if they are written in it or later.
    """

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    result: Any
    written: tuple[Any, ...]
    before: dict[int, Any]


class Unfollowed(NotImplementedError):
    """A function without a translation is not made of functions that have one."""


def no_translation(name: str) -> str:
    """The text of an error."""
    return f"torch.onnx.export: torch.{name}() has no translation to ONNX; write it with other functions"


class Recorder(TorchFunctionMode):
    """Notes the calls that are made while it is entered; what has no translation is noted as the calls that it makes.

    Args:
        translated: the names of the functions that have a translation.
        inputs: the tensors that the model is given.

    ``dependent`` are the identities of these and of what depends on them.
    """

    def __init__(self, translated: Container[str], inputs: Sequence[Any]) -> None:
        super().__init__()
        self.translated = translated
        self.calls: list[Call] = []
        self.dependent = {id(x) for x in inputs}
        self.kept: list[Any] = [*inputs]  # so that no other tensor gets their identity
        self.followed = _Followed(inputs)
        self.uses: dict[int, list[tuple[Any, dict[int, Any]]]] = {}  # of constants, by the identity of their storage
        self.changed: dict[int, Any] = {}  # storages that something depending on the inputs was written to

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = name_of(func)
        if name in _LOOKS:
            return func(*args, **kwargs)
        given = tensors_in((args, kwargs))
        dependent = name in DRAWS or any(id(x) in self.dependent for x in given)
        if name in _VALUES:
            return self._value(func, args, kwargs, dependent)
        if name in DRAWS or base_name(name) in self.translated or not isinstance(func, FunctionType):
            self.require_followed(f"an argument of {name}()", given)
            return self._called(func, name, args, kwargs, given, dependent)
        before = len(self.calls)
        try:
            with self:
                result = itself(func)(*args, **kwargs)
        except Unfollowed:
            raise Unfollowed(no_translation(name)) from None
        self.kept.append(result)
        if len(self.calls) == before and dependent:
            self._note(Call(name, args, kwargs, result, (), {}), dependent)
        elif dependent:
            known = self.dependent | {id(x) for x in given}
            if any(id(x) not in known for x in tensors_in(result)):  # it looked at values
                raise Unfollowed(no_translation(name))
        return result

    def _called(self, func: Any, name: str, args: Any, kwargs: Any, given: Sequence[Any], dependent: bool) -> Any:
        """Calls a function that has a translation, and notes it."""
        targets = written_by(name, args, kwargs)
        before = self._kept_before(targets)
        versions = [version_of(x) for x in given]
        result = func(*args, **kwargs)
        written = tuple(targets) or tuple([x for x, version in zip(given, versions) if version_of(x) != version])
        if dependent:
            self.changed |= {id(x._s): x._s for x in written}
        for x in given:
            if id(x) not in self.dependent and id(x) not in before:
                self.uses.setdefault(id(x._s), []).append((x, before))
        named = {k: v for k, v in kwargs.items() if k != "out"}
        self._note(Call(name, args, named, args[0] if name == "__setitem__" else result, written, before), dependent)
        return result

    def _kept_before(self, targets: Sequence[Any]) -> dict[int, Any]:
        """What constants are before a call writes to ``targets``, for this call and for those that have read them."""
        before = {}
        for t in targets:
            if id(t) not in self.dependent:
                before[id(t)] = t.clone()
            for x, known in self.uses.pop(id(t._s), ()):
                known[id(x)] = x.clone()
        return before

    def require_followed(self, name: str, given: Sequence[Any]) -> None:
        """A tensor that was computed of the inputs, or written to, by calls that were not seen would become a constant.

        Raises:
            Unfollowed: there is one.
        """
        for x in given:
            if id(x) in self.dependent:
                continue
            if id(x._s) in self.changed:
                raise Unfollowed(f"torch.onnx.export: {name} was written to through another tensor; write out of place")
            if self.followed.reaches(x):
                raise Unfollowed(f"torch.onnx.export: {name} was computed by functions that cannot be followed")

    def _value(self, func: Any, args: Any, kwargs: Any, dependent: bool) -> Any:
        if dependent:
            warnings.warn(
                f"Converting a tensor to a Python value with {name_of(func)} might cause the exported model to be "
                "incorrect: what it decides is the same for all inputs there.",
                TracerWarning,
                stacklevel=4,
            )
        return func(*args, **kwargs)

    def _note(self, call: Call, dependent: bool) -> None:
        self.calls.append(call)
        if dependent:
            found = tensors_in(call.result)
            self.dependent |= {id(x) for x in found}
            self.followed.add(found)


class _Followed:
    """What is known to depend on the inputs, as nodes of the graph that flambeau records by itself."""

    def __init__(self, inputs: Sequence[Any]) -> None:
        self.tensors = list(inputs)
        self.serial = -1
        self.known: dict[Node, bool] = {}

    def add(self, tensors: Sequence[Any]) -> None:
        """Notes results that may depend on the inputs; a constant of their shape does not."""
        self.tensors += [x for x in tensors if not x._s.pending or self.reaches(x)]

    def reaches(self, x: Any) -> bool:
        """Is ``x`` still to be computed, of what depends on the inputs?"""
        if not x._s.pending:
            return False
        if self.serial != threads.epoch.serial:  # nodes stand for other values since
            self.serial = threads.epoch.serial
            self.known = dict.fromkeys(map(node_of, self.tensors), True)
        for n in in_order((node_of(x),)):
            if n not in self.known:
                self.known[n] = any([self.known[i] for i in n.ins])  # noqa: C419
        return self.known[node_of(x)]


def name_of(func: Any) -> str:
    """The last part of a function's public name; of a property, its own."""
    parts = (resolve_name(func) or getattr(func, "__name__", "")).split(".")
    return parts[-2] if parts[-1] == "__get__" and len(parts) > 1 else parts[-1]


def base_name(name: str) -> str:
    """A name without the marks of an operator and of a write in place."""
    return name.strip("_") if name.startswith("__") else name.rstrip("_")


def writes(name: str) -> bool:
    """Does a function of this name write its first argument?"""
    inplace = name.endswith("_") and not name.endswith("__")
    return inplace or (name.startswith("__i") and name.strip("_") not in ("invert", "iter", "index", "int"))


def written_by(name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> list[Any]:
    """The tensors that a call will write to."""
    targets = tensors_in(args[:1]) if writes(name) or name == "__setitem__" else []
    return targets + tensors_in(kwargs.get("out"))


def tensors_in(tree: Any) -> list[Any]:
    """The tensors among nested arguments."""
    return [x for x in flatten(tree) if isinstance(x, torch.Tensor)]


def record(run: Callable[[], Any], inputs: Sequence[Any], translated: Container[str]) -> tuple[list[Call], Any]:
    """The calls of a function, and its result."""
    recorder = Recorder(translated, inputs)
    with torch.no_grad(), recorder:
        result = run()
    recorder.require_followed("the result", tensors_in(result))
    return recorder.calls, result
