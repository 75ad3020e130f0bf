"""Modules made of a graph."""

from __future__ import annotations

import copy
import linecache
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import flambeau as torch

from ._codegen import PythonCode, _PyTreeCodeGen
from ._names import BUILTINS
from .graph import Graph

__all__ = ["GraphModule", "reduce_graph_module"]

_numbers = count()
_HOOKS = ("_replace_hooks", "_create_node_hooks", "_erase_node_hooks", "_deepcopy_hooks")
_KEPT = ("_state_dict_hooks", "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks", *_HOOKS)
_PLAIN = ("Linear", "Conv1d", "Conv2d", "Conv3d", "BatchNorm1d", "BatchNorm2d", "BatchNorm3d")
_USER_PRESERVED_ATTRIBUTES_KEY = "_user_preserved_attributes"


def _forward_from_src(src: str, globals: dict[str, Any], co_fields: Any = None) -> Any:
    """The function ``forward`` of some source, whose lines tracebacks show."""
    name = f"<eval_with_key>.{next(_numbers)}"
    if co_fields:
        name += f" from {co_fields['co_filename']}:{co_fields['co_firstlineno']} in {co_fields['co_name']}"
    linecache.cache[name] = (len(src), None, src.splitlines(keepends=True), name)
    scope = {**globals, "__name__": name, "__file__": name}
    exec(compile(src, name, "exec", dont_inherit=True), scope)
    return scope["forward"]


class _CodeOnlyModule(torch.nn.Module):
    """What is left of a module without its graph: a root to trace its code with."""

    def __init__(self, body: dict[str, Any]) -> None:
        super().__init__()
        self.__setstate__(body)


def reduce_graph_module(body: dict[str, Any], globals: dict[str, Any]) -> GraphModule:
    """Makes a pickled module again: its code is traced, with all its submodules as leaves.

    Args:
        body: The module's state without its graph.
        globals: The functions and types that the code names.
    """
    from ._symbolic_trace import Tracer

    scope = {name: obj for name, (_, obj) in BUILTINS.items()} | globals
    root = type("_CodeOnlyModule", (_CodeOnlyModule,), {"forward": _forward_from_src(body["_code"], scope)})(body)
    kind: Any = body.get("_tracer_cls") or Tracer
    keeping = type("KeepModules", (kind,), {"is_leaf_module": lambda self, m, path: True})()
    graph = keeping.trace(root, **body.get("_tracer_extras", {}))
    graph._tracer_cls = kind
    made = GraphModule(root, graph, class_name=body.get("_graphmodule_cls_name", "GraphModule"))
    for name, value in body.items():
        if not hasattr(made, name):
            setattr(made, name, value)
    return made


def _copy_attr(source: Any, target: Any, path: str) -> None:
    """Gives ``target`` what ``source`` has under a dotted name, making modules on the way."""
    *parents, last = path.split(".")
    for name in parents:
        f, t = getattr(source, name), getattr(target, name, None)
        if f is t:
            return  # a parent is shared already
        if t is None:
            t = torch.nn.Module()
            setattr(target, name, t)
        source, target = f, t
    _set(target, last, getattr(source, last))


def _assign_attr(value: Any, target: Any, path: str) -> None:
    """Puts a value under a dotted name, making modules on the way."""
    *parents, last = path.split(".")
    for name in parents:
        if not hasattr(target, name):
            setattr(target, name, torch.nn.Module())
        target = getattr(target, name)
    _set(target, last, value)


def _set(target: Any, name: str, value: Any) -> None:
    """Sets an attribute; a tensor that is no parameter becomes a buffer."""
    if isinstance(value, torch.Tensor) and not isinstance(value, torch.nn.Parameter):
        target.register_buffer(name, value)
    else:
        setattr(target, name, value)


class GraphModule(torch.nn.Module):
    """A module whose ``forward`` is the code of a graph.

    Args:
        root: The module, or a dictionary by dotted names, that has what the graph's nodes name.
        graph: The graph.
        class_name: The class's name.

    Raises:
        RuntimeError: The dictionary lacks something that the graph names, or ``root`` is neither.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Each module has a class of its own, which has its ``forward``."""
        own: Any = next(c for c in cls.__mro__ if c.__qualname__.rpartition(".")[2] != "GraphModuleImpl")
        made = type("GraphModuleImpl", (own,), {"__module__": own.__module__, "__qualname__": "GraphModuleImpl"})
        return super().__new__(made)

    def __init__(self, root: Any, graph: Graph, class_name: str = "GraphModule") -> None:
        super().__init__()
        type(self).__name__ = class_name
        targets = [node.target for node in graph.nodes if node.op in ("get_attr", "call_module")]
        if isinstance(root, torch.nn.Module):
            self.training = getattr(root, "training", True)
            if isinstance(root, _CodeOnlyModule):
                targets = [*_own_names(root), *targets]
            for path in targets:
                _copy_attr(root, self, path)
        elif isinstance(root, dict):
            self._take(root, graph)
        else:
            raise RuntimeError(f"Unsupported type {root} passed for root!")
        self.graph = graph
        kind = graph._tracer_cls
        self._tracer_cls = kind if kind and "<locals>" not in kind.__qualname__ else None
        self._tracer_extras = graph._tracer_extras or {}
        self.meta: dict[str, Any] = {}
        for name in _HOOKS:
            self.__dict__[name] = []

    def _take(self, root: dict[str, Any], graph: Graph) -> None:
        targets = []
        for node in graph.nodes:
            if node.op in ("get_attr", "call_module"):
                if node.target not in root:
                    raise RuntimeError(
                        f"Node {node} referenced target {node.target} but that target was not provided in ``root``!"
                    )
                targets.append(node.target)
        for path in sorted(targets, key=lambda t: t.count(".")):
            _assign_attr(root[path], self, path)

    # ---- code

    @property
    def graph(self) -> Graph:
        """The graph; setting it compiles its code."""
        return self._graph

    @graph.setter
    def graph(self, g: Graph) -> None:
        assert isinstance(g, Graph), f"Expected a Graph instance, but got {type(g)}"
        self.__dict__["_graph"] = g
        g.owning_module = self
        self.recompile()

    @property
    def code(self) -> str:
        """The Python code of ``forward``."""
        if "_code" not in self.__dict__:
            raise RuntimeError("Code has not been generated! Please report a bug to PyTorch")
        return self.__dict__["_code"]

    def recompile(self) -> PythonCode:
        """Makes ``forward`` anew after the graph has changed; returns its code."""
        codegen = self._graph._codegen
        if isinstance(codegen, _PyTreeCodeGen):
            self._in_spec, self._out_spec = codegen.pytree_info.in_spec, codegen.pytree_info.out_spec
        made = self._graph.python_code(root_module="self")
        self.__dict__["_code"] = made.src
        cls: Any = type(self)
        self._lineno_map, self._prologue_start = made._lineno_map, made._prologue_start
        cls.forward = _forward_from_src(made.src, made.globals, self._graph._co_fields)
        for module in self.children():
            if isinstance(module, GraphModule):
                module.recompile()
        return made

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The result of the code; an error in it is shown with the line of the code."""
        try:
            return super().__call__(*args, **kwargs)
        except Exception as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            if "eval_with_key" in frame.filename:
                print(_where(frame), file=sys.stderr)
            raise

    # ---- hooks

    def _register_replace_node_hook(self, f: Any) -> None:
        """Calls ``f(old, new, user)`` when a user of a node gets another one, or the node another name."""
        assert callable(f), "replace_node hook must be a callable."
        self._replace_hooks.append(f)

    def _unregister_replace_node_hook(self, f: Any) -> None:
        self._replace_hooks.remove(f)

    def _register_create_node_hook(self, f: Any) -> None:
        """Calls ``f(node)`` for each new node."""
        assert callable(f), "create_node hook must be a callable."
        self._create_node_hooks.append(f)

    def _unregister_create_node_hook(self, f: Any) -> None:
        self._create_node_hooks.remove(f)

    def _register_erase_node_hook(self, f: Any) -> None:
        """Calls ``f(node)`` for each node that is removed."""
        assert callable(f), "erase_node hook must be a callable."
        self._erase_node_hooks.append(f)

    def _unregister_erase_node_hook(self, f: Any) -> None:
        self._erase_node_hooks.remove(f)

    @contextmanager
    def _set_replace_hook(self, f: Any) -> Iterator[None]:
        """A block in which ``f`` is such a hook."""
        self._register_replace_node_hook(f)
        try:
            yield
        finally:
            self._unregister_replace_node_hook(f)

    # ---- submodules

    def add_submodule(self, target: str, m: Any) -> bool:
        """Puts a module under a dotted name, making modules on the way; False if something else is in the way."""
        *parents, last = target.split(".")
        at: Any = self
        for name in parents:
            if getattr(at, name, None) is None:
                setattr(at, name, torch.nn.Module())
            at = getattr(at, name)
            if not isinstance(at, torch.nn.Module):
                return False
        at.add_module(last, m)
        return True

    def delete_submodule(self, target: str) -> bool:
        """Removes the module under a dotted name; False if there is none."""
        parent, _, last = target.rpartition(".")
        at: Any = self
        for name in parent.split(".") if parent else ():
            at = getattr(at, name, None)
            if not isinstance(at, torch.nn.Module):
                return False
        if not isinstance(getattr(at, last, None), torch.nn.Module):
            return False
        delattr(at, last)
        return True

    def delete_all_unused_submodules(self) -> None:
        """Removes the modules that no node calls, and in which no node finds anything."""
        used: set[str] = set()
        for node in self.graph.nodes:
            if node.op not in ("call_module", "get_attr"):
                continue
            parts = node.target.split(".")
            used.update([".".join(parts[: i + 1]) for i in range(len(parts))])
            if node.op == "call_module":
                try:
                    inner = self.get_submodule(node.target)
                except AttributeError:
                    continue
                used.update([f"{node.target}.{name}" for name, _ in inner.named_modules() if name])
        for name in [name for name, _ in self.named_modules() if name not in used]:
            self.delete_submodule(name)

    # ---- copies and files

    def __reduce__(self) -> tuple[Any, ...]:
        body = self.__getstate__()
        code = self.recompile()
        body["_code"], body["_graphmodule_cls_name"] = self.code, type(self).__name__
        body.pop("_graph")
        names = {name: obj for name, obj in code.globals.items() if name not in BUILTINS}
        return reduce_graph_module, (body, names)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return self.__reduce__()

    def __deepcopy__(self, memo: dict[int, Any]) -> GraphModule:
        made: Any = type(self).__new__(type(self))
        memo[id(self)] = made
        body = copy.deepcopy(self.__getstate__(), memo)
        GraphModule.__init__(made, _CodeOnlyModule(body), body["_graph"], type(self).__name__)
        for name in _KEPT:
            if name in self.__dict__:
                setattr(made, name, copy.deepcopy(self.__dict__[name], memo))
        made.meta = copy.deepcopy(getattr(self, "meta", {}), memo)
        for name, value in made.meta.get(_USER_PRESERVED_ATTRIBUTES_KEY, {}).items():
            setattr(made, name, value)
        for hook in getattr(self, "_deepcopy_hooks", ()):
            hook(made)
        return made

    def _replicate_for_data_parallel(self) -> GraphModule:
        made = self.__copy__()
        made._is_replica = True
        return made

    def __copy__(self) -> GraphModule:
        made = GraphModule(self, self.graph)
        made.meta = getattr(self, "meta", {})
        return made

    def to_folder(self, folder: Any, module_name: str = "FxModule") -> None:
        """Writes the code, the state and what else it needs as a package from which ``module_name`` is imported.

        Args:
            folder: The package's folder; it is made.
            module_name: The class's name.
        """
        folder = Path(folder)
        folder.mkdir(exist_ok=True)
        torch.save(self.state_dict(), folder / "state_dict.pt")
        lines, pickled = [], []
        for name, module in self.named_children():
            if type(module).__name__ in _PLAIN and type(module) is getattr(torch.nn, type(module).__name__):
                lines.append(f"setattr(self, '{name}', {module!r})")
            else:
                torch.save(module, folder / f"{name}.pt")
                pickled.append(name)
                lines.append(f"setattr(self, '{name}', torch.load(r'{folder / name}.pt', weights_only=False))")
        lines += [f"self.register_buffer('{k}', {_empty(b)})" for k, b in self._buffers.items() if b is not None]
        for k, p in self._parameters.items():
            if p is not None:
                lines.append(f"setattr(self, '{k}', torch.nn.Parameter({_empty(p)}))")
        lines.append(f"self.load_state_dict(torch.load(r'{folder}/state_dict.pt'))")
        imports = "\n".join([statement for statement, _ in BUILTINS.values()])
        head = f"\nimport torch\n{imports}\n\nfrom torch.nn import *\nclass {module_name}(torch.nn.Module):\n"
        body = "".join([f"        {line}\n" for line in lines])
        init = f"    def __init__(self):\n        super().__init__()\n{body}"
        (folder / "module.py").write_text(head + init + self.code.replace("\n", "\n    ") + "\n", encoding="utf-8")
        (folder / "__init__.py").write_text("from .module import *", encoding="utf-8")
        if pickled:
            warnings.warn(
                "Was not able to save the following children modules as reprs -saved as pickled files instead: "
                f"{pickled}",
                stacklevel=2,
            )

    # ---- text

    def print_readable(self, print_output: bool = True, *_: Any, **__: Any) -> str:
        """The code of the module and of those inside it, as classes; printed unless ``print_output`` is false."""
        text = _readable(self, type(self).__name__)
        if print_output:
            print(text)
        return text

    def __str__(self) -> str:
        reminder = "# To see more debug info, please use `graph_module.print_readable()`"
        return "\n".join([super().__str__(), self.code, reminder])


def _own_names(root: Any) -> list[str]:
    """The names of all that a module has."""
    children = [name for name, _ in root.named_children()]
    return [*children, *[n for n, _ in root.named_buffers()], *[n for n, _ in root.named_parameters()]]


def _empty(x: Any) -> str:
    return f"torch.empty({list(x.shape)}, dtype={x.dtype})"


def _readable(module: Any, name: str) -> str:
    body = module.code.lstrip("\n")
    inner = [_readable(m, n) for n, m in module.named_children() if hasattr(m, "code")]
    body = "\n".join([body, *inner]).replace("\n", "\n    ")
    return f"class {name}(torch.nn.Module):\n    {body}"


def _where(frame: traceback.FrameSummary) -> str:
    """PyTorch's words for an error in generated code, with the lines around it."""
    at: int = frame.lineno or 0
    lines = linecache.getlines(frame.filename)
    before, after = "".join(lines[max(at - 2, 0) : at]), "".join(lines[at : at + 2])
    error = traceback.format_exc()
    return (
        f"{error}\nCall using an FX-traced Module, line {at} of the traced Module's generated forward function:\n"
        f"{before}\n{'~' * 27}  <--- HERE\n{after}\n"
    )
