"""torch.utils.benchmark: what is measured, its statistics, and its tables, as PyTorch prints them."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest

import flambeau as torch
from flambeau.graph import realisation
from flambeau.utils import benchmark
from flambeau.utils.benchmark import Compare, Measurement, TaskSpec, Timer


def measured(median: float, spread: float = 0.01, **task: Any) -> Measurement:
    times = [median * (1 + spread * k) for k in (-2, -1, 0, 1, 2)]
    return Measurement(10, [10 * t for t in times], TaskSpec(**{"stmt": "f(x)", "setup": "pass", **task}))


def table(kind: Any, **options: bool) -> str:
    """A table of either package: two sub-labels, two descriptions, two numbers of threads."""
    results = []
    cells = itertools.product((1, 2), ("add", "multiply"), ("small", "large"))
    for (threads, name, size), median, spread in zip(
        cells, (3e-6, 5.1e-5, 3.1e-6, 1.2e-4, 2e-6, 3e-5, 9e-6), (0.01, 0.3, 0.02, 0.07, 0.001, 0.0001, 0.01)
    ):
        task = kind.TaskSpec("f(x)", "pass", "", "Arithmetic", name, size, None, threads)
        times = [10 * median * (1 + spread * k) for k in (-2, -1, 0, 1, 2)]
        results.append(kind.Measurement(10, times, task))
    compare = kind.Compare(results)
    for option in options:
        getattr(compare, option)()
    return str(compare)


PLAIN = """\
[-------- Arithmetic --------]
                |  small  |  large
1 threads: -------------------
      add       |   3.0   |   51.0
      multiply  |   3.1   |  120.0
2 threads: -------------------
      add       |   2.0   |   30.0
      multiply  |   9.0   |       \n
Times are in microseconds (us).
"""


def test_table() -> None:
    found = [line.rstrip() for line in table(benchmark).splitlines()]
    assert re.sub("-+", "-", "\n".join(found)) == re.sub("-+", "-", PLAIN.replace(" " * 7 + "\n", "\n")).rstrip()


OPTIONS = ("trim_significant_figures", "colorize", "highlight_warnings")


@pytest.mark.live
@pytest.mark.parametrize("chosen", [c for n in range(4) for c in itertools.combinations(OPTIONS, n)])
def test_tables_are_pytorchs(chosen: tuple[str, ...]) -> None:
    pytest.importorskip("torch")
    import torch.utils.benchmark as theirs

    options = dict.fromkeys(chosen, True)
    assert table(benchmark, **options) == table(theirs, **options)


@pytest.mark.live
@pytest.mark.parametrize("spread", [0.001, 0.06, 0.2])
@pytest.mark.parametrize("median", [3.21e-8, 4.5e-6, 7e-3, 12.0])
def test_measurements_are_pytorchs(median: float, spread: float) -> None:
    pytest.importorskip("torch")
    import torch.utils.benchmark as theirs

    for stmt, label, times in (("f(x)", "L", 5), ("a\nb", None, 1)):
        texts, numbers = [], []
        for kind in (benchmark, theirs):
            raw = [median * (1 + spread * k) for k in range(times)]
            task = kind.TaskSpec(stmt, "x = 1\ny = 2", "", label, "S", "D", "E", 2)
            found = kind.Measurement(1, raw, task)
            texts.append(repr(found).partition("\n")[2])
            numbers.append((found.significant_figures, found.has_warnings, found.as_row_name, found.title))
        assert texts[0] == texts[1] and numbers[0] == numbers[1]


def test_measurement() -> None:
    found = measured(2e-6, 0.2, label="L", sub_label="S", num_threads=2)
    assert (found.median, found.mean) == (pytest.approx(2e-6), pytest.approx(2e-6))
    assert found.iqr == pytest.approx(0.8e-6) and found.has_warnings and found.num_threads == 2
    lines = repr(found).splitlines()
    assert lines[1:3] == ["L: S", "  Median: 2.00 us"]
    assert lines[3] == "  IQR:    0.80 us (1.60 to 2.40)"
    assert lines[4] == "  5 measurements, 10 runs per measurement, 2 threads"
    assert lines[5] == "  WARNING: Interquartile range is 40.0% of the median measurement."
    (merged,) = Measurement.merge([measured(1e-6), measured(3e-6)])
    assert merged.number_per_run == 1 and len(merged.times) == 10
    with pytest.raises(AttributeError, match="'Measurement' object has no attribute 'no'"):
        _ = found.no


def test_a_statement_is_computed_each_time() -> None:
    x = torch.ones(4)
    realisation.realise()
    before = realisation.counters["realisations"]
    found = Timer("x + 1", globals={"x": x}).timeit(50)
    assert realisation.counters["realisations"] - before == 52  # two to warm up
    assert found.number_per_run == 50 and found.median > 0
    before = realisation.counters["realisations"]
    Timer("y = x * 2\nz = y + 1", "x = torch.ones(3)").timeit(10)
    assert realisation.counters["realisations"] - before >= 12


def test_automatic_numbers_of_runs() -> None:
    seen: list[tuple[int, float]] = []
    timer = Timer("sum(range(100))", label="sum", num_threads=1)
    found = timer.blocked_autorange(lambda number, time: seen.append((number, time)), min_run_time=0.02)
    assert found.number_per_run == seen[0][0] and found.raw_times == [time for _, time in seen]
    assert sum(found.raw_times) >= 0.02 and found.number_per_run >= 10
    found = timer.adaptive_autorange(threshold=10.0, min_run_time=0.001)
    assert len(found.raw_times) >= 4
    threads = torch.get_num_threads()
    Timer("pass", num_threads=3).timeit(1)
    assert torch.get_num_threads() == threads


WRONG: list[tuple[Any, type[Exception], str]] = [
    (lambda: Timer(print), ValueError, "Currently only a `str` stmt is supported."),
    (lambda: Timer(language="x"), ValueError, "Invalid language `x`."),
    (lambda: Timer(language="cpp"), NotImplementedError, "flambeau has no C\\+\\+ interface"),
    (lambda: Timer(global_setup="x"), ValueError, "global_setup is C\\+\\+ only, got `x`"),
    (lambda: Timer().repeat(), NotImplementedError, "See `Timer.blocked_autorange.`"),
    (lambda: Timer().collect_callgrind(), NotImplementedError, "flambeau counts no instructions"),
    (lambda: Compare([1]), ValueError, "Expected an instance of `Measurement`, got <class 'int'> instead."),
]


@pytest.mark.parametrize(("call", "error", "message"), WRONG)
def test_wrong_arguments_are_refused(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
