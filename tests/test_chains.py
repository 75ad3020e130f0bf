"""Chains of maps in the first tier: found, computed by one call each, to the bits of single calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import flambeau as torch
from flambeau import _execution, nn
from flambeau.compiler.builder import Builder
from flambeau.compiler.cpu import target
from flambeau.compiler.cpu.first_tier.chains import Chain, chain, kernel, text
from flambeau.compiler.cpu.first_tier.errors import UnsupportedError
from flambeau.compiler.simplify import without_dead
from flambeau.dtypes import float32, float64, int64
from flambeau.first_tier import chains, paying
from flambeau.graph import realisation
from flambeau.graph.program import Program


def _trained(make: Callable[[Any], Any], steps: int) -> bytes:
    """The parameters of a deep network after some steps."""
    torch.manual_seed(0)
    net = nn.Sequential(*[layer for _ in range(12) for layer in (nn.Linear(3, 3), nn.Tanh())], nn.Linear(3, 2))
    x, optimizer = torch.randn(5, 3), make(net.parameters())
    for _ in range(steps):
        optimizer.zero_grad()
        net(x).square().sum().backward()
        optimizer.step()
    return b"".join([p.detach().numpy().tobytes() for p in net.parameters()])


@pytest.fixture
def uncompiled(monkeypatch: pytest.MonkeyPatch, native_code: None) -> None:
    """Programs stay in the first tier."""
    monkeypatch.setattr(_execution, "tier", ["auto"])
    monkeypatch.setattr(
        _execution, "_compiled", lambda p, inputs, found_only=False, olds=None: None if found_only else p.cache
    )
    monkeypatch.setattr(_execution, "_looks", lambda p: False)


OPTIMIZERS = {
    "Adam": lambda p: torch.optim.Adam(p, weight_decay=1e-2, amsgrad=True),
    "NAdam": lambda p: torch.optim.NAdam(p),
    "RMSprop": lambda p: torch.optim.RMSprop(p, centered=True, momentum=0.5),
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_updates_become_single_calls_with_the_bits_of_many(
    name: str, monkeypatch: pytest.MonkeyPatch, uncompiled: None
) -> None:
    counts: list[tuple[int, int]] = []
    join = chains.joined

    def noted(p: Program, tier: Any) -> Any:
        found = join(p, tier)
        counts.append((len(tier.steps), len(found.steps) if found else len(tier.steps)))
        return found

    monkeypatch.setattr(chains, "joined", noted)
    found = _trained(OPTIMIZERS[name], 7)
    assert counts and min(counts, key=lambda c: c[1] / c[0])[1] < 0.75 * counts[0][0]
    monkeypatch.setattr(_execution, "tier", ["first"])  # where nothing is joined
    realisation.forget()
    assert _trained(OPTIMIZERS[name], 7) == found


def test_without_a_compiler_nothing_is_joined(monkeypatch: pytest.MonkeyPatch, uncompiled: None) -> None:
    asked = []

    def refuse(c: Chain) -> None:
        asked.append(c)
        raise target.MissingCompiler

    found = _trained(OPTIMIZERS["SGD"], 6)
    monkeypatch.setattr(chains, "kernel", refuse)
    realisation.forget()
    assert _trained(OPTIMIZERS["SGD"], 6) == found
    assert asked


def _program(outputs: Any) -> Program:
    return Program(tuple([y._h for y in outputs]))


def test_groups_end_where_others_read() -> None:
    realisation.realise()
    x, y = torch.ones(3, 4), torch.ones(3, 4)
    with torch.no_grad():
        a = x * 2 + y
        b = (a - y) * a  # reads ``a``, which is a result: that is the end of no group, as nobody else reads it
        c = (b.sum() + b) * 3 - 1  # ``b`` is read by a sum
        p = _program([a, c])
    found = chains.groups([n for n in p.order if n.ins], p.roots)
    assert [[n.op.name for n in g.members] for g in found] == [["mul", "add", "sub", "mul"]]
    (group,) = found
    assert [p.roots.index(n) if n in p.roots else None for n in group.read] == [0, None]
    realisation.realise()


def test_what_is_no_map_of_one_shape_is_in_no_group() -> None:
    realisation.realise()
    x, row, ints = torch.ones(3, 4), torch.ones(4), torch.ones(3, 4, dtype=torch.int64)
    with torch.no_grad():
        p = _program([(x + row).exp() * 2, (ints + 1) * 2 - 1, (x.sum() * 2 + 1) * 3, x.double() * 2 + 1 - x])
    assert chains.groups([n for n in p.order if n.ins], p.roots) == []
    realisation.realise()


def _affine() -> tuple[Builder, Any, Any]:
    b = Builder()
    x, by = b.input(0, (2, 3), float32, ((3, 1), 0)), b.scalar(1, float64)
    y = b.map("mul", x, b.cast(by, float32))
    return b, x, y


def test_a_kernel_takes_operands_that_lie_apart_and_gives_several_results() -> None:
    b, x, y = _affine()
    z = b.where(b.map("gt", x, b.const(0.5, float32)), b.map("exp", y), b.map("sub", y, x))
    b.f.outputs = [y, z]
    c, operands = chain(without_dead(b.f))
    assert [v.kind for v in operands] == ["input", "map"] and len(c.results) == 2
    f, rng = kernel(c), np.random.default_rng(0)
    for x in (rng.random((7, 33), np.float32), rng.random((33, 14), np.float32)[:, ::2].T, np.ones((1, 1), np.float32)):
        found, other = f(x, np.float32(3))
        assert np.array_equal(found, x * np.float32(3)) and found.flags.writeable
        alone = kernel(Chain((False,), (("exp", (0,), False),), (1,)))(found)
        assert np.array_equal(other, np.where(x > 0.5, alone, found - x))


def test_what_has_no_form_as_a_chain_is_refused() -> None:
    b, x, y = _affine()
    for out in (b.reduce("sum", y, (1,)), b.cast(y, int64), b.permute(y, (1, 0)), x):
        b.f.outputs = [out]
        with pytest.raises(UnsupportedError):
            chain(without_dead(b.f))


@pytest.mark.parametrize("cpu", ["sse2", "avx2", "avx512"])
def test_every_processor_has_a_text(cpu: str) -> None:
    b, _, y = _affine()
    b.f.outputs = [b.map("sqrt", y)]
    c, _ = chain(without_dead(b.f))
    found = text(*c, target.named(cpu, target.Target("x86_64-unknown-linux-gnu", "any", "", "22")))
    assert found.count("llvm.sqrt") == 3  # a declaration, of neighbours, of elements apart
    assert ("llvm.masked.gather" in found) == (cpu == "avx512")


def test_few_chains_are_left_as_they_are(monkeypatch: pytest.MonkeyPatch, uncompiled: None) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(chains, "Joined", refuse)
    x = torch.ones(4)
    looked = set()
    find = chains.groups
    monkeypatch.setattr(chains, "groups", lambda order, roots: looked.add(len(order)) or find(order, roots))
    for _ in range(paying.JOINED_AFTER + 2):
        y = x
        for _ in range(paying.FEW // 4):
            y = (y.sum() + y) * 2 - 1
        y.tolist()
    assert looked == {4 * (paying.FEW // 4)}
