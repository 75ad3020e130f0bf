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


@pytest.mark.parametrize("device", ["cuda", "meta"])
def test_old_constructors_know_the_cpu_only(device: str) -> None:
    x = torch.ones(3)
    for make in (torch.Tensor, torch.FloatTensor, x.new):
        for args in ((), ((2.0, 3.0),), (torch.Size([2]),)):
            with pytest.raises(RuntimeError) as caught:
                make(*args, device=device)
            assert str(caught.value) == (
                f"legacy constructor expects device type: cpu but device type: {device} was passed"
            )
    assert torch.FloatTensor((2.0, 3.0), device="cpu").tolist() == x.new((2.0, 3.0), device="cpu").tolist() == [2, 3]


def test_lists_that_contain_themselves() -> None:
    once: list[object] = [0]
    once.append(once)
    for data in (once, [[1, 2], once]):
        for make in (torch.tensor, torch.as_tensor):
            with pytest.raises(TypeError) as caught:
                make(data)
            assert str(caught.value) == "new(): self-referential lists are incompatible"


class Sequence:
    """Has a length and elements; they can be had if there are any."""

    def __init__(self, *items: float) -> None:
        self.items = items

    def __len__(self) -> int:
        return 2

    def __getitem__(self, i: int) -> float:
        return self.items[i]


def test_sequences_without_elements() -> None:
    assert torch.tensor(Sequence(1.0, 2.0)).tolist() == [1.0, 2.0]
    with pytest.raises(ValueError, match="could not determine the shape of object type 'Sequence'"):
        torch.tensor(Sequence())
