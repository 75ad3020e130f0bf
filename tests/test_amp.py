"""Autocast on the CPU, and the gradient scaler."""

from __future__ import annotations

import pickle

import pytest

import flambeau as torch

F = torch.nn.functional


def test_dtypes_within_autocast():
    x = torch.randn(4, 4)
    with torch.autocast("cpu"):
        y = x @ x
        assert torch.is_autocast_enabled("cpu")
        assert y.dtype is torch.mm(x, x).dtype is F.linear(x, x).dtype is torch.bfloat16
        assert (y + x).dtype is torch.cat([y, x]).dtype is F.mse_loss(y, x).dtype is torch.float32
        assert (x.double() @ x.double()).dtype is torch.float64
        with torch.autocast("cpu", enabled=False):
            assert (x @ x).dtype is torch.float32
    assert (x @ x).dtype is torch.float32
    assert not torch.is_autocast_enabled("cpu")


def test_gradients_are_in_the_weights_dtype():
    m = torch.nn.Linear(3, 2)
    with torch.autocast("cpu"):
        loss = F.cross_entropy(m(torch.randn(4, 3)), torch.tensor([0, 1, 0, 1]))
    loss.backward()
    assert loss.dtype is m.weight.grad.dtype is torch.float32


def test_functions_are_pickled_by_name():
    with torch.autocast("cpu"):
        torch.cat([torch.ones(2)])
    for function in (torch.cat, torch.linalg.det, torch.nn.functional.linear):
        assert pickle.loads(pickle.dumps(function)) is function


def test_scaler_skips_overflow():
    p = torch.nn.Parameter(torch.ones(2))
    optimizer, scaler = torch.optim.SGD([p], lr=1.0), torch.amp.GradScaler("cpu", init_scale=4.0)
    scaler.scale((p * 0.25).sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    assert p.tolist() == [0.75, 0.75]
    p.grad = torch.tensor([float("inf"), 1.0])
    scaler.step(optimizer)
    scaler.update()
    assert p.tolist() == [0.75, 0.75]
    assert scaler.get_scale() == 2.0


def test_cuda_is_disabled_with_a_warning():
    with pytest.warns(UserWarning, match="Disabling"):
        assert not torch.amp.GradScaler().is_enabled()


def test_products_in_any_form_are_low():
    x, w = torch.rand(2, 3, 4), torch.rand(4, 3)
    with torch.autocast("cpu"):
        assert torch.einsum("bij,jk->bik", x, w).dtype is torch.einsum("bij,jk", x, w).dtype is torch.bfloat16
        assert torch.einsum("bij,bij->bij", x, x).dtype is torch.einsum("bij->bji", x).dtype is torch.float32
        assert torch.tensordot(x, w, 1).dtype is torch.inner(w, w).dtype is torch.bfloat16
        assert torch.linalg.multi_dot([w, w.T]).dtype is torch.linalg.vecdot(w, w).dtype is torch.bfloat16
        assert F.prelu(x, torch.ones(1)).dtype is torch.bfloat16


def test_attention_modules_run_in_low_precision():
    attention = torch.nn.MultiheadAttention(4, 2)
    with torch.autocast("cpu"):
        out, weights = attention(*[torch.rand(3, 1, 4)] * 3)
    assert out.dtype is weights.dtype is torch.bfloat16
    out.sum().backward()
    assert attention.in_proj_weight.grad.dtype is torch.float32


def test_transforms_and_decompositions_are_wide():
    x = torch.eye(4, dtype=torch.bfloat16)
    with torch.autocast("cpu"):
        assert torch.fft.fft(x).dtype is torch.complex64
        assert torch.linalg.inv(x).dtype is torch.linalg.cholesky(x).dtype is torch.float32


def test_devices_that_do_not_exist():
    with pytest.raises(RuntimeError, match="Invalid device string: 'toaster'"):
        torch.autocast("toaster")


def test_recurrent_networks_take_inputs_of_the_lower_dtype():
    x = torch.ones(3, 2, 4, dtype=torch.bfloat16)
    for kind in (torch.nn.RNN, torch.nn.LSTM, torch.nn.GRU):
        m = kind(4, 3)
        with pytest.raises(ValueError, match="RNN input dtype"):
            m(x)
        with torch.autocast("cpu"):
            y = m(x)[0]
        y.float().sum().backward()
        assert y.dtype is torch.bfloat16 and m.weight_ih_l0.grad.dtype is torch.float32


def test_local_response_norm_of_images_is_float32():
    with torch.autocast("cpu"):
        found = [
            F.local_response_norm(torch.ones(shape, dtype=torch.bfloat16), 2).dtype
            for shape in ((1, 2, 3), (1, 2, 3, 3))
        ]
    assert found == [torch.bfloat16, torch.float32]


@pytest.mark.filterwarnings("ignore:torch.qr is deprecated")
def test_what_computes_in_float32():
    x, y = torch.ones(1, 2, 4, 4, dtype=torch.bfloat16), torch.ones(1, 1, 4, 4, 4, dtype=torch.bfloat16)
    m = torch.eye(3, dtype=torch.bfloat16)
    with torch.autocast("cpu"):
        assert F.pad(x[0], (1, 1), mode="reflect").dtype is F.pad(x[0], (1, 1), "replicate").dtype is torch.float32
        assert F.pad(x, (1, 1, 1, 1), mode="circular").dtype is F.pad(x, (1, 1)).dtype is torch.bfloat16
        assert F.max_pool3d(y, 2).dtype is F.adaptive_max_pool3d(y, 2).dtype is torch.float32
        assert torch.linalg.inv_ex(m)[0].dtype is torch.svd(m)[0].dtype is torch.qr(m)[0].dtype is torch.float32


@pytest.mark.parametrize("name", ["unscale_", "step", "update"])
def test_a_scaler_that_scaled_nothing(name: str) -> None:
    scaler = torch.amp.GradScaler("cpu")
    args = () if name == "update" else (torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=1.0),)
    with pytest.raises(AssertionError, match=f"^Attempted {name} but _scale is None.  This may indicate your script"):
        getattr(scaler, name)(*args)
