"""What a user can name is documented: functions, classes, methods and properties."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import flambeau as torch
from flambeau.ops._meanings import MEANINGS

HOME = Path(torch.__path__[0])
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
    names = [n for n in dir(torch) if not n.startswith("_") and not isinstance(getattr(torch, n), ModuleType)]
    own = {n: getattr(torch, n) for n in names if callable(getattr(torch, n)) and _is_ours(getattr(torch, n))}
    assert len(own) > 600
    assert not [n for n, o in own.items() if not inspect.getdoc(o)]
    assert not undocumented(torch.Tensor)


def test_modules_document_their_arguments() -> None:
    modules = [getattr(torch.nn, n) for n in dir(torch.nn) if not n.startswith("Lazy")]
    found = [m for m in modules if isinstance(m, type) and issubclass(m, torch.nn.Module)]
    assert len(found) > 130
    assert not [m.__name__ for m in found if _parameters(m) and "Args:" not in (inspect.getdoc(m) or "")]


def _parameters(cls: type) -> list[str]:
    parameters = inspect.signature(cls).parameters.values()
    return [p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


KINDS = {
    "truth values": torch.bool,
    "integers": torch.int64,
    "floats": torch.float32,
    "complex numbers": torch.complex64,
}


@pytest.mark.parametrize("name", sorted(MEANINGS))
def test_elementwise_functions_refuse_what_their_text_says(name: str) -> None:
    called = "true_divide" if name == "div" else name  # ``div`` itself has a text of its own
    found = getattr(torch, called, None) or getattr(torch.special, called)
    raised = dict(re.findall(r"    (\w+Error): (.*) are given", found.__doc__))
    two = "Operands are" in found.__doc__
    for kind, dtype in KINDS.items():
        x = torch.ones(2, dtype=dtype)
        error = next((e for e, kinds in raised.items() if kind in kinds), None)
        if error is None:
            assert (found(x, x) if two else found(x)).shape == (2,)
        else:
            with pytest.raises(NotImplementedError if error.startswith("Not") else RuntimeError):
                (found(x, x) if two else found(x)).tolist()


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
