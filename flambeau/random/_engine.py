"""The MT19937 engine behind every random number, with the byte layout of its state.

The words come from Python's generator, which is the same one, or, where many are drawn, from native code. NumPy's has
them sooner than Python's, but its random module takes longer to import than hundreds of thousands of words to draw.
"""

from __future__ import annotations

import functools
import random
import struct
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from flambeau.random import _native

DEFAULT_SEED = 67280421310721
STATE_SIZE = 5056

_WORD_COUNT = 624
_HEADER = struct.Struct("<QiiQ")  # initial seed, words left, seeded, index of the next word
PIECE = 1 << 16  # values, a multiple of the 16 that normals are made in
FEW = 32  # values that are made one by one: calls of NumPy would take longer
_PYTHONS = 3  # the form of state that Python's generator gives and takes
_WORDS_AT, _NORMAL_AT, _NORMAL_VALID_AT = 24, 5024, 5040


def in_pieces(make: Callable[[int], np.ndarray], count: int) -> np.ndarray:
    """``count`` values of which ``make`` gives the next ones: so few at a time that they stay in a core's cache."""
    first = make(min(count, PIECE))
    if count <= PIECE:
        return first
    out = np.empty(count, first.dtype)
    out[:PIECE] = first
    for start in range(PIECE, count, PIECE):
        piece = out[start : start + PIECE]
        piece[:] = make(piece.size)
    return out


def doubles_of(pairs: np.ndarray) -> np.ndarray:
    """Float64 numbers on [0, 1): the low 53 bits of pairs of words, the first one high."""
    values = (pairs[:, 0] & np.uint32(0x1FFFFF)).astype(np.float64)
    values *= 2.0**32
    values += pairs[:, 1]
    values *= 2.0**-53
    return values


def seed_to_uint64(seed: int) -> int:
    """The 64-bit number that ``initial_seed`` reports for ``seed``; ValueError outside [-2**63, 2**64)."""
    if not -(2**63) <= seed < 2**64:
        raise ValueError("Overflow when unpacking long long")
    return seed & (2**64 - 1)


@functools.lru_cache(maxsize=16)
def _seeded(seed: int) -> tuple[int, ...]:
    """The state that a 32-bit seed gives: the words and, last, the place of the next one."""
    word, found = seed, [seed]
    for i in range(1, _WORD_COUNT):
        word = (1812433253 * (word ^ word >> 30) + i) & 0xFFFFFFFF
        found.append(word)
    return (*found, _WORD_COUNT)


def _numbers(state: Any) -> tuple[int, ...]:
    """A state as Python's generator takes it."""
    return state if type(state) is tuple else tuple(state.tolist())


class Engine:
    """One stream of 32-bit words and the one normal that serial sampling keeps for the next call."""

    __slots__ = ("_fresh", "_memory", "_python", "cached_normal", "lock", "seed")

    seed: int
    cached_normal: float | None
    _python: random.Random | None  # who has the state: Python's generator, or memory that native code reads and writes
    _memory: np.ndarray | None

    def __init__(self, seed: int = DEFAULT_SEED) -> None:
        self.lock = threading.RLock()
        self.reseed(seed)

    def reseed(self, seed: int) -> None:
        """Start the stream of ``seed``; only its low 32 bits choose the words."""
        self.seed = seed_to_uint64(seed)
        self._fresh = True
        self.cached_normal = None
        self._python = self._memory = None

    def _state(self) -> Any:
        """The words of the state and the place of the next one, as numbers or as an array of them."""
        if self._memory is not None:
            return self._memory.copy()
        return _seeded(self.seed & 0xFFFFFFFF) if self._python is None else self._python.getstate()[1]

    def _by_python(self) -> random.Random:
        """Python's generator, which has the state from here on."""
        if self._python is None:
            state = _numbers(self._state())
            self._python, self._memory = random.Random(0), None
            self._python.setstate((_PYTHONS, state, None))
        return self._python

    def words(self, count: int) -> np.ndarray:
        """The next ``count`` words, uint32."""
        if not count:
            return np.empty(0, np.uint32)
        self._fresh = False
        native = _native.of_words("words", count, self._memory is not None)
        if native is None:
            bits = self._by_python().getrandbits(32 * count)  # the first word in the lowest ones
            return np.frombuffer(bits.to_bytes(4 * count, "little"), "<u4").astype(np.uint32)
        if self._memory is None:
            self._memory, self._python = np.array(self._state(), np.uint32), None
        out = np.empty(count, np.uint32)
        native(self._memory, out)
        return out

    def few_words(self, count: int) -> list[int]:
        """As ``words``, for a handful."""
        if self._memory is not None:
            return self.words(count).tolist()
        if count:
            self._fresh = False
        draw = self._by_python().getrandbits
        return [draw(32) for _ in range(count)]

    def words64(self, count: int) -> np.ndarray:
        """The next ``count`` 64-bit words: two words each, the first one high."""
        pairs = self.words(2 * count)
        high = pairs[0::2].astype(np.uint64)
        return (high << np.uint64(32)) | pairs[1::2]

    def doubles(self, count: int) -> np.ndarray:
        """``count`` float64 uniforms on [0, 1): the low 53 bits of a 64-bit word each."""
        return np.array(self.few_doubles(count)) if count <= FEW else in_pieces(self._doubles, count)

    def few_doubles(self, count: int) -> list[float]:
        """As ``doubles``, for a handful."""
        words = iter(self.few_words(2 * count))
        return [((high & 0x1FFFFF) * 2**32 + low) * 2.0**-53 for high, low in zip(words, words)]

    def _doubles(self, count: int) -> np.ndarray:
        words = self.words(2 * count)
        native = _native.of_words("doubles", count)
        if native is not None:
            return native(words.view(np.uint64))
        return doubles_of(words.reshape(count, 2))

    def singles(self, count: int) -> np.ndarray:
        """``count`` float32 uniforms on [0, 1): the low 24 bits of a word each."""
        if count <= FEW:
            return np.array([(word & 0xFFFFFF) * 2.0**-24 for word in self.few_words(count)], np.float32)
        return in_pieces(self._singles, count)

    def _singles(self, count: int) -> np.ndarray:
        words = self.words(count)
        native = _native.of_words("singles", count)
        if native is not None:
            return native(words)
        np.bitwise_and(words, np.uint32(0xFFFFFF), out=words)
        values = words.view(np.int32).astype(np.float32)
        values *= np.float32(2.0**-24)
        return values

    def snapshot(self) -> Any:
        """The position in the stream, for :meth:`rewind`; the cached normal is not part of it."""
        return self._state(), self._fresh

    def rewind(self, snapshot: Any) -> None:
        """Go back to a position taken by :meth:`snapshot`."""
        state, self._fresh = snapshot
        if self._memory is not None:
            self._memory[:] = state
        else:
            self._python = random.Random(0)
            self._python.setstate((_PYTHONS, _numbers(state), None))

    def clone(self) -> Engine:
        """An independent engine in the same state."""
        copy = Engine(self.seed)
        copy.set_state(self.get_state())
        return copy

    def get_state(self) -> bytes:
        """The state as the 5056 bytes that ``torch.get_rng_state`` gives."""
        state = np.asarray(self._state(), "<u8")
        position = int(state[-1])
        out = bytearray(STATE_SIZE)
        _HEADER.pack_into(out, 0, self.seed, _WORD_COUNT + 1 - position, 1, 0 if self._fresh else position)
        out[_WORDS_AT : _WORDS_AT + 8 * _WORD_COUNT] = state[:-1].tobytes()
        if self.cached_normal is not None:
            struct.pack_into("<d", out, _NORMAL_AT, self.cached_normal)
            struct.pack_into("<i", out, _NORMAL_VALID_AT, 1)
        return bytes(out)

    def set_state(self, state: bytes) -> None:
        """Take over a state made by :meth:`get_state` (or by PyTorch); RuntimeError if it is not one."""
        if len(state) != STATE_SIZE:
            raise RuntimeError(
                f"Expected a CPUGeneratorImplState of size {STATE_SIZE} but found the input RNG state size "
                f"to be {len(state)}"
            )
        seed, left, seeded, following = _HEADER.unpack_from(state, 0)
        if not (seeded and 0 < left <= _WORD_COUNT and following <= _WORD_COUNT):
            raise RuntimeError("Invalid mt19937 state")
        key = np.frombuffer(state, "<u8", _WORD_COUNT, _WORDS_AT).astype(np.uint32)
        self.rewind(((*key.tolist(), _WORD_COUNT + 1 - left), left == 1 and following == 0))
        self.seed = seed
        cached = struct.unpack_from("<i", state, _NORMAL_VALID_AT)[0]
        self.cached_normal = struct.unpack_from("<d", state, _NORMAL_AT)[0] if cached else None


class Doubles:
    """Float64 uniforms one at a time, for rejection loops: ``with Doubles(engine) as draw: u = draw()``.

    Values are taken from the engine in blocks; leaving the ``with`` block gives back those that were not used.
    """

    _FIRST, _LARGEST = 16, 4096

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._block: list[float] = []
        self._used = 0
        self._before: Any = None

    def __call__(self) -> float:
        """The next uniform on [0, 1)."""
        if self._used == len(self._block):
            self._refill()
        self._used += 1
        return self._block[self._used - 1]

    def _refill(self) -> None:
        size = min(max(2 * len(self._block), self._FIRST), self._LARGEST)
        self._before = self._engine.snapshot()
        self._block = self._engine.doubles(size).tolist()
        self._used = 0

    def __enter__(self) -> Doubles:
        return self

    def __exit__(self, *error: object) -> None:
        if self._used < len(self._block):
            self._engine.rewind(self._before)
            self._engine.words(2 * self._used)
