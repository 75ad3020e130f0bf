"""``torch.vmap``: random numbers as PyTorch draws them for a batch, results that are views, errors."""

from __future__ import annotations

import pytest

import flambeau as torch
from flambeau.func import jacrev, vmap


def numbers():
    return torch.arange(24.0).reshape(4, 6)


# ---- random numbers


def draws(library):
    """Functions that draw, in terms of one of the two libraries."""
    dropout, vmap = library.nn.functional.dropout, library.vmap
    return {
        "rand": lambda a: library.rand(3),
        "randn": lambda a: a + library.randn(6),
        "several": lambda a: (library.rand(3), a + library.randn(20)[3], library.randint(0, 9, (3,))),
        "dropout": lambda a: dropout(a, 0.5),
        "like": lambda a: library.randn_like(a).double().exponential_(),
        "in place": lambda a: a.clone().normal_(2, 3),
        "probabilities": lambda a: library.bernoulli(a / 30),
        "permutation": lambda a: library.randperm(5),
        "gradient": library.func.grad(lambda a: dropout(a * a, 0.5).sum()),
        "nested": vmap(lambda a: library.randn(17)[:2] + a, randomness="different"),
        "same inside": vmap(lambda a: library.randn(17)[:2] + a, randomness="same"),
    }


@pytest.mark.live
@pytest.mark.parametrize("name", draws(torch))
def test_numbers_are_those_of_pytorch(name):
    original = pytest.importorskip("torch")
    results = []
    for library in (torch, original):
        library.manual_seed(3)
        found = library.vmap(draws(library)[name], randomness="different")(library.arange(24.0).reshape(4, 6))
        found = found if isinstance(found, tuple) else (found,)
        results.append([x.tolist() for x in found] + [library.rand(2).tolist()])
    assert results[0] == results[1]


def test_samples_draw_parts_of_what_is_drawn_for_the_batch():
    torch.manual_seed(0)
    found = vmap(lambda a: (torch.randn(20), torch.rand(3)), randomness="different")(numbers())
    after = torch.rand(1)
    torch.manual_seed(0)
    want = torch.randn(4, 20), torch.rand(4, 3)
    assert torch.equal(found[0], want[0]) and torch.equal(found[1], want[1]) and torch.equal(after, torch.rand(1))


def test_the_generator_goes_on_after_equal_draws():
    torch.manual_seed(0)
    found = vmap(lambda a: torch.randn(20), randomness="same")(numbers())
    after = torch.rand(1)
    torch.manual_seed(0)
    assert torch.equal(found, torch.randn(20).expand(4, 20)) and torch.equal(after, torch.rand(1))


def test_samples_that_draw_other_shapes():
    found = vmap(lambda a: torch.rand(2 if a[0] > 6 else 3).sum(), randomness="different")(numbers())
    assert found.unique().numel() == 4


def test_refused_draws_change_nothing():
    state = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="called random operation while in randomness error mode"):
        vmap(lambda a: torch.rand(2))(numbers())
    assert torch.equal(torch.get_rng_state(), state)


# ---- views


@pytest.mark.parametrize(
    ("f", "dims"),
    [
        (lambda a: a, (0, 0)),
        (lambda a: a[1:5:2], (0, 1)),
        (lambda a: a.view(2, 2), (1, -1)),
        (lambda a: a.expand(3, *a.shape), (0, 0)),
        (vmap(lambda a: a, out_dims=0), (1, 1)),
    ],
)
def test_views_stay_views(f, dims):
    x = numbers()
    y = vmap(f, *dims)(x)
    want = torch.stack([f(a) for a in x.unbind(dims[0])], dims[1])
    assert y._base is x._base and torch.equal(y, want)
    x.add_(1)
    assert torch.equal(y, want + 1)


def test_what_is_written_in_place_is_given_back():
    x = numbers()
    y = vmap(lambda a: a.mul_(2))(x)
    assert torch.equal(x, 2 * numbers())
    y.zero_()
    assert not x.any()


def test_gradients_go_through_results_that_could_be_views():
    x = numbers().requires_grad_()
    vmap(lambda a: a.view(2, 3).t())(x).pow(3).sum().backward()
    assert torch.equal(x.grad, 3 * numbers() ** 2)
    assert torch.equal(jacrev(vmap(lambda a: a[0]))(numbers()).sum((0, 1)), torch.tensor([4.0, 0, 0, 0, 0, 0]))


def test_what_does_not_depend_on_the_batch_is_expanded():
    w = torch.ones(3)
    y = vmap(lambda a: w, out_dims=1)(numbers())
    assert y.shape == (3, 4) and y.stride() == (1, 0)


def test_an_empty_batch():
    y, z = vmap(lambda a: (a.sum(), a + torch.rand(3)), (0,), (0, 1), "different")(torch.zeros(0, 3))
    assert y.shape == (0,) and z.shape == (3, 0)


# ---- errors


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: vmap(lambda a: a, in_dims=[0])(x), r"expected `in_dims` to be int or .* got: <class 'list'>"),
        (lambda x: vmap(lambda a: a, in_dims=(None,))(x), "Expected at least one Tensor to vmap over"),
        (lambda x: vmap(lambda a: a, in_dims=(0, 0))(x), r"in_dims has structure TreeSpec\(tuple, None, \[\*,\n"),
        (lambda x: vmap(lambda a: a, out_dims="lol")(x), "must be an int, None or a python collection of ints"),
        (lambda x: vmap(lambda a: (a, a), out_dims=(0, 1, 2))(x), "out_dims is not compatible with the structure of"),
        (lambda x: vmap(lambda a: a, out_dims=(0, 0))(x), r"but outputs has structure \*"),
        (lambda x: vmap(lambda a: a.sum(), out_dims=None)(x), "can not return a BatchedTensor when out_dim is None"),
        (lambda x: vmap(lambda a: 3)(x), "must only return Tensors, got type <class 'int'>"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call(numbers())


def test_results_without_a_batch_dimension():
    x = numbers()
    y, name = vmap(lambda a: (torch.ones(2), "name"), out_dims=None)(x)
    assert torch.equal(y, torch.ones(2)) and name == "name"


def test_dimensions_out_of_range():
    for f in (lambda a: a, lambda a: a + 1, lambda a: torch.ones(2)):
        with pytest.raises(IndexError, match="Dimension out of range"):
            vmap(f, out_dims=2)(numbers())


def test_draws_from_a_generator():
    g = torch.Generator()
    start = g.get_state()
    with pytest.raises(RuntimeError, match="called random operation while in randomness error mode"):
        vmap(lambda a: torch.rand(2, generator=g))(numbers())
    assert torch.equal(g.get_state(), start)
    same = vmap(lambda a: torch.rand(2, generator=g), randomness="same")(numbers())
    assert g.set_state(start) is g and torch.equal(same, torch.rand(2, generator=g).expand(4, 2))
    g.set_state(start)
    different = vmap(lambda a: torch.rand(2, generator=g), randomness="different")(numbers())
    g.set_state(start)
    assert torch.equal(different, torch.rand(4, 2, generator=g))


def test_equal_draws_with_other_parameters():
    p = torch.linspace(0.1, 0.9, 5)[:, None].expand(5, 40)
    torch.manual_seed(0)
    y, z = vmap(lambda a: (torch.bernoulli(a), torch.rand(2)), randomness="same")(p)
    assert (y[1:] >= y[:-1]).all() and y[0].sum() < y[4].sum() and torch.equal(z, z[0].expand(5, 2))


def test_results_that_are_conjugates_or_negatives_of_samples() -> None:
    x = torch.tensor([[1 + 2j, 3 - 1j], [2j, 5 + 0j], [4 + 4j, -1j]])
    assert torch.equal(vmap(torch.conj)(x), x.conj()) and torch.equal(vmap(lambda a: a.conj().conj())(x), x)
    assert torch.equal(vmap(torch.conj)(x.conj()), x) and torch.equal(vmap(lambda a: a)(x.conj()), x.conj())
    assert torch.equal(vmap(torch.conj, in_dims=1, out_dims=1)(x), x.conj())
    assert torch.equal(vmap(vmap(torch.conj))(x), x.conj())
    assert torch.equal(vmap(lambda a: a[1:].conj())(x), x[:, 1:].conj())
    assert torch.equal(vmap(lambda a: a.conj().imag)(x), -x.imag)
    assert torch.equal(vmap(lambda a: a.mH)(x.reshape(1, 3, 2)), x.reshape(1, 3, 2).mH)
    first, second = vmap(lambda a: (a.conj(), a.conj() * 2))(x)
    assert torch.equal(first, x.conj()) and torch.equal(second, x.conj() * 2)


def test_as_strided_begins_where_the_first_sample_does() -> None:
    """An offset is one in the memory of all samples, and the view stays within the sample."""
    x = torch.arange(30.0)[6:].reshape(2, 3, 4)
    y = vmap(lambda t: t.as_strided((2, 2), (1, 2), 11))(x)
    assert y.tolist() == [[[11, 13], [12, 14]], [[23, 25], [24, 26]]]
    assert vmap(lambda t: t[1:].as_strided((2,), (4,)))(x).tolist() == [[10, 14], [22, 26]]
    with pytest.raises(RuntimeError) as e:
        vmap(lambda t: t[1:].as_strided((2, 2), (1, 2), 0))(x)
    assert str(e.value) == (
        "result = tensor.as_strided([2, 2], [1, 2], 0) can access memory outside of `tensor`. `result` can access some "
        "memory in range [0, 4], but `tensor` can only access some memory in range [10, 18]. This is not supported "
        "inside of vmap, please try to rewrite the `as_strided` call as a sequence of PyTorch view operations"
    )
