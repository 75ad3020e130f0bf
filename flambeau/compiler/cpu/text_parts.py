"""Long LLVM texts of several functions in parts, which threads compile side by side and ``loader`` puts together.

No part sees more of another than what its functions are called, and nothing is put in where it is called, so the code
of a function is the same in a part as in the whole.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .assemble import PLAIN

LEAST = 6000  # characters of a part: a module takes LLVM as long as a thousand of them, whatever is in it
FUNCTION = re.compile(r"^define (?P<internal>internal )?(?P<header>[^\n]*) \{\n.*?^\}\n", re.MULTILINE | re.DOTALL)


def in_parts(text: str, most: int) -> list[str]:
    """The modules of a text: itself, if it is short, plain or one function.

    Args:
        text: of an ELF object.
        most: parts, as there are threads.
    """
    functions = [] if text.startswith(PLAIN) else list(FUNCTION.finditer(text))
    count = min(most, len(functions), len(text) // LEAST)
    if count < 2:
        return [text]
    rest = FUNCTION.sub("", text)
    if "define " in rest:
        return [text]
    return [_module(functions, own, rest) for own in _shares([len(f[0]) for f in functions], count)]


def _shares(sizes: Sequence[int], count: int) -> list[set[int]]:
    """The numbers of the functions of each part, so that parts are about equally long."""
    shares: list[set[int]] = [set() for _ in range(count)]
    totals = [0] * count
    for k in sorted(range(len(sizes)), key=lambda k: -sizes[k]):
        least = totals.index(min(totals))
        shares[least].add(k)
        totals[least] += sizes[k]
    return shares


def _module(functions: Sequence[re.Match[str]], own: set[int], rest: str) -> str:
    """A module that defines its own functions and declares the others. What was internal only other parts may call."""
    texts = [rest]
    for k, f in enumerate(functions):
        if k not in own:
            texts.append(f"declare hidden {f['header']}\n")
        else:
            texts.append(f[0].replace("define internal ", "define hidden ", 1))
    return "".join(texts)
