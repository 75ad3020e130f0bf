"""Python functions as machine code: a twin does what its function does, to the last reference, and steps with twins
give the same bits as steps without."""

from __future__ import annotations

import gc
import linecache
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import pytest

import flambeau as torch
from flambeau import _twins, nn
from flambeau._later import imported
from flambeau.compiler.cpu import code_cache
from flambeau.compiler.twins import layout, linking
from flambeau.compiler.twins.layout import UnsupportedError
from flambeau.compiler.twins.unit import Unit
from flambeau.graph import epoch, realisation, tape
from flambeau.graph.realisation import realise
from flambeau.ops import _registry, stepping

pytestmark = pytest.mark.skipif(not layout.supported(), reason="no twins for this Python")


class Plain:
    __slots__ = ("a", "b")
    a: Any
    b: Any

    def __repr__(self) -> str:
        return type(self).__name__


class Other:
    """Has one attribute at another place, one by a property, and others in a dictionary."""

    __slots__ = ("__dict__", "b")
    b: Any

    def __repr__(self) -> str:
        return type(self).__name__

    @property
    def a(self) -> Any:
        return ["made", len(vars(self))]


class Child(Plain):
    __slots__ = ()


def twins_of(*functions: Any) -> list[Any]:
    unit = Unit(functions, [Plain, Other], [Plain])
    cache = code_cache.default()
    made = linking.linked(functions, unit.constants, cache.load([unit.text])[0])
    return [made[f] for f in functions]


# ---- functions, with the arguments that they are given


def attributes(x: Any, y: Any) -> Any:
    p = Plain()
    p.a = p.b = x
    p.b = y
    y.b = p.a
    return p.a, p.b, x.a, x.b, y.b


def branches(x: Any, y: Any = 3, z: Any = None) -> Any:
    if x is None:
        return "nothing"
    if not y and x > 1 or z == "z":
        found = -1
    elif x in (5, 6):
        found = x + 1 if y is True else y
    else:
        found = x - 1
    return found, x or z, y and x, not z, x == y, x != y, x not in [1], [1, x] == [1, 2], len("abc") <= x


def loops(xs: Any, stop: Any) -> Any:
    total, seen = 0, []
    for k, x in zip(xs, (1, 2, 3, 4, 5)):
        if x == 2:
            continue
        if k == stop:
            break
        total += k
        seen.append((k, x))
    while total > 10:
        total -= 4
    total *= 3
    seen.append(total * (stop or 1))
    return total, seen, [x for x in xs if x != stop], all([x < 9 for x in xs]), any(x > 3 for x in xs)  # noqa: C419


def containers(xs: Any, key: Any) -> Any:
    table: dict[Any, Any] = {}
    table[key] = xs
    table.setdefault(key, 0)
    xs[0] += 1
    found = [*xs, *(7, 8), table.get(key), table.get("absent")]
    first, (second, third) = found[0], found[1:3]
    ends = xs[1:], xs[:-1], xs[::2], second, third, max(*xs), sorted(xs, reverse=True)
    return tuple([x for x in found if x != 7]), (first, *xs), ends


def errors(x: Any, y: Any) -> Any:
    found = [x]
    try:
        found.append(x.missing)
        found.append(x[y])
    except AttributeError:
        found.append("no attribute")
    except (KeyError, TypeError):
        found.append("no item")
    if y is None:
        raise ValueError(found)
    return found, x + y


def calls(x: Any, y: Any) -> Any:
    return branches(x), branches(x, y), errors(x, y), type(x) is int, sorted([y, x], key=abs)


def changed(xs: Any) -> Any:
    for x in xs:
        if len(xs) < 6:
            xs.append(x)
    return xs


def not_equal_to_itself(x: Any) -> Any:
    return x == x, x in [x], [x] == [x], 1 == True, True is True


def unpacked(x: Any) -> Any:
    a, b = x
    return b, a


def plain() -> Plain:
    p = Plain()
    p.a, p.b = 1, [2]
    return p


def child() -> Child:
    c = Child()
    c.a = c.b = 5
    return c


def other() -> Other:
    o = Other()
    o.b = 3
    return o


class Own(threading.local):
    ONCE = ("first",)

    def __init__(self) -> None:
        self.first = Plain()
        self.first.a = self.first.b = self.second = threading.get_ident()


own = Own()


def of_this_thread(x: Any) -> Any:
    first = own.first
    return own.first.a, own.first is first, own.second, own.first.b == x


CASES: list[tuple[Any, list[Callable[[], tuple[Any, ...]]]]] = [
    (attributes, [lambda: (plain(), other()), lambda: (other(), plain()), lambda: (child(), child()),
                  lambda: (Plain(), plain()), lambda: (1, plain()), lambda: (plain(), 1)]),
    (branches, [lambda: (None,), lambda: (5, True), lambda: (0,), lambda: (2, 0), lambda: (2, 0, "z"), lambda: (6, 7),
                lambda: (), lambda: (1, 2, 3, 4), lambda: ("a", 0), lambda: (1.5, np.float64(1.5))]),
    (loops, [lambda: ([1, 2, 3, 4, 5, 6], 4), lambda: ((9, 9, 9), None), lambda: ([], 0), lambda: (range(3), 1),
             lambda: ({1: 2, 5: 6}, 5), lambda: (5, 5), lambda: ("abc", 0)]),
    (containers, [lambda: ([1, 2, 3], "k"), lambda: ([1.5, 2.5], (1, 2)), lambda: ([], "k"), lambda: ([1, 2], []),
                  lambda: ((1, 2), "k")]),
    (errors, [lambda: (1, 2), lambda: ({}, 1), lambda: (1, None), lambda: (plain(), 1), lambda: ([4], "x")]),
    (calls, [lambda: (5, 6), lambda: (0, 1), lambda: ("a", "b")]),
    (changed, [lambda: ([1, 2],), lambda: ((1, 2),)]),
    (not_equal_to_itself, [lambda: (float("nan"),), lambda: (3,), lambda: ("x",), lambda: (np.ones(2),)]),
    (unpacked, [lambda: ((1, 2),), lambda: ([1, 2],), lambda: ("ab",), lambda: ((1, 2, 3),), lambda: (5,),
                lambda: (iter((1, 2)),)]),
    (of_this_thread, [lambda: (threading.get_ident(),), lambda: (0,)]),
]  # fmt: skip


@pytest.fixture(scope="module")
def made() -> dict[Any, Any]:
    functions = [f for f, _ in CASES]
    return dict(zip(functions, twins_of(*functions)))


def outcome(function: Any, arguments: tuple[Any, ...]) -> Any:
    """What a call gives, or the class of what it raises."""
    try:
        return function(*arguments)
    except Exception as error:
        return type(error)


@pytest.mark.parametrize(("function", "given"), CASES, ids=[f.__name__ for f, _ in CASES])
def test_a_twin_does_what_its_function_does(made: dict[Any, Any], function: Any, given: list[Any]) -> None:
    for arguments in given:
        mine, theirs = arguments(), arguments()
        assert repr(outcome(made[function], mine)) == repr(outcome(function, theirs))
        assert repr(mine) == repr(theirs) or isinstance(mine[0], Iterator)


@pytest.mark.usefixtures("small_heap")
@pytest.mark.parametrize(("function", "given"), CASES, ids=[f.__name__ for f, _ in CASES])
def test_no_reference_is_lost_or_left(made: dict[Any, Any], function: Any, given: list[Any]) -> None:
    for arguments in given:
        held = arguments()
        outcome(made[function], held)
        gc.collect()
        before = [sys.getrefcount(x) for x in (*held, Plain, Other, ValueError)], len(gc.get_objects())
        for _ in range(300):
            if function not in (containers, changed):  # which make lists longer
                outcome(made[function], held)
        gc.collect()
        after = [sys.getrefcount(x) for x in (*held, Plain, Other, ValueError)], len(gc.get_objects())
        assert all(abs(x - y) < 50 for x, y in zip(before[0], after[0])) and after[1] - before[1] < 50


def test_each_thread_has_its_own(made: dict[Any, Any]) -> None:
    twin, found, held, mine = made[of_this_thread], [], [], [sys.getrefcount(own.first)]

    def asks(held: list[int] = held) -> None:
        me = threading.get_ident()
        for _ in range(200):
            found.append(twin(me) == (me, True, me, True))
        held.append(sys.getrefcount(own.first))

    for _ in range(3):  # one after the other, so that addresses come again, and beside one another
        threads = [threading.Thread(target=asks) for _ in range(4)]
        for thread in threads:
            thread.start()
        asks(mine)
        for thread in threads:
            thread.join()
            again = threading.Thread(target=asks)
            again.start()
            again.join()
    assert len(found) == 27 * 200 and all(found)
    assert set(held) <= {2, 3} and max(mine) - min(mine) <= 1


def test_names_of_arguments_are_left_to_the_function(made: dict[Any, Any]) -> None:
    assert made[branches](5, z="z", y=0) == branches(5, z="z", y=0)
    assert made[branches].__name__ == "branches" and made[branches].__module__ == __name__
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'stop'"):
        made[loops]([1])
    with pytest.raises(TypeError, match="unexpected keyword"):
        made[loops]([1], end=2)


def refused(x: Any) -> Any:
    with x:
        return f"{x}"


def unassigned(x: Any) -> Any:
    if x:
        found = 1
    return found  # pyright: ignore[reportPossiblyUnbound]


def test_what_twins_cannot_say_is_refused() -> None:
    for function in (refused, unassigned, lambda x: x):
        with pytest.raises((UnsupportedError, SyntaxError)):
            Unit([function], [], [])


# ---- the functions of the steady step


def test_all_modules_with_twins_are_known() -> None:
    home = Path(_twins.__file__).parent
    mark = re.compile("^@twin$", re.MULTILINE)
    found = [path for path in home.rglob("*.py") if mark.search(path.read_text(encoding="utf-8"))]
    names = [".".join(path.relative_to(home).with_suffix("").parts) for path in found]
    assert sorted(names) == sorted(_twins.HOLDERS)


@pytest.fixture
def in_place() -> Iterator[None]:
    """The twins of all functions that are marked are in their place."""
    realise()
    made = {} if not isinstance(_registry.call, FunctionType) else _twins.made(compile=True)
    assert made is not None
    _twins.put(made)
    yield
    realise()
    _twins.put({twin: function for function, twin in made.items()})


def test_another_epoch_of_the_thread_is_seen(in_place: None) -> None:
    x, y = torch.ones(3), torch.zeros(3)
    realise()
    u = x * 2
    outer, other = epoch.threads.epoch, epoch.Epoch()
    assert epoch.exchange(other) is outer
    try:
        z = y.exp()
        assert z._s in other.pend and z._s not in outer.pend
        assert z.tolist() == [1, 1, 1]
    finally:
        epoch.exchange(outer)
    assert u._s in outer.pend
    assert (u - 1).tolist() == [1, 1, 1]


def trained(disturb: Callable[[Any, Any, int], None], steps: int = 14) -> list[np.ndarray]:
    """Parameters and states after steps of which some are disturbed."""
    torch.manual_seed(3)
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, 4), nn.Tanh(), nn.Linear(4, 3))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    x, y = torch.randn(5, 1, 6, 6), torch.randint(0, 3, (5,))
    held: list[Any] = []
    for k in range(steps):
        optimizer.zero_grad()
        output = net(x)
        loss = nn.functional.cross_entropy(output, y)
        if k % 5 == 4:
            held += [output, loss]
        loss.backward()
        if k in (4, 6, 7, 11):
            disturb(net, optimizer, k)
        optimizer.step()
        if k % 3:
            loss.item()
    found = [*net.parameters(), *held, *[v for s in optimizer.state.values() for v in s.values()]]
    return [v.detach().numpy().copy() for v in found]


def nothing(net: Any, optimizer: Any, k: int) -> None:
    """The steps are all alike."""


def rate(net: Any, optimizer: Any, k: int) -> None:
    """Options change in place."""
    optimizer.param_groups[0]["lr"] *= 0.5
    optimizer.param_groups[0]["betas"] = (0.8, 0.9)


def gradient(net: Any, optimizer: Any, k: int) -> None:
    """One gradient is gone, one written, one another tensor."""
    net[0].bias.grad = None
    net[3].weight.grad.mul_(2)
    net[5].bias.grad = torch.ones(3)


def hooks(net: Any, optimizer: Any, k: int) -> None:
    """Hooks come."""
    net[3].register_forward_hook(lambda module, given, found: found * 0.5)
    net[5].weight.register_hook(lambda grad: grad * 3)


def frozen(net: Any, optimizer: Any, k: int) -> None:
    """A parameter needs no gradient for a while."""
    net[3].weight.requires_grad_(k == 6)


def states(net: Any, optimizer: Any, k: int) -> None:
    """A state is another tensor, another is written through a view."""
    state = optimizer.state[net[3].weight]
    state["exp_avg"] = state["exp_avg"] * 0.5
    state["exp_avg_sq"][1:].mul_(2)


def memory(net: Any, optimizer: Any, k: int) -> None:
    """Parameters get other memory, or are written where they are, also through NumPy."""
    net[0].weight.data = net[0].weight.data * 0.5
    net[3].bias.data.add_(1)
    net[5].weight.detach().numpy()[0] = 0.25


def order(net: Any, optimizer: Any, k: int) -> None:
    """The list of parameters is edited in place."""
    optimizer.param_groups[0]["params"].reverse()


def another(net: Any, optimizer: Any, k: int) -> None:
    """Layers are exchanged, and the old ones' ids are free to come again."""
    net[1] = nn.Sigmoid()
    net[5] = nn.Linear(4, 3)
    optimizer.param_groups[0]["params"][-2:] = list(net[5].parameters())


DISTURBANCES = [nothing, rate, gradient, hooks, frozen, states, memory, order, another]


@pytest.mark.parametrize("disturb", DISTURBANCES, ids=[d.__name__ for d in DISTURBANCES])
def test_steps_with_twins_are_those_without(disturb: Any, request: pytest.FixtureRequest) -> None:
    if not isinstance(_registry.call, FunctionType):
        pytest.skip("twins are in place already")
    expected = trained(disturb)
    request.getfixturevalue("in_place")
    found = trained(disturb)
    assert len(found) == len(expected)
    for x, y in zip(found, expected):
        np.testing.assert_array_equal(x, y)


def test_steady_steps_with_twins_are_known_as_a_whole(in_place: None, monkeypatch: pytest.MonkeyPatch) -> None:
    known: list[Any] = []
    repeat = stepping.repeat
    monkeypatch.setattr(stepping, "repeat", lambda steps: known.append(repeat(steps)) or known[-1])
    for field, value in (("alone", True), ("deferring", True), ("crowded", False)):  # whatever threads there have been
        monkeypatch.setattr(epoch.current(), field, value)
    trained(nothing)
    assert known.count(True) > 6
    assert not isinstance(_registry.call, FunctionType) and not isinstance(realisation._held, FunctionType)


def test_references_are_counted_anew(in_place: None) -> None:
    assert [tape._baseline()] == tape.UNHELD and [realisation._baseline()] == realisation.UNHELD
    x = torch.ones(3, requires_grad=True)
    held = x * 2
    (held + 1).sum()
    loss = held.sum()
    realise()
    assert held.grad_fn is not None and held.tolist() == [2, 2, 2]
    loss.backward()
    assert x.grad is not None and x.grad.tolist() == [2, 2, 2]


def test_errors_are_raised_at_the_call(in_place: None) -> None:
    with pytest.raises(RuntimeError, match="must match"):
        torch.ones(3, requires_grad=True) + torch.ones(4)
    with pytest.raises(TypeError, match="must be Tensor"):
        nn.functional.relu("text")
    with pytest.raises(IndexError, match="out of bounds"):
        nn.functional.cross_entropy(torch.ones(1, 3), torch.tensor([3]))


def test_a_layer_of_new_sizes_takes_few_calls_of_python(in_place: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python functions of the package that a layer with joined keys calls: each takes longer than a twin."""
    for field, value in (("alone", True), ("deferring", True), ("crowded", False)):  # whatever threads there have been
        monkeypatch.setattr(epoch.current(), field, value)
    norm, linear, x, calls = nn.LayerNorm(8), nn.Linear(8, 24), torch.ones(1, 1, 8), []

    def layer(past: torch.Tensor) -> torch.Tensor:
        q, k, v = [t.view(1, 1, 2, 4).transpose(1, 2) for t in linear(norm(x)).split(8, dim=2)]
        k, v = torch.cat((past, k), dim=-2), torch.cat((past, v), dim=-2)
        y = nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(1, 1, 8)
        return (x + y)[:, -1]

    def note(frame: Any, event: str, arg: Any) -> None:
        if event == "call" and f"{os.sep}flambeau{os.sep}" in frame.f_code.co_filename:
            calls.append(frame.f_code.co_qualname)

    pasts = [torch.ones(1, 2, n, 4) for n in range(5, 9)]
    with torch.no_grad():
        for past in pasts[:-1]:
            layer(past)
        before = sys.getprofile()
        sys.setprofile(note)
        try:
            y = layer(pasts[-1])
        finally:
            sys.setprofile(before)
    assert len(calls) < 80, calls
    assert y.shape == (1, 8)


PROGRAM = """
import flambeau as torch
from flambeau import _twins
from flambeau.ops import _registry
steps = []
begin = _twins.begin
w = torch.ones(3)
for k in range(600):
    (w + k).tolist()
print(type(_registry.call).__name__)
"""


@pytest.mark.skipif(os.environ.get("FLAMBEAU_CACHE") == "off", reason="nothing is kept on the disk")
def test_a_process_takes_twins_from_the_disk(in_place: None) -> None:
    """The fixture has put them there."""
    environment = {**os.environ, "FLAMBEAU_EXECUTOR": "native", "FLAMBEAU_TIER": "auto"}
    for mode, expected in (("auto", "builtin_function_or_method"), ("off", "function")):
        found = subprocess.run([sys.executable, "-c", PROGRAM], env={**environment, "FLAMBEAU_TWINS": mode},
                               capture_output=True, text=True, check=True)  # fmt: skip
        assert found.stdout.split() == [expected]


def test_twins_are_in_place_under_all_names(in_place: None) -> None:
    """Modules are searched by the functions' names and ``ALIASES`` alone."""
    left = set(_twins._functions())
    modules = [m for name, m in sys.modules.items() if name.startswith("flambeau.")]
    found = [(m.__name__, key) for m in modules for key, value in imported(m).items()
             if value.__class__ is FunctionType and value in left]  # fmt: skip
    assert found == []


def test_a_file_that_was_replaced_gives_no_twins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "replaced.py"
    path.write_text("def first(x):\n    return x\n\n\ndef second(x):\n    return [x]\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    module = __import__("replaced")
    assert Unit([module.first, module.second], [], []).text
    for text in ("def second(x):\n    return [x, x]\n", "x = (\n", "def first(x):\n    return x + x\n"):
        path.write_text(text * 3)
        linecache.checkcache()
        with pytest.raises((UnsupportedError, OSError)):
            Unit([module.first, module.second], [], [])


def test_twins_on_the_disk_are_put_before_the_first_step(monkeypatch: pytest.MonkeyPatch) -> None:
    put: list[Any] = []
    hooks: list[Any] = [_twins.in_parts]
    monkeypatch.setattr(_twins, "mode", "auto")
    monkeypatch.setattr(_twins, "put", put.append)
    monkeypatch.setattr(realisation, "steady_hooks", hooks)
    monkeypatch.setattr(epoch.current(), "alone", True)
    for found, left in ((None, 1), ({"f": "twin"}, 0)):
        monkeypatch.setattr(_twins, "made", lambda compile, found=found: None if compile else found)
        _twins.begin_early()
        assert len(hooks) == left
    _twins.begin_early()
    assert put == [{"f": "twin"}]


def test_few_nodes_have_nothing_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_twins, "mode", "auto")
    monkeypatch.setattr(_twins, "made", lambda compile: None)
    monkeypatch.setattr(_twins, "_are_compiled_aside", lambda: True)
    monkeypatch.setitem(realisation.counters, "realisations", 20)
    monkeypatch.setattr(realisation, "recorded", lambda: realisation.SOME_NODES + 1)
    assert _twins.begin() == _twins.READ_AFTER - 20
    monkeypatch.setattr(realisation, "recorded", lambda: realisation.MANY_NODES)
    assert _twins.begin() == _twins.ASKED_EVERY


def test_who_records_much_gets_twins_too(monkeypatch: pytest.MonkeyPatch) -> None:
    for field, value in (("alone", True), ("deferring", True), ("crowded", False)):  # whatever threads there have been
        monkeypatch.setattr(epoch.current(), field, value)
    asked: list[int] = []
    hooks, check = realisation.steady_hooks[:], realisation._next_check[0]
    realise()
    x = torch.ones(2)
    try:
        realisation._next_check[0] = realisation.recorded() + 3
        realisation.steady_hooks[:] = [lambda: asked.append(realisation.recorded())]
        (x + 1).tolist()
        assert not asked
        for n in range(3, 8):
            x.expand(n, 2).sin().tolist()
        assert len(asked) == 1
        assert not realisation.steady_hooks
    finally:
        realisation.steady_hooks[:], realisation._next_check[0] = hooks, check
