"""Tensors print the same characters as in PyTorch; the expected texts were made with it."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import flambeau
from flambeau import printing

NAMES = {"torch": flambeau, "nan": math.nan, "inf": math.inf}

CASES: list[tuple[str, dict[str, Any], str]] = [
    (
        "torch.tensor(3)",
        {},
        "tensor(3)",
    ),
    (
        "torch.tensor(True)",
        {},
        "tensor(True)",
    ),
    (
        "torch.tensor(2.5)",
        {},
        "tensor(2.5000)",
    ),
    (
        "torch.tensor(-inf)",
        {},
        "tensor(-inf)",
    ),
    (
        "torch.tensor(1 + 2j)",
        {},
        "tensor(1.+2.j)",
    ),
    (
        "torch.tensor([1.0, 2.0, -3.0])",
        {},
        "tensor([ 1.,  2., -3.])",
    ),
    (
        "torch.tensor([1.0, 2.5, -3.0])",
        {},
        "tensor([ 1.0000,  2.5000, -3.0000])",
    ),
    (
        "torch.tensor([0.0, -0.0])",
        {},
        "tensor([0., -0.])",
    ),
    (
        "torch.tensor([-0.0, 1.5])",
        {},
        "tensor([-0.0000, 1.5000])",
    ),
    (
        "torch.tensor([inf, 1.0, nan])",
        {},
        "tensor([inf, 1., nan])",
    ),
    (
        "torch.tensor([inf, 1.5, nan])",
        {},
        "tensor([   inf, 1.5000,    nan])",
    ),
    (
        "torch.tensor([nan, inf])",
        {},
        "tensor([nan, inf])",
    ),
    (
        "torch.tensor([1e10, 1.0])",
        {},
        "tensor([1.0000e+10, 1.0000e+00])",
    ),
    (
        "torch.tensor([1e-5, 0.0, -1.0])",
        {},
        "tensor([ 1.0000e-05,  0.0000e+00, -1.0000e+00])",
    ),
    (
        "torch.tensor([1000.5, 1.0])",
        {},
        "tensor([1.0005e+03, 1.0000e+00])",
    ),
    (
        "torch.tensor([1001.5, 1.0])",
        {},
        "tensor([1.0015e+03, 1.0000e+00])",
    ),
    (
        "torch.tensor([100000000.0])",
        {},
        "tensor([100000000.])",
    ),
    (
        "torch.tensor([200000000.0])",
        {},
        "tensor([2.0000e+08])",
    ),
    (
        "torch.tensor([1e-4])",
        {},
        "tensor([1.0000e-04])",
    ),
    (
        "torch.tensor([0.1 + 0.2], dtype=torch.float64)",
        {},
        "tensor([0.3000], dtype=torch.float64)",
    ),
    (
        "torch.tensor([1.1, 2.7], dtype=torch.float16)",
        {},
        "tensor([1.0996, 2.6992], dtype=torch.float16)",
    ),
    (
        "torch.tensor([1.1, 2.7], dtype=torch.bfloat16)",
        {},
        "tensor([1.1016, 2.7031], dtype=torch.bfloat16)",
    ),
    (
        "torch.tensor([65504.0, 1.0], dtype=torch.float16)",
        {},
        "tensor([6.5504e+04, 1.0000e+00], dtype=torch.float16)",
    ),
    (
        "torch.tensor([1, -20, 300])",
        {},
        "tensor([  1, -20, 300])",
    ),
    (
        "torch.tensor([1, -20, 100], dtype=torch.int8)",
        {},
        "tensor([  1, -20, 100], dtype=torch.int8)",
    ),
    (
        "torch.tensor([True, False])",
        {},
        "tensor([ True, False])",
    ),
    (
        "torch.tensor([7], dtype=torch.uint8)",
        {},
        "tensor([7], dtype=torch.uint8)",
    ),
    (
        "torch.tensor([1 + 2j, -3.5 - 0.25j])",
        {},
        "tensor([ 1.0000+2.0000j, -3.5000-0.2500j])",
    ),
    (
        "torch.tensor([1 + 2j, 3j], dtype=torch.complex128)",
        {},
        "tensor([1.+2.j, 0.+3.j], dtype=torch.complex128)",
    ),
    (
        "torch.tensor([complex(nan, 1.5), complex(0.0, -0.0)])",
        {},
        "tensor([nan+1.5000j, 0.-0.0000j])",
    ),
    (
        "torch.zeros(0)",
        {},
        "tensor([])",
    ),
    (
        "torch.zeros(0, 3)",
        {},
        "tensor([], size=(0, 3))",
    ),
    (
        "torch.zeros(2, 0, dtype=torch.int32)",
        {},
        "tensor([], size=(2, 0), dtype=torch.int32)",
    ),
    (
        "torch.zeros(0, dtype=torch.int64)",
        {},
        "tensor([], dtype=torch.int64)",
    ),
    (
        "torch.zeros(0, 2, dtype=torch.complex64)",
        {},
        "tensor([], size=(0, 2), dtype=torch.complex64)",
    ),
    (
        "torch.arange(30)",
        {},
        """\
tensor([ 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15, 16, 17,
        18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29])""",
    ),
    (
        "torch.arange(12.0).reshape(2, 2, 3) / 8",
        {},
        """\
tensor([[[0.0000, 0.1250, 0.2500],
         [0.3750, 0.5000, 0.6250]],

        [[0.7500, 0.8750, 1.0000],
         [1.1250, 1.2500, 1.3750]]])""",
    ),
    (
        "torch.arange(8).reshape(2, 1, 2, 2)",
        {},
        """\
tensor([[[[0, 1],
          [2, 3]]],


        [[[4, 5],
          [6, 7]]]])""",
    ),
    (
        "torch.arange(1001)",
        {},
        "tensor([   0,    1,    2,  ...,  998,  999, 1000])",
    ),
    (
        "torch.arange(1000 * 9).reshape(9, 1000) / 7",
        {},
        """\
tensor([[0.0000e+00, 1.4286e-01, 2.8571e-01,  ..., 1.4243e+02, 1.4257e+02,
         1.4271e+02],
        [1.4286e+02, 1.4300e+02, 1.4314e+02,  ..., 2.8529e+02, 2.8543e+02,
         2.8557e+02],
        [2.8571e+02, 2.8586e+02, 2.8600e+02,  ..., 4.2814e+02, 4.2829e+02,
         4.2843e+02],
        ...,
        [8.5714e+02, 8.5729e+02, 8.5743e+02,  ..., 9.9957e+02, 9.9971e+02,
         9.9986e+02],
        [1.0000e+03, 1.0001e+03, 1.0003e+03,  ..., 1.1424e+03, 1.1426e+03,
         1.1427e+03],
        [1.1429e+03, 1.1430e+03, 1.1431e+03,  ..., 1.2853e+03, 1.2854e+03,
         1.2856e+03]])""",
    ),
    (
        "torch.arange(2000.0).reshape(10, 10, 20)",
        {},
        """\
tensor([[[0.0000e+00, 1.0000e+00, 2.0000e+00,  ..., 1.7000e+01,
          1.8000e+01, 1.9000e+01],
         [2.0000e+01, 2.1000e+01, 2.2000e+01,  ..., 3.7000e+01,
          3.8000e+01, 3.9000e+01],
         [4.0000e+01, 4.1000e+01, 4.2000e+01,  ..., 5.7000e+01,
          5.8000e+01, 5.9000e+01],
         ...,
         [1.4000e+02, 1.4100e+02, 1.4200e+02,  ..., 1.5700e+02,
          1.5800e+02, 1.5900e+02],
         [1.6000e+02, 1.6100e+02, 1.6200e+02,  ..., 1.7700e+02,
          1.7800e+02, 1.7900e+02],
         [1.8000e+02, 1.8100e+02, 1.8200e+02,  ..., 1.9700e+02,
          1.9800e+02, 1.9900e+02]],

        [[2.0000e+02, 2.0100e+02, 2.0200e+02,  ..., 2.1700e+02,
          2.1800e+02, 2.1900e+02],
         [2.2000e+02, 2.2100e+02, 2.2200e+02,  ..., 2.3700e+02,
          2.3800e+02, 2.3900e+02],
         [2.4000e+02, 2.4100e+02, 2.4200e+02,  ..., 2.5700e+02,
          2.5800e+02, 2.5900e+02],
         ...,
         [3.4000e+02, 3.4100e+02, 3.4200e+02,  ..., 3.5700e+02,
          3.5800e+02, 3.5900e+02],
         [3.6000e+02, 3.6100e+02, 3.6200e+02,  ..., 3.7700e+02,
          3.7800e+02, 3.7900e+02],
         [3.8000e+02, 3.8100e+02, 3.8200e+02,  ..., 3.9700e+02,
          3.9800e+02, 3.9900e+02]],

        [[4.0000e+02, 4.0100e+02, 4.0200e+02,  ..., 4.1700e+02,
          4.1800e+02, 4.1900e+02],
         [4.2000e+02, 4.2100e+02, 4.2200e+02,  ..., 4.3700e+02,
          4.3800e+02, 4.3900e+02],
         [4.4000e+02, 4.4100e+02, 4.4200e+02,  ..., 4.5700e+02,
          4.5800e+02, 4.5900e+02],
         ...,
         [5.4000e+02, 5.4100e+02, 5.4200e+02,  ..., 5.5700e+02,
          5.5800e+02, 5.5900e+02],
         [5.6000e+02, 5.6100e+02, 5.6200e+02,  ..., 5.7700e+02,
          5.7800e+02, 5.7900e+02],
         [5.8000e+02, 5.8100e+02, 5.8200e+02,  ..., 5.9700e+02,
          5.9800e+02, 5.9900e+02]],

        ...,

        [[1.4000e+03, 1.4010e+03, 1.4020e+03,  ..., 1.4170e+03,
          1.4180e+03, 1.4190e+03],
         [1.4200e+03, 1.4210e+03, 1.4220e+03,  ..., 1.4370e+03,
          1.4380e+03, 1.4390e+03],
         [1.4400e+03, 1.4410e+03, 1.4420e+03,  ..., 1.4570e+03,
          1.4580e+03, 1.4590e+03],
         ...,
         [1.5400e+03, 1.5410e+03, 1.5420e+03,  ..., 1.5570e+03,
          1.5580e+03, 1.5590e+03],
         [1.5600e+03, 1.5610e+03, 1.5620e+03,  ..., 1.5770e+03,
          1.5780e+03, 1.5790e+03],
         [1.5800e+03, 1.5810e+03, 1.5820e+03,  ..., 1.5970e+03,
          1.5980e+03, 1.5990e+03]],

        [[1.6000e+03, 1.6010e+03, 1.6020e+03,  ..., 1.6170e+03,
          1.6180e+03, 1.6190e+03],
         [1.6200e+03, 1.6210e+03, 1.6220e+03,  ..., 1.6370e+03,
          1.6380e+03, 1.6390e+03],
         [1.6400e+03, 1.6410e+03, 1.6420e+03,  ..., 1.6570e+03,
          1.6580e+03, 1.6590e+03],
         ...,
         [1.7400e+03, 1.7410e+03, 1.7420e+03,  ..., 1.7570e+03,
          1.7580e+03, 1.7590e+03],
         [1.7600e+03, 1.7610e+03, 1.7620e+03,  ..., 1.7770e+03,
          1.7780e+03, 1.7790e+03],
         [1.7800e+03, 1.7810e+03, 1.7820e+03,  ..., 1.7970e+03,
          1.7980e+03, 1.7990e+03]],

        [[1.8000e+03, 1.8010e+03, 1.8020e+03,  ..., 1.8170e+03,
          1.8180e+03, 1.8190e+03],
         [1.8200e+03, 1.8210e+03, 1.8220e+03,  ..., 1.8370e+03,
          1.8380e+03, 1.8390e+03],
         [1.8400e+03, 1.8410e+03, 1.8420e+03,  ..., 1.8570e+03,
          1.8580e+03, 1.8590e+03],
         ...,
         [1.9400e+03, 1.9410e+03, 1.9420e+03,  ..., 1.9570e+03,
          1.9580e+03, 1.9590e+03],
         [1.9600e+03, 1.9610e+03, 1.9620e+03,  ..., 1.9770e+03,
          1.9780e+03, 1.9790e+03],
         [1.9800e+03, 1.9810e+03, 1.9820e+03,  ..., 1.9970e+03,
          1.9980e+03, 1.9990e+03]]])""",
    ),
    (
        "torch.arange(1002.0).reshape(1002, 1) - 1j",
        {},
        """\
tensor([[0.0000e+00-1.j],
        [1.0000e+00-1.j],
        [2.0000e+00-1.j],
        ...,
        [9.9900e+02-1.j],
        [1.0000e+03-1.j],
        [1.0010e+03-1.j]])""",
    ),
    (
        "torch.full((3, 25), 0.5, dtype=torch.float64)",
        {},
        """\
tensor([[0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000,
         0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000,
         0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000],
        [0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000,
         0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000,
         0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000],
        [0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000,
         0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000,
         0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000]],
       dtype=torch.float64)""",
    ),
    (
        "torch.full((4,), 1.5, dtype=torch.float64, requires_grad=True)",
        {},
        """\
tensor([1.5000, 1.5000, 1.5000, 1.5000], dtype=torch.float64,
       requires_grad=True)""",
    ),
    (
        "torch.full((1, 8), 1.5, dtype=torch.float64, requires_grad=True)",
        {},
        """\
tensor([[1.5000, 1.5000, 1.5000, 1.5000, 1.5000, 1.5000, 1.5000, 1.5000]],
       dtype=torch.float64, requires_grad=True)""",
    ),
    (
        "torch.ones(2, requires_grad=True) * 2",
        {},
        "tensor([2., 2.], grad_fn=<MulBackward0>)",
    ),
    (
        "torch.ones(2, requires_grad=True).sum()",
        {},
        "tensor(2., grad_fn=<SumBackward0>)",
    ),
    (
        "torch.nn.Parameter(torch.ones(2, 2))",
        {},
        """\
Parameter containing:
tensor([[1., 1.],
        [1., 1.]], requires_grad=True)""",
    ),
    (
        "(torch.ones(2, requires_grad=True) * 2).detach()",
        {},
        "tensor([2., 2.])",
    ),
    (
        "torch.nn.Parameter(torch.zeros(0))",
        {},
        """\
Parameter containing:
tensor([], requires_grad=True)""",
    ),
    (
        "torch.arange(6.0).reshape(2, 3).t()",
        {},
        """\
tensor([[0., 3.],
        [1., 4.],
        [2., 5.]])""",
    ),
    (
        "torch.ones(1, 9, requires_grad=True).view(3, 3)",
        {},
        """\
tensor([[1., 1., 1.],
        [1., 1., 1.],
        [1., 1., 1.]], grad_fn=<ViewBackward0>)""",
    ),
    (
        "torch.tensor([1.23456, 123.456])",
        {"precision": 2},
        "tensor([  1.23, 123.46])",
    ),
    (
        "torch.tensor([1.23456, 123.456])",
        {"sci_mode": True},
        "tensor([1.2346e+00, 1.2346e+02])",
    ),
    (
        "torch.tensor([1e-9, 1.0])",
        {"sci_mode": False},
        "tensor([0.0000, 1.0000])",
    ),
    (
        "torch.tensor([1.0, 2.0])",
        {"sci_mode": True},
        "tensor([1.0000e+00, 2.0000e+00])",
    ),
    (
        "torch.arange(10)",
        {"threshold": 5},
        "tensor([0, 1, 2,  ..., 7, 8, 9])",
    ),
    (
        "torch.arange(10)",
        {"threshold": 5, "edgeitems": 0},
        "tensor([...], size=(10,))",
    ),
    (
        "torch.arange(12).reshape(3, 4)",
        {"threshold": 5, "edgeitems": 1},
        """\
tensor([[ 0,  ...,  3],
        ...,
        [ 8,  ..., 11]])""",
    ),
    (
        "torch.arange(12).reshape(3, 4)",
        {"threshold": 5, "edgeitems": 0},
        "tensor([...], size=(3, 4))",
    ),
    (
        "torch.arange(12.0).reshape(3, 4)",
        {"linewidth": 20},
        """\
tensor([[ 0.,  1.,
          2.,  3.],
        [ 4.,  5.,
          6.,  7.],
        [ 8.,  9.,
         10., 11.]])""",
    ),
    (
        "torch.arange(100) / 3",
        {"profile": "short"},
        """\
tensor([ 0.00,  0.33,  0.67,  1.00,  1.33,  1.67,  2.00,  2.33,  2.67,  3.00,
         3.33,  3.67,  4.00,  4.33,  4.67,  5.00,  5.33,  5.67,  6.00,  6.33,
         6.67,  7.00,  7.33,  7.67,  8.00,  8.33,  8.67,  9.00,  9.33,  9.67,
        10.00, 10.33, 10.67, 11.00, 11.33, 11.67, 12.00, 12.33, 12.67, 13.00,
        13.33, 13.67, 14.00, 14.33, 14.67, 15.00, 15.33, 15.67, 16.00, 16.33,
        16.67, 17.00, 17.33, 17.67, 18.00, 18.33, 18.67, 19.00, 19.33, 19.67,
        20.00, 20.33, 20.67, 21.00, 21.33, 21.67, 22.00, 22.33, 22.67, 23.00,
        23.33, 23.67, 24.00, 24.33, 24.67, 25.00, 25.33, 25.67, 26.00, 26.33,
        26.67, 27.00, 27.33, 27.67, 28.00, 28.33, 28.67, 29.00, 29.33, 29.67,
        30.00, 30.33, 30.67, 31.00, 31.33, 31.67, 32.00, 32.33, 32.67, 33.00])""",
    ),
    (
        "torch.arange(1050)[1000:] * 100",
        {"profile": "full", "linewidth": 60},
        """\
tensor([100000, 100100, 100200, 100300, 100400, 100500,
        100600, 100700, 100800, 100900, 101000, 101100,
        101200, 101300, 101400, 101500, 101600, 101700,
        101800, 101900, 102000, 102100, 102200, 102300,
        102400, 102500, 102600, 102700, 102800, 102900,
        103000, 103100, 103200, 103300, 103400, 103500,
        103600, 103700, 103800, 103900, 104000, 104100,
        104200, 104300, 104400, 104500, 104600, 104700,
        104800, 104900])""",
    ),
]


@pytest.fixture(autouse=True)
def default_options() -> Iterator[None]:
    printing.set_printoptions(profile="default")
    yield
    printing.set_printoptions(profile="default")


@pytest.mark.parametrize(("expression", "options", "expected"), CASES)
def test_repr_is_pytorchs(expression: str, options: dict[str, Any], expected: str) -> None:
    printing.set_printoptions(**options)
    tensor = eval(expression, dict(NAMES))
    assert repr(tensor) == expected
    assert str(tensor) == expected


def test_values_of_an_array() -> None:
    assert printing.array_str(np.array([1.5, math.nan, 0.0])) == "[1.5000,    nan, 0.0000]"
    assert printing.array_str(np.array([[1, 2], [30, 4]]), indent=7) == "[[ 1,  2],\n        [30,  4]]"


def test_options_are_kept_and_restored() -> None:
    printing.set_printoptions(precision=2, sci_mode=True)
    assert printing.get_printoptions() == {
        "precision": 2,
        "threshold": 1000,
        "edgeitems": 3,
        "linewidth": 80,
        "sci_mode": True,
    }
    with printing.printoptions(profile="short"):
        assert printing.get_printoptions()["edgeitems"] == 2
        assert printing.get_printoptions()["sci_mode"] is None
    assert printing.get_printoptions()["sci_mode"] is True


def test_default_dtype_decides_what_is_said() -> None:
    flambeau.set_default_dtype(flambeau.float64)
    try:
        assert repr(flambeau.zeros(1)) == "tensor([0.])"
        assert repr(flambeau.zeros(1, dtype=flambeau.float32)) == "tensor([0.], dtype=torch.float32)"
        assert repr(flambeau.zeros(1, dtype=flambeau.complex128)) == "tensor([0.+0.j])"
        assert repr(flambeau.zeros(0, dtype=flambeau.float32)) == "tensor([], dtype=torch.float32)"
    finally:
        flambeau.set_default_dtype(flambeau.float32)


def test_subclasses_print_their_name() -> None:
    class Masked(flambeau.Tensor):
        pass

    class Weight(flambeau.nn.Parameter):
        pass

    assert repr(flambeau.ones(2).as_subclass(Masked)) == "Masked([1., 1.])"
    assert repr(Weight(flambeau.ones(2))) == "Parameter containing:\nParameter(Weight([1., 1.], requires_grad=True))"


def test_contents_can_be_given() -> None:
    weight = flambeau.ones(2, requires_grad=True)
    assert printing.tensor_str(weight, tensor_contents="...") == "tensor(..., requires_grad=True)"


def test_formatting_a_tensor_of_one_number() -> None:
    assert f"{flambeau.tensor(3.14159):.2f}" == "3.14"
    assert f"{flambeau.tensor(7):>4d}" == "   7"
    assert f"{flambeau.tensor([7])}" == "tensor([7])"


def random_values(rng: random.Random, size: int) -> np.ndarray:
    draw = np.random.RandomState(rng.randrange(2**31))
    kinds = [
        lambda: draw.randn(size) * 10.0 ** draw.uniform(-8, 8),
        lambda: draw.rand(size) * 10.0 ** draw.uniform(-10, 10, size),
        lambda: draw.randint(-9, 100, size) * 10.0 ** draw.randint(0, 10),
        lambda: draw.choice([0.0, -0.0, 1.0, 0.5, math.inf, -math.inf, math.nan], size),
        lambda: draw.choice([99999.5, 9999.99995, 1e8, 1e8 + 1, 1e-4, 9.9999e-5, 999.95, 0.99995, 1000.0], size),
    ]
    return rng.choice(kinds)()


@pytest.mark.live
@pytest.mark.parametrize("seed", range(200))
def test_random_tensors_print_as_in_pytorch(seed: int) -> None:
    torch = pytest.importorskip("torch")
    if torch is flambeau:
        pytest.skip("PyTorch is not installed")
    rng = random.Random(seed)
    shape = [rng.choice([1, 2, 3, 7, 30]) for _ in range(rng.randrange(4))]
    values = random_values(rng, math.prod(shape)).reshape(shape)
    dtype = rng.choice(["float32", "float64", "float16", "bfloat16", "complex64"])
    options = {"profile": rng.choice(["default", "short", "full"]), "linewidth": rng.choice([None, 40, 120])}
    options |= {"threshold": rng.choice([None, 0, 20]), "sci_mode": rng.choice([None, None, True, False])}
    printing.set_printoptions(**options)
    theirs = torch.from_numpy(values).to(getattr(torch, dtype))
    ours = flambeau.from_numpy(values).to(getattr(flambeau, dtype))
    with torch._tensor_str.printoptions(**options):
        assert repr(ours) == repr(theirs)
