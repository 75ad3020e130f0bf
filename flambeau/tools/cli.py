"""The command `flambeau`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from flambeau.version import __flambeau_version__, __version__

__all__ = ["main"]

USAGE = """\
usage: flambeau run [--seed N] SCRIPT [ARG...]     run a PyTorch program on flambeau
       flambeau run [--seed N] -m MODULE [ARG...]  the same for a module, as python -m
       flambeau run [--seed N] -c CODE [ARG...]    the same for a line of code
       flambeau doctor                             what flambeau finds on this machine
       flambeau --version
"""


class UsageError(Exception):
    """The command line cannot be understood."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status. A program under `run` leaves with its own exceptions and exits."""
    args = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(args)
    except UsageError as error:
        print(f"flambeau: {error}\n{USAGE}", end="", file=sys.stderr)
        return 2


def _dispatch(args: list[str]) -> int:
    command = args.pop(0) if args else None
    if command in ("-h", "--help", "help"):
        print(USAGE, end="")
        return 0
    if command in ("-V", "--version"):
        print(f"flambeau {__flambeau_version__} (PyTorch API {__version__.partition('+')[0]})")
        return 0
    if command == "run":
        return _run(args)
    if command == "doctor":
        from flambeau.tools.doctor import report

        if args:
            raise UsageError(f"doctor takes no argument, got {args[0]!r}")
        print(report())
        return 0
    raise UsageError("no command given" if command is None else f"no such command: {command}")


def _run(args: list[str]) -> int:
    from flambeau.tools import run

    seed: int | None = None
    while args and args[0].split("=")[0] == "--seed":
        seed, args = _seed(args)
    if args and args[0] in ("-h", "--help"):
        print(USAGE, end="")
        return 0
    if not args:
        raise UsageError("run needs a script")
    first, rest = args[0], args[1:]
    if first.startswith("-") and first not in ("-", "-m", "-c"):
        raise UsageError(f"no such option for run: {first}")
    if first in ("-m", "-c") and not rest:
        raise UsageError(f"run {first} needs {'a module' if first == '-m' else 'code'}")
    if seed is not None:
        run.seed_everything(seed)
    if first == "-m":
        return run.run_module(rest[0], rest[1:])
    if first == "-c":
        return run.run_code(rest[0], rest[1:])
    return run.run_script(first, rest)


def _seed(args: list[str]) -> tuple[int, list[str]]:
    """Read `--seed N` or `--seed=N` at the front; returns the seed and what follows."""
    _, equals, text = args[0].partition("=")
    rest = args[1:]
    if not equals:
        if not rest:
            raise UsageError("--seed needs a number")
        text, rest = rest[0], rest[1:]
    try:
        return int(text), rest
    except ValueError:
        raise UsageError(f"--seed needs a whole number, got {text!r}") from None
