"""The kernel that stops a program when a flag says that a value is refused (``checks``)."""

from __future__ import annotations

from ...dtypes import bool_
from ..affine import Affine
from ..ir import Value
from ..loops import Load, Nest, Node
from ..sequence import Cluster
from .nest_loops import Kernel
from .pool_text import ERROR_CODE

REFUSED = 1  # the error code

TEXT = f"""define void @kernel(ptr noalias %operands, i64 %chunk, ptr noalias %workspace) nounwind {{
entry:
  %place = load ptr, ptr %operands, align 8
  %flag = load i8, ptr %place, align 1
  %bad = icmp ne i8 %flag, 0
  br i1 %bad, label %refuse, label %out
refuse:
  %code = getelementptr i8, ptr %workspace, i64 {ERROR_CODE}
  store i64 {REFUSED}, ptr %code, align 8
  br label %out
out:
  ret void
}}
"""


def refusal(flag: Value) -> tuple[Cluster, Nest, Kernel]:
    """The kernel for a flag in memory, with the loops that it does not have."""
    load = Node("load", "load", (), Load(flag, Affine(0), ()), bool_, frozenset())
    n = Nest([1], [0], nodes=[load])
    return Cluster(()), n, Kernel("kernel", TEXT, [(flag, False)], n, -1, 0, 1, fails=True)
