"""Programs over convolutions, pooling, normalisation, resampling, padding and indexing, for torch and flambeau alike.

Run as a script with PyTorch installed it writes ``golden/image_ops.npz`` and ``golden/image_errors.json``: results,
gradients and gradients of the gradients, and the errors of wrong calls.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

GOLDEN = Path(__file__).parent / "golden"
MASK = [[True, False, True], [False, True, True]]
INDEX = [[0, 1, 2, 0], [2, 2, 1, 1]]

Case = tuple[Callable[..., Any], tuple[tuple[int, ...], ...]]

CASES: dict[str, Case] = {
    "conv2d": (lambda T, F, x, w, b: F.conv2d(x, w, b, 2, 1), ((2, 3, 6, 6), (4, 3, 3, 3), (4,))),
    "conv2d groups": (
        lambda T, F, x, w, b: F.conv2d(x, w, b, 1, (1, 0), (2, 1), 2),
        ((2, 4, 6, 6), (4, 2, 3, 3), (4,)),
    ),
    "conv1d same": (lambda T, F, x, w: F.conv1d(x, w, padding="same"), ((2, 3, 6), (4, 3, 4))),
    "conv3d": (lambda T, F, x, w: F.conv3d(x, w, padding=1, stride=2), ((1, 2, 4, 4, 4), (3, 2, 3, 3, 3))),
    "conv_transpose2d": (
        lambda T, F, x, w, b: F.conv_transpose2d(x, w, b, 2, 1, 1, 1, 2),
        ((2, 3, 4, 4), (3, 2, 3, 3), (2,)),
    ),
    "max_pool2d": (lambda T, F, x: F.max_pool2d(x, 3, 2, 1) ** 2, ((2, 2, 7, 7),)),
    "max_pool2d large": (lambda T, F, x: F.max_pool2d(x, 5, 2, 2) ** 2, ((2, 2, 9, 9),)),
    "max_pool3d": (lambda T, F, x: F.max_pool3d(x, 2) ** 2, ((1, 2, 4, 4, 4),)),
    "max_pool1d": (lambda T, F, x: F.max_pool1d(x, 3, 2, 1) ** 2, ((1, 2, 9),)),
    "avg_pool2d": (lambda T, F, x: F.avg_pool2d(x, 3, 2, 1, True, False) ** 2, ((2, 2, 6, 6),)),
    "avg_pool3d": (lambda T, F, x: F.avg_pool3d(x, 2) ** 2, ((1, 2, 4, 4, 4),)),
    "adaptive_avg_pool2d": (lambda T, F, x: F.adaptive_avg_pool2d(x, (3, 5)) ** 2, ((2, 2, 7, 9),)),
    "adaptive_max_pool2d": (lambda T, F, x: F.adaptive_max_pool2d(x, (3, 5)) ** 2, ((2, 2, 7, 9),)),
    "lp_pool2d": (lambda T, F, x: F.lp_pool2d(x.abs() + 1, 3.0, 2), ((2, 2, 6, 6),)),
    "batch_norm": (lambda T, F, x, w, b: F.batch_norm(x, None, None, w, b, True) ** 3, ((3, 2, 4), (2,), (2,))),
    "batch_norm evaluation": (
        lambda T, F, x, w, b: F.batch_norm(x, x.new_zeros(2), x.new_ones(2) * 2, w, b, False) ** 3,
        ((3, 2, 4), (2,), (2,)),
    ),
    "layer_norm": (lambda T, F, x, w, b: F.layer_norm(x, (4, 3), w, b) ** 3, ((2, 4, 3), (4, 3), (4, 3))),
    "group_norm": (lambda T, F, x, w, b: F.group_norm(x, 2, w, b) ** 3, ((2, 4, 3), (4,), (4,))),
    "instance_norm": (lambda T, F, x, w, b: F.instance_norm(x, None, None, w, b) ** 3, ((2, 4, 3), (4,), (4,))),
    "rms_norm": (lambda T, F, x, w: F.rms_norm(x, (3,), w) ** 3, ((2, 4, 3), (3,))),
    "local_response_norm": (lambda T, F, x: F.local_response_norm(x, 2) ** 3, ((2, 4, 3, 3),)),
    "gather": (lambda T, F, x: x.gather(0, T.tensor(INDEX)) ** 3, ((3, 4),)),
    "index_select": (lambda T, F, x: x.index_select(1, T.tensor([0, 0, 2])) ** 3, ((3, 4),)),
    "take": (lambda T, F, x: x.take(T.tensor([0, 5, 5])) ** 3, ((3, 4),)),
    "masked_fill": (lambda T, F, x, v: x.masked_fill(T.tensor(MASK), v) ** 3, ((2, 3), ())),
    "index_fill": (lambda T, F, x, v: x.index_fill(1, T.tensor([0, 2]), v) ** 3, ((2, 3), ())),
    "masked_select": (lambda T, F, x: x.masked_select(T.tensor(MASK)) ** 3, ((2, 3),)),
    "masked_scatter": (lambda T, F, x, s: x.masked_scatter(T.tensor(MASK), s) ** 3, ((2, 3), (5,))),
    "scatter": (lambda T, F, x, s: x.scatter(0, T.tensor([[0, 1, 2, 0]]), s) ** 3, ((3, 4), (1, 4))),
    "scatter value": (lambda T, F, x: x.scatter(0, T.tensor([[0, 1, 2, 0]]), 2.0) ** 3, ((3, 4),)),
    "scatter_add": (lambda T, F, x, s: x.scatter_add(0, T.tensor(INDEX), s) ** 3, ((3, 4), (2, 4))),
    "scatter_reduce": (
        lambda T, F, x, s: x.scatter_reduce(0, T.tensor(INDEX), s, "mean", include_self=False) ** 3,
        ((3, 4), (2, 4)),
    ),
    "index_add": (lambda T, F, x, s: x.index_add(0, T.tensor([0, 0]), s, alpha=2) ** 3, ((3, 4), (2, 4))),
    "index_copy": (lambda T, F, x, s: x.index_copy(0, T.tensor([0, 2]), s) ** 3, ((3, 4), (2, 4))),
    "index_reduce": (lambda T, F, x, s: x.index_reduce(0, T.tensor([0, 0]), s, "amax") ** 3, ((3, 4), (2, 4))),
    "put": (lambda T, F, x, s: x.put(T.tensor([0, 2]), s) ** 3, ((3, 4), (2,))),
    "index_put": (
        lambda T, F, x, s: x.index_put((T.tensor([0, 0]), T.tensor([1, 1])), s, True) ** 3,
        ((3, 4), (2,)),
    ),
    "select_scatter": (lambda T, F, x, s: x.select_scatter(s, 0, 1) ** 3, ((3, 4), (4,))),
    "pad constant": (lambda T, F, x: F.pad(x, (1, -1, 2, 0), value=2.0) ** 3, ((3, 4),)),
    "pad reflect": (lambda T, F, x: F.pad(x, (2, 1, 1, 2), "reflect") ** 3, ((1, 2, 4, 4),)),
    "pad replicate": (lambda T, F, x: F.pad(x, (2, 1, 1, 2), "replicate") ** 3, ((1, 2, 4, 4),)),
    "pad circular": (lambda T, F, x: F.pad(x, (2, 1), "circular") ** 3, ((1, 2, 4),)),
    "unfold": (lambda T, F, x: F.unfold(x, 3, 1, 1, 2) ** 3, ((1, 2, 6, 6),)),
    "fold": (lambda T, F, x: F.fold(x, (6, 6), 3, 1, 1, 2) ** 3, ((1, 18, 9),)),
    "interpolate bilinear": (lambda T, F, x: F.interpolate(x, (7, 3), mode="bilinear") ** 3, ((1, 2, 5, 5),)),
    "interpolate bicubic antialias": (
        lambda T, F, x: F.interpolate(x, (3, 3), mode="bicubic", antialias=True) ** 3,
        ((1, 2, 7, 7),),
    ),
    "interpolate nearest": (lambda T, F, x: F.interpolate(x, scale_factor=1.5) ** 3, ((1, 2, 5, 5),)),
    "grid_sample": (
        lambda T, F, x, g: F.grid_sample(x, g, padding_mode="reflection", align_corners=False) ** 3,
        ((2, 3, 5, 5), (2, 4, 4, 2)),
    ),
    "affine_grid": (lambda T, F, t: F.affine_grid(t, (2, 3, 4, 4), align_corners=False) ** 3, ((2, 2, 3),)),
    "pixel_shuffle": (lambda T, F, x: F.pixel_shuffle(x, 2) ** 3, ((1, 8, 2, 2),)),
    "channel_shuffle": (lambda T, F, x: F.channel_shuffle(x, 3) ** 3, ((1, 6, 2, 2),)),
}


def run(torch: Any, name: str) -> list[np.ndarray]:
    """The result, the inputs' gradients, and the gradients of the sum of those squared."""
    f, shapes = CASES[name]
    rng = np.random.default_rng(sum(map(ord, name)))
    xs = [torch.tensor(rng.standard_normal(s), requires_grad=True) for s in shapes]
    y = f(torch, torch.nn.functional, *xs)
    weights = torch.arange(y.numel(), dtype=y.dtype).reshape(y.shape).cos()
    first = torch.autograd.grad((y * weights).sum(), xs, create_graph=True)
    total = sum((g * g).sum() for g in first)
    second: Any = [None] * len(xs)
    if total.requires_grad:
        second = torch.autograd.grad(total, xs, allow_unused=True)
    second = [x.detach() * 0 if h is None else h for x, h in zip(xs, second)]
    return [t.detach().numpy() for t in (y, *first, *second)]


def names_in(torch: Any) -> dict[str, Any]:
    """What the expressions of the error cases use."""
    return {
        "torch": torch, "F": torch.nn.functional, "T": torch.tensor, "r": torch.randn,
        "R": lambda *shape: torch.randn(*shape, requires_grad=True), "i": torch.tensor([0, 1]),
        "m": torch.tensor(MASK),
    }  # fmt: skip


def outcome(torch: Any, expression: str) -> tuple[str, str] | None:
    """Type and message of the error that the expression raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            eval(expression, names_in(torch))
        except Exception as error:
            return type(error).__name__, str(error).split("\nException raised")[0]
    return None


def write(expressions: list[str]) -> None:
    """Writes both golden files with the PyTorch that is installed."""
    import torch

    arrays = {f"{name}/{k}": a for name in CASES for k, a in enumerate(run(torch, name))}
    np.savez_compressed(GOLDEN / "image_ops.npz", **arrays)  # type: ignore[arg-type]
    rows = [(e, *found) for e in expressions if (found := outcome(torch, e))]
    (GOLDEN / "image_errors.json").write_text(json.dumps(rows, indent=0) + "\n")


if __name__ == "__main__":
    write([row[0] for row in json.loads((GOLDEN / "image_errors.json").read_text())])
