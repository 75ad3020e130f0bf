"""The MT19937 engine behind every random number, with the byte layout of its state.

The words come from NumPy's MT19937 (the same twist and tempering) or, where many are drawn, from native code on its
memory. NumPy's random module is imported at the first draw, because it takes longer to load than the rest of the
package.
"""

from __future__ import annotations

import ctypes
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
RAW = 4096  # words that are had sooner as 64-bit numbers, which are made 32-bit ones
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


class Engine:
    """One stream of 32-bit words and the one normal that serial sampling keeps for the next call."""

    __slots__ = ("_bits", "_draw", "_fresh", "_memory", "cached_normal", "lock", "seed")

    seed: int
    cached_normal: float | None
    _bits: Any
    _draw: Any
    _memory: Any

    def __init__(self, seed: int = DEFAULT_SEED) -> None:
        self.lock = threading.RLock()
        self._bits = self._draw = self._memory = None
        self.reseed(seed)

    def reseed(self, seed: int) -> None:
        """Start the stream of ``seed``; only its low 32 bits choose the words."""
        self.seed = seed_to_uint64(seed)
        self._fresh = True
        self.cached_normal = None
        if self._bits is not None:
            self._bits._legacy_seeding(self.seed & 0xFFFFFFFF)

    def _start(self) -> Any:
        """Create NumPy's bit generator; returns the function that draws words."""
        bits = np.random.MT19937(0)
        bits._legacy_seeding(self.seed & 0xFFFFFFFF)
        self._bits, self._draw = bits, np.random.Generator(bits).integers
        return self._draw

    def words(self, count: int) -> np.ndarray:
        """The next ``count`` words, uint32."""
        draw = self._draw or self._start()
        if count:
            self._fresh = False
        native = _native.of_words("words", count)
        if native is not None and self._memory is None:
            self._memory = _memory(self._bits)
        if native is not None and self._memory.size:
            out = np.empty(count, np.uint32)
            native(self._memory, out)
            return out
        if count <= RAW:
            return self._bits.random_raw(count).astype(np.uint32)
        return draw(0, 1 << 32, count, np.uint32)

    def few_words(self, count: int) -> list[int]:
        """As ``words``, for a handful."""
        if self._draw is None:
            self._start()
        if count:
            self._fresh = False
        return self._bits.random_raw(count).tolist()

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
        if self._draw is None:
            self._start()
        bits: Any = self._bits
        return bits.state, self._fresh

    def rewind(self, snapshot: Any) -> None:
        """Go back to a position taken by :meth:`snapshot`."""
        self._bits.state, self._fresh = snapshot

    def clone(self) -> Engine:
        """An independent engine in the same state."""
        copy = Engine(self.seed)
        copy.set_state(self.get_state())
        return copy

    def get_state(self) -> bytes:
        """The state as the 5056 bytes that ``torch.get_rng_state`` gives."""
        state = self.snapshot()[0]["state"]
        position = int(state["pos"])
        out = bytearray(STATE_SIZE)
        _HEADER.pack_into(out, 0, self.seed, _WORD_COUNT + 1 - position, 1, 0 if self._fresh else position)
        out[_WORDS_AT : _WORDS_AT + 8 * _WORD_COUNT] = state["key"].astype("<u8").tobytes()
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
        words = {"bit_generator": "MT19937", "state": {"key": key, "pos": _WORD_COUNT + 1 - left}}
        if self._bits is None:
            self._start()
        self.rewind((words, left == 1 and following == 0))
        self.seed = seed
        cached = struct.unpack_from("<i", state, _NORMAL_VALID_AT)[0]
        self.cached_normal = struct.unpack_from("<d", state, _NORMAL_AT)[0] if cached else None


def _memory(bits: Any) -> np.ndarray:
    """What NumPy's generator reads and writes: its words and the place of the next one; empty if that cannot be had."""
    state = bits.state["state"]
    address = getattr(bits.ctypes, "state_address", None)
    if not address:
        return np.empty(0, np.uint32)
    words: Any = (ctypes.c_uint32 * (_WORD_COUNT + 1)).from_address(address)
    memory = np.frombuffer(words, np.uint32)
    known = np.array_equal(memory[:-1], state["key"]) and memory[-1] == state["pos"]
    return memory if known else np.empty(0, np.uint32)


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
