"""Programs that differ in sizes alone run as one native program, to the bits of compiled code."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from math import prod
from pathlib import Path
from typing import Any

import _two_tiers as two_tiers
import numpy as np
import pytest
from _thorough import thorough
from test_first_tier import MORE_SIZES, SIZES, uniform

import flambeau as torch
from flambeau import _beside, _execution, _programs_aside, nn
from flambeau.compiler.cpu import stored
from flambeau.compiler.cpu.disk import Disk
from flambeau.compiler.cpu.executor import Executor
from flambeau.compiler.cpu.first_tier import native_program, parts
from flambeau.first_tier import patterns, paying, shared_programs, split_programs
from flambeau.first_tier.kept_plans import LEAST
from flambeau.first_tier.shared_plans import serves_all_sizes
from flambeau.first_tier.shared_programs import SELDOM
from flambeau.first_tier.structure import structure
from flambeau.graph import realisation
from flambeau.graph.node import LEAF, SCALAR, VIEW

F = nn.functional


@pytest.fixture
def in_both(monkeypatch: pytest.MonkeyPatch, one_thread: None) -> Iterator[dict[str, int]]:
    """Every program runs compiled, operator by operator, and as one native call, planned when its structure is new."""
    monkeypatch.setattr(realisation, "executor", [two_tiers.run])
    monkeypatch.setattr(two_tiers, "ran", {"both": 0, "compiled": 0, "shared": 0})
    monkeypatch.setattr(shared_programs, "_known", {})
    monkeypatch.setattr(patterns, "_patterns", {})
    monkeypatch.setattr(split_programs, "_behind", {})
    monkeypatch.setattr(paying, "_compiled", set())
    realisation.forget()
    yield two_tiers.ran
    realisation.forget()


class Block(nn.Module):
    """A transformer's block."""

    def __init__(self, n: int = 16, heads: int = 2) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(n), nn.LayerNorm(n)
        self.qkv, self.out, self.heads = nn.Linear(n, 3 * n), nn.Linear(n, n), heads
        self.wide = nn.Sequential(nn.Linear(n, 4 * n), nn.GELU(), nn.Linear(4 * n, n))

    def forward(self, x: Any) -> Any:
        batch, length, n = x.shape
        q, k, v = [part.view(batch, length, self.heads, n // self.heads).transpose(1, 2)
                   for part in self.qkv(self.first(x)).split(n, 2)]  # fmt: skip
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(batch, length, n))
        return x + self.wide(self.second(x))


class Text(nn.Module):
    """A model of text."""

    def __init__(self, n: int = 16) -> None:
        super().__init__()
        self.letters, self.places = nn.Embedding(11, n), nn.Embedding(100, n)
        self.blocks, self.norm, self.head = nn.Sequential(Block(n), Block(n)), nn.LayerNorm(n), nn.Linear(n, 11)

    def forward(self, i: Any) -> Any:
        x = self.letters(i) + self.places(torch.arange(i.shape[1]))
        return self.head(self.norm(self.blocks(x)))


def test_a_growing_text_has_the_bits_of_compiled_code(in_both: dict[str, int]) -> None:
    torch.manual_seed(0)
    net = Text()
    with torch.no_grad():
        for length in (1, 2, 3, 5, 6, 9, 8, 16, 25, 41, 70, 6):
            i = torch.from_numpy(np.random.default_rng(0).integers(0, 11, (1, length)))
            F.softmax(net(i)[:, -1], -1).tolist()
    assert in_both["shared"] == in_both["both"] == 12
    planned = [one for one in shared_programs._known.values() if one]
    assert len(planned) <= 3  # of one letter, of two, as many as heads, and of all others


def test_a_pattern_is_made_when_such_a_program_comes_again(
    in_both: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []
    pattern = patterns.Pattern
    monkeypatch.setattr(patterns, "Pattern", lambda *given: made.append(given) or pattern(*given))
    block = Block()
    with torch.no_grad():
        for length, count in ((9, 0), (10, 1), (11, 1)):
            block(torch.tensor([[[0.5] * 16] * length])).tolist()
            assert len(made) == count
    assert in_both["shared"] == 3


def test_what_sizes_decide_is_asked_where_they_changed(
    in_both: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    net, x = Remembering(), torch.tensor([[[0.5] * 16]])
    with torch.no_grad():
        for n in (9, 10):
            past = torch.tensor([[[[0.5] * 8] * n] * 2])
            net(x, (past, past))[0].tolist()
    (native,) = [one.native for one in shared_programs._known.values() if one]
    asked: list[Any] = []
    decide = native._decide_of
    monkeypatch.setattr(native, "_decide_of", lambda one, *given: asked.append(one) or decide(one, *given))
    sizes = native.sizes
    native.fill(sizes)
    assert not asked
    native.fill(tuple([n + (n in (10, 11)) for n in sizes]))
    assert 0 < len(asked) < len(native.products)


def test_steps_that_threads_share_have_the_bits_of_compiled_code(
    in_both: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "LONG", 100)
    monkeypatch.setattr(parts, "PART", 100)
    monkeypatch.setattr(native_program, "get_num_threads", lambda: 4)
    torch.manual_seed(0)
    net = Text()
    with torch.no_grad():
        for length in (5, 6, 7, 16, 33, 70):
            i = torch.from_numpy(np.random.default_rng(0).integers(0, 11, (2, length)))
            F.softmax(net(i)[:, -1], -1).tolist()
    assert in_both["shared"] == in_both["both"] == 6
    native = [one.native for one in shared_programs._known.values() if one]
    cut = [one.table.operands[one.part_places].max(1).tolist() for one in native]
    assert cut and all(outer > 1 and inner > 1 for outer, inner in cut)


class Remembering(nn.Module):
    """A transformer's block that is given keys and values of what was before."""

    def __init__(self, n: int = 16, heads: int = 2) -> None:
        super().__init__()
        self.block, self.heads = Block(n, heads), heads

    def forward(self, x: Any, past: Any) -> Any:
        batch, length, n = x.shape
        q, k, v = [part.view(batch, length, self.heads, n // self.heads).transpose(1, 2)
                   for part in self.block.qkv(self.block.first(x)).split(n, 2)]  # fmt: skip
        if past is not None:
            k, v = torch.cat((past[0], k), -2), torch.cat((past[1], v), -2)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=past is None)
        x = x + self.block.out(y.transpose(1, 2).reshape(batch, length, n))
        return x + self.block.wide(self.block.second(x)), (k, v)


def test_joined_keys_and_values_have_the_bits_of_compiled_code(in_both: dict[str, int]) -> None:
    torch.manual_seed(0)
    letters, blocks, head = nn.Embedding(11, 16), [Remembering(), Remembering()], nn.Linear(16, 11)
    token, past = torch.zeros((1, 3), dtype=torch.int64), [None, None]
    with torch.no_grad():
        for _ in range(16):
            x, after = letters(token), []
            for block, one in zip(blocks, past):
                x, kept = block(x, one)
                after.append(kept)
            past = after
            token = head(x)[:, -1].argmax(-1, keepdim=True)
            token.item()
    assert in_both["shared"] == in_both["both"] - 1 == 15  # not what looks at parts of a product
    assert past[0][0].shape == (1, 2, 18, 8)
    assert len([one for one in shared_programs._known.values() if one]) <= 4


def test_of_what_is_read_in_one_place_no_more_is_computed(in_both: dict[str, int]) -> None:
    torch.manual_seed(0)
    net, elements = Text(), []
    read = {
        "all": lambda x: x,
        "last": lambda x: x[:, -1].softmax(-1),
        "first": lambda x: x[:, 0].softmax(-1),
        "two places": lambda x: x[:, -1].softmax(-1) + x[:, 1].softmax(-1),
    }
    with torch.no_grad():
        for f in read.values():
            for length in (40, 41):
                f(net(torch.from_numpy(np.zeros((1, length), np.int64)))).tolist()
            elements.append(next(reversed(two_tiers._shared.values())).planned.native.elements)
    assert in_both["shared"] == in_both["both"]
    everything, last, first, two = elements
    assert last == first < 0.75 * everything < two


def test_views_of_parts_are_no_other_shapes(in_both: dict[str, int]) -> None:
    """Both programs have one structure, but for the second it is not so that a row follows from a row."""
    for m, h, n, k in ((5, 3, 4, 12), (7, 3, 5, 11), (7, 5, 6, 30)):
        x = torch.from_numpy(np.random.default_rng(0).standard_normal((h, m, n)).astype(np.float32))
        y = (x * 2).transpose(0, 1).contiguous().view(m, h * n)[:, :k]
        (y + 1)[-1].exp().tolist()
    assert in_both["shared"] == in_both["both"] - 1 == 2


def of_sizes(m: int, n: int, k: int) -> Iterator[Any]:
    """Results of operators that may share programs."""
    table, i, x = torch.randn(n, k), torch.randint(0, n, (m, k)), torch.randn(m, n, k)
    more = {
        "embedding": lambda: (F.embedding(i, table), F.embedding(i[:, -1], table)),
        "arange": lambda: (torch.arange(m), torch.arange(3, 3 + 2 * n, 2), torch.arange(0, n, 1.0)),
        "bmm": lambda: (torch.bmm(x, x.transpose(1, 2)), x.permute(2, 0, 1) @ x.permute(2, 1, 0)),
        "maps": lambda: (x == 0, x[0] < x, x >= 0.5, i != 2, x.masked_fill(x > 0, -1.0), i.masked_fill(i < 2, 7)),
        "cat": lambda: (torch.cat((x, x[:, :1]), 1), torch.cat((x[:1], x, x * 2)), torch.cat((i.float(), x[:, 0, :])),
                        torch.cat((x.transpose(0, 1), x[:2].transpose(1, 0)), -2)),
        "argmax": lambda: (x.argmax(-1), x[:, -1].argmax(-1, keepdim=True), x.argmin(2),
                           (x > 0).float().argmax(-1), (x * 0 / (x > 0).float()).argmax(-1)),
        "clone": lambda: (x.transpose(0, 2).contiguous(), x[:, -1].clone(), x[-1:, :, k // 2].clone()),
        "functions": lambda: (x.abs().log(), x.cos() + x.sin(), torch.erf(x[0]), x.abs().sqrt() - x.square(),
                              torch.rsqrt(x.abs()), torch.reciprocal(x), x**3, x.abs() ** 1.5, 1 - x, F.leaky_relu(x)),
        "choices": lambda: (torch.where(x > 0, x, x[:1]), x.clamp(min=0.5), torch.maximum(x, x[0]), i.clamp(1, 2),
                            torch.minimum(i, i[:1]), torch.where(i > 1, i, 0)),
        "truth": lambda: ((x > 0) & (x < 1), ~(x > 0) | (x < -1), torch.logical_and(x, x > 1), ~i & 3, i | 4),
        "casts": lambda: (x.double() * 2, i.float() + 0.5, (x > 0).float(), x.long(), (x > 0).long()),
        "sums": lambda: (x.sum(-1), x.double().sum(2, keepdim=True), i.sum(1), i[0].max(), i.min()),
        "of one": lambda: (x[:1, :1, 0].max(), (x[:, :, :1] > 0).any(-1), x[:, :1].sum(1), i[:1].max()),
        "stack": lambda: (torch.stack((x, x * 2)), torch.stack((-x[..., 1::2], x[..., 1::2]), -1).flatten(-2),
                          torch.stack((x[:, 0], x[:, -1], x[:, 0]), 1), torch.stack((i, i + 1), 2)),
        "filled": lambda: (torch.full_like(x, 0.5).mul(x), torch.full((m, n), 2.5) + 1, x.fill_(0.25) * 2),
        "isin": lambda: (torch.isin(i, torch.tensor([1])), torch.isin(x, 2.0, invert=True)),
    }  # fmt: skip
    for f in (*uniform(m, n, k).values(), *more.values()):
        yield from f()


@pytest.mark.parametrize("all_sizes", [[*SIZES, SIZES[1]], *thorough([[*SIZES, *MORE_SIZES]])], ids=len)
def test_operators_that_share_programs_serve_all_sizes(
    all_sizes: list[tuple[int, ...]], in_both: dict[str, int]
) -> None:
    for sizes in all_sizes:
        for y in of_sizes(*sizes):
            y.numpy()
    assert in_both["shared"] > 0.7 * in_both["both"]


def test_the_lowering_of_what_shares_programs_depends_on_their_structure_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    found: dict[Any, set[str]] = {}

    def noted(p: Any, *args: Any) -> Any:
        if all(serves_all_sizes(n) for n in p.order if n.op not in (LEAF, SCALAR, VIEW)):
            at = {v: k for k, v in enumerate(p.function.values)}
            told = [(v.kind, v.name, v.dtype, v.ndim, [at[a] for a in v.args],
                     v.params if v.kind in ("reduce", "contract") or v.name == "const" else None)
                    for v in p.function.values]  # fmt: skip
            found.setdefault(structure(p).key, set()).add(repr(told))
        return [np.zeros(prod(t.shape), t.dtype.np) for t in p.outputs]

    monkeypatch.setattr(realisation, "executor", [noted])
    realisation.forget()
    for sizes in SIZES:
        for y in of_sizes(*sizes):
            y.numpy()
    assert len(found) > 50
    assert all(len(texts) == 1 for texts in found.values())


def test_numbers_that_functions_hold_are_those_of_the_sizes(in_both: dict[str, int]) -> None:
    for width in (16, 24, 16):
        for length in (5, 7):
            x = torch.from_numpy(np.random.default_rng(0).standard_normal((3, length, width)).astype(np.float32))
            (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)).tolist()
    assert in_both["both"] == 6 > in_both["shared"] == 4  # a plan holds one width


def test_heads_that_share_keys_are_told_apart_by_more_than_their_structure(in_both: dict[str, int]) -> None:
    for heads, own in ((4, 2), (8, 2), (9, 3), (6, 3), (8, 4), (4, 2)):
        for length in (11, 12):
            q, k = torch.randn(1, heads, 1, 16), torch.randn(1, own, length, 16)
            y = F.scaled_dot_product_attention(q, k, k * 2, enable_gqa=True)
            wide = k.repeat_interleave(heads // own, 1)
            np.testing.assert_allclose(y, F.scaled_dot_product_attention(q, wide, wide * 2), rtol=1e-5, atol=1e-6)
    assert in_both["shared"] > 0.7 * in_both["both"]


def test_parts_of_no_elements_are_joined_in_no_steps(in_both: dict[str, int]) -> None:
    for length in (5, 6, 7):
        x = torch.from_numpy(np.random.default_rng(0).standard_normal((1, length, 2, 8)).astype(np.float32))
        y = (x * 2).transpose(1, 2)
        torch.cat((y[..., :8] + 1, y[..., 8:]), -1).tolist()
        (y[:, :, -1:] * 3)[..., 4:].exp().tolist()  # a step of any size along what has one element
    assert in_both["shared"] >= 3


class Rotating(nn.Module):
    """A Llama's attention: rotated queries and keys, of which several heads share one, and RMS norm."""

    def __init__(self, n: int = 16, heads: int = 4, own: int = 2) -> None:
        super().__init__()
        self.q, self.k, self.v = nn.Linear(n, n), nn.Linear(n, own * n // heads), nn.Linear(n, own * n // heads)
        self.weight, self.size = nn.Parameter(torch.ones(n)), n // heads

    def forward(self, x: Any, place: Any, past: Any) -> Any:
        y = self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))
        q, k, v = [f(y).view(*x.shape[:-1], -1, self.size).transpose(1, 2) for f in (self.q, self.k, self.v)]
        angle = place[:, None].float() * torch.arange(1, 1 + self.size // 2)
        cos, sin = [torch.cat((f(angle), f(angle)), -1) for f in (torch.cos, torch.sin)]
        half = self.size // 2
        q, k = [a * cos + torch.cat((-a[..., half:], a[..., :half]), -1) * sin for a in (q, k)]
        if past is not None:
            k, v = torch.cat((past[0], k), -2), torch.cat((past[1], v), -2)
        y = F.scaled_dot_product_attention(q, k, v, enable_gqa=True)
        return x + y.transpose(1, 2).reshape(x.shape), (k, v)


def test_heads_that_share_keys_are_one_call_a_token(in_both: dict[str, int]) -> None:
    torch.manual_seed(0)
    letters, block, past, going = nn.Embedding(11, 16), Rotating(), None, torch.ones(1, dtype=torch.int64)
    token, end = torch.zeros((1, 1), dtype=torch.int64), torch.tensor([10])
    with torch.no_grad():
        for step in range(2, 18):
            x, past = block(letters(token), torch.tensor([step]), past)
            token = (x @ letters.weight.t())[:, -1].argmax(-1, keepdim=True) * going
            going = going & ~torch.isin(token[:, -1], end).any()
            if bool(going.max() == 0):
                break
    assert in_both["shared"] >= 14


def test_a_model_with_a_sampler_behind_it_has_the_bits_of_compiled_code(in_both: dict[str, int]) -> None:
    torch.manual_seed(0)
    net = Text()
    with torch.no_grad():
        for length in (2, 3, 5, 6, 7, 13, 25, 70):
            i = torch.from_numpy(np.random.default_rng(0).integers(0, 11, (1, length)))
            scores = net(i)
            last = scores[:, -1] / 0.8
            top, _ = torch.topk(last, 4)
            last[last < top[:, [-1]]] = -float("inf")
            [a.tolist() for a in (F.softmax(last, -1), scores.transpose(1, 2).contiguous())]
    assert in_both["shared"] >= 8


@pytest.fixture
def auto(monkeypatch: pytest.MonkeyPatch, native_code: None) -> None:
    """Programs run in the tier that pays."""
    monkeypatch.setattr(_execution, "tier", ["auto"])
    monkeypatch.setattr(shared_programs, "_known", {})
    monkeypatch.setattr(patterns, "_patterns", {})


def kinds() -> list[str]:
    """What runs the programs so far."""
    return [type(p.cache).__name__ for p in realisation.programs.values()]


def test_the_second_program_of_a_structure_is_planned_for_all(auto: None) -> None:
    for n in (5, 6, 7, 300):
        x = torch.ones(2, n)
        for _ in range(LEAST):
            x = x.exp() * 0.5
        x.tolist()
    assert kinds() == ["FirstTier", *["SharedProgram"] * 3]


def test_a_small_structure_is_planned_when_it_has_come_some_times(auto: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for known in ("_known", "_times"):  # whatever other tests have run
        monkeypatch.setattr(shared_programs, known, {})
    for n in range(5, 5 + SELDOM + 3):
        (torch.ones(2, n).exp() * 2).tolist()
    assert kinds() == [*["FirstTier"] * SELDOM, *["SharedProgram"] * 3]


def test_profiles_have_the_chunks_that_sizes_have_decided(auto: None, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Any] = []
    monkeypatch.setattr(shared_programs, "SELDOM", 1)
    w = torch.randn(90, 70)
    for n in (10, 11, 500):
        if n == 500:
            profile = lambda self, arguments, program=None: found.append(self.profile_packed(arguments))  # noqa: E731
            monkeypatch.setattr(Executor, "run_packed", profile)
        F.linear(torch.from_numpy(np.ones((n, 70), np.float32)), w).tolist()
    assert kinds()[-1] == "SharedProgram"
    assert found[-1].labels == ["product"] and len(found[-1].chunk) > 1


def test_structures_tell_zeros_and_kinds_of_numbers_apart(auto: None) -> None:
    for n in (3, 4, 5, 6):
        found = [torch.full((n,), x).tolist() for x in (0.0, -0.0, 1, 1.0, True)]
        assert repr(found) == repr([[x] * n for x in (0.0, -0.0, 1, 1.0, True)])


def test_outputs_are_memory_of_their_own(auto: None) -> None:
    found = []
    for n in (3, 4, 4, 4):
        x = torch.arange(6.0 * n).view(6, n)
        y = x.exp()
        found.append((y, y[2:].tanh(), y.t().contiguous()))
        expected = [a.numpy().copy() for a in found[-1]]
        for own, values in zip(found, [expected] * len(found)):
            if own is found[-1]:
                assert all((a.numpy() == b).all() for a, b in zip(own, values))
    kept = [[a.numpy() for a in own] for own in found]
    memory = [a.__array_interface__["data"][0] for own in kept for a in own]
    assert len(set(memory)) == len(memory)


def test_structures_tell_what_is_not_size() -> None:
    def of(f: Any) -> Any:
        realisation.forget()
        f().tolist()
        (*_, p) = realisation.programs.values()
        return structure(p)

    x, y = torch.randn(5, 6), torch.randn(7, 9)
    one, other = of(lambda: x.exp() + 1), of(lambda: y.exp() + 1)
    assert one.key == other.key and one.sizes == (5, 6) and other.sizes == (7, 9)
    assert of(lambda: (x * 2)[:, -1].exp()).key == of(lambda: (y * 2)[:, -1].exp()).key
    assert of(lambda: (x * 2)[:, :2].exp()).key == of(lambda: (y * 2)[:, :2].exp()).key
    different = [
        lambda: x.exp() + 1, lambda: x.tanh() + 1, lambda: x.t().exp() + 1, lambda: x[:5, :5].exp() + 1,
        lambda: (x * 2)[:, -1].exp(), lambda: (x * 2)[:, -2].exp(), lambda: x[:1].exp() + 1, lambda: x.exp(),
    ]  # fmt: skip
    keys = [of(f).key for f in different]
    assert len(set(keys)) == len(keys)


def forms(m: int, n: int) -> dict[str, Any]:
    """Results that come from the same operators, but of other values, places or sizes."""
    x, y, z = torch.randn(m, n), torch.randn(m, n), torch.randn(2, m)
    return {
        "sum": lambda: (x + y) * y,
        "other operand": lambda: (x + y) * x,
        "same operand": lambda: (x + x) * x,
        "first row": lambda: (x[:1] + y) * y,
        "last row": lambda: (x[-1:] + y) * y,
        "crosswise": lambda: (x.t() + y.t()) * y.t(),
        "two": lambda: (z + z) * z,
        "with a number": lambda: (x + 2.5) * y,
        "scores": lambda: F.softmax(x, -1) + y,
        "scores of columns": lambda: F.softmax(x, 0) + y,
        "causal": lambda: F.scaled_dot_product_attention(x[None], y[None], y[None], is_causal=True) + y,
        "not causal": lambda: F.scaled_dot_product_attention(x[None], y[None], y[None]) + y,
        "long": lambda: x.to(torch.int64) + torch.arange(n),
        "longer": lambda: x.to(torch.int64) + torch.arange(1, n + 1),
    }


def test_programs_are_recognised_by_all_but_their_sizes(in_both: dict[str, int]) -> None:
    """Each form is known when the next comes; sizes of 1 make other forms."""
    for m, n in ((5, 7), (9, 4), (3, 11), (6, 6), (1, 8), (13, 2), (2, 9), (17, 20), (2, 2), (16, 16)):
        for f in forms(m, n).values():
            with torch.no_grad():
                f().tolist()
    assert in_both["shared"] > 0.6 * in_both["both"]


def test_a_growing_text_is_recognised(monkeypatch: pytest.MonkeyPatch, in_both: dict[str, int]) -> None:
    found: list[bool] = []

    def noted(p: Any, *args: Any) -> Any:
        found.append(p.alike is not None)
        return two_tiers.run(p, *args)

    monkeypatch.setattr(realisation, "executor", [noted])
    net = Text()
    with torch.no_grad():
        for length in (5, 6, 7, 16, 9, 2, 1, 30):  # 16 is another size too, 2 the number of heads
            F.softmax(net(torch.randint(0, 11, (1, length)))[:, -1], -1).tolist()
    assert found == [False, True, True, True, True, True, False, True]


def test_fronts_of_split_programs_are_recognised(monkeypatch: pytest.MonkeyPatch, in_both: dict[str, int]) -> None:
    found: list[bool] = []
    in_parts = split_programs.in_parts

    def noted(*args: Any, **how: Any) -> Any:
        split = in_parts(*args, **how)
        if split is not None:
            found.append(split.parts.front.alike is not None)
        return split

    monkeypatch.setattr(split_programs, "in_parts", noted)
    net = Text()
    with torch.no_grad():
        for length in (5, 6, 7, 9):
            scores = net(torch.randint(0, 11, (1, length)))[:, -1]
            scores[scores < torch.topk(scores, 3)[0][:, [-1]]] = float("-inf")
            F.softmax(scores, -1).tolist()
    assert found == [False, True, True, True]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (lambda x: x[:, -1], [False, False, True, True, True]),
        (lambda x: x, [False] * 5),
        (lambda x: x[:, [-1]], [False] * 5),  # the same, but it reads values of all sizes
    ],
)
def test_what_is_the_same_behind_all_fronts_is_planned_once(
    monkeypatch: pytest.MonkeyPatch, in_both: dict[str, int], part: Callable[[Any], Any], expected: list[bool]
) -> None:
    found: list[bool] = []
    in_parts = split_programs.in_parts

    def noted(p: Any, **how: Any) -> Any:
        split = in_parts(p, **how)
        if split is not None:
            found.append(p.alike is not None)
        return split

    monkeypatch.setattr(split_programs, "in_parts", noted)
    monkeypatch.setattr(split_programs, "_behind", {})
    monkeypatch.setattr(patterns, "_patterns", {})
    net = Text()
    with torch.no_grad():
        for length in (5, 6, 7, 9, 16):
            values, at = torch.topk(part(net(torch.randint(0, 11, (1, length)))) / 0.8, 3)
            (values.tolist(), at.tolist())
    assert found == expected


@pytest.mark.parametrize("dt", [np.float32, np.float64])
def test_causal_attention_leaves_out_what_is_hidden(in_both: dict[str, int], dt: Any) -> None:
    for length in (2, 3, 15, 16, 17, 33, 65, 130, 150, 170):
        q, k, v = np.random.default_rng(0).standard_normal((3, 2, 3, length, 7)).astype(dt)
        q[0, 0, length // 2, 0], q[1, 0, length // 2, 0], q[0, 1, length // 2] = np.nan, np.inf, np.finfo(dt).max / 9
        y = F.scaled_dot_product_attention(*map(torch.from_numpy, (q, k, v)), is_causal=True).numpy()
        assert np.isfinite(y[0, 2]).all() and np.isnan(y[0, 0]).any(-1).sum() == 1
    assert in_both["shared"] >= 10


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """What is asked for beside this process is compiled in it, and there at the next run."""
    asked: list[str] = []

    def answer(one: Any) -> bool:
        one.found = _programs_aside._is_there(one.name, os.getpid())
        asked.append(one.name)
        return True

    place = Disk(tmp_path / "programs")
    monkeypatch.setattr(stored, "store", lambda: place)
    monkeypatch.setattr(_beside, "possible", lambda: True)
    monkeypatch.setattr(_programs_aside, "_is_heard", answer)
    monkeypatch.setattr(_programs_aside, "_known", {})
    monkeypatch.setattr(_execution, "LEAST", 0.0)
    return asked


@pytest.mark.parametrize("beside", [False, True])
def test_a_front_that_comes_again_is_compiled_and_gives_the_same_bits(
    auto: None, monkeypatch: pytest.MonkeyPatch, answered: list[str], beside: bool
) -> None:
    """In this process at the fourth run, or beside it, asked for at the third."""
    monkeypatch.setattr(split_programs, "BEHIND", 1.0)
    monkeypatch.setattr(_beside, "possible", lambda: beside)
    monkeypatch.setattr(split_programs.SplitProgram, "limit", 40 if beside else 4)
    monkeypatch.setattr(_execution, "EARLY", 3 / 40)
    torch.manual_seed(0)
    net, found, seen = Text(), [], []
    with torch.no_grad():
        for length in (5, 6, 7, *[24] * 8):
            scores = net(torch.from_numpy(np.zeros((1, length), np.int64)))[:, -1] / 0.8
            values, at = torch.topk(scores, 3)
            found.append(repr((length, values.tolist(), at.tolist())))
            seen.append("WithFront" in kinds())
    assert seen == [False] * 7 + [True] * 4 and len(set(found)) == 4
    assert len(answered) == beside


class LastScores(nn.Module):
    """Gives the scores behind a text, of the last word alone, as nanoGPT takes it: by a list of indices."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places, self.head = nn.Embedding(11, 8), nn.Embedding(40, 8), nn.Linear(8, 11, bias=False)
        layers = [nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 32), nn.GELU(), nn.Linear(32, 8)) for _ in range(4)]
        self.layers = nn.ModuleList(layers)

    def forward(self, text: Any) -> Any:
        x = self.words(text) + self.places(torch.arange(0, text.size(1)))
        for layer in self.layers:
            x = x + layer(x)
        return self.head(x[:, [-1], :])


def test_what_a_sampler_reads_of_texts_of_all_lengths(auto: None) -> None:
    """Its results have the same sizes for all lengths; what it reads of the model has not."""
    torch.manual_seed(0)
    net = LastScores()
    with torch.no_grad():
        text = torch.zeros(1, 1, dtype=torch.long)
        for _ in range(30):
            scores = net(text)[:, -1, :] / 0.8
            scores[scores < torch.topk(scores, 5)[0][:, [-1]]] = -float("inf")
            text = torch.cat((text, torch.multinomial(torch.softmax(scores, -1), 1)), 1)
    assert text.shape == (1, 31) and int(text.max()) < 11
