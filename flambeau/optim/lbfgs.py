"""Limited-memory BFGS (`torch.optim.LBFGS`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import flambeau as torch

from ._line_search import Point, strong_wolfe
from ._line_search import cubic_interpolate as _cubic_interpolate  # noqa: F401
from ._line_search import strong_wolfe_of as _strong_wolfe  # noqa: F401
from ._loop import State
from .optimizer import Optimizer, ParamsT, _check_lr, _number, _realise, _to_scalar

if TYPE_CHECKING:
    from flambeau import Tensor

__all__ = ["LBFGS"]

# What a step leaves for the next one, in the order of PyTorch's state.
_BLOCK = (
    16  # pairs of the history that one program takes: else each length of the history would be a program of its own
)
_MEMORY = ("d", "t", "old_dirs", "old_stps", "ro", "H_diag", "prev_flat_grad", "prev_loss")


class LBFGS(Optimizer):
    """L-BFGS (Liu and Nocedal, Mathematical Programming 45, 1989).

    Keeps `history_size` pairs of vectors, each as long as all parameters together, and
    evaluates the closure up to `max_eval` times a step. All parameters are in one group.

    Args:
        params: parameters.
        lr: step length, or the first one that the line search tries.
        max_iter: most iterations a step.
        max_eval: most evaluations a step (default: `max_iter * 5 // 4`).
        tolerance_grad: stop when no entry of the gradient is larger.
        tolerance_change: stop when parameters or loss move less.
        history_size: pairs of vectors kept.
        line_search_fn: None or "strong_wolfe".

    Raises:
        ValueError: more than one group, or a bad learning rate.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        _check_lr(lr)
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")

    @property
    def _params(self) -> list[Tensor]:
        return self.param_groups[0]["params"]

    @torch.no_grad()
    def step(self, closure: Callable[[], Any]) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Runs up to `max_iter` iterations; returns the loss before the first.

        Args:
            closure: clears the gradients, evaluates the model, calls `backward` and returns the loss.

        Raises:
            RuntimeError: `line_search_fn` is neither None nor "strong_wolfe".
        """
        if len(self.param_groups) != 1:
            raise AssertionError(f"Expected exactly one param_group, but got {len(self.param_groups)}")
        closure = torch.enable_grad()(closure)
        state = self.state[self._params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        first = closure()
        state["func_evals"] += 1
        grad = self._gather_flat_grad()
        if not bool(_largest(grad) <= self.param_groups[0]["tolerance_grad"]):
            memory = {key: state.get(key) for key in _MEMORY}
            self._iterate(closure, state, memory, float(first), grad)
            state.update(memory)
        _realise()
        return first

    def _iterate(self, closure: Callable[[], Any], state: State, memory: State, loss: float, grad: Tensor) -> None:
        """The iterations of one step, from a loss and gradient at the current parameters."""
        group = self.param_groups[0]
        max_iter, tolerance = group["max_iter"], group["tolerance_change"]
        lr = _to_scalar(group["lr"])
        spent = 1
        for iteration in range(1, max_iter + 1):
            state["n_iter"] += 1
            _set_direction(state, memory, grad, group["history_size"])
            previous = memory["prev_loss"] = loss
            memory["prev_flat_grad"] = grad
            memory["t"] = min(1.0, 1.0 / grad.abs().sum()) * lr if state["n_iter"] == 1 else lr
            slope = grad.dot(memory["d"])
            if slope > -tolerance:
                break
            last = iteration == max_iter
            loss, grad, evaluations = self._move(closure, memory, Point(0, loss, grad, slope), spent, last)
            spent += evaluations
            state["func_evals"] += evaluations
            if last or spent >= group["max_eval"] or _largest(grad) <= group["tolerance_grad"]:
                break
            if _largest(memory["d"].mul(memory["t"])) <= tolerance or abs(loss - previous) < tolerance:
                break

    def _move(
        self, closure: Callable[[], Any], memory: State, start: Point, spent: int, last: bool
    ) -> tuple[float, Tensor, int]:
        """Moves the parameters along the direction; returns loss, gradient and evaluations spent."""
        group = self.param_groups[0]
        direction = memory["d"]
        if group["line_search_fn"] is None:
            self._add_grad(memory["t"], direction)
            if last:
                # Nobody will look at the gradient there.
                return start.f, start.g, 0
            return float(closure()), self._gather_flat_grad(), 1
        if group["line_search_fn"] != "strong_wolfe":
            raise RuntimeError("only 'strong_wolfe' is supported")
        origin = [p.clone(memory_format=torch.contiguous_format) for p in self._params]

        def evaluate(t: Any) -> Point:
            self._add_grad(t, direction)
            loss, grad = float(closure()), self._gather_flat_grad()
            for p, value in zip(self._params, origin, strict=True):
                p.copy_(value)
            return Point(t, loss, grad, grad.dot(direction))

        limit = group["max_eval"] - spent
        found, evaluations = strong_wolfe(evaluate, start, memory["t"], _largest(direction), limit)
        memory["t"] = found.t
        self._add_grad(found.t, direction)
        return found.f, found.g, evaluations

    def _gather_flat_grad(self) -> Tensor:
        """All gradients in one new vector, complex ones as pairs of reals; zeros where there is none."""
        return torch.cat([_flat(p) for p in self._params], 0)

    def _add_grad(self, step_size: Any, update: Tensor) -> None:
        """Adds `step_size * update` to the parameters, `update` being one vector for all."""
        offset, scale = 0, _number(step_size)
        for p in self._params:
            p = torch.view_as_real(p) if p.is_complex() else p
            p.add_(update[offset : offset + p.numel()].view_as(p), alpha=scale)
            offset += p.numel()


def _flat(p: Tensor) -> Tensor:
    """The gradient of a parameter as a real vector."""
    grad = torch.zeros_like(p) if p.grad is None else p.grad
    grad = grad.to_dense() if grad.is_sparse else grad
    return (torch.view_as_real(grad) if grad.is_complex() else grad).reshape(-1)


def _largest(x: Tensor) -> Tensor:
    return x.abs().max()


def _set_direction(state: State, memory: State, grad: Tensor, history_size: int) -> None:
    """Sets the search direction `d` and brings the history up to date."""
    if state["n_iter"] == 1:
        memory.update(d=grad.neg(), old_dirs=[], old_stps=[], ro=[], H_diag=1)
        return
    change, move = grad.sub(memory["prev_flat_grad"]), memory["d"].mul(memory["t"])
    curvature = change.dot(move)
    if curvature > 1e-10:
        full = len(memory["old_dirs"]) == history_size
        for key, value in (("old_dirs", change), ("old_stps", move), ("ro", 1.0 / curvature)):
            if full:
                memory[key].pop(0)
            memory[key].append(value)
        memory["H_diag"] = curvature / change.dot(change)
    weights = state.setdefault("al", [None] * history_size)
    memory["d"] = _two_loops(memory, grad, weights)


def _two_loops(memory: State, grad: Tensor, weights: list[Any]) -> Tensor:
    """The inverse Hessian of the history applied to the negative gradient."""
    changes, moves, ro = memory["old_dirs"], memory["old_stps"], memory["ro"]
    q = grad.neg()
    for i in reversed(range(len(changes))):
        weights[i] = moves[i].dot(q) * ro[i]
        q.add_(changes[i] * -weights[i])
        if i % _BLOCK == 0:
            _realise()
    r = torch.mul(q, memory["H_diag"])
    for i in range(len(changes)):
        r.add_(moves[i] * (weights[i] - changes[i].dot(r) * ro[i]))
        if i % _BLOCK == _BLOCK - 1:
            _realise()
    return r
