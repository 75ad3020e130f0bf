"""Small pending writes to memory at rest: one program for all places, and the values that any other way gives."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from _thorough import search
from hypothesis import given
from hypothesis import strategies as st

import flambeau as torch
from flambeau.graph import epoch, realisation


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever threads there have been."""
    for field, value in (("alone", True), ("deferring", True), ("crowded", False)):
        monkeypatch.setattr(epoch.threads.epoch, field, value)


def programs() -> int:
    return realisation.counters["compiles"]


def table(rows: int = 6, columns: int = 3) -> Any:
    return torch.from_numpy(np.zeros((rows, columns), np.float32)).clone().add(0).contiguous()


def at_rest(x: Any) -> Any:
    x.sum().item()
    return x


def test_all_rows_have_one_program() -> None:
    values, names, x = at_rest(table()), at_rest(torch.zeros(6, dtype=torch.int64)), torch.arange(3.0)
    counts = []
    for i in range(6):
        values[i] = x * i + 1
        names[i] = (x.sum() * i).long()
        (x * 3).tolist()
        counts.append(programs())
    assert counts[-1] == counts[1]  # the first row begins where the memory does
    assert values.tolist() == [[1.0, i + 1.0, 2 * i + 1.0] for i in range(6)]
    assert names.tolist() == [0, 3, 6, 9, 12, 15]


def test_memory_stays_where_it_is() -> None:
    x = at_rest(table())
    x[2] = torch.arange(3.0) * 2
    place = x._s.raw
    assert x[2].tolist() == [0, 2, 4]
    assert x._s.raw is place


def test_steps_of_an_optimizer_leave_one_program_for_all_losses() -> None:
    w = torch.ones(4, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=0.1)
    losses = at_rest(torch.full((8,), 7.0) * 1)
    counts = []
    for i in range(8):
        loss = (w * w).sum()
        optimizer.zero_grad()
        loss.backward()
        losses[i] = loss.detach()
        optimizer.step()
        counts.append(programs())
    assert counts[-1] == counts[2]
    assert np.allclose(losses.numpy(), 4 * 0.64 ** np.arange(8))


def test_what_was_read_before_keeps_its_value_and_what_is_read_after_has_the_new_one() -> None:
    x = at_rest(torch.arange(6.0).reshape(3, 2) * 1)
    before, copy = x * 10, x.clone()
    x[1] = torch.ones(2) * 5
    after = x * 10
    x[2] = torch.ones(2) * 6
    assert before.tolist() == [[0, 10], [20, 30], [40, 50]]
    assert copy.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert after.tolist() == [[0, 10], [50, 50], [40, 50]]
    assert x.tolist() == [[0, 1], [5, 5], [6, 6]]
    assert x._version == 2


def test_later_writes_to_a_place_win() -> None:
    x, y = at_rest(table()), torch.ones(3)
    x[0] = y * 2
    x[:, 1] = torch.arange(6.0) + 10
    x[0, 1:] = y[1:] * 3
    assert x[:2].tolist() == [[2, 3, 3], [0, 11, 0]]


def test_rows_of_the_same_memory_move() -> None:
    x = at_rest(torch.arange(6.0).reshape(3, 2) * 1)
    x[0] = x[1] + x[2]
    x[1] = x[0] * 2
    assert x.tolist() == [[6, 8], [12, 16], [4, 5]]


def test_values_are_converted() -> None:
    x, n = at_rest(table()), at_rest(torch.zeros(3, dtype=torch.int32) + 1)
    x[0] = torch.arange(3) * 2
    x[1] = torch.arange(3, dtype=torch.float64) / 3
    n[1:] = torch.tensor([True, False]) & True
    assert x[0].tolist() == [0, 2, 4]
    assert np.array_equal(x[1].numpy(), (np.arange(3) / 3).astype(np.float32))
    assert n.tolist() == [1, 1, 0]


def test_a_write_within_a_graph_is_part_of_it() -> None:
    w = torch.arange(3.0, requires_grad=True)
    x = at_rest(table(2))
    x[0] = w * w
    y = x * 2
    assert x.requires_grad
    y.sum().backward()
    assert w.grad.tolist() == [0, 4, 8]
    assert x.tolist() == [[0, 1, 4], [0, 0, 0]]


def test_a_saved_tensor_that_is_written_is_refused() -> None:
    w = torch.ones(2, 3, requires_grad=True)
    x = at_rest(table(2))
    y = (w * x).sum()
    x[0] = torch.arange(3.0) * 2
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


def test_a_parameter_keeps_its_leaf() -> None:
    w = torch.nn.Parameter(torch.arange(6.0).reshape(2, 3))
    (w * 2).sum().backward()
    for i in range(2):
        with torch.no_grad():
            w[i] = torch.ones(3) * (i + 5)
        assert (w * 1).tolist()[i] == [i + 5] * 3
    assert w.tolist() == [[5, 5, 5], [6, 6, 6]]


def test_numpy_sees_what_is_written() -> None:
    x = at_rest(table(2))
    seen = x.numpy()
    x[1] = torch.ones(3) * 4
    assert seen.tolist() == [[0, 0, 0], [4, 4, 4]]


def test_a_program_that_fails_writes_nothing() -> None:
    x = at_rest(table(2))
    x[1] = torch.ones(3) * 4
    run = realisation.executor[0]

    def fail(*args: Any) -> Any:
        raise ArithmeticError

    realisation.executor[0] = fail
    try:
        with pytest.raises(ArithmeticError):
            realisation.realise()
    finally:
        realisation.executor[0] = run
    assert not epoch.threads.epoch.placed
    assert x.tolist() == [[0, 0, 0], [0, 0, 0]]


def test_memory_that_nobody_holds_is_not_written() -> None:
    x = at_rest(table(2))
    x[0] = torch.ones(3) * 4
    del x
    assert (torch.ones(2) * 3).tolist() == [3, 3]


@pytest.mark.parametrize("source", ["float64", "int64", "int32", "uint8", "bool", "float32"])
@pytest.mark.parametrize("target", ["float64", "float32", "int64", "int32", "bool"])
def test_written_at_once_or_recorded_the_bits_are_the_same(source: str, target: str) -> None:
    numbers = np.array([0, 1, -1, 3, 1 << 24, (1 << 24) + 1, (1 << 53) + 1, -(1 << 62) - 1], np.int64)
    values = numbers.astype(source)
    if source == "float64":
        values = np.array([0.1, -0.0, 1e300, -1e300, np.inf, np.nan, 1e-46, 1 + 2.0**-24])
    if "float" in source and "float" not in target:
        values = np.array([0.5, 1.5, -2.5, 0, 100, 7, 8, 9], source)
    y = torch.from_numpy(values.copy())
    at_once, recorded = (torch.zeros(2, 8, dtype=getattr(torch, target)) for _ in range(2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        at_once[1] = y
        recorded.copy_(torch.stack([y, y]).to(recorded.dtype) * torch.ones(2, 1, dtype=recorded.dtype))
    assert at_once[1].numpy().tobytes() == recorded[1].numpy().tobytes()


# ---- random programs beside NumPy


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["row", "part", "column", "view", "read", "clone", "look", "share", "all", "move", "add", "make"]
        ),
        st.integers(0, 4),
        st.integers(0, 4),
    ),
    min_size=3,
    max_size=14,
)


class Both:
    """A table of tensors and the same of NumPy, to which the same is done."""

    def __init__(self) -> None:
        self.x = at_rest(torch.arange(20.0).reshape(5, 4) * 1)
        self.a = np.arange(20.0, dtype=np.float32).reshape(5, 4)
        self.held: list[tuple[Any, np.ndarray]] = []
        self.numpy: Any = None

    def row(self, i: int, j: int) -> None:
        self.x[i] = torch.arange(4.0) * j + i
        self.a[i] = np.arange(4) * j + i

    def part(self, i: int, j: int) -> None:
        self.x[i:, 1:3] = torch.ones(2) * j
        self.a[i:, 1:3] = j

    def column(self, i: int, j: int) -> None:
        self.x[:, j % 4] = torch.arange(5) + i
        self.a[:, j % 4] = np.arange(5) + i

    def view(self, i: int, j: int) -> None:
        self.x.t()[j % 4][i:].copy_(torch.full((5 - i,), 2.0) * j)
        self.a.T[j % 4][i:] = 2 * j

    def read(self, i: int, j: int) -> None:
        self.held.append((self.x[i] * j, self.a[i] * j))

    def clone(self, i: int, j: int) -> None:
        self.held.append((self.x.clone(), self.a.copy()))
        self.held.append((self.x[i:], self.a[i:]))

    def look(self, i: int, j: int) -> None:
        assert self.x[i, j % 4].item() == self.a[i, j % 4]

    def share(self, i: int, j: int) -> None:
        self.numpy = self.x.numpy()
        self.numpy[i, 0] = self.a[i, 0] = j
        if i % 2:
            self.numpy = None

    def all(self, i: int, j: int) -> None:
        self.x.copy_(torch.arange(4.0) * i)
        self.a[...] = np.arange(4) * i

    def move(self, i: int, j: int) -> None:
        self.x[i] = self.x[j]
        self.a[i] = self.a[j]

    def add(self, i: int, j: int) -> None:
        self.x[i] += self.x[j] * 0.5
        self.a[i] += self.a[j] * np.float32(0.5)

    def make(self, i: int, j: int) -> None:
        self.x = torch.zeros(5, 4)
        self.a = np.zeros((5, 4), np.float32)

    def check(self) -> None:
        for x, a in self.held:
            assert np.array_equal(x.detach().numpy(), a)
        assert np.array_equal(self.x.numpy(), self.a)


@search(60)
@given(STEPS)
def test_random_writes_leave_what_numpy_has(steps: list[tuple[str, int, int]]) -> None:
    both = Both()
    for name, i, j in steps:
        getattr(both, name)(i, j)
    both.check()


# ---- rows, slices and integers, at once


def test_rows_are_written_without_a_program() -> None:
    x, row = torch.zeros(4, 2, 2), torch.arange(4.0).reshape(2, 2)
    before = realisation.counters["realisations"]
    x[1] = row
    x[-1] = row.t()
    x[0] = torch.tensor([[True, False], [False, True]])
    x[2:][0] = torch.tensor([[1, 2], [3, 4]])
    assert realisation.counters["realisations"] == before
    assert x.tolist() == [[[1, 0], [0, 1]], [[0, 1], [2, 3]], [[1, 2], [3, 4]], [[0, 2], [1, 3]]]
    assert x._version == 4
    with pytest.raises(IndexError):
        x[4] = row
    with pytest.raises(RuntimeError, match="must match the existing size"):
        x[0] = torch.ones(3)


def test_pending_rows_are_written_in_order_and_told_to_autograd() -> None:
    w = torch.ones(3, requires_grad=True)
    x = at_rest(table(2))
    product = w * x
    with torch.no_grad():
        x[0] = w * 5
        x[0] = w * 6
    assert x._version == 2
    assert x.tolist() == [[6, 6, 6], [0, 0, 0]]
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        product.sum().backward()


def test_a_loop_of_pending_rows_is_computed_in_pieces() -> None:
    x = at_rest(torch.full((100,), 9.0) * 1)
    last = torch.ones(())
    for i in range(100):
        last = last * 0.5 + i
        x[i] = last
    want, found = 1.0, []
    for i in range(100):
        want = np.float32(np.float32(want * np.float32(0.5)) + np.float32(i))
        found.append(float(want))
    assert x.tolist() == found


@pytest.mark.parametrize("dim", [0, 1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int32])
def test_slices_are_added_at_once_as_they_are_recorded(dim: int, dtype: Any) -> None:
    source = (torch.arange(30.0).reshape(5, 6) / 3).to(dtype)
    index = torch.tensor([2, 0, 2, 1, 2, 0])[: 5 + dim]
    at_once, recorded = torch.ones(5, 6, dtype=dtype), torch.ones(5, 6, dtype=dtype)
    at_rest(source)
    before = realisation.counters["realisations"]
    at_once.index_add_(dim, index, source)
    assert realisation.counters["realisations"] == before
    recorded = recorded.index_add(dim, index, source)
    assert torch.equal(at_once, recorded)
    assert at_once._version == 1


def test_slices_that_do_not_fit_are_refused() -> None:
    x, v = torch.zeros(3), torch.ones(2)
    with pytest.raises(IndexError, match="index out of range in self"):
        x[0:].index_add_(0, torch.tensor([0, 3]), v)
    with pytest.raises(IndexError, match="index out of range in self"):
        x.index_add_(0, torch.tensor([0, -1]), v)
    with pytest.raises(RuntimeError, match="index 5 is out of bounds for dimension 0 with size 3"):
        x[:, None].index_add_(0, torch.tensor([5, 0]), v[:, None])
    with pytest.raises(RuntimeError):
        x.index_add_(0, torch.tensor([0, 1, 2]), v)
    with pytest.raises(RuntimeError, match="scalar type"):
        x.index_add_(0, torch.tensor([0, 1]), v.double())
    assert x.tolist() == [0, 0, 0]


def test_slices_of_a_graph_are_recorded() -> None:
    w = torch.arange(2.0, requires_grad=True)
    x = torch.zeros(3)
    x.index_add_(0, torch.tensor([2, 2]), w * 3)
    x.sum().backward()
    assert w.grad.tolist() == [3, 3]
    assert x.tolist() == [0, 0, 3]


def test_few_numbers_become_integers_at_once() -> None:
    x = torch.tensor([[0.5, -1.7], [3.0, 2.0**40]])
    before = realisation.counters["realisations"]
    assert x.long().tolist() == [[0, -1], [3, 2**40]]
    assert x[1].long().tolist() == [3, 2**40]
    assert torch.tensor([True, False]).long().tolist() == [1, 0]
    assert realisation.counters["realisations"] == before
    assert x.t().long().stride() == x.t().stride()
    assert x.t().long().tolist() == [[0, 3], [-1, 2**40]]
    y = x.long()
    y[0, 0] = 7
    assert x[0, 0] == 0.5


def test_what_numpy_has_been_given_is_what_readers_had() -> None:
    x = at_rest(torch.arange(3.0) * 1)
    y = x * 2
    before = realisation.counters["realisations"]
    a = x.numpy()
    assert realisation.counters["realisations"] == before
    a[0] = 9
    z = x * 2
    a[1] = 8
    assert y.tolist() == [0, 2, 4]
    assert z.tolist() == [18, 2, 4]
    assert x.tolist() == [9, 8, 2]
    row = x[1:] + 1
    a[2] = 7
    assert row.tolist() == [9, 3]


def test_numpy_of_memory_that_a_graph_saved() -> None:
    w = torch.ones(3, requires_grad=True)
    x = at_rest(torch.arange(3.0) * 1)
    y = (w * x).sum()
    a = x.numpy()
    a[0] = 5
    y.backward()
    assert w.grad.tolist() == [5, 1, 2]
    assert y.item() == 3


@pytest.mark.parametrize("source", ["float64", "float32", "float16", "int64", "int32", "uint8", "bool", "complex64"])
@pytest.mark.parametrize("target", [None, torch.float32, torch.float64, torch.float16, torch.int64, torch.bool])
def test_arrays_are_copied_as_their_lists_are(source: str, target: Any) -> None:
    if source == "complex64" and target is not None:
        return
    a = np.array([[0, 1, 3], [2, 100, 7]]).astype(source)
    given = torch.tensor(a, dtype=target)
    same = torch.tensor(a.tolist(), dtype=target or given.dtype)
    assert given.dtype is same.dtype and torch.equal(given, same)
    assert torch.tensor(a.T, dtype=target).tolist() == same.T.tolist()
    assert torch.tensor(a[0, 1]).shape == torch.tensor(np.array(a[0, 1]), dtype=target).shape == ()
    assert torch.tensor(a[:0], dtype=target).shape == (0, 3)
    a[0, 0] = 1
    assert given[0, 0] == 0
    if source != "complex64":
        assert torch.Tensor(a).dtype is torch.float32
        assert torch.Tensor(a).tolist() == a.astype(np.float32).tolist()


NUMBERS: dict[str, list[Any]] = {
    "integers": [3, -7, 2**53 + 1, 2**24 + 1],
    "floats": [0.1, -0.0, float("inf"), float("nan"), 1e300, 1e-320],
    "none": [],
}


@pytest.mark.parametrize("source", sorted(NUMBERS))
@pytest.mark.parametrize("target", [None, torch.float32, torch.float64, torch.int64, torch.bfloat16])
def test_lists_of_numbers_are_copied_as_lists_of_lists_are(source: str, target: Any) -> None:
    numbers = NUMBERS[source]
    if target is torch.int64 and source == "floats":
        with pytest.raises(RuntimeError, match="without overflow"):
            torch.tensor(numbers, dtype=target)
        return
    one, other = torch.tensor(numbers, dtype=target), torch.tensor([numbers], dtype=target)[0]
    assert one.dtype is other.dtype
    assert one.shape == other.shape
    assert one.view(torch.uint8).tolist() == other.view(torch.uint8).tolist()


def test_integers_that_are_too_large_are_refused() -> None:
    with pytest.raises((RuntimeError, ValueError), match="[Oo]verflow"):
        torch.tensor([1, 2**63])
    with pytest.raises((RuntimeError, ValueError), match="[Oo]verflow"):
        torch.LongTensor([1, -(2**63) - 1])


def test_pending_zeros_and_ones_become_integers_without_a_program() -> None:
    x = torch.zeros(3, 4, requires_grad=True)
    i, b, wide = x.long(), torch.ones(2, 3).bool(), torch.zeros(70, 80).long()
    i[1, :2] = torch.LongTensor([5, 6])
    wide[3, 1:4] = torch.LongTensor([1, 2, 3])
    b[0, 1:] = False
    assert not i.requires_grad
    assert i.tolist() == [[0] * 4, [5, 6, 0, 0], [0] * 4]
    assert b.tolist() == [[True, False, False], [True] * 3]
    assert wide.sum().item() == 6
    assert x.tolist() == [[0.0] * 4] * 3
    ones = torch.ones(2, 2).t().to(torch.int32)
    assert (ones.dtype, ones.tolist()) == (torch.int32, [[1, 1], [1, 1]])
    late = torch.zeros(2)
    late += 2
    assert late.long().tolist() == [2, 2]


def test_few_integers_are_copied_at_once() -> None:
    m = torch.tensor([[True, False, True], [False, True, True]])
    before = realisation.counters["realisations"]
    wide = m[0].view(3, 1).expand(3, 2).contiguous()
    assert (wide.stride(), wide.tolist()) == ((2, 1), [[True, True], [False, False], [True, True]])
    one = m.t()[1:].clone(memory_format=torch.contiguous_format)
    assert one.tolist() == [[False, True], [True, True]]
    assert realisation.counters["realisations"] == before
    wide[0, 0] = False
    one[0, 0] = True
    assert m.tolist() == [[True, False, True], [False, True, True]]
    i = torch.arange(6).view(2, 3) * 2
    late = i.t().contiguous()
    i += 1
    assert late.tolist() == [[0, 6], [2, 8], [4, 10]]
    assert i.t().contiguous().tolist() == [[1, 7], [3, 9], [5, 11]]


def test_gradients_of_what_is_scattered_under_a_mask() -> None:
    mask = torch.tensor([[True, False, True], [False, True, False]])
    for count in (3, 5):
        x, source = torch.ones(2, 3, requires_grad=True), torch.ones(count, requires_grad=True)
        w = torch.arange(1.0, 7.0).view(2, 3)
        (x.masked_scatter(mask, source) * w).sum().backward()
        assert x.grad.tolist() == [[0, 2, 0], [4, 0, 6]]
        assert source.grad.tolist() == [1.0, 3.0, 5.0, 0.0, 0.0][:count]
        assert source.grad.shape == source.shape
