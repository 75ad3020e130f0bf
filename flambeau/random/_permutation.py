"""Random permutations: ``randperm``."""

from __future__ import annotations

import numpy as np

from flambeau.random import _native
from flambeau.random._engine import Engine

INSIDE_OUT_FROM = (2**32 - 1) // 20
_LOOP_BELOW = 400
_CHUNK = 1 << 16


def randperm(engine: Engine, count: int) -> np.ndarray:
    """A permutation of 0..count-1, int64: a shuffle by swaps, one word a swap.

    From 214,748,364 elements on one word is not uniform enough, and PyTorch builds the permutation inside out
    with two words an element.
    """
    if count >= INSIDE_OUT_FROM:
        return inside_out(engine, count)
    steps = max(count - 1, 0)
    native = _native.shuffle(count)
    if native is not None:
        return native(engine.words(steps), np.arange(count, dtype=np.int64))
    targets = (engine.words(steps) % np.arange(count, count - steps, -1, dtype=np.uint32)).astype(np.int64)
    targets += np.arange(steps)
    return _swap_loop(count, targets) if count < _LOOP_BELOW else _swap_chains(count, targets)


def inside_out(engine: Engine, count: int) -> np.ndarray:
    """The method for very long permutations: element i goes to a random place among the first i + 1."""
    result = np.arange(count, dtype=np.int64)
    for start in range(0, count, _CHUNK):
        stop = min(start + _CHUNK, count)
        places = engine.words64(stop - start) % np.arange(start + 1, stop + 1, dtype=np.uint64)
        for i, place in enumerate(places.tolist(), start):
            result[i] = result[place]
            result[place] = i
    return result


def _swap_loop(count: int, targets: np.ndarray) -> np.ndarray:
    """Swap elements i and targets[i] of 0, 1, 2, ... for i = 0, 1, ..."""
    items = list(range(count))
    for i, j in enumerate(targets.tolist()):
        items[i], items[j] = items[j], items[i]
    return np.array(items, np.int64)


def _swap_chains(count: int, targets: np.ndarray) -> np.ndarray:
    """What :func:`_swap_loop` gives, without a Python loop over the elements.

    Step k never touches a place below k again, so the result at k is what lies at targets[k] before step k: what
    the latest earlier step with that target has put there. That step put what lay at its own place, and so on
    back to a place that no step had written: a chain, followed to its end by pointer jumping.
    """
    steps = targets.size
    order = (targets << 32) | np.arange(steps)
    order.sort()
    step = (order & 0xFFFFFFFF).astype(np.int32)
    target = (order >> 32).astype(np.int32)
    moving = step != target
    origin = _chain_ends(count, step[moving], target[moving])
    first = np.ones(steps, bool)
    first[1:] = target[1:] != target[:-1]
    earlier = np.zeros(steps, np.int32)
    earlier[1:] = step[:-1]
    out = np.empty(count, np.int64)
    out[step] = np.where(moving, np.where(first, target, origin[earlier]), origin[step])
    out[steps:] = origin[steps:]
    return out


def _chain_ends(count: int, step: np.ndarray, target: np.ndarray) -> np.ndarray:
    """For each place, the element that lies there when the step of that number comes."""
    parent = np.arange(count, dtype=np.int32)
    parent[target] = step  # sorted by step within a target: the last one stays
    while True:
        shortcut = parent[parent]
        if np.array_equal(shortcut, parent):
            return parent
        parent = shortcut
