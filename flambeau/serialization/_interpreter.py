"""The pickle interpreter of ``weights_only=True``: it builds data and calls only what an allow-list names.

The instructions are those of pickle protocol 2 that PyTorch's own restricted unpickler accepts
(https://docs.pytorch.org/docs/stable/notes/serialization.html#weights-only).
"""

from __future__ import annotations

import pickle
import struct
import warnings
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import Counter, OrderedDict
from collections.abc import Callable
from pickle import UnpicklingError
from typing import Any

from ..graph.types import Size
from ..nn.parameter import Parameter
from ..tensor import Tensor
from ._allowed import BLOCKED_MODULES, Budget, call, check_key, default_globals, describe, is_state, user_globals
from ._files import Source

_DAMAGE = (
    AssertionError, AttributeError, IndexError, KeyError, OverflowError, RecursionError, TypeError, ValueError,
    struct.error,
)  # fmt: skip
_DICTS = (dict, OrderedDict, Counter)
_CREATED = (Parameter, OrderedDict, Counter, set, Size)


def read_global(source: Source) -> tuple[str, str]:
    """The operands of GLOBAL, with names of Python 2 brought up to date."""
    module, name = (source.readline()[:-1].decode() for _ in range(2))
    if (module, name) in NAME_MAPPING:
        return NAME_MAPPING[(module, name)]
    return IMPORT_MAPPING.get(module, module), name


class Interpreter:
    """Reads one pickle.

    Args:
        source: Where it is.
        persistent_load: Makes a storage from its description in the file.
        encoding: How strings of Python 2 are decoded; "bytes" leaves them.
        budget: How much calls may make; a new one if left out.
    """

    def __init__(
        self,
        source: Source,
        persistent_load: Callable[[Any], Any] | None = None,
        encoding: str = "utf-8",
        budget: Budget | None = None,
    ) -> None:
        self._source = source
        self._persistent_load = persistent_load
        self._encoding = encoding
        self._budget = budget or Budget(source.size)
        self._user = user_globals()
        self._memo: dict[int, Any] = {}
        self._stack: list[Any] = []
        self._marked: list[list[Any]] = []

    def load(self) -> Any:
        """The object that the pickle describes.

        Raises:
            UnpicklingError: the pickle is damaged, or asks for what is not allowed.
        """
        try:
            return self._run()
        except _DAMAGE as error:
            raise UnpicklingError(f"{type(error).__name__}: {error}") from error

    def _run(self) -> Any:
        read, steps = self._source.read, _STEPS
        while True:
            key = read(1)[0]
            if key == _STOP:
                return self._stack.pop()
            step = steps.get(key)
            if step is None:
                raise UnpicklingError(f"Unsupported operand {key}")
            step(self)

    def _number(self, form: str) -> Any:
        return struct.unpack(form, self._source.read(struct.calcsize(form)))[0]

    # ---- names and calls

    def _protocol(self) -> None:
        protocol = self._number("<B")
        if protocol != 2:
            warnings.warn(
                f"Detected pickle protocol {protocol} in the checkpoint, which was not the default pickle protocol "
                "used by `torch.load` (2). The weights_only Unpickler might not support all instructions implemented "
                "by this protocol, please file an issue for adding support if you encounter this.",
                stacklevel=2,
            )

    def _global(self) -> None:
        module, name = read_global(self._source)
        path = f"{module}.{name}"
        if module in BLOCKED_MODULES:
            raise UnpicklingError(f"Trying to load unsupported GLOBAL {path} whose module {module} is blocked.")
        if path in default_globals():
            self._stack.append(default_globals()[path])
        elif path in self._user:
            self._stack.append(self._user[path])
        else:
            path = path.removeprefix("builtins.")
            raise UnpicklingError(
                f"Unsupported global: GLOBAL {path} was not an allowed global by default. "
                f"Please use `torch.serialization.add_safe_globals([{path}])` or the "
                f"`torch.serialization.safe_globals([{path}])` context manager to allowlist this global "
                "if you trust this class/function."
            )

    def _reduce(self) -> None:
        args = self._stack.pop()
        self._stack[-1] = call(self._stack[-1], args, self._user, self._budget)

    def _new_object(self) -> None:
        args, cls = self._stack.pop(), self._stack.pop()
        if type(args) is not tuple:
            raise UnpicklingError(f"Can only create objects from a tuple of arguments, but got {type(args)}")
        if any(cls is allowed for allowed in self._user.values()):
            self._stack.append(cls.__new__(cls, *args))
        elif any(cls is known for known in _CREATED):
            self._stack.append(call(cls, args, self._user, self._budget))
        else:
            raise UnpicklingError(
                "Can only create new object for nn.Parameter or classes allowlisted "
                f"via `add_safe_globals` but got {describe(cls)}"
            )

    def _build(self) -> None:
        state = self._stack.pop()
        target = self._stack[-1]
        if any(type(target) is allowed for allowed in self._user.values()):
            _set_state(target, state)
        elif type(target) is OrderedDict:
            if not isinstance(state, dict) or not is_state(state):
                raise UnpicklingError(f"Can only build an OrderedDict with a dict of attributes, but got {type(state)}")
            self._budget.spend(len(state))
            target.__dict__.update(state)
        elif type(target) in (Tensor, Parameter):
            _set_old_state(target, state)
        else:
            raise UnpicklingError(
                "Can only build Tensor, Parameter, OrderedDict or types allowlisted "
                f"via `add_safe_globals`, but got {type(target)}"
            )

    def _persistent(self) -> None:
        described = self._stack.pop()
        if type(described) is not tuple and type(described) is not int:
            raise UnpicklingError(f"persistent_load id must be tuple or int, but got {type(described)}")
        if type(described) is tuple and described and described[0] not in ("storage", b"storage"):
            raise UnpicklingError(f"Only persistent_load of storage is allowed, but got {type(described[0])}")
        if self._persistent_load is None:
            raise UnpicklingError("unsupported persistent id encountered")
        self._stack.append(self._persistent_load(described))

    # ---- containers

    def _mark(self) -> None:
        self._marked.append(self._stack)
        self._stack = []

    def _pop_mark(self) -> list[Any]:
        items, self._stack = self._stack, self._marked.pop()
        return items

    def _list(self, verb: str) -> list[Any]:
        if type(self._stack[-1]) is not list:
            raise UnpicklingError(f"Can only {verb} lists, but got {type(self._stack[-1])}")
        return self._stack[-1]

    def _append(self) -> None:
        item = self._stack.pop()
        self._list("append to").append(item)

    def _appends(self) -> None:
        items = self._pop_mark()
        self._list("extend").extend(items)

    def _set_items(self, opcode: str, items: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) not in _DICTS:
            raise UnpicklingError(
                f"Can only {opcode} for dict, collections.OrderedDict, collections.Counter, but got {type(target)}"
            )
        if len(items) % 2:
            raise UnpicklingError(f"odd number of items for {opcode}")
        for key, value in zip(items[::2], items[1::2]):
            check_key(key)
            target[key] = value

    def _set_item(self) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._set_items("SETITEM", [key, value])

    def _set_marked(self) -> None:
        self._set_items("SETITEMS", self._pop_mark())

    def _tuple(self) -> None:
        items = tuple(self._pop_mark())
        self._stack.append(items)

    def _short_tuple(self, n: int) -> None:
        if len(self._stack) < n:
            raise UnpicklingError("unexpected MARK found")
        self._stack[-n:] = [tuple(self._stack[-n:])]

    # ---- strings, numbers and the memo

    def _text(self) -> None:
        self._stack.append(str(self._source.read(self._number("<I")), "utf-8", "surrogatepass"))

    def _old_text(self) -> None:
        data = self._source.read(self._number("<B"))
        self._stack.append(data if self._encoding == "bytes" else data.decode(self._encoding, "strict"))

    def _long(self) -> None:
        self._stack.append(pickle.decode_long(self._source.read(self._number("<B"))))

    def _get(self, form: str) -> None:
        self._stack.append(self._memo[self._number(form)])

    def _put(self, form: str) -> None:
        self._memo[self._number(form)] = self._stack[-1]


def _set_state(target: Any, state: Any) -> None:
    """What pickle does for objects that the user trusts."""
    if hasattr(target, "__setstate__"):
        target.__setstate__(state)
        return
    attributes, slots = state if isinstance(state, tuple) and len(state) == 2 else (state, None)
    target.__dict__.update(attributes or {})
    for name, value in (slots or {}).items():
        setattr(target, name, value)


def _set_old_state(target: Tensor, state: Any) -> None:
    """Tensors of PyTorch 0.3 and older: ``(requires_grad, volatile, hooks)``."""
    if type(state) is not tuple or len(state) != 3 or type(state[0]) is not bool:
        raise UnpicklingError(f"Can only build a tensor with (requires_grad, volatile, hooks), but got {type(state)}")
    target.requires_grad_(state[0])


def _constant(make: Callable[[], Any]) -> Callable[[Interpreter], None]:
    return lambda self: self._stack.append(make())


def _numeric(form: str) -> Callable[[Interpreter], None]:
    return lambda self: self._stack.append(self._number(form))


_STOP = pickle.STOP[0]
_STEPS: dict[int, Callable[[Interpreter], None]] = {
    pickle.PROTO[0]: Interpreter._protocol,
    pickle.GLOBAL[0]: Interpreter._global,
    pickle.REDUCE[0]: Interpreter._reduce,
    pickle.NEWOBJ[0]: Interpreter._new_object,
    pickle.BUILD[0]: Interpreter._build,
    pickle.BINPERSID[0]: Interpreter._persistent,
    pickle.MARK[0]: Interpreter._mark,
    pickle.APPEND[0]: Interpreter._append,
    pickle.APPENDS[0]: Interpreter._appends,
    pickle.SETITEM[0]: Interpreter._set_item,
    pickle.SETITEMS[0]: Interpreter._set_marked,
    pickle.TUPLE[0]: Interpreter._tuple,
    pickle.TUPLE1[0]: lambda self: self._short_tuple(1),
    pickle.TUPLE2[0]: lambda self: self._short_tuple(2),
    pickle.TUPLE3[0]: lambda self: self._short_tuple(3),
    pickle.NONE[0]: _constant(lambda: None),
    pickle.NEWFALSE[0]: _constant(lambda: False),
    pickle.NEWTRUE[0]: _constant(lambda: True),
    pickle.EMPTY_TUPLE[0]: _constant(tuple),
    pickle.EMPTY_LIST[0]: _constant(list),
    pickle.EMPTY_DICT[0]: _constant(dict),
    pickle.EMPTY_SET[0]: _constant(set),
    pickle.BININT[0]: _numeric("<i"),
    pickle.BININT1[0]: _numeric("<B"),
    pickle.BININT2[0]: _numeric("<H"),
    pickle.BINFLOAT[0]: _numeric(">d"),
    pickle.BINUNICODE[0]: Interpreter._text,
    pickle.SHORT_BINSTRING[0]: Interpreter._old_text,
    pickle.LONG1[0]: Interpreter._long,
    pickle.BINGET[0]: lambda self: self._get("<B"),
    pickle.LONG_BINGET[0]: lambda self: self._get("<I"),
    pickle.BINPUT[0]: lambda self: self._put("<B"),
    pickle.LONG_BINPUT[0]: lambda self: self._put("<I"),
}

_OPERANDS = {
    **dict.fromkeys(_STEPS, 0),
    pickle.PROTO[0]: 1, pickle.BININT[0]: 4, pickle.BININT1[0]: 1, pickle.BININT2[0]: 2, pickle.BINFLOAT[0]: 8,
    pickle.BINGET[0]: 1, pickle.LONG_BINGET[0]: 4, pickle.BINPUT[0]: 1, pickle.LONG_BINPUT[0]: 4,
}  # fmt: skip


def names_in(source: Source) -> set[str]:
    """The full names of the classes and functions that a pickle names; nothing is built."""
    named = set()
    while True:
        key = source.read(1)[0]
        if key == _STOP:
            return named
        if key == pickle.GLOBAL[0]:
            named.add(".".join(read_global(source)))
        elif key == pickle.BINUNICODE[0]:
            source.read(struct.unpack("<I", source.read(4))[0])
        elif key in (pickle.SHORT_BINSTRING[0], pickle.LONG1[0]):
            source.read(source.read(1)[0])
        elif key in _OPERANDS:
            source.read(_OPERANDS[key])
        else:
            raise UnpicklingError(f"Unsupported operand {key}")
