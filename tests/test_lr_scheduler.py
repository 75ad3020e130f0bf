"""Learning rate schedules and weight averages give PyTorch's numbers, warnings and errors."""

from __future__ import annotations

import json
import warnings
from typing import Any

import pytest
from _optim_cases import GOLDEN, SCHEDULERS, rates

import flambeau as torch
from flambeau import optim
from flambeau.optim import lr_scheduler

CASES = [(name, i) for name in SCHEDULERS for i in range(len(SCHEDULERS[name]))]
golden = json.loads(GOLDEN.read_text())["schedulers"]


def make(lr: Any = 0.1, groups: int = 2, **options: Any) -> Any:
    """An optimizer with a parameter in each group."""
    members = [{"params": torch.ones(2).requires_grad_(True)} for _ in range(groups)]
    return optim.SGD(members, lr=lr, momentum=0.9, **options)


def run(optimizer: Any, scheduler: Any, steps: int) -> list[float]:
    """The first group's rate before each of some steps."""
    trail = []
    for _ in range(steps):
        trail.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    return trail


@pytest.mark.parametrize(("name", "index"), CASES)
def test_golden(name: str, index: int) -> None:
    found = rates(torch, name, SCHEDULERS[name][index])
    for a, b in zip(found, golden[f"{name}-{index}"], strict=True):
        assert a == pytest.approx(b, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize(("name", "index"), CASES)
def test_resuming_changes_nothing(name: str, index: int) -> None:
    options = SCHEDULERS[name][index]
    cls = getattr(lr_scheduler, name)
    whole = make()
    expected = run(whole, cls(whole, **options), 10)
    first = make()
    scheduler = cls(first, **options)
    trail = run(first, scheduler, 4)
    second = make()
    other = cls(second, **options)
    second.load_state_dict(first.state_dict())
    other.load_state_dict(scheduler.state_dict())
    assert trail + run(second, other, 6) == expected


def test_functions_of_the_epoch() -> None:
    optimizer = make(lr=1.0)
    scheduler = lr_scheduler.LambdaLR(optimizer, [lambda e: 0.5**e, lambda e: 1 / (1 + e)])
    run(optimizer, scheduler, 3)
    assert scheduler.get_last_lr() == [0.125, 0.25]
    optimizer = make(lr=1.0)
    scheduler = lr_scheduler.MultiplicativeLR(optimizer, lambda e: 0.5)
    assert run(optimizer, scheduler, 3) == [1.0, 0.5, 0.25]


class Power:
    """A schedule with state."""

    def __init__(self, base: float) -> None:
        self.base = base

    def __call__(self, epoch: float) -> float:
        return self.base**-epoch


def test_state_of_callable_objects_is_kept() -> None:
    state = lr_scheduler.LambdaLR(make(lr=1.0), [Power(4.0), lambda e: 1.0]).state_dict()
    assert state["lr_lambdas"] == [{"base": 4.0}, None]
    optimizer = make(lr=1.0)
    other = lr_scheduler.LambdaLR(optimizer, Power(2.0))
    other.load_state_dict(state)
    assert run(optimizer, other, 2) == [1.0, 0.25]
    cyclic = lr_scheduler.CyclicLR(make(), 0.1, 0.2, scale_fn=Power(3.0))
    assert cyclic.state_dict()["_scale_fn_custom"] == {"base": 3.0}
    assert lr_scheduler.CyclicLR(make(), 0.1, 0.2, scale_fn=lambda x: 1.0).state_dict()["_scale_fn_custom"] is None


def test_epoch_argument_takes_the_closed_form() -> None:
    cases: list[tuple[str, dict[str, Any], float]] = [
        ("StepLR", {"step_size": 2}, 0.1**3),
        ("MultiStepLR", {"milestones": [1, 5, 5]}, 0.1**3),
        ("ConstantLR", {"factor": 0.5}, 1.0),
        ("LinearLR", {"total_iters": 12}, 1 / 3 + 2 / 3 * 7 / 12),
        ("ExponentialLR", {"gamma": 0.5}, 0.5**7),
        ("PolynomialLR", {"total_iters": 14, "power": 2.0}, 0.25),
        ("CosineAnnealingLR", {"T_max": 14}, 0.5),
    ]
    for name, options, expected in cases:
        optimizer = make(lr=1.0)
        scheduler = getattr(lr_scheduler, name)(optimizer, **options)
        optimizer.step()
        with pytest.warns(UserWarning, match="The epoch parameter in `scheduler.step\\(\\)` was not necessary"):
            scheduler.step(7)
        assert scheduler.get_last_lr()[0] == pytest.approx(expected), name


def test_warm_restarts_at_fractions_of_an_epoch() -> None:
    optimizer = make(lr=1.0)
    scheduler = lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 2, 2)
    for epoch, expected in ((0.5, 0.853553), (2.0, 1.0), (4.0, 0.5), (6.0, 1.0)):
        scheduler.step(epoch)
        assert scheduler.get_last_lr()[0] == pytest.approx(expected, abs=1e-6)
    with pytest.raises(ValueError, match="Expected non-negative epoch, but got -1"):
        scheduler.step(-1)


def test_plateau() -> None:
    optimizer = make(lr=1.0)
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, patience=1, cooldown=1, factor=0.5, min_lr=[0.3, 0.0])
    trail = []
    for metric in (1.0, 2.0, 2.0, 2.0, 2.0, torch.tensor(2.0), 0.1, 5.0, 5.0, 5.0):
        scheduler.step(metric)
        trail.append((*scheduler.get_last_lr(), scheduler.in_cooldown))
    assert trail == [
        (1.0, 1.0, False),
        (1.0, 1.0, False),
        (0.5, 0.5, True),
        (0.5, 0.5, False),
        (0.5, 0.5, False),
        (0.3, 0.25, True),
        (0.3, 0.25, False),
        (0.3, 0.25, False),
        (0.3, 0.125, True),
        (0.3, 0.125, False),
    ]
    assert scheduler.best == 0.1 and scheduler.last_epoch == 10


@pytest.mark.parametrize(
    ("options", "metrics", "bad"),
    [
        ({"mode": "max", "threshold_mode": "abs", "threshold": 0.5}, (1.0, 1.5, 1.6), 0),
        ({"mode": "max", "threshold": 0.5}, (1.0, 1.5, 1.51), 0),
        ({"mode": "min", "threshold_mode": "abs", "threshold": 0.5}, (1.0, 0.6, 0.5), 2),
        ({"mode": "min", "threshold": 0.5}, (1.0, 0.6, 0.49), 0),
    ],
)
def test_plateau_thresholds(options: dict[str, Any], metrics: tuple[float, ...], bad: int) -> None:
    scheduler = lr_scheduler.ReduceLROnPlateau(make(), **options)
    for metric in metrics:
        scheduler.step(metric)
    assert scheduler.num_bad_epochs == bad


def test_plateau_with_a_group_added_later() -> None:
    for min_lr, message in ((0.2, None), ([0.2, 0.2], "The number of param groups in the `optimizer` \\(3\\) differs")):
        optimizer = make(lr=1.0)
        scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, min_lr=min_lr)
        optimizer.add_param_group({"params": torch.ones(1).requires_grad_(True)})
        scheduler.step(1.0)
        if message is None:
            scheduler.step(2.0)
            assert scheduler.get_last_lr() == [0.2] * 3
        else:
            with pytest.raises(RuntimeError, match=message):
                scheduler.step(2.0)


def test_sequence_and_chain() -> None:
    optimizer = make(lr=1.0)
    warm = lr_scheduler.LinearLR(optimizer, start_factor=0.5, total_iters=2)
    nested = lr_scheduler.SequentialLR(optimizer, [warm, lr_scheduler.StepLR(optimizer, 1, gamma=0.5)], [3])
    last = lr_scheduler.ExponentialLR(optimizer, 0.8)
    with pytest.warns(UserWarning, match="Detected call of"):  # PyTorch steps a nested one twice, too
        scheduler = lr_scheduler.SequentialLR(optimizer, [nested, last], [5])
    state = scheduler.state_dict()
    assert len(state["_schedulers"]) == 2 and "optimizer" not in state
    assert run(optimizer, scheduler, 7) == pytest.approx([0.5, 0.75, 1.0, 0.5, 0.25, 1.0, 0.8])
    optimizer = make(lr=1.0)
    parts = [lr_scheduler.ConstantLR(optimizer, 0.5, total_iters=2), lr_scheduler.ExponentialLR(optimizer, 0.5)]
    chained = lr_scheduler.ChainedScheduler(parts, optimizer)
    assert run(optimizer, chained, 4) == [0.5, 0.25, 0.25, 0.125]


def test_tensor_rates_are_written_in_place() -> None:
    lr = torch.tensor(0.5)
    optimizer = make(lr=lr)
    scheduler = lr_scheduler.ExponentialLR(optimizer, 0.5)
    run(optimizer, scheduler, 1)
    assert lr.item() == 0.25
    assert scheduler.get_last_lr()[0] is not lr


def test_warning_about_the_order() -> None:
    optimizer = make()
    scheduler = lr_scheduler.StepLR(optimizer, 2)
    with pytest.warns(UserWarning, match=r"Detected call of `lr_scheduler\.step\(\)` before `optimizer\.step\(\)`"):
        scheduler.step()
    optimizer = make()
    scheduler = lr_scheduler.StepLR(optimizer, 2)
    optimizer.step = lambda: None
    with pytest.warns(UserWarning, match=r"`optimizer\.step\(\)` has been overridden after learning rate scheduler"):
        scheduler.step()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optimizer = make()
        run(optimizer, lr_scheduler.StepLR(optimizer, 2), 3)


def test_get_lr_is_not_for_the_user() -> None:
    scheduler = lr_scheduler.StepLR(make(), 2)
    with pytest.warns(UserWarning, match=r"please use `get_last_lr\(\)`"):
        scheduler.get_lr()


ERRORS: list[tuple[type[Exception], str, Any]] = [
    (TypeError, "int is not an Optimizer", lambda s, o: s.StepLR(1, 2)),
    (KeyError, "param 'initial_lr' is not specified in param_groups[0]", lambda s, o: s.StepLR(o, 2, last_epoch=3)),
    (ValueError, "Expected 2 lr_lambdas, but got 1", lambda s, o: s.LambdaLR(o, [abs])),
    (TypeError, "lr_lambda should be a function, but got int", lambda s, o: s.MultiplicativeLR(o, [1, 2])),
    (ValueError, "Constant multiplicative factor expected to be between 0 and 1.", lambda s, o: s.ConstantLR(o, 2)),
    (ValueError, "Starting multiplicative factor expected to be greater than 0", lambda s, o: s.LinearLR(o, 0)),
    (ValueError, "Ending multiplicative factor expected to be between 0 and 1.", lambda s, o: s.LinearLR(o, 1, 2)),
    (ValueError, "SequentialLR expects at least one scheduler", lambda s, o: s.SequentialLR(o, [], [])),
    (TypeError, "SequentialLR at index 0 should have `optimizer`", lambda s, o: s.SequentialLR(o, [1], [])),
    (ValueError, "number of schedulers 1 and", lambda s, o: s.SequentialLR(o, [s.StepLR(o, 1)], [3])),
    (ValueError, "does not support `ReduceLROnPlateau`", lambda s, o: s.ChainedScheduler([s.ReduceLROnPlateau(o)])),
    (ValueError, "belong to the same optimizer", lambda s, o: s.SequentialLR(o, [s.StepLR(make(), 1)], [])),
    (ValueError, "at least one scheduler to be chained", lambda s, o: s.ChainedScheduler([])),
    (ValueError, "mode x is unknown!", lambda s, o: s.ReduceLROnPlateau(o, "x")),
    (ValueError, "threshold mode x is unknown!", lambda s, o: s.ReduceLROnPlateau(o, threshold_mode="x")),
    (ValueError, "Factor should be < 1.0.", lambda s, o: s.ReduceLROnPlateau(o, factor=1)),
    (ValueError, "expected 2 min_lrs, got 1", lambda s, o: s.ReduceLROnPlateau(o, min_lr=[1])),
    (ValueError, "mode is invalid and scale_fn is None", lambda s, o: s.CyclicLR(o, 0.1, 0.2, mode="x")),
    (ValueError, "base_lr must have the same length as optimizer.param_groups.", lambda s, o: s.CyclicLR(o, [1], 2)),
    (ValueError, "Expected positive integer total_steps, but got 0", lambda s, o: s.OneCycleLR(o, 0.1, 0)),
    (ValueError, "You must define either total_steps OR", lambda s, o: s.OneCycleLR(o, 0.1)),
    (ValueError, "Expected float between 0 and 1 pct_start", lambda s, o: s.OneCycleLR(o, 0.1, 5, pct_start=2.0)),
    (ValueError, "instead got x", lambda s, o: s.OneCycleLR(o, 0.1, 5, anneal_strategy="x")),
    (ValueError, "Tried to step 4 times.", lambda s, o: run(o, s.OneCycleLR(o, 0.1, 3), 5)),
    (ValueError, "Expected positive integer T_0, but got 0", lambda s, o: s.CosineAnnealingWarmRestarts(o, 0)),
    (ValueError, "Expected integer T_mult >= 1, but got 0", lambda s, o: s.CosineAnnealingWarmRestarts(o, 1, 0)),
]


@pytest.mark.parametrize(("error", "message", "act"), ERRORS)
def test_errors(error: type[Exception], message: str, act: Any) -> None:
    with pytest.raises(error) as caught:
        act(lr_scheduler, make())
    assert message in str(caught.value.args[0])


def test_momentum_is_needed_to_cycle_it() -> None:
    optimizer = optim.Adagrad([torch.ones(1).requires_grad_(True)])
    for build in (
        lambda: lr_scheduler.CyclicLR(optimizer, 0.1, 0.2),
        lambda: lr_scheduler.OneCycleLR(optimizer, 0.1, 5),
    ):
        with pytest.raises(ValueError, match="optimizer must support momentum or beta1 with `cycle_momentum`"):
            build()
    adam = optim.Adam([torch.ones(1).requires_grad_(True)])
    lr_scheduler.OneCycleLR(adam, 0.1, 5)
    assert adam.param_groups[0]["betas"] == (0.95, 0.999)


# ---- averages of weights ------------------------------------------------------------


def net() -> Any:
    nn = torch.nn
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    with torch.no_grad():
        for p in model.parameters():
            p.fill_(1.0)
    return model


@pytest.mark.parametrize("kind", ["mean", "multi mean", "ema", "multi ema"])
def test_averaged_model(kind: str) -> None:
    swa = optim.swa_utils
    options: dict[str, Any] = {
        "mean": {},
        "multi mean": {"multi_avg_fn": swa.get_swa_multi_avg_fn()},
        "ema": {"avg_fn": swa.get_ema_avg_fn(0.75)},
        "multi ema": {"multi_avg_fn": swa.get_ema_multi_avg_fn(0.75)},
    }[kind]
    model = net()
    average = swa.AveragedModel(model, **options)
    for value in (2.0, 4.0, 9.0):
        with torch.no_grad():
            for p in model.parameters():
                p.fill_(value)
        average.update_parameters(model)
    expected = 5.0 if "mean" in kind else 0.75 * (0.75 * 2 + 0.25 * 4) + 0.25 * 9
    for p in average.parameters():
        assert p.flatten().tolist() == pytest.approx([expected] * p.numel())
    assert average.n_averaged.item() == 3
    assert next(iter(average.state_dict())) == "n_averaged"


def test_averages_refuse_bad_options() -> None:
    swa = optim.swa_utils
    with pytest.raises(ValueError, match=r"^Invalid decay value 2 provided\."):
        swa.get_ema_avg_fn(2)
    with pytest.raises(AssertionError, match="Only one of avg_fn and multi_avg_fn should be provided"):
        swa.AveragedModel(net(), avg_fn=swa.get_swa_avg_fn(), multi_avg_fn=swa.get_swa_multi_avg_fn())
    with pytest.raises(ValueError, match="anneal_strategy must be one of 'cos' or 'linear', instead got x"):
        swa.SWALR(make(), 0.1, anneal_strategy="x")
    with pytest.raises(ValueError, match="anneal_epochs must be equal or greater than 0, got -1"):
        swa.SWALR(make(), 0.1, anneal_epochs=-1)


def test_update_bn_sets_the_mean_over_all_batches() -> None:
    model = net().eval()
    batches = [(torch.tensor([[0.0, 1.0], [2.0, 3.0]]), "label"), (torch.tensor([[4.0, 5.0], [6.0, 7.0]]), "label")]
    optim.swa_utils.update_bn(batches, model)
    assert model[1].running_mean.tolist() == pytest.approx([8.0, 8.0])
    assert model[1].momentum == 0.1 and not model.training


def test_swa_rates() -> None:
    optimizer = make(lr=1.0)
    scheduler = optim.swa_utils.SWALR(optimizer, [0.2, 0.4], anneal_epochs=2, anneal_strategy="linear")
    assert run(optimizer, scheduler, 4) == pytest.approx([1.0, 0.6, 0.2, 0.2])
    assert scheduler.get_last_lr() == pytest.approx([0.2, 0.4])
    optimizer = make(lr=1.0)
    assert run(optimizer, optim.swa_utils.SWALR(optimizer, 0.2, 2), 3) == pytest.approx([1.0, 0.6, 0.2])
