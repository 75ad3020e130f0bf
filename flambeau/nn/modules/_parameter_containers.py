"""A list and a dictionary of parameters (exported by ``container``)."""

from __future__ import annotations

import operator
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

import flambeau as torch
from flambeau.nn.parameter import Parameter

from .module import Module

Self = TypeVar("Self", bound=Module)


def _as_parameter(value: Any) -> Any:
    """Tensors become parameters, anything else stays."""
    return Parameter(value) if isinstance(value, torch.Tensor) and not isinstance(value, Parameter) else value


def _describe(items: Iterable[tuple[Any, Any]], with_dtype: bool) -> str:
    """The lines of the repr; a list names the dtype and a dictionary the type, as in PyTorch."""
    lines = []
    for key, value in items:
        if isinstance(value, torch.Tensor):
            kind = "Parameter" if isinstance(value, Parameter) else "Tensor"
            what = value.dtype if with_dtype else torch.typename(value)
            size = "x".join(str(n) for n in value.size())
            lines.append(f"  ({key}): {kind} containing: [{what} of size {size}]")
        else:
            lines.append(f"  ({key}): Object of type: {type(value).__name__}")
    return "\n".join(lines)


class ParameterList(Module):
    """A list of parameters that are registered; tensors put into it become parameters.

    Args:
        values: What to begin with.
    """

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        super().__init__()
        self._size = 0
        if values is not None:
            self.extend(values)

    def _get_abs_string_index(self, idx: Any) -> str:
        idx = operator.index(idx)
        if not -len(self) <= idx < len(self):
            raise IndexError(f"index {idx} is out of range")
        return str(idx % len(self))

    def __getitem__(self, idx: Any) -> Any:
        if isinstance(idx, slice):
            return type(self)(self[i] for i in range(*idx.indices(len(self))))
        return getattr(self, self._get_abs_string_index(idx))

    def __setitem__(self, idx: int, param: Any) -> None:
        setattr(self, self._get_abs_string_index(idx), _as_parameter(param))

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Any]:
        return iter([self[i] for i in range(len(self))])

    def __iadd__(self: Self, parameters: Iterable[Any]) -> Self:
        return self.extend(parameters)  # type: ignore[attr-defined]

    def __dir__(self) -> list[str]:
        return [key for key in super().__dir__() if not key.isdigit()]

    def append(self: Self, value: Any) -> Self:
        """Adds a value at the end."""
        self._size += 1  # type: ignore[attr-defined]
        self[len(self) - 1] = value  # type: ignore[index, arg-type]
        return self

    def extend(self: Self, values: Iterable[Any]) -> Self:
        """Adds values at the end.

        Raises:
            TypeError: ``values`` cannot be iterated over, or is a tensor.
        """
        if not isinstance(values, Iterable) or isinstance(values, torch.Tensor):
            raise TypeError("ParameterList.extend should be called with an iterable, but got " + type(values).__name__)
        for value in list(values):
            self.append(value)  # type: ignore[attr-defined]
        return self

    def extra_repr(self) -> str:
        return _describe(enumerate(self), with_dtype=True)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        raise RuntimeError("ParameterList should not be called.")


class ParameterDict(Module):
    """A dictionary of parameters that are registered; tensors put into it become parameters.

    Args:
        parameters: A mapping, or pairs of names and values.
    """

    def __init__(self, parameters: Any = None) -> None:
        super().__init__()
        self._keys: dict[str, None] = {}
        if parameters is not None:
            self.update(parameters)

    def _key_to_attr(self, key: Any) -> str:
        if not isinstance(key, str):
            raise TypeError(
                "Index given to ParameterDict cannot be used as a key as it is "
                f"not a string (type is '{type(key).__name__}'). Open an issue on "
                "github if you need non-string keys."
            )
        return key

    def __getitem__(self, key: str) -> Any:
        return getattr(self, self._key_to_attr(key))

    def __setitem__(self, key: str, value: Any) -> None:
        # An attribute that is no parameter, a name such as "forward" for example, may be replaced.
        self._keys[key] = None
        setattr(self, self._key_to_attr(key), _as_parameter(value))

    def __delitem__(self, key: str) -> None:
        del self._keys[key]
        delattr(self, self._key_to_attr(key))

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __reversed__(self) -> Iterator[str]:
        return reversed(self._keys)

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def copy(self) -> ParameterDict:
        """A dictionary with the same parameters."""
        return ParameterDict(OrderedDict((k, self[k]) for k in self._keys))

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The value of a name; if it is not there, ``default`` is put there."""
        if key not in self:
            self[key] = default
        return self[key]

    def clear(self) -> None:
        """Takes everything out."""
        for k in list(self._keys):
            del self[k]

    def pop(self, key: str) -> Any:
        """Takes a value out and gives it."""
        value = self[key]
        del self[key]
        return value

    def popitem(self) -> tuple[str, Any]:
        """Takes the last name and value out and gives them."""
        if not self._keys:
            raise KeyError("popitem(): dictionary is empty")
        key = next(reversed(self._keys))
        return key, self.pop(key)

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a name, or ``default``."""
        return self[key] if key in self else default

    def fromkeys(self, keys: Iterable[str], default: Any = None) -> ParameterDict:
        """A new dictionary with these names, all with the same value."""
        return ParameterDict((k, default) for k in keys)

    def keys(self) -> Any:
        """The names."""
        return self._keys.keys()

    def items(self) -> Iterable[tuple[str, Any]]:
        """Names and values."""
        return ((k, self[k]) for k in self._keys)

    def values(self) -> Iterable[Any]:
        """The values."""
        return (self[k] for k in self._keys)

    def update(self, parameters: Any) -> None:
        """Adds values from a mapping (sorted by name, if it has no order of its own) or an iterable of pairs.

        Raises:
            TypeError: ``parameters`` or one of its elements cannot be iterated over.
            ValueError: An element is not a pair.
        """
        if not isinstance(parameters, Iterable):
            raise TypeError(
                "ParametersDict.update should be called with an "
                "iterable of key/value pairs, but got " + type(parameters).__name__
            )
        if isinstance(parameters, (OrderedDict, ParameterDict)):
            pairs: Iterable[Any] = list(parameters.items())
        elif isinstance(parameters, Mapping):
            pairs = sorted(parameters.items())
        else:
            pairs = _checked_pairs(parameters)
        for key, value in pairs:
            self[key] = value

    def extra_repr(self) -> str:
        return _describe(self.items(), with_dtype=False)

    def __call__(self, input: Any) -> Any:  # type: ignore[override]
        raise RuntimeError("ParameterDict should not be called.")

    def __or__(self, other: ParameterDict) -> ParameterDict:
        combined = self.copy()
        combined.update(other)
        return combined

    def __ror__(self, other: ParameterDict) -> ParameterDict:
        combined = other.copy()
        combined.update(self)
        return combined

    def __ior__(self: Self, other: ParameterDict) -> Self:
        self.update(other)  # type: ignore[attr-defined]
        return self


def _checked_pairs(parameters: Iterable[Any]) -> Iterator[Any]:
    for j, pair in enumerate(parameters):
        if not isinstance(pair, Iterable):
            raise TypeError(
                "ParameterDict update sequence element #" + str(j) + " should be Iterable; is" + type(pair).__name__
            )
        pair = list(pair)
        if len(pair) != 2:
            raise ValueError(f"ParameterDict update sequence element #{j} has length {len(pair)}; 2 is required")
        yield pair
