"""``torch.compile`` and what surrounds it takes what PyTorch's takes, and changes no number."""

from __future__ import annotations

import copy
import importlib
import pickle
from typing import Any

import pytest

import flambeau as torch
from flambeau import nn
from flambeau._dynamo.eval_frame import OptimizedModule
from flambeau._dynamo.exc import InvalidBackend


class Net(nn.Module):
    """A layer, a number and a method of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.scale = 2.0

    def forward(self, x: Any) -> Any:
        return self.layer(x) * self.scale

    def twice(self) -> float:
        return self.scale * 2


@torch.compile
def plain(x: Any) -> Any:
    """The function's own text."""
    return x * 2


@torch.compile(fullgraph=True, dynamic=False, mode="max-autotune")
def configured(x: Any, *, more: int = 0) -> Any:
    return x + more


def test_functions() -> None:
    x = torch.arange(3.0)
    assert plain(x).tolist() == [0, 2, 4] and configured(x, more=1).tolist() == [1, 2, 3]
    assert plain.__name__ == "plain" and plain.__doc__ == "The function's own text."
    assert plain._torchdynamo_orig_callable is not plain and configured.__name__ == "configured"
    assert torch.compile(plain, backend="eager", options=None, disable=True) is plain
    assert torch.compile(Net) is Net
    assert torch.compile(backend="aot_eager", options={"max_autotune": True})(len)([1, 2]) == 2


def test_a_module() -> None:
    torch.manual_seed(0)
    net = Net()
    compiled = torch.compile(net, mode="reduce-overhead")
    x = torch.randn(4, 3)
    assert torch.equal(compiled(x), net(x))
    assert isinstance(compiled, OptimizedModule) and isinstance(compiled, nn.Module)
    assert compiled._orig_mod is net and compiled.layer is net.layer and compiled.twice() == 4
    assert list(compiled.state_dict()) == ["_orig_mod.layer.weight", "_orig_mod.layer.bias"]
    assert [name for name, _ in compiled.named_parameters()] == ["_orig_mod.layer.weight", "_orig_mod.layer.bias"]
    assert [name for name, _ in compiled.named_modules()] == ["", "_orig_mod", "_orig_mod.layer"]
    assert repr(compiled).startswith("OptimizedModule(\n  (_orig_mod): Net(\n")
    assert {"twice", "_orig_mod", "state_dict"} <= set(dir(compiled))
    assert torch.compile(compiled) is compiled


def test_attributes_are_the_modules() -> None:
    net = Net()
    compiled = torch.compile(net)
    compiled.scale = 5.0
    compiled.extra = nn.Linear(1, 1)
    assert net.scale == 5 and net.extra is compiled.extra and "_orig_mod.extra.bias" in compiled.state_dict()
    del compiled.extra
    assert not hasattr(net, "extra")
    assert not compiled.eval().training and not net.training and not net.layer.training
    net.train()
    assert compiled.training
    with pytest.raises(AttributeError, match="'Net' object has no attribute 'nothing'"):
        compiled.nothing  # noqa: B018


def test_lengths() -> None:
    assert len(torch.compile(nn.Sequential(nn.ReLU(), nn.ReLU()))) == 2
    compiled = torch.compile(Net())
    assert compiled
    with pytest.raises(TypeError, match=r"^Net does not support len\(\)$"):
        len(compiled)


def test_training_and_hooks() -> None:
    net = Net()
    compiled = torch.compile(net)
    seen = []
    compiled.register_forward_hook(lambda *_: seen.append("outer"))
    net.register_forward_hook(lambda *_: seen.append("inner"))
    optimizer = torch.optim.SGD(compiled.parameters(), lr=0.1)
    before = net.layer.weight.detach().clone()
    compiled(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    assert seen == ["inner", "outer"] and not torch.equal(net.layer.weight, before)


def test_copies_and_files() -> None:
    compiled = torch.compile(Net())
    for other in (copy.deepcopy(compiled), pickle.loads(pickle.dumps(compiled))):
        assert type(other) is OptimizedModule and other._orig_mod is not compiled._orig_mod
        assert torch.equal(other.layer.weight, compiled.layer.weight)
    assert copy.copy(compiled)._orig_mod is compiled._orig_mod
    plain_state = {name.removeprefix("_orig_mod."): value for name, value in compiled.state_dict().items()}
    Net().load_state_dict(plain_state)
    with pytest.raises(RuntimeError, match=r'Missing key.*"_orig_mod\.layer\.weight"'):
        compiled.load_state_dict(plain_state)


def test_lazy_modules() -> None:
    compiled = torch.compile(nn.LazyLinear(4))
    assert compiled(torch.ones(2, 3)).shape == (2, 4) and compiled.weight.shape == (4, 3)


def test_in_place() -> None:
    net = Net()
    assert net.compile(fullgraph=True) is None
    assert net(torch.ones(1, 3)).shape == (1, 2) and list(net.state_dict()) == ["layer.weight", "layer.bias"]


WRONG: list[tuple[Any, type[Exception], str]] = [
    (lambda m: torch.compile(m, mode="x"), RuntimeError, "Unrecognized mode=x, should be one of: default, lite, "),
    (lambda m: torch.compile(m, mode="default", options={}), RuntimeError, "Either mode or options can be specified"),
    (lambda m: torch.compile(m, backend="nosuch"), InvalidBackend, "Invalid backend: 'nosuch', see `torch._dynamo"),
    (lambda m: torch.compile(m, dynamic=3), AssertionError, "Expected enable to be a bool, got <class 'int'>"),
    (lambda m: torch.compile(3), AssertionError, "A callable function is expected, but <class 'int'> is provided."),
    (lambda m: torch.compile(m, backend=print), NotImplementedError, "needs an FX graph"),
    (lambda m: torch.compile(m, 3), TypeError, "positional argument"),
]


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_wrong_arguments(number: int) -> None:
    call, error, message = WRONG[number]
    with pytest.raises(error) as raised:
        call(Net())
    assert message in str(raised.value)


def test_names_around_it() -> None:
    dynamo, inductor = (importlib.import_module(f"flambeau.{name}") for name in ("_dynamo", "_inductor"))
    assert torch.compiler.list_backends() == ["cudagraphs", "inductor", "openxla", "tvm"]
    assert "eager" in dynamo.list_backends(None) and torch.compiler.compile is torch.compile
    assert not torch.compiler.is_compiling() and not torch.compiler.is_exporting()
    assert dynamo.optimize("inductor", nopython=True)(len)([1]) == 1
    with torch.compiler.set_stance("force_eager"):
        assert torch.compiler.set_stance("default")(plain) is plain
    torch.compiler.cudagraph_mark_step_begin()
    torch.compiler.reset()
    for nothing in (dynamo.mark_dynamic, dynamo.mark_static, dynamo.maybe_mark_dynamic):
        nothing(torch.ones(2), 0)
    assert importlib.import_module("flambeau._inductor.config") is inductor.config
    dynamo.config.suppress_errors = True
    inductor.config.cpp.threads = 3
    with dynamo.config.patch(recompile_limit=3, unheard_of=1), inductor.config.patch({"cpp.threads": 4}):
        assert (dynamo.config.recompile_limit, dynamo.config.unheard_of, inductor.config.cpp.threads) == (3, 1, 4)
    assert (dynamo.config.recompile_limit, inductor.config.cpp.threads) == (8, 3)
    with pytest.raises(AttributeError):
        dynamo.config.unheard_of  # noqa: B018
    for refused in (dynamo.explain, dynamo.export):
        with pytest.raises(NotImplementedError):
            refused(plain)


def test_flags_of_backends() -> None:
    backends = importlib.import_module("flambeau.backends")
    before = backends.cudnn.set_flags(_benchmark=True)
    assert backends.cudnn.benchmark is True and before[:3] == (True, False, None)
    backends.cudnn.set_flags(_benchmark=False)
    backends.mkldnn.matmul.fp32_precision = "bf16"
    with pytest.raises(AttributeError, match="Unknown attribute speed"):
        backends.mkldnn.conv.speed = 3
    with pytest.raises(RuntimeError, match="Unknown precision: x"):
        backends.cudnn.conv.fp32_precision = "x"
    with backends.mkl.verbose(backends.mkl.VERBOSE_ON), backends.mkldnn.verbose(backends.mkldnn.VERBOSE_OFF):
        pass
    with pytest.raises(RuntimeError, match="without MPS backend"):
        backends.mps.is_macos13_or_newer()
    assert not backends.flags_frozen() and not backends.cusparselt.is_available()


def test_limits_of_the_tracer_are_blocks_that_change_nothing() -> None:
    with torch._dynamo.utils.disable_cache_limit():
        assert torch.compile(torch.neg)(torch.ones(1)).item() == -1
    assert not torch._dynamo.utils.counters["graph_break"]
