"""Layers and losses give PyTorch's texts, state, results, gradients and random draws."""

from __future__ import annotations

import copy
import json
import pickle
import warnings
from typing import Any

import numpy as np
import pytest
from _nn_cases import GOLDEN, LAYERS, LAZY, make_layer, run_layer

import flambeau as torch
from flambeau import nn

golden = json.loads(GOLDEN.read_text())["layers"]


def close(found: Any, expected: Any, where: str = "") -> None:
    """Compares nested structures; floats to 2e-5."""
    if isinstance(expected, float):
        assert found == pytest.approx(expected, rel=2e-5, abs=2e-5, nan_ok=True), where
    elif isinstance(expected, dict):
        assert list(found) == list(expected), where
        for key in expected:
            close(found[key], expected[key], f"{where}/{key}")
    elif isinstance(expected, list):
        assert found is not None and len(found) == len(expected), where
        for i, (a, b) in enumerate(zip(found, expected, strict=True)):
            close(a, b, f"{where}/{i}")
    else:
        assert found == expected, where


@pytest.mark.parametrize("case", [*LAYERS, *LAZY], ids=lambda case: case[0])
def test_layer(case: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = run_layer(torch, case)
    close(found, golden[case[0]])


@pytest.mark.parametrize("case", LAYERS, ids=lambda case: case[0])
def test_copies_and_pickles(case: Any) -> None:
    layer = make_layer(torch, case[0])
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert repr(other) == repr(layer)
        state, copied = layer.state_dict(), other.state_dict()
        assert list(state) == list(copied)
        for key in state:
            assert torch.equal(state[key], copied[key])
        assert not {id(p) for p in layer.parameters()} & {id(p) for p in other.parameters()}


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.Conv2d(1, 1, 1, groups=0), ValueError, "groups must be a positive integer"),
        (lambda: nn.Conv2d(3, 4, 1, groups=2), ValueError, "in_channels must be divisible by groups"),
        (lambda: nn.Conv2d(2, 3, 1, groups=2), ValueError, "out_channels must be divisible by groups"),
        (
            lambda: nn.Conv2d(1, 1, 3, stride=2, padding="same"),
            ValueError,
            "padding='same' is not supported for strided convolutions",
        ),
        (
            lambda: nn.ConvTranspose2d(1, 1, 3, padding_mode="reflect"),
            ValueError,
            'Only "zeros" padding mode is supported for ConvTranspose2d',
        ),
        (lambda: nn.Dropout(2), ValueError, "dropout probability has to be between 0 and 1, but got 2"),
        (lambda: nn.LSTM(0, 1), ValueError, "input_size must be greater than zero"),
        (lambda: nn.LSTM(1.0, 1), TypeError, "input_size should be of type int, got: float"),
        (
            lambda: nn.RNN(1, 1, nonlinearity="x"),
            ValueError,
            "Unknown nonlinearity 'x'. Select from 'tanh' or 'relu'.",
        ),
        (
            lambda: nn.GRU(1, 1, proj_size=1),
            ValueError,
            "proj_size argument is only supported for LSTM, not RNN or GRU",
        ),
        (lambda: nn.Embedding(3, 2, padding_idx=5), AssertionError, "Padding_idx must be within num_embeddings"),
        (lambda: nn.GroupNorm(2, 3), ValueError, "num_channels (3) must be divisible by num_groups (2)"),
        (
            lambda: nn.Unflatten(1, 3),
            TypeError,
            "unflattened_size must be a tuple of ints, but found type int",
        ),
        (lambda: nn.MultiMarginLoss(3), ValueError, "only p == 1 and p == 2 supported"),
        (lambda: nn.HuberLoss(delta="x"), TypeError, "delta must be a float or int, got: <class 'str'>"),
        (
            lambda: nn.TripletMarginLoss(margin=-1),
            ValueError,
            "TripletMarginLoss: expected margin to be greater than 0, got -1 instead",
        ),
        (
            lambda: nn.FractionalMaxPool2d(2),
            ValueError,
            "FractionalMaxPool2d requires specifying either an output size, or a pooling ratio",
        ),
        (lambda: nn.MultiheadAttention(5, 2), AssertionError, "embed_dim must be divisible by num_heads"),
        (lambda: nn.Hardtanh(2, 1), AssertionError, "max_val (1) must be greater than min_val (2)"),
        (
            lambda: nn.Bilinear(0, 1, 1),
            ValueError,
            "in1_features must be > 0, but got (in1_features=0)",
        ),
        (
            lambda: nn.TransformerEncoderLayer(4, 2, activation="x"),
            RuntimeError,
            "activation should be relu/gelu, not x",
        ),
    ],
)
def test_bad_constructor(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.BatchNorm2d(2)(torch.ones(2, 2)), ValueError, "expected 4D input (got 2D input)"),
        (lambda: nn.InstanceNorm1d(2)(torch.ones(2)), ValueError, "expected 2D or 3D input (got 1D input)"),
        (
            lambda: nn.LSTM(2, 2)(torch.ones(2)),
            ValueError,
            "LSTM: Expected input to be 2D or 3D, got 1D instead",
        ),
        (
            lambda: nn.LSTM(2, 2)(torch.ones(2, 2, 3)),
            RuntimeError,
            "input.size(-1) must be equal to input_size. Expected 2, got 3",
        ),
        (
            lambda: nn.GRU(2, 2)(torch.ones(2, 2, 2), torch.ones(1, 3, 2)),
            RuntimeError,
            "Expected hidden size (1, 2, 2), got [1, 3, 2]",
        ),
        (
            lambda: nn.GRU(2, 2)(torch.ones(2, 2, 2, dtype=torch.float64)),
            ValueError,
            "RNN input dtype (torch.float64) does not match weight dtype (torch.float32). "
            "Convert input: input.to(torch.float32), or convert model: model.to(torch.float64)",
        ),
        (
            lambda: nn.GRUCell(2, 3)(torch.ones(2, 2), torch.ones(3, 3)),
            RuntimeError,
            "Input batch size 2 doesn't match hidden0 batch size 3",
        ),
        (
            lambda: nn.ConvTranspose2d(1, 1, 3, 2)(torch.ones(1, 1, 3, 3), output_size=(99, 99)),
            ValueError,
            "requested an output size of (99, 99), but valid sizes range from [7, 7] to [8, 8] "
            "(for an input of torch.Size([3, 3]))",
        ),
        (
            lambda: nn.LazyConv2d(3, 2)(torch.ones(2, 4)),
            RuntimeError,
            "Expected 3D (unbatched) or 4D (batched) input to LazyConv2d, but got input of size: torch.Size([2, 4])",
        ),
    ],
)
def test_bad_input(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message


def test_lazy_layers_become_others() -> None:
    layer = nn.LazyLinear(3)
    assert repr(layer) == "LazyLinear(in_features=0, out_features=3, bias=True)"
    assert isinstance(layer.weight, nn.UninitializedParameter)
    twin = copy.deepcopy(layer)
    assert layer(torch.ones(2, 4)).shape == (2, 3)
    assert type(layer) is nn.Linear and layer.weight.shape == (3, 4)
    twin.load_state_dict(layer.state_dict())
    assert twin.weight.shape == (3, 4)
    with pytest.raises(RuntimeError, match="Can't access the shape of an uninitialized parameter"):
        _ = nn.LazyLinear(2).weight.shape


def test_embedding_from_pretrained() -> None:
    table = nn.Embedding.from_pretrained(torch.eye(3))
    assert not table.weight.requires_grad
    assert table(torch.tensor([2])).tolist() == [[0.0, 0.0, 1.0]]


def test_packed_sequences_match_separate_runs() -> None:
    torch.manual_seed(0)
    lengths = [2, 4, 1]
    sequences = [torch.rand(n, 3) for n in lengths]
    for net in (nn.LSTM(3, 4, 2, bidirectional=True), nn.GRU(3, 4, bidirectional=True)):
        packed, state = net(nn.utils.rnn.pack_sequence(sequences, enforce_sorted=False))
        padded, sizes = nn.utils.rnn.pad_packed_sequence(packed)
        assert sizes.tolist() == lengths
        hidden = state[0] if isinstance(state, tuple) else state
        for i, sequence in enumerate(sequences):
            alone, end = net(sequence)
            last = end[0] if isinstance(end, tuple) else end
            assert torch.allclose(padded[: lengths[i], i], alone, atol=1e-6)
            assert torch.allclose(hidden[:, i], last, atol=1e-6)


def test_encoder_forgets_padding_at_inference() -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 2).eval()
    mask = torch.tensor([[False, False, True], [False, False, False]])
    x = torch.rand(2, 3, 4)
    with torch.no_grad():
        inferred = encoder(x, src_key_padding_mask=mask)
    trained = encoder(x, src_key_padding_mask=mask)
    assert inferred[0, 2].tolist() == [0.0] * 4
    assert trained[0, 2].abs().sum() > 0
    assert torch.allclose(inferred[~mask], trained[~mask], atol=1e-6)


def test_sync_batchnorm() -> None:
    net = nn.SyncBatchNorm.convert_sync_batchnorm(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)))
    assert type(net[1]) is nn.SyncBatchNorm
    assert net(torch.rand(4, 2)).shape == (4, 2)


@pytest.mark.parametrize(
    ("first", "end", "step", "part"), [(0, 10, 1, slice(None)), (9, -1, -1, slice(None)), (0, 20, 1, slice(5, 9))]
)
def test_embedding_of_counted_indices(first: int, end: int, step: int, part: slice) -> None:
    """Positions made by ``arange`` need not be computed to be checked."""
    weight = torch.randn(10, 3)
    found = nn.functional.embedding(torch.arange(first, end, step)[part], weight)
    expected = weight.numpy()[np.arange(first, end, step)[part]]
    np.testing.assert_array_equal(found.numpy(), expected)


@pytest.mark.parametrize(("first", "end", "step"), [(0, 11, 1), (-1, 3, 1), (5, -2, -1), (3, 20, 8)])
def test_embedding_refuses_counted_indices(first: int, end: int, step: int) -> None:
    with pytest.raises(IndexError, match="index out of range in self"):
        nn.functional.embedding(torch.arange(first, end, step), torch.randn(10, 3)).sum().item()
