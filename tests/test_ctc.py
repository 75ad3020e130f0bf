"""Connectionist temporal classification beside sums over all paths, for samples of different lengths."""

from __future__ import annotations

from itertools import groupby, product

import numpy as np
import pytest

import flambeau as torch

F = torch.nn.functional
TIME, CLASSES = 5, 3


def _by_paths(log_probs: np.ndarray, target: list[int], blank: int) -> float:
    """The loss of one sample: all paths that collapse to the target."""
    total = 0.0
    for path in product(range(CLASSES), repeat=len(log_probs)):
        if [label for label, _ in groupby(path) if label != blank] == target:
            total += float(np.exp(log_probs[np.arange(len(path)), list(path)].sum()))
    return -np.log(total) if total else np.inf


@pytest.mark.parametrize("blank", [0, 2])
def test_losses_and_gradients_of_ragged_samples(blank: int) -> None:
    labels = [c for c in range(CLASSES) if c != blank]
    targets = [[labels[0], labels[0], labels[1]], [], [labels[1]], [labels[1], labels[0]]]
    ins = (5, 3, 1, 4)
    padded = torch.tensor([t + [blank] * (3 - len(t)) for t in targets])
    x = torch.randn(TIME, 4, CLASSES, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    lengths = tuple(map(len, targets))

    def loss(x: torch.Tensor) -> torch.Tensor:
        return F.ctc_loss(F.log_softmax(x, 2), padded, ins, lengths, blank=blank, reduction="none")

    scores = F.log_softmax(x, 2).numpy()
    expected = [_by_paths(scores[:n, i], t, blank) for i, (n, t) in enumerate(zip(ins, targets))]
    np.testing.assert_allclose(loss(x).numpy(), expected, rtol=1e-12)
    assert torch.autograd.gradcheck(loss, x.requires_grad_())


def test_a_sample_without_a_path_has_no_gradient_if_infinity_is_zero() -> None:
    x = torch.randn(2, 2, CLASSES, generator=torch.Generator().manual_seed(0), requires_grad=True)
    targets = torch.tensor([[1, 1], [1, 2]])
    loss = F.ctc_loss(x.log_softmax(2), targets, (2, 2), (2, 2), reduction="none", zero_infinity=True)
    loss.sum().backward()
    assert loss.tolist()[0] == 0 and loss.tolist()[1] > 0
    assert x.grad[:, 0].abs().sum() == 0 and x.grad[:, 1].abs().sum() > 0
