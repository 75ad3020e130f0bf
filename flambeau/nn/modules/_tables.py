"""How a module keeps its parameters, buffers and submodules.

``_parameters``, ``_buffers`` and ``_modules`` are the truth, as in PyTorch. Python finds an attribute of the instance's
``__dict__`` 100 times faster than one that ``__getattr__`` has to look for, so each table also writes its entries into
the ``__dict__`` of the module that owns it, and modules have no ``__getattr__``: a class that has one makes all its
attributes slow. Where a program's class has one (``_mirrors`` is False) it is asked for every entry, as in PyTorch.
Descriptors on the class make sure that whatever a program stores under these three names (a plain dictionary, another
module's table) is such a table when it is used.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

_MISSING = object()


class Table(dict):
    """A dictionary that mirrors its items into the ``__dict__`` of its owners.

    Owners are held weakly, so that a module is freed as soon as the last reference to it goes. There is more than one
    only after ``copy.copy(module)``, which shares the tables.
    """

    __slots__ = ("__weakref__", "owners")
    _stands_for = dict  # where classes are looked up as they are, as in pytrees

    def __init__(self, items: Any = ()) -> None:
        super().__init__(items)
        self.owners: list[weakref.ref[Any]] = []

    def add_owner(self, module: Any) -> None:
        """Mirrors into ``module`` from now on."""
        self.owners = [ref for ref in self.owners if ref() is not None]
        self.owners.append(weakref.ref(module))
        for name, value in self.items():
            _mirror(module, name, value)

    def remove_owner(self, module: Any) -> None:
        """Takes the mirrored entries out of ``module`` again."""
        self.owners = [ref for ref in self.owners if ref() is not module and ref() is not None]
        for name, value in self.items():
            _unmirror(module, name, value)

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        for ref in self.owners:
            module = ref()
            if module is not None:
                _mirror(module, name, value)

    def __delitem__(self, name: str) -> None:
        value = self[name]
        super().__delitem__(name)
        for ref in self.owners:
            module = ref()
            if module is not None:
                _unmirror(module, name, value)

    def pop(self, name: str, *default: Any) -> Any:
        value = self.get(name, _MISSING)
        if value is _MISSING:
            return super().pop(name, *default)
        del self[name]
        return value

    def popitem(self) -> tuple[str, Any]:
        for name in reversed(self):
            return name, self.pop(name)
        return super().popitem()

    def clear(self) -> None:
        for name in list(self):
            del self[name]

    def update(self, *items: Any, **more: Any) -> None:
        for name, value in dict(*items, **more).items():
            self[name] = value

    def setdefault(self, name: str, default: Any = None) -> Any:
        if name not in self:
            self[name] = default
        return self[name]

    def __ior__(self, other: Any) -> Table:  # type: ignore[override]
        self.update(other)
        return self

    def move_to_end(self, name: str, last: bool = True) -> None:
        """Moves an entry to the end or the beginning, as an OrderedDict does (mirrors have no order)."""
        value = dict.pop(self, name)
        others = [] if last else list(self.items())
        if others:
            dict.clear(self)
        dict.__setitem__(self, name, value)
        dict.update(self, others)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickles and copies as a plain dictionary."""
        return dict, (), None, None, iter(list(self.items()))


def new_tables(module: Any, names: Iterable[str]) -> None:
    """Gives a new module empty tables."""
    ref = weakref.ref(module)
    for name in names:
        table = module.__dict__[name] = Table()
        table.owners = [ref]


def _mirror(module: Any, name: str, value: Any) -> None:
    """Puts an entry into the module's ``__dict__``, where attributes of its class do not hide it in PyTorch either."""
    cls = type(module)
    if cls._mirrors and not hasattr(cls, name):
        module.__dict__[name] = value


def _unmirror(module: Any, name: str, value: Any) -> None:
    """Takes an entry out of the module's ``__dict__``."""
    if module.__dict__.get(name, _MISSING) is value:
        del module.__dict__[name]


def mirror_anew(module: Any, tables: Iterable[str]) -> None:
    """Puts all entries into the module's ``__dict__``, or takes them out, as its class asks for that it has now."""
    for table in tables:
        for name, value in module.__dict__.get(table, {}).items():
            _unmirror(module, name, value)
            _mirror(module, name, value)


class TableSlot:
    """The class attribute behind ``_parameters``, ``_buffers`` and ``_modules``."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, module: Any, owner: type | None = None) -> Any:
        if module is None:
            return self
        table = module.__dict__.get(self.name, _MISSING)
        if type(table) is Table:
            for ref in table.owners:
                if ref() is module:
                    return table
        elif table is _MISSING:
            raise AttributeError(f"'{type(module).__name__}' object has no attribute '{self.name}'")
        return self._adopt(module, table)

    def __set__(self, module: Any, items: Any) -> None:
        old = module.__dict__.get(self.name)
        if isinstance(old, Table):
            old.remove_owner(module)
        self._adopt(module, items)

    def __delete__(self, module: Any) -> None:
        old = module.__dict__.pop(self.name, None)
        if isinstance(old, Table):
            old.remove_owner(module)

    def _adopt(self, module: Any, items: Any) -> Any:
        """Stores ``items`` as a table of ``module``."""
        table = items
        if not isinstance(items, Table):
            table = Table(items)
            table.owners = []
        module.__dict__[self.name] = table
        table.add_owner(module)
        return table


class HookSlot:
    """The class attribute behind ``_forward_hooks`` and its like.

    A module calls ``forward`` straight away as long as its ``_hooked`` flag is down. Whoever asks for a dictionary of
    hooks may be about to put one in, so that raises the flag; the next call looks at the dictionaries and lowers it
    again when there are no hooks.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, module: Any, owner: type | None = None) -> Any:
        if module is None:
            return self
        hooks = module.__dict__.get(self.name, _MISSING)
        if hooks is _MISSING:
            raise AttributeError(f"'{type(module).__name__}' object has no attribute '{self.name}'")
        module.__dict__["_hooked"] = True
        return hooks

    def __set__(self, module: Any, hooks: Any) -> None:
        module.__dict__[self.name] = hooks
        module.__dict__["_hooked"] = True


def without_mirrors(state: dict[str, Any], tables: Iterable[str]) -> dict[str, Any]:
    """A module's ``__dict__`` as PyTorch's would be: plain tables, without the entries that they wrote into it."""
    state = dict(state)
    for table in tables:
        for name, value in (state.get(table) or {}).items():
            if state.get(name, _MISSING) is value:
                del state[name]
    for table in tables:
        if type(state.get(table)) is Table:
            state[table] = dict(state[table])
    return state
