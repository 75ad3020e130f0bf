"""Steps of parameters with sparse gradients: of a table, the rows that have an entry.

A rule is given the entries as they are, uncoalesced, so that a step's program depends on how many indices a batch has,
not on how many of them are distinct. Where a row needs the sum of its entries, the first one gets all of it, and the
others change nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import flambeau as torch

from ..ops import sparse_rows
from ._rules import Rule, apply_rule, ending

if TYPE_CHECKING:
    from flambeau import Tensor


def apply_to_rows(rule: Rule, flags: Any, parameters: Sequence[Sequence[Any]], numbers: Sequence[Any]) -> None:
    """Updates tables in place by ``rule(form, tensors, numbers)``, with (flags, how gradients are) for the form.

    Args:
        rule: gets parameter, values, index of the row of each value, and states.
        flags: what may differ in structure.
        parameters: parameter, sparse gradient and states of each.
        numbers: of the step.
    """
    groups: dict[Any, list[Any]] = {}
    for param, grad, *states in parameters:
        index = grad._at[0] if grad.sparse_dim() == 1 else grad._flat()
        if index.shape[0]:
            form = flags, grad.sparse_dim(), grad._padded, grad._once_only
            groups.setdefault(form, []).append([param, grad._own, index, *states])
    ending[0] = False
    for form, rows in groups.items():
        apply_rule(rule, form, rows, numbers)


def rows_of(x: Tensor, form: Any) -> Tensor:
    """A table or state with one dimension for its rows."""
    return x.reshape(-1, *x.shape[form[1] :])


def rows_at(x: Tensor, index: Tensor, form: Any) -> Tensor:
    """The rows that an index names."""
    return sparse_rows.rows(rows_of(x, form), index)


def summed(values: Tensor, index: Tensor, form: Any) -> tuple[Tensor, Tensor, Tensor | None]:
    """For the first entry of each row the sum of all of its entries; rows; which entries are the first of theirs.

    None: all are. An entry that is not there is none, and names some row.
    """
    _, _, padded, once = form
    if once:
        return values, index, None
    which = sparse_rows.firsts(index)
    first = which == torch.arange(index.shape[0])
    sums = sparse_rows.with_added(torch.zeros_like(values), which, values)
    if not padded:
        return sums, index, first
    return sums, index.clamp_min(0), first & (index >= 0)


def with_changes(x: Tensor, index: Tensor, change: Tensor, first: Tensor | None, form: Any) -> Tensor:
    """A table with a change added to each row that an index names; other rows are not even read."""
    if first is not None:
        change = change.where(first.view(-1, *[1] * (change.ndim - 1)), -0.0)  # to which adding changes no bit
    return sparse_rows.with_added(rows_of(x, form), index, change).view(x.shape)
