"""``pytest --costs``: which files and tests take how many seconds of a processor, those of their child processes too.

Unlike the time of the clock, these seconds say the same on a loaded machine, and their sum is what the suite costs.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

SHOWN = 25


def spent() -> float:
    """Seconds that this process and its children that have ended took of a processor."""
    t = os.times()
    return t.user + t.system + t.children_user + t.children_system


class Costs:
    """Marks each report with what was spent since the one before, and adds the marks up where reports come together."""

    def __init__(self, file: str | None) -> None:
        self.file = file
        self.before = 0.0  # what a process spent before its first test: imports and collection
        self.last = 0.0
        self.starts: list[float] = []
        self.tests: dict[str, float] = defaultdict(float)

    def pytest_collection_finish(self) -> None:
        self.before = self.last = spent()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Iterator[None]:
        report: Any = yield
        seconds = spent()
        report.costs, self.last = seconds - self.last, seconds
        return report

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.tests[report.nodeid] += getattr(report, "costs", 0.0)  # a process that crashed made no report itself

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput["costs"] = self.before
        elif not self.starts:
            self.starts.append(self.before)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        if hasattr(node, "workeroutput"):  # else it has crashed
            self.starts.append(node.workeroutput["costs"])

    def pytest_terminal_summary(self, terminalreporter: Any, config: pytest.Config) -> None:
        if hasattr(config, "workerinput"):
            return
        files: dict[str, float] = defaultdict(float)
        for name, seconds in self.tests.items():
            files[name.split("::")[0]] += seconds
        say = terminalreporter.write_line
        terminalreporter.section("processor seconds")
        starts = " + ".join(f"{s:.1f}" for s in self.starts)
        say(f"{sum(files.values()):.1f} in {len(self.tests)} tests of {len(files)} files; before the first {starts}")
        for title, costs in (("file", files), ("test", self.tests)):
            say(f"the dearest {title}s:")
            for name, seconds in sorted(costs.items(), key=lambda c: -c[1])[:SHOWN]:
                say(f"{seconds:8.2f}  {name}")
        if self.file:
            with open(self.file, "w", encoding="utf-8") as f:
                json.dump({"starts": self.starts, "tests": self.tests}, f, indent=1)
