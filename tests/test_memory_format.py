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


def last(*shape: int) -> Any:
    x = torch.ones(shape)
    return x.contiguous(memory_format=LAST if x.dim() == 4 else torch.channels_last_3d)


def test_operators_on_images_keep_the_format() -> None:
    F = torch.nn.functional
    x, y = last(2, 6, 4, 5), last(2, 6, 3, 4, 5)
    for mode in ("constant", "reflect", "replicate"):
        assert F.pad(x, (1, 1, 1, 1), mode).stride() == (252, 1, 42, 6)
        assert F.pad(y, (1, 1, 1, 1, 1, 1), mode).stride() == (1260, 1, 252, 42, 6)
    assert F.pad(x, (1, 1, 1, 1), "circular").stride() == (252, 42, 7, 1)
    assert F.channel_shuffle(x, 3).stride() == F.native_channel_shuffle(x, 3).stride() == x.stride()
    w = torch.ones(6, 3, 2, 2)
    assert F.conv_transpose2d(x, w, stride=2).stride() == (240, 1, 30, 3)
    assert F.conv_transpose2d(x.contiguous(), w.to(memory_format=LAST), stride=2).stride() == (240, 1, 30, 3)
    assert F.conv_transpose2d(x.contiguous(), w, stride=2).stride() == (240, 80, 10, 1)
    assert F.conv_transpose3d(y, torch.ones(6, 1, 2, 2, 2), stride=2, groups=2).stride() == (960, 1, 160, 20, 2)


def test_row_major_results() -> None:
    x = torch.ones(5, 3).t().contiguous().t()
    assert torch.cross(x, x, dim=1).stride() == torch.renorm(x, 2, 0, 1.0).stride() == (3, 1)
    assert torch.mvlgamma(x + 3, 2).stride() == (3, 1) and torch.view_copy(x, [15]).tolist() == [1.0] * 15


def test_rolled_images_keep_their_layout() -> None:
    x = torch.ones(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    assert x.roll(1, 2).stride() == x.roll((1, 2), (2, 3)).stride() == x.stride()
    assert x.roll(1).is_contiguous()
