"""What a user can name is documented: functions, classes, methods and properties."""

from __future__ import annotations

import ast
import importlib
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import flambeau

HOME = Path(flambeau.__path__[0])
NAMESPACES = """
    amp autograd autograd.functional autograd.graph autograd.profiler backends compiler cuda distributed distributions
    export fft func fx hub jit library linalg masked nested nn nn.attention nn.functional nn.init nn.parallel nn.utils
    nn.utils.parametrizations nn.utils.parametrize nn.utils.prune nn.utils.rnn nn.utils.stateless onnx optim
    optim.lr_scheduler optim.swa_utils overrides package profiler quasirandom random serialization signal.windows sparse
    special testing utils utils.benchmark utils.checkpoint utils.data utils.tensorboard vision.datasets vision.io
    vision.models vision.models.detection vision.models.segmentation vision.ops vision.transforms
    vision.transforms.functional vision.transforms.v2 vision.transforms.v2.functional vision.utils
"""


def public(path: Path) -> bool:
    parts = path.relative_to(HOME).with_suffix("").parts
    return not any(part.startswith("_") and part != "__init__" for part in parts)


def test_functions_and_classes_of_all_modules_are_documented() -> None:
    lost = []
    for path in filter(public, HOME.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            named = isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_")
            if named and not ast.get_docstring(node):  # type: ignore[arg-type]
                lost.append(f"{path.relative_to(HOME)}: {node.name}")  # type: ignore[attr-defined]
    assert not lost


@pytest.mark.parametrize("name", NAMESPACES.split())
def test_what_a_namespace_holds_is_documented(name: str) -> None:
    module = importlib.import_module(f"flambeau.{name}")
    names = getattr(module, "__all__", None) or [n for n in dir(module) if not n.startswith("_")]
    found = {n: getattr(module, n) for n in names}
    own = {n: o for n, o in found.items() if callable(o) and _is_ours(o)}
    assert not [n for n, o in own.items() if not inspect.getdoc(o)]
    assert not [f"{n}.{m}" for n, o in own.items() if isinstance(o, type) for m in undocumented(o)]


def test_what_torch_and_tensors_hold_is_documented() -> None:
    names = [n for n in dir(flambeau) if not n.startswith("_") and not isinstance(getattr(flambeau, n), ModuleType)]
    own = {n: getattr(flambeau, n) for n in names if callable(getattr(flambeau, n)) and _is_ours(getattr(flambeau, n))}
    assert len(own) > 600
    assert not [n for n, o in own.items() if not inspect.getdoc(o)]
    assert not undocumented(flambeau.Tensor)


def _is_ours(found: Any) -> bool:
    return str(getattr(found, "__module__", "")).split(".")[0] in ("flambeau", "torch", "torchvision")


def undocumented(cls: type) -> list[str]:
    """The public methods and properties of a class, but those of other packages, without a text, own or inherited."""
    names = [n for owner in cls.__mro__ if _is_ours(owner) for n in vars(owner) if not n.startswith("_")]
    kinds = (property, classmethod, staticmethod)
    members = {n: inspect.getattr_static(cls, n) for n in names}
    return [
        n
        for n, m in members.items()
        if (inspect.isfunction(m) or isinstance(m, kinds)) and not inspect.getdoc(getattr(cls, n, m))
    ]
