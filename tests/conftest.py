"""Every program that a test builds is verified, and every value it computes has the shape and dtype it says.

Programs run on the NumPy executor, which needs no compilation, unless FLAMBEAU_EXECUTOR says ``native`` or a test asks
for the fixture ``native_code``. Native programs are compiled at once; with ``FLAMBEAU_EXECUTOR=tiers`` they run in the
first tier too, and the bits are compared. Functions have no twins, unless FLAMBEAU_TWINS says ``now``,
and nothing is compiled beside the process, but where a test is about that.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("FLAMBEAU_TIER", "compiled")  # also for new processes
os.environ.setdefault("FLAMBEAU_TWINS", "off")
os.environ.setdefault("FLAMBEAU_ASIDE", "off")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy's products are small here: more threads wait for one another
import _costs
import _thorough
import _two_tiers as two_tiers
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from flambeau import _collector, _execution, random
from flambeau.compiler import numpy as reference
from flambeau.compiler.cpu import stored
from flambeau.compiler.cpu.disk import Disk
from flambeau.compiler.ir import Value
from flambeau.compiler.verifier import verify
from flambeau.graph import realisation
from flambeau.ops import _overriding

sys.path.append(str(Path(__file__).parents[1]))  # for the benchmarks, which are not installed


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--costs", action="store_true", help="say how many processor seconds files and tests took")
    parser.addoption("--costs-file", metavar="FILE", help="the same of all tests, as JSON")


def pytest_configure(config: pytest.Config) -> None:
    _thorough.asked[0] = "search" in (config.option.markexpr or "")
    if config.getoption("--costs") or config.getoption("--costs-file"):
        config.pluginmanager.register(_costs.Costs(config.getoption("--costs-file")))


def verified(build: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A builder of programs that looks at what it built."""

    def checked(roots: Any) -> Any:
        program = build(roots)
        verify(program.function)
        for value, t in zip(program.function.outputs, program.outputs, strict=True):
            assert (value.shape, value.dtype) == (t.shape, t.dtype), f"{value!r} for an output of {t}"
        return program

    return checked


def as_declared(kind: Callable[..., Any]) -> Callable[..., Any]:
    """A primitive's implementation that looks at the array it made."""

    def checked(v: Value, *args: Any) -> Any:
        found = kind(v, *args)
        if not isinstance(found, (tuple, list)):
            array = found if type(found) is np.ndarray else np.asarray(found)
            assert array.shape == v.shape and array.dtype == v.dtype.compute, repr(v)
        return found

    return checked


@pytest.fixture
def native_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs run as native code, and are the test's own: what tests before it have left pending is computed."""
    realisation.realise()
    monkeypatch.setattr(realisation, "executor", [_execution.run_compiled])
    realisation.forget()


def pytest_collection_finish() -> None:
    """Collections leave out the tests themselves: to look through so many objects takes half a second each time."""
    given(st.none())(lambda _: None)()  # Hypothesis makes a generator and looks for its owner, who must not be left out
    _collector.take_back()
    gc.collect()
    gc.freeze()


@pytest.fixture
def small_heap() -> None:
    """Collections look at what the test makes alone."""
    gc.collect()
    gc.freeze()


stored.store = lambda: Disk(None)  # tests change how programs are planned
if os.environ.get("FLAMBEAU_EXECUTOR") == "tiers":
    realisation.executor[:] = [two_tiers.run]
elif os.environ.get("FLAMBEAU_EXECUTOR") != "native":
    realisation.executor[:] = [_execution.run_on_numpy]


@pytest.fixture(autouse=True, scope="session")
def every_program_is_verified() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(realisation, "build", verified(realisation.build))
        for name, kind in reference._KINDS.items():
            patch.setitem(reference._KINDS, name, as_declared(kind))
        yield


@pytest.fixture(autouse=True)
def what_ran_before_changes_nothing() -> None:
    """Random numbers begin anew, and nodes are not so many that all are forgotten in the midst of the test."""
    random.manual_seed(0)
    if realisation.recorded() > realisation.MAX_NODES // 2:
        realisation.finish()
        realisation.forget()


@pytest.fixture(autouse=True)
def no_class_answers_calls_of_the_next_test() -> Iterator[None]:
    """Functions ask for ``__torch_function__`` from the first tensor of a subclass on: not beyond a test."""
    yield
    _overriding.deactivate("classes")


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process is as if it had had one thread, whatever tests ran before: with several, recording takes turns."""
    from flambeau.graph import epoch

    for field, value in (("alone", True), ("deferring", True), ("crowded", False)):
        monkeypatch.setattr(epoch.current(), field, value)
