"""Memory formats: when a tensor is itself, and which strides a copy has, where sizes of one leave it open."""

from __future__ import annotations

from typing import Any

import pytest

import flambeau as torch

LAST, ROWS = torch.channels_last, torch.contiguous_format


def shaped(shape: tuple[int, ...], strides: tuple[int, ...]) -> Any:
    return torch.empty_strided(shape, strides)


# Of each: shape, strides, and what PyTorch 2.13 gives as channels-last and as row-major: None for the tensor itself.
CASES: list[tuple[Any, Any, Any, Any]] = [
    ((2, 1, 3, 4), (12, 12, 4, 1), (12, 1, 4, 1), None),
    ((2, 1, 3, 4), (12, 1, 4, 1), None, (12, 12, 4, 1)),
    ((2, 3, 1, 1), (3, 1, 1, 1), (3, 1, 3, 3), None),
    ((2, 3, 4, 5), (60, 1, 15, 3), None, (60, 20, 5, 1)),
    ((3, 4, 2, 5), (10, 30, 5, 1), (40, 1, 20, 4), None),
    ((2, 0, 3, 4), (12, 12, 4, 1), (0, 1, 0, 0), None),
]


@pytest.mark.parametrize(("shape", "strides", "last", "rows"), CASES)
def test_a_tensor_of_the_suggested_format_is_itself(shape: Any, strides: Any, last: Any, rows: Any) -> None:
    x = shaped(shape, strides)
    for memory_format, expected in ((LAST, last), (ROWS, rows)):
        for convert in (x.to, x.float, x.cpu, lambda x=x, **kw: x.type(torch.float32, **kw)):
            y = convert(memory_format=memory_format)
            assert (y is x) is (expected is None)
            assert y.stride() == (expected or strides)


@pytest.mark.parametrize(("shape", "strides", "last", "rows"), CASES)
def test_copies_have_the_strides_of_their_format(shape: Any, strides: Any, last: Any, rows: Any) -> None:
    x = shaped(shape, strides)
    made = (x.clone, lambda **kw: torch.empty_like(x, **kw), lambda **kw: torch.rand_like(x, **kw),
            lambda **kw: torch.empty(shape, **kw), lambda **kw: torch.empty(0).resize_(shape, **kw))  # fmt: skip
    for make in made:
        assert make(memory_format=LAST).stride() == (last or strides)
    assert x.clone(memory_format=ROWS).stride() == torch.empty(shape).stride()


def test_a_new_leaf_is_not_the_tensor_that_it_was_made_of() -> None:
    x = torch.ones(2, 1, 3, 4)
    x.to(memory_format=LAST).requires_grad_()
    assert not x.requires_grad


def test_formats_of_other_ranks_are_refused() -> None:
    with pytest.raises(RuntimeError, match="required rank 4 tensor to use channels_last format"):
        torch.ones(2, 3).to(memory_format=LAST)
    with pytest.raises(RuntimeError, match="required rank 5 tensor to use channels_last_3d format"):
        torch.ones(2, 3, 4, 5).cpu(memory_format=torch.channels_last_3d)
    with pytest.raises(RuntimeError, match="preserve memory format is unsupported by the contiguous operator"):
        torch.ones(2, 3).t().contiguous(memory_format=torch.preserve_format)
