"""What creating functions refuse."""

from __future__ import annotations

import pytest

import flambeau as torch

CREATIONS = {
    "zeros": lambda layout: torch.zeros(2, layout=layout),
    "full": lambda layout: torch.full((2,), 1.0, layout=layout),
    "zeros_like": lambda layout: torch.zeros_like(torch.ones(2), layout=layout),
    "new_ones": lambda layout: torch.ones(2).new_ones(2, layout=layout),
    "eye": lambda layout: torch.eye(2, layout=layout),
    "arange": lambda layout: torch.arange(3, layout=layout),
}


@pytest.mark.parametrize("name", CREATIONS)
def test_only_dense_tensors_are_made(name: str) -> None:
    assert CREATIONS[name](torch.strided).layout is torch.strided
    with pytest.raises(NotImplementedError, match=rf"{name}\(\) of layout torch.sparse_csr is not supported"):
        CREATIONS[name](torch.sparse_csr)
    with pytest.raises(TypeError, match=rf"{name}\(\): argument 'layout' must be torch.layout, not int"):
        CREATIONS[name](3)
