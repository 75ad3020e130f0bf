"""Runs when Python starts in a process that a program under `flambeau run` started, and makes torch mean flambeau.

`flambeau run` puts this folder into PYTHONPATH. Starting stays cheap: flambeau is imported when torch first is.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
from typing import Any

_NAMES = ("torch", "torchvision")


class _Waiting:
    """Stands in front of `sys.meta_path` and gives way to flambeau's finder when torch is first looked for."""

    def _finder(self) -> Any:
        sys.meta_path.remove(self)  # type: ignore[arg-type]
        try:
            from flambeau.tools import alias
        except ImportError:  # another interpreter, in which flambeau is not installed
            return None
        return alias.install()

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        """As flambeau's finder, for torch and torchvision."""
        if fullname.partition(".")[0] not in _NAMES:
            return None
        finder = self._finder()
        return None if finder is None else finder.find_spec(fullname, path, target)

    def find_distributions(self, context: Any) -> Any:
        """As flambeau's finder, for torch and torchvision."""
        finder = self._finder() if context.name in _NAMES else None
        return () if finder is None else finder.find_distributions(context)

    def invalidate_caches(self) -> None:
        """Nothing is cached."""


def _run_the_next() -> None:
    """Leave `sys.path` as it would be without this folder, and run the `sitecustomize` that this one hides."""
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder) != here]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", sys.path)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


sys.meta_path.insert(0, _Waiting())  # type: ignore[arg-type]
_run_the_next()
