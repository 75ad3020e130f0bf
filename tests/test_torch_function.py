"""Classes and modes that answer calls: ``__torch_function__``, and ``torch.overrides``."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import flambeau as torch
import flambeau.nn.functional as F
from flambeau import nn, overrides
from flambeau.ops import _overriding


@pytest.fixture(autouse=True)
def nobody_answers_otherwise() -> Iterator[None]:
    _overriding.deactivate("classes")
    yield
    _overriding.deactivate("classes")
    assert not _overriding._swapped


class Plain(torch.Tensor):
    """A class without an answer of its own."""


class Logged(torch.Tensor):
    """Notes the calls that it answers, as they would be answered without it."""

    log: list[str] = []

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        cls.log.append(overrides.resolve_name(func) or repr(func))
        return super().__torch_function__(func, types, args, kwargs)


def logged(call: Any) -> list[str]:
    """The calls that are answered in a function."""
    Logged.log.clear()
    call()
    return list(Logged.log)


def make(cls: type = Plain, *shape: int) -> Any:
    return torch.arange(6.0).reshape(shape or (2, 3)).as_subclass(cls)


# ---- classes without an answer of their own


def test_results_are_of_the_class() -> None:
    x, plain = make(), torch.ones(2, 3)
    results = [x + 1, 1 - x, plain * x, x[0], x.T, x.sum(), x.clone(), x.to(torch.float64), torch.cat([plain, x]),
               torch.where(x > 0, x, plain), F.relu(x), F.softmax(x, 1), x.data, x.detach(), torch.zeros_like(x),
               *x.split(1), *torch.max(x, 1), *torch.linalg.svd(x), torch.fft.fft(x), nn.Linear(3, 1)(x),
               torch.tensor([1.0]).add(x), x == x]  # fmt: skip
    assert {type(y) for y in results} == {Plain}
    assert type(plain + 1) is torch.Tensor
    assert type(x.shape) is torch.Size and type(x.tolist()) is list and type(x.numpy()) is np.ndarray
    assert type(torch.max(x, 1)) is torch.return_types.max


@pytest.mark.filterwarnings("ignore:To copy construct")
def test_what_makes_plain_tensors() -> None:
    x = make()
    assert type(torch.tensor(x)) is torch.Tensor
    assert torch.as_tensor(x) is x
    assert type(x.as_subclass(torch.Tensor)) is torch.Tensor
    assert x.grad is None and x.add_(1) is x and x.requires_grad_() is x


def test_gradients_reach_the_leaf() -> None:
    leaf = torch.arange(3.0).requires_grad_()
    x = leaf.as_subclass(Plain)
    assert not x.is_leaf and x.grad_fn.name() == "AliasBackward0"
    y = (x * x).sum()
    assert repr(y) == "Plain(5., grad_fn=<AliasBackward0>)"
    y.backward()
    assert torch.equal(leaf.grad, torch.tensor([0.0, 2.0, 4.0]))
    own = Plain([1.0, 2.0]).requires_grad_()
    (own * 3).sum().backward()
    assert own.grad.tolist() == [3.0, 3.0]


def test_a_network_with_parameters_of_a_class_learns() -> None:
    net = nn.Linear(3, 1)
    net.weight = nn.Parameter(torch.ones(1, 3).as_subclass(Plain))
    assert isinstance(net.weight, nn.Parameter) and type(net.weight) is Plain
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    losses = []
    for _ in range(3):
        optimizer.zero_grad()
        loss = (net(torch.ones(2, 3)) ** 2).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert type(net.weight) is Plain and losses[0] > losses[1] > losses[2]


# ---- classes with an answer


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (lambda x: x + 1, ["torch.Tensor.add"]),
        (lambda x: 1 + x, ["torch.Tensor.add"]),
        (lambda x: 1 - x, ["torch.Tensor.__rsub__"]),
        (lambda x: torch.ones(2, 3) * x, ["torch.Tensor.mul"]),
        (lambda x: x / 2, ["torch.Tensor.div"]),
        (lambda x: x[0], ["torch.Tensor.__getitem__"]),
        (lambda x: x.T, ["torch.Tensor.T.__get__"]),
        (lambda x: setattr(x, "grad", None), ["torch.Tensor.grad.__set__"]),
        (lambda x: abs(x), ["torch.Tensor.abs"]),
        (lambda x: len(x), ["torch.Tensor.__len__"]),
        (lambda x: repr(x), ["torch.Tensor.__repr__"]),
        (lambda x: x.shape, ["torch.Tensor.shape.__get__"]),
        (lambda x: x.add_(1), ["torch.Tensor.add_"]),
        (lambda x: torch.add(torch.ones(3), x), ["torch.add"]),
        (lambda x: torch.stack((x, x)), ["torch.stack"]),
        (lambda x: torch.add(torch.ones(2, 3), 1, out=x), ["torch.add"]),
        (lambda x: F.cross_entropy(x, torch.tensor([0, 1])), ["torch.nn.functional.cross_entropy"]),
        (lambda x: F.tanh(x), ["torch.Tensor.tanh"]),
        (lambda x: torch.linalg.norm(x), ["torch.linalg.norm"]),
        (lambda x: torch.fft.fft(x), ["torch.fft.fft"]),
        (lambda x: nn.init.zeros_(x), ["torch.Tensor.zero_"]),
        (lambda x: nn.init.normal_(x), ["torch.nn.init.normal_"]),
        (lambda x: nn.Linear(3, 2)(x), ["torch.nn.functional.linear"]),
        (lambda x: hash(x), []),
        (lambda x: torch.is_tensor(x), []),
        (lambda x: torch.ones(2) + 1, []),
    ],
)
def test_each_call_is_answered_once_under_its_name(call: Any, names: list[str]) -> None:
    x = make(Logged)
    assert logged(lambda: call(x)) == names


def test_handlers_know_functions_by_the_objects_of_before() -> None:
    handlers = {torch.mean: lambda x: "function", torch.Tensor.mean: lambda x: "method"}

    class Mine(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            return handlers[func](*args) if func in handlers else NotImplemented

    taken = torch.mean
    x = make(Mine)
    assert (torch.mean(x), taken(x), x.mean()) == ("function", "function", "method")
    text = "Multiple dispatch failed for 'torch.exp'; all __torch_function__ handlers returned NotImplemented:"
    with pytest.raises(TypeError, match=text):
        torch.exp(x)
    with pytest.raises(TypeError, match=r"unsupported operand type\(s\) for \+: 'Mine' and 'int'"):
        x + 1
    assert torch.mean(torch.ones(2)).item() == 1.0


def test_subclasses_are_asked_before_their_bases() -> None:
    asked = []

    class Base(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            asked.append((cls.__name__, [t.__name__ for t in types]))
            return NotImplemented if cls is not Base else 7

    class Derived(Base):
        pass

    assert torch.add(make(Base), make(Derived)) == 7
    assert asked == [("Derived", ["Derived", "Base"]), ("Base", ["Derived", "Base"])]


def test_a_class_may_answer_nothing() -> None:
    class Silent(torch.Tensor):
        __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    assert type(make(Silent) + 1) is torch.Tensor
    assert not any(_overriding.active.values())


def test_blocks_in_which_nobody_answers() -> None:
    x = make()
    with torch._C.DisableTorchFunctionSubclass():
        assert type(x + 1) is torch.Tensor
    assert type(x + 1) is Plain
    with Everything() as mode, torch._C.DisableTorchFunction():
        assert type(x + 1) is torch.Tensor
    assert mode.seen == []


class Duck:
    """Not a tensor, and an answer to everything."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func.__name__, types


def test_other_objects_answer_too() -> None:
    assert torch.matmul(torch.ones(2), Duck()) == ("matmul", (Duck,))  # type: ignore[comparison-overlap]
    make()
    assert torch.mean(Duck()) == ("mean", (Duck,))
    assert F.relu(Duck()) == ("relu", (Duck,))


# ---- modes


class Everything(overrides.TorchFunctionMode):
    """Sees all calls, and lets them do what they would do."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen.append(func.__name__)
        return func(*args, **(kwargs or {}))


def test_a_mode_sees_calls_but_not_what_they_call() -> None:
    net = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
    x = torch.ones(1, 3)
    with Everything() as mode:
        F.cross_entropy(net(x), torch.tensor([1]))
        torch.zeros(2)
    assert mode.seen == ["linear", "relu", "tensor", "cross_entropy", "zeros"]
    assert not _overriding._swapped


def test_inner_modes_answer_first() -> None:
    with Everything() as outer, Everything() as inner:
        assert overrides._get_current_function_mode_stack() == [outer, inner]
        torch.ones(2)
    assert outer.seen == inner.seen == ["ones"]


def test_a_mode_may_change_results() -> None:
    class Doubling(overrides.TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = func(*args, **(kwargs or {}))
            return result * 2 if func is torch.ones else result

    with Doubling():
        assert torch.ones(2).tolist() == [2.0, 2.0]
    assert torch.ones(2).tolist() == [1.0, 1.0]


def test_a_mode_that_fails_leaves_nothing() -> None:
    class Failing(overrides.TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            raise KeyError(func.__name__)

    with pytest.raises(KeyError, match="ones"), Failing():
        torch.ones(2)
    assert overrides._get_current_function_mode() is None and not _overriding._swapped
    assert torch.ones(1).item() == 1.0


def test_a_mode_must_answer_by_a_plain_method() -> None:
    class ByClass(overrides.TorchFunctionMode):
        @classmethod
        def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            return None

    with pytest.raises(RuntimeError, match="classmethod is not supported, please make it a plain method"), ByClass():
        pass


# ---- torch.overrides


def test_functions_of_a_program_may_ask() -> None:
    def doubled(x: Any) -> Any:
        if overrides.has_torch_function((x,)):
            return overrides.handle_torch_function(doubled, (x,), x)
        return x * 2

    assert doubled(3) == 6 and doubled(Duck()) == ("doubled", (Duck,))

    class Refusing:
        @classmethod
        def __torch_function__(cls, *args: Any, **kwargs: Any) -> Any:
            return NotImplemented

    with pytest.raises(TypeError, match=r"no implementation found for '.*doubled' on types that implement"):
        doubled(Refusing())


def test_what_may_be_answered() -> None:
    found = overrides.get_overridable_functions()
    assert {torch, torch.Tensor, nn.functional, nn.init, torch.linalg, torch.fft, torch.special} == set(found)
    assert torch.add in found[torch] and torch.Tensor.add in found[torch.Tensor]
    ignored = overrides.get_ignored_functions()
    assert torch.tensor in ignored and torch.zeros in ignored and torch.add not in ignored
    assert overrides.resolve_name(torch.Tensor.add) == "torch.Tensor.add"
    assert overrides.resolve_name(F.relu) == "torch.nn.functional.relu"
    assert overrides.resolve_name(print) is None
    assert overrides.is_tensor_method_or_property(torch.Tensor.add)
    assert not overrides.is_tensor_method_or_property(torch.add)


def test_each_function_that_may_be_answered_is() -> None:
    make()
    missed = []
    for f, override in overrides.get_testing_overrides().items():
        signature = inspect.signature(override)
        needed = [p for p in signature.parameters.values() if p.default is p.empty]
        args = [Duck() for p in needed if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL)]
        kw = {p.name: Duck() for p in needed if p.kind is p.KEYWORD_ONLY}
        if args and f(*args, **kw)[1] != (Duck,):
            missed.append(overrides.resolve_name(f))
    assert missed == []


def test_signatures_and_pickles_stay() -> None:
    before = inspect.signature(torch.mean), pickle.dumps(torch.cat)
    make()
    assert (inspect.signature(torch.mean), pickle.dumps(torch.cat)) == before


def test_functions_that_are_imported_later_ask_too() -> None:
    program = """
        import flambeau as torch
        class S(torch.Tensor):
            pass
        x = torch.ones(3, 3).as_subclass(S)
        print(type(x.cholesky_inverse()), type(torch.linalg.inv(x + torch.eye(3))), type(torch.kron(x, x)))
    """
    out = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True
    ).stdout
    assert out.split("\n")[0] == " ".join(["<class '__main__.S'>"] * 3)


def test_frames_of_functions_that_ask_can_be_looked_at() -> None:
    """Debuggers and printed tracebacks read the variables of every frame, those of functions around it too."""
    assert torch.transpose.__code__.co_freevars
    seen: list[set[str]] = []

    class Looking(overrides.TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            frame: Any = sys._getframe()
            while frame is not None:
                seen.append(set(frame.f_locals))
                frame = frame.f_back
            return func(*args, **(kwargs or {}))

    with Looking():
        torch.transpose(torch.ones(1, 2), 0, 1)
    assert any({"ask", *torch.transpose.__code__.co_freevars} <= names for names in seen)


def test_a_mode_that_enters_itself_while_it_answers_goes_on() -> None:
    seen: list[str] = []

    class Opening(overrides.TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            seen.append(func.__name__)
            if func is torch.ones:
                with self:
                    return torch.zeros(2) + 1
            return func(*args, **(kwargs or {}))

    with Opening():
        assert (torch.ones(2) * 2).tolist() == [2, 2]
    assert seen == ["ones", "zeros", "add", "mul", "tolist"]


@pytest.mark.parametrize(
    ("called", "name"),
    [
        (lambda x: x[0], "__getitem__"),
        (lambda x: x == 1, "__eq__"),
        (lambda x: x // 2, "__floordiv__"),
        (lambda x: 1 - x, "__rsub__"),
        (lambda x: x**2, "pow"),
        (lambda x: x + 1, "add"),
        (lambda x: x.where(x > 0, x), "where"),
        (lambda x: x.pow(2), "pow"),
        (lambda x: torch.det(x), "det"),
        (lambda x: x.svd(), "svd"),
    ],
)
def test_handlers_find_methods_by_name(called: Any, name: str) -> None:  # pypose
    asked: list[str] = []

    class S(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            asked.append(func.__name__)
            return super().__torch_function__(func, types, args, kwargs)

    called(torch.eye(2).as_subclass(S))
    assert asked[-1] == name


def test_names_of_methods_are_their_own() -> None:
    for name in ("__setitem__", "__iadd__", "__matmul__", "__invert__", "__xor__", "cross", "qr", "type", "polygamma"):
        assert getattr(torch.Tensor, name).__name__ == name
    assert torch.Tensor.__pow__.__name__ == "pow" and torch.Tensor.__abs__.__name__ == "abs"
