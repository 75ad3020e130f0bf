"""What test_nn_layers.py and test_nn_init.py compare with PyTorch.

`python tests/_nn_cases.py`, where PyTorch is installed, writes the golden file.
"""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parent / "golden_nn.json"

# A constructor in terms of torch.nn, and the inputs: a shape of floats, or ("i", n, shape) of integers below n.
Case = tuple[str, list[Any]]
LAYERS: list[Case] = [
    ("Linear(4, 3)", [(2, 4)]),
    ("Linear(4, 3, bias=False, dtype=torch.float64)", [(4,)]),
    ("Bilinear(3, 4, 2)", [(5, 3), (5, 4)]),
    ("Conv1d(2, 4, 3, padding=1, groups=2)", [(2, 2, 6)]),
    ("Conv2d(3, 4, (3, 2), stride=2, padding=(1, 0))", [(2, 3, 6, 5)]),
    ("Conv2d(2, 4, 3, padding='same', padding_mode='reflect', dilation=2)", [(1, 2, 7, 6)]),
    ("Conv3d(1, 2, 2, bias=False)", [(1, 1, 3, 3, 3)]),
    ("ConvTranspose1d(2, 3, 3, stride=2, output_padding=1)", [(2, 2, 4)]),
    ("ConvTranspose2d(2, 4, 3, 2, 1, groups=2)", [(1, 2, 3, 4)]),
    ("MaxPool1d(2)", [(2, 2, 5)]),
    ("MaxPool2d(3, stride=2, padding=1, return_indices=True)", [(1, 2, 5, 6)]),
    ("AvgPool2d(2, ceil_mode=True, count_include_pad=False, padding=1)", [(1, 2, 5, 5)]),
    ("AdaptiveAvgPool2d((2, None))", [(1, 2, 5, 4)]),
    ("AdaptiveMaxPool2d(2)", [(1, 2, 5, 4)]),
    ("ReLU()", [(3, 4)]),
    ("LeakyReLU(0.2)", [(3, 4)]),
    ("ELU(0.7)", [(3, 4)]),
    ("SELU()", [(3, 4)]),
    ("GELU()", [(3, 4)]),
    ("GELU('tanh')", [(3, 4)]),
    ("SiLU()", [(3, 4)]),
    ("Mish()", [(3, 4)]),
    ("Hardswish()", [(3, 4)]),
    ("Softplus(2.0)", [(3, 4)]),
    ("PReLU(4)", [(3, 4)]),
    ("GLU()", [(3, 4)]),
    ("Softmax(dim=1)", [(3, 4)]),
    ("LogSoftmax(dim=-1)", [(3, 4)]),
    ("Sigmoid()", [(3, 4)]),
    ("Tanh()", [(3, 4)]),
    ("BatchNorm1d(4)", [(3, 4)]),
    ("BatchNorm2d(3, momentum=None)", [(2, 3, 2, 3)]),
    ("BatchNorm2d(3, affine=False, track_running_stats=False)", [(2, 3, 2, 3)]),
    ("LayerNorm((3, 4), bias=False)", [(2, 3, 4)]),
    ("GroupNorm(2, 4)", [(2, 4, 3)]),
    ("InstanceNorm2d(3, affine=True)", [(2, 3, 3, 3)]),
    ("RMSNorm(4)", [(2, 4)]),
    ("Dropout(0.4)", [(4, 8)]),
    ("Dropout2d(0.4)", [(3, 4, 2, 2)]),
    ("Embedding(6, 3, padding_idx=2)", [("i", 6, (2, 4))]),
    ("EmbeddingBag(6, 3, mode='sum')", [("i", 6, (2, 4))]),
    ("Flatten()", [(2, 3, 4)]),
    ("Unflatten(1, (2, 3))", [(4, 6)]),
    ("PixelShuffle(2)", [(1, 4, 2, 3)]),
    ("Upsample(scale_factor=2, mode='bilinear')", [(1, 2, 3, 3)]),
    ("ZeroPad2d((1, 2, 0, 1))", [(1, 2, 3, 3)]),
    ("ReflectionPad1d(2)", [(1, 2, 5)]),
    ("CosineSimilarity()", [(3, 4), (3, 4)]),
    ("PairwiseDistance(1.0, keepdim=True)", [(3, 4), (3, 4)]),
    ("CrossMapLRN2d(3)", [(2, 5, 2, 2)]),
    ("Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))", [(5, 3)]),
    ("RNN(3, 4, nonlinearity='relu')", [(5, 2, 3)]),
    ("RNN(3, 4, bias=False, bidirectional=True)", [(5, 3)]),
    ("LSTM(3, 4, 2, batch_first=True, bidirectional=True)", [(2, 5, 3)]),
    ("LSTM(3, 4, proj_size=2)", [(5, 2, 3)]),
    ("GRU(3, 4, 2, dropout=0.5)", [(5, 2, 3)]),
    ("RNNCell(3, 4)", [(2, 3)]),
    ("LSTMCell(3, 4)", [(2, 3)]),
    ("GRUCell(3, 4, bias=False)", [(3,), (4,)]),
    ("MultiheadAttention(4, 2)", [(3, 2, 4), (3, 2, 4), (3, 2, 4)]),
    ("MultiheadAttention(4, 2, batch_first=True, kdim=3, add_bias_kv=True)", [(2, 3, 4), (2, 5, 3), (2, 5, 4)]),
    ("TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True)", [(2, 3, 4)]),
    ("TransformerDecoderLayer(4, 2, 8, dropout=0.0, activation='gelu', norm_first=True)", [(3, 2, 4), (5, 2, 4)]),
    ("Transformer(4, 2, 1, 1, 8, dropout=0.0, batch_first=True)", [(2, 5, 4), (2, 3, 4)]),
    ("AdaptiveLogSoftmaxWithLoss(6, 10, [3, 6])", [(8, 6), ("i", 10, (8,))]),
    ("MSELoss()", [(3, 4), (3, 4)]),
    ("L1Loss(reduction='sum')", [(3, 4), (3, 4)]),
    ("SmoothL1Loss(beta=0.5)", [(3, 4), (3, 4)]),
    ("HuberLoss()", [(3, 4), (3, 4)]),
    ("NLLLoss()", [(3, 4), ("i", 4, (3,))]),
    ("CrossEntropyLoss(label_smoothing=0.1, ignore_index=1)", [(5, 4), ("i", 4, (5,))]),
    ("KLDivLoss(reduction='batchmean')", [(3, 4), (3, 4)]),
    ("BCEWithLogitsLoss()", [(3, 4), (3, 4)]),
    ("TripletMarginLoss()", [(3, 4), (3, 4), (3, 4)]),
    ("CosineEmbeddingLoss(0.1)", [(3, 4), (3, 4), ("i", 2, (3,))]),
]
# Layers whose first call, with this input, makes their parameters.
LAZY: list[Case] = [
    ("LazyLinear(3)", [(2, 4)]),
    ("LazyConv2d(2, 3)", [(1, 3, 5, 5)]),
    ("LazyConvTranspose1d(2, 3)", [(1, 3, 5)]),
    ("LazyBatchNorm1d()", [(4, 3)]),
    ("LazyInstanceNorm2d(affine=True)", [(2, 3, 4, 4)]),
]
# Functions of nn.init, the shape, the arguments.
INIT: list[tuple[str, tuple[int, ...], dict[str, Any]]] = [
    ("uniform_", (4, 5), {"a": -1.0, "b": 2.0}),
    ("normal_", (4, 5), {"mean": 1.0, "std": 2.0}),
    ("trunc_normal_", (40,), {}),
    ("trunc_normal_", (40,), {"std": 0.02, "a": -0.01, "b": 0.03}),
    ("trunc_normal_", (40,), {"a": 2.0, "b": 3.0}),
    ("constant_", (3,), {"val": 0.25}),
    ("ones_", (3,), {}),
    ("zeros_", (3,), {}),
    ("eye_", (3, 4), {}),
    ("dirac_", (4, 2, 3), {"groups": 2}),
    ("dirac_", (2, 3, 3, 2), {}),
    ("xavier_uniform_", (4, 5), {"gain": 1.5}),
    ("xavier_normal_", (4, 5, 2), {}),
    ("kaiming_uniform_", (4, 5, 3), {"a": math.sqrt(5)}),
    ("kaiming_normal_", (4, 5), {"mode": "fan_out", "nonlinearity": "relu"}),
    ("kaiming_normal_", (4, 5), {"nonlinearity": "selu"}),
    ("orthogonal_", (3, 5), {}),
    ("orthogonal_", (6, 2, 2), {"gain": 2.0}),
    ("sparse_", (6, 3), {"sparsity": 0.4}),
]


def make_input(torch: Any, spec: Any, seed: int) -> Any:
    """An input whose values follow a sine, or a pattern of integers."""
    if spec and spec[0] == "i":
        _, n, shape = spec
        count = math.prod(shape)
        return torch.tensor([(5 * k + seed) % n for k in range(count)]).reshape(shape)
    count = math.prod(spec)
    values = [math.sin(1.7 * k + seed) for k in range(count)]
    return torch.tensor(values).reshape(spec).requires_grad_(True)


def make_layer(torch: Any, expression: str) -> Any:
    """A layer after seeding."""
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return eval(f"nn.{expression}", {"nn": torch.nn, "torch": torch})


def tensors(value: Any, torch: Any) -> list[Any]:
    """The tensors of a result, in order."""
    if isinstance(value, torch.Tensor):
        return [value]
    return [t for v in value for t in tensors(v, torch)] if isinstance(value, (tuple, list)) else []


def run_layer(torch: Any, case: Case) -> dict[str, Any]:
    """Text, state, results, buffers afterwards and gradients of a layer."""
    layer = make_layer(torch, case[0])
    dtype = next((p.dtype for p in layer.parameters() if not torch.nn.parameter.is_lazy(p)), torch.float32)
    inputs = [make_input(torch, spec, i) for i, spec in enumerate(case[1])]
    inputs = [x.detach().to(dtype).requires_grad_(True) if x.is_floating_point() else x for x in inputs]
    text = repr(layer)
    if case[0].startswith("GRUCell"):
        results = tensors(layer(inputs[0], inputs[1]), torch)
    else:
        results = tensors(layer(*inputs), torch)
    differentiable = [t for t in results if t.requires_grad]
    if differentiable:
        sum((t * make_input(torch, t.shape, 3).detach().to(t.dtype)).sum() for t in differentiable).backward()
    return {
        "repr": text,
        "state": {k: [str(t.dtype), list(t.shape), t.flatten().tolist()] for k, t in layer.state_dict().items()},
        "results": [[list(t.shape), t.detach().flatten().tolist()] for t in results],
        "grads": [None if x.grad is None else x.grad.flatten().tolist() for x in (*inputs, *layer.parameters())],
        "after": torch.rand(1).item(),
    }


def run_init(torch: Any, name: str, shape: tuple[int, ...], kwargs: dict[str, Any]) -> list[Any]:
    """The values, and the next random number, which shows how many were drawn."""
    torch.manual_seed(1)
    tensor = torch.full(shape, 7.0)
    result = getattr(torch.nn.init, name)(tensor, **kwargs)
    assert result is tensor
    return [tensor.flatten().tolist(), torch.rand(1).item()]


def compute(torch: Any) -> dict[str, Any]:
    """Everything that the golden file holds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            "torch": torch.__version__,
            "layers": {case[0]: run_layer(torch, case) for case in [*LAYERS, *LAZY]},
            "init": [run_init(torch, *case) for case in INIT],
        }


def rounded(value: Any) -> Any:
    """Floats to 8 digits."""
    if isinstance(value, float):
        return float(f"{value:.8g}")
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    return [rounded(v) for v in value] if isinstance(value, list) else value


if __name__ == "__main__":
    import torch as _torch

    GOLDEN.write_text(json.dumps(rounded(compute(_torch)), separators=(",", ":")) + "\n")
