"""Tables of measurements (`torch.utils.benchmark.utils.compare`)."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Sequence

from . import common
from .common import Measurement

__all__ = ["Colorize", "Compare"]

_BEST, _GOOD, _BAD, _VERY_BAD, _BOLD, _END = "\033[92m", "\033[34m", "\033[2m\033[91m", "\033[31m", "\033[1m", "\033[0m"

_Cell = Measurement | None
_RowKey = tuple[int, str | None, str]


class Colorize(enum.Enum):
    """What the colours of a table compare."""

    NONE = "none"
    COLUMNWISE = "columnwise"
    ROWWISE = "rowwise"


class Compare:
    """Tables of measurements: one for each label, with a row a sub-label and a column a description.

    Args:
        results: measurements; those of one task are merged.

    Raises:
        ValueError: one of them is no measurement.
    """

    def __init__(self, results: Iterable[Measurement]) -> None:
        self._results: list[Measurement] = []
        self.extend_results(results)
        self._trim = False
        self._colorize = Colorize.NONE
        self._highlight = False

    def extend_results(self, results: Iterable[Measurement]) -> None:
        """Adds measurements.

        Raises:
            ValueError: one of them is no measurement.
        """
        results = list(results)
        for result in results:
            if not isinstance(result, Measurement):
                raise ValueError(f"Expected an instance of `Measurement`, got {type(result)} instead.")
        self._results.extend(results)

    def trim_significant_figures(self) -> None:
        """Shows only figures that are sure."""
        self._trim = True

    def colorize(self, rowwise: bool = False) -> None:
        """Colours fast and slow entries of a column, or of a row."""
        self._colorize = Colorize.ROWWISE if rowwise else Colorize.COLUMNWISE

    def highlight_warnings(self) -> None:
        """Shows the spread of entries where it is suspect."""
        self._highlight = True

    def print(self) -> None:
        """Prints the tables."""
        print(str(self))

    def __str__(self) -> str:
        groups: dict[str | None, list[Measurement]] = {}
        for result in Measurement.merge(self._results):
            groups.setdefault(result.label, []).append(result)
        return "\n".join(
            _Table(group, self._colorize, self._trim, self._highlight).render() for group in groups.values()
        )


class _Column:
    """How the numbers of a column are written."""

    def __init__(self, cells: Sequence[_Cell], scale: float, trim: bool, highlight: bool) -> None:
        found = [m for m in cells if m is not None]
        self.scale, self.trim = scale, trim
        self.highlight = highlight and any(m.has_warnings for m in found)
        digits = [math.ceil(math.log10(m.median / scale)) for m in found]
        decimals = min(max(m.significant_figures - d, 0) for m, d in zip(found, digits)) if trim else 1
        width = max(digits) + decimals + bool(decimals)
        self.template = f"{{:>{width}.{decimals}f}}{{:>{7 if self.highlight else 0}}}"

    def text(self, m: _Cell) -> str:
        """An entry of the column; blanks of its width where there is none."""
        if m is None:
            return " " * len(self._written(1.0, 1, None))
        spread = m.iqr / m.median if m.has_warnings else None
        return self._written(m.median / self.scale, m.significant_figures, spread)

    def _written(self, value: float, figures: int, spread: float | None) -> str:
        value = common.trim_sigfig(value, figures) if self.trim else value
        shown = f" (! {spread * 100:.0f}%)" if self.highlight and spread is not None else ""
        return self.template.format(value, shown)


class _Table:
    """The measurements of one label."""

    def __init__(self, results: list[Measurement], colorize: Colorize, trim: bool, highlight: bool) -> None:
        self.results, self.colorize, self.highlight = results, colorize, highlight
        self.unit, scale = common.select_unit(min(r.median for r in results))
        self.row_keys: list[_RowKey] = common.ordered_unique(_row_key(r) for r in results)
        self.row_keys.sort(key=lambda key: key[:2])
        self.column_keys = common.ordered_unique(r.description for r in results)
        places = {(_row_key(r), r.description): r for r in results}
        self.cells = [[places.get((row, column)) for column in self.column_keys] for row in self.row_keys]
        self.columns = [_Column(column, scale, trim, highlight) for column in zip(*self.cells)]

    def render(self) -> str:
        """The table as text."""
        texts = [["", *(key or "" for key in self.column_keys)]]
        for name, row in zip(self._names(), self.cells):
            texts.append([name, *(column.text(m) for column, m in zip(self.columns, row))])
        widths = [max(map(len, column)) for column in zip(*texts)]
        lines = ["  |  ".join(text.center(width) for text, width in zip(texts[0], widths))]
        overall, threads = len(lines[0]), None
        for key, row, text in zip(self.row_keys, self.cells, texts[1:]):
            if key[0] != threads:
                threads = key[0]
                lines.append(f"{threads} threads: ".ljust(overall, "-"))
            lines.append("  |  ".join(self._coloured(key, row, text, widths)))
        head = f"[{(' ' + (self.results[0].label or '') + ' ').center(overall - 2, '-')}]"
        lines = [head, *lines, "", f"Times are in {common.unit_to_english(self.unit)}s ({self.unit})."]
        if self.highlight and any(r.has_warnings for r in self.results):
            lines.append("(! XX%) Measurement has high variance, where XX is the IQR / median * 100.")
        return "\n".join([*lines, ""])

    def _names(self) -> list[str]:
        """The names of the rows, with the environment where it changes, if there are several."""
        environments = {r.env or "" for r in self.results}
        width = max(map(len, environments)) if len(environments) > 1 else 0
        names, before = [], (0, "")
        for threads, env, name in self.row_keys:
            shown = len(environments) > 1 and (threads, env) != (before[0], before[1])
            names.append("  " + (f"({env})" if shown else "").ljust(width + 4) + name)
            before = threads, env or ""
        return names

    def _coloured(self, key: _RowKey, row: Sequence[_Cell], text: Sequence[str], widths: Sequence[int]) -> list[str]:
        parts = [text[0].ljust(widths[0])]
        for j, m in enumerate(row):
            part = text[j + 1].center(widths[j + 1])
            parts.append(part if m is None else self._marked(part, m, self._best(key, row, j)))
        return parts

    def _best(self, key: _RowKey, row: Sequence[_Cell], j: int) -> float:
        """The time that an entry is compared with: the best of its row, or of its column on as many threads."""
        if self.colorize is Colorize.COLUMNWISE:
            row = [cells[j] for other, cells in zip(self.row_keys, self.cells) if other[0] == key[0]]
        return min(m.median for m in row if m is not None)

    def _marked(self, part: str, m: Measurement, best: float) -> str:
        value = m.median
        if self.colorize is Colorize.NONE:
            return part
        if value <= best * 1.01 or value <= best + 100e-9:
            return f"{_BEST}{_BOLD}{part}{_END}{_END}"
        if value <= best * 1.1:
            return f"{_GOOD}{_BOLD}{part}{_END}{_END}"
        if value >= best * 5:
            return f"{_VERY_BAD}{_BOLD}{part}{_END}{_END}"
        return f"{_BAD}{part}{_END}{_END}" if value >= best * 2 else part


def _row_key(m: Measurement) -> _RowKey:
    return m.num_threads, m.env, m.as_row_name
