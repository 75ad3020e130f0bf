"""What a module of operators needs, in one import.

Functions are listed (``_listing``), read their arguments (``_arguments``), call operators for new results
(``_calling``), for views (``_viewing``) or in place (``_writing``), and write to ``out=`` (``_outs``). What autograd
is told of views and writes is in ``_histories``.
"""

from __future__ import annotations

from ..graph.fn import AccumulateGrad
from ..graph.node import OUT, Operator
from ._arguments import c_name, int_tuple, is_number, is_sequence, is_tensor, wrap_dim, wrap_dims
from ._calling import HELD_BACK, call, fresh
from ._histories import rebase, requires_grad, version_of, view_edge
from ._listing import FUNCTIONS, METHODS, export, function, method
from ._outs import into, into_flat
from ._overriding import copied as renamed
from ._viewing import alias, creation_of, forgetting, is_known, seen_as, view, view_inplace, view_type, views
from ._writing import (
    CAST,
    at_version,
    begin_write,
    call_inplace,
    check_result,
    fit,
    packed,
    record_write,
    write,
    write_part,
)

__all__ = [
    "CAST", "FUNCTIONS", "HELD_BACK", "METHODS", "OUT", "AccumulateGrad", "Operator", "alias", "at_version",
    "begin_write", "c_name", "call", "call_inplace", "check_result", "creation_of", "export", "fit",
    "forgetting", "fresh", "function", "int_tuple", "into", "into_flat", "is_known", "is_number",
    "is_sequence", "is_tensor",
    "method", "packed", "rebase", "record_write", "renamed", "requires_grad", "seen_as", "version_of", "view",
    "view_edge", "view_inplace", "view_type", "views", "wrap_dim", "wrap_dims", "write", "write_part",
]  # fmt: skip
