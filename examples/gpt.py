"""A character GPT that learns to write like the project's own design document, and then writes.

    flambeau run examples/gpt.py
    flambeau run examples/gpt.py --text FILE --steps 2000 --width 128 --layers 4

Decoder-only transformer (Vaswani and others, 2017; Radford and others, 2019), trained on windows of the text.
In shapes: B samples, T characters, C channels, H heads, V different characters.
"""

import argparse
import math
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

TEXT = Path(__file__).parents[1] / "docs" / "design.md"


class Attention(nn.Module):
    """Each character looks at those before it, in several heads."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.expand = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)

    def forward(self, x):                                        # (B, T, C)
        B, T, C = x.shape
        x = self.expand(x).view(B, T, 3, self.heads, C // self.heads)
        q, k, v = x.permute(2, 0, 3, 1, 4)                       # (B, H, T, C / H) each
        scores = q @ k.transpose(-2, -1) / math.sqrt(C // self.heads)      # (B, H, T, T)
        future = torch.ones(T, T, dtype=torch.bool).triu(1)      # (T, T), True above the diagonal
        weights = scores.masked_fill(future, -math.inf).softmax(-1)
        x = weights @ v                                          # (B, H, T, C / H)
        return self.project(x.transpose(1, 2).reshape(B, T, C))


class Block(nn.Module):
    """Attention, then a small network for each character; both are added to what comes in."""

    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width), Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.network = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x):                                        # (B, T, C)
        x = x + self.attention(self.norm1(x))
        return x + self.network(self.norm2(x))


class GPT(nn.Module):
    """Characters in, scores of the next character out."""

    def __init__(self, characters, context, width, heads, layers):
        super().__init__()
        self.context = context
        self.token = nn.Embedding(characters, width)
        self.place = nn.Embedding(context, width)
        self.blocks = nn.Sequential(*[Block(width, heads) for _ in range(layers)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, characters, bias=False)

    def forward(self, tokens):                                   # (B, T)
        x = self.token(tokens) + self.place(torch.arange(tokens.shape[1]))     # (B, T, C)
        return self.head(self.norm(self.blocks(x)))              # (B, T, V)

    @torch.no_grad()
    def write(self, tokens, count, temperature=0.8):
        """``count`` more tokens, each drawn from the scores that follow those before: (B, T) -> (B, T + count)."""
        for _ in range(count):
            scores = self(tokens[:, -self.context:])[:, -1]      # (B, V)
            odds = F.softmax(scores / temperature, dim=-1)
            tokens = torch.cat([tokens, torch.multinomial(odds, 1)], dim=1)
        return tokens


def windows(data, context, batch):
    """Random windows of the text, and the same one character later: (B, T) each."""
    starts = torch.randint(len(data) - context, (batch,))
    inputs = torch.stack([data[i:i + context] for i in starts])
    targets = torch.stack([data[i + 1:i + 1 + context] for i in starts])
    return inputs, targets


def loss_of(model, inputs, targets):
    """The mean surprise at the next character, in nats."""
    scores = model(inputs)                                       # (B, T, V)
    return F.cross_entropy(scores.flatten(0, 1), targets.flatten())


def main():
    parser = argparse.ArgumentParser(description="Train a character GPT on a text, and let it write.")
    parser.add_argument("--text", type=Path, default=TEXT)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--context", type=int, default=64)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--lr", type=float, default=5e-3)
    parser.add_argument("--write", type=int, default=400, help="how many characters it writes in the end")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)

    text = options.text.read_text(encoding="utf-8")
    characters = sorted(set(text))
    number = {c: i for i, c in enumerate(characters)}
    data = torch.tensor([number[c] for c in text])               # (length of the text,)
    model = GPT(len(characters), options.context, options.width, options.heads, options.layers)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.lr, total_steps=options.steps)
    print(f"{len(text)} characters, {len(characters)} different ones; "
          f"{sum(p.numel() for p in model.parameters())} parameters")

    start, total = time.perf_counter(), 0.0
    every = max(1, options.steps // 5)
    for step in range(1, options.steps + 1):
        loss = loss_of(model, *windows(data, options.context, options.batch_size))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        total += loss.item()
        if step % every == 0:
            print(f"step {step:5d}: loss {total / every:.3f}")
            total = 0.0
    trained = time.perf_counter()

    begin = torch.tensor([[number["\n"]]])                       # (1, 1)
    written = model.write(begin, options.write)[0].tolist()
    print("".join(characters[i] for i in written).strip())
    seconds = trained - start, time.perf_counter() - trained
    print(f"trained in {seconds[0]:.1f} s, wrote in {seconds[1]:.1f} s")


if __name__ == "__main__":
    main()
