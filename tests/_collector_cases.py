"""What `test_collector.py` tests, in a process of its own with few objects: full collections look at all there are.

It prints, as JSON, how each case ended: with nothing, or with a traceback.
"""

from __future__ import annotations

import gc
import json
import traceback
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

import flambeau as torch
from flambeau import _collector
from flambeau.graph import realisation

MOST = 2_000_000  # objects that a case makes


class Ring:
    """Garbage that only the collector finds."""

    def __init__(self) -> None:
        self.own = self
        self.others: list[Ring] = []


def objects_until(ended: Callable[[], bool]) -> list[list[int]]:
    """New objects, as many as it takes."""
    kept: list[list[int]] = []
    while not ended():
        kept.append([])
        assert len(kept) < MOST, "no collection did what was waited for"
    return kept


def until_one_begins_by_itself() -> list[list[int]]:
    """Makes new objects until a full collection has begun and set them aside; gives them."""
    gc.collect()
    before = gc.get_stats()[2]["collections"]
    gc.set_threshold(20, 1, 1)
    kept = objects_until(lambda: gc.get_stats()[2]["collections"] > before)
    gc.set_threshold(100_000, 10, 10)
    return kept


def what_survives_is_set_aside_until_somebody_asks() -> None:
    _collector.set_aside()
    ring = Ring()
    known = weakref.ref(ring)
    kept = until_one_begins_by_itself()
    assert gc.get_freeze_count() > len(kept)
    del ring
    kept += until_one_begins_by_itself()
    gc.collect()
    assert known() is None and not _collector.are_aside()


def what_came_since_is_found() -> None:
    _collector.set_aside()
    kept = until_one_begins_by_itself()
    known = weakref.ref(Ring())
    gc.set_threshold(20, 1, 1)
    kept += objects_until(lambda: known() is None)
    assert gc.get_freeze_count() > len(kept) // 2


def all_is_looked_at_again_when_there_is_much_more() -> None:
    _collector.set_aside()
    ring = Ring()
    known = weakref.ref(ring)
    kept = until_one_begins_by_itself()
    del ring
    kept += [[] for _ in range(_collector.GROWTH * gc.get_freeze_count())]
    gc.set_threshold(20, 1, 1)
    kept += objects_until(lambda: known() is None)
    assert len(kept) < 2 * _collector.GROWTH * gc.get_freeze_count()


@contextmanager
def ten_nodes_being_many() -> Iterator[None]:
    before = realisation.MANY_NODES
    realisation.MANY_NODES = realisation._next_check[0] = 10
    try:
        yield
    finally:
        realisation.MANY_NODES = before


def many_nodes_are_set_aside_until_they_are_forgotten() -> None:
    with ten_nodes_being_many():
        x = torch.ones(3)
        for k in range(20):
            x = x.reshape(3, 1).reshape(3) + torch.ones(3, k + 1).sum(1)
            x.tolist()
    assert _collector._around in gc.callbacks
    until_one_begins_by_itself()
    assert _collector.are_aside()
    realisation.forget()
    assert _collector._around not in gc.callbacks and not _collector.are_aside()


def until_one_of_the_newest(kept: list[list[int]]) -> None:
    """Makes new objects until a collection of the newest ones has begun by itself."""
    before = gc.get_stats()[0]["collections"]
    gc.set_threshold(20, 1_000, 1_000)
    kept += objects_until(lambda: gc.get_stats()[0]["collections"] > before)
    gc.set_threshold(100_000, 10, 10)


def new_nodes_are_set_aside_before_a_full_collection() -> None:
    gc.collect()
    gc.set_threshold(100_000, 10, 10)
    kept: list[list[int]] = []
    ring = Ring()
    known = weakref.ref(ring)
    with ten_nodes_being_many():
        torch.ones(3).tolist()
    until_one_of_the_newest(kept)
    assert not _collector.are_aside()
    _collector.set_new_aside()
    until_one_of_the_newest(kept)
    first = gc.get_freeze_count()
    assert first > len(kept) // 2
    until_one_of_the_newest(kept)
    assert gc.get_freeze_count() == first
    del ring
    gc.collect()
    assert known() is None
    assert not _collector.are_aside()


def a_program_that_sets_objects_aside_itself_is_left_alone() -> None:
    gc.freeze()
    try:
        _collector.set_aside()
        assert _collector._around not in gc.callbacks
    finally:
        gc.unfreeze()


def what_python_sets_aside_itself_is_no_choice_of_the_program() -> None:
    count = gc.get_freeze_count
    gc.get_freeze_count = lambda: 375  # in Python 3.12, before a program begins
    try:
        _collector.set_aside()
        assert _collector._around in gc.callbacks
    finally:
        gc.get_freeze_count = count


def what_tables_hold_is_hidden_until_they_are_emptied() -> None:
    _collector.set_aside()
    table: dict[tuple[str, Ring], Ring] = {}
    hiding = _collector.Hiding(table, lambda ring: ring.others)
    first, later = Ring(), Ring()
    first.others, later.others = [first], [later]
    table["first", first] = first
    gc.collect()
    table["later", later] = later
    gc.collect()
    held = [x for key, ring in table.items() for x in (key, ring, ring.others)]
    assert len(held) == 6 and not any(map(gc.is_tracked, held))
    known = [weakref.ref(first), weakref.ref(later)]
    del first, later, held
    hiding.show()
    table.clear()
    gc.collect()
    assert [one() for one in known] == [None, None]


def a_table_that_was_emptied_without_a_word_is_hidden_again() -> None:
    _collector.set_aside()
    table: dict[tuple[int, str], list[int]] = {(k, "held"): [k] for k in range(8)}
    _collector.Hiding(table)
    gc.collect()
    table.clear()
    table[1, "new"] = value = [1]
    gc.collect()
    assert not gc.is_tracked(value)


def recorded_nodes_are_hidden_and_shown_when_they_are_forgotten() -> None:
    _collector.set_aside()
    x = torch.ones(3, requires_grad=True)
    (x * 2 + x.reshape(1, 3)).sum().backward()
    gc.collect()
    held = [x for table in (realisation.nodes, realisation.traced) for x in (*table, *table.values())]
    assert held and not any(map(gc.is_tracked, held))
    realisation.forget()
    assert all(map(gc.is_tracked, held))
    assert not gc.is_tracked(())


def at_the_exit_what_is_remembered_goes_without_a_collection() -> None:
    x = torch.tensor([3.0, 1.0, 2.0], requires_grad=True)
    values, at = x.sort()
    (values * at).sum().backward()
    before = x.grad.tolist()
    node = weakref.ref(next(n for n in realisation.nodes.values() if n.parts is not None))
    gc.collect()
    gc.disable()
    try:
        del values, at
        x.grad = None
        realisation._let_go()
        assert node() is None
    finally:
        gc.enable()
    values, at = x.sort()
    (values * at).sum().backward()
    assert x.grad.tolist() == before


def at_the_exit_nodes_that_were_completed_at_once_go_too() -> None:
    x = torch.tensor([3.0, 1.0, 2.0], requires_grad=True)
    ones = np.ones(3, np.float32)
    seen = torch.from_numpy(ones) * 2  # from here on histories are completed at once
    values, at = x.sort()
    (values * values).sum().backward()
    assert x.grad is not None
    before = x.grad.tolist()
    completed = [n for n in realisation.nodes.values() for n in (n, *(n.parts or ())) if n.elsewhere is not None]
    nodes = [weakref.ref(n) for n in completed]
    assert nodes
    gc.collect()
    gc.disable()
    try:
        del completed, seen, values, at
        x.grad = None
        realisation._let_go()
        assert [n() for n in nodes] == [None] * len(nodes)
    finally:
        gc.enable()
    (x.sort()[0] ** 2).sum().backward()
    assert x.grad.tolist() == before


CASES = [
    what_survives_is_set_aside_until_somebody_asks,
    what_came_since_is_found,
    all_is_looked_at_again_when_there_is_much_more,
    many_nodes_are_set_aside_until_they_are_forgotten,
    new_nodes_are_set_aside_before_a_full_collection,
    a_program_that_sets_objects_aside_itself_is_left_alone,
    what_python_sets_aside_itself_is_no_choice_of_the_program,
    what_tables_hold_is_hidden_until_they_are_emptied,
    a_table_that_was_emptied_without_a_word_is_hidden_again,
    recorded_nodes_are_hidden_and_shown_when_they_are_forgotten,
    at_the_exit_what_is_remembered_goes_without_a_collection,
    at_the_exit_nodes_that_were_completed_at_once_go_too,
]


def ended(case: Callable[[], None]) -> str:
    """How a case ended. The collector's settings stay those of the other ones."""
    realisation.forget()
    before = gc.get_threshold()
    try:
        case()
        return ""
    except Exception:
        return traceback.format_exc()
    finally:
        gc.set_threshold(*before)
        realisation.forget()


if __name__ == "__main__":
    print(json.dumps({case.__name__: ended(case) for case in CASES}))
