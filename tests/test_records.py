"""Records are what ``typing.NamedTuple`` makes of the same text."""

from __future__ import annotations

import copy
import pickle
from typing import Any, NamedTuple

import pytest

from flambeau._records import Record


class Known(NamedTuple):
    """Python's own."""

    first: int
    second: tuple[int, ...] = ()
    third: str = "c"

    def sum(self) -> int:
        """All numbers."""
        return self.first + sum(self.second)

    @property
    def again(self) -> Any:
        """The same with another name."""
        return self._replace(third="again")


class Made(Record):
    """Ours."""

    first: int
    second: tuple[int, ...] = ()
    third: str = "c"

    def sum(self) -> int:
        """All numbers."""
        return self.first + sum(self.second)

    @property
    def again(self) -> Any:
        """The same with another name."""
        return self._replace(third="again")


def test_values_and_methods_are_those_of_named_tuples() -> None:
    for given, named in (((1,), {}), ((1, (2, 3)), {}), ((1,), {"third": "x"}), ((), {"second": (4,), "first": 2})):
        known, made = Known(*given, **named), Made(*given, **named)
        assert made == known and hash(made) == hash(known) and repr(made) == repr(known).replace("Known", "Made")
        assert (made.first, made.second, made.third, made.sum()) == (
            known.first,
            known.second,
            known.third,
            known.sum(),
        )
        assert made.again == known.again and type(made.again) is Made
        assert made._asdict() == known._asdict() and Made._make(made) == made
        for other in (copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
            assert type(other) is Made and other == made
    match Made(5):
        case Made(first, second):
            assert (first, second) == (5, ())
    assert Made._fields == Known._fields and Made._field_defaults == Known._field_defaults
    assert Made.__doc__ == "Ours." and Made.__module__ == __name__ and not hasattr(Made(1), "__dict__")


def test_what_named_tuples_refuse_is_refused() -> None:
    def refused(cls: Any) -> list[str]:
        words = []
        calls = (lambda: cls(), lambda: cls(1, (), "", 2), lambda: cls(1, fourth=2), lambda: cls._make([1]),
                 lambda: cls(1)._replace(fourth=2), lambda: setattr(cls(1), "first", 2))  # fmt: skip
        for call in calls:
            with pytest.raises((TypeError, ValueError, AttributeError)) as caught:
                call()
            words.append(f"{caught.type.__name__} {caught.value}".replace(cls.__name__, "_"))
        return words

    assert refused(Made) == refused(Known)
    with pytest.raises(TypeError, match="without a default"):

        class Wrong(Record):
            first: int = 1
            second: int  # type: ignore[misc]
