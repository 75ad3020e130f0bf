"""Writes at some elements of memory that is read as well: refused or done as in PyTorch."""

from __future__ import annotations

from typing import Any

import pytest

import flambeau as torch

SHARED = "some elements of the input tensor and the written-to tensor refer to a single memory location"
REFUSED = """
i.index_add_(0, i, i.clone()) | i.index_add_(0, i.clone(), i) | y.index_add_(0, i, y[:3])
i.index_copy_(0, i, i.clone()) | i.index_copy_(0, i.clone(), i) | y.index_copy_(0, i, y[:3])
i.index_fill_(0, i, 0) | y.index_reduce_(0, i, y[:3], 'prod')
i.put_(i, i.clone()) | i.put_(i.clone(), i) | y.put_(i, y[:3])
i.index_put_((i,), i.clone()) | i.index_put_((i.clone(),), i) | y.index_put_((i,), y[0])
v.scatter_(0, i, v) | i.scatter_(0, i, i.clone()) | i.scatter_(0, i, 1) | y.scatter_(0, i, y[:3])
v.scatter_add_(0, i, v) | i.scatter_add_(0, i, i.clone())
v.scatter_reduce_(0, i, v, 'sum') | i.scatter_reduce_(0, i, i.clone(), 'sum')
torch.gather(y, 0, i, out=y[:3]) | torch.index_select(y, 0, i, out=y[:3]) | torch.take(y, i, out=y[:3])
torch.masked_select(y, y > 0.5, out=y) | torch.sort(y[:3], out=(y[1:4], i)) | torch.topk(y[:3], 2, out=(y[1:3], i[:2]))
"""


def _tensors() -> dict[str, Any]:
    y = torch.tensor([0.75, 0.125, 0.25, 0.375, 0.625, 0.5])
    return {"torch": torch, "y": y, "i": torch.tensor([2, 1, 0]), "v": torch.tensor([0.5, 0.25, 0.125])}


@pytest.mark.parametrize("call", [c.strip() for line in REFUSED.strip().splitlines() for c in line.split("|")])
def test_refused(call: str) -> None:
    with pytest.raises(RuntimeError, match=SHARED):
        eval(call, _tensors())


def test_brackets_are_refused_too() -> None:
    i = torch.tensor([2, 1, 0])
    with pytest.raises(RuntimeError, match=SHARED):
        i[i] = i


def test_a_number_under_a_mask_may_be_an_element() -> None:
    for write in ("y[y > 0.5] = y[0]", "y.masked_fill_(y > 0.5, y[0])"):
        names = _tensors()
        exec(write, names)
        assert names["y"].tolist() == [0.75, 0.125, 0.25, 0.375, 0.75, 0.5]
    mask = torch.tensor([True, False])
    assert mask.masked_fill_(mask, False).tolist() == [False, False]


def test_other_parts_of_the_memory_may_be_read() -> None:
    y = _tensors()["y"]
    y[:3].index_copy_(0, torch.tensor([2, 1, 0]), y[3:])
    assert y.tolist() == [0.5, 0.625, 0.375, 0.375, 0.625, 0.5]


def test_a_vector_may_be_sorted_into_itself() -> None:
    x, i = torch.tensor([3.0, 1.0, 2.0]), torch.zeros(3, dtype=torch.int64)
    torch.sort(x, out=(x, i))
    assert (x.tolist(), i.tolist()) == ([1, 2, 3], [1, 2, 0])
    torch.topk(x, 3, out=(x, i))
    assert (x.tolist(), i.tolist()) == ([3, 2, 1], [2, 1, 0])
    with pytest.raises(RuntimeError, match=SHARED):
        torch.kthvalue(x[:1], 1, keepdim=True, out=(x[:1], i[:1]))
