"""Sparse gradients of tables, how they are added up, and the optimizers that take them. Golden values are PyTorch's."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import flambeau as torch
import flambeau.nn.functional as F
from flambeau import nn, optim
from flambeau.graph import realisation
from flambeau.ops import sparse_rows

INDICES = torch.tensor([[3, 1, 3], [0, 1, 9]])
BAGS = torch.tensor([1, 2, 2, 5, 1, 7])
OFFSETS = torch.tensor([0, 2, 2, 5])


def table(padding: int | None = None, **options: Any) -> nn.Embedding:
    torch.manual_seed(0)
    return nn.Embedding(10, 2, padding_idx=padding, sparse=True, **options)


def weighted(x: Any) -> Any:
    """Each row of the last dimension by its number, from one on, summed."""
    rows = x.reshape(-1, x.shape[-1])
    return (rows * torch.arange(1.0, 1 + rows.shape[0]).unsqueeze(1)).sum()


def entries(g: Any) -> tuple[list[int], list[float]]:
    """Indices, and the first of each row of values."""
    assert g.is_sparse and g._values()[:, 0].tolist() == g._values()[:, -1].tolist()
    return g._indices()[0].tolist(), g._values()[:, 0].tolist()


# ---- the gradient itself


def test_the_gradient_is_a_sparse_tensor() -> None:
    e = table()
    weighted(e(INDICES)).backward()
    g = e.weight.grad
    assert entries(g) == ([3, 1, 3, 0, 1, 9], [1, 2, 3, 4, 5, 6])
    assert (g.is_sparse, g.layout, g.is_coalesced()) == (True, torch.sparse_coo, False)
    assert (g.sparse_dim(), g.dense_dim(), g._nnz(), g.shape, g.requires_grad) == (1, 1, 6, (10, 2), False)
    assert repr(g.coalesce()) == (
        "tensor(indices=tensor([[0, 1, 3, 9]]),\n"
        "       values=tensor([[4., 4.],\n"
        "                      [7., 7.],\n"
        "                      [4., 4.],\n"
        "                      [6., 6.]]),\n"
        "       size=(10, 2), nnz=4, layout=torch.sparse_coo)"
    )


@pytest.mark.parametrize(
    ("indices", "expected"),
    [
        (INDICES, ([3, 3, 0, 9], [1, 3, 4, 6])),
        (torch.tensor([1, 1]), ([], [])),
        (torch.zeros(0, dtype=torch.int64), ([], [])),
        (torch.tensor(3, dtype=torch.int32), ([3], [1])),
    ],
)
def test_the_padding_has_no_entry(indices: Any, expected: Any) -> None:
    e = table(1)
    weighted(e(indices)).backward()
    g = e.weight.grad
    assert repr(g).endswith(f"size=(10, 2), nnz={len(expected[0])}, layout=torch.sparse_coo)")
    assert entries(g) == expected
    assert g.is_coalesced() == (len(expected[0]) < 2)


@pytest.mark.parametrize(
    ("mode", "options", "expected"),
    [
        ("sum", {}, ([1, 2, 2, 5, 1, 7], [1, 1, 3, 3, 3, 4])),
        ("mean", {}, ([1, 2, 2, 5, 1, 7], [0.5, 0.5, 1, 1, 1, 4])),
        ("mean", {"padding_idx": 2}, ([1, 5, 1, 7], [1, 1.5, 1.5, 4])),
        ("sum", {"per_sample_weights": torch.arange(6.0)}, ([1, 2, 2, 5, 1, 7], [0, 1, 6, 9, 12, 20])),
    ],
)
def test_bags(mode: Any, options: dict[str, Any], expected: Any) -> None:
    torch.manual_seed(0)
    weight = torch.randn(10, 2, requires_grad=True)
    weighted(F.embedding_bag(BAGS, weight, OFFSETS, mode=mode, sparse=True, **options)).backward()
    assert entries(weight.grad) == expected


def test_weights_of_samples_have_a_gradient_too() -> None:
    torch.manual_seed(0)
    weight, samples = torch.randn(10, 2, requires_grad=True), torch.arange(6.0).requires_grad_()
    weighted(F.embedding_bag(BAGS, weight, OFFSETS, mode="sum", sparse=True, per_sample_weights=samples)).backward()
    dense = weight.detach().clone().requires_grad_()
    again = samples.detach().clone().requires_grad_()
    weighted(F.embedding_bag(BAGS, dense, OFFSETS, mode="sum", per_sample_weights=again)).backward()
    assert torch.equal(samples.grad, again.grad) and torch.equal(weight.grad.to_dense(), dense.grad)


def test_what_is_refused() -> None:
    e = table(scale_grad_by_freq=True)
    message = "embedding_backward: scale_grad_by_freq not supported with sparse gradients"
    with pytest.raises(RuntimeError, match=message):
        e(INDICES).sum().backward()
    bag = nn.EmbeddingBag(10, 2, mode="sum", sparse=True, scale_grad_by_freq=True)
    with pytest.raises(RuntimeError, match=message):
        bag(INDICES).sum().backward()
    with pytest.raises(ValueError, match="max mode does not support sparse weights"):
        nn.EmbeddingBag(10, 2, mode="max", sparse=True)(INDICES)
    with pytest.raises(NotImplementedError, match=r"linalg_vector_norm\(\) does not take sparse tensors"):
        nn.utils.clip_grad_norm_(_after(table()).parameters(), 1.0)
    with pytest.raises(NotImplementedError, match=r"clamp\(\) does not take sparse tensors"):
        nn.utils.clip_grad_value_(_after(table()).parameters(), 1.0)


def _after(e: nn.Embedding) -> nn.Embedding:
    weighted(e(INDICES)).backward()
    return e


# ---- sums


def test_two_passes_merge_entries() -> None:
    """As PyTorch does where values lie row by row; one after the other where they do not, as those of ``sum``."""
    for _ in range(3):  # the engine, a pass that is remembered, one that is found by its traced node
        e = table()
        weighted(e(INDICES)).backward()
        g = e.weight.grad
        (2 * weighted(e(INDICES))).backward()
        assert entries(e.weight.grad) == ([3, 1, 3, 0, 1, 9], [3, 6, 9, 12, 15, 18])
        assert e.weight.grad is g and g._version == 1
        e = table()
        for numbers in ([5, 3, 1, 7], [3, 5, 2, 1, 9, 7]):
            (len(numbers) // 3 * e(torch.tensor(numbers))).sum().backward()
        assert entries(e.weight.grad) == ([3, 5, 2, 1, 3, 1, 7, 9, 7], [2, 3, 2, 2, 1, 1, 1, 2, 2])
        e = table()
        for numbers in ([5, 3], [5, 4]):
            e(torch.tensor(numbers)).sum().backward()
        assert entries(e.weight.grad) == ([5, 3, 5, 4], [1, 1, 1, 1])


def test_several_uses() -> None:
    for _ in range(3):
        e = table()
        first, second, third = [e(torch.tensor(n)) for n in ([5, 3], [3, 5, 2], [1, 8, 2])]
        (first.sum() + (2 * second).sum() + (3 * third).sum()).backward()
        assert entries(e.weight.grad) == ([5, 3, 1, 3, 5, 2, 8, 2], [1, 1, 3, 2, 2, 2, 3, 3])


@pytest.mark.parametrize("dense_first", [False, True])
@pytest.mark.parametrize("passes", [1, 2])
def test_dense_and_sparse_make_dense(dense_first: bool, passes: int) -> None:
    e = table()
    parts: list[Callable[[], Any]] = [lambda: weighted(e(INDICES)), lambda: e.weight.sum()]
    if dense_first:
        parts.reverse()
    if passes == 1:
        (parts[0]() + parts[1]()).backward()
    else:
        parts[0]().backward()
        parts[1]().backward()
    assert not e.weight.grad.is_sparse
    assert e.weight.grad[:, 0].tolist() == [5, 8, 1, 5, 1, 1, 1, 1, 1, 7]


def merged_one_by_one(a: list[int], b: list[int]) -> list[tuple[int, int]]:
    """PyTorch's loop over two lists of entries."""
    out: list[tuple[int, int]] = []
    i = j = 0
    while i < len(a) or j < len(b):
        before = -1 if j == len(b) else 1 if i == len(a) else (a[i] > b[j]) - (a[i] < b[j])
        out.append((i if before <= 0 else -1, j if before >= 0 else -1))
        i += before <= 0
        j += before >= 0
    return out


@pytest.mark.parametrize("many", [3, 50, 10**6])
def test_mergers_of_any_lists(many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse_rows, "FEW", 4)
    r = np.random.default_rng(many)
    for case in range(60):
        a, b = [r.integers(0, many, r.integers(0, 90)) for _ in range(2)]
        if case % 4 == 1:
            b = np.concatenate([a[: a.size // 2], [0], a[a.size // 2 :]])
        elif case % 4 == 2:
            a, b = np.sort(a), np.sort(b)
        elif case % 4 == 3:
            a, b = np.sort(a)[::-1], np.sort(b)[::-1]
        first, second = sparse_rows.merge(a, b)
        assert list(zip(first.tolist(), second.tolist())) == merged_one_by_one(a.tolist(), b.tolist())


# ---- hooks, autograd.grad, zero_grad


def test_hooks_see_and_replace_sparse_gradients() -> None:
    e = table()
    seen: list[Any] = []
    e.weight.register_hook(lambda g: seen.append(g))
    e.weight.register_hook(lambda g: g * 2)
    weighted(e(INDICES)).backward()
    assert entries(seen[0])[1] == [1, 2, 3, 4, 5, 6] and entries(e.weight.grad)[1] == [2, 4, 6, 8, 10, 12]
    e.weight.register_hook(lambda g: g.to_dense())
    with pytest.raises(RuntimeError, match=r"was torch.sparse.FloatTensor got torch.FloatTensor"):
        weighted(e(INDICES)).backward()


def test_gradients_that_are_asked_for() -> None:
    e = table()
    for _ in range(2):
        (g,) = torch.autograd.grad(weighted(e(INDICES)), e.weight)
        assert entries(g) == ([3, 1, 3, 0, 1, 9], [1, 2, 3, 4, 5, 6])
    (g,) = torch.autograd.grad((e(torch.tensor([5, 3])) ** 3).sum(), e.weight, create_graph=True)
    (second,) = torch.autograd.grad(g.to_dense().sum(), e.weight)
    assert g.requires_grad and second._indices().tolist() == [[5, 3]]
    torch.testing.assert_close(second._values(), 6 * e.weight.detach()[[5, 3]])


def test_a_gradient_through_an_operator() -> None:
    w = torch.randn(10, 2, requires_grad=True)
    weighted(F.embedding(INDICES, w * 2, sparse=True)).backward()
    assert entries(w.grad)[1] == [2, 4, 6, 8, 10, 12]


def test_zero_grad_leaves_no_entry() -> None:
    for owner in (table(), optim.SGD):
        e = table()
        weighted(e(INDICES)).backward()
        (e if isinstance(owner, nn.Embedding) else owner(e.parameters(), 0.1)).zero_grad(set_to_none=False)
        assert (e.weight.grad._nnz(), e.weight.grad.shape, e.weight.grad._values().shape) == (0, (10, 2), (0, 2))
        weighted(e(INDICES)).backward()
        assert e.weight.grad._nnz() == 6


def test_arithmetic_in_place() -> None:
    g = _after(table()).weight.grad
    g.mul_(torch.tensor(2.0)).div_(4)
    assert entries(g)[1] == [0.5, 1, 1.5, 2, 2.5, 3] and g._version == 2
    g += g
    g -= g.coalesce() / 2
    assert g.coalesce().to_dense()[:, 0].tolist() == [2, 3.5, 0, 2, 0, 0, 0, 0, 0, 3]
    x = torch.ones(10, 2)
    x.add_(g, alpha=-2)
    x -= g
    assert torch.equal(x, 1 - 3 * g.to_dense()) and torch.equal(torch.add(x, g, alpha=3), torch.ones(10, 2))
    assert torch.equal(x.sub(g), x - g.to_dense())
    with pytest.raises(RuntimeError, match=r"copy_\(\) between dense and sparse Tensors is not implemented!"):
        g.copy_(x)
    with pytest.raises(RuntimeError, match=r"add\(sparse, dense\) is not supported"):
        g.add_(x)


# ---- optimizers

REFUSALS = {
    "Adadelta": "Adadelta does not support sparse gradients",
    "Adam": "Adam does not support sparse gradients, please consider SparseAdam instead",
    "AdamW": "Adam does not support sparse gradients, please consider SparseAdam instead",
    "Adamax": "Adamax does not support sparse gradients",
    "ASGD": "ASGD does not support sparse gradients",
    "NAdam": "NAdam does not support sparse gradients",
    "RAdam": "RAdam does not support sparse gradients",
    "RMSprop": "RMSprop does not support sparse gradients",
    "Rprop": "Rprop does not support sparse gradients",
    "Adafactor": "Adafactor does not support sparse gradients",
    "Muon": "Muon does not support sparse gradients",
}


@pytest.mark.parametrize("name", REFUSALS)
def test_optimizers_that_refuse(name: str) -> None:
    e = _after(table())
    with pytest.raises(RuntimeError, match=f"^{REFUSALS[name]}$"):
        getattr(optim, name)(list(e.parameters())).step()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("SGD", {"weight_decay": 0.1}, r"add\(sparse, dense\) is not supported. Use add\(dense, sparse\) instead."),
        ("SGD", {"fused": True}, "`_fused_sgd` does not support sparse gradients"),
        ("Adagrad", {"weight_decay": 0.1}, "weight_decay option is not compatible with sparse gradients"),
        ("Adagrad", {"fused": True}, "`fused` does not support sparse grad or complex param"),
    ],
)
def test_options_that_refuse(name: str, options: dict[str, Any], message: str) -> None:
    e = _after(table())
    with pytest.raises(RuntimeError, match=message):
        getattr(optim, name)(e.parameters(), **options).step()


def trained(sparse: bool, name: str, options: dict[str, Any], padding: int | None = None) -> tuple[Any, Any]:
    """A table after some steps, with two uses in each, and its optimizer."""
    torch.manual_seed(0)
    e = nn.Embedding(10, 3, padding_idx=padding, sparse=sparse)
    optimizer = getattr(optim, name)(list(e.parameters()), **options)
    for i in range(5):
        optimizer.zero_grad()
        a, b = e((INDICES + i) % 10), e((BAGS * i) % 10)
        (weighted(a * a) + weighted(b.tanh())).backward()
        optimizer.step()
    return e, optimizer


CASES: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.01}),
    ("SGD", {"lr": 0.01, "maximize": True}),
    ("SGD", {"lr": 0.01, "momentum": 0.9}),
    ("SGD", {"lr": 0.01, "momentum": 0.9, "nesterov": True}),
    ("SGD", {"lr": 0.01, "momentum": 0.9, "dampening": 0.5}),
    ("Adagrad", {"lr": 0.1}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "initial_accumulator_value": 0.1, "maximize": True}),
]


@pytest.mark.parametrize(("name", "options"), CASES)
@pytest.mark.parametrize("padding", [None, 1])
def test_sparse_steps_are_those_of_dense_gradients(name: str, options: dict[str, Any], padding: int | None) -> None:
    sparse, dense = [trained(s, name, options, padding) for s in (True, False)]
    torch.testing.assert_close(sparse[0].weight, dense[0].weight)
    for key, value in sparse[1].state_dict()["state"].get(0, {}).items():
        other = dense[1].state_dict()["state"][0][key]
        torch.testing.assert_close(value.to_dense() if value.is_sparse else value, other)


@pytest.mark.parametrize("padding", [None, 1])
@pytest.mark.parametrize("maximize", [False, True])
def test_sparse_adam_moves_the_rows_that_were_used(padding: int | None, maximize: bool) -> None:
    torch.manual_seed(0)
    e = nn.Embedding(10, 3, padding_idx=padding, sparse=True)
    optimizer = optim.SparseAdam(list(e.parameters()), lr=0.1, betas=(0.8, 0.9), maximize=maximize)
    weight = e.weight.detach().double().numpy().copy()
    mean, square = np.zeros_like(weight), np.zeros_like(weight)
    for i in range(4):
        optimizer.zero_grad()
        indices = torch.tensor([1, 1]) if i == 2 else (INDICES + i) % 10
        weighted(e(indices) ** 2).backward()
        optimizer.step()
        flat = indices.reshape(-1).numpy()
        grad = np.zeros_like(weight)
        np.add.at(grad, flat, 2 * weight[flat] * np.arange(1, 1 + flat.size)[:, None] * (-1 if maximize else 1))
        rows = [r for r in sorted(set(flat.tolist())) if r != padding]
        mean[rows] += 0.2 * (grad[rows] - mean[rows])
        square[rows] += 0.1 * (grad[rows] ** 2 - square[rows])
        rate = 0.1 * np.sqrt(1 - 0.9 ** (i + 1)) / (1 - 0.8 ** (i + 1))
        weight[rows] -= rate * mean[rows] / (np.sqrt(square[rows]) + 1e-8)
    np.testing.assert_allclose(e.weight.detach().numpy(), weight, rtol=2e-4, atol=2e-5)
    state = optimizer.state_dict()["state"][0]
    assert state["step"] == 4 and list(state) == ["step", "exp_avg", "exp_avg_sq"]
    np.testing.assert_allclose(state["exp_avg_sq"].numpy(), square, rtol=2e-4, atol=2e-5)


def test_momentum_is_sparse() -> None:
    e = table()
    optimizer = optim.SGD(e.parameters(), lr=0.1, momentum=0.5)
    for numbers in ([3, 1], [1, 3, 1]):
        optimizer.zero_grad()
        weighted(e(torch.tensor(numbers))).backward()
        optimizer.step()
    buffer = optimizer.state_dict()["state"][0]["momentum_buffer"]
    assert entries(buffer) == ([1, 3, 1], [1, 2.5, 4])
    other = optim.SGD(table().parameters(), lr=0.1, momentum=0.5)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert entries(other.state_dict()["state"][0]["momentum_buffer"]) == entries(buffer)


def test_gradients_with_several_sparse_dimensions() -> None:
    for name in ("SGD", "Adagrad", "SparseAdam"):
        p = nn.Parameter(torch.ones(2, 3))
        p.grad = torch.sparse_coo_tensor([[0, 1, 0], [1, 2, 1]], [1.0, 2.0, 3.0], (2, 3))
        getattr(optim, name)([p], lr=0.5).step()
        assert (p != 1).tolist() == [[False, True, False], [False, False, True]], name
        assert p[0, 1] == p[1, 2] or name == "SGD"


def test_dense_parameters_beside_sparse_ones() -> None:
    for name in ("SGD", "Adagrad"):
        for sparse in (True, False):
            torch.manual_seed(0)
            model = nn.ModuleList([nn.Embedding(10, 3, sparse=sparse), nn.Linear(3, 1)])
            optimizer = getattr(optim, name)(model.parameters(), lr=0.1)
            for i in range(3):
                optimizer.zero_grad()
                weighted(model[1](model[0]((INDICES + i) % 10))).backward()
                optimizer.step()
            if sparse:
                expected = copy.deepcopy(model.state_dict())
        for key, value in model.state_dict().items():
            torch.testing.assert_close(value, expected[key])


# ---- programs and bits


@pytest.mark.parametrize(("name", "options"), [*CASES[:1], *CASES[5:6], ("SparseAdam", {"lr": 0.1})])
@pytest.mark.parametrize("padding", [None, 1])
def test_programs_do_not_depend_on_how_many_rows_are_distinct(name: str, options: Any, padding: int | None) -> None:
    torch.manual_seed(0)
    e = nn.Embedding(50, 3, padding_idx=padding, sparse=True)
    optimizer = getattr(optim, name)(list(e.parameters()), **options)
    draw = random.Random(0)
    counts = []
    for i in range(12):
        optimizer.zero_grad()
        most = 3 + 4 * i
        a, b = [torch.tensor([draw.randrange(most) for _ in range(n)]) for n in (20, 30)]
        (weighted(e(a) ** 2) + weighted(e(b).tanh())).backward()
        optimizer.step()
        counts.append(len(realisation.programs))
    assert counts[3] == counts[-1]


@pytest.mark.parametrize(("name", "options"), [*CASES[:1], *CASES[5:6], ("SparseAdam", {"lr": 0.1})])
def test_looking_at_gradients_changes_no_bit(name: str, options: Any) -> None:
    found = []
    for look in (False, True):
        torch.manual_seed(0)
        e = nn.Embedding(50, 3, padding_idx=1, sparse=True)
        optimizer = getattr(optim, name)(list(e.parameters()), **options)
        draw = random.Random(0)
        for _ in range(4):
            optimizer.zero_grad()
            a, b = [torch.tensor([draw.randrange(12) for _ in range(n)]) for n in (20, 30)]
            (weighted(e(a) ** 2) + weighted(e(b).tanh())).backward()
            if look:
                assert e.weight.grad._nnz() <= 50 and str(e.weight.grad)
            optimizer.step()
        found.append(e.weight.detach().numpy().tobytes())
    assert found[0] == found[1]


@pytest.mark.parametrize("rows", [0, 10])
def test_rows_of_no_elements_have_no_entries(rows: int) -> None:
    table = nn.Embedding(rows, 0, sparse=True)
    table(torch.zeros(0 if rows == 0 else 4, dtype=torch.int64)).sum().backward()
    g = table.weight.grad
    assert g is not None and g.is_sparse and g.shape == (rows, 0) and g._nnz() == 0
