"""The public random API gives PyTorch's numbers, states, histories and errors."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from _random_golden import GOLDEN_NAMES, check_output, golden, state_summary

import flambeau as torch


def dtype(c: dict[str, Any]) -> Any:
    return getattr(torch, c.get("dtype", "float32"))


def empty(c: dict[str, Any]) -> Any:
    return torch.empty(c.get("shape", [c["n"]] if "n" in c else []), dtype=dtype(c))


def to_array(x: Any) -> np.ndarray:
    if not isinstance(x, torch.Tensor):
        return np.asarray(x)
    x = x.detach().contiguous()
    return x.view(torch.int16).numpy().view(np.uint16) if x.dtype == torch.bfloat16 else x.numpy()


def weights(c: dict[str, Any]) -> Any:
    return torch.tensor([((7 * i + 3) % 11 + 1) / 16 for i in range(c["n"])], dtype=dtype(c))


def ramp(c: dict[str, Any]) -> Any:
    count = c["n"] if "n" in c else math.prod(c["shape"])
    x = torch.tensor([(i % 9 - 4) / 4 for i in range(count)], dtype=dtype(c))
    return x.reshape(c["shape"]) if "shape" in c else x


def in_storage_order(x: Any) -> Any:
    return x.as_strided((x.numel(),), (1,))


def every_second(c: dict[str, Any]) -> Any:
    return torch.empty(2 * c["n"], dtype=dtype(c))[::2]


def dropout_channels_last(c: dict[str, Any]) -> Any:
    x = torch.ones(c["shape"]).to(memory_format=torch.channels_last)
    return in_storage_order(torch.nn.functional.dropout(x, c["p"], True))


def initialised(c: dict[str, Any]) -> Any:
    return getattr(torch.nn.init, c["fn"])(torch.empty(c["shape"]), **c["kw"])


MODULES = {
    "Linear(5,3)": lambda nn: nn.Linear(5, 3),
    "Linear(784,10)": lambda nn: nn.Linear(784, 10),
    "Conv2d(3,8,3)": lambda nn: nn.Conv2d(3, 8, 3),
    "ConvTranspose2d(3,8,3)": lambda nn: nn.ConvTranspose2d(3, 8, 3),
    "Embedding(10,4)": lambda nn: nn.Embedding(10, 4),
    "Embedding(10,4,padding_idx=2)": lambda nn: nn.Embedding(10, 4, padding_idx=2),
    "Bilinear(3,4,2)": lambda nn: nn.Bilinear(3, 4, 2),
    "RNN(3,4,2,bidirectional)": lambda nn: nn.RNN(3, 4, 2, bidirectional=True),
    "LSTM(3,4,2)": lambda nn: nn.LSTM(3, 4, 2),
    "LSTM(3,4,proj_size=2)": lambda nn: nn.LSTM(3, 4, proj_size=2),
    "GRU(3,4)": lambda nn: nn.GRU(3, 4),
    "LSTMCell(3,4)": lambda nn: nn.LSTMCell(3, 4),
    "MultiheadAttention(8,2)": lambda nn: nn.MultiheadAttention(8, 2),
    "MultiheadAttention(8,2,kdim=5,vdim=6,add_bias_kv)": lambda nn: nn.MultiheadAttention(
        8, 2, kdim=5, vdim=6, add_bias_kv=True
    ),
    "TransformerEncoderLayer(8,2,16)": lambda nn: nn.TransformerEncoderLayer(8, 2, 16),
    "TransformerDecoderLayer(8,2,16)": lambda nn: nn.TransformerDecoderLayer(8, 2, 16),
    "Transformer(8,2,1,1,16)": lambda nn: nn.Transformer(8, 2, 1, 1, 16),
}


def module_parameters(c: dict[str, Any]) -> Any:
    module = MODULES[c["module"]](torch.nn)
    return torch.cat([p.detach().reshape(-1) for p in module.parameters()])


class Numbers(torch.utils.data.Dataset):
    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> int:
        return index


def loaded(c: dict[str, Any]) -> list[int]:
    generator = torch.Generator().manual_seed(c["gen"]) if "gen" in c else None
    loader = torch.utils.data.DataLoader(Numbers(c["n"]), batch_size=4, shuffle=True, generator=generator)
    return [int(i) for _ in range(c["epochs"]) for batch in loader for i in batch]


def split(c: dict[str, Any]) -> list[int]:
    parts = torch.utils.data.random_split(range(sum(c["lengths"])), c["lengths"])
    return [i for part in parts for i in part.indices]


def state(c: dict[str, Any]) -> Any:
    torch.randn(c["randn"])
    return torch.get_rng_state()


def functional(name: str) -> Callable[[dict[str, Any]], Any]:
    return lambda c: getattr(torch.nn.functional, name)(ramp(c), c["p"], True)


OPS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "rand": lambda c: torch.rand(c["n"], dtype=dtype(c)),
    "uniform_": lambda c: empty(c).uniform_(*c["args"]),
    "randn": lambda c: torch.randn(c["n"], dtype=dtype(c)),
    "normal_": lambda c: empty(c).normal_(*c["args"]),
    "normal_strided": lambda c: every_second(c).normal_(*c["args"]),
    "uniform_strided": lambda c: every_second(c).uniform_(*c["args"]),
    "normal_t": lambda c: in_storage_order(torch.empty(c["shape"], dtype=dtype(c)).t().normal_()),
    "uniform_t": lambda c: in_storage_order(torch.empty(c["shape"], dtype=dtype(c)).t().uniform_()),
    "dropout_channels_last": dropout_channels_last,
    "normal(tensor,tensor)": lambda c: torch.normal(ramp(c), weights(c)),
    "normal(tensor,float)": lambda c: torch.normal(ramp(c), 0.7),
    "normal(float,tensor)": lambda c: torch.normal(1.3, weights(c)),
    "randint": lambda c: torch.randint(c["low"], c["high"], (c["n"],), dtype=dtype(c)),
    "random_": lambda c: empty(c).random_(),
    "random_from": lambda c: empty(c).random_(c["low"], None),
    "random_range": lambda c: empty(c).random_(c["low"], c["high"]),
    "randperm": lambda c: torch.randperm(c["n"], dtype=getattr(torch, c.get("dtype", "int64"))),
    "multinomial": lambda c: torch.multinomial(weights(c).reshape(c.get("shape", [c["n"]])), c["k"], c["replacement"]),
    "bernoulli_scalar": lambda c: empty(c).bernoulli_(c["p"]),
    "bernoulli_tensor": lambda c: torch.bernoulli(weights(c)),
    "exponential_": lambda c: empty(c).exponential_(c["lambd"]),
    "cauchy_": lambda c: empty(c).cauchy_(*c["args"]),
    "log_normal_": lambda c: empty(c).log_normal_(*c["args"]),
    "geometric_": lambda c: empty(c).geometric_(c["p"]),
    "standard_gamma": lambda c: torch._standard_gamma(weights(c) * c["scale"]),
    "dirichlet": lambda c: torch._sample_dirichlet((weights(c) * 2).reshape(c["shape"])),
    "poisson": lambda c: torch.poisson(weights(c) * c["scale"]),
    "binomial": lambda c: torch.binomial(torch.full((c["n"],), float(c["count"]), dtype=dtype(c)), weights(c)),
    "rrelu": lambda c: torch.nn.functional.rrelu(ramp(c), training=True),
    "dropout": functional("dropout"),
    "dropout2d": functional("dropout2d"),
    "alpha_dropout": functional("alpha_dropout"),
    "feature_alpha_dropout": functional("feature_alpha_dropout"),
    "gumbel_softmax_hard": lambda c: torch.nn.functional.gumbel_softmax(ramp(c), hard=True),
    "init": initialised,
    "module": module_parameters,
    "RandomSampler": lambda c: list(torch.utils.data.RandomSampler(range(c["n"]), c["replacement"], c["num"])),
    "random_split": split,
    "DataLoader": loaded,
    "get_state": state,
}


def run(c: dict[str, Any]) -> np.ndarray:
    torch.manual_seed(c["seed"])
    if c["op"] != "sequence":
        return to_array(OPS[c["op"]](c))
    return np.frombuffer(b"".join(to_array(OPS[step["op"]](step)).tobytes() for step in c["steps"]), np.uint8)


@pytest.mark.parametrize("name", GOLDEN_NAMES)
@pytest.mark.filterwarnings("ignore:.*out of bounds", "ignore:enable_nested_tensor")
def test_api_reproduces_pytorch(name: str) -> None:
    case = json.loads(name)
    output = run(case)
    if case.get("fn") == "orthogonal_":  # another LAPACK rounds the factorisation differently
        np.testing.assert_allclose(output, golden()[0][name], rtol=0, atol=2e-6)
    else:
        check_output(name, case, output)
    assert state_summary(torch.get_rng_state().numpy().tobytes()) == golden()[1][name]


@pytest.mark.parametrize(("dtype", "most"), [("uint8", 256), ("int8", 128), ("int16", 32768)])
def test_permutations_of_small_integers_have_all_of_them(dtype: str, most: int) -> None:
    x = torch.randperm(most, dtype=getattr(torch, dtype))
    assert sorted(x.tolist()) == list(range(most))
    with pytest.raises(RuntimeError, match="without overflow"):
        torch.randperm(most + 1, dtype=getattr(torch, dtype))


def test_normal_takes_numbers_that_are_tensors() -> None:
    one, two = torch.tensor(1.0), torch.tensor(2)
    for mean, std, want in ((one, 1.0, [2.541, 0.7066, -1.1788]), (one, two, [4.082, 0.4131, -3.3576])):
        torch.manual_seed(0)
        assert torch.normal(mean, std, (3,)).tolist() == pytest.approx(want, abs=1e-4)
    torch.manual_seed(0)
    x = torch.normal(one, one, size=(2,), dtype=torch.float64)
    assert x.dtype is torch.float64 and x.tolist() == pytest.approx([2.541, 0.7066], abs=1e-4)
    several = torch.ones(3)
    for call in (
        lambda: torch.normal(several, 1.0, (3,)),
        lambda: torch.normal(one.clone().requires_grad_(), one, (3,)),
        lambda: torch.normal(one, one, dtype=torch.float64),
    ):
        with pytest.raises(TypeError, match=r"normal\(\) received an invalid combination of arguments - got"):
            call()


def test_what_is_no_generator_is_refused() -> None:
    for call in (lambda: torch.rand(1, generator=3), lambda: torch.randperm(3, generator="cpu")):
        with pytest.raises(TypeError, match="argument 'generator' must be torch.Generator, not (int|str)"):
            call()


def test_complex_numbers_of_two_halves() -> None:
    torch.manual_seed(1)
    x, y = torch.randn(3, dtype=torch.complex32), torch.rand(2, dtype=torch.complex32)
    assert x.dtype is y.dtype is torch.complex32
    assert x.to(torch.complex64).tolist() == [
        0.467529296875 + 0.188720703125j, 0.043609619140625 + 0.439453125j, -0.319580078125 - 0.11749267578125j
    ]  # fmt: skip
    assert y.to(torch.complex64).tolist() == [0.6826171875 + 0.30517578125j, 0.463623046875 + 0.455078125j]
    with pytest.raises(RuntimeError, match="must be a floating point but you specified c10::complex<c10::Half>"):
        x.cauchy_()
