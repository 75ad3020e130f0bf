"""Object code to memory that may be executed, without LLVM.

`prepare` makes an image of ELF objects: the bytes of their code and constants with every relocation resolved that
does not depend on where they will lie, which is all of them but the addresses of functions outside. `load` places
images in memory: pages are written first and made executable then, never both at once, and never written again, so
other threads may run what lies beside them. Code is never freed: a thread may still be in it when Python ends.

Objects of other formats (Mach-O, COFF) go through LLVM's own JIT linker.
"""

from __future__ import annotations

import ctypes
import functools
import mmap
import struct
import sys
from collections.abc import Callable, Sequence
from typing import Any

from ..._records import Record
from . import memory

__all__ = ["EXTERNAL", "LoadError", "load", "prepare"]

IMAGE_MAGIC = b"FLMBIMG1"
ELF_MAGIC = b"\x7fELF\x02\x01"
ARENA_BYTES = 256 << 20

# What code may call outside itself: names of the C library.
EXTERNAL = frozenset(["syscall", "sched_yield", "memcpy", "memmove", "memset", "fma", "fmaf", "fmod", "fmodf"])
EXTERNAL |= {"aligned_alloc", "calloc", "realloc", "free"}
EXTERNAL |= {"exp", "log", "log1p", "pow", "sin", "cos", "lgamma"}
if sys.platform == "darwin":
    EXTERNAL |= {"__ulock_wait", "__ulock_wake"}


class LoadError(RuntimeError):
    """An object file holds what this loader does not place."""


# ---- ELF objects to images

SECTION = struct.Struct("<IIQQQQIIQQ")  # name type flags address offset size link info alignment entry
SYMBOL = struct.Struct("<IBBHQQ")  # name info other section value size
RELOCATION = struct.Struct("<QQq")  # offset symbol<<32|type addend
PROGBITS, SYMTAB, RELA = 1, 2, 4
WRITE, ALLOC = 1, 2
X86_64, AARCH64 = 62, 183
LOCAL = 0
HIDDEN = 2

# Code that jumps to an address stored after it, 8 bytes to be filled in.
STUBS = {
    X86_64: bytes.fromhex("ff2502000000 6690"),  # jmp *2(%rip); nop
    AARCH64: bytes.fromhex("50000058 00021fd6"),  # ldr x16, 8; br x16
}
# ARM code adds page numbers, so an image must keep its offset within a page.
ALIGNMENT = {X86_64: 64, AARCH64: 4096}


def prepare(contents: Sequence[bytes], names: Sequence[str]) -> bytes:
    """What `load` takes and a cache keeps: ELF objects as one image; another format as it is, with the names.

    Args:
        contents: the object files, which may call one another's functions; of other formats than ELF just one.
        names: the functions that they export.

    Raises:
        LoadError: an object needs something that kernels have no use for (writable data, unknown symbols, …).
    """
    if not contents[0].startswith(ELF_MAGIC):
        (content,) = contents
        return _pack_object(content, names)
    return _Linker([_Object(content) for content in contents]).image()


class _Symbol(Record):
    """A name in an object; ``place`` is its offset in the image, or None for what the object does not hold."""

    name: str
    place: int | None
    is_local: bool
    is_hidden: bool


class _Object:
    """An ELF object: its header, its sections and, once these are placed, its symbols."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        (self.machine,) = struct.unpack_from("<H", content, 18)
        if self.machine not in STUBS:
            raise LoadError(f"ELF objects for machine {self.machine} are not supported")
        (table,) = struct.unpack_from("<Q", content, 40)
        _, count, names = struct.unpack_from("<HHH", content, 58)
        self.sections = [SECTION.unpack_from(content, table + i * SECTION.size) for i in range(count)]
        self.names = self.sections[names][4]
        self.places: dict[int, int] = {}
        self.symbols: list[_Symbol] = []

    def place(self, append: Callable[[bytes, int], int]) -> None:
        """Puts code and constants into the image."""
        for index, section in enumerate(self.sections):
            name, kind, flags, _, offset, size, _, _, alignment, _ = section
            label = self._name(self.names + name)
            if not (flags & ALLOC and size) or label == ".eh_frame":
                continue
            if flags & WRITE or kind != PROGBITS or alignment > ALIGNMENT[self.machine]:
                raise LoadError(f"section {label}: only code and constants can be loaded")
            self.places[index] = append(self.content[offset : offset + size], alignment)
        table = next((s for s in self.sections if s[1] == SYMTAB), None)
        if table is not None:
            self.symbols = [self._symbol(table, at) for at in range(0, table[5], SYMBOL.size)]

    def _name(self, start: int) -> str:
        return self.content[start : self.content.index(b"\0", start)].decode()

    def _symbol(self, table: tuple[int, ...], at: int) -> _Symbol:
        name, info, other, section, value, _ = SYMBOL.unpack_from(self.content, table[4] + at)
        label = self._name(self.sections[table[6]][4] + name) if name else ""
        place = self.places.get(section)
        return _Symbol(label, None if place is None else place + value, info >> 4 == LOCAL, other & 3 == HIDDEN)


class _Linker:
    def __init__(self, objects: Sequence[_Object]) -> None:
        self.objects = objects
        self.machine = objects[0].machine
        self.code = bytearray()
        self.stubs: dict[str, int] = {}
        for one in objects:
            one.place(self._append)
        self.known: dict[str, int] = {}  # functions that objects may call
        self.exported: dict[str, int] = {}
        for s in [s for one in objects for s in one.symbols]:
            if s.name and s.place is not None and not s.is_local:
                self.known[s.name] = s.place
                if not s.is_hidden:
                    self.exported[s.name] = s.place

    def image(self) -> bytes:
        """The image as bytes."""
        for one in self.objects:
            for section in one.sections:
                if section[1] == RELA and section[7] in one.places:
                    self._relocate(one, section)
        pointers = {name: at + 8 for name, at in self.stubs.items()}
        return _pack_image(ALIGNMENT[self.machine], bytes(self.code), self.exported, pointers)

    def _append(self, content: bytes, alignment: int) -> int:
        self.code += b"\xcc" * (-len(self.code) % max(alignment, 1))
        self.code += content
        return len(self.code) - len(content)

    def _stub(self, name: str) -> int:
        """The offset of code that jumps to a function outside."""
        if name not in EXTERNAL:
            raise LoadError(f"a kernel calls {name or 'an unnamed symbol'}, which is not available to kernels")
        if name not in self.stubs:
            self.stubs[name] = self._append(STUBS[self.machine] + bytes(8), 16)
        return self.stubs[name]

    def _relocate(self, one: _Object, section: tuple[int, ...]) -> None:
        apply = _relocate_x86 if self.machine == X86_64 else _relocate_arm
        base = one.places[section[7]]
        for at in range(section[4], section[4] + section[5], RELOCATION.size):
            offset, info, addend = RELOCATION.unpack_from(one.content, at)
            name, place, *_ = one.symbols[info >> 32]
            place = self.known.get(name) if place is None else place
            kind = info & 0xFFFFFFFF
            if place is None and kind not in CALLS[self.machine]:
                raise LoadError(f"relocation {kind} to {name or 'nothing'}, which is outside the object")
            apply(self.code, base + offset, kind, (self._stub(name) if place is None else place) + addend)


# Relocations of calls, which may lead outside.
CALLS = {X86_64: (4,), AARCH64: (282, 283)}


def _fits(value: int, bits: int, kind: int) -> int:
    if not -(1 << bits - 1) <= value < 1 << bits - 1:
        raise LoadError(f"relocation {kind} is out of range")
    return value & (1 << bits) - 1


def _relocate_x86(code: bytearray, at: int, kind: int, target: int) -> None:
    if kind not in (2, 4):  # PC32, PLT32
        raise LoadError(f"relocation {kind} of x86-64 is not supported")
    struct.pack_into("<I", code, at, _fits(target - at, 32, kind))


def _relocate_arm(code: bytearray, at: int, kind: int, target: int) -> None:
    """Writes an address into an instruction, as the relocations of AArch64's ELF objects say."""
    if kind == 261:  # PREL32
        struct.pack_into("<I", code, at, _fits(target - at, 32, kind))
        return
    (word,) = struct.unpack_from("<I", code, at)
    if kind in CALLS[AARCH64]:
        word |= _fits(target - at >> 2, 26, kind)
    elif kind in (274, 275):  # ADR_PREL_LO21, ADR_PREL_PG_HI21
        value = target - at if kind == 274 else (target >> 12) - (at >> 12)
        value = _fits(value, 21, kind)
        word |= (value & 3) << 29 | value >> 2 << 5
    elif kind in LOW_BITS:
        shift = LOW_BITS[kind]
        if target & (1 << shift) - 1:
            raise LoadError(f"relocation {kind} to a misaligned address")
        word |= (target & 0xFFF) >> shift << 10
    else:
        raise LoadError(f"relocation {kind} of aarch64 is not supported")
    struct.pack_into("<I", code, at, word)


# ADD_ABS_LO12_NC and LDST8 to LDST128_ABS_LO12_NC: the low 12 bits of an address, in units of 1 << shift bytes.
LOW_BITS = {277: 0, 278: 0, 284: 1, 285: 2, 286: 3, 299: 4}


# ---- images

HEADER = struct.Struct("<8sIIII")  # magic alignment code-bytes exported outside
ENTRY = struct.Struct("<IH")  # offset, length of the name


def _pack_image(alignment: int, code: bytes, exported: dict[str, int], outside: dict[str, int]) -> bytes:
    parts = [HEADER.pack(IMAGE_MAGIC, alignment, len(code), len(exported), len(outside))]
    for name, offset in [*exported.items(), *outside.items()]:
        encoded = name.encode()
        parts += [ENTRY.pack(offset, len(encoded)), encoded]
    return b"".join([*parts, code])


def _unpack_image(image: bytes) -> tuple[int, bytes, list[tuple[str, int]], list[tuple[str, int]]]:
    """Alignment, code, the functions it exports, and where the addresses of functions outside go."""
    _, alignment, size, exported, outside = HEADER.unpack_from(image)
    at = HEADER.size
    entries = []
    for _ in range(exported + outside):
        offset, length = ENTRY.unpack_from(image, at)
        at += ENTRY.size + length
        entries.append((image[at - length : at].decode(), offset))
    return alignment, image[at : at + size], entries[:exported], entries[exported:]


def _pack_object(content: bytes, names: Sequence[str]) -> bytes:
    return b"\0".join([" ".join(names).encode(), content])


def _unpack_object(packed: bytes) -> tuple[bytes, list[str]]:
    names, _, content = packed.partition(b"\0")
    return content, names.decode().split()


# ---- memory


class _Arena:
    """Pages for code, handed out once and in order."""

    def __init__(self) -> None:
        self._next = self._end = 0

    def place(self, size: int, write: Callable[[int], None]) -> None:
        """Calls `write` with the address of fresh writable pages, then makes them executable instead."""
        size += -size % mmap.PAGESIZE
        if self._next + size > self._end:
            self._reserve(size)
        address = self._next
        self._next += size
        memory.protect(address, size, memory.READ_WRITE)
        write(address)
        memory.protect(address, size, memory.READ_EXECUTE)

    def _reserve(self, size: int) -> None:
        space = max(size, ARENA_BYTES)
        try:
            self._next = memory.reserve(space)
        except MemoryError:  # a process whose address space is limited
            space = size
            self._next = memory.reserve(space)
        self._end = self._next + space


_arena = _Arena()


def load(prepared: Sequence[bytes]) -> list[dict[str, int]]:
    """The addresses of the functions of each object, in memory that can be executed.

    Objects loaded together lie together. The caller sees to it that one thread loads at a time.

    Raises:
        OSError: the system refuses memory or the right to execute it.
    """
    images = [one for one in prepared if one.startswith(IMAGE_MAGIC)]
    placed = iter(_load_images(images))
    return [next(placed) if one.startswith(IMAGE_MAGIC) else _load_with_jit(one) for one in prepared]


def _load_images(images: list[bytes]) -> list[dict[str, int]]:
    """Places linked images one behind the other in executable memory; the addresses of each one's functions."""
    unpacked = [_unpack_image(image) for image in images]
    offsets, size = [], 0
    for alignment, code, _, _ in unpacked:
        size += -size % alignment
        offsets.append(size)
        size += len(code)
    found: list[dict[str, int]] = []

    def write(address: int) -> None:
        for offset, (_, code, exported, outside) in zip(offsets, unpacked):
            base = address + offset
            ctypes.memmove(base, code, len(code))
            for name, at in outside:
                ctypes.c_uint64.from_address(base + at).value = _external(name)
            found.append({name: base + at for name, at in exported})

    if size:
        _arena.place(size, write)
    return found


@functools.cache
def _external(name: str) -> int:
    """The address of a function of the C library."""
    if name not in EXTERNAL:
        raise LoadError(f"a kernel calls {name}, which is not available to kernels")
    library = ctypes.CDLL(None) if sys.platform != "win32" else ctypes.CDLL("msvcrt")
    address = ctypes.cast(getattr(library, name), ctypes.c_void_p).value
    assert address is not None
    return address


_engines: list[Any] = []


def _load_with_jit(packed: bytes) -> dict[str, int]:
    """LLVM's JIT linker, for object formats that are not ELF."""
    from .target import binding

    content, names = _unpack_object(packed)
    llvm = binding()
    for name in EXTERNAL:
        llvm.add_symbol(name, _external(name))
    machine = llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine(jit=True)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly("", llvm.create_context()), machine)
    object_file = llvm.ObjectFileRef.from_data(content)
    engine.add_object_file(object_file)
    engine.finalize_object()
    _engines.append((engine, object_file))
    return {name: engine.get_function_address(name) for name in names}
