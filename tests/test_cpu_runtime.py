"""From LLVM text to functions in memory: target, assembler, loader, cache."""

from __future__ import annotations

import ctypes
import os
import re
import struct
from pathlib import Path

import _cpu_runtime as kernels
import numpy as np
import pytest

from flambeau.compiler.cpu import disk, loader, machine, target
from flambeau.compiler.cpu.assemble import CompileError, assemble, assemble_all, assembly
from flambeau.compiler.cpu.code_cache import CodeCache
from flambeau.compiler.cpu.pool_text import pool_text

pytest.importorskip("llvmlite")

NEEDS_ELF = pytest.mark.skipif(os.name != "posix" or not Path("/proc/self/maps").exists(), reason="needs Linux")
NOTHING = disk.Disk(None)


@pytest.fixture(scope="module")
def host() -> target.Target:
    return target.host(NOTHING)


def call(address: int, operands: list[int], chunk: int = 0) -> None:
    """Calls a kernel with 64-bit operands."""
    block = (ctypes.c_int64 * len(operands))(*operands)
    workspace = ctypes.create_string_buffer(256)
    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p)(address)
    function(ctypes.addressof(block), chunk, ctypes.addressof(workspace) + 128)


class TestTarget:
    def test_remembered(self, tmp_path: Path, host: target.Target, monkeypatch: pytest.MonkeyPatch) -> None:
        store = disk.Disk(tmp_path / "code")
        assert target.host(store) == host
        monkeypatch.setattr(target, "_asked", lambda: pytest.fail("asked again"))
        assert target.host(store) == host

    def test_without_llvmlite(self, tmp_path: Path, host: target.Target, monkeypatch: pytest.MonkeyPatch) -> None:
        store = disk.Disk(tmp_path / "code")
        target.host(store)
        monkeypatch.setattr(target, "compiler_version", lambda: "")
        monkeypatch.setattr(target, "_asked", lambda: pytest.fail("asked"))
        assert target.host(store) == host

    def test_another_processor_is_asked_about(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        store = disk.Disk(tmp_path / "code")
        target.host(store)
        monkeypatch.setattr(machine, "cpu_words", lambda: frozenset(["something_new"]))
        monkeypatch.setattr(target, "_asked", lambda: target.Target("t", "c", "f", "l"))
        assert target.host(store).cpu == "c"

    def test_missing_compiler(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import sys

        target.binding.cache_clear()
        monkeypatch.setitem(sys.modules, "llvmlite", None)
        monkeypatch.delitem(sys.modules, "llvmlite.binding")
        with pytest.raises(target.MissingCompiler, match="pip install llvmlite"):
            target.binding()

    @pytest.mark.parametrize(
        ("name", "width", "registers", "fma"),
        [
            ("sse2", 16, 16, False), ("sse4", 16, 16, False), ("avx2", 32, 16, True), ("avx512", 64, 32, True),
            ("avx512-emulated", 64, 32, True),
        ],
    )  # fmt: skip
    def test_named(self, name: str, width: int, registers: int, fma: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(machine, "cpu_words", frozenset)
        found = target.named(name, target.Target("x86_64-unknown-linux-gnu", "any", "", "22"))
        assert (found.vector_bytes, found.vector_registers, found.fma) == (width, registers, fma)
        assert found.rounds == (name != "sse2")
        assert found.is_x86 and not found.is_arm

    def test_emulation_plans_with_features_that_llvm_may_not_use(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(machine, "cpu_words", lambda: frozenset(["avx2", "fma", "f16c"]))
        base = target.Target("x86_64-unknown-linux-gnu", "any", "", "22")
        found, avx2 = target.named("avx512-emulated", base), target.named("avx2", base)
        assert found.has("avx512f") and not found.has_masks and found.samples == 16 and found.key != avx2.key
        assert (found.cpu, found.instructions) == (avx2.cpu, avx2.instructions)
        assert "zmm" not in assembly(kernels.ADD, found)

    def test_arm(self) -> None:
        found = target.named("neon", target.Target("aarch64-unknown-linux-gnu", "any", "", "22"))
        assert (found.vector_bytes, found.vector_registers, found.fma) == (16, 32, True)

    def test_wrong_names(self, monkeypatch: pytest.MonkeyPatch) -> None:
        base = target.Target("x86_64-unknown-linux-gnu", "any", "", "22")
        with pytest.raises(ValueError, match="expected one of sse2, sse4, avx2, avx512"):
            target.named("neon", base)
        monkeypatch.setattr(machine, "cpu_words", lambda: frozenset(["sse2"]))
        with pytest.raises(ValueError, match="FLAMBEAU_CPU=avx2: this processor lacks avx2, fma, f16c"):
            target.named("avx2", base)

    def test_environment(self, host: target.Target, monkeypatch: pytest.MonkeyPatch) -> None:
        name = "neon" if host.is_arm else "sse2"
        monkeypatch.setenv("FLAMBEAU_CPU", name)
        assert target.current(NOTHING) == target.named(name, host)
        monkeypatch.delenv("FLAMBEAU_CPU")
        assert target.current(NOTHING) == host


class TestAssemble:
    def test_refusals_show_the_text(self, host: target.Target) -> None:
        with pytest.raises(CompileError, match=r"(?s)value doesn't match.*    3   ret i32 0\n    4 }"):
            assemble("; a comment\ndefine void @kernel() {\n  ret i32 0\n}", host)
        with pytest.raises(CompileError, match="does not dominate"):
            assemble("define void @k() {\n  %a = add i32 %b, 1\n  %b = add i32 %a, 1\n  ret void\n}", host)

    def test_target_decides_the_registers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(machine, "cpu_words", frozenset)
        base = target.Target("x86_64-unknown-linux-gnu", "any", "", "22")
        code = {name: assembly(kernels.ADD, target.named(name, base)) for name in ("sse2", "avx2")}
        assert "ymm" in code["avx2"] and "ymm" not in code["sse2"]

    def test_the_same_bytes_on_many_threads(self, host: target.Target, monkeypatch: pytest.MonkeyPatch) -> None:
        texts = [kernels.ADD, kernels.SUM, kernels.ORDER, kernels.BUSY, kernels.LOOK_UP, kernels.SCALE] * 4
        expected = [assemble(text, host) for text in texts]
        for threads in (1, 4):
            monkeypatch.setattr(machine, "available_threads", lambda threads=threads: threads)
            assert list(assemble_all(texts, host)) == expected
            with pytest.raises(CompileError, match="nonsense"):
                list(assemble_all([*texts, "nonsense"], host))

    def test_where_llvmlite_s_lock_cannot_be_passed_by(
        self, host: target.Target, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        expected = assemble(kernels.ADD, host)
        function = target.binding().ffi.lib.LLVMPY_TargetMachineEmitToMemory
        replacement = lambda *arguments: function(*arguments)  # noqa: E731
        monkeypatch.setitem(target.binding().ffi.lib._fntab, "LLVMPY_TargetMachineEmitToMemory", replacement)
        assert assemble(kernels.ADD, host) == expected


@NEEDS_ELF
class TestLoader:
    def load(self, text: str, host: target.Target) -> dict[str, int]:
        return loader.load([loader.prepare([assemble(text, host)], [])])[0]

    def test_constants_and_calls(self, host: target.Target) -> None:
        text = """
@table = private constant [4 x float] [float 1.0, float 2.0, float 3.0, float 4.0], align 16
declare ptr @memcpy(ptr, ptr, i64)
define internal void @copy(ptr %to, ptr %from) noinline {
  %r = call ptr @memcpy(ptr %to, ptr %from, i64 16)
  ret void
}
define void @kernel(ptr %o, i64 %c, ptr %w) {
  %out = load ptr, ptr %o
  call void @copy(ptr %out, ptr @table)
  ret void
}
define void @other(ptr %o, i64 %c, ptr %w) {
  call void @kernel(ptr %o, i64 %c, ptr %w)
  ret void
}
"""
        found = self.load(text, host)
        assert sorted(found) == ["kernel", "other"]
        for name in found:
            out = np.zeros(4, np.float32)
            call(found[name], [out.ctypes.data])
            assert out.tolist() == [1, 2, 3, 4]

    def test_many_at_once(self, host: target.Target) -> None:
        texts = [kernels.SCALE.replace("0x3F50624DE0000000", f"{float(i)}") for i in range(1, 30)]
        loaded = loader.load([loader.prepare([assemble(text, host)], []) for text in texts])
        for i, found in enumerate(loaded, 1):
            x, y = np.float32([3]), np.float32([0])
            call(found["kernel"], [x.ctypes.data, y.ctypes.data])
            assert y[0] == 3 * i

    def test_code_is_never_writable(self, host: target.Target) -> None:
        addresses = [self.load(kernels.ADD, host)["kernel"] for _ in range(3)]
        regions = []
        for line in Path("/proc/self/maps").read_text().splitlines():
            first, last, mode = re.match("([0-9a-f]+)-([0-9a-f]+) (....)", line).groups()
            regions.append((int(first, 16), int(last, 16), mode))
        for address in addresses:
            assert [mode for first, last, mode in regions if first <= address < last] == ["r-xp"]

    def test_little_address_space(self, host: target.Target, monkeypatch: pytest.MonkeyPatch) -> None:
        reserve = loader.memory.reserve

        def limited(size: int) -> int:
            if size > 1 << 20:
                raise MemoryError
            return reserve(size)

        monkeypatch.setattr(loader, "_arena", loader._Arena())
        monkeypatch.setattr(loader.memory, "reserve", limited)
        for _ in range(3):
            x, y = np.float32([2000]), np.float32([0])
            call(self.load(kernels.SCALE, host)["kernel"], [x.ctypes.data, y.ctypes.data])
            assert y[0] == np.float32(2000) * np.float32(1e-3)

    def test_unknown_functions_are_refused(self, host: target.Target) -> None:
        text = "declare void @system(ptr)\n" + kernels.HEAD + "  call void @system(ptr %o)\n  ret void\n}"
        with pytest.raises(loader.LoadError, match="a kernel calls system, which is not available"):
            loader.prepare([assemble(text, host)], [])

    def test_writable_data_is_refused(self, host: target.Target) -> None:
        text = "@state = global i64 1\n" + kernels.HEAD + "  store i64 2, ptr @state\n  ret void\n}"
        with pytest.raises(loader.LoadError, match="only code and constants"):
            loader.prepare([assemble(text, host)], [])

    def test_other_machines_are_refused(self, host: target.Target) -> None:
        content = bytearray(assemble(kernels.ADD, host))
        struct.pack_into("<H", content, 18, 243)
        with pytest.raises(loader.LoadError, match="machine 243"):
            loader.prepare([bytes(content)], [])

    def test_other_formats_go_through_llvm(self, host: target.Target) -> None:
        packed = loader._pack_object(assemble(kernels.SCALE, host), ["kernel"])
        found = loader.load([packed])[0]
        x, y = np.float32([2000]), np.float32([0])
        call(found["kernel"], [x.ctypes.data, y.ctypes.data])
        assert y[0] == np.float32(2000) * np.float32(1e-3)

    def test_formats_that_are_not_elf_are_kept_with_their_names(self) -> None:
        darwin = target.Target("x86_64-apple-darwin", "x86-64", "+sse2", "22")
        prepared = loader.prepare([assemble(kernels.ADD, darwin)], ["kernel"])
        assert loader._unpack_object(prepared) == (assemble(kernels.ADD, darwin), ["kernel"])


def words_at(code: bytes, offset: int, count: int) -> tuple[int, ...]:
    return struct.unpack_from(f"<{count}I", code, offset)


class TestArm:
    """Relocations of aarch64, decoded: the code cannot run here."""

    ARM = target.Target("aarch64-unknown-linux-gnu", "generic", "+neon", "22")

    def image(self, text: str) -> tuple[bytes, dict[str, int], dict[str, int]]:
        alignment, code, exported, outside = loader._unpack_image(loader.prepare([assemble(text, self.ARM)], []))
        assert alignment == 4096
        return code, dict(exported), dict(outside)

    def test_page_and_low_bits(self) -> None:
        values = ", ".join(f"float {float(i)}" for i in range(4))
        text = (
            "@padding = private constant [5000 x i8] zeroinitializer\n"
            f"@table = private constant <4 x float> <{values}>\n"
            "define ptr @pad() {\n  ret ptr @padding\n}\n"
            "define <4 x float> @kernel() {\n  %v = load <4 x float>, ptr @table\n  ret <4 x float> %v\n}"
        )
        code, exported, _ = self.image(text)
        page, load = words_at(code, exported["kernel"], 2)
        assert page & 0x9F000000 == 0x90000000 and load & 0xFFC00000 == 0x3DC00000  # adrp, ldr q
        high = (page >> 5 & 0x7FFFF) << 2 | page >> 29 & 3
        address = (exported["kernel"] >> 12 << 12) + (high << 12) + ((load >> 10 & 0xFFF) << 4)
        assert struct.unpack_from("<4f", code, address) == (0, 1, 2, 3)
        page, add = words_at(code, exported["pad"], 2)
        high = (page >> 5 & 0x7FFFF) << 2 | page >> 29 & 3
        address = (exported["pad"] >> 12 << 12) + (high << 12) + (add >> 10 & 0xFFF)
        assert code[address : address + 5000] == bytes(5000)

    def test_calls_outside_lead_to_a_jump(self) -> None:
        text = "declare ptr @memcpy(ptr, ptr, i64)\n" + kernels.HEAD
        text += "  %r = call ptr @memcpy(ptr %o, ptr %w, i64 99)\n  ret void\n}"
        code, exported, outside = self.image(text)
        at, found = next(
            (at, word)
            for at in range(exported["kernel"], len(code), 4)
            for word in words_at(code, at, 1)
            if word >> 26 == 0b100101
        )
        assert at + 4 * (found & 0x3FFFFFF) == outside["memcpy"] - 8
        assert words_at(code, outside["memcpy"] - 8, 2) == (0x58000050, 0xD61F0200)  # ldr x16, 8; br x16

    def test_the_pool(self) -> None:
        _, exported, outside = self.image(pool_text(self.ARM))
        assert {"run", "work"} <= set(exported) and set(outside) == {"memcpy", "syscall", "sched_yield"}


def test_pool_text_of_darwin() -> None:
    for triple in ("arm64-apple-darwin23.0.0", "x86_64-apple-macosx14.0"):
        found = target.Target(triple, "generic" if triple.startswith("arm") else "x86-64", "", "22")
        assert b"__ulock_wait" in assemble(pool_text(found), found)


@pytest.mark.parametrize("triple", ["x86_64-pc-windows-msvc", "riscv64-unknown-linux-gnu"])
def test_systems_without_a_pool(triple: str) -> None:
    with pytest.raises(NotImplementedError, match="run on NumPy"):
        pool_text(target.Target(triple, "generic", "", "22"))


class TestCache:
    def cache(self, folder: Path, host: target.Target) -> CodeCache:
        return CodeCache(host, disk.Disk(folder / "code"))

    def check(self, cache: CodeCache) -> None:
        x, y = np.float32([5000]), np.float32([0])
        call(cache.load([kernels.SCALE])[0]["kernel"], [x.ctypes.data, y.ctypes.data])
        assert y[0] == np.float32(5000) * np.float32(1e-3)

    def test_compiled_once(self, tmp_path: Path, host: target.Target) -> None:
        first = self.cache(tmp_path, host)
        for _ in range(2):
            self.check(first)
        assert (first.compiled, first.read) == (1, 0)
        second = self.cache(tmp_path, host)
        self.check(second)
        assert (second.compiled, second.read) == (0, 1)

    def test_the_same_text_twice(self, tmp_path: Path, host: target.Target) -> None:
        cache = self.cache(tmp_path, host)
        one, other, again = cache.load([kernels.ADD, kernels.SCALE, kernels.ADD])
        assert one == again != other and cache.compiled == 2

    def test_texts_with_names_are_written_once(self, tmp_path: Path, host: target.Target) -> None:
        written: list[str] = []

        def write() -> str:
            written.append("")
            return kernels.SCALE

        for _ in range(2):
            assert [*self.cache(tmp_path, host).named("scale", write)] == ["kernel"]
        assert len(written) == 1
        self.cache(tmp_path, host).named("another name", write)
        assert len(written) == 2
        cache = self.cache(tmp_path, host)
        cache.store.drop(cache.key(kernels.SCALE))
        assert cache.named("scale", write) and cache.compiled == 1

    @pytest.mark.parametrize("change", ["cpu", "features", "llvm"])
    def test_what_else_decides(self, tmp_path: Path, host: target.Target, change: str) -> None:
        self.check(self.cache(tmp_path, host))
        others = {"cpu": "" if host.cpu == "generic" else "generic"}
        other = host._replace(**{change: others.get(change, getattr(host, change) + ",+cx16")})
        cache = self.cache(tmp_path, other)
        cache.load([kernels.SCALE])
        assert cache.compiled == 1

    def test_flambeau_s_version_decides(
        self, tmp_path: Path, host: target.Target, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.check(self.cache(tmp_path, host))
        monkeypatch.setattr("flambeau.compiler.cpu.code_cache.__flambeau_version__", "9.9")
        cache = self.cache(tmp_path, host)
        self.check(cache)
        assert cache.compiled == 1

    def test_damaged_entries_are_compiled_again(self, tmp_path: Path, host: target.Target) -> None:
        self.check(self.cache(tmp_path, host))
        for path in (tmp_path / "code").iterdir():
            data = bytearray(path.read_bytes())
            data[-8] ^= 0xFF
            path.write_bytes(data)
        again = self.cache(tmp_path, host)
        self.check(again)
        assert (again.compiled, again.read) == (1, 0)
        third = self.cache(tmp_path, host)
        self.check(third)
        assert (third.compiled, third.read) == (0, 1)

    def test_a_refused_text_leaves_the_rest_usable(self, tmp_path: Path, host: target.Target) -> None:
        cache = self.cache(tmp_path, host)
        with pytest.raises(CompileError):
            cache.load([kernels.SCALE, "define nonsense"])
        self.check(cache)

    def test_without_a_folder(self, host: target.Target) -> None:
        cache = CodeCache(host, disk.Disk(None))
        self.check(cache)
        self.check(cache)
        assert cache.compiled == 1
