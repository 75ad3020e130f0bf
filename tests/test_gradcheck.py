"""``gradcheck`` finds wrong gradients of every kind; ``autograd.functional`` refuses in strict mode what has none."""

from __future__ import annotations

from typing import Any

import pytest

import flambeau as torch
from flambeau.autograd import functional, gradcheck, gradgradcheck


def _double(*shape: int, dtype: Any = torch.float64) -> Any:
    return torch.randn(*shape, dtype=dtype, requires_grad=True)


class _Wrong(torch.autograd.Function):
    """Doubles its argument, whose gradient and tangent it multiplies by ``grad`` and ``tangent``."""

    grad: Any = 2
    tangent: Any = 2

    @classmethod
    def forward(cls, ctx: Any, x: Any) -> Any:
        return x * 2

    @classmethod
    def backward(cls, ctx: Any, g: Any) -> Any:
        return g * cls.grad

    @classmethod
    def jvp(cls, ctx: Any, t: Any) -> Any:
        return t * cls.tangent


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_right_gradients_pass(dtype: Any) -> None:
    x = _double(2, 3, dtype=dtype)
    assert gradcheck(lambda x: x.sin() * x, x, check_forward_ad=True)
    assert gradcheck(_Wrong.apply, x, check_forward_ad=True)
    assert gradgradcheck(lambda x: x.sin() * x, x, check_fwd_over_rev=True)


def test_the_function_may_read_an_input_by_other_means() -> None:
    x = _double(2)
    assert gradcheck(lambda _: x**2, x)


def test_wrong_gradients_are_found() -> None:
    class Wrong(_Wrong):
        grad = 3

    x = _double(2)
    with pytest.raises(RuntimeError, match="Jacobian mismatch for output 0 with respect to input 0"):
        gradcheck(Wrong.apply, x)
    assert not gradcheck(Wrong.apply, x, raise_exception=False)
    with pytest.raises(RuntimeError, match="While considering the imaginary part of complex outputs only"):
        gradcheck(Wrong.apply, _double(2, dtype=torch.complex128))


def test_wrong_tangents_are_found() -> None:
    class Wrong(_Wrong):
        tangent = 3

    with pytest.raises(RuntimeError, match="Jacobian computed with forward mode mismatch for output 0"):
        gradcheck(Wrong.apply, _double(2), check_forward_ad=True)


def test_gradients_that_vary_are_found() -> None:
    class Varying(_Wrong):
        calls = 0

        @classmethod
        def backward(cls, ctx: Any, g: Any) -> Any:
            cls.calls += 1
            return g * (2 + 1e-9 * cls.calls)

    x = _double(2)
    with pytest.raises(RuntimeError, match="Backward is not reentrant"):
        gradcheck(Varying.apply, x)
    assert gradcheck(Varying.apply, x, nondet_tol=1e-5)


def test_missing_gradients_of_outputs_must_not_matter() -> None:
    class Fussy(_Wrong):
        @classmethod
        def backward(cls, ctx: Any, g: Any) -> Any:
            if not bool(g.any()):
                raise RuntimeError("no gradient")
            return g * 2

    x = _double(2)
    with (
        pytest.warns(UserWarning, match="Backwards compatibility"),
        pytest.raises(RuntimeError, match="Expected backward function to handle undefined output grads"),
    ):
        gradcheck(Fussy.apply, x)
    assert gradcheck(Fussy.apply, x, check_undefined_grad=False)


def test_a_function_that_hides_its_gradient_is_found() -> None:
    with pytest.raises(RuntimeError, match="Numerical gradient for function expected to be zero"):
        gradcheck(lambda x: x.detach() * 2, _double(2))


def test_outputs_keep_their_shape() -> None:
    x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    with pytest.raises(AssertionError, match="return outputs with the same shape"):
        gradcheck(lambda x: x.expand(2 if x.item() > 0 else 1), x)


def test_inputs_that_cannot_be_checked() -> None:
    with pytest.raises(ValueError, match="expects at least one input tensor to require gradient"):
        gradcheck(lambda x: x * 2, torch.ones(2, dtype=torch.float64))
    with pytest.raises(RuntimeError, match="The 0th input has a dimension with stride 0"):
        gradcheck(lambda x: x * 2, torch.ones(1, dtype=torch.float64).expand(2).requires_grad_())
    with pytest.warns(UserWarning, match="Input #0 requires gradient and is not a double precision"):
        gradcheck(lambda x: x * 2, torch.ones(1, requires_grad=True), eps=1e-2)


def test_gradients_of_the_power_of_a_negative_number() -> None:
    exponent = _double(2, dtype=torch.complex128)
    assert gradcheck(lambda e: torch.pow(-torch.ones(2, dtype=torch.float64), e), exponent)
    assert gradcheck(lambda e: torch.pow(-1, e), exponent)


def test_second_derivatives_of_a_write_to_a_base() -> None:
    def written(r: Any) -> Any:
        x = torch.ones(5, dtype=torch.float64)
        view = x.select(0, 1)
        x.add_(r)
        return view

    r = torch.ones(1, dtype=torch.float64, requires_grad=True)
    assert gradcheck(written, r)
    assert gradgradcheck(written, r)


# ---- torch.autograd.functional


@pytest.mark.parametrize("name", ["vjp", "jvp", "vhp", "hvp", "jacobian", "hessian"])
def test_strict_mode(name: str) -> None:
    x = torch.ones(2)
    f = getattr(functional, name)
    vector = [torch.ones(()) if name == "vjp" else x] if name not in ("jacobian", "hessian") else []
    with pytest.raises(RuntimeError, match="Output 0 of the user-provided function does not require gradients"):
        f(lambda x: x.detach().sum(), x, *vector, strict=True)
    found = f(lambda x: x.detach().sum(), x, *vector)
    assert not (found[1] if isinstance(found, tuple) else found).any()


def test_a_linear_function_has_no_hessian_in_strict_mode() -> None:
    with pytest.raises(RuntimeError, match="found that the jacobian of the user-provided function with respect to"):
        functional.hessian(lambda x: (3 * x).sum(), torch.ones(2), strict=True)


def test_arguments_of_functional() -> None:
    x = torch.ones(2)
    with pytest.raises(TypeError, match="inputs given to hessian must be either a Tensor or a tuple of Tensors but"):
        functional.hessian(lambda x: x.sum(), (x, 2))
    with pytest.raises(TypeError, match="outputs of the user-provided function given to jvp must be either"):
        functional.jvp(lambda x: "no tensor", x, x)
    with pytest.raises(RuntimeError, match="v has invalid size: should be torch.Size"):
        functional.jvp(lambda x: x, x, torch.ones(3))
    with pytest.raises(RuntimeError, match="The vector v can only be None if the input"):
        functional.jvp(lambda x: x, x)
    with pytest.raises(RuntimeError, match="are not supported together"):
        functional.jacobian(lambda x: x, x, strict=True, vectorize=True)
    with pytest.raises(RuntimeError, match="should contain a single element"):
        functional.hvp(lambda x: x, x, x)


@pytest.mark.parametrize("name", ["scatter_reduce", "index_reduce"])
def test_no_second_derivative_where_several_zeros_meet(name: str) -> None:
    x = torch.ones(1, dtype=torch.float64, requires_grad=True)
    index = torch.tensor([0, 0])
    for values, refused in (([0.0, 0.0], True), ([0.0, 2.0], False)):
        src = torch.tensor(values, dtype=torch.float64, requires_grad=True)
        y = getattr(torch, name)(x, 0, index, src, "prod")
        (g,) = torch.autograd.grad(y.sum(), src, create_graph=True)
        assert g.tolist() == [0.0 if refused else 2.0, 0.0]
        if refused:
            with pytest.raises(RuntimeError, match="Double backward is unsupported for src when >1 zeros in src"):
                g.sum().backward()
        else:
            g.sum().backward()


def test_random_gradients_are_those_of_the_default_generator() -> None:
    x = torch.linspace(0.1, 0.9, 3, dtype=torch.float64).requires_grad_()
    torch.manual_seed(0)
    assert torch.autograd.gradgradcheck(torch.exp, (x,))
    assert torch.rand(1).item() == 0.4900934100151062
    with pytest.raises(ValueError, match="but none of them have requires_grad=True"):
        torch.autograd.gradcheck(torch.exp, (x.detach(),))


def test_the_fast_check_looks_along_one_direction() -> None:
    calls = []

    def f(x: Any, y: Any) -> Any:
        calls.append(x.numel())
        return x.sin() * y, (x * y).sum()

    x, y = _double(200, 50), _double(50)
    before = x.detach().clone()
    assert gradcheck(f, (x, y), fast_mode=True)
    assert len(calls) < 20
    assert torch.equal(x, before)
    assert gradgradcheck(f, (x[:2, :3].detach().requires_grad_(), y[:3].detach().requires_grad_()), fast_mode=True)


def test_the_fast_check_finds_what_is_wrong() -> None:
    class Wrong(_Wrong):
        grad = 3

    x = _double(3)
    assert not gradcheck(Wrong.apply, (x,), fast_mode=True, raise_exception=False)
    with pytest.raises(RuntimeError, match="Jacobian mismatch for output 0"):
        gradcheck(Wrong.apply, (x,), fast_mode=True)
    assert gradcheck(torch.exp, (_double(2, dtype=torch.complex128),), fast_mode=True)
