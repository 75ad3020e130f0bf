"""Imports go only upward through the layers of the package, and importing it loads little."""

from __future__ import annotations

import ast
import functools
import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import flambeau
from flambeau import _twins

HOME = Path(flambeau.__path__[0])
LAYERS = ("ground", "compiler", "graph", "streams", "ops", "autograd", "tensors", "libraries", "tools")
# Modules that do not lie in the folder of their layer. What no list names is a library.
PLACES = {
    "_collector": "ground",
    "_forks": "ground",
    "_later": "ground",
    "_records": "ground",
    "dtypes": "ground",
    "device": "ground",
    "version": "ground",
    "return_types": "ground",  # tuples with names
    "autograd.grad_mode": "graph",  # switches of the recording
    "random": "streams",  # numbers drawn into NumPy arrays
    "tensor": "tensors",
    "storage": "tensors",
    "printing": "tensors",
    "_execution": "tensors",
    "_twins": "tensors",
    "_twins_aside": "tensors",
    "_beside": "tensors",
    "_programs_aside": "tensors",
    "_shared_memory": "tensors",
    "first_tier": "tensors",
    "_swapping": "tensors",
    "_tensor": "tensors",
    "_utils": "tensors",
    "_tensor_types": "tensors",
    "__main__": "tools",
}

# Imports inside functions that point the other way, and why they must.
GRADIENT = "a gradient that is itself a derivative of recorded operators"
STATE = "states are tensors"
DOWNWARD = {
    ("ops._composite", "autograd._backward"): GRADIENT,
    ("ops._matrices", "autograd"): GRADIENT,
    ("ops.strided_views", "autograd.engine"): "the gradient of a written base runs through the gradient of its view",
    ("ops.classification_losses", "nn._reduction"): "the text of a deprecation warning",
    ("ops._watching", "_twins"): "who is told of all calls takes their place as twins do",
    ("autograd.gradcheck", "testing"): "random gradients are drawn as its tensors are",
    ("_utils", "sparse._rebuilding"): "sparse tensors are rebuilt when a file is loaded",
    ("_utils", "nn.parameter"): "parameters are rebuilt when a file is loaded",
    ("storage", "serialization"): "storages are pickled as torch.save writes them",
    ("printing", ""): "slices and sums of what is printed",
    ("random", ""): STATE,
    ("random.generator", ""): STATE,
    ("_twins", "nn.parameter"): "a class of tensors",
    ("random", "utils.data"): "the seed of a DataLoader's worker",
}


def layer(module: str) -> int:
    """The layer of a module, named from the package on."""
    top = module.split(".")[0]
    return LAYERS.index(PLACES.get(module) or PLACES.get(top) or (top if top in LAYERS else "libraries"))


def modules() -> dict[str, Path]:
    """Every module of the package but its own ``__init__``, by its name from the package on."""
    found = {}
    for path in sorted(HOME.rglob("*.py")):
        parts = path.relative_to(HOME).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name:
            found[name] = path
    return found


MODULES = modules()


def targets(node: ast.Import | ast.ImportFrom, module: str, path: Path) -> Iterator[str]:
    """The modules of the package that an import names; an empty name for the package itself."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    else:
        package = ["flambeau", *module.split(".")]
        package = package[: len(package) - node.level + (path.name == "__init__.py")] if node.level else []
        base = ".".join([*package, *([node.module] if node.module else [])])
        names = [f"{base}.{alias.name}" for alias in node.names]
    for name in names:
        parts = name.split(".")
        if parts[0] == "flambeau":
            yield next((m for end in (3, 2) if (m := ".".join(parts[1:end])) in MODULES), "")


def imports(tree: ast.AST, inside: bool = False) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """The import statements and whether they stand in a function; those for type checkers left out."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node, inside
        elif isinstance(node, ast.expr) or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            continue
        else:
            yield from imports(node, inside or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))


@functools.cache
def downward() -> list[tuple[str, str, bool]]:
    """Imports of a later layer: the module, what it imports, whether in a function."""
    return [
        (module, target, inside)
        for module, path in MODULES.items()
        for node, inside in imports(ast.parse(path.read_text(encoding="utf-8")))
        for target in targets(node, module, path)
        if layer(target) > layer(module)
    ]


def test_imports_go_upward() -> None:
    assert [(module, target) for module, target, inside in downward() if not inside] == []


def test_imports_inside_functions_go_upward_but_for_those_listed() -> None:
    assert {(module, target) for module, target, inside in downward() if inside} == set(DOWNWARD)


def test_where_twins_are_not_put_nobody_names_their_functions() -> None:
    holders = {*_twins.HOLDERS, "ops._registry", "ops._arguments"}
    found = [
        (module, target)
        for module, path in MODULES.items()
        if module.startswith(_twins.NO_HOLDERS)
        for node, _ in imports(ast.parse(path.read_text(encoding="utf-8")))
        for target in targets(node, module, path)
        if target in holders
    ]
    assert [module for module in MODULES if module.startswith(_twins.NO_HOLDERS)]
    assert found == []


def test_libraries_use_the_tensor_api_only() -> None:
    found = [
        (module, target)
        for module, path in MODULES.items()
        if layer(module) == LAYERS.index("libraries") and module.split(".")[0] in ("nn", "vision", "optim")
        for node, _ in imports(ast.parse(path.read_text(encoding="utf-8")))
        for target in targets(node, module, path)
        if target.split(".")[0] in ("compiler", "graph")
    ]
    assert found == []


HEAVY = ("llvmlite", "scipy", "PIL", "matplotlib", "torch", "inspect", "dataclasses", "asyncio", "multiprocessing")
LOADED_BESIDE_NUMPY = """
import sys, numpy
before = set(sys.modules)
import flambeau
print(*(set(sys.modules) - before))
"""


def test_importing_the_package_loads_nothing_heavy() -> None:
    environment = {**os.environ, "PYTHONPATH": str(HOME.parent)}
    command = [sys.executable, "-c", LOADED_BESIDE_NUMPY]
    found = subprocess.run(command, capture_output=True, text=True, env=environment)
    loaded = found.stdout.split()
    assert "flambeau" in loaded, found.stderr
    assert [module for module in HEAVY if module in loaded] == []


def test_garbage_collection_goes_on_after_the_import() -> None:
    assert gc.isenabled()
