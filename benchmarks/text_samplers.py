"""What generates a text token by token, written once for flambeau and PyTorch: a character GPT and how it is sampled.

Each token is read in Python when it is there, as a program does that prints what it generates.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .networks import gpt

LAYERS, WIDTH, HEADS = 4, 128, 4


def growing(torch: Any, tokens: int) -> Iterator[int]:
    """The likeliest token after the whole text."""
    return _growing(torch, gpt(torch, LAYERS, WIDTH, HEADS, tokens + 1), tokens)


def _growing(torch: Any, net: Any, tokens: int) -> Iterator[int]:
    text = torch.zeros((1, 1), dtype=torch.long)
    for _ in range(tokens):
        token = net(text)[:, -1].argmax(-1, keepdim=True)
        text = torch.cat((text, token), 1)
        yield token.item()


def cropped(torch: Any, tokens: int, block: int = 64) -> Iterator[int]:
    """nanoGPT's ``generate``: drawn from the 40 largest scores after the last ``block`` tokens."""
    return _cropped(torch, gpt(torch, LAYERS, WIDTH, HEADS, block), tokens, block)


def _cropped(torch: Any, net: Any, tokens: int, block: int) -> Iterator[int]:
    text = torch.zeros((1, 1), dtype=torch.long)
    for _ in range(tokens):
        seen = text if text.size(1) <= block else text[:, -block:]
        scores = net(seen)[:, -1, :] / 0.8
        largest, _ = torch.topk(scores, 40)
        scores[scores < largest[:, [-1]]] = -float("inf")
        token = torch.multinomial(torch.nn.functional.softmax(scores, dim=-1), num_samples=1)
        text = torch.cat((text, token), dim=1)
        yield token.item()


def cached(torch: Any, tokens: int) -> Iterator[int]:
    """The likeliest token, from keys and values of the tokens before, which are joined with those of the last one."""
    return _cached(torch, _with_cache(torch, tokens + 1), tokens)


def _cached(torch: Any, net: Any, tokens: int) -> Iterator[int]:
    token, past = torch.zeros((1, 1), dtype=torch.long), [None] * LAYERS
    for _ in range(tokens):
        scores, past = net(token, past)
        token = scores[:, -1].argmax(-1, keepdim=True)
        yield token.item()


def _with_cache(torch: Any, context: int) -> Any:
    """A transformer that is given its new tokens and, for each layer, keys and values of those before."""
    nn, F = torch.nn, torch.nn.functional

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.ln_1, self.ln_2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
            self.c_attn, self.c_proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
            self.fc, self.proj = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

        def forward(self, x: Any, past: Any) -> Any:
            shape = (*x.shape[:-1], -1, WIDTH // HEADS)
            q, k, v = [t.view(shape).transpose(1, 2) for t in self.c_attn(self.ln_1(x)).split(WIDTH, dim=2)]
            if past is not None:
                k, v = torch.cat((past[0], k), dim=-2), torch.cat((past[1], v), dim=-2)
            y = F.scaled_dot_product_attention(q, k, v, is_causal=past is None and x.size(1) > 1)
            x = x + self.c_proj(y.transpose(1, 2).reshape(*x.shape[:-1], WIDTH).contiguous())
            return x + self.proj(F.gelu(self.fc(self.ln_2(x)), approximate="tanh")), (k, v)

    class Decoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wte, self.wpe = nn.Embedding(65, WIDTH), nn.Embedding(context, WIDTH)
            self.h = nn.ModuleList([Block() for _ in range(LAYERS)])
            self.ln_f, self.lm_head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 65, bias=False)

        def forward(self, token: Any, past: Any) -> Any:
            first = 0 if past[0] is None else past[0][0].shape[-2]
            x = self.wte(token) + self.wpe(torch.arange(first, first + token.shape[1]))
            after = []
            for block, one in zip(self.h, past):
                x, kept = block(x, one)
                after.append(kept)
            return self.lm_head(self.ln_f(x)), after

    return Decoder()


SAMPLERS = {"growing": growing, "cropped": cropped, "cached": cached}
