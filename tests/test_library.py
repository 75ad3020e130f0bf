"""Operators that programs define: ``torch.library``."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

import flambeau as torch
from flambeau import library


def square(x: Any, times: float = 1.0) -> Any:
    """An operator whose gradient below is not its derivative, so that it shows which one is used."""
    return x * x * times


def test_an_operator_with_a_gradient_of_its_own() -> None:
    op = library.custom_op("tests::square", square, mutates_args=())

    def save(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(inputs[0])
        ctx.times = inputs[1]

    library.register_autograd(
        "tests::square", lambda ctx, g: (g * ctx.saved_tensors[0] * ctx.times * 7, None), setup_context=save
    )
    library.register_fake("tests::square", lambda x, times=1.0: x)
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = torch.ops.tests.square(x, times=3.0)
    y.sum().backward()
    assert (y.tolist(), x.grad.tolist()) == ([3, 12], [21, 42])
    with torch.no_grad():
        assert op(x).tolist() == [1, 4]
    assert torch.ops.tests.square.default is op and repr(op) == "<CustomOpDef(tests::square)>"


def test_a_decorated_operator_without_a_formula_has_no_gradient() -> None:
    @library.custom_op("tests::cube", mutates_args=())
    def cube(x: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(x.detach().numpy() ** 3)

    x = torch.tensor([2.0], requires_grad=True)
    y = cube(x) + x
    with pytest.raises(RuntimeError, match="Trying to backward through tests.cube.default but no autograd formula"):
        y.backward()
    cube.register_autograd(lambda ctx, g: g * 12)
    (cube(x) + x).sum().backward()
    assert (y.tolist(), x.grad.tolist()) == ([10], [13])


def test_what_is_for_autograd_is_called_in_place_of_the_operator() -> None:
    lib = library.Library("tests3", "FRAGMENT")
    op = library.triton_op("tests3::step", lambda x: (x > 0).float(), mutates_args=())
    x = torch.tensor([-1.0, 2.0], requires_grad=True)
    lib.impl("step", lambda x: torch.sigmoid(x) * 0 + x, "AutogradCPU")
    op(x).sum().backward()
    assert x.grad.tolist() == [1, 1]
    with pytest.raises(NotImplementedError, match="need a GPU"):
        library.wrap_triton(None)


def test_libraries_of_operators_in_cpp_do_not_load() -> None:
    with pytest.raises(OSError, match="Could not load this library: /x.so"):
        torch.ops.load_library("/x.so")


def test_a_library_defines_and_implements() -> None:
    lib = library.Library("tests2", "DEF")
    assert lib.define("twice(Tensor x) -> Tensor") == "twice"
    with pytest.raises(NotImplementedError, match="tests2::twice has been defined, but has no implementation"):
        torch.ops.tests2.twice(torch.ones(1))
    lib.impl("twice", lambda x: x / 0, "CUDA")
    lib.impl("twice", lambda x: x * 2, "CPU")
    assert torch.ops.tests2.twice(torch.ones(1)).item() == 2


def test_errors() -> None:
    with pytest.raises(ValueError, match="namespace::name"):
        library.custom_op("plain", square, mutates_args=())
    with pytest.raises(RuntimeError, match="operator tests::none does not exist"):
        library.register_autograd("tests::none", square)
    with pytest.raises(AttributeError, match="no attribute 'nobody'"):
        torch.ops.nobody  # noqa: B018
    with pytest.raises(ValueError, match="Unsupported kind"):
        library.Library("tests", "MORE")


def test_nodes_and_missing_operators_have_pytorchs_names() -> None:
    @torch.library.custom_op("named::twice", mutates_args=())
    def twice(x: torch.Tensor) -> torch.Tensor:
        return x.detach() * 2

    twice.register_autograd(lambda ctx, g: g * 2)
    y = twice(torch.ones(1, requires_grad=True))
    assert type(y.grad_fn).__name__ == "GeneratedBackwardFor_named_twice_defaultBackward"
    with pytest.raises(AttributeError, match="'_OpNamespace' 'named' object has no attribute 'thrice'"):
        torch.ops.named.thrice(y)


def _checked(call: Any, fake: Any, **options: Any) -> Any:
    op = torch.library.custom_op(f"checked::op{next(_numbers)}", mutates_args=options.pop("mutates_args", ()))(call)
    if fake is not None:
        op.register_fake(fake)
    return torch.library.opcheck(op, (torch.arange(3.0, requires_grad=options.pop("grad", False)),), **options)


_numbers = itertools.count()
ALL = ("test_schema", "test_autograd_registration", "test_faketensor", "test_aot_dispatch_dynamic")


def _doubled(x: torch.Tensor) -> torch.Tensor:
    return x * 2


def _written(x: torch.Tensor) -> torch.Tensor:
    x.add_(1)
    return x * 2


def test_operators_that_do_what_they_say() -> None:
    assert _checked(_doubled, torch.empty_like) == dict.fromkeys(ALL, "SUCCESS")
    with pytest.raises(Exception, match="test_aot_dispatch_dynamic failed with Trying to backward through checked"):
        _checked(_doubled, torch.empty_like, grad=True)
    op = library.custom_op("checked::derived", _doubled, mutates_args=())
    op.register_fake(torch.empty_like)
    op.register_autograd(lambda ctx, g: g * 2)
    assert library.opcheck(op, (torch.ones(2, requires_grad=True),)) == dict.fromkeys(ALL, "SUCCESS")
    assert _checked(_written, torch.empty_like, mutates_args={"x"}) == dict.fromkeys(ALL, "SUCCESS")
    assert _checked(_doubled, None, test_utils="test_schema") == {"test_schema": "SUCCESS"}
    fragment = library.Library("checked", "FRAGMENT")
    fragment.define("marked(Tensor(a!) x, float k) -> ()")
    fragment.impl("marked", lambda x, k: x.mul_(k) and None, "CPU")
    marked = torch.ops.checked.marked.default
    assert library.opcheck(marked, (torch.ones(1), 2.0)) == dict.fromkeys(ALL, "SUCCESS")


@pytest.mark.parametrize(
    ("call", "fake", "text"),
    [
        (_written, torch.empty_like, "test_schema failed with Argument x is not defined as mutable but was mutated"),
        (lambda x: x.view(-1), torch.empty_like, r"test_schema failed with .*may not alias any inputs"),
        (_doubled, None, "test_faketensor failed with There was no fake impl registered for <CustomOpDef"),
        (_doubled, lambda x: x.new_empty(5), r"Shapes torch.Size\(\[3\]\) and torch.Size\(\[5\]\) are not equal!"),
        (_doubled, lambda x: x.double(), "Dtypes torch.float32 and torch.float64 are not equal!"),
        (_doubled, lambda x: x.new_empty(6)[::2], r"Strides are \(1,\) and \(2,\)"),
    ],
)
def test_operators_that_do_not(call: Any, fake: Any, text: str) -> None:
    with pytest.raises(Exception, match=text) as error:
        _checked(call, fake)
    assert type(error.value).__name__ == "OpCheckError"
    found = _checked(call, fake, raise_exception=False)
    assert [isinstance(x, RuntimeError) for x in found.values()].count(True) == 1


def test_what_cannot_be_checked() -> None:
    with pytest.raises(ValueError, match="expected test_utils to be subset of"):
        _checked(_doubled, None, test_utils="test_nothing")
    with pytest.raises(ValueError, match="op must be instance of torch._ops.OpOverload"):
        torch.library.opcheck(_doubled, (torch.ones(1),))
