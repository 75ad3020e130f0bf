"""Connectionist temporal classification: ``ctc_loss``, by the forward-backward recursions on the host."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import int64
from ..graph.node import OUT, Operator
from ..graph.types import Ty, ty
from ._checks import not_implemented
from ._elementwise import refuse_derivative
from ._registry import call, function, is_tensor
from .classification_losses import reduction_code

Lengths = tuple[int, ...]


def _extended(targets: np.ndarray, sizes: Lengths, blank: int) -> np.ndarray:
    """The labels of each sample with blanks around and between them, (N, 2 S + 1), padded with blanks."""
    longest = max(sizes, default=0)
    out = np.full((len(sizes), 2 * longest + 1), blank, np.int64)
    start = 0
    for i, n in enumerate(sizes):
        row = targets[i, :n] if targets.ndim == 2 else targets[start : start + n]
        out[i, 1 : 2 * n + 1 : 2] = row
        start += n
    return out


def _log_add(*terms: np.ndarray) -> np.ndarray:
    top = np.maximum.reduce(terms)
    safe = np.where(np.isneginf(top), 0, top)
    return safe + np.log(sum(np.exp(t - safe) for t in terms))


def _recursion(scores: np.ndarray, skips: np.ndarray) -> np.ndarray:
    """Log-sums over the paths to each state, (T, N, states); ``scores`` are the states' log-probabilities.

    A step is a few short calls on memory that is there, of states behind two that no path reaches.
    """
    time, batch, states = scores.shape
    alpha = np.full((time, batch, states + 2), -np.inf, scores.dtype)
    alpha[0, :, 2:4] = scores[0, :, :2]
    barred = np.where(skips, 0, -np.inf).astype(scores.dtype)
    two, top, part, total = [np.empty((batch, states), scores.dtype) for _ in range(4)]
    for t in range(1, time):
        last = alpha[t - 1]
        terms = last[:, 2:], last[:, 1:-1], np.add(last[:, :-2], barred, out=two)
        np.maximum(np.maximum(*terms[:2], out=top), two, out=top)
        np.copyto(top, 0, where=top == -np.inf)
        total[...] = 0
        for term in terms:
            np.add(total, np.exp(np.subtract(term, top, out=part), out=part), out=total)
        np.add(np.add(np.log(total, out=total), top, out=total), scores[t], out=alpha[t, :, 2:])
    return np.ascontiguousarray(alpha[:, :, 2:])


def _skips(labels: np.ndarray) -> np.ndarray:
    """May a state be reached from two before it? Never from blank to blank; a label that is blank counts as a label."""
    out = np.zeros(labels.shape, bool)
    out[:, 2:] = labels[:, 2:] != labels[:, :-2]
    return out


def _forward(
    log_probs: np.ndarray, targets: np.ndarray, ins: Lengths, sizes: Lengths, blank: int
) -> tuple[np.ndarray, np.ndarray]:
    """The loss of each sample and the log-sums."""
    labels = _extended(targets, sizes, blank)
    scores = np.take_along_axis(log_probs, np.broadcast_to(labels, (len(log_probs), *labels.shape)), 2)
    n = np.arange(len(sizes))
    ends = 2 * np.asarray(sizes, np.int64)
    if not len(log_probs):
        return np.where(ends == 0, 0.0, np.inf).astype(log_probs.dtype), scores
    alpha = _recursion(scores, _skips(labels))
    times = np.asarray(ins, np.int64) - 1
    final = alpha[times, n, ends]
    before = np.where(ends > 0, alpha[times, n, np.maximum(ends - 1, 0)], -np.inf)
    loss = -_log_add(final, before)
    loss = np.where(times < 0, np.where(ends == 0, 0.0, np.inf), loss)
    return loss.astype(log_probs.dtype), alpha


def _backward(
    g: np.ndarray, log_probs: np.ndarray, targets: np.ndarray, loss: np.ndarray, alpha: np.ndarray, ins: Lengths,
    sizes: Lengths, blank: int, zero_infinity: bool,
) -> np.ndarray:  # fmt: skip
    """The gradient of the log-probabilities (as PyTorch's: that of the logits of a softmax)."""
    time, batch, _ = log_probs.shape
    if not time:
        return np.zeros_like(log_probs)
    labels = _extended(targets, sizes, blank)
    both = alpha + _beta(log_probs, labels, ins, sizes)
    total, n = np.full_like(log_probs, -np.inf), np.arange(batch)
    for s in range(labels.shape[1]):
        total[:, n, labels[:, s]] = _log_add(total[:, n, labels[:, s]], both[:, :, s])
    grad = (np.exp(log_probs) - np.exp(total + loss[:, None] - log_probs)) * g[:, None]
    ignored = np.arange(time)[:, None] >= np.asarray(ins, np.int64)
    if zero_infinity:
        ignored |= np.isinf(loss)
    grad[ignored] = 0
    return grad


def _beta(log_probs: np.ndarray, labels: np.ndarray, ins: Lengths, sizes: Lengths) -> np.ndarray:
    """Log-sums over the paths from each state, (T, N, states): the recursion of what runs backward."""
    time, n = len(log_probs), np.arange(len(labels))[:, None]
    before = np.asarray(ins, np.int64) - 1 - np.arange(time)[:, None]  # (T, N): times that run backward
    mirror = 2 * np.asarray(sizes, np.int64)[:, None] - np.arange(labels.shape[1])  # (N, states)
    states, is_state = np.maximum(mirror, 0), mirror >= 0
    times, exists = np.maximum(before, 0)[:, :, None], (before >= 0)[:, :, None] & is_state
    reverse = labels[n, states]
    scores = np.where(exists, log_probs[times, n, reverse], -np.inf).astype(log_probs.dtype)
    beta = _recursion(scores, _skips(reverse))
    return np.where(exists, beta[times, n, states], -np.inf).astype(log_probs.dtype)


# ---- operators: attrs = (input lengths, target lengths, blank, zero_infinity)


def _states(t: Ty, sizes: Lengths) -> tuple[int, ...]:
    return (t.shape[0], len(sizes), 2 * max(sizes, default=0) + 1)


def _ctc_ty(tys: tuple[Ty, ...], attrs: Any) -> tuple[Ty, Ty]:
    x = tys[0]
    if x.dtype.name not in ("float32", "float64"):
        raise not_implemented("ctc_loss_cpu", x.dtype)
    return ty((x.shape[1],), x.dtype), ty(_states(x, attrs[1]), x.dtype)


def _ctc_lower(b: Any, attrs: Any, x: Any, targets: Any) -> Any:
    ins, sizes, blank, _ = attrs
    outs = [((x.shape[1],), x.dtype), (_states(ty(x.shape, x.dtype), sizes), x.dtype)]
    return b.extern("ctc_loss", _forward, (x, targets), outs, ins, sizes, blank)


def _ctc_vjp(f: Any, g: Any, _: Any) -> tuple[Any, None]:
    return call(CTC_BACKWARD, (g, f.saved(0), f.saved(1), f.out(0), f.out(1)), f.attrs), None


def _ctc_backward_lower(b: Any, attrs: Any, *args: Any) -> Any:
    return b.extern("ctc_loss_backward", _backward, args, [(args[1].shape, args[1].dtype)], *attrs)


CTC = Operator(
    "_ctc_loss", _ctc_ty, _ctc_lower, _ctc_vjp, ((0, (0,)), (1, (0,)), (OUT, (0,)), (OUT + 1, (0,))), "CtcLossBackward0"
)
CTC_BACKWARD = Operator(
    "_ctc_loss_backward",
    lambda tys, attrs: ty(tys[1].shape, tys[1].dtype),
    _ctc_backward_lower,
    refuse_derivative("_ctc_loss_backward"),
)

# ---- the function


def _lengths(x: Any, name: str) -> Lengths:
    """The lengths that the argument ``name`` of ``ctc_loss`` holds."""
    if is_tensor(x):
        if x._ty.dtype.kind not in "iu":
            raise RuntimeError(f"{name} must be integral")
        return tuple(x.detach()._numpy().reshape(-1).tolist())
    for k, n in enumerate(x):
        if isinstance(n, float):
            raise TypeError(
                f"ctc_loss(): argument '{name}' failed to unpack the object at pos {k + 1} with error "
                '"type must be tuple of ints,but got float"'
            )
    return tuple(int(n) for n in x)


def _check(log_probs: Ty, targets: Any, ins: Lengths, sizes: Lengths, blank: int) -> None:
    time, batch, classes = log_probs.shape
    if not 0 <= blank < classes:
        raise RuntimeError("blank must be in label range")
    for lengths, name in ((ins, "input_lengths"), (sizes, "target_lengths")):
        if len(lengths) != batch:
            raise RuntimeError(f"{name} must be of size batch_size")
    for lengths, name in ((sizes, "target_lengths"), (ins, "input_lengths")):
        _check_range(name, [n for n in lengths if n < 0], "at least 0")
    t = targets._ty
    if t.ndim == 1 and t.shape[0] != sum(sizes):
        raise RuntimeError(
            f"Expected tensor to have size {sum(sizes)} at dimension 0, but got size {t.shape[0]} for argument #2 "
            "'targets' (while checking arguments for ctc_loss_allocate_outputs)"
        )
    if t.ndim == 2 and (t.shape[0] != batch or t.shape[1] < max(sizes, default=0)):
        raise RuntimeError(
            f"Expected tensor to have size at least {max(sizes, default=0)} at dimension 1, but got size "
            f"{t.shape[1]} for argument #2 'targets' (while checking arguments for ctc_loss_allocate_outputs)"
        )
    _check_range("input_lengths", [n for n in ins if n > time], f"at most {time}")


def _check_range(name: str, wrong: list[int], range: str) -> None:
    if wrong:
        raise RuntimeError(
            f"Expected {name} to have value {range}, but got value {wrong[0]} "
            "(while checking arguments for ctc_loss_allocate_outputs)"
        )


def ctc_loss(
    log_probs: Any, targets: Any, input_lengths: Any, target_lengths: Any, blank: int = 0, reduction: str = "mean",
    zero_infinity: bool = False,
) -> Any:  # fmt: skip
    """The negative log-likelihood of label sequences under (T, N, C) or (T, C) log-probabilities
    (https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.ctc_loss.html). Lengths are read at the call.

    Raises:
        RuntimeError: sizes or lengths do not go together.
    """
    return _ctc(log_probs, targets, input_lengths, target_lengths, blank, reduction_code(reduction), zero_infinity)


@function("ctc_loss")
def _ctc(
    log_probs: Any, targets: Any, input_lengths: Any, target_lengths: Any, blank: int = 0, reduction: int = 1,
    zero_infinity: bool = False,
) -> Any:  # fmt: skip
    """``torch.nn.functional.ctc_loss`` with a number for ``reduction``: 0 none, 1 mean, 2 sum.

    Raises:
        RuntimeError: sizes or lengths do not go together.
    """
    ins, sizes = _lengths(input_lengths, "input_lengths"), _lengths(target_lengths, "target_lengths")
    single = log_probs._ty.ndim == 2
    targets = targets.to(int64)
    if single:
        log_probs = log_probs.unsqueeze(1)
        targets = targets.unsqueeze(0) if targets._ty.ndim == 1 else targets
    _check(log_probs._ty, targets, ins, sizes, blank)
    loss = call(CTC, (log_probs, targets), (ins, sizes, blank, bool(zero_infinity)))[0]
    if zero_infinity:
        loss = loss.where(loss != float("inf"), loss.new_zeros(()))
    if reduction == 1:
        divisor = loss.new_tensor([max(n, 1) for n in sizes])
        return (loss / divisor).mean()
    if reduction == 2:
        return loss.sum()
    return loss.squeeze(0) if single else loss
