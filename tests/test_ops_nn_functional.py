"""Activations, softmax, losses, matrix products, embeddings, distances, attention: gradients and values."""

from __future__ import annotations

import math

import pytest

import flambeau as torch
import flambeau.nn.functional as F
from flambeau.autograd import gradcheck, gradgradcheck


def rand(*shape, scale=1.0, shift=0.0, grad=True):
    """Double precision values that gradcheck can differentiate at."""
    return (torch.randn(*shape, dtype=torch.float64) * scale + shift).requires_grad_(grad)


def unit(*shape):
    return (torch.rand(*shape, dtype=torch.float64) * 0.8 + 0.1).requires_grad_()


LABELS = torch.tensor([1, 0, 4])
SPATIAL = torch.tensor([[[1, 0], [3, 3]], [[2, 2], [-100, 1]]])
WEIGHTS = torch.tensor([0.2, 0.7, 1.5, 0.4, 1.0], dtype=torch.float64)
LISTED = torch.tensor([[0, 2, -1], [1, -1, 0]])
SIGNS = torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64)
ROWS = torch.tensor([[0, 2], [1, 2], [3, 3]])

DIFFERENTIABLE = {
    "relu": lambda: (F.relu, (rand(3, 4),)),
    "relu6": lambda: (lambda x: F.relu6(x), (rand(3, 4, scale=4),)),
    "leaky_relu": lambda: (lambda x: F.leaky_relu(x, 0.2), (rand(3, 4),)),
    "leaky_relu_": lambda: (lambda x: F.leaky_relu_(x * 1, 0.2), (rand(3, 4),)),
    "elu": lambda: (lambda x: F.elu(x, 1.3), (rand(3, 4),)),
    "elu_": lambda: (lambda x: F.elu_(x * 1, 1.3), (rand(3, 4),)),
    "selu": lambda: (F.selu, (rand(3, 4),)),
    "celu": lambda: (lambda x: F.celu(x, 0.7), (rand(3, 4),)),
    "prelu": lambda: (F.prelu, (rand(2, 3, 4), rand(3))),
    "gelu": lambda: (F.gelu, (rand(3, 4),)),
    "gelu tanh": lambda: (lambda x: F.gelu(x, approximate="tanh"), (rand(3, 4),)),
    "silu": lambda: (F.silu, (rand(3, 4),)),
    "mish": lambda: (F.mish, (rand(3, 4),)),
    "softplus": lambda: (lambda x: F.softplus(x, 2.0, 1.5), (rand(3, 4),)),
    "logsigmoid": lambda: (F.logsigmoid, (rand(3, 4),)),
    "hardtanh": lambda: (lambda x: F.hardtanh(x, -0.5, 0.7), (rand(3, 4),)),
    "hardswish": lambda: (F.hardswish, (rand(3, 4, scale=4),)),
    "hardsigmoid": lambda: (F.hardsigmoid, (rand(3, 4, scale=4),)),
    "hardshrink": lambda: (F.hardshrink, (rand(3, 4),)),
    "softshrink": lambda: (F.softshrink, (rand(3, 4),)),
    "tanhshrink": lambda: (F.tanhshrink, (rand(3, 4),)),
    "softsign": lambda: (F.softsign, (rand(3, 4),)),
    "threshold": lambda: (lambda x: F.threshold(x, 0.1, 2.0), (rand(3, 4),)),
    "glu": lambda: (lambda x: F.glu(x, 1), (rand(3, 4),)),
    "sigmoid": lambda: (F.sigmoid, (rand(3),)),
    "tanh": lambda: (F.tanh, (rand(3),)),
    "softmax": lambda: (lambda x: F.softmax(x, 1), (rand(3, 4),)),
    "softmin": lambda: (lambda x: F.softmin(x, 0), (rand(3, 4),)),
    "log_softmax": lambda: (lambda x: F.log_softmax(x, 0), (rand(3, 4),)),
    "nll_loss": lambda: (lambda x: F.nll_loss(x, LABELS), (rand(3, 5),)),
    "nll_loss weight": lambda: (lambda x: F.nll_loss(x, LABELS, WEIGHTS), (rand(3, 5),)),
    "nll_loss2d": lambda: (lambda x: F.nll_loss(x, SPATIAL, reduction="sum"), (rand(2, 4, 2, 2),)),
    "cross_entropy": lambda: (lambda x: F.cross_entropy(x, LABELS, ignore_index=0), (rand(3, 5),)),
    "cross_entropy smooth": lambda: (lambda x: F.cross_entropy(x, LABELS, label_smoothing=0.2), (rand(3, 5),)),
    "cross_entropy probabilities": lambda: (lambda x, y: F.cross_entropy(x, y), (rand(3, 5), unit(3, 5))),
    "mse_loss": lambda: (F.mse_loss, (rand(3, 4), rand(3, 4))),
    "mse_loss none": lambda: (lambda x, y: F.mse_loss(x, y, reduction="none"), (rand(3, 4), rand(3, 4))),
    "l1_loss": lambda: (F.l1_loss, (rand(3, 4), rand(3, 4))),
    "smooth_l1_loss": lambda: (lambda x, y: F.smooth_l1_loss(x, y, beta=0.7), (rand(3, 4), rand(3, 4))),
    "huber_loss": lambda: (lambda x, y: F.huber_loss(x, y, delta=0.7), (rand(3, 4), rand(3, 4))),
    "soft_margin_loss": lambda: (lambda x: F.soft_margin_loss(x, SIGNS), (rand(3),)),
    "binary_cross_entropy": lambda: (F.binary_cross_entropy, (unit(3, 4), unit(3, 4))),
    "binary_cross_entropy weight": lambda: (
        lambda x, y: F.binary_cross_entropy(x, y, WEIGHTS[:4], reduction="sum"),
        (unit(3, 4), unit(3, 4)),
    ),
    "binary_cross_entropy_with_logits": lambda: (F.binary_cross_entropy_with_logits, (rand(3, 4), unit(3, 4))),
    "binary_cross_entropy_with_logits weights": lambda: (
        lambda x, y: F.binary_cross_entropy_with_logits(x, y, SIGNS * 0 + 2, pos_weight=SIGNS + 2, reduction="none"),
        (rand(2, 3), unit(2, 3)),
    ),
    "kl_div": lambda: (lambda x, y: F.kl_div(x, y, reduction="batchmean"), (rand(3, 4), unit(3, 4))),
    "kl_div log": lambda: (lambda x, y: F.kl_div(x, y, reduction="sum", log_target=True), (rand(3, 4), rand(3, 4))),
    "poisson_nll_loss": lambda: (lambda x: F.poisson_nll_loss(x, WEIGHTS[:3] + 2, full=True), (rand(3),)),
    "gaussian_nll_loss": lambda: (F.gaussian_nll_loss, (rand(3), rand(3), unit(3))),
    "hinge_embedding_loss": lambda: (lambda x: F.hinge_embedding_loss(x, SIGNS), (unit(3),)),
    "margin_ranking_loss": lambda: (lambda x, y: F.margin_ranking_loss(x, y, SIGNS, 0.3), (rand(3), rand(3))),
    "cosine_embedding_loss": lambda: (lambda x, y: F.cosine_embedding_loss(x, y, SIGNS), (rand(3, 4), rand(3, 4))),
    "multilabel_soft_margin_loss": lambda: (lambda x: F.multilabel_soft_margin_loss(x, (SIGNS + 1) / 2), (rand(2, 3),)),
    "triplet_margin_loss": lambda: (
        lambda a, p, n: F.triplet_margin_loss(a, p, n, 3.0, swap=True),
        (rand(3, 4), rand(3, 4), rand(3, 4)),
    ),
    "linear": lambda: (F.linear, (rand(3, 4), rand(2, 4), rand(2))),
    "linear 3-D": lambda: (F.linear, (rand(2, 3, 4), rand(2, 4), rand(2))),
    "linear 1-D": lambda: (lambda x, w: F.linear(x, w), (rand(4), rand(2, 4))),
    "bilinear": lambda: (F.bilinear, (rand(3, 2), rand(3, 4), rand(2, 2, 4), rand(2))),
    "mm": lambda: (torch.mm, (rand(2, 3), rand(3, 4))),
    "bmm": lambda: (torch.bmm, (rand(2, 2, 3), rand(2, 3, 2))),
    "mv": lambda: (torch.mv, (rand(2, 3), rand(3))),
    "dot": lambda: (torch.dot, (rand(3), rand(3))),
    "vdot": lambda: (torch.vdot, (rand(3), rand(3))),
    "outer": lambda: (torch.outer, (rand(3), rand(2))),
    "inner": lambda: (torch.inner, (rand(2, 3), rand(4, 3))),
    "matmul 3-D 2-D": lambda: (torch.matmul, (rand(2, 3, 4), rand(4, 2))),
    "matmul 2-D 3-D": lambda: (torch.matmul, (rand(3, 4), rand(2, 4, 2))),
    "matmul 1-D 3-D": lambda: (torch.matmul, (rand(4), rand(2, 4, 2))),
    "matmul 4-D": lambda: (torch.matmul, (rand(2, 1, 2, 3), rand(3, 3, 2))),
    "addmm": lambda: (lambda c, a, b: torch.addmm(c, a, b, beta=0.5, alpha=2.0), (rand(4), rand(2, 3), rand(3, 4))),
    "addmv": lambda: (torch.addmv, (rand(2), rand(2, 3), rand(3))),
    "addr": lambda: (lambda c, a, b: torch.addr(c, a, b, alpha=2.0), (rand(2, 3), rand(2), rand(3))),
    "baddbmm": lambda: (
        lambda c, a, b: torch.baddbmm(c, a, b, beta=0.5),
        (rand(2, 2, 2), rand(2, 2, 3), rand(2, 3, 2)),
    ),
    "addbmm": lambda: (torch.addbmm, (rand(2, 2), rand(3, 2, 3), rand(3, 3, 2))),
    "einsum": lambda: (lambda a, b, c: torch.einsum("bij,bjk,k->bi", a, b, c), (rand(2, 2, 3), rand(2, 3, 2), rand(2))),
    "einsum diagonal": lambda: (lambda a: torch.einsum("ii->i", a), (rand(3, 3),)),
    "tensordot": lambda: (lambda a, b: torch.tensordot(a, b, ([1, 2], [0, 1])), (rand(2, 3, 2), rand(3, 2, 2))),
    "embedding": lambda: (lambda w: F.embedding(ROWS, w), (rand(4, 2),)),
    "embedding_bag": lambda: (
        lambda w, s: F.embedding_bag(ROWS, w, mode="sum", per_sample_weights=s),
        (rand(4, 2), rand(3, 2)),
    ),
    "embedding_bag mean": lambda: (lambda w: F.embedding_bag(ROWS, w), (rand(4, 2),)),
    "embedding_bag max": lambda: (lambda w: F.embedding_bag(ROWS, w, mode="max"), (rand(4, 2),)),
    "normalize": lambda: (F.normalize, (rand(3, 4),)),
    "cosine_similarity": lambda: (F.cosine_similarity, (rand(3, 4), rand(3, 4))),
    "pairwise_distance": lambda: (F.pairwise_distance, (rand(3, 4), rand(3, 4))),
    "attention by parts": lambda: (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
        (rand(2, 3, 4), rand(2, 3, 4), rand(2, 3, 4)),
    ),
}

ONCE = {
    "multi_margin_loss": lambda: (lambda x: F.multi_margin_loss(x, LABELS, p=2), (rand(3, 5),)),
    "multilabel_margin_loss": lambda: (lambda x: F.multilabel_margin_loss(x, LISTED), (rand(2, 3),)),
    "cdist": lambda: (lambda x, y: torch.cdist(x, y, 1.5), (rand(3, 4), rand(2, 4))),
    "cdist 2": lambda: (torch.cdist, (rand(2, 3, 4), rand(2, 2, 4))),
    "pdist": lambda: (F.pdist, (rand(4, 3),)),
    "attention": lambda: (F.scaled_dot_product_attention, (rand(2, 2, 3, 4), rand(2, 2, 3, 4), rand(2, 2, 3, 4))),
    "attention grouped": lambda: (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True),
        (rand(2, 4, 3, 4), rand(2, 2, 3, 4), rand(2, 2, 3, 4)),
    ),
    "ctc_loss": lambda: (
        lambda x: F.ctc_loss(F.log_softmax(x, 2), torch.tensor([[1, 2, 2], [3, 1, 0]]), [5, 4], [3, 2]),
        (rand(5, 2, 4),),
    ),
}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(7)


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradients(name):
    f, inputs = DIFFERENTIABLE[name]()
    assert gradcheck(f, inputs)


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_second_gradients(name):
    f, inputs = DIFFERENTIABLE[name]()
    assert gradgradcheck(f, inputs, atol=1e-4)


@pytest.mark.parametrize("name", ONCE)
def test_first_gradients_only(name):
    f, inputs = ONCE[name]()
    assert gradcheck(f, inputs)


NODES = [  # (call, PyTorch's backward node, the nodes behind it)
    (lambda x, w, b: F.linear(x, w, b), "AddmmBackward0", ["AccumulateGrad", "AccumulateGrad", "TBackward0"]),
    (lambda x, w, b: F.linear(x[None], w, b), "ViewBackward0", ["AddmmBackward0"]),
    (lambda x, w, b: F.linear(x[0], w), "SqueezeBackward4", ["MmBackward0"]),
    (lambda x, w, b: x[None] @ w.t(), "UnsafeViewBackward0", ["MmBackward0"]),
    (lambda x, w, b: x @ b[:4], "MvBackward0", ["AccumulateGrad", "SliceBackward0"]),
    (lambda x, w, b: torch.outer(b, b), "MulBackward0", ["ViewBackward0", "AccumulateGrad"]),
    (lambda x, w, b: torch.einsum("ij,kj->ik", x, w), "ViewBackward0", ["PermuteBackward0"]),
    (lambda x, w, b: F.cross_entropy(x, LABELS % 4), "NllLossBackward0", ["LogSoftmaxBackward0"]),
    (lambda x, w, b: F.mse_loss(x, x.detach()), "MseLossBackward0", ["AccumulateGrad"]),
    (lambda x, w, b: F.softplus(x), "SoftplusBackward0", ["AccumulateGrad"]),
    (lambda x, w, b: F.selu(x), "EluBackward0", ["AccumulateGrad"]),
    (lambda x, w, b: F.relu6(x), "HardtanhBackward0", ["AccumulateGrad"]),
    (lambda x, w, b: F.leaky_relu_(x * 1), "LeakyReluBackward1", ["MulBackward0"]),
    (lambda x, w, b: F.prelu(x, b[:1]), "PreluKernelBackward0", ["AccumulateGrad", "ViewBackward0"]),
    (lambda x, w, b: F.l1_loss(x, x.detach()), "MeanBackward0", ["AbsBackward0"]),
    (
        lambda x, w, b: F.binary_cross_entropy_with_logits(x, x.detach() * 0),
        "BinaryCrossEntropyWithLogitsBackward0",
        ["AccumulateGrad"],
    ),
    (lambda x, w, b: torch.cdist(x, x), "CdistBackward0", ["AccumulateGrad", "AccumulateGrad"]),
]


@pytest.mark.parametrize(("f", "name", "behind"), NODES)
def test_backward_nodes_are_those_of_pytorch(f, name, behind):
    fn = f(rand(3, 4), rand(5, 4), rand(5)).grad_fn
    assert type(fn).__name__ == name
    assert [type(node).__name__ for node, _ in fn.next_functions][: len(behind)] == behind


def test_extreme_logits_do_not_overflow():
    x = torch.tensor([[1000.0, 0.0, -1000.0]])
    assert F.log_softmax(x, 1).tolist() == [[0.0, -1000.0, -2000.0]]
    assert F.softmax(x, 1).tolist() == [[1.0, 0.0, 0.0]]
    loss = F.binary_cross_entropy_with_logits(torch.tensor([1000.0, -1000.0]), torch.tensor([1.0, 0.0]))
    assert loss.item() == 0.0
    assert F.logsigmoid(torch.tensor([-1000.0])).item() == -1000.0


def test_cross_entropy_by_hand():
    x = torch.tensor([[1.0, 2.0, 3.0], [1.0, 1.0, 1.0], [0.0, 0.0, 5.0]])
    y = torch.tensor([2, 0, -100])
    first = math.log(sum(math.exp(v) for v in (1, 2, 3))) - 3
    expected = torch.tensor([first, math.log(3), 0.0])
    torch_like = F.cross_entropy(x, y, reduction="none")
    assert (torch_like - expected).abs().max().item() < 1e-6
    assert abs(F.cross_entropy(x, y).item() - (first + math.log(3)) / 2) < 1e-6
    weighted = F.cross_entropy(x, y, torch.tensor([2.0, 1.0, 1.0]))
    assert abs(weighted.item() - (first + 2 * math.log(3)) / 3) < 1e-6


def test_all_labels_ignored():
    x = torch.randn(2, 3, requires_grad=True)
    loss = F.cross_entropy(x, torch.tensor([-100, -100]))
    loss.backward()
    assert math.isnan(loss.item())
    assert F.cross_entropy(x, torch.tensor([-100, -100]), reduction="sum").item() == 0


def test_labels_that_are_computed_are_checked_when_they_are():
    labels = torch.tensor([0, 1]) + 2
    with pytest.raises(IndexError, match="Target 3 is out of bounds."):
        F.cross_entropy(torch.randn(2, 3), labels).item()


def test_integer_and_half_products():
    a = torch.arange(6).reshape(2, 3)
    assert (a @ a.t()).tolist() == [[5, 14], [14, 50]]
    assert (a @ a.t()).dtype is torch.int64
    h = torch.full((1, 4096), 1.0, dtype=torch.float16)
    assert (h @ h.t()).item() == 4096.0
    assert torch.addmm(torch.ones(2, 2, dtype=torch.int64), a, a.t(), beta=2, alpha=0).tolist() == [[2, 2], [2, 2]]


def test_beta_zero_ignores_nan():
    nan = torch.full((2, 2), math.nan)
    assert torch.addmm(nan, torch.ones(2, 3), torch.ones(3, 2), beta=0).tolist() == [[3.0, 3.0], [3.0, 3.0]]


def test_inplace_and_out():
    x = torch.tensor([-1.0, 2.0])
    assert F.relu(x, inplace=True) is x and x.tolist() == [0.0, 2.0]
    c = torch.ones(2, 2)
    assert c.addmm_(torch.ones(2, 3), torch.ones(3, 2)).tolist() == [[4.0, 4.0], [4.0, 4.0]]
    out = torch.empty(2, 2)
    assert torch.mm(c, c, out=out) is out and out.tolist() == [[32.0, 32.0], [32.0, 32.0]]


def test_scaled_sums_of_bfloat16_are_rounded_once() -> None:
    x, a, b = (torch.tensor([[v]], dtype=torch.bfloat16) for v in (0.58203125, 0.83203125, -0.80859375))
    # A sum of two numbers rounded to float32 would lie halfway between two of bfloat16.
    assert torch.addmm(x, a, b, beta=3.4445).item() == 1.3359375


def test_embedding_gradients_and_padding():
    w = torch.ones(4, 2, requires_grad=True)
    F.embedding(ROWS, w, padding_idx=3).sum().backward()
    assert w.grad.tolist() == [[1.0, 1.0], [1.0, 1.0], [2.0, 2.0], [0.0, 0.0]]
    w.grad = None
    F.embedding(ROWS, w, scale_grad_by_freq=True).sum().backward()
    assert w.grad.tolist() == [[1.0, 1.0], [1.0, 1.0], [1.0, 1.0], [1.0, 1.0]]


def test_embedding_max_norm_shortens_what_it_reads():
    w = torch.tensor([[3.0, 4.0], [0.3, 0.4], [6.0, 8.0]])
    F.embedding(torch.tensor([0, 1]), w, max_norm=1.0)
    assert (w - torch.tensor([[0.6, 0.8], [0.3, 0.4], [6.0, 8.0]])).abs().max().item() < 1e-6


def test_attention_of_a_row_without_keys_is_zero():
    q = torch.randn(1, 1, 2, 4)
    mask = torch.tensor([[True, True], [False, False]])
    assert F.scaled_dot_product_attention(q, q, q, mask)[0, 0, 1].tolist() == [0.0] * 4


@pytest.mark.parametrize("keys", [1, 2])
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_attention_of_a_row_without_keys_has_no_gradient(keys, dropout):
    """Also by parts: keys of one head for several, or dropout."""
    q, k, v = (rand(1, heads, 3, 4).requires_grad_() for heads in (2, keys, keys))
    mask = torch.tensor([[True, False, False], [False] * 3, [True] * 3])
    F.scaled_dot_product_attention(q, k, v, mask, dropout).sum().backward()
    assert q.grad[0, :, 1].tolist() == [[0.0] * 4] * 2
    assert all(t.grad.isfinite().all() for t in (q, k, v)) and q.grad[0, :, 2].any()


def test_attention_agrees_with_its_parts():
    q, k, v = rand(2, 2, 3, 4), rand(2, 2, 5, 4), rand(2, 2, 5, 4)
    mask = torch.rand(3, 5) > 0.3
    whole = F.scaled_dot_product_attention(q, k, v, mask)
    parts = F.scaled_dot_product_attention(q[0], k[0], v[0], mask)
    assert (whole[0] - parts).abs().max().item() < 1e-12


def test_sizes_that_differ_warn():
    with pytest.warns(UserWarning, match=r"Using a target size \(torch.Size\(\[3, 1\]\)\)"):
        F.mse_loss(torch.randn(3, 2), torch.randn(3, 1))
    with pytest.warns(UserWarning, match="size_average and reduce args will be deprecated"):
        F.mse_loss(torch.randn(3), torch.randn(3), size_average=False)
    with pytest.warns(UserWarning, match="Implicit dimension choice for softmax"):
        F.softmax(torch.randn(3))


def test_what_is_not_a_number_falls_short_of_no_margin():
    x = torch.tensor([[math.nan, 1.0, 2.0], [0.5, math.nan, 1.0]], requires_grad=True)
    loss = F.multi_margin_loss(x, torch.tensor([1, 2]), reduction="none")
    loss.sum().backward()
    assert torch.allclose(loss, torch.tensor([2 / 3, 1 / 6]))
    assert torch.allclose(x.grad, torch.tensor([[0, -1, 1], [1, 0, -1]]) / 3)


def test_padding_rows_take_nothing_from_gradients_that_are_no_numbers() -> None:
    nan = float("nan")
    w = torch.ones(4, 2, requires_grad=True)
    F.embedding(torch.tensor([0, 2, 1]), w, padding_idx=2).backward(torch.tensor([[1.0, 1], [nan, 1], [1, 1]]))
    assert w.grad is not None and w.grad.tolist() == [[1.0, 1.0], [1.0, 1.0], [0.0, 0.0], [0.0, 0.0]]
    for mode, first in (("sum", 2.0), ("mean", 1.5), ("max", 1.0)):
        bags = F.embedding_bag(torch.tensor([[0, 2], [2, 2], [1, 0]]), w, padding_idx=2, mode=mode)
        (g,) = torch.autograd.grad(bags, w, torch.tensor([[1.0, 1], [nan, nan], [1, 1]]))
        assert g[0].tolist() == [first] * 2 and g[2].tolist() == [0.0, 0.0]


def test_bags_leave_out_padding_rows_that_are_no_numbers() -> None:
    w = torch.ones(4, 2)
    w[2] = float("nan")
    bags = F.embedding_bag(torch.tensor([[0, 2], [2, 2]]), w, padding_idx=2, mode="mean")
    assert bags.tolist() == [[1.0, 1.0], [0.0, 0.0]]


def test_distances_that_count_differences_are_nan_where_one_is():
    x = torch.tensor([[float("nan"), 1.0], [float("inf"), 3.0], [2.0, 3.0]])
    assert str(torch.nn.functional.pdist(x, 0.0)) == "tensor([nan, nan, 1.])"
    assert str(torch.cdist(x, x[2:], 0.0)) == "tensor([[nan],\n        [1.],\n        [0.]])"
