"""Optimizers give PyTorch's numbers, state, texts and errors."""

from __future__ import annotations

import copy
import json
import math
import pickle
from typing import Any

import numpy as np
import pytest
from _optim_cases import GOLDEN, OPTIMIZERS, advance, optimizer_cases, parameters, set_gradients, train

import flambeau as torch
from flambeau import optim

golden = json.loads(GOLDEN.read_text())["optimizers"]


def leaf(*values: float) -> Any:
    return torch.tensor(values).requires_grad_(True)


def close(found: Any, expected: Any, tolerance: float) -> None:
    """Compares nested structures; numbers to a tolerance."""
    if isinstance(expected, float) and isinstance(found, float):
        assert found == pytest.approx(expected, rel=tolerance, abs=tolerance)
    elif isinstance(expected, dict):
        assert list(found) == list(expected)
        for key in expected:
            close(found[key], expected[key], tolerance)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            close(a, b, tolerance)
    else:
        assert found == expected


@pytest.mark.parametrize(("name", "index", "dtype"), optimizer_cases())
def test_golden(name: str, index: int, dtype: str) -> None:
    found = train(torch, name, OPTIMIZERS[name][index], dtype)
    # Muon works in bfloat16, and L-BFGS multiplies errors. PyTorch rounds the last few numbers of a bfloat16
    # tensor once more than the others.
    tolerance = {"float64": 1e-12, "float32": 1e-6, "bfloat16": 5e-2}[dtype]
    tolerance = {"Muon": 2e-2, "LBFGS": 1e-4}.get(name, tolerance)
    expected = golden[f"{name}-{index}-{dtype}"]
    assert found.pop("repr") == expected["repr"]
    close(found, {k: v for k, v in expected.items() if k != "repr"}, tolerance)


@pytest.mark.live
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_live(name: str) -> None:
    oracle = pytest.importorskip("torch")
    for options in OPTIMIZERS[name]:
        if "fused" in golden[f"{name}-0-float32"]["repr"]:
            options = {**options, "fused": True}
        found, expected = (train(module, name, options) for module in (torch, oracle))
        close(found["params"], expected["params"], 2e-2 if name == "Muon" else 1e-4)


# ---- state ----------------------------------------------------------------------


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_resuming_changes_nothing(name: str) -> None:
    options = OPTIMIZERS[name][-1]
    params = parameters(torch, name)
    optimizer = getattr(optim, name)(params, **options)
    for _ in range(2):
        advance(torch, optimizer, params)
    resumed = [p.detach().clone().requires_grad_(True) for p in params]
    other = getattr(optim, name)(resumed, **options)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for _ in range(2):
        advance(torch, optimizer, params)
        advance(torch, other, resumed)
    for p, q in zip(params, resumed, strict=True):
        assert torch.equal(p, q)


@pytest.mark.parametrize("copier", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_are_independent(copier: Any) -> None:
    params = parameters(torch, "Adam")
    optimizer = optim.Adam(params, lr=0.1)
    advance(torch, optimizer, params)
    other = copier(optimizer)
    copies = other.param_groups[0]["params"]
    before = [p.tolist() for p in params]
    advance(torch, other, copies)
    assert [p.tolist() for p in params] == before
    advance(torch, optimizer, params)
    assert [p.tolist() for p in params] == [p.tolist() for p in copies]


def test_state_without_momentum_is_empty() -> None:
    p = leaf(1.0, 2.0)
    optimizer = optim.SGD([p], lr=0.1)
    p.grad = torch.ones(2)
    optimizer.step()
    assert optimizer.state_dict() == {
        "state": {},
        "param_groups": [
            {
                "lr": 0.1,
                "momentum": 0,
                "dampening": 0,
                "weight_decay": 0,
                "nesterov": False,
                "maximize": False,
                "foreach": None,
                "differentiable": False,
                "fused": None,
                "params": [0],
            }
        ],
    }


def test_step_is_a_float32_scalar() -> None:
    p = torch.ones(2, dtype=torch.float64).requires_grad_(True)
    p.grad = torch.ones(2, dtype=torch.float64)
    optimizer = optim.Adam([p])
    optimizer.step()
    step = optimizer.state[p]["step"]
    assert (step.dtype, tuple(step.shape), step.item()) == (torch.float32, (), 1.0)


def test_parameters_without_gradient_are_left_alone() -> None:
    a, b = leaf(1.0), leaf(2.0)
    a.grad = torch.ones(1)
    optimizer = optim.Adam([a, b], lr=0.1)
    optimizer.step()
    assert b.item() == 2.0 and b not in optimizer.state and a in optimizer.state


def test_numbers_of_older_checkpoints_become_tensors() -> None:
    p = leaf(1.0, 2.0)
    optimizer = optim.Adam([p], lr=0.1)
    group = {"params": [0], "lr": 0.2, "betas": (0.9, 0.99), "eps": 1e-8, "weight_decay": 0}
    state = {"step": 3, "exp_avg": torch.ones(2, dtype=torch.float64), "exp_avg_sq": torch.ones(2)}
    optimizer.load_state_dict({"param_groups": [group], "state": {0: state, "note": 5}})
    assert optimizer.state[p]["exp_avg"].dtype == torch.float32 and optimizer.state["note"] == 5
    p.grad = torch.zeros(2)
    optimizer.step()
    assert optimizer.state[p]["step"].item() == 4.0
    assert p.tolist() == pytest.approx(
        [1 - 0.2 * 0.9 / (1 - 0.9**4) / (0.99 / (1 - 0.99**4)) ** 0.5] * 2 + torch.tensor([0.0, 1.0]).numpy()
    )


def test_load_state_dict_errors() -> None:
    optimizer = optim.SGD([leaf(1.0), leaf(2.0)])
    with pytest.raises(ValueError, match=r"^loaded state dict has a different number of parameter groups$"):
        optimizer.load_state_dict({"param_groups": [], "state": {}})
    with pytest.raises(ValueError, match="contains a parameter group that doesn't match the size of optimizer's group"):
        optimizer.load_state_dict({"param_groups": [{"params": [0]}], "state": {}})


# ---- the Python mirror of step counts ---------------------------------------------


def test_a_step_reads_no_tensor(monkeypatch: pytest.MonkeyPatch) -> None:
    problems = []
    for name in ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "NAdam", "RAdam", "Adamax", "ASGD", "Rprop"):
        params = parameters(torch, name)
        problems.append((getattr(optim, name)(params, lr=0.1), params))
        advance(torch, *problems[-1])

    def refuse(self: Any) -> Any:
        raise AssertionError("a tensor was read")

    monkeypatch.setattr(torch.Tensor, "item", refuse)
    for optimizer, params in problems:
        set_gradients(torch, params)
        optimizer.step()


@pytest.mark.parametrize("how", ["replace", "write", "load"])
def test_a_changed_step_count_is_seen(how: str) -> None:
    params = parameters(torch, "Adam")
    optimizer = optim.Adam(params, lr=0.1)
    advance(torch, optimizer, params)
    for state in optimizer.state.values():
        if how == "replace":
            state["step"] = torch.tensor(10.0)
        elif how == "write":
            state["step"].fill_(10.0)
    if how == "load":
        saved = copy.deepcopy(optimizer.state_dict())
        for state in saved["state"].values():
            state["step"] = torch.tensor(10.0)
        optimizer.load_state_dict(saved)
    before, mean, square = (
        params[1].tolist(),
        *(optimizer.state[params[1]][k].tolist() for k in ("exp_avg", "exp_avg_sq")),
    )
    params[0].grad, params[1].grad = None, torch.zeros(3)
    optimizer.step()
    assert optimizer.state[params[1]]["step"].item() == 11.0
    for now, old, m, v in zip(params[1].tolist(), before, mean, square, strict=True):
        expected = old - 0.1 * 0.9 * m / (1 - 0.9**11) / ((0.999 * v / (1 - 0.999**11)) ** 0.5 + 1e-8)
        assert now == pytest.approx(expected, rel=1e-5)


# ---- memory -----------------------------------------------------------------------


def test_parameters_that_share_memory() -> None:
    flat = torch.arange(6.0)
    first, last = flat[:2].requires_grad_(True), flat[2:5].requires_grad_(True)
    optimizer = optim.SGD([first, last], lr=0.5, momentum=0.5)
    for _ in range(2):
        first.grad, last.grad = torch.ones(2), torch.full((3,), 2.0)
        optimizer.step()
    assert flat.tolist() == [-1.25, -0.25, -0.5, 0.5, 1.5, 5.0]
    assert first.tolist() == [-1.25, -0.25]


def test_a_gradient_may_be_shared_or_be_the_parameter_itself() -> None:
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    a.grad = b.grad = grad = torch.tensor([0.5, 1.0])
    optimizer = optim.SGD([a, b], lr=1.0)
    optimizer.step()
    assert (a.tolist(), b.tolist(), grad.tolist()) == ([0.5, 1.0], [2.5, 3.0], [0.5, 1.0])
    a.grad, b.grad = a.detach(), None
    optimizer.step()
    assert a.tolist() == [0.0, 0.0]


def test_memory_shared_with_numpy() -> None:
    array = np.ones(3, np.float32)
    p, q = torch.from_numpy(array).requires_grad_(True), leaf(1.0)
    optimizer = optim.Adam([p, q], lr=0.5)
    for _ in range(3):
        p.grad, q.grad = torch.ones(3), torch.ones(1)
        optimizer.step()
        assert array.tolist() == p.tolist() == pytest.approx(q.tolist() * 3)


def test_a_step_invalidates_what_was_saved_before_it() -> None:
    p, x = leaf(1.0, 2.0), leaf(3.0, 4.0)
    loss = (p * x).sum()
    before, copied = p.detach(), p.detach().clone()
    p.grad = torch.ones(2)
    optim.SGD([p], lr=1.0).step()
    assert (before.tolist(), copied.tolist()) == ([0.0, 1.0], [1.0, 2.0])
    with pytest.raises(RuntimeError, match="has been modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "NAdam"])
def test_steps_compile_at_most_twice(name: str) -> None:
    graph = pytest.importorskip("flambeau.graph")
    params = parameters(torch, name)
    optimizer = getattr(optim, name)(params, lr=0.1)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, 20)
    graph.realise()  # what other tests have left pending would be part of the first program
    before = graph.counters["compiles"]
    for _ in range(20):
        set_gradients(torch, params)
        optimizer.step()
        scheduler.step()
    assert graph.counters["compiles"] - before <= 2


@pytest.mark.parametrize("options", [{}, {"nesterov": True}, {"dampening": 0.5}])
def test_the_first_step_with_momentum_is_the_program_of_later_ones(options: dict[str, Any]) -> None:
    graph = pytest.importorskip("flambeau.graph")
    net = torch.nn.Linear(3, 2)
    optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.9, **options)
    x = torch.ones(4, 3)
    x.sum().item()
    before = graph.counters["compiles"]
    for _ in range(3):
        optimizer.zero_grad()
        net(x).square().mean().backward()
        optimizer.step()
    assert graph.counters["compiles"] - before <= 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_the_first_gradient_becomes_the_momentum_to_the_bit(dtype: torch.dtype) -> None:
    p = torch.ones(6, dtype=dtype, requires_grad=True)
    p.grad = torch.tensor([-0.0, 0.0, 1e-7, -3.0, math.inf, math.nan], dtype=dtype)
    optimizer = optim.SGD([p], lr=0.1, momentum=0.5, dampening=0.25)
    optimizer.step()
    found, expected = optimizer.state[p]["momentum_buffer"], p.grad
    assert torch.equal(found[:5], expected[:5]) and found[5].isnan()
    assert torch.equal(found.signbit()[:5], expected.signbit()[:5])


def test_an_infinite_momentum_does_not_spoil_the_first_step() -> None:
    p = torch.zeros(2, requires_grad=True)
    p.grad = torch.ones(2)
    optim.SGD([p], lr=1.0, momentum=math.inf).step()
    assert p.tolist() == [-1.0, -1.0]


# ---- groups -----------------------------------------------------------------------


def test_groups_have_their_own_options() -> None:
    a, b = leaf(1.0), leaf(1.0)
    optimizer = optim.SGD([{"params": a, "lr": 0.5}, {"params": [b]}], lr=0.1)
    a.grad = b.grad = torch.ones(1)
    optimizer.step()
    assert (a.item(), b.item()) == pytest.approx((0.5, 0.9))
    optimizer.add_param_group({"params": leaf(3.0)})
    assert [g["lr"] for g in optimizer.param_groups] == [0.5, 0.1, 0.1]
    assert [g["params"] for g in optimizer.state_dict()["param_groups"]] == [[0], [1], [2]]


def test_names() -> None:
    optimizer = optim.SGD([("a", leaf(1.0)), ("b", leaf(2.0))])
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["a", "b"]
    with pytest.raises(ValueError, match="cannot add param group without names to the optimizer"):
        optimizer.add_param_group({"params": [leaf(1.0)]})
    with pytest.raises(ValueError, match="Some param names are missing"):
        optim.SGD([("a", leaf(1.0)), leaf(2.0)])


def test_bad_parameters() -> None:
    p = leaf(1.0)
    with pytest.raises(TypeError, match=r"should be an iterable of Tensors or dicts, but got torch\.FloatTensor$"):
        optim.SGD(torch.ones(2))
    with pytest.raises(ValueError, match=r"^optimizer got an empty parameter list$"):
        optim.SGD([])
    with pytest.raises(TypeError, match="ordering of tensors in sets will change between runs"):
        optim.SGD([{"params": {p}}])
    with pytest.raises(TypeError, match=r"^optimizer can only optimize Tensors, but one of the params is int$"):
        optim.SGD([1])
    with pytest.raises(ValueError, match=r"^can't optimize a non-leaf Tensor$"):
        optim.SGD([p * 2])
    with pytest.raises(ValueError, match=r"^some parameters appear in more than one parameter group$"):
        optim.SGD([{"params": [p]}, {"params": [p]}])
    with pytest.raises(TypeError, match=r"^param_group must be a dict, but got <class 'list'>$"):
        optim.SGD([p]).add_param_group([p])
    with pytest.warns(UserWarning, match="parameter group with duplicate parameters"):
        assert optim.SGD([p, p, leaf(2.0)]).state_dict()["param_groups"][0]["params"] == [1, 1, 2]


def test_required_option() -> None:
    class Plain(optim.Optimizer):
        def __init__(self, params: Any) -> None:
            from flambeau.optim.optimizer import required

            super().__init__(params, {"lr": required})

    with pytest.raises(ValueError, match="didn't specify a value of required optimization parameter lr"):
        Plain([leaf(1.0)])
    with pytest.raises(NotImplementedError):
        Plain([{"params": leaf(1.0), "lr": 1}]).step()


OPTION_ERRORS = [
    ("SGD", {"lr": -1.0}, "Invalid learning rate: -1.0"),
    ("SGD", {"momentum": -1}, "Invalid momentum value: -1"),
    ("SGD", {"weight_decay": -1}, "Invalid weight_decay value: -1"),
    ("SGD", {"nesterov": True}, "Nesterov momentum requires a momentum and zero dampening"),
    ("Adam", {"lr": -1}, "Invalid learning rate: -1"),
    ("Adam", {"eps": -1}, "Invalid epsilon value: -1"),
    ("Adam", {"betas": (1.0, 0.9)}, "Invalid beta parameter at index 0: 1.0"),
    ("Adam", {"betas": (0.9, -0.5)}, "Invalid beta parameter at index 1: -0.5"),
    ("Adam", {"betas": (0, 0.9)}, "betas must be either both floats or both Tensors"),
    ("AdamW", {"weight_decay": -1}, "Invalid weight_decay value: -1"),
    ("RMSprop", {"alpha": -1}, "Invalid alpha value: -1"),
    ("RMSprop", {"momentum": -1}, "Invalid momentum value: -1"),
    ("Adagrad", {"lr_decay": -1}, "Invalid lr_decay value: -1"),
    ("Adagrad", {"initial_accumulator_value": -1}, "Invalid initial_accumulator_value value: -1"),
    ("Adadelta", {"rho": 2}, "Invalid rho value: 2"),
    ("NAdam", {"momentum_decay": -1}, "Invalid momentum_decay value: -1"),
    ("RAdam", {"betas": (0.9, 2)}, "Invalid beta parameter at index 1: 2"),
    ("Adamax", {"eps": -1}, "Invalid epsilon value: -1"),
    ("Rprop", {"etas": (1.5, 1.2)}, "Invalid eta values: 1.5, 1.2"),
    ("SparseAdam", {"lr": 0}, "Invalid learning rate: 0"),
    ("Adafactor", {"beta2_decay": 1}, "beta2_decay should be <= 0 but is: 1"),
    ("Adafactor", {"d": 0.5}, "Clipping threshold d should be >= 1 but is: 0.5"),
    ("Muon", {"adjust_lr_fn": "x"}, "Adjust learning rate function x is not supported"),
    ("Muon", {}, "Muon only supports 2D parameters whereas we found a parameter with size: torch.Size([1])"),
]


@pytest.mark.parametrize(("name", "options", "message"), OPTION_ERRORS)
def test_option_errors(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        getattr(optim, name)([leaf(1.0)], **options)
    assert str(caught.value) == message


def test_flags_that_exclude_each_other() -> None:
    p = leaf(1.0)
    with pytest.raises(RuntimeError, match=r"^`fused` and `foreach` cannot be `True` together\.$"):
        optim.SGD([p], fused=True, foreach=True)
    with pytest.raises(RuntimeError, match=r"^`fused` does not support `differentiable`$"):
        optim.Adam([p], fused=True, differentiable=True)
    with pytest.raises(ValueError, match="lr as a Tensor is not supported for capturable=False and foreach=True"):
        optim.Adam([p], lr=torch.tensor(0.1), foreach=True)
    with pytest.raises(ValueError, match=r"^Tensor lr must be 1-element$"):
        optim.SGD([p], lr=torch.ones(2))
    p.grad = torch.ones(1)
    with pytest.raises(AssertionError, match="If capturable=True, params and state_steps must be on supported devices"):
        optim.Adam([p], capturable=True).step()


def test_sparse_adam_refuses_dense_gradients() -> None:
    p = leaf(1.0)
    p.grad = torch.ones(1)
    with pytest.raises(RuntimeError, match="SparseAdam does not support dense gradients, please consider Adam instead"):
        optim.SparseAdam([p]).step()


def test_lbfgs_takes_one_group() -> None:
    with pytest.raises(ValueError, match="LBFGS doesn't support per-parameter options"):
        optim.LBFGS([{"params": leaf(1.0)}, {"params": leaf(2.0)}])
    p = leaf(1.0)
    with pytest.raises(RuntimeError, match="only 'strong_wolfe' is supported"):
        optim.LBFGS([p], line_search_fn="armijo").step(lambda: _square(p))


def _square(p: Any) -> Any:
    p.grad = p.detach() * 2
    return (p.detach() ** 2).sum()


# ---- closures, gradients, hooks -----------------------------------------------------


def test_closure_runs_with_gradients_on() -> None:
    p = leaf(1.0, 2.0)
    optimizer = optim.SGD([p], lr=0.1)

    def closure() -> Any:
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with torch.no_grad():
        assert optimizer.step(closure).item() == 5.0
    assert p.tolist() == pytest.approx([0.8, 1.6])
    assert p.requires_grad and p.is_leaf


def test_lbfgs_minimises() -> None:
    p = leaf(-1.5, 2.0)
    optimizer = optim.LBFGS([p], max_iter=60, line_search_fn="strong_wolfe")

    def rosenbrock() -> Any:
        optimizer.zero_grad()
        loss = (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2
        loss.backward()
        return loss

    optimizer.step(rosenbrock)
    assert p.tolist() == pytest.approx([1.0, 1.0], abs=1e-3)


def test_zero_grad() -> None:
    p, q = leaf(1.0), leaf(2.0)
    optimizer = optim.SGD([p, q])
    (p * 3).sum().backward()
    grad = p.grad
    optimizer.zero_grad(set_to_none=False)
    assert p.grad is grad and p.grad.tolist() == [0.0] and q.grad is None
    optimizer.zero_grad()
    assert p.grad is None


def test_hooks() -> None:
    log: list[Any] = []
    optimizer = optim.SGD([leaf(1.0)])
    handles = [
        optimizer.register_step_pre_hook(lambda *a: log.append(("before", a[1] == (optimizer,), a[2]))),
        optimizer.register_step_post_hook(lambda *a: log.append("after")),
        optimizer.register_state_dict_pre_hook(lambda o: log.append("saving")),
        optimizer.register_state_dict_post_hook(lambda o, s: {**s, "extra": 1}),
        optimizer.register_load_state_dict_pre_hook(lambda o, s: log.append(sorted(s))),
        optimizer.register_load_state_dict_post_hook(lambda o: log.append("loaded"), prepend=True),
    ]
    optimizer.step()
    optimizer.load_state_dict(optimizer.state_dict())
    assert log == [("before", True, {}), "after", "saving", ["extra", "param_groups", "state"], "loaded"]
    for handle in handles:
        handle.remove()
    optimizer.step()
    assert len(log) == 5 and "extra" not in optimizer.state_dict()


def test_global_hooks_and_bad_results() -> None:
    from flambeau.optim import optimizer as base

    log: list[str] = []
    optimizer = optim.SGD([leaf(1.0)])
    before = base.register_optimizer_step_pre_hook(lambda *a: log.append("before"))
    after = base.register_optimizer_step_post_hook(lambda *a: log.append("after"))
    with before, after:
        optimizer.step()
    optimizer.step()
    assert log == ["before", "after"]
    optimizer.register_step_pre_hook(lambda *a: 3)
    with pytest.raises(RuntimeError, match=r"must return None or a tuple of \(new_args, new_kwargs\), but got 3\.$"):
        optimizer.step()


def test_differentiable_step() -> None:
    weight, lr = leaf(1.0, 2.0), torch.tensor(0.1).requires_grad_(True)
    p = weight * 3
    optimizer = optim.SGD([p], lr=lr, differentiable=True)
    p.grad = weight * weight
    optimizer.step()
    by_weight, by_lr = torch.autograd.grad(p.sum(), [weight, lr])
    assert by_weight.tolist() == pytest.approx([3 - 0.1 * 2, 3 - 0.1 * 4])
    assert by_lr.item() == pytest.approx(-5.0)


@pytest.mark.parametrize("name", ["Adam", "RMSprop", "NAdam", "RAdam", "Adagrad", "Adadelta", "Adamax"])
def test_differentiable_steps_have_gradients(name: str) -> None:
    def final(x: float) -> Any:
        w = torch.tensor(x, dtype=torch.float64).requires_grad_(True)
        p = w * 1.5
        optimizer = getattr(optim, name)([p], lr=0.1, differentiable=True)
        for _ in range(2):
            p.grad = w * w
            optimizer.step()
        return p, w

    p, w = final(0.7)
    (grad,) = torch.autograd.grad(p, [w])
    low, high = (final(0.7 + h)[0].item() for h in (-1e-5, 1e-5))
    assert grad.item() == pytest.approx((high - low) / 2e-5, rel=1e-4)


def test_tensor_learning_rate() -> None:
    p, q = leaf(1.0, 2.0), leaf(1.0, 2.0)
    for leaf_, lr in ((p, 0.1), (q, torch.tensor([0.1]))):
        optimizer = optim.Adam([leaf_], lr=lr)
        for _ in range(3):
            leaf_.grad = leaf_.detach() * 2
            optimizer.step()
    assert p.tolist() == pytest.approx(q.tolist(), rel=1e-6)


def test_complex_parameters() -> None:
    p = torch.tensor([1 + 2j, 3 - 1j]).requires_grad_(True)
    optimizer = optim.Adam([p], lr=0.1)
    p.grad = torch.tensor([1 - 1j, 0.5 + 2j])
    optimizer.step()
    assert p.tolist() == pytest.approx([0.9 + 2.1j, 2.9 - 1.1j], rel=1e-5)


@pytest.mark.parametrize("name", ["SGD", "Adam", "Adadelta", "Adagrad", "Adamax", "ASGD", "NAdam", "RMSprop", "Rprop"])
def test_a_step_without_gradients_changes_nothing(name):
    p = torch.nn.Parameter(torch.ones(2))
    optimizer = getattr(torch.optim, name)([p], lr=0.1)
    optimizer.step()
    assert p.tolist() == [1, 1]


def test_gradients_flow_through_the_product_of_nadams_momenta() -> None:
    product = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)

    def step(given: Any) -> Any:
        start = torch.tensor([1.0, -2.0], dtype=torch.float64)
        p = start.clone()
        p.grad = torch.tensor([0.5, 0.25], dtype=torch.float64)
        nadam = optim.NAdam([p], lr=0.9, differentiable=True)
        means = {"exp_avg": torch.full_like(p, 0.1), "exp_avg_sq": torch.full_like(p, 0.2)}
        nadam.state[p].update(step=torch.tensor(10.0, dtype=torch.float64), mu_product=given.clone(), **means)
        nadam.step()
        return torch.cat([p, nadam.state[p]["mu_product"].reshape(1)])

    assert torch.autograd.gradcheck(step, (product,))
    changes = torch.autograd.functional.jacobian(step, product)
    assert (changes.abs() > 1e-3).all()


def test_rows_of_parameters_in_memory_with_gaps() -> None:
    def trained(p: Any) -> Any:
        start = p.clone()
        adam = optim.SparseAdam([p], lr=0.1)
        for _ in range(2):
            p.grad = torch.sparse_coo_tensor(torch.tensor([[1, 3]]), torch.ones(2, 2), (4, 2))
            adam.step()
        assert (p - start).tolist() == [[0, 0], *[(p - start)[1].tolist(), [0, 0]], (p - start)[1].tolist()]
        return p

    values = torch.arange(8.0).reshape(4, 2)
    wide, moved = torch.zeros(4, 6), torch.zeros(11)
    wide[:, 1::3], moved[3:] = values, values.reshape(-1)
    expected = trained(values.clone()).tolist()
    assert trained(wide[:, 1::3]).tolist() == expected and trained(moved[3:].view(4, 2)).tolist() == expected
    assert wide[:, 0].count_nonzero() == 0 and moved[:3].count_nonzero() == 0
