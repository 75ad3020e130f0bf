"""What is made in inference mode: who knows it, who may write it, what may need it. Texts are PyTorch's."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import flambeau as torch
from flambeau.graph import storage

WRITTEN = "Inplace update to inference tensor outside InferenceMode is not allowed"
SAVED = "Inference tensors cannot be saved for backward"


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Other tests record as if nothing had been in inference mode."""
    yield
    storage.inferred[0] = False


def made() -> Any:
    with torch.inference_mode():
        return torch.arange(3.0)


def test_memory_of_inference_mode_is_known_by_all_that_see_it() -> None:
    x, normal = made(), torch.ones(3)
    assert x.is_inference() and torch.is_inference(x) and not normal.is_inference()
    assert x[1:].is_inference() and x.detach().is_inference() and x.data.is_inference() and x.view(3, 1).is_inference()
    assert not (x + 1).is_inference() and not x.clone().is_inference() and not copy.deepcopy(x).is_inference()
    with torch.inference_mode():
        assert (normal + 1).is_inference() and torch.rand(2).is_inference() and normal.clone().is_inference()
        assert torch.tensor([1]).is_inference() and all(y.is_inference() for y in normal.max(0))
        assert not normal[1:].is_inference() and not normal.contiguous().is_inference()
        with torch.inference_mode(False):
            assert not torch.zeros(2).is_inference()
    assert not torch.zeros(2).is_inference()
    assert not torch.eye(2).to_sparse().is_inference()


def test_versions_are_not_counted() -> None:
    x, normal = made(), torch.ones(3)
    with torch.inference_mode():
        x.add_(1)
        normal.add_(1)
    assert normal._version == 1
    with pytest.raises(RuntimeError, match=r"^Inference tensors do not track version counter\.$"):
        _ = x._version


@pytest.mark.parametrize(
    "write",
    [
        lambda x: x.add_(1), lambda x: x.fill_(1), lambda x: x.zero_(), lambda x: x[1:].mul_(2),
        lambda x: x.__setitem__(0, 5.0), lambda x: x.__setitem__(0, torch.tensor(2.0) * 3), lambda x: x.normal_(),
        lambda x: x.copy_(torch.ones(3)), lambda x: torch.add(torch.ones(3), 1, out=x), lambda x: x.resize_(2),
        lambda x: x.unsqueeze_(0), lambda x: x.data.add_(1), lambda x: x.__iadd__(torch.ones(3) * 2),
        lambda x: torch.nn.functional.batch_norm(torch.ones(2, 3), x, x, training=True),
    ],
)  # fmt: skip
@pytest.mark.parametrize("computed", [False, True])
def test_writes_outside_are_refused(write: Callable[[Any], Any], computed: bool) -> None:
    x = made()
    if computed:
        x.tolist()
    with pytest.raises(RuntimeError, match=WRITTEN):
        write(x)
    assert x.tolist() == [0, 1, 2]
    with torch.inference_mode():
        x.add_(1)
    assert x.tolist() == [1, 2, 3]


def test_backward_passes_may_not_need_it() -> None:
    w = torch.ones(3, requires_grad=True)
    for _ in range(2):  # the second time the call is known
        x = made()
        with pytest.raises(RuntimeError, match=SAVED):
            _ = x * w
        with pytest.raises(RuntimeError, match=SAVED):
            torch.nn.functional.linear(x, torch.ones(2, 3, requires_grad=True))
        (x.clone() * w + x).sum().backward()
    assert w.grad is not None and w.grad.tolist() == [0, 2, 4]
    with torch.no_grad():
        assert (x * w).tolist() == [0, 1, 2]
    with torch.inference_mode(), torch.enable_grad():
        assert not (w * 2).requires_grad

    class Doubled(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, a: Any, b: Any) -> Any:
            ctx.save_for_backward(b)
            return a * 2

    with pytest.raises(RuntimeError, match=SAVED):
        Doubled.apply(w, x)


def test_leaves_and_optimizers() -> None:
    with pytest.raises(RuntimeError, match="Setting requires_grad=True on inference tensor outside InferenceMode is"):
        made().requires_grad_()
    with torch.inference_mode():
        layer = torch.nn.Linear(2, 2)
    for p in layer.parameters():
        p.grad = torch.ones_like(p)
    with pytest.raises(RuntimeError, match=WRITTEN):
        torch.optim.SGD(layer.parameters(), lr=0.1).step()


def test_the_mode_is_that_of_a_thread() -> None:
    found: list[bool] = []
    with torch.inference_mode():
        thread = threading.Thread(target=lambda: found.append(torch.zeros(2).is_inference()))
        thread.start()
        thread.join()
    assert found == [False]
