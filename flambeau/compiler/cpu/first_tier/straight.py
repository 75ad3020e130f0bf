"""The steps of a plan as one Python function: what a loop over them does, without the loop and its registers.

Plans are many, but few differ in more than their functions and constants. So a function is written, and compiled by
Python, once for each form: which step takes what, and what is given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

Call = Callable[..., Any]
Step = tuple[Call, tuple[int, ...], int]
Form = tuple[int, tuple[tuple[tuple[int, ...], int], ...], tuple[int, ...], bool]

MOST = 12  # steps of a plan that is written so: longer ones have forms of their own
FORMS = 500  # that are remembered


def straight(
    regs: Sequence[Any], steps: Sequence[Step], results: Sequence[int], count: int, several: bool
) -> Call | None:
    """The function of ``count`` arguments, the first registers, that takes the steps; None if there are too many.

    Args:
        regs: what registers hold before the first step: constants.
        steps: each calls a function of some registers and puts what it gives into another one.
        results: the registers that are given.
        count: how many arguments there are.
        several: are results given as a tuple?
    """
    if len(steps) > MOST:
        return None
    form = count, tuple([(ins, out) for _, ins, out in steps]), tuple(results), several
    make, constants = _of_form(form)
    return make([f for f, _, _ in steps], [regs[i] for i in constants])


@lru_cache(FORMS)
def _of_form(form: Form) -> tuple[Callable[[list[Call], list[Any]], Call], list[int]]:
    """What makes such functions of steps' functions and of constants, and which registers these are."""
    count, steps, results, _ = form
    made = {out for _, out in steps}
    read = dict.fromkeys([*[i for ins, _ in steps for i in ins], *results])
    constants = [i for i in read if i >= count and i not in made]
    space: dict[str, Any] = {}
    exec(_text(form, constants), space)
    return space["make"], constants


def _text(form: Form, constants: Sequence[int]) -> str:
    count, steps, results, several = form
    lines = ["def make(functions, constants):"]
    for names, held in ((_names("f", range(len(steps))), "functions"), (_names("r", constants), "constants")):
        if names:
            lines.append(f"    {names}, = {held}")
    lines.append(f"    def call({_names('r', range(count))}):")
    lines += [f"        r{out} = f{k}({_names('r', ins)})" for k, (ins, out) in enumerate(steps)]
    lines.append(f"        return {_names('r', results)}{',' if several else ''}")
    lines.append("    return call")
    return "\n".join(lines)


def _names(letter: str, numbers: Sequence[int]) -> str:
    return ", ".join([f"{letter}{i}" for i in numbers])
