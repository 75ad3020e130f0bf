"""The graph of a model for TensorBoard: the torch functions that one run calls, in the scopes of its modules."""

# pyright: reportAttributeAccessIssue=false
# Protocol buffers make their classes when they are imported.

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tensorboardX.proto.attr_value_pb2 import AttrValue
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.graph_pb2 import GraphDef
from tensorboardX.proto.node_def_pb2 import NodeDef
from tensorboardX.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboardX.proto.versions_pb2 import VersionDef

import flambeau as torch
from flambeau.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from flambeau.onnx._recording import base_name, name_of, tensors_in
from flambeau.overrides import TorchFunctionMode

PRODUCER = 22  # the version that TensorBoard's readers are told


def graph_of(model: Any, inputs: Any = None) -> GraphDef:
    """The graph of ``model(*inputs)`` in evaluation mode; a single tensor is the only input.

    Nodes are named as PyTorch's scopes are: ``Net/Conv2d[conv1]/conv2d``.
    """
    args = () if inputs is None else tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    tracer = _Tracer(model, args)
    with torch.no_grad(), _evaluating(model), tracer.following_modules(), tracer:
        result = model(*args)
    tracer.end(tensors_in(result))
    return GraphDef(node=tracer.nodes, versions=VersionDef(producer=PRODUCER))


def event_of(graph: GraphDef) -> Event:
    """The entry of an event file."""
    return Event(graph_def=graph.SerializeToString())


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    """A block in which the model does not train; each of its modules then goes on as before."""
    modes = [(m, m.training) for m in model.modules()]
    try:
        model.eval()
        yield
    finally:
        for module, training in modes:
            module.training = training


class _Tracer(TorchFunctionMode):
    """Makes a node of each call that gives tensors. ``names`` has by identity the node that made a tensor last."""

    def __init__(self, model: Any, args: Sequence[Any]) -> None:
        super().__init__()
        self.nodes: list[NodeDef] = []
        self.names: dict[int, str] = {}
        self.kept: list[Any] = []  # so that no other tensor gets the identity of one
        self.taken: Counter[str] = Counter()
        self.paths = dict(_paths(model))
        self.scopes: list[str] = []
        self.parameters = {id(x): f"{self.paths[id(m)]}/{name}" for m in model.modules()
                           for name, x in (*m._parameters.items(), *m._buffers.items()) if x is not None}  # fmt: skip
        for name, x in zip(_input_names(model, args), args):
            for tensor in tensors_in(x):
                self.add(f"input/{name}", "IO Node", (), [tensor])

    @contextmanager
    def following_modules(self) -> Iterator[None]:
        """A block in which the scope is the module that is running."""
        before = register_module_forward_pre_hook(lambda m, _: self.scopes.append(self.paths.get(id(m), "")))
        after = register_module_forward_hook(lambda m, *_: self.scopes.pop() and None, always_call=True)
        try:
            yield
        finally:
            before.remove()
            after.remove()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        made = tensors_in(result)
        name = base_name(name_of(func))
        if made and not (name == "detach" and made[0] is args[0]):
            self.add(f"{self.scope}/{name}", f"aten::{name}", tensors_in((args, kwargs)), made)
        return result

    @property
    def scope(self) -> str:
        """Where the call that comes stands."""
        return next((s for s in reversed(self.scopes) if s), next(iter(self.paths.values())))

    def add(self, name: str, op: str, given: Sequence[Any], made: Sequence[Any]) -> None:
        """A node, and those of the parameters that it is the first to read."""
        inputs = [self.source(x) for x in given]
        name = self.unique(name)
        shapes = AttrValue.ListValue(shape=[_shape(x) for x in made])
        self.nodes.append(NodeDef(name=name, op=op, input=inputs, attr={"_output_shapes": AttrValue(list=shapes)}))
        for k, x in enumerate(made):
            self.names[id(x)] = f"{name}:{k}" if k else name
            self.kept.append(x)

    def source(self, x: Any) -> str:
        """The node that a tensor comes from; what was there before is a parameter, a buffer or a constant."""
        if id(x) not in self.names:
            own = self.parameters.get(id(x))
            self.add(own or f"{self.scope}/constant", "Parameter" if own else "Const", (), [x])
        return self.names[id(x)]

    def unique(self, name: str) -> str:
        """The name, with a number if it is taken."""
        self.taken[name] += 1
        count = self.taken[name]
        return name if count == 1 else f"{name}_{count - 1}"

    def end(self, results: Sequence[Any]) -> None:
        """The nodes of the results."""
        for x in results:
            self.add("output/output", "IO Node", [x], [x])


def _paths(model: Any) -> Iterator[tuple[int, str]]:
    """The scope of each module by its identity: ``Net/Sequential[layers]/Linear[0]``."""
    scopes: dict[str, str] = {}
    for path, module in model.named_modules():
        parent, _, name = path.rpartition(".")
        kind = type(module).__name__
        scopes[path] = f"{scopes[parent]}/{kind}[{name}]" if path else kind
        yield id(module), scopes[path]


def _input_names(model: Any, args: Sequence[Any]) -> list[str]:
    """The names of the parameters of ``forward``, then numbers."""
    try:
        bound = list(inspect.signature(model.forward).bind(*args).arguments)
    except (TypeError, ValueError):
        bound = []
    return bound + [f"input_{k}" for k in range(len(bound), len(args))]


def _shape(x: Any) -> TensorShapeProto:
    return TensorShapeProto(dim=[TensorShapeProto.Dim(size=n) for n in x.shape])
