"""The benchmarks measure what they say: workloads run, operations are counted, differences are found."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import flambeau as torch
from benchmarks import measuring, networks, report
from benchmarks.everyday import LOOPS
from benchmarks.loops import timed
from benchmarks.steps import Side, Step, Workload, flops_of
from benchmarks.workloads import all_workloads, lenets, operators, perceptrons


def test_names_are_unique_and_titles_too() -> None:
    rows = all_workloads()
    assert len({w.name for w in rows}) == len({w.title for w in rows}) == len(rows)


def test_operations_of_lenet() -> None:
    conv1, conv2, linear = 6 * 28 * 28 * 25, 16 * 10 * 10 * 150, 400 * 120 + 120 * 84 + 84 * 10
    make = lambda torch: (networks.lenet(torch, "003"), torch.zeros(1, 1, 32, 32))  # noqa: E731
    assert flops_of(make, False) == 2 * (conv1 + conv2 + linear)
    assert flops_of(make, True) == 2 * (2 * conv1 + 3 * conv2 + 3 * linear)  # no gradient of the image


def test_operations_of_lstm() -> None:
    make = lambda torch: (torch.nn.LSTM(8, 16, 2, batch_first=True), torch.zeros(3, 5, 8))  # noqa: E731
    assert flops_of(make, False) == 2 * 3 * 5 * 64 * (8 + 16 + 16 + 16)


def test_losses_fall_in_training() -> None:
    [workload] = [w for w in perceptrons() if w.name == "mlp-20"]
    step = workload.make(Side(torch))
    losses = [step.run() for _ in range(40)]
    assert np.mean(losses[-4:]) < np.mean(losses[:4]) - 0.05


def test_a_side_runs_and_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = iter([[0.5], [0.25, 0.125], [0.5, 0.5, 0.5]])
    monkeypatch.setattr(measuring, "TURNS", 3)
    monkeypatch.setattr(measuring, "_turn", lambda run: [run() * 0 + t for t in next(turns)])
    [workload] = [w for w in lenets() if w.name == "lenet-004-inference-1"]
    found = measuring.Sides(workload, []).measure(4, 10.0)["flambeau"]
    assert found.times == [0.5, 0.25, 0.125, 0.5, 0.5, 0.5] and found.least == 0.125 and found.first > 0
    row = report.row(workload, 1, {"flambeau": found})
    assert row["sides"]["flambeau"]["steps"] == 6 and report.agreement(row) == "not compared"


def test_a_turn_times_steps_one_by_one() -> None:
    calls: list[int] = []
    times = measuring._turn(lambda: calls.append(0))
    assert len(calls) > len(times) > 0 and all(t >= 0 for t in times)  # the first do not count


def test_an_operator_shows_its_whole_result() -> None:
    [workload] = [w for w in operators() if w.name == "softmax-512"]
    output = workload.make(Side(torch)).output
    assert output is not None
    np.testing.assert_allclose(output().sum(-1), 1, rtol=1e-5)


def test_other_numbers_are_found() -> None:
    expected = np.array([1.0, 2.0, 0.001, 4.0])
    assert measuring.difference(expected, expected) == 0
    assert measuring.difference(expected + [0, 0, 0.001, 0], expected) == pytest.approx(1)
    assert measuring.difference(np.full(4, np.nan), expected) == np.inf
    assert measuring.difference(expected[:3], expected) == np.inf


def test_a_side_that_fails_is_told() -> None:
    def fail(side: Side) -> Step:
        raise ValueError("no such luck")

    workload = Workload("x", "a workload", fail)
    row = report.row(workload, 1, measuring.Sides(workload, []).measure(1, 1.0))
    assert report.differs(row)
    assert "failed: ValueError: no such luck" in report.text(row, {"flops": 1e9, "bytes": 1e9})


def test_the_table() -> None:
    sides = {"torch": [0.002], "flambeau": [0.001, 0.001]}
    found = {name: measuring.Found(times, 0.25) for name, times in sides.items()}
    row = report.row(Workload("x", "a workload", lambda side: Step(lambda: 0.0), flops=1e6), 2, found)
    table = report.markdown({"rows": [row], "peaks": {"2": {"flops": 1e10, "bytes": 1e10}}})
    assert table.splitlines()[-1] == "| a workload | 2 | 2 | 1 | 2.00 | 0.1 | 250 |"
    assert report.markdown({"rows": [row], "peaks": {}}, headline=True) == "(not measured yet)"


def test_the_peak_is_measured() -> None:
    from flambeau.compiler.cpu.peak import peak

    found = peak(1)
    assert found.flops > 1e8 and found.bytes > 1e8 and found.threads == 1


@pytest.mark.live
def test_pytorch_gives_the_same_numbers() -> None:
    pytest.importorskip("torch")
    rows = [w for w in all_workloads() if w.name in ("lenet-001-training-1", "mlp-20", "softmax-512-backward")]
    measuring.import_peers(["torch"])
    for workload in rows:
        found = measuring.Sides(workload, ["torch"]).found
        assert not found["flambeau"].error and found["flambeau"].difference < 1e-4


def script() -> Any:
    """The script that fills in the tables."""
    path = Path(__file__).resolve().parents[1] / "scripts" / "make_benchmark_table.py"
    spec = importlib.util.spec_from_file_location("make_benchmark_table", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_of_the_documents_are_those_of_the_results() -> None:
    assert script().main(["--check"]) == 0


def test_results_are_merged_and_filled_in() -> None:
    made = script()
    peak = {"flops": 1e9, "bytes": 1e9}
    old = {"rows": [_row("a", 1, torch=3.0, compile=5.0, flambeau=3.0), _row("b", 1, torch=1.0)], "peaks": {"1": peak}}
    new = {"rows": [_row("a", 1, torch=4.0, flambeau=4.0, jax=1.0), _row("a", 4, torch=2.0)], "peaks": {"4": peak}}
    merged = made.merged(made.merged(old, new), {"loaded": [1]})
    assert [(r["name"], r["threads"]) for r in merged["rows"]] == [("a", 1), ("a", 4), ("b", 1)]
    sides = {name: side["min"] for name, side in merged["rows"][0]["sides"].items()}
    assert sides == {"torch": 4.0, "compile": 5.0, "jax": 1.0, "flambeau": 4.0}
    assert list(merged["peaks"]) == ["1", "4"] and merged["loaded"] == [1]
    page = f"head\n{made.BEGIN.format('x')}\nold\n{made.END}\ntail"
    assert made.filled(page, {"x": "new"}, ("x",)) == page.replace("old", "new")
    with pytest.raises(ValueError, match="no place for 'y'"):
        made.filled(page, {"y": ""}, ("y",))


def _row(name: str, threads: int, **least: float) -> dict[str, Any]:
    return {"name": name, "threads": threads, "sides": {side: {"min": value} for side, value in least.items()}}


@pytest.mark.parametrize("name", LOOPS)
def test_everyday_loops_run_and_have_numbers_to_compare(name: str) -> None:
    found = timed(name, "flambeau", 3, torch.get_num_threads())
    assert 0 < found["least"] <= found["median"] and 0 < found["sum"] < np.inf
