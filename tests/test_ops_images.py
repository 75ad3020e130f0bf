"""Convolution, pooling, normalisation, resampling, padding, indexing: values, two orders of gradients, errors."""

from __future__ import annotations

import json
from typing import Any

import image_cases
import numpy as np
import pytest

import flambeau as torch
import flambeau.nn.functional as F
from flambeau import dtypes
from flambeau.compiler.builder import Builder
from flambeau.ops._convolution_lowering import Geometry, lower_input
from flambeau.ops._nonzero import nonzero_places

ERRORS = json.loads((image_cases.GOLDEN / "image_errors.json").read_text())


@pytest.fixture(scope="module")
def golden() -> Any:
    with np.load(image_cases.GOLDEN / "image_ops.npz") as arrays:
        yield dict(arrays)


@pytest.mark.parametrize("name", image_cases.CASES)
@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_values_and_gradients(name: str, golden: Any) -> None:
    for k, got in enumerate(image_cases.run(torch, name)):
        want = golden[f"{name}/{k}"]
        np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-10 * max(1.0, float(np.abs(want).max(initial=0))))


@pytest.mark.parametrize(("expression", "kind", "message"), ERRORS, ids=[row[0] for row in ERRORS])
def test_errors(expression: str, kind: str, message: str) -> None:
    assert image_cases.outcome(torch, expression) == (kind, message)


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        ("F.conv2d(R(1, 1, 4, 4), r(1, 1, 2, 2))", "ConvolutionBackward0"),
        ("F.conv2d(R(1, 4, 4), r(1, 1, 2, 2))", "SqueezeBackward1"),
        ("F.max_pool2d(R(1, 1, 4, 4), 2)", "MaxPool2DWithIndicesBackward0"),
        ("F.avg_pool2d(R(1, 1, 4, 4), 2)", "AvgPool2DBackward0"),
        ("F.adaptive_avg_pool2d(R(1, 1, 4, 4), 1)", "MeanBackward1"),
        ("F.adaptive_avg_pool2d(R(1, 1, 4, 4), 2)", "AdaptiveAvgPool2DBackward0"),
        ("F.batch_norm(R(3, 2), None, None, training=True)", "NativeBatchNormBackward0"),
        ("F.layer_norm(R(3, 2), (2,))", "NativeLayerNormBackward0"),
        ("F.group_norm(R(3, 2, 2), 2)", "NativeGroupNormBackward0"),
        ("F.pad(R(2, 2), (1, 1))", "ConstantPadNdBackward0"),
        ("F.pad(R(2, 2, 2), (1, 1), 'reflect')", "ReflectionPad1DBackward0"),
        ("F.interpolate(R(1, 1, 2, 2), 4)", "UpsampleNearest2DBackward0"),
        ("F.interpolate(R(1, 1, 4, 4), 2, mode='bilinear', antialias=True)", "UpsampleBilinear2DAaBackward0"),
        ("F.grid_sample(R(1, 1, 4, 4), r(1, 2, 2, 2), align_corners=False)", "GridSampler2DBackward0"),
        ("R(3).gather(0, T([1]))", "GatherBackward0"),
        ("R(3).index_select(0, T([1]))", "IndexSelectBackward0"),
        ("R(3).scatter(0, T([1]), 1.)", "ScatterBackward1"),
        ("R(3).masked_fill(T([True, False, True]), 1.)", "MaskedFillBackward0"),
    ],
)
def test_backward_names(expression: str, name: str) -> None:
    assert eval(expression, image_cases.names_in(torch)).grad_fn.name() == name


def test_running_statistics() -> None:
    x = torch.arange(12.0).reshape(3, 2, 2)
    mean, var = torch.zeros(2), torch.ones(2)
    y = F.batch_norm(x, mean, var, training=True, momentum=0.5)
    assert mean.tolist() == pytest.approx([2.25, 3.25])
    assert var.tolist() == pytest.approx([7.05, 7.05])
    assert float(y.mean()) == pytest.approx(0, abs=1e-6)
    assert mean._version == var._version == 1


def test_max_pool_indices_and_unpool() -> None:
    x = torch.tensor([[[1.0, 5.0, 2.0, 0.0], [3.0, 4.0, 8.0, 7.0]]])
    y, where = F.max_pool2d(x, 2, return_indices=True)
    assert y.tolist() == [[[5.0, 8.0]]]
    assert where.tolist() == [[[1, 6]]]
    assert F.max_unpool2d(y, where, 2).tolist() == [[[0.0, 5.0, 0.0, 0.0], [0.0, 0.0, 8.0, 0.0]]]


def test_max_pool_of_minus_infinity_counts_real_elements() -> None:
    x = torch.full((1, 2, 2), -torch.inf)
    _, where = F.max_pool2d(x, 2, 1, 1, return_indices=True)
    assert where.tolist() == [[[0, 0, 1], [0, 0, 1], [2, 2, 3]]]


def test_half_precision_is_summed_in_single() -> None:
    x = torch.full((1, 1, 64, 64), 1 / 1024, dtype=torch.bfloat16)
    assert F.avg_pool2d(x, 64).item() == 1 / 1024
    assert F.conv2d(x, torch.ones(1, 1, 64, 64, dtype=torch.bfloat16)).item() == 4.0


def test_channels_last_is_kept() -> None:
    x = torch.randn(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    for y in (
        F.conv2d(x, torch.randn(5, 3, 1, 1)),
        F.max_pool2d(x, 2),
        F.interpolate(x, scale_factor=2),
        F.pad(x, (1, 1)),
    ):
        assert y.is_contiguous(memory_format=torch.channels_last)


def test_in_place_forms_write_and_differentiate() -> None:
    leaf = torch.zeros(2, 3, requires_grad=True)
    x = leaf * 1
    src = torch.ones(1, 3, requires_grad=True)
    x.index_add_(0, torch.tensor([1]), src, alpha=2)
    x.masked_fill_(torch.tensor([True, False, False]), 7.0)
    x.scatter_(1, torch.tensor([[2], [1]]), 5.0)
    assert x.tolist() == [[7.0, 0.0, 5.0], [7.0, 5.0, 2.0]]
    x.sum().backward()
    assert leaf.grad.tolist() == [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    assert src.grad.tolist() == [[0.0, 0.0, 2.0]]


def test_out_and_empty() -> None:
    out = torch.empty(0)
    torch.index_select(torch.arange(3.0), 0, torch.tensor([2, 0]), out=out)
    assert out.tolist() == [2.0, 0.0]
    assert torch.zeros(2, 0).nonzero().shape == (0, 2)
    assert torch.arange(4.0).gather(0, torch.empty(0, dtype=torch.int64)).shape == (0,)
    assert F.conv2d(torch.zeros(0, 1, 4, 4), torch.zeros(2, 1, 3, 3)).shape == (0, 2, 2, 2)


def test_nonzero_forms() -> None:
    x = torch.tensor([[0, 3], [4, 0]])
    assert x.nonzero().tolist() == torch.argwhere(x).tolist() == [[0, 1], [1, 0]]
    assert [i.tolist() for i in torch.nonzero(x, as_tuple=True)] == [[0, 1], [1, 0]]
    assert x.nonzero().stride() == (1, 2)
    assert torch.tensor(5).nonzero().shape == (1, 0)


BYTES: list[Any] = [
    ({"size": (4, 5), "mode": "bicubic"}, [
        59, 170, 182, 214, 122, 222, 120, 154, 186, 94, 185, 93, 126, 158, 66, 157, 65, 98, 130, 38,
    ]),
    ({"size": (7, 5), "mode": "bicubic", "align_corners": True}, [
        0, 171, 185, 225, 113, 205, 134, 171, 211, 99, 241, 113, 156, 196, 84, 211, 99, 140, 180, 68, 195, 83,
        124, 164, 52, 180, 68, 109, 149, 37, 166, 54, 95, 135, 23,
    ]),
    ({"size": (3, 7), "mode": "bilinear"}, [
        119, 117, 196, 176, 155, 207, 104, 211, 108, 160, 140, 119, 171, 68, 175, 72, 124, 104, 83, 135, 32,
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("options", "values"), BYTES, ids=str)
def test_bytes_are_resampled_in_fixed_point(options: Any, values: list[int]) -> None:
    x = torch.arange(0, 250, 7, dtype=torch.uint8).mul(91).reshape(1, 1, 6, 6)
    assert torch.nn.functional.interpolate(x, **options).flatten().tolist() == values


def _inputs_gradient(c: Any, w: Any, size: Any, strides: Any, pads: Any, dilations: Any, groups: int) -> Any:
    """That of a convolution, window by window: what each adds at the places that it sees."""
    whole = np.zeros((c.shape[0], groups, w.shape[1], *[k + 2 * p for k, p in zip(size, pads)]))
    for at in np.ndindex(*c.shape[2:]):
        along = zip(at, strides, dilations, w.shape[2:])
        seen = tuple([slice(a * s, a * s + d * (k - 1) + 1, d) for a, s, d, k in along])
        for g, (outputs, kernel) in enumerate(zip(np.split(c, groups, 1), np.split(w, groups))):
            whole[(slice(None), g, slice(None), *seen)] += np.tensordot(outputs[(..., *at)], kernel, 1)
    inside = tuple([slice(p, p + k) for k, p in zip(size, pads)])
    return whole.reshape(c.shape[0], -1, *whole.shape[3:])[(slice(None), slice(None), *inside)]


@pytest.mark.parametrize(
    ("size", "kernel", "strides", "pads", "dilations", "groups"),
    [
        ((401,), (60,), (24,), (7,), (1,), 2),
        ((203,), (64,), (40,), (0,), (1,), 1),
        ((300,), (17,), (34,), (3,), (1,), 1),
        ((37, 41), (8, 8), (8, 8), (0, 0), (1, 1), 1),
        ((30, 33), (6, 12), (5, 8), (3, 2), (2, 1), 2),
    ],
)
def test_windows_that_step_far(
    size: Any, kernel: Any, strides: Any, pads: Any, dilations: Any, groups: int
) -> None:  # asteroid
    n, call = len(size), (F.conv1d, F.conv2d)[len(size) - 1]
    x = torch.zeros(2, 2 * groups, *size, dtype=torch.float64, requires_grad=True)
    w = torch.arange(4.0 * groups * 2 * np.prod(kernel), dtype=torch.float64).sin().reshape(4 * groups, 2, *kernel)
    y = call(x, w, stride=strides, padding=pads, dilation=dilations, groups=groups)
    c = torch.arange(float(y.numel()), dtype=torch.float64).cos().reshape(y.shape)
    (got,) = torch.autograd.grad(y, x, c)
    want = _inputs_gradient(c.numpy(), w.numpy(), size, strides, pads, dilations, groups)
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-9, atol=1e-9)
    back = (F.conv_transpose1d, F.conv_transpose2d)[n - 1]
    again = back(c, w, stride=strides, padding=pads, dilation=dilations, groups=groups).numpy()
    common = (..., *[slice(min(k, m)) for k, m in zip(size, again.shape[2:])])
    np.testing.assert_allclose(again[common], want[common], rtol=1e-9, atol=1e-9)


def test_windows_that_step_far_are_few_products() -> None:
    b = Builder()
    gy, w = b.input(0, (1, 4, 20), dtypes.float32), b.input(1, (4, 1, 2048), dtypes.float32)
    b.f.outputs.append(lower_input(b, gy, w, (21504,), Geometry((1024,), ((0, 0),), (1,), 1)))
    assert [v.kind for v in b.f.values].count("contract") == 1 and len(b.f.values) < 30


@pytest.mark.parametrize("also_the_input", [False, True])
def test_places_that_change_nothing_have_gradients_of_zero(also_the_input: bool) -> None:
    x = torch.arange(9.0).reshape(1, 1, 3, 3).requires_grad_(also_the_input)
    grid = torch.tensor([[[[0.1, 0.2], [-0.9, 0.9]]]], requires_grad=True)
    y = F.grid_sample(x, grid, mode="nearest", align_corners=False)
    (found,) = torch.autograd.grad(y.sum(), grid)
    assert y.grad_fn.name() == "GridSampler2DBackward0" and found.tolist() == [[[[0, 0], [0, 0]]]]


@pytest.mark.parametrize(
    "shape", [(5000,), (100, 41), (1000, 15), (1000, 16), (20, 7, 33), (3, 4, 5, 100), (0, 50), (50, 0)]
)
def test_places_that_are_not_zero_are_numpys(shape: tuple[int, ...]) -> None:
    a = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    a[a < 0.3] = 0
    a[..., :1] = np.nan
    for x in (a, a > 0, np.zeros_like(a), a.T, np.ones(shape, np.int64), a.astype(np.complex64)):
        found, expected = nonzero_places(x), np.nonzero(x)
        assert len(found) == len(expected)
        assert all([f.dtype == e.dtype and (f == e).all() for f, e in zip(found, expected)])  # noqa: C419
