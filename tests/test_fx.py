"""``torch.fx``: graphs, their text and code are PyTorch's; running them gives what the traced program gives."""

from __future__ import annotations

import copy
import functools
import json
import operator
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import _fx_cases as cases
import pytest
from _fx_cases import leaf

import flambeau as torch
from flambeau import fx, nn
from flambeau.fx import passes, traceback
from flambeau.fx.experimental import optimization
from flambeau.fx.experimental.rewriter import RewritingTracer
from flambeau.fx.passes.shape_prop import ShapeProp
from flambeau.fx.passes.split_module import split_module
from flambeau.fx.passes.split_utils import split_by_tags
from flambeau.fx.passes.utils.matcher_utils import SubgraphMatcher
from flambeau.fx.proxy import GraphAppendingTracer, ParameterProxy
from flambeau.fx.subgraph_rewriter import replace_pattern_with_filters

WANTED = json.loads(cases.GOLDEN.read_text(encoding="utf-8"))
fx.wrap("leaf")
fx.wrap("len")


@functools.cache
def found() -> dict[str, Any]:
    """What all cases show here."""
    return cases.outcomes(torch)


def test_all_cases_are_golden() -> None:
    assert list(found()) == list(WANTED)


@pytest.mark.parametrize("name", WANTED)
def test_as_pytorch(name: str) -> None:
    assert found()[name] == WANTED[name]


@pytest.mark.live
def test_golden_values_are_pytorchs() -> None:
    pytest.importorskip("torch")
    code = "import json, _fx_cases as c, torch; print(json.dumps(c.outcomes(torch)))"
    where = Path(cases.__file__).parent
    out = subprocess.run([sys.executable, "-c", code], cwd=where, capture_output=True, text=True, check=True).stdout
    assert json.loads(out) == WANTED


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 4)
        self.scale = nn.Parameter(torch.arange(4.0))
        self.register_buffer("mean", torch.zeros(4))
        self.unused = nn.Linear(2, 2)

    def forward(self, x: Any, factor: float = 2.0) -> Any:
        y = torch.relu(self.linear(x) - self.mean) * self.scale
        return torch.cat([y, y.sin()], 1).sum(dim=-1) * factor


def traced_net() -> tuple[Net, fx.GraphModule, Any]:
    torch.manual_seed(0)
    net = Net()
    return net, fx.symbolic_trace(net), torch.randn(5, 3)


def test_the_traced_module_computes_the_same_and_shares_parameters() -> None:
    net, traced, x = traced_net()
    assert torch.equal(traced(x), net(x)) and torch.equal(traced(x, 3.0), net(x, 3.0))
    traced(x).sum().backward()
    assert net.scale.grad is not None and traced.scale is net.scale
    assert type(traced).__name__ == "Net" and not hasattr(traced, "unused")


@pytest.mark.parametrize("again", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m)), copy.copy])
def test_copies(again: Any) -> None:
    net, traced, x = traced_net()
    traced.training = False
    other = again(traced)
    assert other.code == traced.code and torch.equal(other(x), net(x)) and not other.training
    other.graph.lint()
    assert [n.op for n in other.graph.nodes] == [n.op for n in traced.graph.nodes]


def test_written_as_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net, traced, x = traced_net()
    traced.to_folder(tmp_path / "written_net", "Written")
    monkeypatch.syspath_prepend(str(tmp_path))
    code = (
        (tmp_path / "written_net" / "module.py").read_text().replace("import torch\n", "import flambeau as torch\n", 1)
    )
    scope: dict[str, Any] = {}
    for line in (
        "from torch import device",
        "import torch.fx._pytree as fx_pytree",
        "import torch.utils._pytree as pytree",
    ):
        code = code.replace(line, "")
    code = code.replace("\nimport torch\n", "\n").replace("from torch.nn import *", "from flambeau.nn import *")
    exec(code, scope)
    assert torch.equal(scope["Written"]()(x), net(x))


def test_interpreter_and_transformer() -> None:
    net, traced, x = traced_net()
    assert torch.equal(fx.Interpreter(traced).run(x), net(x))

    class Neg(fx.Transformer):
        def call_method(self, target: Any, args: Any, kwargs: Any) -> Any:
            return torch.neg(args[0]) if target == "sin" else super().call_method(target, args, kwargs)

    made = Neg(traced).transform()
    assert "torch.neg" in made.code and ".sin" not in made.code
    assert not torch.equal(made(x), net(x))

    broken = fx.symbolic_trace(lambda x: x.no_such_method())
    with pytest.raises(AttributeError, match="While executing %no_such_method"):
        fx.Interpreter(broken).run(x)


def test_functions_are_torchs_own_again_after_tracing() -> None:
    before = torch.relu, nn.functional.relu, torch.Tensor.add, nn.Module.__call__
    fx.symbolic_trace(lambda x: torch.relu(x))
    with pytest.raises(fx.TraceError):
        fx.symbolic_trace(lambda x: torch.relu(x) if x else x)
    graph = fx.Graph()
    x = fx.Proxy(graph.placeholder("x"))
    assert torch.relu == before[0] and torch.relu(x).node.target is before[0]
    del x
    assert before == (torch.relu, nn.functional.relu, torch.Tensor.add, nn.Module.__call__)
    assert torch.relu is before[0]


def test_proxies_outside_of_tracing() -> None:
    graph = fx.Graph()
    x = fx.Proxy(graph.placeholder("x"))
    y = torch.stack([x, torch.ones(2).add(x)] if False else [x, x * 2], dim=0).mean(0)
    graph.output(y.node)
    module = fx.GraphModule(nn.Module(), graph)
    assert module(torch.tensor([1.0, 3.0])).tolist() == [1.5, 4.5]
    other = fx.Proxy(fx.Graph().placeholder("y"))
    with pytest.raises(RuntimeError, match="Found multiple different tracers"):
        torch.add(x, other)
    assert isinstance(x.tracer, GraphAppendingTracer) and repr(x) == "Proxy(x)"


def test_functions_that_were_taken_before_tracing_are_recorded() -> None:
    div, cat = torch.div, torch.cat

    class Taken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act, self.more = torch.tanh, [nn.functional.softmax]

        def forward(self, x: Any) -> Any:
            return cat([div(x, 2), self.more[0](self.act(x), 0)])

    net = Taken()
    traced = fx.symbolic_trace(net)
    names = [n.target for n in traced.graph.nodes if n.op == "call_function"]
    assert (
        names == [torch.div, torch.tanh, nn.functional.softmax, torch.cat]
        and net.act is torch.tanh
        and div is torch.div
    )
    assert torch.equal(traced(torch.ones(2)), net(torch.ones(2)))


def test_wrapped_functions_stay_calls() -> None:
    traced = fx.symbolic_trace(lambda x: leaf(x, len(x)))
    assert [n.target for n in traced.graph.nodes if n.op == "call_function"] == [len, leaf]
    assert traced(torch.ones(2)).tolist() == [3.0, 3.0] and traced(-torch.ones(2)).tolist() == [-3.0, -3.0]
    assert pickle.loads(pickle.dumps(traced)).code == traced.code
    with pytest.raises(RuntimeError, match="Unsupported type for global function"):
        fx.wrap(3)
    with pytest.raises(NotImplementedError, match="top level"):
        fx.wrap("leaf")


def test_tracers_decide_what_stays_a_call() -> None:
    class Whole(fx.Tracer):
        def is_leaf_module(self, m: Any, module_qualified_name: str) -> bool:
            return True

    outer = nn.Sequential(Net(), nn.Flatten(0))
    assert [n.op for n in Whole().trace(outer).nodes] == ["placeholder", "call_module", "call_module", "output"]
    assert len(fx.Tracer().trace(outer).nodes) > 8

    class Shape(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(2, 3))

        def forward(self, x: Any) -> Any:
            return x * 2 if self.weight.shape[0] == 2 and self.weight.dim() == 2 else x

    tracer = fx.Tracer(param_shapes_constant=True)
    assert [n.name for n in tracer.trace(Shape()).nodes if n.op == "call_function"] == ["mul"]
    with pytest.raises(fx.TraceError, match="control flow"):
        fx.symbolic_trace(Shape())
    assert issubclass(ParameterProxy, fx.Proxy)


def test_asserts_are_recorded_by_the_rewriting_tracer() -> None:
    class Checked(nn.Module):
        def forward(self, x: Any) -> Any:
            assert x.sum() > 0, "not positive"
            return x + 1

    module = Checked()
    traced = fx.GraphModule(module, RewritingTracer().trace(module))
    assert traced(torch.ones(2)).tolist() == [2.0, 2.0]
    with pytest.raises(AssertionError, match="not positive"):
        traced(-torch.ones(2))


def test_graph_edits() -> None:
    graph = fx.Graph()
    x, y = graph.placeholder("x"), graph.placeholder("y", default_value=2)
    total = graph.call_function(operator.add, (x, y))
    out = graph.output(total)
    with graph.inserting_before(out):
        neg = graph.call_method("neg", (total,))
    out.args = (neg,)
    total.replace_all_uses_with(x, delete_user_cb=lambda user: user is neg)
    assert neg.args == (x,) and list(x.users) == [total, neg] and total.users == {}
    with pytest.raises(RuntimeError, match=r"Tried to erase Node neg but it still had 1 users"):
        graph.erase_node(neg)
    graph.erase_node(total)
    with pytest.warns(UserWarning, match="already erased"):
        graph.erase_node(total)
    assert [n.name for n in graph.nodes] == ["x", "y", "neg", "output"]
    assert [n.name for n in reversed(graph.nodes)] == ["output", "neg", "y", "x"]
    assert graph.find_nodes(op="call_method", target="neg") == [neg] and graph.output_node() is out
    neg.append(y)
    assert [n.name for n in graph.nodes] == ["x", "neg", "y", "output"] and neg < y and y > x
    graph.lint()
    y.prepend(out)
    neg.update_kwarg("dim", 1)
    neg.insert_arg(1, 5)
    neg.update_arg(1, [6])
    assert neg.args == (x, [6]) and neg.kwargs == {"dim": 1}
    with pytest.raises(TypeError, match="does not support mutation"):
        neg.args[1].append(3)
    x.prepend(neg)
    with pytest.raises(RuntimeError, match="was used before it has been defined"):
        graph.lint()
    with pytest.raises(ValueError, match="a Callable is expected"):
        graph.call_function("relu", (x,))


def test_what_a_graph_names_must_be_there() -> None:
    _, traced, _ = traced_net()
    with pytest.warns(UserWarning, match="no underlying reference"), traced.graph.inserting_after():
        traced.graph.call_module("absent", ())
    with pytest.raises(RuntimeError, match="references nonexistent attribute absent"):
        traced.graph.lint()
    with pytest.raises(RuntimeError, match="referenced target linear but that target was not provided"):
        fx.GraphModule({}, traced.graph)


def test_submodules() -> None:
    _, traced, _ = traced_net()
    assert traced.add_submodule("a.b.c", nn.Linear(1, 1)) and not traced.add_submodule("scale.b", nn.Linear(1, 1))
    assert traced.delete_submodule("a.b.c") and not traced.delete_submodule("a.b.c")
    traced.delete_all_unused_submodules()
    assert [name for name, _ in traced.named_children()] == ["linear"]


def test_dead_code() -> None:
    traced = fx.symbolic_trace(lambda x: [torch.sin(x), torch._assert(x.sum() > 0, "?"), torch.rand_like(x), x][-1])
    assert traced.graph.eliminate_dead_code() and not traced.graph.eliminate_dead_code()
    left = [n.name for n in traced.graph.nodes]
    assert left == ["x", "sum_1", "gt", "_assert", "rand_like", "output"]
    assert traced.graph.eliminate_dead_code(lambda n: n.op in ("placeholder", "output"))


def test_patterns() -> None:
    def f(x: Any, y: Any) -> Any:
        return torch.relu(x + y) + torch.relu(x * 2 + y) + torch.relu(x - y)

    traced = fx.symbolic_trace(f)
    x, y = torch.randn(4), torch.randn(4)
    matches = fx.replace_pattern(
        traced, lambda a, b: torch.relu(a + b), lambda a, b: torch.maximum(a + b, torch.zeros_like(a))
    )
    assert [m.anchor.name for m in matches] == ["relu", "relu"] and torch.equal(traced(x, y), f(x, y))
    assert traced.code.count("torch.relu") == 1 and traced.code.count("torch.maximum") == 2

    traced = fx.symbolic_trace(lambda x: x * 2 + x * 3)
    done = replace_pattern_with_filters(
        traced, lambda a: a * 5, lambda a: -a, [lambda match, graph, pattern: match.anchors[0].name == "mul"], True
    )
    assert len(done) == 2 and traced(torch.ones(1)).item() == -2
    with pytest.raises(ValueError, match="empty pattern"):
        SubgraphMatcher(fx.Graph())


def test_a_value_that_others_use_is_no_inner_part_of_a_pattern() -> None:
    def f(x: Any) -> Any:
        inner = torch.sin(x)
        return torch.cos(inner) + inner

    traced = fx.symbolic_trace(f)
    assert fx.replace_pattern(traced, lambda a: torch.cos(torch.sin(a)), lambda a: a) == []


def test_shapes_of_all_nodes() -> None:
    _, traced, x = traced_net()
    ShapeProp(traced).propagate(x)
    meta = {n.name: n.meta["tensor_meta"] for n in traced.graph.nodes if "tensor_meta" in n.meta}
    assert meta["linear"].shape == (5, 4) and meta["cat"].shape == (5, 8) and meta["cat"].dtype is torch.float32
    assert meta["cat"].requires_grad and not meta["x"].requires_grad and meta["x"].stride == (3, 1)


def test_modules_of_parts() -> None:
    net, traced, x = traced_net()
    names: dict[str, str] = {}
    split = split_module(traced, net, lambda n: int(n.name not in ("linear", "sub")), names)
    assert [name for name, _ in split.named_children()] == ["submod_0", "submod_1"]
    assert torch.equal(split(x), net(x)) and names["submod_0.linear"] == "linear"
    order = iter([0, 1, 0])
    with pytest.raises(RuntimeError, match="cycle exists between partitions"):
        split_module(fx.symbolic_trace(lambda x: x.sin().cos().tan()), nn.Module(), lambda n: next(order))


def test_parts_by_tags() -> None:
    net, traced, x = traced_net()
    for node in traced.graph.nodes:
        if node.op.startswith("call"):
            node.tag = "head" if node.name == "linear" else "tail"
    split, names = split_by_tags(traced, ["head", "tail"], return_fqn_mapping=True)
    assert [name for name, _ in split.named_children()] == ["head", "tail"] and names == {"linear": "head.linear"}
    assert torch.equal(split(x), net(x)) and "head = self.head(x)" in split.code


def test_layers_are_fused_for_inference() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3),
        nn.BatchNorm2d(2),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(8, 3),
        nn.BatchNorm1d(3),
    )
    x = torch.randn(4, 1, 4, 4)
    net(x)
    net.eval()
    fused = optimization.fuse(net)
    assert [n.target for n in fused.graph.nodes if n.op == "call_module"] == ["0", "2", "3", "4", "5"]
    torch.testing.assert_close(fused(x), net(x))
    assert isinstance(net[1], nn.BatchNorm2d) and not torch.equal(fused.get_submodule("0").weight, net[0].weight)
    bare = optimization.remove_dropout(net)
    assert torch.equal(bare(x), net(x)) and "3" not in dict(bare.named_children())
    nodes = [n for n in bare.graph.nodes if n.name in ("_2", "_4")]
    part = optimization.extract_subgraph(bare, nodes, nodes[0].all_input_nodes, nodes[-1:])
    assert part(-x)[0].abs().sum() == x.neg().relu().sum()


def test_pictures_need_pydot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RuntimeError, match="requires the pydot package"):
        passes.graph_drawer.FxGraphDrawer(traced_net()[1], "net")


def test_meta_of_nodes_is_kept_where_it_is_asked_for() -> None:
    _, traced, _ = traced_net()
    for node in traced.graph.nodes:
        node.meta["stack_trace"] = f"line of {node.name}"
    with traceback.preserve_node_meta():
        made = fx.Transformer(traced).transform()
    assert {n.meta.get("stack_trace") for n in made.graph.nodes if n.op == "call_function"} == {
        f"line of {n.name}" for n in traced.graph.nodes if n.op == "call_function"
    }
    assert not traceback.has_preserved_node_meta()


def test_code_may_be_changed_before_it_is_compiled() -> None:
    _, traced, x = traced_net()
    with traced.graph.on_generate_code(lambda before: lambda lines: ["factor = factor + 1\n", *lines]):
        traced.recompile()
        assert torch.equal(traced(x, 1.0), traced_net()[0](x, 2.0))
    traced.recompile()
    assert "factor + 1" not in traced.code


def test_an_error_in_traced_code_names_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    traced = fx.symbolic_trace(lambda x: x.no_such_method())
    with pytest.raises(AttributeError):
        traced(torch.ones(1))
    assert "of the traced Module's generated forward function" in capsys.readouterr().err
