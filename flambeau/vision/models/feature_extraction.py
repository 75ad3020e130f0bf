"""Features from within a model: its forward is traced and cut off after what is wanted (`torch.fx`)."""

from __future__ import annotations

import copy
import math
import re
import warnings
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flambeau import fx, nn
from flambeau.fx.graph_module import _CodeOnlyModule, _copy_attr
from flambeau.vision import ops

__all__ = ["create_feature_extractor", "get_graph_node_names"]

Wanted = Sequence[str] | Mapping[str, str]


class LeafModuleAwareTracer(fx.Tracer):
    """A tracer that leaves modules of some classes whole.

    Args:
        leaf_modules: the classes.
    """

    def __init__(self, *args: Any, leaf_modules: Sequence[type] = (), **kwargs: Any) -> None:
        self.leaf_modules = tuple(leaf_modules)
        super().__init__(*args, **kwargs)

    def is_leaf_module(self, m: Any, module_qualified_name: str) -> bool:
        """Whether a call of the module is one node."""
        return isinstance(m, self.leaf_modules) or super().is_leaf_module(m, module_qualified_name)


class NodePathTracer(LeafModuleAwareTracer):
    """A tracer that gives every node a name: the path of its module and, within it, the name of the operation."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.current_module_qualname = ""
        self.node_to_qualname: dict[Any, str] = OrderedDict()

    def call_module(self, m: Any, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Records a call of a module, or goes into it."""
        outer, path = self.current_module_qualname, self.path_of_module(m)
        self.current_module_qualname = path
        try:
            whole = self.is_leaf_module(m, path)
            return self.create_proxy("call_module", path, args, kwargs) if whole else forward(*args, **kwargs)
        finally:
            self.current_module_qualname = outer

    def create_proxy(self, kind: str, target: Any, args: Any, kwargs: Any, *more: Any, **options: Any) -> Any:
        """The proxy of a new node, which gets its name."""
        proxy = super().create_proxy(kind, target, args, kwargs, *more, **options)
        self.node_to_qualname[proxy.node] = self._name(proxy.node)
        return proxy

    def _name(self, node: Any) -> str:
        """The path of the node, numbered from its second occurrence on."""
        path = self.current_module_qualname
        if node.op != "call_module":
            path = f"{path}.{node}" if path else str(node)
        path = re.sub(r"(?<=.)_[0-9]+$", "", path)
        for known in reversed(self.node_to_qualname.values()):
            if re.match(rf"{path}(_[0-9]+)?$", known):
                number = known.replace(path, "")
                return f"{path}_{int(number[1:]) + 1 if number else 1}"
        return path


def _is_subsequence(long: Sequence[str], short: Sequence[str]) -> bool:
    rest = iter(long)
    return all(any(item == wanted for item in rest) for wanted in short)


def _warn_graph_differences(train: NodePathTracer, evaluation: NodePathTracer) -> None:
    in_training, in_evaluation = (list(tracer.node_to_qualname.values()) for tracer in (train, evaluation))
    if in_training == in_evaluation:
        return
    text = "NOTE: The nodes obtained by tracing the model in {} mode are a subsequence of those obtained in {} mode. "
    if _is_subsequence(in_training, in_evaluation):
        text = text.format("eval", "train")
    elif _is_subsequence(in_evaluation, in_training):
        text = text.format("train", "eval")
    else:
        text = "The nodes obtained by tracing the model in train mode are different to those obtained in eval mode. "
    warnings.warn(
        text + "When choosing nodes for feature extraction, you may need to specify output nodes for train and eval "
        "mode separately.",
        stacklevel=3,
    )


def _with_defaults(tracer_kwargs: dict[str, Any] | None) -> dict[str, Any]:
    """The options of the tracer, which leaves torchvision's operators and their modules whole."""
    options = dict(tracer_kwargs or {})
    kinds = [kind for kind in vars(ops).values() if isinstance(kind, type) and issubclass(kind, nn.Module)]
    options["autowrap_modules"] = (*options.get("autowrap_modules", ()), math, ops)
    options["leaf_modules"] = [*options.get("leaf_modules", ()), *kinds]
    return options


def _traced(
    model: nn.Module, training: bool, options: dict[str, Any], concrete_args: Any
) -> tuple[NodePathTracer, fx.Graph]:
    tracer = NodePathTracer(**options)
    return tracer, tracer.trace(model.train(training), concrete_args=concrete_args)


def get_graph_node_names(
    model: nn.Module,
    tracer_kwargs: dict[str, Any] | None = None,
    suppress_diff_warning: bool = False,
    concrete_args: dict[str, Any] | None = None,
) -> tuple[list[str], list[str]]:
    """The names of a model's nodes in training and in evaluation, in the order in which they are computed.

    Args:
        model: the model.
        tracer_kwargs: options of `torch.fx.Tracer`, and `leaf_modules`, the classes of modules that stay whole.
        suppress_diff_warning: whether to say nothing where the two differ.
        concrete_args: values of arguments of `forward` that the graph is specialised to.
    """
    options, was_training = _with_defaults(tracer_kwargs), model.training
    train, _ = _traced(model, True, options, concrete_args)
    evaluation, _ = _traced(model, False, options, concrete_args)
    if not suppress_diff_warning:
        _warn_graph_differences(train, evaluation)
    model.train(was_training)
    return list(train.node_to_qualname.values()), list(evaluation.node_to_qualname.values())


class DualGraphModule(fx.GraphModule):
    """A module with a graph for training and another for evaluation.

    Args:
        root: has the modules, parameters and buffers that the graphs name.
        train_graph: the graph in training.
        eval_graph: the graph in evaluation.
        class_name: the name of the class.
    """

    def __init__(
        self, root: nn.Module, train_graph: fx.Graph, eval_graph: fx.Graph, class_name: str = "GraphModule"
    ) -> None:
        super().__init__(root, train_graph, class_name)
        for node in eval_graph.nodes:
            if node.op in ("get_attr", "call_module"):
                _copy_attr(root, self, node.target)
        self.train_graph = train_graph
        self.eval_graph = eval_graph
        self.training = True

    def train(self, mode: bool = True) -> DualGraphModule:
        """Changes to the graph of the mode."""
        if mode != self.training:
            self.graph = self.train_graph if mode else self.eval_graph
        return super().train(mode)

    def __deepcopy__(self, memo: dict[int, Any]) -> DualGraphModule:
        made: Any = type(self).__new__(type(self))
        memo[id(self)] = made
        body = copy.deepcopy(self.__getstate__(), memo)
        DualGraphModule.__init__(
            made, _CodeOnlyModule(body), body["train_graph"], body["eval_graph"], type(self).__name__
        )
        return made.train(self.training)


def _names(wanted: Wanted) -> dict[str, str]:
    """The nodes that are wanted and the names of the results."""
    pairs = wanted.items() if isinstance(wanted, Mapping) else zip(wanted, wanted, strict=True)
    return {str(node): str(name) for node, name in pairs}


def _wanted(both: Wanted | None, train: Wanted | None, evaluation: Wanted | None) -> tuple[Wanted, Wanted]:
    """What is wanted in training and in evaluation."""
    if both is None and train is None and evaluation is None:
        raise ValueError(
            "Either `return_nodes` or `train_return_nodes` and `eval_return_nodes` together, should be specified"
        )
    if (train is None) != (evaluation is None):
        raise ValueError(
            "If any of `train_return_nodes` and `eval_return_nodes` are specified, then both should be specified"
        )
    if both is not None and train is not None:
        raise ValueError("If `train_return_nodes` and `eval_return_nodes` are specified, then both should be specified")
    return (both, both) if both is not None else (train, evaluation)  # type: ignore[return-value]


def _cut(tracer: NodePathTracer, graph: fx.Graph, wanted: dict[str, str]) -> None:
    """Makes the wanted nodes the graph's output, and removes what they do not need."""
    available = list(tracer.node_to_qualname.values())
    for query in wanted:
        if not any(re.match(rf"^{query}(\.|$)", name) for name in available):
            raise ValueError(
                f"node: '{query}' is not present in model. Hint: use `get_graph_node_names` to make sure the "
                "`return_nodes` you specified are present. It may even be that you need to specify "
                "`train_return_nodes` and `eval_return_nodes` separately."
            )
    for node in [node for node in graph.nodes if node.op == "output"]:
        graph.erase_node(node)
    nodes = list(graph.nodes)
    with graph.inserting_after(nodes[-1]):
        graph.output(_outputs(tracer, nodes, wanted))
    graph.eliminate_dead_code()


def _outputs(tracer: NodePathTracer, nodes: Sequence[Any], wanted: dict[str, str]) -> dict[str, Any]:
    """The last node of each wanted name, in the order of the nodes."""
    rest, found = dict(wanted), []
    for node in reversed(nodes):
        path = tracer.node_to_qualname.get(node, "").split(".")
        query = next((q for q in rest if path[: q.count(".") + 1] == q.split(".")), None)
        if query is not None:
            found.append((rest.pop(query), node))
    return OrderedDict(reversed(found))


def create_feature_extractor(
    model: nn.Module,
    return_nodes: Wanted | None = None,
    train_return_nodes: Wanted | None = None,
    eval_return_nodes: Wanted | None = None,
    tracer_kwargs: dict[str, Any] | None = None,
    suppress_diff_warning: bool = False,
    concrete_args: dict[str, Any] | None = None,
) -> fx.GraphModule:
    """A module that computes what is wanted from within a model, and nothing else.

    Args:
        model: the model, whose parameters the module shares.
        return_nodes: names of nodes, which may be cut short to those of modules, or names of nodes and of results.
        train_return_nodes: those in training, together with `eval_return_nodes` instead of `return_nodes`.
        eval_return_nodes: those in evaluation.
        tracer_kwargs: options of `torch.fx.Tracer`, and `leaf_modules`, the classes of modules that stay whole.
        suppress_diff_warning: whether to say nothing where training and evaluation differ.
        concrete_args: values of arguments of `forward` that the graph is specialised to.

    Raises:
        ValueError: the arguments do not say what is wanted, or there is no such node.
    """
    wanted = _wanted(return_nodes, train_return_nodes, eval_return_nodes)
    options, was_training = _with_defaults(tracer_kwargs), model.training
    tracers, graphs, owners = [], [], []
    for training, names in zip((True, False), wanted, strict=True):
        tracer, graph = _traced(model, training, options, concrete_args)
        owners.append(fx.GraphModule(tracer.root, graph))  # a graph asks it which calls only compute
        _cut(tracer, graph, _names(names))
        tracers.append(tracer)
        graphs.append(graph)
    if not suppress_diff_warning:
        _warn_graph_differences(*tracers)
    made = DualGraphModule(model, *graphs, class_name=type(model).__name__)
    model.train(was_training)
    return made.train(was_training)
