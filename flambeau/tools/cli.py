"""The command `flambeau`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from flambeau.version import __flambeau_version__, __version__

__all__ = ["main"]

USAGE = """\
usage: flambeau run [--seed N] SCRIPT [ARG...]     run a PyTorch program on flambeau
       flambeau run [--seed N] -m MODULE [ARG...]  the same for a module, as python -m
       flambeau run [--seed N] -c CODE [ARG...]    the same for a line of code
       flambeau explain [--trace FILE] [--all] ... the same arguments as run; then says what was compiled and run, why,
                                                   and where the time went
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
        return _program(args, command)()
    if command == "explain":
        return _explain(args)
    if command == "doctor":
        from flambeau.tools.doctor import report

        if args:
            raise UsageError(f"doctor takes no argument, got {args[0]!r}")
        print(report())
        return 0
    raise UsageError("no command given" if command is None else f"no such command: {command}")


def _explain(args: list[str]) -> int:
    trace: str | None = None
    whole = False
    while args and args[0].split("=")[0] in ("--trace", "--all"):
        if args[0] == "--all":
            whole, args = True, args[1:]
        else:
            trace, args = _option(args, "a file")
    if args and args[0] in ("-h", "--help"):
        return _show_usage()
    program = _program(args, "explain")
    from flambeau.tools.explain import explained

    return explained(program, trace, whole)


def _program(args: list[str], command: str) -> Callable[[], int]:
    """What runs the program that the arguments of `run` or `explain` name."""
    seed: int | None = None
    while args and args[0].split("=")[0] == "--seed":
        seed, args = _seed(args)
    if args and args[0] in ("-h", "--help"):
        return _show_usage
    if not args:
        raise UsageError(f"{command} needs a script")
    first, rest = args[0], args[1:]
    if first.startswith("-") and first not in ("-", "-m", "-c"):
        raise UsageError(f"no such option for {command}: {first}")
    if first in ("-m", "-c") and not rest:
        raise UsageError(f"{command} {first} needs {'a module' if first == '-m' else 'code'}")
    return lambda: _run(first, rest, seed)


def _show_usage() -> int:
    print(USAGE, end="")
    return 0


def _run(first: str, rest: list[str], seed: int | None) -> int:
    from flambeau.tools import run

    if seed is not None:
        run.seed_everything(seed)
    if first == "-m":
        return run.run_module(rest[0], rest[1:])
    if first == "-c":
        return run.run_code(rest[0], rest[1:])
    return run.run_script(first, rest)


def _option(args: list[str], what: str) -> tuple[str, list[str]]:
    """Read `--name VALUE` or `--name=VALUE` at the front; returns the value and what follows."""
    name, equals, text = args[0].partition("=")
    if equals:
        return text, args[1:]
    if len(args) < 2:
        raise UsageError(f"{name} needs {what}")
    return args[1], args[2:]


def _seed(args: list[str]) -> tuple[int, list[str]]:
    """Read `--seed N` or `--seed=N` at the front; returns the seed and what follows."""
    text, rest = _option(args, "a number")
    try:
        return int(text), rest
    except ValueError:
        raise UsageError(f"--seed needs a whole number, got {text!r}") from None
