"""The functions of kernels, by their text: from this process's memory, from disk, or newly compiled.

A kernel's name is the hash of its text, of the CPU's features, of LLVM's and of flambeau's version, so two programs
share what they have in common, and nothing that was made for another machine or by another version is ever run.
"""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Sequence

from ...version import __flambeau_version__
from . import disk, loader
from .assemble import assemble
from .target import Target, current

__all__ = ["CodeCache", "default"]

EXPORTED = re.compile(r'^define (?!internal|private)[^@\n]*@"?([\w.$]+)"?\(', re.MULTILINE)


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
        keys = [self._key(text) for text in texts]
        with self.lock:
            new = {key: text for key, text in zip(keys, texts) if key not in self._functions}
            if new:
                prepared = [self._prepared(key, text) for key, text in new.items()]
                self._functions.update(zip(new, loader.load(prepared)))
            return [self._functions[key] for key in keys]

    def _key(self, text: str) -> str:
        return disk.key_of("code", __flambeau_version__, self.target.key, text)

    def _prepared(self, key: str, text: str) -> bytes:
        found = self.store.get(key)
        if found is not None:
            self.read += 1
            return found
        made = loader.prepare(assemble(text, self.target), EXPORTED.findall(text))
        self.compiled += 1
        self.store.put(key, made)
        return made


@functools.cache
def default() -> CodeCache:
    """This process's cache, for the CPU it runs on."""
    return CodeCache()
