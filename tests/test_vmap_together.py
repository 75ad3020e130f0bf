"""``torch.vmap`` of a function that is called once: what one sample's call records is recorded of all samples."""

from __future__ import annotations

import numpy as np
import pytest

import flambeau as torch
from flambeau import nn
from flambeau.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, stack_module_state, vjp, vmap
from flambeau.graph.epoch import threads

SIZE = 3


def batch(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((SIZE, *shape)))


def indices(n: int, *shape: int, seed: int = 1) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(-n, n, (SIZE, *shape)))


def zeros(*shape: int) -> torch.Tensor:
    return torch.zeros(shape, dtype=torch.float64)


class Counted:
    """A function and how often it was called."""

    def __init__(self, f):
        self.f = f
        self.calls = 0

    def __call__(self, *args):
        self.calls += 1
        return self.f(*args)


def one_by_one(f, args, dims):
    samples = [[x if d is None else x.select(d, i) for x, d in zip(args, dims)] for i in range(SIZE)]
    return torch.stack([f(*sample) for sample in samples])


def written(a, b):
    c = a.clone()
    c[1:] = b[:-1]
    c[0].mul_(2)
    return c


def zeroed(a):
    c = torch.zeros(4, dtype=a.dtype)
    c[1:3] = a[0, :2]
    return c


TABLE = torch.arange(12.0, dtype=torch.float64).reshape(4, 3)

# Functions of one or two samples, and these.
FLOATS = {
    "maps": (lambda a, b: (a * 2 - b).exp().clamp(max=3) / (b.abs() + 1), (batch(4, 3), batch(3, seed=2))),
    "numbers": (lambda a: (1 + a) ** 2 - a / 3, (batch(),)),
    "views": (lambda a: a.t().reshape(2, -1).flip(0)[:, 1::2].unsqueeze(1).expand(2, 2, 3), (batch(4, 3),)),
    "windows": (lambda a: a.unfold(0, 2, 1).diagonal(0, 1, 2), (batch(4, 3),)),
    "reductions": (lambda a: a.sum() + a.amax(0) + a.mean(1, True).var(), (batch(4, 4),)),
    "a reduced number": (lambda a: a.sum() + a.amax(), (batch(),)),
    "arguments of extremes": (lambda a: a.argmax(1).double() + a.argmin().double(), (batch(4, 3),)),
    "scans": (lambda a: a.cumsum(0).logcumsumexp(1), (batch(4, 3),)),
    "products": (lambda a, b: a @ b + (b @ a).sum(), (batch(4, 3), batch(3, 4, seed=2))),
    "einsum": (lambda a, b: torch.einsum("ij,kj->ik", a, b), (batch(4, 3), batch(2, 3, seed=2))),
    "a vector's product": (torch.dot, (batch(5), batch(5, seed=2))),
    "convolution": (
        lambda a, w: torch.conv2d(a, w, padding=1, stride=2),
        (batch(1, 2, 5, 5), batch(4, 2, 3, 3, seed=2)),
    ),
    "groups": (lambda a, w: torch.conv1d(a, w, groups=2), (batch(2, 4, 6), batch(4, 2, 3, seed=2))),
    "transposed": (lambda a, w: torch.conv_transpose1d(a, w), (batch(1, 2, 5), batch(2, 3, 3, seed=2))),
    "pooling": (
        lambda a: torch.max_pool2d(a, 2) + nn.functional.adaptive_avg_pool2d(a, 2),
        (batch(1, 2, 4, 4),),
    ),
    "layer norm": (lambda a, w: nn.functional.layer_norm(a, (3,), w), (batch(4, 3), batch(3, seed=2))),
    "batch norm": (lambda a: nn.functional.batch_norm(a, None, None, training=True), (batch(4, 3),)),
    "attention": (
        lambda q, k: nn.functional.scaled_dot_product_attention(q, k, k, is_causal=True),
        (batch(1, 4, 3), batch(1, 4, 3, seed=2)),
    ),
    "softmax": (lambda a: a.softmax(0) + a.log_softmax(1), (batch(4, 3),)),
    "concatenation": (lambda a, b: torch.cat([a, b, a], 1), (batch(4, 3), batch(4, 2, seed=2))),
    "choice": (lambda a, b: torch.where(a > b, a, -b), (batch(4, 3), batch(4, 1, seed=2))),
    "padding": (lambda a: nn.functional.pad(a, (1, 2), value=5.0), (batch(4, 3),)),
    "triangles": (lambda a: a.tril() + a.triu(1).mT, (batch(3, 3),)),
    "sorting": (lambda a: a.sort(1).values + a.topk(3, dim=0).values.sum(0), (batch(4, 3),)),
    "inverse": (lambda a: torch.linalg.det(a) + torch.linalg.matrix_exp(a), (batch(3, 3),)),
    "loss": (lambda a, b: nn.functional.mse_loss(a, b) + nn.functional.huber_loss(a, b), (batch(4), batch(4, seed=2))),
}


@pytest.mark.parametrize("name", FLOATS)
def test_values_and_gradients(name):
    """With all arguments mapped, and each of them alone, along the first dimension or the last."""
    f, args = FLOATS[name]
    choices = [
        tuple(0 for _ in args),
        *[tuple(0 if i == k else None for i in range(len(args))) for k in range(len(args))],
    ]
    for dims in choices:
        given = [x if d is not None else x[0] for x, d in zip(args, dims)]
        check(f, given, dims)
    check(f, [x.movedim(0, -1) for x in args], tuple(-1 for _ in args))


def check(f, args, dims):
    called = Counted(f)
    results = []
    for run in (lambda *xs: vmap(called, dims)(*xs), lambda *xs: one_by_one(f, xs, dims)):
        xs = [x.clone().requires_grad_() for x in args]
        y = run(*xs)
        seed = torch.arange(float(y.numel()), dtype=y.dtype).reshape(y.shape).cos()
        grads = torch.autograd.grad(y, xs, seed, allow_unused=True) if y.requires_grad else []
        results.append([y, *[torch.zeros(()) if g is None else g for g in grads]])
    assert called.calls == 1
    for got, want in zip(*results, strict=True):
        assert got.dtype is want.dtype
        torch.testing.assert_close(got, want)


@pytest.mark.parametrize(("f", "args"), [(written, (batch(4, 3), batch(4, 3, seed=2))), (zeroed, (batch(4, 3),))])
def test_writes_to_parts(f, args):
    """Their gradients are those of samples one by one."""
    dims = (0,) * len(args)
    called = Counted(f)
    assert torch.equal(vmap(called)(*args), one_by_one(f, args, dims)) and called.calls == 1
    xs = [x.requires_grad_() for x in args]
    got, want = (torch.autograd.grad(y.sin().sum(), xs) for y in (vmap(called)(*xs), one_by_one(f, xs, dims)))
    for g, h in zip(got, want, strict=True):
        torch.testing.assert_close(g, h)


INDEXED = {
    "gather": (lambda a, i: a.gather(0, i % 4), (batch(4, 3), indices(4, 2, 3))),
    "index_select": (lambda a, i: a.index_select(1, i % 3), (batch(4, 3), indices(3, 5))),
    "take": (lambda a, i: a[i], (batch(4, 3), indices(4, 2, 2))),
    "a number": (lambda a, i: a[:, i], (batch(4, 3), indices(3))),
    "two together": (lambda a, i: a[:, i, i % 2], (batch(2, 4, 3), indices(2, 5))),
    "two apart": (lambda a, i: a[i, :, i % 2], (batch(4, 2, 3), indices(2, 5))),
    "one fixed": (lambda a, i: a[torch.tensor([[1], [0]]), i], (batch(4, 3), indices(3, 5))),
    "embedding": (lambda a, i: nn.functional.embedding(i.abs() % 4, a), (batch(4, 3), indices(4, 5))),
    "scatter": (
        lambda a, i: torch.zeros(5, 3, dtype=a.dtype).scatter_add(0, i % 5, a),
        (batch(4, 3), indices(5, 4, 3)),
    ),
    "index_add": (lambda a, i: zeros(5, 3).index_add(0, i % 5, a), (batch(4, 3), indices(5, 4))),
    "put": (
        lambda a, i: zeros(4, 3).index_put((i,), a, accumulate=True),
        (batch(4, 3), indices(4, 4)),
    ),
    "put apart": (
        lambda a, i: zeros(2, 3, 2).index_put((i, torch.arange(3), i), a, accumulate=True),
        (batch(3), indices(2, 3)),
    ),
    "labels": (lambda a, i: nn.functional.cross_entropy(a, i.abs() % 3), (batch(4, 3), indices(3, 4))),
    "counted": (lambda a, i: nn.functional.one_hot(i.abs() % 3, 3) * a, (batch(3), indices(3))),
}


@pytest.mark.parametrize("name", INDEXED)
def test_indices(name):
    """Computed from the samples' integers, or those themselves: both mapped, and each alone."""
    f, (a, i) = INDEXED[name]
    for dims in ((0, 0), (0, None), (None, 0)):
        x = a.clone().requires_grad_() if dims[0] == 0 else a[0].clone().requires_grad_()
        given = [x, i if dims[1] == 0 else i[0]]
        got, want = vmap(f, dims)(*given), one_by_one(f, given, dims)
        torch.testing.assert_close(got, want)
        (g,), (h,) = (torch.autograd.grad(y.cos().sum(), x) for y in (got, want))
        torch.testing.assert_close(g, h)


def test_indices_that_are_given_are_checked_for_all_samples():
    called = Counted(lambda a, i: a[i])
    i = torch.tensor([[0, 1], [-1, 2]])
    assert torch.equal(vmap(called, (None, 0))(TABLE, i), TABLE[i]) and called.calls == 1
    with pytest.raises(IndexError, match="index 4 is out of bounds for dimension 0 with size 4"):
        vmap(lambda a, i: a[i], (None, 0))(TABLE, torch.tensor([0, 4]))
    with pytest.raises(IndexError, match=r"Target 3 is out of bounds\."):
        print(vmap(nn.functional.cross_entropy, (None, 0))(TABLE, torch.tensor([[0, 1, 2, 0], [0, 1, 2, 3]])))


def test_failures_are_those_of_all_samples():
    called = Counted(lambda a: torch.linalg.inv(a) @ torch.linalg.solve(a, a[0]))
    x = torch.eye(2, dtype=torch.float64).repeat(3, 1, 1) * 2
    assert torch.equal(vmap(called)(x), torch.tensor([[0.5, 0]] * 3).double()) and called.calls == 1
    x[1, 1, 1] = 0
    with pytest.raises(RuntimeError, match=r"linalg.inv: \(Batch element 1\): The diagonal element 2 is zero"):
        vmap(called)(x)
    assert threads.epoch.sampling is None


# ---- transforms


def test_gradients_within():
    called = Counted(lambda w, x: (w * x).tanh().sum() ** 2)
    w, x = batch(4)[0], batch(4, seed=2)
    got = vmap(grad(called, (0, 1)), (None, 0))(w, x)
    assert called.calls == 1
    for k, g in enumerate(got):
        want = torch.stack([grad(called, k)(w, one) for one in x])
        torch.testing.assert_close(g, want)


def test_products_within():
    x, v = batch(4), batch(4, seed=2)
    f = Counted(lambda a: a.sin() * a.sum())
    forward = vmap(lambda a, t: jvp(f, (a,), (t,))[1])(x, v)
    backward = vmap(lambda a, t: vjp(f, a)[1](t)[0])(x, v)
    assert f.calls == 2
    jacobians = torch.stack([jacrev(f)(one) for one in x])
    torch.testing.assert_close(forward, (jacobians @ v.unsqueeze(-1)).squeeze(-1))
    torch.testing.assert_close(backward, (v.unsqueeze(1) @ jacobians).squeeze(1))


def test_jacobians():
    """By rows and by columns, and of rows by columns."""
    weight = batch(3, 4)[0]

    def f(a):
        return (weight @ a).sin(), a.prod()

    x = batch(4)[0]
    slopes = (weight @ x).cos()
    for transform in (jacrev, jacfwd):
        first, second = transform(f)(x)
        torch.testing.assert_close(first, slopes.unsqueeze(1) * weight)
        torch.testing.assert_close(second, x.prod() / x)
    second = -(weight @ x).sin()
    want = torch.einsum("k,ki,kj->ij", second, weight, weight)
    torch.testing.assert_close(hessian(lambda a: f(a)[0].sum())(x), want)
    torch.testing.assert_close(jacrev(jacrev(lambda a: f(a)[0].sum()))(x), want)


def test_second_derivatives_go_through():
    x = batch(4).requires_grad_()
    called = Counted(lambda a: (a**3).sum() * a)
    y = vmap(called)(x)
    (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    (h,) = torch.autograd.grad(g.sum(), x)
    z = one_by_one(called, (x,), (0,))
    (want,) = torch.autograd.grad(z.sum(), x, create_graph=True)
    torch.testing.assert_close(g, want)
    torch.testing.assert_close(h, torch.autograd.grad(want.sum(), x)[0])
    assert called.calls == 1 + SIZE


def test_second_derivatives_of_views():
    x = batch(4, 6)[..., ::2].requires_grad_()
    f = Counted(lambda a: (a.t()[1:].unfold(0, 2, 1).diagonal(0, 0, 2) ** 3).reshape(-1))
    for got, want in zip(
        *[derivatives(lambda x: vmap(f)(x), x), derivatives(lambda x: one_by_one(f, (x,), (0,)), x)], strict=True
    ):
        torch.testing.assert_close(got, want)


def derivatives(f, x):
    (g,) = torch.autograd.grad(f(x).sum(), x, create_graph=True)
    return g, torch.autograd.grad(g.square().sum(), x)[0]


def test_gradients_reach_what_the_function_closes_over():
    x, w = batch(4), batch(2, 4, seed=2)[0].requires_grad_()
    hidden = w * 2
    called = Counted(lambda a: (hidden @ a).tanh() + w.t()[0].sum())
    (got,) = torch.autograd.grad(vmap(called)(x).sum(), w, retain_graph=True)
    (want,) = torch.autograd.grad(one_by_one(called, (x,), (0,)).sum(), w)
    torch.testing.assert_close(got, want)
    assert called.calls == 1 + SIZE


def test_what_is_detached_stays_so():
    x = batch(4).requires_grad_()
    (got,) = torch.autograd.grad(vmap(lambda a: a * a.detach())(x).sum(), x)
    torch.testing.assert_close(got, x.detach())


def test_a_function_of_its_own_gradient():
    class Doubled(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a):
            return a.clone()

        @staticmethod
        def backward(ctx, g):
            return 2 * g

    x = batch(4).requires_grad_()
    (got,) = torch.autograd.grad(vmap(Doubled.apply)(x).sum(), x)
    assert torch.equal(got, torch.full_like(x, 2))
    assert torch.equal(vmap(grad(lambda a: Doubled.apply(a).sum()))(x.detach()), torch.full_like(x, 2))


def test_nested():
    a, b = batch(4), batch(5, seed=2)
    called = Counted(lambda x, y: x * y.sum())
    got = vmap(vmap(called, (0, None)), (0, 0))(a, b)
    torch.testing.assert_close(got, a * b.sum(1, keepdim=True))
    torch.testing.assert_close(vmap(vmap(called, (None, 0)), (0, None), out_dims=1)(a[0], b), a[0] * b.sum(1)[:, None])
    assert called.calls == 2


def test_chunks():
    x = batch(4)
    called = Counted(lambda a, b: (a * b.sum(), a + torch.rand(1)))
    state = torch.get_rng_state()
    first, second = vmap(called, (0, None), (0, 1), randomness="same", chunk_size=2)(x, x[0])
    torch.set_rng_state(state)
    number = torch.rand(1)
    torch.testing.assert_close(first, x * x[0].sum())
    torch.testing.assert_close(second, (x + number).t())
    assert called.calls == 2
    rows = Counted(lambda a: a.sin())
    torch.testing.assert_close(jacrev(rows, chunk_size=3)(x[0]), x[0].cos().diag())


def test_an_ensemble_learns():
    torch.manual_seed(0)
    nets = [nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 2)) for _ in range(3)]
    params, buffers = stack_module_state(nets)
    x = torch.randn(6, 4)

    def forward(p, b):
        return functional_call(nets[0], (p, b), (x,))

    torch.manual_seed(1)
    vmap(forward, randomness="different")(params, buffers).square().sum().backward()
    torch.manual_seed(1)
    kept = nn.functional.dropout(torch.ones(3, 6, 8))
    for k, net in enumerate(nets):
        (net[3](net[1](net[0](x)) * kept[k])).square().sum().backward()
        for name, p in net.named_parameters():
            torch.testing.assert_close(params[name].grad[k], p.grad)


# ---- what is not together


def test_values_are_asked_for_sample_by_sample():
    called = Counted(lambda a: a * 2 if a.sum() > 0 else -a)
    x = batch(4)
    got = vmap(called)(x)
    assert torch.equal(got, torch.stack([a * 2 if a.sum() > 0 else -a for a in x])) and called.calls == 1 + SIZE
    assert threads.epoch.sampling is None


def test_what_was_there_before_is_written_sample_by_sample():
    total, places = torch.zeros(4, dtype=torch.float64), torch.zeros(2)
    x = batch(4)

    def f(a):
        total.add_(a)
        places[0] += 1
        return a * 2

    assert torch.equal(vmap(f)(x), 2 * x)
    torch.testing.assert_close(total, x.sum(0))
    assert places.tolist() == [SIZE, 0]


@pytest.mark.parametrize("f", [lambda a: a.mul_(2), lambda a: a[1:].zero_(), lambda a: a.t_(), lambda a: a.normal_()])
def test_samples_that_are_written(f):
    x, y = batch(4), batch(4)
    torch.manual_seed(0)
    vmap(f, randomness="same")(x)
    torch.manual_seed(0)
    for k, row in enumerate(y):
        torch.manual_seed(0)
        f(y[k] if row.dim() else row)
    assert torch.equal(x, y)


def test_other_threads(monkeypatch):
    monkeypatch.setattr(threads.epoch, "crowded", True)
    called = Counted(lambda a: a.sin() * 2)
    x = batch(4)
    torch.testing.assert_close(vmap(called)(x), x.sin() * 2)
    torch.testing.assert_close(jacrev(called)(x[0]), (x[0].cos() * 2).diag())
    assert called.calls == 2 and threads.epoch.crowded


def test_an_error_leaves_nothing_behind():
    def f(a):
        a = a * 2
        raise KeyError("no such thing")

    with pytest.raises(KeyError):
        vmap(f)(batch(4))
    assert threads.epoch.sampling is None
    assert vmap(lambda a: a + 1)(torch.zeros(2)).tolist() == [1, 1]


def test_what_a_function_keeps():
    """What is the same for all samples is there afterwards; a sample is not."""
    kept = {}

    def f(a):
        kept["mask"], kept["sample"] = torch.ones(2, 2).tril() * 3, a * 2
        return a + kept["mask"].sum()

    assert vmap(f)(torch.zeros(2)).tolist() == [9, 9]
    assert kept["mask"].tolist() == [[3, 0], [3, 3]]
    with pytest.raises(RuntimeError, match="memory was lost"):
        kept["sample"].tolist()


def test_hooks_see_samples():
    x, seen = batch(4).requires_grad_(), []

    def f(a):
        b = a * 2
        b.register_hook(lambda g: seen.append(g.shape))
        return b

    (g,) = torch.autograd.grad(vmap(f)(x).sum(), x)
    assert torch.equal(g, torch.full_like(x, 2)) and seen == [(4,)] * SIZE


@pytest.mark.usefixtures("native_code")
def test_compiled():
    x, w = batch(1, 1, 8, 8).float(), torch.randn(2, 1, 3, 3)
    f = grad(lambda w, a: torch.conv2d(a, w).relu().square().sum())
    for _ in range(3):
        got = vmap(f, (None, 0))(w, x)
        torch.testing.assert_close(got, torch.stack([f(w, a) for a in x]))


def test_what_is_pending_stays_so():
    older = torch.arange(6.0).view(3, 2) * 2
    found = torch.vmap(lambda x: x.sum() + older.sum())(older)
    newer = older + 1
    assert found.tolist() == [32.0, 40.0, 48.0]
    assert newer.tolist() == [[1.0, 3.0], [5.0, 7.0], [9.0, 11.0]]


def test_what_was_pending_is_not_written_by_samples_together():
    older = torch.arange(3.0) * 2
    torch.zeros(2)  # pending last

    def f(x):
        older.add_(x)
        return older.sum()

    assert torch.vmap(f)(torch.tensor([1.0, 10.0])).tolist() == [9.0, 39.0]
    assert older.tolist() == [11.0, 13.0, 15.0]
