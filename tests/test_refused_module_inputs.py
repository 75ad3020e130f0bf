"""Inputs that PyTorch's layers and losses refuse, and how they say so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import flambeau as torch
import flambeau.nn.functional as F
from flambeau import nn

LOG_PROBS = torch.zeros(50, 3, 15).log_softmax(2)
TARGETS = torch.ones(3, 29, dtype=torch.long)
IMAGES = torch.rand(2, 3, 8, 8)


def ctc(input_lengths: Any, target_lengths: Any) -> Any:
    return F.ctc_loss(LOG_PROBS, TARGETS, input_lengths, target_lengths)


def bag(offsets: list[int], mode: str, padding_idx: int | None = None) -> Any:
    table = torch.arange(12.0).view(6, 2)
    indices = torch.tensor([0, 1, 2, 3])
    return F.embedding_bag(
        indices, table, torch.tensor(offsets), mode=mode, include_last_offset=True, padding_idx=padding_idx
    ).tolist()


REFUSED: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: ctc(torch.tensor([50.0, 50, 50]), [29, 20, 20]), RuntimeError, "input_lengths must be integral"),
    (lambda: ctc([50, 50, 50], torch.tensor([29.0, 20, 20])), RuntimeError, "target_lengths must be integral"),
    (
        lambda: ctc([50, 50, 50.0], [29, 20, 20]),
        TypeError,
        "ctc_loss(): argument 'input_lengths' failed to unpack the object at pos 3 with error "
        '"type must be tuple of ints,but got float"',
    ),
    (
        lambda: ctc([-1, 50, 50], [29, 20, 20]),
        RuntimeError,
        "Expected input_lengths to have value at least 0, but got value -1 "
        "(while checking arguments for ctc_loss_allocate_outputs)",
    ),
    (
        lambda: ctc([51, 50, 50], [29, -1, 20]),
        RuntimeError,
        "Expected target_lengths to have value at least 0, but got value -1 "
        "(while checking arguments for ctc_loss_allocate_outputs)",
    ),
    (
        lambda: nn.Fold((4, 5), (2, 2), dilation=8)(torch.zeros(1, 12, 12)),
        RuntimeError,
        "Given output_size=(4, 5), kernel_size=(2, 2), dilation=(8, 8), padding=(0, 0), stride=(1, 1), calculated "
        "shape of the array of sliding blocks as (-4, -3), which is too small (non-positive)",
    ),
    (
        lambda: nn.FractionalMaxPool2d(2, output_ratio=[0.5, 0.5, 0.6])(IMAGES),  # type: ignore[arg-type]
        ValueError,
        "fractional_max_pool2d requires output_ratio to either be a single Int or tuple of Ints.",
    ),
    (
        lambda: nn.FractionalMaxPool2d(2, output_size=[2, 2, 2])(IMAGES),  # type: ignore[arg-type]
        RuntimeError,
        "fractional_max_pool2d: output_size must either be a single Int or tuple of Ints",
    ),
    (
        lambda: nn.FractionalMaxPool3d((2, 2), output_size=2)(IMAGES),  # type: ignore[arg-type]
        RuntimeError,
        "fractional_max_pool3d: kernel_size must either be a single Int or tuple of three Ints",
    ),
    (
        lambda: F.fractional_max_pool2d(IMAGES, 2, output_size=2, _random_samples=torch.rand(1, 3, 2)),
        RuntimeError,
        "Expect _random_samples.size(0) no less then input batch size.",
    ),
    (
        lambda: F.fractional_max_pool2d(IMAGES, 2, output_size=2, _random_samples=torch.rand(2, 1, 2)),
        RuntimeError,
        "Expect _random_samples.size(1) equals to input channel size.",
    ),
    (
        lambda: F.fractional_max_pool2d(IMAGES, 2, output_size=2, _random_samples=torch.rand(2, 3, 1)),
        RuntimeError,
        "Expect _random_samples.size(2) equals to 2; got 1.",
    ),
    (
        lambda: F.grid_sample(IMAGES, torch.rand(2, 1, 1, 1, 3), align_corners=False),
        RuntimeError,
        "grid_sampler(): expected grid to have size 2 in last dimension, but got grid with sizes [2, 1, 1, 1, 3]",
    ),
    (
        lambda: F.grid_sample(IMAGES.long(), torch.rand(2, 1, 1, 2), align_corners=False),
        NotImplementedError,
        "\"grid_sampler_2d_cpu_kernel_impl\" not implemented for 'Long'",
    ),
    (
        lambda: bag([0, 4], "sum", padding_idx=6),
        RuntimeError,
        "padding_idx must be within the number of embeddings, -6 through 5, but got 6",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), REFUSED)
def test_refused(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message


def test_the_last_bag_ends_with_the_indices_where_rows_are_left_out() -> None:
    assert bag([0, 3, 3], "sum") == [[6.0, 9.0], [0.0, 0.0]]
    assert bag([0, 3, 3], "sum", padding_idx=5) == [[6.0, 9.0], [6.0, 7.0]]
    assert bag([0, 3, 3], "mean", padding_idx=0) == [[3.0, 4.0], [6.0, 7.0]]
    assert bag([0, 2], "max") == [[6.0, 7.0]]


@pytest.mark.parametrize("f", [F.elu_, F.celu_, F.leaky_relu_, lambda x, a: F.rrelu_(x, 2 * a, 0.0)])
def test_results_of_negative_slopes_in_place_have_no_gradient(f: Callable[..., Any]) -> None:
    x = torch.tensor([-1.0, 1.0], requires_grad=True)
    y = f(x.clone(), -2.0)
    with pytest.raises(RuntimeError, match="please call out-of-place version"):
        y.sum().backward()


def test_results_are_not_stored_where_elements_share_memory() -> None:
    x = torch.rand(1, 6).expand(6, 6)
    for call in (lambda: F.softplus(x, out=x), lambda: torch.sigmoid(x, out=x), lambda: F.relu(x, inplace=True)):
        with pytest.raises(RuntimeError, match="more than one element of the written-to tensor"):
            call()
    assert F.threshold(x, 0.5, 0.25, inplace=True) is x and x.ge(0.25).all()


def test_what_is_pooled_to_nothing_has_no_gradient() -> None:
    x = torch.rand(1, 4, 10, 9, requires_grad=True)
    for kind, pool in (("avg", F.adaptive_avg_pool2d), ("max", F.adaptive_max_pool2d)):
        with pytest.raises(RuntimeError) as caught:
            pool(x, 0).sum().backward()
        assert str(caught.value) == (
            f"adaptive_{kind}_pool2d_backward(): Expected grad_output to have non-zero size for non-batch dimensions, "
            "but grad_output has sizes [1, 4, 0, 0] with dimension 2 being empty"
        )


def test_empty_batches_go_through_unpooling() -> None:
    x = torch.rand(0, 3, 4, 4, requires_grad=True)
    y, where = F.max_pool2d(x, 2, return_indices=True)
    back = F.max_unpool2d(y, where, 2)
    back.sum().backward()
    assert x.grad is not None and back.shape == x.grad.shape == (0, 3, 4, 4)


def test_pooling_of_three_dimensions_gives_rows() -> None:
    x = torch.rand(2, 3, 4, 6, 6).contiguous(memory_format=torch.channels_last_3d)
    for y in (F.avg_pool3d(x, 2), F.adaptive_avg_pool3d(x, 2), F.adaptive_max_pool3d(x, 2)):
        assert y.is_contiguous()


def test_a_margin_loss_has_the_shape_of_its_targets() -> None:
    x = torch.rand(5)
    assert F.multi_margin_loss(x, torch.tensor([2]), reduction="none").shape == (1,)
    assert F.multi_margin_loss(x, torch.tensor(2), reduction="none").shape == ()


def test_modules_convert_without_copies() -> None:
    layer = nn.Linear(3, 5)
    for arguments in ((torch.float32, False, True), ("cpu", torch.float32, False, True)):
        with pytest.raises(RuntimeError, match=r"\.to\(\) does not accept copy argument"):
            layer.to(*arguments)
    with pytest.raises(RuntimeError, match=r"\.to\(\) does not accept copy argument"):
        layer.to("cpu", copy=True)
    for arguments in ((torch.device("cpu"), True), (None, True), (torch.rand(1), torch.float32)):
        with pytest.raises(TypeError, match="invalid combination of arguments"):
            layer.to(*arguments)


def test_parameters_without_a_shape_refuse_to_be_used() -> None:
    layer = nn.LazyLinear(3)
    assert layer.double().weight.dtype is torch.float64
    uses: list[Callable[[Any], Any]] = [
        lambda p: p.numel(),
        lambda p: p.sum(),
        lambda p: p + 1,
        lambda p: p[0],
        lambda p: p.clone(),
        lambda p: p.normal_(),
    ]
    for use in uses:
        with pytest.raises(ValueError, match="Attempted to use an uninitialized parameter in"):
            use(layer.weight)
    layer(torch.rand(2, 4, dtype=torch.float64))
    assert sum(p.numel() for p in layer.parameters()) == 15


def test_empty_batches_are_not_packed() -> None:
    for lengths in ([], torch.ones(1, 1)):
        with pytest.raises(RuntimeError, match="Cannot pack empty tensors"):
            nn.utils.rnn.pack_padded_sequence(torch.zeros(0, 0), lengths)
