"""Named tuples with types, as ``typing.NamedTuple`` makes them, but sooner: starting makes fifty such classes.

That one evaluates each annotation and compiles a function for each class, 0.1 to 0.2 ms together. Here the function is
compiled when a class makes its first tuple, annotations stay texts, and a class takes a tenth of that.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import NamedTuple as Record
else:
    from collections import _tuplegetter

    _UNEXPECTED = TypeError if sys.version_info >= (3, 13) else ValueError  # what namedtuple raises

    class _Making(type):
        """What makes the classes: tuples, whose own class is ``type``."""

        def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> type:
            """A class of tuples with the fields of the body."""
            if not bases:
                return super().__new__(cls, name, bases, body)
            fields = tuple(body.get("__annotations__", ()))
            defaults = {field: body[field] for field in fields if field in body}
            if tuple(defaults) != fields[len(fields) - len(defaults) :]:
                raise TypeError(f"{name}: a field without a default follows one with a default")

            def first(owner: type, /, *values: Any, **named: Any) -> Any:
                """Makes a tuple, the first one, and what makes the others."""
                f = made.__new__ = _compiled(made)
                return f(owner, *values, **named)

            body.update({field: _tuplegetter(k, "") for k, field in enumerate(fields)})
            body.setdefault("__slots__", ())
            own = {"_fields": fields, "_field_defaults": defaults, "__match_args__": fields, "__new__": first}
            made = type.__new__(type, name, (tuple,), {**_METHODS, **body, **own})
            return made

    def _compiled(made: type) -> Any:
        """``__new__`` of a class, with arguments for its fields."""
        names = "".join([f"{field}, " for field in made._fields])
        space = {"make": tuple.__new__, "__builtins__": {}, "__name__": made.__module__}
        f = eval(f"lambda owner, {names}: make(owner, ({names}))", space)
        f.__defaults__ = tuple(made._field_defaults.values())
        f.__name__, f.__qualname__ = "__new__", f"{made.__qualname__}.__new__"
        return f

    def _make(cls: type, values: Any) -> Any:
        """A tuple of as many values."""
        found = tuple.__new__(cls, values)
        if len(found) != len(cls._fields):
            raise TypeError(f"Expected {len(cls._fields)} arguments, got {len(found)}")
        return found

    def _replace(self: Any, /, **given: Any) -> Any:
        """The same with other values in some fields."""
        found = self._make(map(given.pop, self._fields, self))
        if given:
            raise _UNEXPECTED(f"Got unexpected field names: {list(given)!r}")
        return found

    def _asdict(self: Any) -> dict[str, Any]:
        """The values by their names."""
        return dict(zip(self._fields, self))

    def _repr(self: Any) -> str:
        values = ", ".join([f"{field}={value!r}" for field, value in zip(self._fields, self)])
        return f"{self.__class__.__name__}({values})"

    def _getnewargs(self: Any) -> tuple[Any, ...]:
        """What a copy is made of."""
        return tuple(self)

    _METHODS = {
        "_make": classmethod(_make),
        "_replace": _replace,
        "_asdict": _asdict,
        "__repr__": _repr,
        "__getnewargs__": _getnewargs,
    }

    class Record(metaclass=_Making):
        """The base of named tuples."""
