"""Random training programs as native code: against the NumPy executor and PyTorch, and against themselves.

The bits must be the same in a second run, whether every intermediate result is printed, on one thread or four, with
programs found on disk, and when runs come back at once and all their results are late. A short run with fixed seeds is
part of every test run; with PyTorch (marked ``live``) it is compared too. ``FLAMBEAU_FUZZ=600 pytest
tests/test_fuzz_training.py -k long`` tries new programs for so many seconds (from the seed ``FLAMBEAU_FUZZ_SEED`` on,
by default one that the clock gives), and prints the first that fails without the lines that it does not need; such
programs are kept in ``FOUND``.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="native code is made by llvmlite")

from _fuzz_long import for_a_while, if_asked_for
from _late import all_late
from _random_training import World, written
from _thorough import thorough

import flambeau
from flambeau import _execution
from flambeau.compiler.cpu import pool, stored
from flambeau.compiler.cpu.disk import Disk
from flambeau.graph import realisation

TORCH = importlib.util.find_spec("torch") is not None
Results = list[tuple[str, Any]]
WAYS: list[dict[str, int]] = [{}, {"wide": 1}, {"noise": 1}, {"noise": 2}, {"noise": 3}]

# Programs that gave wrong results, or other bits when something was printed, without the lines that do not matter.
FOUND = {
    "attention over transposed rows": """
x = given((33, 17, 32), 13001).requires_grad_()
m0 = made(nn.Conv1d(17, 16, 1, stride=2, padding=0, groups=1), 13002)
for step in range(2):
    h = m0(x)
    h = F.scaled_dot_product_attention(h, h * 0.5, h, is_causal=True)
    see(h)
    loss = h.abs().sum() * 0.1
    loss.backward()
    log('gradient', m0.weight.grad)
""",
    "a kernel as large as the image": """
x = given((13, 4, 10, 10), 11401).requires_grad_()
m0 = made(nn.Conv2d(4, 8, 2, bias=False), 11402)
m1 = made(nn.Conv2d(8, 32, 3, stride=2, padding=1), 11403)
h = F.lp_pool2d(x.abs() + 0.5, 2, 2)
see(h)
h = m0(F.adaptive_avg_pool2d(h, 2))
see(h)
h = m1(h)
h.square().sum().backward()
for p in [*m0.parameters(), *m1.parameters()]: log('gradient', p.grad)
""",
    "windows of one column over padded columns": """
x = given((24, 3, 5, 5), 10501)
m0 = made(nn.Conv2d(3, 2, (5, 1), padding=1), 10502)
h = m0(x * 0.5 + 0.1)
see(h)
h.relu().square().mean().backward()
log('gradient', m0.weight.grad)
""",
    "images from the transposed batch": """
x = given((48, 1, 12, 12), 9401)
m0 = made(nn.Conv2d(1, 2, 2, padding=2), 9402)
h = F.interpolate(x, size=(13, 12), mode='bilinear').transpose(0, 3)
h = h / (h.detach().abs().amax() + 1)
see(h)
h = m0(h.narrow(0, 0, 11))
F.max_pool2d(h, 2, 1, 0, ceil_mode=True).square().sum().backward()
for p in m0.parameters(): log('gradient', p.grad)
""",
    "a batch filled up": """
x = given((15, 6, 2), 1)
w = given((16, 32), 2).requires_grad_()
h = torch.einsum('axy,ab->a', F.pad(x, (0, 0, 0, 1, 0, 1), value=1.0), w)
h.square().sum().backward()
log('h', h)
log('gradient', w.grad)
""",
}


@pytest.fixture(autouse=True)
def programs_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Programs are kept in a folder of their own; the executor and the threads are as before afterwards."""
    realisation.realise()
    monkeypatch.setattr(realisation, "executor", list(realisation.executor))
    place, threads = Disk(tmp_path / "programs"), pool.get_num_threads()
    monkeypatch.setattr(stored, "store", lambda: place)
    yield
    pool.set_num_threads(threads)
    realisation.forget()


def run(program: list[str], executor: Any = _execution.run_compiled, fresh: bool = True, **options: Any) -> Results:
    """What the program logs with this package."""
    realisation.realise()
    realisation.executor[:] = [executor]
    if fresh:
        realisation.forget()
    return World(flambeau, **options).run(program)


def printed(*values: Any) -> None:
    """Looks at everything."""
    for value in values:
        str(value)


def check(program: list[str]) -> None:
    """The program's results are right, and the same bits however it runs."""
    found = run(program)
    by_numpy = [run(program, _execution.run_on_numpy, **how) for how in WAYS]
    close(found, *by_numpy, what="the NumPy executor")
    same(found, run(program, fresh=False), "once more")
    same(found, run(program, see=printed), "when everything is printed")
    with all_late():
        same(found, run(program), "when all is late that may be")
    pool.set_num_threads(1)
    same(found, run(program), "on one thread, from the disk")
    pool.set_num_threads(4)
    same(found, run(program), "on four threads")


def compare_with_pytorch(program: list[str]) -> None:
    """The program gives what PyTorch gives, if PyTorch can run it."""
    real = importlib.import_module("torch")
    real.set_num_threads(1)
    try:
        theirs = [World(real, **how).run(program) for how in WAYS]
    except RuntimeError as error:
        if "is not implemented" in str(error):
            return
        raise
    close(run(program), *theirs, what="PyTorch")


def close(found: Results, other: Results, *moved: Results, what: str) -> None:
    """Results agree as far as float32 determines them: by how far float64 and other roundings move the other's own."""
    assert len(found) == len(other)
    for (name, a), (same_name, b), *others in zip(found, other, *moved):
        assert name == same_name
        assert (a is None) == (b is None), f"{name}: only one of them is None"
        if a is None or not a.size:
            continue
        assert (a.shape, a.dtype) == (b.shape, b.dtype), f"{name}: another type"
        a, b, *own = [np.asarray(x, np.float64) for x in (a, b, *[x for _, x in others])]
        if not all(np.isfinite(x).all() for x in (b, *own)):
            continue
        scale, bar = np.abs(b).max(), max(np.abs(b - x).max() for x in own)
        far = np.abs(a - b).max()
        if bar <= 0.02 * scale:
            assert far <= max(32 * bar, 2e-5 * scale, 1e-7), f"{name} is {far:.3g} of {scale:.3g} from {what}"


def same(found: Results, other: Results, what: str) -> None:
    """Results agree to the bit."""
    assert len(found) == len(other)
    for (name, a), (_, b) in zip(found, other):
        equal = a is b if a is None or b is None else np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
        assert equal, f"{name} has other bits {what}"


def runs(program: list[str]) -> bool:
    """Is it a program that may run to its end?"""
    try:
        run(program, _execution.run_on_numpy)
    except Exception:
        return False
    return True


@pytest.mark.parametrize("name", FOUND)
def test_found(name: str) -> None:
    check(FOUND[name].strip().splitlines())


@pytest.mark.parametrize("seed", [*range(4), *thorough(range(4, 14))])
def test_short(seed: int) -> None:
    program = written(seed)
    assert runs(program)
    check(program)


@pytest.mark.live
@pytest.mark.skipif(not TORCH, reason="PyTorch is not installed")
@pytest.mark.parametrize("seed", [*range(2), *thorough(range(2, 14))])
def test_as_pytorch(seed: int) -> None:
    compare_with_pytorch(written(seed))


@pytest.mark.slow
@if_asked_for
def test_long() -> None:
    for_a_while(tried)


def tried(seed: int) -> None:
    """Checks a program; tells the lines of it that fail."""
    program = written(seed)
    if not runs(program):
        return
    try:
        check_all(program)
    except Exception as error:
        raise AssertionError(f"seed {seed}:\n" + "\n".join(shorter(program, type(error)))) from error


def check_all(program: list[str]) -> None:
    """All checks; with PyTorch where it is installed."""
    check(program)
    if TORCH:
        compare_with_pytorch(program)


def shorter(program: list[str], kind: type[Exception]) -> list[str]:
    """The program without lines that it fails without."""
    changed = True
    while changed:
        changed = False
        for k in reversed(range(len(program))):
            rest = program[:k] + program[k + 1 :]
            if fails(rest, kind):
                program, changed = rest, True
    return program


def fails(program: list[str], kind: type[Exception]) -> bool:
    """Does a program that may run fail in this way?"""
    if not runs(program):
        return False
    try:
        check_all(program)
    except Exception as error:
        return type(error) is kind
    return False
