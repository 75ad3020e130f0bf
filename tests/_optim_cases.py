"""What test_optim.py and test_lr_scheduler.py compare with PyTorch.

`python tests/_optim_cases.py`, where PyTorch is installed, writes the golden file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parent / "golden_optim.json"
STEPS = 4

START = {"wide": [0.5, -1.25, 2.0, 0.0, -0.75, 1.5], "flat": [1.0, -2.0, 0.25]}
TARGET = {"wide": [0.25, 0.5, -1.0, 0.75, 1.25, -0.5], "flat": [-0.5, 0.25, 1.5]}

OPTIMIZERS: dict[str, list[dict[str, Any]]] = {
    "SGD": [
        {"lr": 0.1},
        {"lr": 0.1, "momentum": 0.9},
        {"lr": 0.1, "momentum": 0.9, "dampening": 0.5, "weight_decay": 0.1},
        {"lr": 0.1, "momentum": 0.9, "nesterov": True, "maximize": True},
    ],
    "Adam": [{"lr": 0.1}, {"lr": 0.1, "amsgrad": True, "weight_decay": 0.1}, {"lr": 0.1, "maximize": True}],
    "AdamW": [{"lr": 0.1}, {"lr": 0.1, "amsgrad": True, "betas": (0.8, 0.9)}],
    "RMSprop": [{"lr": 0.1}, {"lr": 0.1, "momentum": 0.9, "centered": True, "weight_decay": 0.1}],
    "Adagrad": [{"lr": 0.1}, {"lr": 0.1, "lr_decay": 0.1, "initial_accumulator_value": 0.5, "weight_decay": 0.1}],
    "Adadelta": [{}, {"lr": 0.5, "rho": 0.8, "weight_decay": 0.1, "maximize": True}],
    "NAdam": [{"lr": 0.1}, {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True}],
    "RAdam": [{"lr": 0.1}, {"lr": 0.1, "betas": (0.8, 0.6), "weight_decay": 0.1}],
    "Adamax": [{"lr": 0.1}, {"lr": 0.1, "weight_decay": 0.1}],
    "ASGD": [{"lr": 0.1}, {"lr": 0.1, "t0": 1, "lambd": 0.1, "weight_decay": 0.1}],
    "Rprop": [{"lr": 0.1}, {"lr": 0.1, "etas": (0.4, 1.5), "step_sizes": (0.01, 0.12)}],
    "LBFGS": [{"lr": 0.1, "max_iter": 3}, {"line_search_fn": "strong_wolfe", "max_iter": 3, "history_size": 2}],
    "Adafactor": [{"lr": 0.1}, {"lr": 0.1, "weight_decay": 0.1, "d": 2.0}],
    "Muon": [{"lr": 0.1}, {"lr": 0.1, "nesterov": False, "adjust_lr_fn": "match_rms_adamw"}],
}

# Their own roundings are too many to follow in 16 bits.
ROUGH = ("LBFGS", "Adafactor", "Muon")

SCHEDULERS: dict[str, list[dict[str, Any]]] = {
    "StepLR": [{"step_size": 3, "gamma": 0.5}],
    "MultiStepLR": [{"milestones": [2, 5, 5, 9], "gamma": 0.3}],
    "ConstantLR": [{"factor": 0.25, "total_iters": 4}],
    "LinearLR": [{"start_factor": 0.2, "end_factor": 0.9, "total_iters": 8}],
    "ExponentialLR": [{"gamma": 0.9}],
    "PolynomialLR": [{"total_iters": 8, "power": 2.0}],
    "CosineAnnealingLR": [{"T_max": 4, "eta_min": 0.001}],
    "CosineAnnealingWarmRestarts": [{"T_0": 2, "T_mult": 2, "eta_min": 0.002}],
    "CyclicLR": [
        {"base_lr": 0.01, "max_lr": 0.2, "step_size_up": 3},
        {"base_lr": 0.01, "max_lr": 0.2, "step_size_up": 2, "step_size_down": 3, "mode": "triangular2"},
        {"base_lr": 0.01, "max_lr": [0.2, 0.3], "step_size_up": 3, "mode": "exp_range", "gamma": 0.97},
    ],
    "OneCycleLR": [
        {"max_lr": 0.5, "total_steps": 12},
        {"max_lr": 0.5, "epochs": 4, "steps_per_epoch": 3, "anneal_strategy": "linear", "three_phase": True},
    ],
}


def optimizer_cases() -> list[tuple[str, int, str]]:
    """Every optimizer with every set of options in every dtype."""
    return [
        (name, i, dtype)
        for name, cases in OPTIMIZERS.items()
        for i in range(len(cases))
        for dtype in ["float32", "float64", *([] if name in ROUGH else ["bfloat16"])]
    ]


def parameters(torch: Any, name: str, dtype: str = "float32") -> list[Any]:
    """Fresh parameters; Muon takes matrices only."""
    wide = torch.tensor(START["wide"], dtype=getattr(torch, dtype)).reshape(2, 3)
    flat = torch.tensor(START["flat"], dtype=getattr(torch, dtype))
    params = [wide] if name == "Muon" else [wide, flat]
    return [p.requires_grad_(True) for p in params]


def set_gradients(torch: Any, params: list[Any]) -> Any:
    """Sets the gradients of sum((p - target)^2) and returns that sum."""
    loss = torch.zeros((), dtype=params[0].dtype)
    for p, target in zip(params, TARGET.values(), strict=False):
        error = p.detach() - torch.tensor(target, dtype=p.dtype).reshape(p.shape)
        p.grad = error * 2
        loss = loss + (error * error).sum()
    return loss


def advance(torch: Any, optimizer: Any, params: list[Any]) -> None:
    """One step."""
    set_gradients(torch, params)
    optimizer.step(lambda: set_gradients(torch, params))


def train(torch: Any, name: str, options: dict[str, Any], dtype: str = "float32") -> dict[str, Any]:
    """Parameters after a few steps, the optimizer's text, and what its state looks like."""
    params = parameters(torch, name, dtype)
    optimizer = getattr(torch.optim, name)(params, **options)
    for _ in range(STEPS):
        advance(torch, optimizer, params)
    return {
        "params": [p.detach().flatten().tolist() for p in params],
        "repr": repr(optimizer),
        "state": {str(k): describe(torch, v) for k, v in optimizer.state_dict()["state"].items()},
    }


def describe(torch: Any, value: Any) -> Any:
    """A state as dtypes, shapes and values."""
    if isinstance(value, torch.Tensor):
        return [str(value.dtype), list(value.shape), value.flatten().tolist()]
    if isinstance(value, dict):
        return {k: describe(torch, v) for k, v in value.items()}
    return [describe(torch, v) for v in value] if isinstance(value, list) else value


def rates(torch: Any, name: str, options: dict[str, Any], steps: int = 12) -> list[list[float]]:
    """Rates and momenta of two groups, step by step."""
    first, second = parameters(torch, "SGD")
    groups = [{"params": [first]}, {"params": [second], "lr": 0.02}]
    optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.9)
    scheduler = getattr(torch.optim.lr_scheduler, name)(optimizer, **options)
    trail = []
    for _ in range(steps):
        trail.append([g[key] for g in optimizer.param_groups for key in ("lr", "momentum")])
        optimizer.step()
        scheduler.step()
    return trail


def compute(torch: Any) -> dict[str, Any]:
    """Everything that the golden file holds."""
    optimizers = {
        f"{name}-{i}-{dtype}": train(torch, name, OPTIMIZERS[name][i], dtype) for name, i, dtype in optimizer_cases()
    }
    schedulers = {
        f"{name}-{i}": rates(torch, name, options)
        for name, cases in SCHEDULERS.items()
        for i, options in enumerate(cases)
    }
    return {"torch": torch.__version__, "optimizers": optimizers, "schedulers": schedulers}


if __name__ == "__main__":
    import torch as _torch

    GOLDEN.write_text(json.dumps(compute(_torch), separators=(",", ":")) + "\n")
