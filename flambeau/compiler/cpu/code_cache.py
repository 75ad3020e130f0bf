"""The functions of kernels, by their text: from this process's memory, from disk, or newly compiled.

A kernel's name is the hash of its text, of the CPU's features, of LLVM's and of flambeau's version, so two programs
share what they have in common, and nothing that was made for another machine or by another version is ever run.
"""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Callable, Sequence
from itertools import islice

from ...version import __flambeau_version__
from . import disk, loader, machine
from .assemble import assemble_all
from .target import Target, current
from .text_parts import in_parts

__all__ = ["CodeCache", "default"]

DEFINED = "\ndefine "
EXPORTED = re.compile(r'(?!internal|private)[^@\n]*@"?([\w.$]+)"?\(')  # behind that


class CodeCache:
    """Functions of LLVM texts.

    Args:
        target: what code is made for; by default the host, or what $FLAMBEAU_CPU names.
        store: where prepared code is kept; by default the user's cache folder.
    """

    def __init__(self, target: Target | None = None, store: disk.Disk | None = None) -> None:
        self.store = disk.default() if store is None else store
        self.target = current(self.store) if target is None else target
        self.compiled = self.read = 0
        self._functions: dict[str, dict[str, int]] = {}
        self.lock = threading.RLock()

    def load(self, texts: Sequence[str]) -> list[dict[str, int]]:
        """The addresses of the functions that each text exports, by name. What is new is loaded together.

        A text is LLVM assembly without a triple or data layout.

        Raises:
            CompileError: LLVM refuses a text.
            LoadError: a text calls what kernels cannot call, or holds writable data.
            MissingCompiler: something is new and llvmlite is not installed.
        """
        known = {text: self.key(text) for text in dict.fromkeys(texts)}
        keys = [known[text] for text in texts]
        with self.lock:
            new = {key: text for key, text in zip(keys, texts) if key not in self._functions}
            if new:
                prepared = self._read(new)
                self._compile({key: text for key, text in new.items() if key not in prepared}, prepared)
                self._functions.update(zip(new, loader.load([prepared[key] for key in new])))
            return [self._functions[key] for key in keys]

    def find(self, keys: Sequence[str]) -> list[dict[str, int]] | None:
        """As `load` for the keys of texts; None if something is in neither memory nor the folder."""
        with self.lock:
            new = dict.fromkeys([key for key in keys if key not in self._functions], "")
            prepared = self._read(new)
            if len(prepared) < len(new):
                return None
            self._functions.update(zip(new, loader.load([prepared[key] for key in new])))
            return [self._functions[key] for key in keys]

    def named(self, name: str, text: Callable[[], str]) -> dict[str, int]:
        """As `load` for one text, which is written only if nothing is kept for this name: code is found sooner than
        many texts are written.

        Args:
            name: all that the text follows from but the processor, the text's author included.
            text: writes it.
        """
        entry = disk.key_of("named", name, self.target.key)
        known = self.store.get(entry)
        found = None if known is None else self.find([known.decode()])
        if found is None:
            written = text()
            found = self.load([written])
            self.store.put(entry, self.key(written).encode())
        return found[0]

    def names(self, addresses: Sequence[int]) -> list[tuple[str, str]]:
        """Of functions that were given out: the keys of their texts, and what they are called there."""
        with self.lock:
            where = {at: (key, name) for key, functions in self._functions.items() for name, at in functions.items()}
        return [where[at] for at in addresses]

    def key(self, text: str) -> str:
        """What the text is kept under."""
        return disk.key_of("code", __flambeau_version__, self.target.key, text)

    def _read(self, new: dict[str, str]) -> dict[str, bytes]:
        """What the folder holds of it."""
        found = {key: content for key in new if (content := self.store.get(key)) is not None}
        self.read += len(found)
        return found

    def _compile(self, missing: dict[str, str], prepared: dict[str, bytes]) -> None:
        """Adds what the folder lacks, the longest texts first, so that none is waited for alone, and keeps it there."""
        most = machine.available_threads() if self.target.makes_elf else 1
        parts = {key: in_parts(missing[key], most) for key in sorted(missing, key=lambda key: -len(missing[key]))}
        objects = assemble_all([part for of_text in parts.values() for part in of_text], self.target)
        for key, of_text in parts.items():
            prepared[key] = loader.prepare(list(islice(objects, len(of_text))), exported(missing[key]))
            self.store.put(key, prepared[key])
        self.compiled += len(missing)


def exported(text: str) -> list[str]:
    """The functions that a text defines for others."""
    text = "\n" + text
    found = []
    at = text.find(DEFINED)
    while at >= 0:  # many texts are a megabyte of anything but definitions
        name = EXPORTED.match(text, at + len(DEFINED))
        if name:
            found.append(name[1])
        at = text.find(DEFINED, at + 1)
    return found


@functools.cache
def default() -> CodeCache:
    """This process's cache, for the CPU it runs on."""
    return CodeCache()
