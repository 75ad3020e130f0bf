"""``FlopCounterMode`` and ``ModuleTracker``: the numbers are PyTorch's."""

import inspect
import re

import pytest

import flambeau as torch
import flambeau.nn.functional as F
from flambeau import nn
from flambeau.ops import _registry, _watching, matrix_products
from flambeau.utils.checkpoint import checkpoint
from flambeau.utils.flop_counter import FlopCounterMode, flop_registry, register_flop_formula
from flambeau.utils.module_tracker import ModuleTracker

aten = torch.ops.aten
n = torch.randn


def r(*shape):
    return torch.randn(*shape, requires_grad=True)


def backward(y):
    (y[0] if isinstance(y, tuple) else y).sum().backward()


def counted(run):
    with FlopCounterMode(display=False) as counter:
        run()
    return {str(packet): flops for packet, flops in counter.get_flop_counts().get("Global", {}).items()}


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (lambda: n(2, 3) @ n(3, 4), {"mm": 48}),
        (lambda: n(2, 3) @ n(3), {}),
        (lambda: n(3) @ n(3, 2), {"mm": 12}),
        (lambda: [n(2, 3) @ torch.ones(3, 3) for _ in range(3)], {"mm": 108}),
        (lambda: backward(r(2, 3) @ n(3, 4)), {"mm": 96}),
        (lambda: backward(r(5, 2, 3) @ r(3, 4)), {"mm": 720}),
        (lambda: backward(r(6, 5, 2, 3) @ r(6, 1, 3, 4)), {"bmm": 4320}),
        (lambda: backward(F.linear(r(2, 3), r(4, 3), r(4))), {"addmm": 48, "mm": 96}),
        (lambda: backward(F.linear(r(5, 2, 3), r(4, 3))), {"mm": 720}),
        (lambda: backward(torch.baddbmm(r(1, 2, 2), r(1, 2, 3), r(1, 3, 2))), {"baddbmm": 24, "bmm": 48}),
        (lambda: n(2, 2).addmm_(n(2, 3), n(3, 2)), {"addmm": 24}),
        (lambda: backward(torch.einsum("bhqd,bhkd->bhqk", r(2, 3, 4, 5), r(2, 3, 6, 5))), {"bmm": 4320}),
        (lambda: torch.linalg.multi_dot([n(2, 3), n(3, 4), n(4, 5)]), {"mm": 128}),
        (
            lambda: backward(F.conv2d(r(2, 4, 8, 8), r(4, 2, 3, 3), stride=2, groups=2)),
            {"convolution": 2592, "convolution_backward": 7776},
        ),
        (lambda: backward(F.conv1d(n(2, 3, 8), r(4, 3, 3))), {"convolution": 864, "convolution_backward": 864}),
        (
            lambda: backward(F.conv_transpose2d(r(2, 3, 5, 5), r(3, 4, 3, 3), stride=2)),
            {"convolution": 10800, "convolution_backward": 21600},
        ),
        (lambda: backward(F.scaled_dot_product_attention(r(2, 3, 4, 5), r(2, 3, 6, 5), r(2, 3, 6, 7))), {"bmm": 10368}),
        (lambda: F.scaled_dot_product_attention(*[n(2, 3, 4, 5)] * 3), {}),
        (lambda: backward(nn.MultiheadAttention(4, 2)(*[n(2, 3, 4)] * 3)), {"addmm": 768, "bmm": 576, "mm": 960}),
        (lambda: backward(nn.LSTMCell(3, 4)(n(2, 3))), {"addmm": 448, "mm": 448}),
        (lambda: torch.func.grad(lambda w: (n(3, 2) @ w).sum())(n(2, 4)), {"mm": 96}),
        (lambda: backward(checkpoint(nn.Linear(3, 4), r(5, 3), use_reentrant=False)), {"addmm": 120, "mm": 240}),
    ],
)
def test_operators(run, expected):
    assert counted(run) == {f"aten.{name}": flops for name, flops in expected.items()}


@pytest.mark.parametrize(("layer", "total"), [(nn.GRU, 4128), (nn.RNN, 1376)])
def test_recurrent_layers(layer, total):
    assert sum(counted(lambda: backward(layer(3, 4)(n(5, 2, 3)))).values()) == total


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(300, 400)
        self.b = nn.Sequential(nn.ReLU(), nn.Linear(400, 200))

    def forward(self, x):
        return self.b(self.a(x))


TABLE = """\
Module                 FLOP    % Total
----------------  ---------  ---------
Global            4854.000K    100.00%
 - aten.addmm     2000.000K     41.20%
 - aten.mm        2854.000K     58.80%
 Net              4800.000K     98.89%
  - aten.addmm    2000.000K     41.20%
  - aten.mm       2800.000K     57.68%
  Net.a           2400.000K     49.44%
   - aten.addmm   1200.000K     24.72%
   - aten.mm      1200.000K     24.72%
  Net.b           2400.000K     49.44%
   - aten.addmm    800.000K     16.48%
   - aten.mm      1600.000K     32.96%
   Net.b.1        2400.000K     49.44%
    - aten.addmm   800.000K     16.48%
    - aten.mm     1600.000K     32.96%
"""


def test_modules_and_the_table(capsys):
    net, x = Net(), n(5, 300)
    for _ in range(2):  # a step that was taken before counts as well
        with FlopCounterMode(depth=3) as counter:
            net(x).sum().backward()
            torch.ones(30, 30) @ torch.ones(30, 30)
        assert capsys.readouterr().out == TABLE
    assert counter.get_total_flops() == 4854000
    assert counter.get_flop_counts()["Net.a"] == {aten.addmm: 1200000, aten.mm: 1200000}
    assert counter.get_table(1).count("Net") == 1


def gradient_of_a_step(x):
    torch.manual_seed(1)
    net = Net()
    net(x).square().mean().backward()
    return net.a.weight.grad


def test_results_do_not_depend_on_the_counter():
    x = n(5, 300)
    expected = gradient_of_a_step(x)
    with FlopCounterMode(display=False):
        assert torch.equal(gradient_of_a_step(x), expected)


def test_nothing_is_watched_afterwards():
    before = _registry.call
    with pytest.raises(ValueError, match="stop"), FlopCounterMode(display=False), FlopCounterMode(display=False):
        assert _registry.call is not before
        raise ValueError("stop")
    assert _registry.call is before
    assert not _watching.watchers
    assert matrix_products.call is before


def test_formulas_of_ones_own():
    def seven(a, b, out_shape=None, **kwargs):
        assert (a, b, out_shape) == ((2, 3), (3, 4), (2, 4))
        return 7

    with FlopCounterMode(display=False, custom_mapping={aten.mm: seven}) as counter:
        n(2, 3) @ n(4, 3).t()
    assert counter.get_total_flops() == 7
    with pytest.raises(NotImplementedError, match=re.escape("not for aten.relu")):
        FlopCounterMode(custom_mapping={aten.relu: seven})
    with pytest.raises(ValueError, match="expected each target to be OpOverloadPacket"):
        register_flop_formula(torch.relu)(seven)
    with pytest.raises(RuntimeError, match="duplicate registrations for aten.mm"):
        register_flop_formula(aten.mm)(seven)
    register_flop_formula([aten.sort_of_mine])(seven)
    del flop_registry[aten.sort_of_mine]


def test_modules_are_not_needed_and_samples_refused():
    with pytest.warns(UserWarning, match="mods argument is not needed anymore"):
        FlopCounterMode(Net())
    w = n(3, 4)
    with pytest.raises(NotImplementedError, match="vmap"), FlopCounterMode(display=False):
        torch.func.vmap(lambda x: x @ w)(n(5, 2, 3))


def test_module_tracker():
    seen = []
    net = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Tanh(), nn.Linear(2, 1)))
    with ModuleTracker() as tracker:
        net[1][1].register_forward_hook(lambda *_: seen.append((sorted(tracker.parents), tracker.is_bw)))
        y = net(n(3, 2, requires_grad=True))
        y.register_hook(lambda g: seen.append((sorted(tracker.parents), tracker.is_bw)))
        y.sum().backward()
    outer = ["Global", "Sequential", "Sequential.1"]
    assert seen == [(outer, False), ([*outer, "Sequential.1.1"], True)]
    assert tracker.parents == {"Global"}


def test_writes_of_every_kind_are_watched():
    x = torch.ones(3)
    with FlopCounterMode(display=False):
        x[torch.zeros(3, dtype=torch.bool)] = torch.empty(0)
        x[torch.tensor([0, 2])] = 2.0
        x[1:] += 1
    assert x.tolist() == [2, 2, 3]


def test_what_is_watched_takes_the_arguments_of_what_it_stands_for():
    with FlopCounterMode(display=False):
        pairs = list(zip(_watching._before, _watching._instead))
    assert len(pairs) == 2
    for function, instead in pairs:
        own, told = [list(inspect.signature(f).parameters.values()) for f in (function, instead)]
        assert [(p.name, p.default) for p in told] == [(p.name, p.default) for p in own]
