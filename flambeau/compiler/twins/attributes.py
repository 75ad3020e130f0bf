"""The text of functions that read and write one attribute: at its place in objects of some classes, else by Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .layout import WORD

Places = Sequence[tuple[int, Sequence[int]]]  # an offset, and where the table has the classes with this place


def reader(symbol: str, places: Places, name: int, look_up: int) -> str:
    """Text of a function (table, object, kept) that gives what goes on being held, or null.

    Args:
        symbol: its name.
        places: where the attribute lies.
        name: where the table has the attribute's name.
        look_up: where the table has Python's function, whose result is put into the list of what is kept.
    """
    fits = """  %x{k} = load ptr, ptr %at{k}
  %there{k} = icmp ne ptr %x{k}, null
  br i1 %there{k}, label %good{k}, label %slow
good{k}:
  ret ptr %x{k}"""
    return _READER.format(symbol=symbol, ways=_ways(places, fits.format), name=WORD * name, look_up=WORD * look_up)


def writer(symbol: str, places: Places, name: int, store: int) -> str:
    """Text of a function (table, object, reference) that takes the reference and gives 0, or -1 for an error."""
    fits = """  call void @assign(ptr %T, ptr %at{k}, ptr %x)
  ret i32 0"""
    return _WRITER.format(symbol=symbol, ways=_ways(places, fits.format), name=WORD * name, store=WORD * store)


def own(at: int, holder: int, name: int, api: Callable[[str], int]) -> str:
    """Text of a function (table) that gives what a thread has of its own, borrowed, or null.

    The thread that asks again is known by its number, which no other thread gets.

    Args:
        at: where the table has the number of the thread that asked last, and what it was given.
        holder: where it has the `threading.local`.
        name: where it has the attribute's name.
        api: says where it has Python's functions.
    """
    words = {"at": at, "found": at + 1, "holder": holder, "name": name, "get": api("PyThreadState_Get"),
             "number": api("PyThreadState_GetID"), "look_up": api("PyObject_GetAttr")}  # fmt: skip
    return _OWN.format(**{key: WORD * x for key, x in words.items()})


def _ways(places: Places, fits: Callable[..., str]) -> str:
    """A way for each place, then to the label ``slow``."""
    lines = []
    for k, (offset, classes) in enumerate(places):
        for j, at in enumerate(classes):
            last = j + 1 == len(classes)
            lines += [
                f"  %p{k}.{j} = getelementptr inbounds i8, ptr %T, i64 {WORD * at}",
                f"  %c{k}.{j} = load ptr, ptr %p{k}.{j}",
                f"  %is{k}.{j} = icmp eq ptr %type, %c{k}.{j}",
                f"  br i1 %is{k}.{j}, label %fits{k}, label %{f'other{k}' if last else f'next{k}.{j}'}",
                *([] if last else [f"next{k}.{j}:"]),
            ]
        lines += [
            f"fits{k}:",
            f"  %at{k} = getelementptr inbounds i8, ptr %object, i64 {offset}",
            fits(k=k),
            f"other{k}:",
        ]
    return "\n".join([*lines, "  br label %slow"])


_READER = """define internal ptr @{symbol}(ptr %T, ptr %object, ptr %kept) {{
  %typep = getelementptr inbounds i8, ptr %object, i64 8
  %type = load ptr, ptr %typep
{ways}
slow:
  %namep = getelementptr inbounds i8, ptr %T, i64 {name}
  %name = load ptr, ptr %namep
  %fp = getelementptr inbounds i8, ptr %T, i64 {look_up}
  %f = load ptr, ptr %fp
  call void @more(ptr %object)
  %found = call ptr %f(ptr %object, ptr %name)
  call void @less(ptr %T, ptr %object)
  %held = call ptr @keep(ptr %T, ptr %kept, ptr %found)
  ret ptr %held
}}"""

_WRITER = """define internal i32 @{symbol}(ptr %T, ptr %object, ptr %x) {{
  %typep = getelementptr inbounds i8, ptr %object, i64 8
  %type = load ptr, ptr %typep
{ways}
slow:
  %namep = getelementptr inbounds i8, ptr %T, i64 {name}
  %name = load ptr, ptr %namep
  %fp = getelementptr inbounds i8, ptr %T, i64 {store}
  %f = load ptr, ptr %fp
  %status = call i32 %f(ptr %object, ptr %name, ptr %x)
  call void @less(ptr %T, ptr %x)
  ret i32 %status
}}"""

_OWN = """define internal ptr @own(ptr %T) {{
  %getp = getelementptr inbounds i8, ptr %T, i64 {get}
  %get = load ptr, ptr %getp
  %state = call ptr %get()
  %numberp = getelementptr inbounds i8, ptr %T, i64 {number}
  %number_of = load ptr, ptr %numberp
  %number = call i64 %number_of(ptr %state)
  %lastp = getelementptr inbounds i8, ptr %T, i64 {at}
  %last = load i64, ptr %lastp
  %knownp = getelementptr inbounds i8, ptr %T, i64 {found}
  %known = load ptr, ptr %knownp
  %same = icmp eq i64 %number, %last
  %there = icmp ne ptr %known, null
  %again = and i1 %same, %there
  br i1 %again, label %good, label %slow
good:
  ret ptr %known
slow:
  %holderp = getelementptr inbounds i8, ptr %T, i64 {holder}
  %holder = load ptr, ptr %holderp
  %namep = getelementptr inbounds i8, ptr %T, i64 {name}
  %name = load ptr, ptr %namep
  %look_upp = getelementptr inbounds i8, ptr %T, i64 {look_up}
  %look_up = load ptr, ptr %look_upp
  %found = call ptr %look_up(ptr %holder, ptr %name)
  %failed = icmp eq ptr %found, null
  br i1 %failed, label %error, label %keep
error:
  ret ptr null
keep:
  store i64 %number, ptr %lastp
  call void @assign(ptr %T, ptr %knownp, ptr %found)
  ret ptr %found
}}"""
