"""Texts of several functions that are compiled in parts are what they are as a whole."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="native code is made by llvmlite")

from test_cpu_runtime import NEEDS_ELF, call

from flambeau.compiler.cpu import assemble, code_cache, disk, loader, machine, pool, text_parts
from flambeau.compiler.cpu.target import Target, current
from flambeau.compiler.cpu.text_parts import in_parts

# Functions that call one another, read one table, and are called by their addresses.
TEXT = """
@table = private constant [4 x float] [float 1.0, float 2.0, float 4.0, float 8.0], align 16
declare ptr @memcpy(ptr, ptr, i64)
; Copies the table.
define internal void @copy(ptr %to) noinline {
  %r = call ptr @memcpy(ptr %to, ptr @table, i64 16)
  ret void
}
define internal {i64, i1} @half(i64 %n) nounwind {
  %h = lshr i64 %n, 1
  %f = insertvalue {i64, i1} undef, i64 %h, 0
  ret {i64, i1} %f
}
define internal float @look(i64 %n) {
  %f = call {i64, i1} @half(i64 %n)
  %h = extractvalue {i64, i1} %f, 0
  %p = getelementptr float, ptr @table, i64 %h
  %v = load float, ptr %p
  ret float %v
}
define void @kernel(ptr %o, i64 %c, ptr %w) {
  %out = load ptr, ptr %o
  %by = select i1 true, ptr @copy, ptr @other
  call void %by(ptr %out)
  %v = call float @look(i64 6)
  store float %v, ptr %out
  ret void
}
define void @other(ptr %o, i64 %c, ptr %w) {
  call void @kernel(ptr %o, i64 %c, ptr %w)
  ret void
}
"""


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of a few lines."""
    monkeypatch.setattr(text_parts, "LEAST", 50)


@pytest.mark.parametrize("most", [2, 3, 8])
def test_each_function_is_defined_once_and_declared_in_the_others(most: int) -> None:
    parts = in_parts(TEXT, most)
    assert len(parts) == min(most, 5)
    for name in ("@copy(", "@half(", "@look(", "@kernel(", "@other("):
        lines = [line for part in parts for line in part.splitlines() if name in line and line[0] == "d"]
        assert sorted([line.split()[0] for line in lines]) == ["declare"] * (len(parts) - 1) + ["define"]
        assert not any("internal" in line for line in lines)


def test_what_stays_whole() -> None:
    assert in_parts(TEXT, 1) == [TEXT]
    assert in_parts(assemble.PLAIN + TEXT, 4) == [assemble.PLAIN + TEXT]
    assert in_parts(TEXT.rstrip(), 4) == [TEXT.rstrip()]  # a function whose end is not seen


@NEEDS_ELF
@pytest.mark.parametrize("threads", [1, 2, 4])
def test_the_parts_are_one_image(threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "available_threads", lambda: threads)
    assembled: list[str] = []
    assemble_one = assemble.assemble
    monkeypatch.setattr(assemble, "assemble", lambda *a: assembled.append(a[0]) or assemble_one(*a))
    cache = code_cache.CodeCache(store=disk.Disk(tmp_path / "code"))
    texts = [TEXT, TEXT.replace("8.0", "16.0")]
    found = cache.load(texts)
    assert len(assembled) == 2 * threads and cache.compiled == 2
    again = code_cache.CodeCache(store=cache.store)
    for functions, last in zip([*found, *again.load(texts)], (8, 16, 8, 16)):
        assert sorted(functions) == ["kernel", "other"]
        for at in functions.values():
            out = np.zeros(4, np.float32)
            call(at, [out.ctypes.data])
            assert out.tolist() == [8 if last == 8 else 16, 2, 4, last]
    assert again.compiled == 0


@NEEDS_ELF
def test_the_pool_s_code_in_parts_exports_the_same() -> None:
    target = current(disk.Disk(None))
    text = pool._text(target)
    images = [loader.prepare([assemble.assemble(part, target) for part in in_parts(text, most)], []) for most in (1, 4)]
    one, other = [loader._unpack_image(image) for image in images]
    assert sorted([name for name, _ in one[2]]) == sorted([name for name, _ in other[2]])
    assert sorted([name for name, _ in one[3]]) == sorted([name for name, _ in other[3]])


def test_calls_between_objects_of_arm() -> None:
    arm = Target("aarch64-unknown-linux-gnu", "generic", "+neon", "22")
    text = "define internal i64 @inner(i64 %n) noinline {\n  ret i64 %n\n}\n"
    text += "define i64 @kernel(i64 %n) {\n  %a = call i64 @inner(i64 %n)\n  %b = add i64 %a, 1\n  ret i64 %b\n}\n"
    parts = in_parts(text, 2)
    assert len(parts) == 2
    objects = [assemble.assemble(part, arm) for part in parts]
    linker = loader._Linker([loader._Object(content) for content in objects])
    _, code, exported, outside = loader._unpack_image(linker.image())
    assert [name for name, _ in exported] == ["kernel"] and not outside
    begin = dict(exported)["kernel"]
    words = struct.unpack_from(f"<{(len(code) - begin) // 4}I", code, begin)
    k, word = next((k, word) for k, word in enumerate(words) if word >> 26 == 0x25)  # bl
    reach = (word & 0x3FFFFFF) - (1 << 26 if word & 1 << 25 else 0)
    assert begin + 4 * (k + reach) == linker.known["inner"]
