"""Checkpoints give the gradients, and the random numbers, of the plain computation."""

from __future__ import annotations

import pytest

import flambeau as torch
from flambeau.distributed.algorithms._checkpoint.checkpoint_wrapper import (
    CheckpointImpl,
    CheckpointWrapper,
    apply_activation_checkpointing,
    checkpoint_wrapper,
    offload_wrapper,
)
from flambeau.testing import assert_close
from flambeau.utils.checkpoint import (
    CheckpointError,
    GraphExecGroup,
    checkpoint,
    checkpoint_sequential,
    set_checkpoint_early_stop,
)


def model():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(4, 4), torch.nn.Dropout(0.5), torch.nn.Tanh(), torch.nn.Linear(4, 4), torch.nn.Tanh()
    )


@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("run", [checkpoint, lambda m, x, **k: checkpoint_sequential(m, 2, x, **k)])
def test_gradients(reentrant, run):
    m = model()
    x = torch.randn(3, 4, requires_grad=True)
    state = torch.get_rng_state()
    m(x).pow(2).sum().backward()
    want, after = [p.grad.clone() for p in (x, *m.parameters())], torch.get_rng_state()
    m.zero_grad()
    x.grad = None
    torch.set_rng_state(state)
    run(m, x, use_reentrant=reentrant).pow(2).sum().backward()
    assert_close([p.grad for p in (x, *m.parameters())], want)
    assert torch.equal(torch.get_rng_state(), after)


def test_second_derivatives_with_a_weight_inside_and_outside():
    x, w = torch.randn(3, requires_grad=True), torch.randn(3, requires_grad=True)

    def derivatives(call):
        first = torch.autograd.grad(call(lambda a, b: a.sin() * b * w, x * w, b=x).sum(), (x, w), create_graph=True)
        return first, torch.autograd.grad(sum(g.sum() for g in first), (x, w))

    again = derivatives(lambda f, *a, **k: checkpoint(f, *a, use_reentrant=False, **k))
    assert_close(again, derivatives(lambda f, *a, **k: f(*a, **k)))


# ---- the variant without reentrance


def counted(log):
    """A function of three nodes that notes how far each of its runs went."""

    def f(x):
        log.append("begin")
        x = x.exp().sin()
        y = x.exp()
        log.append("last saved")
        y = y + 1
        log.append("end")
        return y

    return f


@pytest.mark.parametrize(("early", "runs"), [(True, ["begin"]), (False, ["begin", "last saved", "end"])])
def test_the_second_run_stops_early(early, runs):
    log = []
    x = torch.ones(2, requires_grad=True)
    y = checkpoint(counted(log), x, use_reentrant=False, early_stop=early).sum()
    del log[:]
    y.backward()
    assert log == runs
    with set_checkpoint_early_stop(not early):
        y = checkpoint(counted(log), x, use_reentrant=False, early_stop=early).sum()
    del log[:]
    y.backward()
    assert (log == ["begin"]) is not early


def test_every_pass_runs_the_function_once_more_unless_they_are_a_group():
    log = []
    x = torch.ones(2, requires_grad=True)
    y = checkpoint(counted(log), x, use_reentrant=False)
    with GraphExecGroup():
        y[0].backward(retain_graph=True)
        with pytest.raises(CheckpointError, match="two backward calls that overlap"):
            y[1].backward(retain_graph=True)
    assert log.count("begin") == 2
    y[1].backward()
    assert log.count("begin") == 3
    with GraphExecGroup(), pytest.raises(RuntimeError, match="cannot be nested"), GraphExecGroup():
        pass


def test_the_graph_is_that_of_the_function():
    x = torch.ones(2, requires_grad=True)
    y = checkpoint(lambda x: x.exp().sin(), x, use_reentrant=False)
    assert y.grad_fn.name() == "SinBackward0"
    with pytest.raises(CheckpointError, match="already unpacked once"), GraphExecGroup():
        assert torch.equal(y.grad_fn._saved_self, x.exp())
        y.grad_fn._saved_self  # noqa: B018


def test_nested_checkpoints_with_backward_inside():
    def inner(x):
        return x.sin().exp()

    def outer(x, wrap=lambda f: f):
        (slope,) = torch.autograd.grad(wrap(inner)(x).sum(), x, create_graph=True)
        return wrap(inner)(slope * x)

    def wrap(f):
        return lambda *a, **k: checkpoint(f, *a, use_reentrant=False, **k)

    x = torch.linspace(-1, 1, 5).requires_grad_()
    want = torch.autograd.grad(outer(x).sum(), x)
    assert_close(torch.autograd.grad(wrap(outer)(x, wrap=wrap).sum(), x), want)


def changing(*functions):
    rest = iter(functions)
    return lambda x: next(rest)(x)


def test_other_tensors_in_the_second_run():
    def run(first, second, **kwargs):
        x = torch.ones(2, requires_grad=True)
        checkpoint(changing(first, second), x, use_reentrant=False, **kwargs).sum().backward()
        return x.grad

    with pytest.raises(CheckpointError, match=r"saved during forward: 2\n.*recomputation: 1"):
        run(lambda x: x.exp().sin(), lambda x: x.exp())
    with pytest.raises(CheckpointError, match="save more tensors during recomputation"):
        run(lambda x: x.exp(), lambda x: x.exp().sin(), early_stop=False)
    with pytest.raises(CheckpointError, match=r"position 0:\nsaved metadata: \{'shape': torch.Size\(\[2\]\)"):
        run(lambda x: x.sin(), lambda x: x[:1].sin())
    assert run(lambda x: x.sin(), lambda x: x[:1].sin(), determinism_check="none").shape == (2,)
    with pytest.raises(ValueError, match="determinism_check should be one of"):
        run(lambda x: x, lambda x: x, determinism_check="strict")


def test_arguments_that_were_written_are_refused():
    x = torch.ones(2, requires_grad=True)
    a = x * 1
    y = checkpoint(lambda a: a.exp().sin(), a, use_reentrant=False)
    a.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_the_reentrant_variant_refuses_chosen_inputs():
    x = torch.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match=r"incompatible with \.grad\(\)"):
        torch.autograd.grad(checkpoint(torch.exp, x, use_reentrant=True).sum(), x)
    checkpoint(torch.exp, x, use_reentrant=True).sum().backward()
    assert_close(x.grad, x.exp().detach())


def test_notes_on_the_edge_of_a_leaf():
    x = torch.ones(2, requires_grad=True)
    node = x.exp().grad_fn.next_functions[0][0]
    node.metadata["seen"] = 1
    assert x.sin().grad_fn.next_functions[0][0].metadata == {"seen": 1}


# ---- modules around modules


class Scaled(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = torch.nn.Linear(4, 4)

    def forward(self, x, scale=1.0):
        return torch.tanh(self.inner(x)) * scale


@pytest.mark.parametrize("impl", list(CheckpointImpl))
def test_a_wrapped_module_gives_the_gradients_of_the_module(impl):
    torch.manual_seed(0)
    plain = Scaled()
    wrapped = checkpoint_wrapper(plain, impl)
    x = torch.randn(3, 4, requires_grad=True)
    grads = []
    for m in (plain, wrapped):
        plain.zero_grad()
        m(x, scale=2.0).sum().backward()
        grads.append(plain.inner.weight.grad)
    assert torch.equal(*grads)


@pytest.mark.parametrize("wrapper", [checkpoint_wrapper, offload_wrapper])
def test_names_of_wrapped_modules_are_those_of_the_modules(wrapper):
    model = torch.nn.Sequential(Scaled(), torch.nn.Sequential(Scaled()))
    names = [name for name, _ in model.named_parameters()]
    apply_activation_checkpointing(model, wrapper, lambda m: isinstance(m, (Scaled, torch.nn.Sequential)))
    assert type(model[1]._checkpoint_wrapped_module) is torch.nn.Sequential and type(model[1][0]) is type(model[0])
    assert isinstance(model[0], CheckpointWrapper) == (wrapper is checkpoint_wrapper)
    assert model[0].inner.weight.shape == (4, 4)
    assert list(model.state_dict()) == names
    assert [name for name, _ in model[1].named_parameters()] == [n.removeprefix("1.") for n in names[2:]]
    model.load_state_dict({name: torch.full(p.shape, 2.0) for name, p in model.state_dict().items()})
    assert model[0].inner.bias.tolist() == [2, 2, 2, 2]


def test_a_policy_chooses_what_is_wrapped():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(9, 9))
    apply_activation_checkpointing(
        model, auto_wrap_policy=lambda module, recurse, nonwrapped_numel: nonwrapped_numel > 50
    )
    assert [isinstance(m, CheckpointWrapper) for m in model] == [False, True]
