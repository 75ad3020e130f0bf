"""`flambeau run`: run a PyTorch program as `python` would, with `torch` and `torchvision` meaning flambeau."""

from __future__ import annotations

import builtins
import importlib.machinery
import os
import runpy
import sys
from collections.abc import Callable
from types import CodeType, ModuleType, TracebackType

from flambeau.tools import alias

_STARTUP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "startup")

__all__ = ["run_code", "run_module", "run_script", "seed_everything"]

# What stands between the command's first frame and the program's: this file and the interpreter's `-m`.
_OWN_FILES = (__file__, "<frozen runpy>", runpy.__file__)


def seed_everything(seed: int) -> None:
    """Seed Python's, NumPy's and torch's global random states."""
    import random

    import numpy

    import flambeau as torch

    random.seed(seed)
    numpy.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def run_script(path: str, args: list[str]) -> int:
    """Run a file (or a folder with a `__main__.py`, or `-` for standard input) as `__main__`.

    Returns the exit status where the program cannot be started (2, as `python` does). What the program raises,
    `SystemExit` included, passes through.
    """
    _replace_first_path("" if path == "-" else os.path.dirname(os.path.realpath(path)))
    sys.argv = [path, *args]
    if path == "-":
        return _execute(lambda: compile(sys.stdin.read(), "<stdin>", "exec"), _fresh_main(None))
    if os.path.isdir(path) and os.path.isfile(os.path.join(path, "__main__.py")):
        _replace_first_path(_absolute(path))
        path = os.path.join(path, "__main__.py")
    full = _absolute(path)
    try:
        with open(full, "rb") as file:
            source = file.read()
    except OSError as error:
        print(f"flambeau: can't open file '{full}': [Errno {error.errno}] {error.strerror}", file=sys.stderr)
        return 2
    return _execute(lambda: compile(source, full, "exec"), _fresh_main(full))


def run_code(code: str, args: list[str]) -> int:
    """Run a string as `python -c` does."""
    _replace_first_path("")
    sys.argv = ["-c", *args]
    return _execute(lambda: compile(code + "\n", "<string>", "exec"), _fresh_main(None))


def run_module(name: str, args: list[str]) -> int:
    """Run a module or a package as `python -m` does."""
    _replace_first_path(os.getcwd())
    sys.argv = ["-m", *args]
    _fresh_main(None)
    _install_alias()
    # The interpreter's own `-m` calls this function: it fills in __spec__, __package__ and sys.argv[0].
    as_main: Callable[[str], object] = vars(runpy)["_run_module_as_main"]
    return _guarded(lambda: as_main(name))


def _absolute(path: str) -> str:
    """The path that the interpreter shows for a script: joined to the current folder, not normalised."""
    return os.path.join(os.getcwd(), path)


def _replace_first_path(folder: str) -> None:
    """Put the program's folder where the interpreter put the command's own."""
    if getattr(sys.flags, "safe_path", False):
        return
    if sys.path:
        sys.path[0] = folder
    else:
        sys.path.insert(0, folder)


def _fresh_main(path: str | None) -> ModuleType:
    """A new `__main__`: what the program defines must be found there by pickle, and nothing of the command."""
    module = ModuleType("__main__")
    module.__builtins__ = builtins  # type: ignore[attr-defined]
    module.__annotations__ = {}
    if path is not None:
        module.__file__ = path
        module.__loader__ = importlib.machinery.SourceFileLoader("__main__", path)
        module.__cached__ = None  # type: ignore[attr-defined]
    sys.modules["__main__"] = module
    return module


def _install_alias() -> None:
    """Make torch mean flambeau here and in the Python processes that the program starts."""
    alias.install()
    folders = [_STARTUP, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(folders))


def _execute(compiled: Callable[[], CodeType], module: ModuleType) -> int:
    _install_alias()
    return _guarded(lambda: exec(compiled(), module.__dict__))


def _guarded(program: Callable[[], object]) -> int:
    """Run the program; an exception leaves through the interpreter, so that exit codes and signals are Python's own."""
    try:
        program()
    except SystemExit:
        raise
    except BaseException:
        _hide_own_frames()
        raise
    return 0


def _hide_own_frames() -> None:
    """Wrap `sys.excepthook` (the program's own, perhaps) to see the traceback from the program's first frame on."""
    hook = sys.excepthook

    def shown(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        error.__traceback__ = _without_own_frames(trace)
        hook(kind, error, error.__traceback__)
        hint = _hint(error)
        if hint and hook is sys.__excepthook__:
            print(hint, file=sys.stderr)

    sys.excepthook = shown


def _without_own_frames(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and trace.tb_frame.f_code.co_filename != __file__:
        trace = trace.tb_next
    while trace is not None and trace.tb_frame.f_code.co_filename in _OWN_FILES:
        trace = trace.tb_next
    return trace


def _hint(error: BaseException) -> str | None:
    """What to say below the traceback of a name that PyTorch may have and flambeau lacks."""
    if isinstance(error, ModuleNotFoundError) and error.name and alias.real_name(error.name) is not None:
        return f"flambeau has no module {error.name}; `flambeau doctor` and the README say what is there."
    if isinstance(error, AttributeError) and isinstance(error.obj, ModuleType):
        real = error.obj.__spec__.name if error.obj.__spec__ else error.obj.__name__
        name = alias.user_name(real)
        if name != real:
            return f"flambeau has no {name}.{error.name}; if PyTorch 2.13 has it, it is not written yet."
    return None
