"""Writes in place: what they cost nobody is told, but what they leave behind is PyTorch's."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from _thorough import search
from hypothesis import given
from hypothesis import strategies as st

import flambeau as torch
from flambeau.graph import realisation
from flambeau.ops import _immediate


def test_a_refused_backward_pass_names_the_line_of_the_last_write() -> None:
    x = torch.ones(3, requires_grad=True)
    y = x * 2
    loss = (y * y).sum()
    y.add_(torch.ones(3))
    line = test_a_refused_backward_pass_names_the_line_of_the_last_write.__code__.co_firstlineno + 4
    with pytest.raises(RuntimeError, match="modified by an inplace operation") as refused:
        loss.backward()
    assert f'last written in place at File "{__file__}", line {line}' in str(refused.value)


def test_an_update_written_out_moves_no_version_that_autograd_sees() -> None:
    w = torch.ones(3, requires_grad=True)
    for _ in range(3):
        (w * torch.arange(3.0)).sum().backward()
        with torch.no_grad():
            before = w.detach().clone()
        w.data.sub_(w.grad.data * 0.5)
        assert w._version == 0
        assert w.tolist() == (before - 0.5 * w.grad).tolist()
        w.grad = None


def test_a_whole_tensor_is_replaced_for_its_later_readers_only() -> None:
    x = torch.arange(4.0)
    read = x + 1
    x.mul_(torch.full((4,), 2.0))
    again = x + 1
    x.sub_(x)
    assert read.tolist() == [1, 2, 3, 4]
    assert again.tolist() == [1, 3, 5, 7]
    assert x.tolist() == [0, 0, 0, 0]
    assert x._version == 2


# ---- small writes, which are done at once where nothing pending could tell


def at_rest(*values: float, dtype: Any = torch.float32) -> Any:
    return torch.tensor(values, dtype=dtype)


def test_a_loop_over_elements_runs_no_program() -> None:
    before = realisation.counters["realisations"]
    table = torch.zeros(3, 4, dtype=torch.int32)
    for i in range(3):
        for j in range(4):
            table[i, j] += i * j
            table[i, j] -= 1
    total = torch.zeros(())
    for i in range(3):
        total += float(table[i, 2])
        if table[i, 0] < 0:
            total *= 2.0
    assert table.tolist() == [[-1, -1, -1, -1], [-1, 0, 1, 2], [-1, 1, 3, 5]]
    assert total.item() == 2.0
    assert realisation.counters["realisations"] == before


def test_what_was_recorded_keeps_the_value_that_it_read() -> None:
    x = at_rest(1, 2, 3, 4)
    whole, part = x * 10, x[1:3] * 10
    x[1] = 7.0
    x[2] += 1
    assert whole.tolist() == [10, 20, 30, 40]
    assert part.tolist() == [20, 30]
    assert x.tolist() == [1, 7, 4, 4]


def test_constants_that_nobody_computed_are_made_by_the_first_write() -> None:
    x, flags = torch.ones(4), torch.zeros(3, dtype=torch.bool)
    far = torch.full((3,), float("inf"))
    tail, read = x[2:], x + 1
    x[0] = 5.0
    tail[1] *= 3
    flags[1] = True
    far[0] = 0.0
    assert x.tolist() == [5, 1, 1, 3]
    assert read.tolist() == [2, 2, 2, 2]
    assert flags.tolist() == [False, True, False]
    assert far.tolist() == [0, float("inf"), float("inf")]


def test_gradients_do_not_see_a_later_write() -> None:
    x = at_rest(1, 2, 3)
    w = torch.ones(3, requires_grad=True)
    loss = (w * x).sum()
    x[0] = 9.0
    with pytest.raises(RuntimeError, match="is at version 1; expected version 0"):
        loss.backward()
    loss = (w * x).sum()
    assert loss.item() == 14.0
    x[0] += 1.0
    line = test_gradients_do_not_see_a_later_write.__code__.co_firstlineno + 9
    with pytest.raises(RuntimeError, match=f"last written in place at .*, line {line}"):
        loss.backward()


def test_leaves_are_written_where_gradients_are_off_only() -> None:
    w = torch.ones(2, 2, requires_grad=True)
    for _ in range(3):
        (w * w).sum().backward()
        with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
            w[0, 0] += 1.0
        with torch.no_grad():
            w[0, 0] += 1.0
            w[1] = torch.tensor([3.0, 4.0])
    assert w.tolist() == [[4, 1], [3, 4]]
    assert w._version == 9
    assert w.grad.tolist() == [[12, 6], [14, 18]]


def test_numpy_sees_a_write_at_once_and_readers_do_not() -> None:
    array = np.zeros(4, np.float32)
    x = torch.from_numpy(array)
    read = x + 1
    x[1] = 5.0
    assert array.tolist() == [0, 5, 0, 0]
    array[2] = 7
    x[2] += 1.0
    assert array.tolist() == [0, 5, 8, 0]
    assert x.tolist() == [0, 5, 8, 0]
    assert read.tolist() == [1, 1, 1, 1]


def test_views_share_the_write_and_the_version() -> None:
    x = at_rest(*range(6)).view(2, 3)
    column, detached, data = x[:, 1], x.detach(), x.data
    x[1, 1] = 9.0
    column[0] = 8.0
    data[0, 0] = 7.0
    assert x.tolist() == [[7, 8, 2], [3, 9, 5]]
    assert column.tolist() == [8, 9]
    assert (x._version, detached._version, column._version, data._version) == (2, 2, 2, 1)


def test_a_write_to_elements_in_the_same_place_has_no_gradient() -> None:
    x: Any = torch.ones(3, requires_grad=True)
    y = x * 2
    y.expand(2, 3).fill_(2)
    with pytest.raises(RuntimeError, match="more than one element of the written-to tensor"):
        y.sum().backward()


def test_expanded_and_overlapping_elements() -> None:
    x = at_rest(1, 2)
    wide = x.view(2, 1).expand(2, 3)
    wide[0, 2] += 1.0
    assert x.tolist() == [2, 2]
    with pytest.raises(RuntimeError, match="more than one element of the written-to tensor"):
        wide[0].copy_(torch.ones(3))
    windows = at_rest(0, 0, 0, 0).unfold(0, 2, 1)
    windows += 1
    assert windows.tolist() == [[1, 2], [2, 2], [2, 1]]


def test_parts_are_written_without_a_view_and_as_through_one() -> None:
    parts: list[Any] = [1, -2, (0,), (1, 2), (0, slice(1, 3)), (slice(None), 1), (slice(1, None, 2), -1, slice(0, 9))]
    table = torch.zeros(3, 4, 5, dtype=torch.int64).long()
    table.sum().item()
    for k, index in enumerate(parts):
        for x in (table, table.transpose(0, 2)[1:]):
            part = x.clone()[index]
            value, version = torch.arange(part.numel()).reshape(part.shape) + k, x._version
            want = x.numpy(force=True).copy()
            want[index] = value.numpy()
            x[index] = value
            assert x.tolist() == want.tolist()
            assert x._version == version + 1
            x[index] = 7
            want[index] = 7
            assert x.tolist() == want.tolist()


@pytest.mark.parametrize("index", [(3,), (0, 4), (slice(None), 0, 0), (0, slice(None, None, -1)), (0, slice(0, 2))])
def test_parts_that_are_none_are_refused_as_ever(index: Any) -> None:
    x = torch.ones(3, 4)
    x.sum().item()
    with pytest.raises((IndexError, ValueError, RuntimeError)):
        x[index] = torch.zeros(9)
    assert x.tolist() == torch.ones(3, 4).tolist()


def test_rows_of_the_same_memory() -> None:
    x = at_rest(*range(6)).view(3, 2)
    x[0] = x[2]
    assert x.tolist() == [[4, 5], [2, 3], [4, 5]]
    with pytest.raises(RuntimeError, match="some elements of the input tensor and the written-to tensor"):
        x.view(6)[1:4].copy_(x.view(6)[0:3])


@pytest.mark.parametrize(
    ("dtype", "value", "error"),
    [
        (torch.uint8, 300, "without overflow"),
        (torch.int8, -129, "without overflow"),
        (torch.float32, 1e39, "without overflow"),
        (torch.int64, 2**63, "Overflow when unpacking long long"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(dtype: Any, value: Any, error: str) -> None:
    x = at_rest(1, 2, dtype=dtype)
    with pytest.raises((RuntimeError, ValueError), match=error):
        x[0] = value
    assert x.tolist() == [1, 2]


def test_results_that_leave_the_range_are_those_of_the_dtype() -> None:
    x = at_rest(127, 1, dtype=torch.int8)
    x[0] += 1
    f = at_rest(3e38, 1.0, -0.0)
    f[0] *= 2
    f[1] /= 0
    f[2] *= 1
    assert x.tolist() == [-128, 1]
    assert f.tolist() == [float("inf"), float("inf"), 0.0]
    assert np.signbit(f[2].item())
    i = at_rest(7, 2, dtype=torch.int32)
    i[0] = 3.9
    i[1] = True
    assert i.tolist() == [3, 1]
    with pytest.raises(RuntimeError, match="result type Float can't be cast to the desired output type Int"):
        i[0] /= 2


def test_a_refused_write_moves_nothing() -> None:
    x = at_rest(1, 2)
    with pytest.raises(IndexError, match="out of bounds"):
        x[2] = 1.0
    with pytest.raises(IndexError, match="too many indices"):
        x[0, 0] = 1.0
    x[-1] = 5.0
    assert x.tolist() == [1, 5]
    assert x._version == 1
    x[True, 0] = 4.0
    assert x.tolist() == [4, 5]


def test_checked_labels_are_checked_again_after_a_write() -> None:
    scores, labels = torch.zeros(2, 3), torch.tensor([0, 2])
    first = torch.nn.functional.cross_entropy(scores, labels).item()
    labels[0] = 1
    assert torch.nn.functional.cross_entropy(scores, labels).item() == first
    labels[0] = 3
    with pytest.raises(IndexError, match="Target 3 is out of bounds"):
        torch.nn.functional.cross_entropy(scores, labels)


# ---- random programs: the same bits, errors and versions as by recording

DTYPES = [torch.float32, torch.float64, torch.int64, torch.int32, torch.int8, torch.uint8, torch.bool, torch.float16]
NUMBERS = [0, 1, -1, 3, 127, 255, 2**24 + 1, 0.1, -0.0, 2.5, 1e-45, 3e38, 1e300, float("inf"), float("nan"), True]
places = st.integers(-4, 3)
indices = st.one_of(places, st.tuples(places, places), st.just((slice(None), 1)), st.just((1, slice(0, 2))))
statements = st.tuples(
    st.sampled_from(["set", "add", "sub", "mul", "div", "row", "element", "fill", "zero", "read", "look", "scalar",
                     "compare", "share", "detach", "grad"]),
    st.integers(0, 2),
    indices,
    st.integers(0, 2),
    indices,
    st.sampled_from(NUMBERS),
)  # fmt: skip


class Machine:
    """Three tables and what was read of them."""

    def __init__(self, dtypes: Sequence[Any]) -> None:
        made = [torch.zeros(4, 4, dtype=dtypes[0]), torch.arange(16).view(4, 4).to(dtypes[1])]
        self.tables = [*made, torch.tensor([[0, 1, 2, 3]] * 4, dtype=dtypes[2])]
        self.seen: list[Any] = []
        self.kept: list[Any] = []

    def run(self, program: Sequence[Any]) -> list[Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for statement in program:
                try:
                    self.take(*statement)
                except (RuntimeError, IndexError, TypeError, ValueError, OverflowError) as error:
                    self.seen.append((type(error), str(error).splitlines()[0]))
        found = [(x._version, x.detach().numpy().tobytes()) for x in (*self.tables, *self.kept)]
        return [repr(x) for x in self.seen] + found

    def take(self, what: str, k: int, at: Any, m: int, where: Any, value: Any) -> None:
        x, y = self.tables[k], self.tables[m]
        if what == "set":
            x[at] = value
        elif what == "add":
            x[at] += value
        elif what == "sub":
            x[at] -= y[where]
        elif what == "mul":
            x[at] *= value
        elif what == "div":
            x[at] /= value
        elif what in ("row", "element"):
            x[at] = y[where]
        elif what == "fill":
            x[at].fill_(value)
        elif what == "zero":
            x[at].zero_()
        else:
            self.observe(what, k, at, y[where], value)

    def observe(self, what: str, k: int, at: Any, other: Any, value: Any) -> None:
        x = self.tables[k]
        if what == "read":
            self.kept.append(x[at] + 1)
        elif what == "look":
            self.seen.append(x[at].tolist())
        elif what == "scalar":
            self.kept += [x[at] * value, x[at] - other]
        elif what == "compare":
            self.seen.append((bool((x[at] > value).any()), bool((x[at] == other).any())))
        elif what == "share":
            self.seen.append(x.detach().numpy()[0, 0].item())
        elif what == "detach":
            self.tables[k] = x.detach() if value else x.data
        elif x.dtype.is_floating_point:
            w = torch.ones(4, 4, dtype=x.dtype, requires_grad=True)
            self.kept.append(w * x)


@search(150)
@given(st.lists(st.sampled_from(DTYPES), min_size=3, max_size=3), st.lists(statements, max_size=40))
def test_random_small_writes_leave_what_recorded_ones_do(dtypes: Any, program: Any) -> None:
    at_once = Machine(dtypes).run(program)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_immediate, "writable", lambda s, epoch: False)
        patch.setattr(_immediate, "readable", lambda s: False)
        patch.setattr(_immediate, "waited", lambda epoch: False)
        recorded = Machine(dtypes).run(program)
    assert at_once == recorded


def test_a_mask_is_read_anew_once_it_has_been_written() -> None:
    x = torch.arange(6.0)
    mask = x > 2
    found = [x[mask].tolist(), x[mask].tolist()]
    mask[0] = True
    found.append(x[mask].tolist())
    mask &= x < 5
    found.append(x[mask].tolist())
    memory = mask.numpy()
    memory[:] = False
    del memory
    mask.logical_or(mask).tolist()  # nobody shares the memory now
    found.append(x[mask].tolist())
    memory = mask.numpy()
    memory[1] = True
    found.append(x[mask].tolist())
    del memory
    mask.logical_or_(x > 4)
    found.append(x[mask].tolist())
    assert found == [[3, 4, 5], [3, 4, 5], [0, 3, 4, 5], [0, 3, 4], [], [1], [1, 5]]


def test_the_places_of_a_mask_are_those_of_its_own_shape() -> None:
    mask = torch.tensor([False, True, True])
    assert torch.arange(3)[mask].tolist() == [1, 2]
    with pytest.raises(IndexError, match="does not match"):
        torch.arange(2)[mask]
    assert torch.arange(6).reshape(2, 3)[:, mask].tolist() == [[1, 2], [4, 5]]


def test_masks_of_many_dimensions() -> None:
    x = torch.zeros((2,) * 10)
    x[x == 0] = 3.0
    x.index_put_(tuple(torch.tensor([0]) for _ in range(10)), torch.tensor(4.0), accumulate=True)
    assert float(x.sum()) == 3 * 1024 + 4
    y = torch.ones((1,) * 12, requires_grad=True)
    (y[y > 0] * 2).sum().backward()
    assert y.grad.tolist() == (torch.ones((1,) * 12) * 2).tolist()


def test_memory_is_filled_with_one_of_its_own_elements() -> None:
    x = torch.arange(6.0).view(2, 3)
    x[1] = x[1][2]
    assert x.tolist() == [[0.0, 1.0, 2.0], [5.0, 5.0, 5.0]]
    assert x.fill_(x[0, 1]).tolist() == [[1.0] * 3] * 2
    y = torch.ones(3, requires_grad=True)
    z = y * 2
    z.fill_(z[0]).sum().backward()
    assert y.grad is not None and y.grad.tolist() == [6.0, 0.0, 0.0]


def test_a_number_under_a_pending_mask_is_written_without_a_look_at_it() -> None:
    x = torch.arange(12.0).reshape(3, 4) + 0
    n, version = realisation.counters["realisations"], x._version
    small = x < 5
    x[small] = -float("inf")
    x[x.sum(1) > 30] = 3
    counts = torch.arange(5) + 0
    counts[counts > 2] = 7
    assert realisation.counters["realisations"] == n
    assert x._version == version + 2
    ninf = -np.inf
    assert x.tolist() == [[ninf] * 4, [ninf, 5.0, 6.0, 7.0], [3.0] * 4]
    assert counts.tolist() == [0, 1, 2, 7, 7]


def test_a_number_under_a_pending_mask_is_refused_where_it_does_not_fit() -> None:
    x = torch.arange(5).to(torch.int8) + 0
    with pytest.raises(RuntimeError, match="value cannot be converted to type int8_t without overflow"):
        x[x > 2] = 300
    with pytest.raises(IndexError, match="The shape of the mask"):
        x[torch.arange(4) > 2] = 3
    w = torch.arange(3.0, requires_grad=True) * 2
    w[w > 2] = 5
    assert type(w.grad_fn).__name__ == "IndexPutBackward0"
