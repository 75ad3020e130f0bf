"""``torch.utils.deterministic``: may tensors of undefined values show that nobody has given them any?

While deterministic algorithms are asked for (``torch.use_deterministic_algorithms``), ``torch.empty`` and its like give
NaN, the greatest integer, or True, unless ``fill_uninitialized_memory`` is set to False. Otherwise they give zeros.
"""

from __future__ import annotations

import sys
import types

from flambeau.settings import fills_uninitialized_memory, set_fills_uninitialized_memory


class _Deterministic(types.ModuleType):
    """The module, with an attribute that acts when it is set."""

    @property
    def fill_uninitialized_memory(self) -> bool:
        """Are undefined values filled while deterministic algorithms are asked for? True by default."""
        return fills_uninitialized_memory()

    @fill_uninitialized_memory.setter
    def fill_uninitialized_memory(self, mode: bool) -> None:
        set_fills_uninitialized_memory(mode)


sys.modules[__name__].__class__ = _Deterministic
