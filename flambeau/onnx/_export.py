"""From a model and example inputs to an ONNX model."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import flambeau as torch
from flambeau.func._tree import map_leaves
from flambeau.onnx import _elementwise, _indexing, _layers, _reductions, _shapes  # noqa: F401  (they fill the table)
from flambeau.onnx._graph import NUMBERS, Graph, Value
from flambeau.onnx._recording import DRAWS, Call, base_name, no_translation, record, tensors_in
from flambeau.onnx._sizes import Axis, Size, found
from flambeau.onnx._translations import TABLE

Axes = Mapping[str, Mapping[int, str]]  # of inputs and outputs by name: the names of the dimensions that may vary


def exported(
    model: Any, args: tuple[Any, ...], kwargs: dict[str, Any], input_names: Sequence[str] | None,
    output_names: Sequence[str] | None, dynamic: Axes, opset: int,
) -> Any:  # fmt: skip
    """The ModelProto of a call ``model(*args, **kwargs)``.

    Raises:
        NotImplementedError: something has no translation.
    """
    inputs = tensors_in((args, kwargs))
    names = _input_names(model, args, kwargs, inputs, input_names)
    axes = _axes(names, inputs, dynamic)
    runs = [record(lambda: model(*args, **kwargs), inputs, TABLE)]
    if axes:
        others = [_resized(x, [a for a in axes if a.input == name]) for x, name in zip(inputs, names)]
        again = iter(others)
        more = map_leaves(lambda x: next(again) if isinstance(x, torch.Tensor) else x, (args, kwargs))
        runs.append(record(lambda: model(*more[0], **more[1]), others, TABLE))
    return _Export(model, runs, axes, opset).model(inputs, names, output_names, dynamic)


# ---- inputs


def _input_names(model: Any, args: Any, kwargs: Any, inputs: list[Any], given: Sequence[str] | None) -> list[str]:
    """The names that are given, then those of the parameters of ``forward``, then numbers."""
    f = model.forward if isinstance(model, torch.nn.Module) else model
    try:
        bound = inspect.signature(f).bind(*args, **kwargs).arguments
    except (TypeError, ValueError):
        bound = {}
    names = [name if isinstance(x, torch.Tensor) else f"{name}_{k}"
             for name, x in bound.items() for k, _ in enumerate(tensors_in(x))]  # fmt: skip
    names += [f"input_{k}" for k in range(len(names), len(inputs))]
    return [*(given or ()), *names[len(given or ()) :]][: len(inputs)]


def _axes(names: Sequence[str], inputs: Sequence[Any], dynamic: Axes) -> list[Axis]:
    """The dimensions that vary: one for all that have the same name and size. The second run has other sizes."""
    axes: list[Axis] = []
    for name, x in zip(names, inputs):
        for dim, label in dynamic.get(name, {}).items():
            size = x.shape[dim]
            known = [a.sizes[1] for a in axes if a.name == label and a.sizes[0] == size]
            axes.append(Axis(label, name, dim % x.dim(), (size, known[0] if known else _other(size, len(axes)))))
    return axes


def _other(size: int, k: int) -> int:
    """The size of axis ``k`` in the second run.

    It differs by more than remainders do, by another number for each axis, and is not divisible where the first is.
    Large ones shrink, since what is made for them (a table of positions) may end there.
    """
    step = 5 + 6 * k
    return size - step if size >= 16 + step else size + step


def _resized(x: Any, axes: Sequence[Axis]) -> Any:
    """An input in the sizes of the second run: its elements again from the beginning."""
    for a in axes:
        x = x.index_select(a.dim, torch.arange(a.sizes[1]) % a.sizes[0])
    return x.clone()


# ---- the graph


class _Export:
    """The calls of one run, or of two, as a graph; ``values`` has by identity what stands for a tensor."""

    def __init__(self, model: Any, runs: list[tuple[list[Call], Any]], axes: list[Axis], opset: int) -> None:
        self.runs = runs
        self.axes = axes
        self.opset = opset
        named = [*model.named_parameters(), *model.named_buffers()] if isinstance(model, torch.nn.Module) else []
        self.graph = Graph({id(x): name for name, x in named})
        self.values: dict[int, Value] = {}

    def model(self, inputs: list[Any], names: Sequence[str], output_names: Sequence[str] | None, dynamic: Axes) -> Any:
        """The model."""
        shapes = [self._input_shape(name, x) for name, x in zip(names, inputs)]
        self.graph.used.update(names)
        for name, x, shape in zip(names, inputs, shapes):
            self.values[id(x)] = Value(x, shape, name)
        self._translate_all()
        helper = self.graph.onnx.helper
        given = [helper.make_tensor_value_info(name, NUMBERS[x.dtype], list(map(_label, shape)))
                 for name, x, shape in zip(names, inputs, shapes)]  # fmt: skip
        graph = helper.make_graph(
            self.graph.nodes, "main_graph", given, self._outputs(output_names, dynamic), self._constants()
        )
        made = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", self.opset)], producer_name="flambeau",
            producer_version=torch.version.__flambeau_version__, ir_version=_IR_VERSION,
        )  # fmt: skip
        self.graph.onnx.checker.check_model(made)
        return made

    def _input_shape(self, name: str, x: Any) -> list[int | Size]:
        varying = {a.dim: Size((a,)) for a in self.axes if a.input == name}
        return [varying[d] if d in varying else n for d, n in enumerate(x.shape)]

    def _translate_all(self) -> None:
        calls = [calls for calls, _ in self.runs]
        if len({len(c) for c in calls}) > 1 or any(len({c.name for c in column}) > 1 for column in zip(*calls)):
            raise NotImplementedError(
                "torch.onnx.export: what the model calls depends on the size of a dynamic axis; leave that axis fixed"
            )
        last = _last_uses(*self.runs[0])
        for k, column in enumerate(zip(*calls)):
            if column[0].written and self._depends(column[0]):
                self._require_alone(calls[0], k, {i for i, at in last.items() if at > k})
            self._translate(column)

    def _translate(self, column: tuple[Call, ...]) -> None:
        """Adds the nodes of one call, unless it depends on no input."""
        call = column[0]
        args, kwargs = self._merged([(c.args, c.kwargs) for c in column], call.before)
        results = [tensors_in(c.result) for c in column]
        outs = [Value(ts[0], self._shape(ts)) for ts in zip(*results)]
        varying = any(isinstance(n, Size) for v in outs for n in v.shape)
        if not outs or not (varying or self._depends(call)):
            return
        translate = TABLE.get(base_name(call.name))
        if translate is None:
            raise NotImplementedError(no_translation(call.name))
        found = translate(self.graph, outs if isinstance(call.result, (tuple, list)) else outs[0], *args, **kwargs)
        for value, name in zip(outs, [found] if isinstance(found, str) else found):
            value.name = name
            self.values[id(value.tensor)] = value

    def _depends(self, call: Call) -> bool:
        return call.name in DRAWS or any(id(x) in self.values for x in tensors_in((call.args, call.kwargs)))

    def _require_alone(self, calls: Sequence[Call], k: int, used: set[int]) -> None:
        """A write that others see, which are used later, has no translation."""
        call = calls[k]
        for x in call.written:
            seen = [v.tensor for i, v in self.values.items() if i in used and v.tensor is not x and v.tensor._s is x._s]
            if any(not _put_back(calls, k, x, y) for y in seen):
                raise NotImplementedError(
                    f"torch.onnx.export: {call.name}() writes to memory that other tensors share; write it out of place"
                )

    # ---- arguments of both runs as one

    def _merged(self, trees: Sequence[Any], before: dict[int, Any]) -> Any:
        first = trees[0]
        if isinstance(first, torch.Tensor):
            known = self.values.get(id(first))
            return known or Value(before.get(id(first), first), self._shape(trees))
        if isinstance(first, dict):
            return {k: self._merged([t[k] for t in trees], before) for k in first}
        if isinstance(first, (list, tuple)):
            parts = [self._merged(column, before) for column in zip(*trees)]
            return parts if isinstance(first, list) else tuple(parts)
        if isinstance(first, slice):
            return slice(*[self._merged([getattr(t, k) for t in trees], before) for k in ("start", "stop", "step")])
        if isinstance(first, bool) or not isinstance(first, int):
            return first
        return found(trees[0], trees[-1], self.axes)

    def _shape(self, tensors: Sequence[Any]) -> list[int | Size]:
        return [found(sizes[0], sizes[-1], self.axes) for sizes in zip(*[x.shape for x in tensors])]

    # ---- results

    def _outputs(self, names: Sequence[str] | None, dynamic: Axes) -> list[Any]:
        """The model's outputs, under the names that are given."""
        infos, outs = [], list(zip(*[tensors_in(result) for _, result in self.runs]))
        for k, column in enumerate(outs):
            value = self.values.get(id(column[0])) or Value(column[0], self._shape(column))
            name = self.graph.unused(names[k] if names and k < len(names) else f"output_{k}")
            own = dynamic.get(name, {})
            self.graph.nodes.append(self.graph.onnx.helper.make_node("Identity", [self.graph.value(value)], [name]))
            shape = [own.get(d, _label(n)) for d, n in enumerate(value.shape)]
            infos.append(self.graph.onnx.helper.make_tensor_value_info(name, NUMBERS[value.dtype], shape))
        return infos

    def _constants(self) -> list[Any]:
        return [_constant(self.graph.onnx, name, x) for name, x in self.graph.initializers.items()]


_IR_VERSION = 9  # of the file: what runtimes of 2023 read


def _put_back(calls: Sequence[Call], k: int, x: Any, y: Any) -> bool:
    """Is call ``k`` the middle of ``y[index] += ...``, which takes x out of y, writes to it and puts it back?"""
    after = calls[k + 1] if k + 1 < len(calls) else None
    if after is None or after.name != "__setitem__" or after.args[0] is not y or after.args[2] is not x:
        return False
    taken = next((c for c in reversed(calls[:k]) if c.result is x), None)
    return taken is not None and taken.name == "__getitem__" and taken.args[0] is y and taken.args[1] is after.args[1]


def _last_uses(calls: Sequence[Call], result: Any) -> dict[int, int]:
    """Where tensors are used for the last time, by their identity."""
    last = {id(x): k for k, call in enumerate(calls) for x in tensors_in((call.args, call.kwargs))}
    return last | {id(x): len(calls) for x in tensors_in(result)}


def _label(n: int | Size) -> int | str:
    return str(n) if isinstance(n, Size) else n


def _constant(onnx: Any, name: str, x: Any) -> Any:
    """A tensor as a constant."""
    x = x.detach().contiguous()
    if x.dtype is torch.bfloat16:
        raw = x.view(torch.int16).numpy().tobytes()
        return onnx.helper.make_tensor(name, NUMBERS[x.dtype], list(x.shape), raw, raw=True)
    return onnx.numpy_helper.from_array(x.numpy(), name)
