"""Tensors of the device "meta" have a shape and a dtype and no memory: what PyTorch shows of them."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from _meta_cases import GOLDEN, HERE, outcome, programs

import flambeau as torch
from flambeau import nn

WANTED = json.loads(GOLDEN.read_text(encoding="utf-8"))


def test_golden_values_are_those_of_the_programs() -> None:
    assert list(WANTED) == programs()


@pytest.mark.parametrize("program", programs())
def test_as_pytorch(program: str) -> None:
    assert outcome(torch, program) == WANTED[program]


@pytest.mark.live
def test_golden_values_are_pytorchs() -> None:
    pytest.importorskip("torch")
    code = "import json, _meta_cases as m, torch; print(json.dumps({p: m.outcome(torch, p) for p in m.programs()}))"
    found = subprocess.run([sys.executable, "-c", code], cwd=HERE, capture_output=True, text=True, check=True).stdout
    assert json.loads(found) == WANTED


# ---- where PyTorch computes with memory that it does not own, or only says that there is no kernel

MIXED = {
    "product": lambda m, c: m @ c.T,
    "product on the CPU": lambda m, c: torch.mm(c, m.t()),
    "layer": lambda m, c: nn.functional.linear(m, torch.ones(4, 3)),
    "written on the CPU": lambda m, c: c.add_(m),
    "mask": lambda m, c: m.masked_fill(c > 0, 1.0),
}


@pytest.mark.parametrize("name", MIXED)
def test_devices_are_not_mixed(name: str) -> None:
    m, c = torch.empty(2, 3, device="meta"), torch.ones(2, 3)
    with pytest.raises(RuntimeError, match=r"^Tensor on device \w+ is not on the expected device \w+!$"):
        MIXED[name](m, c)
    assert c.tolist() == [[1.0] * 3] * 2


VALUES_NEEDED = {
    "mask": lambda m: m[m > 0],
    "nonzero": lambda m: m.nonzero(),
    "equal": lambda m: torch.equal(m, m),
    "unique": lambda m: m.unique(),
    "histc": lambda m: torch.histc(m),
}


@pytest.mark.parametrize("name", VALUES_NEEDED)
def test_what_needs_values_is_refused(name: str) -> None:
    with pytest.raises(NotImplementedError, match="meta"):
        VALUES_NEEDED[name](torch.empty(2, 3, device="meta"))


def test_nothing_is_allocated_and_nothing_computed() -> None:
    huge = torch.empty(10**9, 10**6, device="meta")
    assert (huge @ huge.T).relu().sum().shape == ()
    assert torch.zeros(10**15, device="meta").untyped_storage().nbytes() == 4 * 10**15


def test_a_module_is_made_on_the_device_of_the_context() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8), nn.LSTM(8, 8), nn.Embedding(9, 8, 0))
            self.register_buffer("numbers", torch.arange(3))
            self.scale = nn.Parameter(torch.ones(()))

    with torch.device("meta"):
        net = Net()
    assert {str(t.device) for t in net.state_dict().values()} == {"meta"}
    source = Net()
    net.load_state_dict(source.state_dict(), assign=True)
    assert {str(t.device) for t in net.state_dict().values()} == {"cpu"}
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), source.state_dict().values()))


def _seen(result: Any) -> list[Any]:
    if isinstance(result, torch.Tensor):
        return [(result.shape, result.dtype, result.stride())]
    return [s for r in result for s in _seen(r)] if isinstance(result, (list, tuple)) else [result]


OPERATORS = {
    "arithmetic": "x + 1, x * x.T.T, x / 2, x // 2, x**2, x > 0, -x, x.maximum(x), torch.where(x > 0, x, 0.0)",
    "functions": "x.exp(), x.relu(), x.softmax(1), x.log_softmax(0), torch.nn.functional.gelu(x), x.erf()",
    "reductions": "x.sum(), x.mean(0), x.max(1), x.argmax(), x.std(0), torch.var_mean(x, 1), x.norm(), x.logsumexp(0)",
    "order": "x.sort(), x.topk(2), x.kthvalue(2), x.median(1), x.cumsum(0), x.flip(1), x.roll(1), x.msort()",
    "views": "x.t(), x.reshape(-1), x[1:, ::2], x[0], x[..., None], x.unfold(1, 2, 1), x.chunk(2, 1), x.split(1)",
    "joined": "torch.cat([x, x], 1), torch.stack([x, x]), x.repeat(2, 2), x.tile(2), torch.block_diag(x, x)",
    "products": "x @ x.T, torch.einsum('ij,kj->ik', x, x), x.mv(x[0]), torch.outer(x[0], x[1]), x.T @ x",
    "decompositions": "L.svd(x), L.qr(x), L.cholesky(x @ x.T), L.eigh(x @ x.T), L.lu(x), L.matrix_rank(x)",
    "solvers": "L.inv(x @ x.T), L.pinv(x), L.det(x @ x.T), L.solve(x @ x.T, x)",
    "windows": "F.conv1d(x[None], x[None, :, :2]), F.max_pool1d(x[None], 2), F.unfold(x[None, None], 2)",
    "resampling": "F.interpolate(x[None, None], scale_factor=2, mode='bilinear')",
    "spectra": "torch.fft.fft(x), torch.fft.rfft2(x), torch.fft.irfft(x), x.stft(4, window=x[0], return_complex=True)",
}


@pytest.mark.parametrize("name", OPERATORS)
def test_types_are_those_of_the_cpu(name: str) -> None:
    x = torch.rand(3, 4, generator=torch.Generator().manual_seed(0)) + torch.eye(3, 4)
    names = {"torch": torch, "F": nn.functional, "L": torch.linalg}
    meta = eval(f"[{OPERATORS[name]}]", names | {"x": x.to("meta")})
    assert _seen(meta) == _seen(eval(f"[{OPERATORS[name]}]", names | {"x": x}))
    first = meta[0]
    assert (first[0] if isinstance(first, tuple) else first).is_meta
