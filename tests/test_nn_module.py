"""`nn.Module`, parameters, containers and `nn.utils` behave as in PyTorch."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from collections import OrderedDict
from typing import Any

import pytest

import flambeau as torch
from flambeau import nn


class Net(nn.Module):
    """Parameters, buffers and a submodule under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(2, 3)
        self.b = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
        self.p = nn.Parameter(torch.ones(2))
        self.register_buffer("buf", torch.zeros(2))
        self.register_buffer("hidden", torch.zeros(1), persistent=False)
        self.register_parameter("none", None)
        self.tied = self.a

    def forward(self, x: Any) -> Any:
        return self.b(self.a(x))


class Empty(nn.Module):
    """The identity."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return args, kwargs


def names(pairs: Any) -> list[str]:
    return [name for name, _ in pairs]


def message_of(call: Any, error: type[Exception]) -> str:
    with pytest.raises(error) as caught:
        call()
    return str(caught.value.args[0])


# ---- attributes ----------------------------------------------------------------


def test_listing() -> None:
    net = Net()
    own = ["p", "a.weight", "a.bias", "b.0.weight", "b.0.bias"]
    assert names(net.named_parameters()) == own
    assert names(net.named_parameters(remove_duplicate=False)) == [*own, "tied.weight", "tied.bias"]
    assert names(net.named_parameters("x", recurse=False)) == ["x.p"]
    assert names(net.named_modules()) == ["", "a", "b", "b.0", "b.1"]
    assert names(net.named_modules(remove_duplicate=False)) == ["", "a", "b", "b.0", "b.1", "tied"]
    assert names(net.named_children()) == ["a", "b"]
    assert names(net.named_buffers()) == ["buf", "hidden"]
    assert len(list(net.parameters())) == 5 and len(list(net.buffers())) == 2 and len(list(net.modules())) == 5
    assert {"a", "p", "buf", "none", "forward"} <= set(dir(net)) and "0" not in dir(net.b)


def test_parameters_are_plain_attributes() -> None:
    layer = nn.Linear(2, 3)
    assert layer.__dict__["weight"] is layer._parameters["weight"] is layer.weight
    assert not hasattr(nn.Module, "__getattr__")
    layer = nn.Linear(2, 3, bias=False)
    assert layer.__dict__["bias"] is None


def test_direct_writes_are_seen() -> None:
    net = Net()
    new = nn.Parameter(torch.zeros(2))
    net._parameters["p"] = new
    assert net.p is new
    del net._parameters["p"]
    assert not hasattr(net, "p")
    net._buffers["more"] = torch.ones(1)
    assert net.more.item() == 1
    net._buffers.update(more=torch.zeros(1), third=torch.ones(1))
    assert net.more.item() == 0 and net.third.item() == 1
    assert net._modules.pop("b") is not None and not hasattr(net, "b")
    net._modules = OrderedDict(c=nn.ReLU())
    assert isinstance(net.c, nn.ReLU) and not hasattr(net, "a")
    net._modules.clear()
    assert not hasattr(net, "c")
    assert net._parameters.setdefault("s", nn.Parameter(torch.ones(1))) is net.s
    assert net._parameters.popitem()[0] == "s" and not hasattr(net, "s")


def test_setstate_without_super() -> None:
    class Raw(nn.Linear):
        def __getstate__(self) -> Any:
            return self.__dict__.copy()

        def __setstate__(self, state: Any) -> None:
            self.__dict__.update(state)

    layer = pickle.loads(pickle.dumps(nn.Linear(2, 2)))
    layer.__class__ = Raw
    layer = copy.deepcopy(layer)
    layer.weight = nn.Parameter(torch.ones(2, 2))
    assert layer._parameters["weight"] is layer.weight
    layer._parameters["weight"] = nn.Parameter(torch.zeros(2, 2))
    assert layer(torch.ones(1, 2)).tolist() == [layer.bias.tolist()]


def test_class_attributes_hide_submodules() -> None:
    class Hiding(nn.Module):
        layer = None

        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.ReLU()  # PyTorch registers it, and finds the attribute of the class

    net = Hiding()
    assert net.layer is None and isinstance(net._modules["layer"], nn.ReLU)
    net._modules["forward"] = nn.ReLU()
    assert not isinstance(net.forward, nn.Module)


def test_modules_are_freed_at_once() -> None:
    net = Net()
    gone = weakref.ref(net)
    gc.disable()
    try:
        del net
        assert gone() is None
    finally:
        gc.enable()


def test_assigning() -> None:
    net = Net()
    net.none = nn.Parameter(torch.ones(1))
    assert "none" in names(net.named_parameters())
    net.none = None
    assert net.none is None and "none" in net._parameters
    net.buf = None
    assert "buf" not in net.state_dict()
    net.buf = torch.ones(3)
    assert "buf" in net.state_dict()
    net.plain = 3
    net.plain = nn.Parameter(torch.ones(1))
    assert "plain" in net._parameters
    del net.plain
    assert not hasattr(net, "plain")
    net.b = None
    assert repr(net).splitlines()[2] == "  (b): None"


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            lambda m: setattr(m, "p", torch.ones(2)),
            TypeError,
            "cannot assign 'torch.FloatTensor' as parameter 'p' (torch.nn.Parameter or None expected)",
        ),
        (
            lambda m: setattr(m, "a", 3),
            TypeError,
            "cannot assign 'int' as child module 'a' (torch.nn.Module or None expected)",
        ),
        (
            lambda m: setattr(m, "buf", "x"),
            TypeError,
            "cannot assign 'str' as buffer 'buf' (torch.nn.Buffer, torch.Tensor or None expected)",
        ),
        (lambda m: m.register_buffer("a", torch.ones(1)), KeyError, "attribute 'a' already exists"),
        (lambda m: m.register_buffer("a.b", None), KeyError, 'buffer name can\'t contain "."'),
        (lambda m: m.register_buffer("", None), KeyError, 'buffer name can\'t be empty string ""'),
        (lambda m: m.register_buffer(3, None), TypeError, "buffer name should be a string. Got int"),
        (
            lambda m: m.register_buffer("q", 3),
            TypeError,
            "cannot assign 'int' object to buffer 'q' (torch Tensor or None required)",
        ),
        (
            lambda m: m.register_parameter("q", torch.ones(1)),
            TypeError,
            "cannot assign 'torch.FloatTensor' object to parameter 'q' (torch.nn.Parameter or None required)",
        ),
        (lambda m: m.register_parameter("forward", None), KeyError, "attribute 'forward' already exists"),
        (lambda m: m.add_module("q", 3), TypeError, "int is not a Module subclass"),
        (lambda m: m.add_module("a.b", nn.ReLU()), KeyError, 'module name can\'t contain ".", got: a.b'),
        (lambda m: m.get_submodule("b.7"), AttributeError, "Sequential has no attribute `7`"),
        (lambda m: m.get_submodule("p"), AttributeError, "`p` is not an nn.Module"),
        (lambda m: m.get_parameter("buf"), AttributeError, "`buf` is not an nn.Parameter"),
        (lambda m: m.get_buffer("p"), AttributeError, "`p` is not a buffer"),
        (lambda m: m.set_submodule("", m), ValueError, "Cannot set the submodule without a target name!"),
        (lambda m: m.set_submodule("p", nn.ReLU()), AttributeError, "`p` is not an nn.Module"),
        (lambda m: m.train(3), ValueError, "training mode is expected to be boolean"),
        (lambda m: m.foo, AttributeError, "'Net' object has no attribute 'foo'"),
        (lambda m: nn.Module(3), TypeError, "Module.__init__() takes 1 positional argument but 2 were given"),
        (lambda m: nn.Module(a=3), TypeError, "Module.__init__() got an unexpected keyword argument 'a'"),
        (lambda m: nn.Module()(3), NotImplementedError, 'Module [Module] is missing the required "forward" function'),
        (
            lambda m: m.to(torch.int32),
            TypeError,
            "nn.Module.to only accepts floating point or complex dtypes, but got desired dtype=torch.int32",
        ),
        (lambda m: m.load_state_dict([1]), TypeError, "Expected state_dict to be dict-like, got <class 'list'>."),
    ],
)
def test_errors(change: Any, error: type[Exception], message: str) -> None:
    assert message_of(lambda: change(Net()), error) == message


def test_assigning_before_init() -> None:
    class Early(nn.Module):
        def __init__(self, value: Any) -> None:
            self.x = value

    assert message_of(lambda: Early(nn.ReLU()), AttributeError) == (
        "cannot assign module before Module.__init__() call"
    )
    assert message_of(lambda: Early(nn.Parameter(torch.ones(1))), AttributeError) == (
        "cannot assign parameters before Module.__init__() call"
    )
    assert Early(3).x == 3


def test_finding() -> None:
    net = Net()
    assert net.get_submodule("") is net and net.get_submodule("b.0") is net.b[0]
    assert net.get_parameter("b.0.weight") is net.b[0].weight and net.get_buffer("buf") is net.buf
    net.set_submodule("b.0", nn.Linear(3, 3, bias=False))
    assert repr(net) == (
        "Net(\n  (a): Linear(in_features=2, out_features=3, bias=True)\n  (b): Sequential(\n"
        "    (0): Linear(in_features=3, out_features=3, bias=False)\n    (1): ReLU()\n  )\n"
        "  (tied): Linear(in_features=2, out_features=3, bias=True)\n)"
    )


def test_registration_hooks() -> None:
    from flambeau.nn.modules import module

    seen: list[Any] = []
    handles = [
        module.register_module_parameter_registration_hook(lambda m, n, v: seen.append(n)),
        module.register_module_buffer_registration_hook(lambda m, n, v: seen.append(n)),
        module.register_module_module_registration_hook(lambda m, n, v: seen.append(n)),
    ]
    Net()
    assert seen == ["weight", "bias", "a", "weight", "bias", "0", "1", "b", "p", "buf", "hidden", "tied"]
    for handle in handles:
        handle.remove()
    Net()
    assert len(seen) == 12


# ---- copies --------------------------------------------------------------------


def test_copies() -> None:
    net = Net().eval()
    deep, shallow, loaded = copy.deepcopy(net), copy.copy(net), pickle.loads(pickle.dumps(net))
    for other in (deep, shallow, loaded):
        assert repr(other) == repr(net) and not other.training
        assert list(other.state_dict()) == list(net.state_dict())
    assert deep.tied is deep.a and deep.a.weight is not net.a.weight
    assert loaded.tied is loaded.a
    shallow.p = nn.Parameter(torch.zeros(2))
    assert net.p is shallow.p  # as in PyTorch, the table is the same
    deep.p = nn.Parameter(torch.zeros(2))
    assert deep.p is not net.p and deep._parameters["p"] is deep.p


def test_state_is_pytorchs() -> None:
    state = nn.Linear(2, 3).__getstate__()
    assert "weight" not in state and "_hooked" not in state
    assert list(state)[:3] == ["training", "_parameters", "_buffers"]
    assert {"_modules", "_forward_hooks", "in_features"} <= set(state)


# ---- calls and hooks -----------------------------------------------------------


def test_arguments_of_a_call() -> None:
    net = Empty()
    for _ in range(2):
        assert net() == ((), {})
        assert net(1) == ((1,), {})
        assert net(None) == ((None,), {})
        assert net(1, 2, x=3) == ((1, 2), {"x": 3})
        assert net(input=4) == ((), {"input": 4})
        net.register_forward_hook(lambda *a: None)


def test_forward_hooks() -> None:
    log: list[Any] = []
    net = nn.Linear(2, 2)
    x = torch.ones(1, 2)
    handles = [
        net.register_forward_pre_hook(lambda m, args: log.append("pre")),
        net.register_forward_pre_hook(lambda m, args, kwargs: (args, kwargs), with_kwargs=True, prepend=True),
        net.register_forward_hook(lambda m, args, out: log.append("first") or out * 2),
        net.register_forward_hook(lambda m, args, kwargs, out: log.append("zeroth"), prepend=True, with_kwargs=True),
    ]
    plain = nn.functional.linear(x, net.weight, net.bias)
    assert torch.equal(net(x), plain * 2)
    assert log == ["pre", "zeroth", "first"]
    for handle in handles:
        handle.remove()
    assert torch.equal(net(x), plain) and len(log) == 3 and net._forward_hooks == {}


def test_hooks_put_in_directly() -> None:
    net, log = Empty(), []
    net(1)
    net._forward_hooks[7] = lambda m, a, o: log.append(1)
    net(1)
    net(1)
    net._forward_hooks = OrderedDict()
    net(1)
    assert log == [1, 1]


def test_global_hooks() -> None:
    from flambeau.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

    log: list[Any] = []
    net = nn.Sequential(nn.ReLU(), nn.Tanh())
    handles = [
        register_module_forward_pre_hook(lambda m, a: log.append(type(m).__name__)),
        register_module_forward_hook(lambda m, a, o: log.append(type(m).__name__.lower())),
    ]
    net(torch.ones(1))
    assert log == ["Sequential", "ReLU", "relu", "Tanh", "tanh", "sequential"]
    for handle in handles:
        handle.remove()
    net(torch.ones(1))
    assert len(log) == 6


def test_hooks_that_are_always_called() -> None:
    class Failing(nn.Module):
        def forward(self, x: Any) -> Any:
            raise ValueError("boom")

    net, log = Failing(), []
    net.register_forward_hook(lambda m, a, o: log.append(o), always_call=True)
    net.register_forward_hook(lambda m, a, o: log.append("never"))
    assert message_of(lambda: net(1), ValueError) == "boom"
    assert log == [None]


def test_bad_pre_hook() -> None:
    net = Empty()
    net.register_forward_pre_hook(lambda m, a, k: 3, with_kwargs=True)
    assert message_of(lambda: net(1), RuntimeError) == (
        "forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got 3."
    )


def test_backward_hooks() -> None:
    log: list[Any] = []
    net = nn.Linear(2, 2)
    with torch.no_grad():
        net.weight.fill_(0.5)
    net.register_full_backward_hook(lambda m, gi, go: log.append((gi[0].tolist(), go[0].tolist())))
    net.register_full_backward_pre_hook(lambda m, go: (go[0] * 3,))
    x = torch.ones(1, 2, requires_grad=True)
    net(x).sum().backward()
    assert log == [([[3.0, 3.0]], [[3.0, 3.0]])]
    assert x.grad.tolist() == [[3, 3]] and net.weight.grad.tolist() == [[3, 3], [3, 3]]
    assert message_of(lambda: net.register_backward_hook(lambda *a: None), RuntimeError) == (
        "Cannot use both regular backward hooks and full backward hooks on a single Module. "
        "Please use only one of them."
    )


def test_backward_hook_replaces_gradient() -> None:
    net = nn.Tanh()
    net.register_full_backward_hook(lambda m, gi, go: (torch.full_like(gi[0], 9),))
    x = torch.zeros(2, requires_grad=True)
    net(x).sum().backward()
    assert x.grad.tolist() == [9, 9]


def test_backward_hook_without_input_gradient() -> None:
    log: list[Any] = []
    net = nn.Linear(2, 2)
    net.register_full_backward_hook(lambda m, gi, go: log.append((gi, tuple(go[0].shape))))
    out = net(torch.ones(1, 2)).sum()
    with pytest.warns(UserWarning, match="no inputs require gradients"):
        out.backward()
    assert log == [((None,), (1, 2))]


# ---- state_dict ----------------------------------------------------------------


def test_state_dict() -> None:
    net = Net()
    state = net.state_dict(prefix="n.")
    keys = ["p", "buf", "a.weight", "a.bias", "b.0.weight", "b.0.bias", "tied.weight", "tied.bias"]
    assert list(state) == ["n." + k for k in keys]
    assert state._metadata["n.b.0"] == {"version": 1} and not state["n.p"].requires_grad
    state["n.p"].fill_(5)
    assert net.p.tolist() == [5, 5]
    assert net.state_dict(keep_vars=True)["p"] is net.p
    assert repr(net.load_state_dict(net.state_dict())) == "<All keys matched successfully>"


def test_load_messages() -> None:
    net = Net()
    state: dict[str, Any] = dict(net.state_dict())
    del state["p"]
    state.update({"x.y": 1, "foo": torch.ones(1), "a.weight": torch.ones(1, 1), "buf": 3})
    assert message_of(lambda: net.load_state_dict(state), RuntimeError) == (
        "Error(s) in loading state_dict for Net:\n"
        '\tMissing key(s) in state_dict: "p". \n'
        '\tUnexpected key(s) in state_dict: "x.y", "foo". \n'
        '\tWhile copying the parameter named "buf", expected torch.Tensor or Tensor-like object from checkpoint '
        "but received <class 'int'>\n"
        "\tsize mismatch for a.weight: copying a param with shape torch.Size([1, 1]) from checkpoint, "
        "the shape in current model is torch.Size([3, 2])."
    )
    state = dict(net.state_dict(), q=torch.ones(1))
    del state["p"]
    found = net.load_state_dict(state, strict=False)
    assert repr(found) == "_IncompatibleKeys(missing_keys=['p'], unexpected_keys=['q'])"


def test_load_assign() -> None:
    net = Net()
    new = {k: v + 1 for k, v in net.state_dict().items()}
    net.load_state_dict(new, assign=True)
    assert isinstance(net.p, nn.Parameter) and net.p.requires_grad and net.buf is new["buf"]


def test_state_dict_hooks() -> None:
    net, log = Net(), []
    net.register_state_dict_pre_hook(lambda m, prefix, keep: log.append(("before saving", prefix)))
    net.register_state_dict_post_hook(lambda m, state, prefix, meta: log.append(("saved", meta)))
    net.register_load_state_dict_pre_hook(lambda m, *args: log.append(("before loading", args[1])))
    net.register_load_state_dict_post_hook(lambda m, keys: log.append(("loaded", keys.missing_keys)))
    net.load_state_dict(net.state_dict())
    assert log == [("before saving", ""), ("saved", {"version": 1}), ("before loading", ""), ("loaded", [])]


def test_extra_state() -> None:
    class Extra(nn.Module):
        value = 1

        def get_extra_state(self) -> Any:
            return {"v": self.value}

        def set_extra_state(self, state: Any) -> None:
            self.value = state["v"]

    net = nn.Sequential(Extra())
    net[0].value = 5
    state = net.state_dict()
    assert state == {"0._extra_state": {"v": 5}}
    other = nn.Sequential(Extra())
    other.load_state_dict(state)
    assert other[0].value == 5
    assert 'Missing key(s) in state_dict: "0._extra_state"' in message_of(
        lambda: other.load_state_dict({}), RuntimeError
    )


# ---- conversion ----------------------------------------------------------------


def test_conversion_keeps_parameters() -> None:
    net = Net()
    net(torch.ones(1, 2)).sum().backward()
    p, weight, grad = net.p, net.a.weight, net.a.weight.grad
    net.double()
    assert net.p is p and net.a.weight is weight is net.tied.weight and weight.grad is grad
    assert weight.dtype == weight.grad.dtype == net.buf.dtype == torch.float64
    assert net.to(torch.float16).p.dtype == torch.float16
    assert net.to("cpu", torch.float32).p.dtype == torch.float32
    assert net.to(torch.ones(1, dtype=torch.float64)).p.dtype == torch.float64
    assert net.float().half().bfloat16().p.dtype == torch.bfloat16
    counter = nn.BatchNorm1d(2).double()
    assert counter.num_batches_tracked.dtype == torch.int64


def test_modes_and_gradients() -> None:
    net = Net()
    assert net.eval() is net and not any(m.training for m in net.modules())
    assert net.train().training
    net(torch.ones(1, 2)).sum().backward()
    net.zero_grad(set_to_none=False)
    assert net.a.weight.grad.abs().sum() == 0
    net.zero_grad()
    assert net.a.weight.grad is None
    assert not any(p.requires_grad for p in net.requires_grad_(False).parameters())
    seen: list[Any] = []
    net.apply(lambda m: seen.append(type(m).__name__))
    assert seen == ["Linear", "Linear", "ReLU", "Sequential", "Net"]


# ---- parameters ----------------------------------------------------------------


def test_parameter() -> None:
    data = torch.ones(2)
    p = nn.Parameter(data)
    assert repr(p) == "Parameter containing:\ntensor([1., 1.], requires_grad=True)"
    data.fill_(3)
    assert p.tolist() == [3, 3]
    assert isinstance(p, nn.Parameter) and not isinstance(p.data, nn.Parameter)
    assert type(p * 1) is torch.Tensor and type(p.detach()) is torch.Tensor
    frozen = nn.Parameter(data, requires_grad=False)
    frozen.tag = "mine"
    for other in (copy.deepcopy(frozen), pickle.loads(pickle.dumps(frozen))):
        assert type(other) is nn.Parameter and torch.equal(other, frozen) and not other.requires_grad
    assert pickle.loads(pickle.dumps(frozen)).tag == "mine"
    assert nn.Parameter().shape == (0,)


def test_buffer() -> None:
    net = nn.Module()
    net.x = nn.Buffer(torch.ones(1))
    net.y = nn.Buffer(torch.ones(1), persistent=False)
    assert list(net.state_dict()) == ["x"] and names(net.named_buffers()) == ["x", "y"]
    assert isinstance(net.x, nn.Buffer) and not isinstance(torch.ones(1), nn.Buffer)
    assert type(net.x) is torch.Tensor


# ---- containers ----------------------------------------------------------------


def kinds(modules: Any) -> list[str]:
    return [type(m).__name__ for m in modules]


def test_sequential() -> None:
    s = nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Tanh())
    assert kinds(s[1:]) == ["ReLU", "Tanh"] and list(s[1:]._modules) == ["1", "2"]
    assert type(s[-1]) is nn.Tanh and len(s + s) == 6 and len(s * 2) == len(2 * s) == 6
    s.insert(1, nn.Sigmoid())
    assert kinds(s) == ["Linear", "Sigmoid", "ReLU", "Tanh"] and list(s._modules) == ["0", "1", "2", "3"]
    del s[0]
    assert list(s._modules) == ["0", "1", "2"] and type(s.pop(-1)) is nn.Tanh
    s.append(nn.ELU()).extend([nn.GELU()])
    s[0] = nn.SiLU()
    assert kinds(s) == ["SiLU", "ReLU", "ELU", "GELU"]
    del s[1:]
    s *= 2
    s += nn.Sequential(nn.ReLU())
    assert kinds(s) == ["SiLU", "SiLU", "ReLU"]
    assert message_of(lambda: s[10], IndexError) == "index 10 is out of range"
    assert message_of(lambda: s.insert(99, nn.ReLU()), IndexError) == "Index out of range: 99"
    named = nn.Sequential(OrderedDict(first=nn.ReLU(), second=nn.Tanh()))
    assert type(named.second) is nn.Tanh


def test_module_list() -> None:
    layers = nn.ModuleList([*(nn.Linear(1, 1) for _ in range(3)), nn.ReLU()])
    assert repr(layers) == (
        "ModuleList(\n  (0-2): 3 x Linear(in_features=1, out_features=1, bias=True)\n  (3): ReLU()\n)"
    )
    layers.insert(1, nn.Tanh())
    layers += [nn.ELU()]
    del layers[0]
    assert kinds(layers) == ["Tanh", "Linear", "Linear", "ReLU", "ELU"]
    assert type(layers.pop(-1)) is nn.ELU and kinds(layers[:1] + [nn.GELU()]) == ["Tanh", "GELU"]
    assert repr(nn.ModuleList()) == "ModuleList()"
    assert message_of(lambda: layers[20], IndexError) == "index 20 is out of range"


def test_module_dict() -> None:
    d = nn.ModuleDict({"b": nn.Linear(1, 1), "a": nn.ReLU()})
    assert list(d) == list(d.keys()) == ["b", "a"] and "a" in d and len(d) == 2
    d.update([["z", nn.ELU()]])
    assert type(d.pop("a")) is nn.ReLU and kinds(d.values()) == ["Linear", "ELU"]
    assert message_of(lambda: d.__setitem__("keys", nn.ReLU()), KeyError) == "attribute 'keys' already exists"
    d.clear()
    assert len(d) == 0


def test_parameter_list() -> None:
    values = nn.ParameterList([torch.ones(2), nn.Parameter(torch.ones(3, 2)), 4])
    values.append(torch.ones(1))
    assert repr(values) == (
        "ParameterList(\n    (0): Parameter containing: [torch.float32 of size 2]\n"
        "    (1): Parameter containing: [torch.float32 of size 3x2]\n    (2): Object of type: int\n"
        "    (3): Parameter containing: [torch.float32 of size 1]\n)"
    )
    assert names(values.named_parameters()) == ["0", "1", "3"] and len(values[1:]) == 3


def test_parameter_dict() -> None:
    d = nn.ParameterDict({"b": torch.ones(2), "a": torch.ones(1)})
    assert list(d) == ["a", "b"] and names(d.named_parameters()) == ["a", "b"]
    d["z"] = 3
    assert d.popitem() == ("z", 3) and d.get("q", 5) == 5 and len(d | d.copy()) == 2
    assert repr(d) == (
        "ParameterDict(\n    (a): Parameter containing: [torch.FloatTensor of size 1]\n"
        "    (b): Parameter containing: [torch.FloatTensor of size 2]\n)"
    )


# ---- nn.utils ------------------------------------------------------------------


def test_clipping() -> None:
    p, q = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(1))
    p.grad, q.grad = torch.tensor([3.0, 0.0]), torch.tensor([4.0])
    total = nn.utils.clip_grad_norm_([p, q], 1.0)
    assert total.item() == 5
    assert p.grad.tolist() == pytest.approx([0.6, 0]) and q.grad.tolist() == pytest.approx([0.8])
    assert nn.utils.clip_grad_norm_(p, 10, float("inf")).item() == pytest.approx(0.6)
    nn.utils.clip_grad_value_([p, q], 0.5)
    assert p.grad.tolist() == [0.5, 0] and nn.utils.get_total_norm([p.grad, q.grad], 1).item() == 1
    q.grad.fill_(float("nan"))
    assert "is non-finite, so it cannot be clipped" in message_of(
        lambda: nn.utils.clip_grad_norm_([q], 1.0, error_if_nonfinite=True), RuntimeError
    )


def test_vectors() -> None:
    net = nn.Linear(2, 1)
    vector = nn.utils.parameters_to_vector(net.parameters())
    assert vector.shape == (3,)
    nn.utils.vector_to_parameters(torch.tensor([1.0, 2.0, 3.0]), net.parameters())
    assert net.weight.tolist() == [[1, 2]] and net.bias.tolist() == [3]


def test_sequences() -> None:
    rnn = nn.utils.rnn
    x = torch.arange(12.0).reshape(3, 2, 2)
    packed = rnn.pack_padded_sequence(x, [3, 2])
    assert packed.batch_sizes.tolist() == [2, 2, 1] and packed.data.shape == (5, 2)
    padded, lengths = rnn.pad_packed_sequence(packed, batch_first=True, padding_value=-1, total_length=4)
    assert padded.shape == (2, 4, 2) and padded[1, 2:].tolist() == [[-1, -1], [-1, -1]] and lengths.tolist() == [3, 2]
    unsorted = rnn.pack_padded_sequence(x, [1, 3], enforce_sorted=False)
    assert unsorted.sorted_indices.tolist() == unsorted.unsorted_indices.tolist() == [1, 0]
    assert rnn.pad_packed_sequence(unsorted)[1].tolist() == [1, 3]
    left = rnn.pad_sequence([torch.ones(1), torch.ones(2)], True, 9, padding_side="left")
    assert left.tolist() == [[9, 1], [1, 1]]
    assert [s.tolist() for s in rnn.unpad_sequence(left, torch.tensor([1, 2]), True)] == [[9], [1, 1]]
    assert message_of(lambda: rnn.pack_padded_sequence(x, [2, 3]), RuntimeError).startswith(
        "`lengths` array must be sorted in decreasing order"
    )


def test_functional_call() -> None:
    net = nn.Linear(2, 1)
    weight = net.weight
    with pytest.warns(FutureWarning):
        out = nn.utils.stateless.functional_call(
            net, {"weight": torch.ones(1, 2), "bias": torch.zeros(1)}, torch.ones(1, 2)
        )
    assert out.tolist() == [[2]] and net.weight is weight


def test_weight_norm_parametrization() -> None:
    torch.manual_seed(0)
    net = nn.Linear(3, 2)
    before = net.weight.detach().clone()
    nn.utils.parametrizations.weight_norm(net)
    assert type(net).__name__ == "ParametrizedLinear"
    assert names(net.named_parameters()) == [
        "bias",
        "parametrizations.weight.original0",
        "parametrizations.weight.original1",
    ]
    assert torch.allclose(net.weight, before)
    net.weight = torch.ones(2, 3)
    assert torch.allclose(net.weight, torch.ones(2, 3)) and torch.allclose(copy.deepcopy(net).weight, net.weight)
    nn.utils.parametrize.remove_parametrizations(net, "weight")
    assert type(net) is nn.Linear and isinstance(net.weight, nn.Parameter)


def test_skip_and_fusion() -> None:
    conv, norm = nn.Conv2d(1, 2, 2).eval(), nn.BatchNorm2d(2).eval()
    norm.running_mean.fill_(0.5)
    x = torch.rand(1, 1, 3, 3)
    assert torch.allclose(nn.utils.fuse_conv_bn_eval(conv, norm)(x), norm(conv(x)), atol=1e-6)


def test_names_of_pytorch() -> None:
    import flambeau.nn.modules.batchnorm
    import flambeau.nn.modules.conv
    import flambeau.nn.modules.loss
    import flambeau.nn.modules.utils

    modules = flambeau.nn.modules
    assert issubclass(nn.Conv2d, modules.conv._ConvNd) and issubclass(nn.BatchNorm1d, modules.batchnorm._BatchNorm)
    assert issubclass(nn.MSELoss, modules.loss._Loss) and modules.utils._pair(3) == (3, 3)
    assert nn.DataParallel(nn.ReLU())(torch.ones(1)).item() == 1
    math = nn.attention.SDPBackend.MATH
    assert (str(math), f"{math}", repr(math)) == ("SDPBackend.MATH", "SDPBackend.MATH", "<SDPBackend.MATH: 0>")
    with nn.attention.sdpa_kernel(nn.attention.SDPBackend.MATH):
        pass


class _Hidden(nn.Module):
    """A module that lists only itself, whatever it holds."""

    def __init__(self) -> None:
        super().__init__()
        self.own = nn.Parameter(torch.ones(1))
        self.inner = nn.Linear(2, 2)

    def named_modules(self, memo=None, prefix="", remove_duplicate=True):
        memo = set() if memo is None else memo
        if self not in memo:
            memo.add(self)
            yield prefix, self


def test_parameters_come_in_the_order_of_their_names():
    shared = nn.Linear(2, 3)
    net = nn.Sequential(nn.Linear(2, 2), nn.Sequential(shared, nn.ReLU(), _Hidden()), shared, nn.Linear(3, 1))
    net.register_parameter("absent", None)
    net.register_module("nothing", None)
    net[3].weight2 = net[0].weight
    named = [p for _, p in net.named_parameters()]
    assert [id(p) for p in net.parameters()] == [id(p) for p in named]
    assert len(named) == 7


def test_a_class_that_names_its_own_parameters_decides_what_they_are():
    class Picky(nn.Linear):
        def named_parameters(self, prefix="", recurse=True, remove_duplicate=True):
            yield "weight", self.weight

    assert [p.shape for p in Picky(2, 3).parameters()] == [(3, 2)]


class Named(nn.Module):
    """Calls ``__getattr__`` itself."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.p = nn.Linear(1, 1), nn.Parameter(torch.ones(2))
        self.register_buffer("b", torch.ones(1))
        self.x = 3

    def registered(self) -> list[Any]:
        return [self.__getattr__(name) for name in "apb"]


class Around(nn.Module):
    """Has what the module within it has."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.module, name)


def test_a_module_that_calls_getattr_itself() -> None:
    m = Named()
    assert [found is kept for found, kept in zip(m.registered(), (m.a, m.p, m.b))] == [True] * 3
    with pytest.raises(AttributeError, match="'Named' object has no attribute 'x'"):
        m.__getattr__("x")


def test_a_module_that_passes_attributes_on() -> None:
    m = Around(Named())
    assert (m.x, m.a) == (3, m.module.a)
    with pytest.raises(AttributeError, match="'Named' object has no attribute 'y'"):
        m.y  # noqa: B018


class Watched(nn.Module):
    """Notes which entries it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.__dict__["asked"] = []
        self.a, self.p = nn.Linear(1, 1), nn.Parameter(torch.ones(2))
        self.register_buffer("b", torch.ones(1))
        self.x = 3

    def __getattr__(self, name: str) -> Any:
        self.__dict__["asked"].append(name)
        return super().__getattr__(name)


def test_a_class_with_a_getattr_is_asked_for_every_entry() -> None:
    m = Watched()
    m.asked.clear()
    m.p = nn.Parameter(torch.zeros(2))
    assert (m.a.bias.shape, m.p[0], m.b[0], m.x) == ((1,), 0, 1, 3)
    assert m.asked == ["p", "a", "p", "b"]
    twin = pickle.loads(pickle.dumps(m))
    twin.asked.clear()
    assert twin.a is not m.a and twin.p is not m.p and twin.asked == ["a", "p"]


def test_a_module_that_is_given_a_class_with_a_getattr() -> None:
    m = nn.Linear(1, 2)

    class Counted(nn.Linear):
        count = 0

        def __getattr__(self, name: str) -> Any:
            type(self).count += 1
            return super().__getattr__(name)

    m.__class__ = Counted
    m(torch.ones(1))
    assert Counted.count >= 2
    m.__class__ = nn.Linear
    before = Counted.count
    m(torch.ones(1))
    assert Counted.count == before


def test_other_modules_have_no_getattr() -> None:
    assert not hasattr(nn.Linear, "__getattr__")


def test_a_class_beside_module_gets_the_arguments() -> None:  # keras makes a layer's configuration of them
    class Noted:
        def __new__(cls, *args: Any, **kwargs: Any) -> Any:
            made = object.__new__(cls)
            made.__dict__["given"] = args, kwargs
            return made

    class Layer(nn.Module, Noted):
        def __init__(self, units: int, bias: bool = True) -> None:
            super().__init__()

    assert Layer(3, bias=False).__dict__["given"] == ((3,), {"bias": False})
