"""``torch.onnx``: models as ONNX files (https://docs.pytorch.org/docs/stable/onnx.html).

The package ``onnx`` writes them: ``pip install onnx``. A model is run once on example inputs, and the torch functions
that it calls are translated; if some dimensions may vary, it is run a second time with other sizes, and what differs
between the runs is computed from the sizes of the inputs. What depends on values, such as an ``if``, is fixed as it is
for the example.
"""

from __future__ import annotations

import enum
import io
import logging
import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import flambeau as torch

__all__ = [
    "ONNXProgram", "OnnxExporterError", "OperatorExportTypes", "TrainingMode", "export", "is_in_onnx_export",
]  # fmt: skip


class OnnxExporterError(RuntimeError):
    """A model cannot be exported."""


class TrainingMode(enum.IntEnum):
    """In which mode a model is exported."""

    EVAL = 0
    PRESERVE = 1
    TRAINING = 2


class OperatorExportTypes(enum.IntEnum):
    """What operators are exported as; all are ONNX's own here."""

    ONNX = 0
    ONNX_ATEN = 1
    ONNX_ATEN_FALLBACK = 2
    ONNX_FALLTHROUGH = 3


_exporting: list[None] = []


def is_in_onnx_export() -> bool:
    """Is a model being exported?"""
    return bool(_exporting)


class ONNXProgram:
    """An exported model; ``model_proto`` is the ``onnx.ModelProto``."""

    def __init__(self, model_proto: Any) -> None:
        self.model_proto = model_proto

    def save(self, destination: str | os.PathLike[str] | io.BufferedIOBase, **kwargs: Any) -> None:
        """Writes the model; a path's file appears whole or not at all."""
        from flambeau.serialization._files import writing

        with writing(destination) as file:
            file.write(self.model_proto.SerializeToString())

    def __call__(self, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """The outputs, as tensors, by the reference implementation of ``onnx``."""
        inputs = [x.detach().numpy() for x in (*args, *kwargs.values())]
        names = [i.name for i in self.model_proto.graph.input]
        found = import_module("onnx.reference").ReferenceEvaluator(self.model_proto).run(None, dict(zip(names, inputs)))
        return tuple([torch.from_numpy(a.copy()) for a in found])


def export(
    model: Any,
    args: Any = (),
    f: Any = None,
    *,
    kwargs: dict[str, Any] | None = None,
    verbose: bool | None = None,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    opset_version: int | None = None,
    dynamo: bool = True,
    dynamic_axes: Mapping[str, Mapping[int, str] | Sequence[int]] | None = None,
    dynamic_shapes: Any = None,
    training: TrainingMode = TrainingMode.EVAL,
    verify: bool = False,
    export_params: bool = True,
    do_constant_folding: bool = True,
    keep_initializers_as_inputs: bool = False,
    **others: Any,
) -> ONNXProgram:
    """Exports a model as it runs on example inputs
    (https://docs.pytorch.org/docs/stable/onnx_export.html).

    Args:
        model: a module, or a function of tensors.
        args: the example inputs: a tensor, or a tuple of arguments.
        f: where the model is written to: a path or a binary file; None to write nothing.
        kwargs: arguments by name.
        verbose: prints the graph.
        input_names: their names in the graph; by default those of ``forward``'s parameters.
        output_names: of the outputs, by default ``output_0`` and so on.
        opset_version: of ONNX's operators: up to 22; by default 18. For older ones the model is converted, if ``onnx``
            can do that; else it is one of 18, and a warning is logged.
        dynamo: accepted; both of PyTorch's exporters are this one.
        dynamic_axes: by the name of an input or output the dimensions that may vary, with a name for each.
        dynamic_shapes: the same by the name of a parameter of ``forward`` (or in their order), as
            ``{"x": {0: "batch"}}``.
        training: by default the model is exported as it is in evaluation.
        verify: runs the exported model on the example and compares.
        export_params: accepted: parameters are part of the model.
        do_constant_folding: accepted: what depends on no input is a constant.
        keep_initializers_as_inputs: accepted: they are none.
        others: accepted: what else PyTorch's exporter can be told.

    Raises:
        ModuleNotFoundError: the package ``onnx`` is not installed.
        NotImplementedError: a function has no translation, and is not made of others that have one.
        OnnxExporterError: ``verify``: the outputs differ.
    """
    from flambeau.onnx._export import exported

    given = args if isinstance(args, tuple) else (args,)
    opset = _opset(opset_version)
    dynamic = _named_axes(dynamic_axes) | _named_shapes(model, given, dynamic_shapes)
    was_training = getattr(model, "training", None)
    if training is not TrainingMode.PRESERVE and was_training is not None:
        model.train(training is TrainingMode.TRAINING)
    _exporting.append(None)
    try:
        proto = exported(model, given, kwargs or {}, input_names, output_names, dynamic, opset)
        proto = _converted(proto, opset_version, opset)
        program = ONNXProgram(proto)
        if verify:
            _verify(program, model, given, kwargs or {})
    finally:
        _exporting.pop()
        if was_training is not None:
            model.train(was_training)
    if verbose:
        print(import_module("onnx").printer.to_text(proto.graph))
    if f is not None:
        program.save(f)
    return program


def _opset(version: int | None) -> int:
    from flambeau.onnx._graph import OPSET

    if version is not None and version > 22:
        raise ValueError(f"Unsupported ONNX opset version: {version}; {OPSET} to 22 are supported")
    return max(version or OPSET, OPSET)


def _converted(proto: Any, version: int | None, opset: int) -> Any:
    """The model in older operators, where those are asked for and ``onnx`` knows how."""
    if version is None or version >= opset:
        return proto
    logger = logging.getLogger("torch.onnx")
    logger.warning(
        "Setting ONNX exporter to use operator set version %s because the requested opset_version %s is a lower "
        "version than we have implementations for. Automatic version conversion will be performed, which may not be "
        "successful at converting to the requested version. If version conversion is unsuccessful, the opset version "
        "of the exported model will be kept at %s. Please consider setting opset_version >=%s to leverage latest ONNX "
        "features",
        opset, version, opset, opset,
    )  # fmt: skip
    try:
        found = import_module("onnx.version_converter").convert_version(proto, version)
        import_module("onnx").checker.check_model(found)
    except Exception as error:
        logger.warning("The model was not converted and is one of opset version %s: %s", opset, error)
        return proto
    return found


def _named_axes(axes: Mapping[str, Any] | None) -> dict[str, dict[int, str]]:
    """Dimensions with a name each, where some are given without one."""
    return {
        name: dict(dims)
        if isinstance(dims, Mapping)
        else {d: f"{name}_dynamic_axes_{k + 1}" for k, d in enumerate(dims)}
        for name, dims in (axes or {}).items()
    }


def _named_shapes(model: Any, args: tuple[Any, ...], shapes: Any) -> dict[str, dict[int, str]]:
    """``dynamic_shapes`` as ``dynamic_axes``: by the names of ``forward``'s parameters."""
    if not shapes:
        return {}
    if not isinstance(shapes, Mapping):
        import inspect

        f = model.forward if isinstance(model, torch.nn.Module) else model
        shapes = dict(zip(inspect.signature(f).parameters, shapes))
    return {name: _labels(name, dims) for name, dims in shapes.items() if dims}


def _labels(name: str, dims: Any) -> dict[int, str]:
    """Names of the dimensions that may vary: all but those that are None, a number or ``Dim.STATIC``."""
    given = dims.items() if isinstance(dims, Mapping) else enumerate(dims)
    return {
        d: f"{name}_dim_{d}" if hasattr(label, "kind") else getattr(label, "__name__", None) or str(label)
        for d, label in given
        if label is not None and not isinstance(label, int) and getattr(label, "kind", "") != "STATIC"
    }


def _verify(program: ONNXProgram, model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    from flambeau.onnx._recording import tensors_in

    inputs = tensors_in((args, kwargs))
    with torch.no_grad():
        wanted = tensors_in(model(*args, **kwargs))
    for k, (got, want) in enumerate(zip(program(*inputs), wanted)):
        try:
            torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-5)
        except AssertionError as error:
            raise OnnxExporterError(f"output {k} of the exported model differs: {error}") from None
