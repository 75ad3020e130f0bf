"""Conjugates and negatives are views: what they share, what they refuse, and their gradients."""

import copy
import io
import pickle
import random

import numpy as np
import pytest

import flambeau as torch
from flambeau._shared_memory import reduced
from flambeau.serialization import safetensors

NUMPY = "Can't call numpy() on Tensor that has {0} bit set. Use tensor.resolve_{1}().numpy() instead."


def numbers(*shape, dtype=torch.complex64, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.integers(-8, 8, (*shape, 2)) / 4
    return torch.tensor(values[..., 0] + 1j * values[..., 1], dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
@pytest.mark.parametrize("pending", [False, True])
def test_conjugate_shares_memory(dtype, pending):
    x = numbers(2, 3, dtype=dtype)
    x = x * 1 if pending else x
    before = np.array(x.tolist())
    c = x.conj()
    assert c.is_conj() and torch.is_conj(c) and not x.is_conj() and not c.is_neg()
    assert c._is_view() and c._base is x and c.dtype is dtype and c.stride() == x.stride()
    x[0] = 2 + 1j
    before[0] = 2 + 1j
    assert c.tolist() == before.conj().tolist()
    c[1, 2] = 5 + 3j
    before[1, 2] = 5 - 3j
    assert x.tolist() == before.tolist()
    c.mul_(1j)
    assert x.tolist() == (before * -1j).tolist()
    assert c._version == x._version == 3
    assert c.data_ptr() == x.data_ptr()


def test_conjugate_of_a_conjugate_is_plain():
    x = numbers(3)
    c = x.conj().conj()
    assert not c.is_conj() and c is not x and c._base is x
    c[0] = 7
    assert x[0].item() == 7


def test_real_tensors_are_their_conjugates():
    x = torch.ones(2, 3)
    assert x.conj() is x and x.resolve_conj() is x and x.resolve_neg() is x and x.conj_physical() is x
    assert not x.is_conj() and not x.mH.is_conj()


@pytest.mark.parametrize("turn", [lambda x: x.mH, lambda x: x.H, lambda x: x.adjoint(), torch.adjoint])
def test_adjoint_is_a_view(turn):
    x = numbers(2, 3)
    y = turn(x)
    assert y.is_conj() and y._base is x and y.shape == (3, 2)
    y[2, 0] = 1 + 2j
    assert x[0, 2].item() == 1 - 2j


@pytest.mark.parametrize(
    "step",
    [
        lambda x: x[0:], lambda x: x[1], lambda x: x.T, lambda x: x.view(-1), lambda x: x.expand(2, 2, 3),
        lambda x: x.as_strided((2,), (1,)), lambda x: x.unsqueeze(0), lambda x: x.detach(), lambda x: x.data,
        lambda x: x.diagonal(), lambda x: x.split(1)[1], lambda x: x.unfold(0, 1, 1), lambda x: x.contiguous(),
        lambda x: x.to(torch.complex64), lambda x: x[0, 1], lambda x: x[None], lambda x: torch.positive(x),
        lambda x: torch.nn.Parameter(x), lambda x: list(x)[1],
    ],
)  # fmt: skip
def test_views_of_conjugates_conjugate(step):
    x = numbers(2, 3)
    y, plain = step(x.conj()), step(x)
    assert y.is_conj() and y.data_ptr() == plain.data_ptr()
    assert y.resolve_conj().tolist() == np.conj(plain.tolist()).tolist()


@pytest.mark.parametrize(
    "step",
    [
        lambda x: x.clone(), lambda x: x.T.contiguous(), lambda x: x.to(torch.complex128), lambda x: x[[0]],
        lambda x: x.T.reshape(-1), lambda x: x * 2, lambda x: torch.cat([x]), lambda x: x.conj_physical(),
        lambda x: -x, lambda x: x.resolve_conj(), copy.deepcopy, torch.empty_like, lambda x: x.exp(),
    ],
)  # fmt: skip
def test_copies_of_conjugates_are_plain(step):
    x = numbers(2, 3)
    y = step(x.conj())
    assert not y.is_conj() and y.data_ptr() != x.data_ptr()


def test_imaginary_part_of_a_conjugate_negates():
    x = numbers(2, 2)
    before = np.array(x.tolist())
    im, re = x.conj().imag, x.conj().real
    assert im.is_neg() and torch.is_neg(im) and not im.is_conj() and not re.is_neg() and im._base is x
    assert im.tolist() == (-before.imag).tolist()
    im.add_(1)
    re.mul_(2)
    assert x.tolist() == (2 * before.real + 1j * (before.imag - 1)).tolist()
    im[0, 0] = 5.0
    assert x.imag[0, 0].item() == -5 and im[0, 0].item() == 5 and float(im[0, 0]) == 5
    assert not im.resolve_neg().is_neg() and not torch._neg_view(im).is_neg()
    assert not torch._neg_view(x).conj().imag.is_neg() and torch.view_as_real(torch._neg_view(x)).is_neg()
    with pytest.raises(NotImplementedError, match="truth values"):
        torch._neg_view(torch.ones(2, dtype=torch.bool))


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int8]
)
def test_negatives_of_all_dtypes(dtype):
    x = torch.tensor([[1, 2], [3, 4]]).to(dtype)
    y = torch._neg_view(x)
    assert y[1, 0].item() == -3 and y.tolist() == [[-1, -2], [-3, -4]] and (y == -x).all()
    y += 1
    y[0] = torch.tensor([5, 6]).to(dtype)
    y[1, 1] = 7
    assert x.tolist() == [[-5, -6], [2, -7]]
    assert (y + y).tolist() == [[10, 12], [-4, 14]] and torch.cat([y[0], y[1]]).tolist() == [5, 6, -2, 7]
    assert y.long().tolist() == [[5, 6], [-2, 7]] and y.clone().tolist() == y.tolist() and y.max().item() == 7


def test_small_integers_are_read_through_negatives():
    x = torch.tensor([3, 1, 2])
    y = torch._neg_view(x)
    assert (y + 1).tolist() == [-2, 0, -1] and (x * y).tolist() == [-9, -1, -4] and (2 * y[0]).item() == -6
    assert x.gather(0, y + 3).tolist() == [3, 2, 1] and torch.stack([y, y]).tolist() == [[-3, -1, -2]] * 2
    total = torch.zeros(4)
    total.index_add_(0, y + 3, torch._neg_view(torch.ones(3)))
    assert total.tolist() == [-1, -1, -1, 0]
    total.index_add_(0, torch._neg_view(torch.tensor([-3])), torch.ones(1))
    assert total.tolist() == [-1, -1, -1, 1]
    rows = torch.zeros(2, 3)
    torch._neg_view(rows)[1] = torch._neg_view(torch.tensor([1.0, 2.0, 3.0]))
    assert rows.tolist() == [[0, 0, 0], [1, 2, 3]]


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda c: c.numpy(), RuntimeError, NUMPY.format("conjugate", "conj")),
        (np.asarray, RuntimeError, NUMPY.format("conjugate", "conj")),
        (np.array, RuntimeError, NUMPY.format("conjugate", "conj")),
        (lambda c: c.imag.numpy(), RuntimeError, NUMPY.format("negative", "neg")),
        (lambda c: c.__dlpack__(), BufferError, "Can't export tensors with the conjugate bit set"),
        (
            torch.view_as_real,
            RuntimeError,
            "view_as_real doesn't work on unresolved conjugated tensors.  To resolve the conjugate tensor so you can "
            "view it as real, use self.resolve_conj(); however, be warned that the resulting tensor will NOT alias "
            "the original.",
        ),
        (
            lambda c: c.view(torch.float32),
            RuntimeError,
            "torch.Tensor.view is not supported for conjugate view tensors when converting to a different dtype.",
        ),
        (
            lambda c: c.imag.view(torch.int32),
            RuntimeError,
            "torch.Tensor.view is not supported for tensors with negative bit set when converting to a different "
            "dtype.",
        ),
    ],
)
def test_what_reads_memory_as_it_is_refuses(call, error, text):
    with pytest.raises(error) as raised:
        call(numbers(2, 2).conj())
    assert str(raised.value) == text


def test_values_leave_conjugated():
    x = numbers(2, 2)
    want = np.conj(x.tolist())
    c = x.conj()
    assert c.numpy(force=True).tolist() == want.tolist() and c.resolve_conj().numpy().tolist() == want.tolist()
    assert c[1, 0].item() == want[1, 0] and complex(c[1, 0]) == want[1, 0] and f"{c[0, 1]}" == str(want[0, 1])
    assert torch.tensor([c[0, 0], c[0, 1]]).tolist() == want[0].tolist()
    assert torch.equal(c, torch.tensor(want, dtype=torch.complex64)) and torch.as_tensor(c) is c


def test_printing():
    x = torch.tensor([[0, 1 + 2j], [2 + 4j, 3 + 6j]])
    assert repr(x.conj()) == "tensor([[0.-0.j, 1.-2.j],\n        [2.-4.j, 3.-6.j]])"
    assert repr(x.conj().imag) == "tensor([[-0., -2.],\n        [-4., -6.]])"
    assert "grad_fn=<ConjBackward0>" in repr(x.requires_grad_().conj())


def saved(x):
    file = io.BytesIO()
    torch.save(x, file)
    file.seek(0)
    return torch.load(file)


@pytest.mark.parametrize("again", [saved, lambda x: pickle.loads(pickle.dumps(x))])
@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_saved_with_their_marks(again, dtype):
    x = numbers(2, 3, dtype=dtype)
    a, b = again([x, x.conj()])
    assert b.is_conj() and not b._is_view() and not a.is_conj() and b.tolist() == x.conj().tolist()
    a[1, 1] = 3 + 4j
    assert again is not saved or b[1, 1].item() == 3 - 4j
    c = again(x.conj().imag[:, 1:])
    assert c.is_neg() and c.tolist() == x.conj().imag[:, 1:].tolist()


def test_reduced_as_pytorch_does():
    x = numbers(2)
    assert x.conj().__reduce_ex__(2)[1][-1] == {"conj": True} and x.conj().imag.__reduce_ex__(2)[1][-1] == {"neg": True}
    with pytest.raises(RuntimeError, match="damaged"):
        torch._utils._with_metadata(torch.ones(2), {"conj": True})


def test_other_ways_out():
    x = numbers(2, 3)
    want = x.conj().tolist()
    assert safetensors.load(safetensors.save({"x": x.conj()}))["x"].tolist() == want
    twin = copy.deepcopy([x.conj(), x])
    assert twin[0].tolist() == want and twin[1].tolist() == x.tolist()
    shared = x.clone().share_memory_()
    function, arguments = reduced(shared.conj())
    assert function(*arguments).tolist() == want


def test_memory_exchanged():
    x = numbers(4)
    plain = torch.empty(0, dtype=torch.complex64).set_(x.conj())
    assert not plain.is_conj() and plain.tolist() == x.tolist()
    marked = numbers(4, seed=1).conj()
    marked.set_(x)
    assert marked.is_conj() and marked.tolist() == x.conj().tolist()
    marked.resize_(2)
    assert marked.is_conj() and marked.tolist() == x[:2].conj().tolist()
    y = numbers(4, seed=2)
    y.data = x.conj()
    assert y.is_conj() and y.tolist() == x.conj().tolist()
    z = numbers(2, 3).conj()
    z.t_()
    assert z.is_conj() and z.shape == (3, 2)


def test_written_by_out():
    x = numbers(2, 3)
    y = torch.empty_like(x)
    torch.add(x, 1j, out=y.conj())
    assert y.tolist() == (x + 1j).conj().tolist()
    z = torch.zeros(2, 2, dtype=torch.complex64)
    torch.mm(x, x.T, out=z.conj())
    assert z.tolist() == (x @ x.T).conj().tolist()


def test_read_and_written_at_once():
    x = numbers(3, 3)
    before = np.array(x.tolist())
    assert x.clone().add_(x.conj()).tolist() == (before + before.conj()).tolist()
    y = x.clone()
    y.add_(y.conj())
    assert y.tolist() == (before + before.conj()).tolist()
    y = x.clone()
    y.copy_(y.conj())
    assert y.tolist() == before.conj().tolist()
    y = x.clone()
    y[1:].add_(y[:-1].conj())
    assert y.tolist() == np.concatenate([before[:1], before[1:] + before[:-1].conj()]).tolist()
    with pytest.raises(RuntimeError, match="refer to a single memory location"):
        y[1:].copy_(y[:-1].conj())
    with pytest.raises(RuntimeError, match="more than one element"):
        y[0].conj().expand(2, 3).zero_()


def test_numpy_writes_are_seen():
    x = numbers(3)
    c, a = x.conj(), x.numpy()
    a[1] = 4 + 5j
    assert c[1].item() == 4 - 5j and c.imag[1].item() == -5
    c[2] = 1 + 1j
    assert a[2] == 1 - 1j
    c.imag.fill_(3)
    assert a.imag.tolist() == [-3, -3, -3]


def test_meta():
    c = torch.ones(2, 2, dtype=torch.complex64, device="meta").conj()
    assert c.is_conj() and c.is_meta and c.T.is_conj() and c.imag.is_neg() and not (c * 2).is_conj()


# ---- random programs against a model in NumPy


class Model:
    """An array that shares memory with others, and whether it is read conjugated or negated."""

    def __init__(self, memory, conj=False, neg=False):
        self.memory, self.conj, self.neg = memory, conj, neg

    def read(self):
        values = self.memory.conj() if self.conj else self.memory.copy()
        return -values if self.neg else values

    def write(self, values):
        self.memory[...] = (np.conj(values) if self.conj else values) * (-1 if self.neg else 1)

    def seen(self, memory):
        return Model(memory, self.conj, self.neg)


def _imaginary(m):
    return Model(m.memory.imag, False, m.neg != m.conj)


VIEWS = [
    (lambda x: x.conj(), lambda m: Model(m.memory, m.conj != np.iscomplexobj(m.memory), m.neg)),
    (lambda x: x.mH, lambda m: Model(m.memory.swapaxes(-1, -2), m.conj != np.iscomplexobj(m.memory), m.neg)),
    (lambda x: x[1:], lambda m: m.seen(m.memory[1:])),
    (lambda x: x.transpose(0, 1), lambda m: m.seen(m.memory.swapaxes(0, 1))),
    (lambda x: x[..., ::2], lambda m: m.seen(m.memory[..., ::2])),
    (lambda x: torch._neg_view(x), lambda m: Model(m.memory, m.conj, not m.neg)),
    (lambda x: x.real, lambda m: Model(m.memory.real, False, m.neg) if np.iscomplexobj(m.memory) else m),
    (lambda x: x.imag if x.is_complex() else x, lambda m: _imaginary(m) if np.iscomplexobj(m.memory) else m),
]
WRITES = [
    (lambda x, y: x.mul_(2), lambda a, b: a * 2),
    (lambda x, y: x.add_(y), lambda a, b: a + b),
    (lambda x, y: x.copy_(y), lambda a, b: b),
    (lambda x, y: x.zero_(), lambda a, b: a * 0),
    (lambda x, y: x.neg_(), lambda a, b: -a),
    (lambda x, y: x.sub_(1.5), lambda a, b: a - 1.5),
    (lambda x, y: x.conj_physical_(), lambda a, b: np.conj(a)),
]


@pytest.mark.parametrize("seed", range(60))
def test_random_writes_through_views(seed):
    r = random.Random(seed)
    x = numbers(3, 3, dtype=r.choice([torch.complex64, torch.complex128]), seed=seed)
    pairs = [(x, Model(np.array(x.tolist())))]
    for _ in range(20):
        t, m = r.choice(pairs[-4:])
        if r.random() < 0.5 and t.ndim == 2 and t.shape[0] > 1:
            of_tensor, of_model = r.choice(VIEWS)
            pairs.append((of_tensor(t), of_model(m)))
        elif r.random() < 0.7:
            write, model = r.choice(WRITES)
            values = m.read()
            other = torch.tensor(np.roll(values, 1).tolist(), dtype=t.dtype).reshape(t.shape)
            write(t, other)
            m.write(model(values, np.roll(values, 1)))
        else:
            assert t.tolist() == m.read().tolist()
    for t, m in pairs:
        assert t.tolist() == m.read().tolist()


# ---- gradients


def _through_conjugate(x):
    y = x * 1
    c = y.conj()
    c.mul_(2 + 1j)
    c[0].imag.mul_(3)
    return y * c


def _through_parts(x):
    y = x * (1 + 1j)
    y.mH[0].imag.copy_(y.real[0] * 2)
    y.conj().real.mul_(y.imag.clone())
    return y.mH @ y


def _through_negative(x):
    y = x.clone()
    n = torch._neg_view(y.conj())
    n[:, 1].add_(x[:, 0])
    n.conj().imag.exp_()
    return torch.view_as_real(y) * n.real.unsqueeze(-1)


def _from_pairs(x):
    y = torch.view_as_complex(torch.view_as_real(x) * 1)
    y.conj()[1].mul_(x[0])
    return y.H.abs() + 1


@pytest.mark.parametrize("f", [_through_conjugate, _through_parts, _through_negative, _from_pairs])
def test_gradients_through_writes(f):
    x = numbers(2, 2, dtype=torch.complex128, seed=3).requires_grad_()
    assert torch.autograd.gradcheck(f, (x,))
    assert torch.autograd.gradgradcheck(f, (x,))


@pytest.mark.parametrize("f", [_through_conjugate, _through_parts, _through_negative])
def test_forward_mode(f):
    x, v = numbers(2, 2, dtype=torch.complex128, seed=4), numbers(2, 2, dtype=torch.complex128, seed=5)
    _, tangent = torch.func.jvp(f, (x,), (v,))
    step = 1e-6
    numeric = (f(x + step * v) - f(x - step * v)) / (2 * step)
    torch.testing.assert_close(tangent, numeric, rtol=1e-6, atol=1e-7)


def test_gradients_of_a_loop():
    w = numbers(3, dtype=torch.complex128, seed=6).requires_grad_()
    found = []
    for _ in range(3):  # a form that comes again is found again
        w.grad = None
        y = w * 2
        (y.conj() * y.conj().imag).abs().sum().backward()
        found.append(w.grad.tolist())
    assert found[0] == found[1] == found[2]
    values = np.array(w.tolist())
    # |conj(y) Im(conj y)| = |y| |Im y| for y = 2w, whose gradient is y |Im y| / |y| + i |y| sign(Im y)
    y = 2 * values
    want = 2 * (y * abs(y.imag) / abs(y) + 1j * abs(y) * np.sign(y.imag))
    np.testing.assert_allclose(np.array(found[0]), want, rtol=1e-12)


def test_histories_after_writes():
    w = numbers(2, 2).requires_grad_()
    y = w * 1
    c = y.conj()
    part, im = c[0], c.imag
    assert [t.grad_fn.name() for t in (c, part, im)] == ["ConjBackward0", "SelectBackward0", "SelectBackward0"]
    y.mul_(2)
    assert [t.grad_fn.name() for t in (c, part, im)] == ["ConjBackward0", "AsStridedBackward0", "AsStridedBackward0"]
    with pytest.raises(RuntimeError, match="a view of a leaf Variable that requires grad"):
        w.conj().mul_(2)
    with torch.no_grad():
        w.conj().mul_(1j)
    assert w.is_leaf


def test_saved_values_are_guarded():
    w = numbers(2).requires_grad_()
    y = w * 1
    loss = (y.conj() * y.conj()).abs().sum()
    y.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_vmap_and_optimizers():
    x = numbers(4, 3)
    got = torch.vmap(lambda a: a.conj().imag * a.real)(x)
    torch.testing.assert_close(got, -x.imag * x.real)
    p = torch.nn.Parameter(numbers(3).conj())
    optimizer = torch.optim.SGD([p], lr=0.5)
    before = np.array(p.tolist())
    (p.real**2 + p.imag**2).sum().backward()
    optimizer.step()
    np.testing.assert_allclose(np.array(p.tolist()), before * 0, atol=1e-6)
    assert p.is_conj()


def test_results_that_are_conjugates():
    x, a = torch.arange(4.0), numbers(3, 3)
    assert torch.fft.ifft(x).is_conj() and torch.fft.ihfft(x).is_conj() and not torch.fft.fft(x).is_conj()
    assert torch.svd(a).V.is_conj() and not torch.svd(a).U.is_conj() and torch.svd_lowrank(a)[2].is_conj()
    np.testing.assert_allclose(torch.fft.ifft(x).resolve_conj().numpy(), np.fft.ifft(x.numpy()), rtol=1e-6, atol=1e-7)
    z = torch.tensor(torch.svd(a).V.tolist())
    u, s, v = torch.svd(a)
    torch.testing.assert_close(u @ torch.diag(s).to(u.dtype) @ v.mH, a)
    torch.testing.assert_close(z, v.resolve_conj())
