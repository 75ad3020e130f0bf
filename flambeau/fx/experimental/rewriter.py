"""Tracing functions whose source is changed first: ``assert`` statements become calls."""

from __future__ import annotations

import ast
import copy
import inspect
from types import FunctionType
from typing import Any

import flambeau as torch
from flambeau.fx._symbolic_trace import Tracer
from flambeau.fx.graph import Graph

__all__ = ["AST_Rewriter", "RewritingTracer"]


class AST_Rewriter(ast.NodeTransformer):
    """Makes ``assert condition, message`` a call ``torch._assert(condition, message)``."""

    def rewrite(self, fn: FunctionType) -> FunctionType:
        """The function with its source changed."""
        lines = inspect.getsource(fn).splitlines()
        indent = lines[0][: len(lines[0]) - len(lines[0].lstrip())]
        tree = ast.parse("\n".join([line.removeprefix(indent) for line in lines]))  # texts may begin further left
        code = compile(ast.fix_missing_locations(self.visit(tree)), "", "exec")
        scope = dict(fn.__globals__)
        exec(code, scope)
        return FunctionType(scope[fn.__name__].__code__, fn.__globals__, fn.__name__, fn.__defaults__, fn.__closure__)

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        """The call in the place of a statement."""
        call: Any = ast.parse("torch._assert()", mode="exec").body[0]
        call.value.args = [node.test, node.msg or ast.Constant("")]
        return ast.copy_location(call, node)


class RewritingTracer(Tracer):
    """A tracer of functions whose ``assert`` statements are recorded."""

    def trace(self, root: Any, concrete_args: Any = None) -> Graph:
        """The graph of a module's ``forward`` or of a function, changed first."""
        return super().trace(_rewritten(root), concrete_args)


class RewrittenModule:
    """Marks modules whose ``forward`` was changed."""


def _rewritten(root: Any) -> Any:
    """A function, or a copy of a module, whose own functions are changed."""
    if isinstance(root, FunctionType):
        return AST_Rewriter().rewrite(root)
    made = copy.copy(root)
    for name, module in list(root._modules.items()):
        if module is not None and type(module).__module__.partition(".")[0] not in (
            "torch",
            torch.__name__,
            "flambeau",
        ):
            made._modules[name] = _rewritten(module)
    forward = AST_Rewriter().rewrite(type(root).forward)
    made.__class__ = type(type(root).__name__, (type(root),), {"forward": forward, "__module__": type(root).__module__})
    return made
