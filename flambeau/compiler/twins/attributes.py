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
