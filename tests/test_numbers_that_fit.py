"""Python numbers beside tensors whose dtype has no place for them: what wraps, what is refused, what keeps its bits."""

import pytest

import flambeau as torch
import flambeau.nn.functional as F

TOO_LARGE = "value cannot be converted to type {} without overflow"


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda x: x // -3, [0, 1, 1]),
        (lambda x: x % -3, [1, 1, 2]),
        (lambda x: -3 // x, [253, 0, 0]),
        (lambda x: -3 % x, [0, 253, 253]),
        (lambda x: torch.div(x, -3, rounding_mode="trunc"), [0, 1, 1]),
        (lambda x: x.clamp(min=-1), [255, 255, 255]),
        (lambda x: torch.where(x > 3, x, -1), [255, 254, 255]),
        (lambda x: torch.add(x, x, alpha=-1), [0, 0, 0]),
    ],
)
def test_divisors_and_bounds_wrap_as_integers_do(call, expected):
    assert call(torch.tensor([1, 254, 255], dtype=torch.uint8)).tolist() == expected


def test_divisors_of_int8_wrap():
    x = torch.tensor([1, -128, 127], dtype=torch.int8)
    assert (x // 200).tolist() == [-1, 2, -3]
    assert (x % 200).tolist() == [-55, -16, -41]


@pytest.mark.parametrize("divide", ["floor_divide", "remainder", "fmod", "floor_divide_", "remainder_"])
@pytest.mark.parametrize(("dtype", "number"), [(torch.uint8, 256), (torch.int8, -512), (torch.int32, 2**40)])
def test_a_divisor_of_which_nothing_is_left_is_zero(divide, dtype, number):
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        getattr(torch.tensor([5, 7], dtype=dtype), divide)(number)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x.clamp(min=200),
        lambda x: x.clamp_(-500, 300),
        lambda x: x.clip(max=300),
        lambda x: x.clamp_max(2**40),
        lambda x: torch.where(x > 0, x, 200),
        lambda x: torch.where(x > 0, 200, x),
        lambda x: torch.add(x, x, alpha=300),
        lambda x: x.sub_(1, alpha=200),
        lambda x: torch.rsub(x, x, alpha=200),
        lambda x: x.addcmul(x, x, value=200),
        lambda x: x.addcmul_(x, x, value=200),
        lambda x: x.index_add(0, torch.tensor([0]), x[:1], alpha=200),
        lambda x: torch.addr(x, x, x, alpha=200),
        lambda x: F.pad(x, (1, 1), value=200),
    ],
)
def test_what_int8_cannot_hold_is_refused(call):
    x = torch.tensor([1, -128, 127], dtype=torch.int8)
    with pytest.raises(RuntimeError, match=TOO_LARGE.format("int8_t")):
        call(x)
    assert x.tolist() == [1, -128, 127]


def test_what_floats_cannot_hold_is_refused():
    half, single = torch.ones(2, dtype=torch.float16), torch.ones(2)
    with pytest.raises(RuntimeError, match=TOO_LARGE.format("c10::Half")):
        half.clamp(max=1e6)
    with pytest.raises(RuntimeError, match=TOO_LARGE.format("c10::Half")):
        F.pad(half, (1, 1), value=1e9)
    with pytest.raises(RuntimeError, match=TOO_LARGE.format("float")):
        single.add(single, alpha=1e39)
    with pytest.raises(RuntimeError, match=TOO_LARGE.format("uint8_t")):
        F.pad(half.to(torch.uint8), (1, 1), value=-1)
    assert torch.where(half > 2, half, 1e9).tolist() == [float("inf")] * 2
    assert half.clamp(max=float("inf")).tolist() == [1, 1]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_filled_with_infinity(dtype):
    assert torch.full((2,), -1e39, dtype=dtype).tolist() == [-float("inf")] * 2
    assert torch.ones(1, dtype=dtype).new_full((1,), 1e39).item() == float("inf")


def test_factors_of_half_precision_keep_their_bits():
    """As in PyTorch: 0.3 * 1.5 rounds to 0.44921875; of 0.3 as bfloat16, which ``add`` takes, to 0.451171875."""
    x, y, one = (torch.full((1,), v, dtype=torch.bfloat16) for v in (0.0, 1.5, 1.0))
    assert x.lerp(y, 0.3).item() == 0.44921875
    assert x.addcmul(y, one, value=0.3).item() == 0.44921875
    assert x.addcdiv(y, one, value=0.3).item() == 0.44921875
    assert x.add(y, alpha=0.3).item() == 0.451171875
