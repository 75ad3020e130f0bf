"""Single operators beside PyTorch, one at a time, as in a notebook: `f(...).numpy()` again and again.

    python -m benchmarks.operators                        # all, with one thread
    python -m benchmarks.operators sum sort --threads 4   # those whose expression holds one of these
    python -m benchmarks.operators --above 1.5            # the list of those that take so many times PyTorch's time

Each expression runs at three sizes (`a` is 32 x 64, 512 x 512, 2048 x 1024), in turns of a few hundredths of a second.
Least microseconds a call, the conversion to an array included, and those of the second to fifth call, which a new
program's operators take. flambeau may have compiled the program by then: that is what a user gets.
"""

from __future__ import annotations

import argparse
import functools
import math
import time
from collections.abc import Callable
from typing import Any

SIZES = {"small": (32, 64), "middle": (512, 512), "large": (2048, 1024)}
TURNS, SECONDS = 3, 0.02
EXPRESSIONS = (
    """
a + b|a + row|a * column|a / p|a ** 2|p ** 2.5|a.exp()|p.log()|p.sqrt()|a.sin()|a.tanh()|a.sigmoid()|a.erf()|p.lgamma()
a.t() + b.t()|a.relu()|F.gelu(a)|a.clamp(-1, 1)|a.floor()|a.fmod(0.7)|a % 0.7|atan2(a, b)|where(mask, a, b)|a.frac()
a.sum()|a.sum(0)|a.sum(1)|a.t().sum(0)|a.t().sum(1)|a.mean()|a.var(0)|a.std(1)|a.amax(0)|a.amax(1)|a.amin()|a.norm()
a.max(1).values|a.argmax(0)|a.argmax(1)|a.prod(1)|a.logsumexp(0)|a.logsumexp(1)|mask.any(1)|mask.sum()|a.median(1).values
a.softmax(0)|a.softmax(1)|a.log_softmax(1)|F.layer_norm(a, a.shape[1:])|a.cumsum(0)|a.cumsum(1)|a.cummax(1).values
a.sort(1).values|a.sort(0).values|a.argsort(1)|a.topk(5, 1).values|whole.unique()|a[:32].quantile(0.3, 1)|a.histc(20)
a[rows]|a.gather(1, places)|a[mask]|mask.nonzero()|a.masked_fill(mask, 0.0)|a.index_add(0, rows, b)
a.scatter_add(1, places, b)|bucketize(a, edges)|whole.flatten().bincount()|F.one_hot(rows)
cat([a, b])|cat([a, b], 1)|stack([a, b], 2)|a.t().contiguous()|a.flip(1)|a.roll(3, 1)|a.repeat(1, 2)|a.tril()
a.repeat_interleave(2, 1)|F.pad(a, (1, 1, 1, 1))|a.diff(dim=1)|a.clone()|a.double()|a.bfloat16().float()|whole.float()
whole + whole|whole // 7|whole % 7|whole.sum()|a.double().exp()|a.double().sum(1)|z * z|z.abs()
randn(a.shape)|rand(a.shape)|randperm(a.numel())|F.dropout(a, 0.5)|zeros(a.shape)|arange(a.numel())
a @ row|a @ b.t()|a.t() @ b|row @ row|outer(row, row)|cdist(a[:64], b[:64])|whole[:32, :32] @ whole[:32, :32]
linalg.inv(square)|linalg.solve(square, b[:32])|linalg.cholesky(positive)|linalg.qr(a[:64]).Q|linalg.svdvals(a[:64])
F.mse_loss(a, b)|F.cross_entropy(a, rows % a.shape[1])|F.cosine_similarity(a, b)|F.normalize(a)|fft.rfft(a).abs()
F.conv2d(x, w, padding=1)|F.conv2d(x, deep, groups=8)|F.conv_transpose2d(x, w.mT.transpose(0, 1), stride=2)
F.max_pool2d(x, 2)|F.max_pool2d(x, 3, 2)|F.avg_pool2d(x, 2)|F.adaptive_avg_pool2d(x, 1)|F.interpolate(x, scale_factor=2)
F.interpolate(x, scale_factor=2, mode="bilinear")|F.batch_norm(x, None, None, training=True)|F.group_norm(x, 4)
F.grid_sample(x, grid, align_corners=False)|F.unfold(x, 3)|x.sum((0, 2, 3))|F.scaled_dot_product_attention(x, x, x)
""".strip()
    .replace("\n", "|")
    .split("|")
)


def names(torch: Any, rows: int, columns: int) -> dict[str, Any]:
    """What the expressions are about: a, b, p (above 0), z (complex), whole numbers, x (images) and their like."""
    torch.manual_seed(0)
    least = min(rows, columns, 32)
    a, b, square = torch.randn(rows, columns), torch.randn(rows, columns), torch.randn(least, least)
    found = {k: getattr(torch, k) for k in dir(torch) if not k.startswith("_")}
    return found | {
        "F": torch.nn.functional, "a": a, "b": b, "p": torch.rand(rows, columns) + 0.1, "mask": a > 0,
        "row": torch.randn(columns), "column": torch.randn(rows, 1), "rows": torch.randint(0, rows, (rows,)),
        "places": torch.randint(0, columns, (rows, columns)), "whole": torch.randint(0, 100, (rows, columns)),
        "edges": torch.linspace(-2, 2, 11), "z": torch.complex(a, b), "square": square,
        "positive": square @ square.t() + torch.eye(least), "x": torch.randn(rows // 8, 8, 16, 16),
        "w": torch.randn(16, 8, 3, 3), "deep": torch.randn(8, 1, 3, 3),
        "grid": torch.rand(rows // 8, 16, 16, 2) * 2 - 1,
    }  # fmt: skip


def timed(f: Callable[[], Any]) -> float:
    """Microseconds of a call and of the look at what it gives."""
    begun = time.perf_counter()
    f().numpy()
    return (time.perf_counter() - begun) * 1e6


def in_turns(sides: list[Callable[[], Any]]) -> list[tuple[float, float]]:
    """Of each side the least of its first calls but one, and of all after them."""
    early = []
    for f in sides:
        timed(f)
        early.append(min([timed(f) for _ in range(4)]))
    least = [math.inf] * len(sides)
    for _ in range(TURNS):
        for k, f in enumerate(sides):
            until = time.perf_counter() + SECONDS
            while time.perf_counter() < until:
                least[k] = min(least[k], timed(f))
    return list(zip(early, least))


def compare(expressions: list[str], threads: int) -> list[tuple[float, str]]:
    """Each expression at each size: flambeau's least time over PyTorch's, and a line of the table."""
    import torch

    import flambeau

    found = []
    for size, (rows, columns) in SIZES.items():
        spaces = []
        for side in (torch, flambeau):
            side.set_num_threads(threads)
            spaces.append(names(side, rows, columns))
        for expression in expressions:
            code = compile(expression, "<expression>", "eval")
            theirs, ours = in_turns([functools.partial(eval, code, space) for space in spaces])
            ratio = ours[1] / theirs[1]
            times = "".join([f"{t:12.1f}" for t in (*theirs, *ours)])
            found.append((ratio, f"{expression:48}{size:8}{times}{ratio:8.2f}"))
    return found


def main() -> None:
    """Runs what was asked for and prints the table, the slowest beside PyTorch first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="parts of expressions")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--above", type=float, default=0.0, help="only what takes so many times PyTorch's time")
    options = parser.parse_args()
    chosen = [e for e in EXPRESSIONS if not options.names or any(n in e for n in options.names)]
    found = sorted(compare(chosen, options.threads), reverse=True)
    print(f"{'expression':48}{'size':8}{'PyTorch':>24}{'flambeau':>24}{'ratio':>8}   (early, least; microseconds)")
    print("\n".join([line for ratio, line in found if ratio > options.above]))
    mean = math.exp(sum([math.log(ratio) for ratio, _ in found]) / len(found)) if found else math.nan
    print(f"{len(found)} comparisons, geometric mean of the ratios {mean:.2f}")


if __name__ == "__main__":
    main()
