"""`torch.__version__`: a string that compares as a version."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from flambeau.version import __version__ as _text

__all__ = ["TorchVersion"]

_PATTERN = re.compile(
    r"v?(?P<release>\d+(?:\.\d+)*)[-_.]?(?P<pre>(?:a|b|c|rc|alpha|beta|preview|pre)[-_.]?\d*)?"
    r"(?P<post>[-_.]?post\d*)?(?P<dev>[-_.]?dev\d*)?(?:\+(?P<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?",
    re.IGNORECASE,
)
_PRE = {"alpha": "a", "beta": "b", "c": "rc", "pre": "rc", "preview": "rc"}


def _letter_and_number(text: str) -> tuple[str, int]:
    match = re.fullmatch(r"[-_.]?([a-z]+)[-_.]?(\d*)", text, re.IGNORECASE)
    assert match is not None
    letter = match.group(1).lower()
    return _PRE.get(letter, letter), int(match.group(2) or 0)


def _local_key(local: str | None) -> tuple[tuple[int, int, str], ...]:
    parts = re.split(r"[-_.]", local.lower()) if local else []
    return tuple((1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts)


def _key(text: str) -> tuple[Any, ...] | None:
    """The order of PEP 440: development, pre-release, release, post-release; then the local part. None: no version."""
    match = _PATTERN.fullmatch(text.strip())
    if match is None:
        return None
    release = [int(part) for part in match["release"].split(".")]
    while len(release) > 1 and release[-1] == 0:
        release.pop()
    development = match["dev"] is not None
    if match["pre"]:
        pre = _letter_and_number(match["pre"])
    else:
        pre = ("", 0) if development and not match["post"] else ("zz", 0)
    post = _letter_and_number(match["post"])[1] if match["post"] else -1
    dev = _letter_and_number(match["dev"])[1] if match["dev"] else float("inf")
    return tuple(release), pre, post, dev, _local_key(match["local"])


def _text_of(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Iterable):
        return ".".join(str(item) for item in value)
    raise ValueError(f"can't compare a version with {value!r}")


class TorchVersion(str):
    """A version string that also compares with tuples and with other version strings.

    `TorchVersion("1.10.0") > (1, 2)` and `> "1.9"` are true. Where the other side is no version (`"parrot"`),
    the comparison is that of strings.
    """

    def _compare(self, other: Any, order: Callable[[Any, Any], bool]) -> bool:
        text = _text_of(other)
        ours, theirs = _key(self), _key(text)
        if ours is None or theirs is None:
            return order(str(self), text)
        return order(ours, theirs)

    def __gt__(self, other: Any) -> bool:
        return self._compare(other, lambda a, b: a > b)

    def __lt__(self, other: Any) -> bool:
        return self._compare(other, lambda a, b: a < b)

    def __ge__(self, other: Any) -> bool:
        return self._compare(other, lambda a, b: a >= b)

    def __le__(self, other: Any) -> bool:
        return self._compare(other, lambda a, b: a <= b)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (str, Iterable)):
            return False
        return self._compare(other, lambda a, b: a == b)

    __hash__ = str.__hash__


__version__ = TorchVersion(_text)
