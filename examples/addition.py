"""An LSTM that learns to add: it reads "40+58=" character by character, and writes "98".

    flambeau run examples/addition.py

Sequence to sequence (Sutskever, Vinyals, Le, 2014). Numbers are written backwards, last digit first, since sums are
made from there. N problems, L characters, V different characters, C channels.
"""

import argparse
import time

import torch
import torch.nn.functional as F
from torch import nn

CHARACTERS = "0123456789+= "                                     # the blank fills what is too short
NUMBER = {c: i for i, c in enumerate(CHARACTERS)}


def problems(count, digits):
    """Random sums, as characters: questions (N, 2 * digits + 2) and answers (N, digits + 1)."""
    pairs = torch.randint(10 ** digits, (count, 2)).tolist()
    questions = [f"{str(a)[::-1]}+{str(b)[::-1]}=".rjust(2 * digits + 2) for a, b in pairs]
    answers = [str(a + b)[::-1].ljust(digits + 1) for a, b in pairs]
    return encoded(questions), encoded(answers)


def encoded(texts):
    """Texts of one length as numbers: (N, L)."""
    return torch.tensor([[NUMBER[c] for c in text] for text in texts])


def decoded(numbers):
    """A row of numbers as a text, turned round again."""
    return "".join(CHARACTERS[i] for i in numbers).strip()[::-1]


class Adder(nn.Module):
    """One LSTM reads the question; another begins in the state in which that ended, and writes."""

    def __init__(self, width):
        super().__init__()
        self.embedding = nn.Embedding(len(CHARACTERS), 16)
        self.reader = nn.LSTM(16, width, batch_first=True)
        self.writer = nn.LSTM(16, width, batch_first=True)
        self.head = nn.Linear(width, len(CHARACTERS))

    def forward(self, questions, before):
        """Scores of each character of the answers, given those ``before`` it: (N, L, V)."""
        _, state = self.reader(self.embedding(questions))        # state: twice (1, N, C)
        outputs, _ = self.writer(self.embedding(before), state)  # (N, L, C)
        return self.head(outputs)

    @torch.no_grad()
    def answer(self, questions, length):
        """What it writes when each character that it reads is the one it wrote: (N, length)."""
        _, state = self.reader(self.embedding(questions))
        written = [torch.full((len(questions), 1), NUMBER["="])]
        for _ in range(length):
            outputs, state = self.writer(self.embedding(written[-1]), state)     # (N, 1, C)
            written.append(self.head(outputs).argmax(dim=-1))                    # (N, 1)
        return torch.cat(written[1:], dim=1)


def shifted(answers):
    """What is before each character of the answers: (N, L)."""
    return torch.cat([torch.full((len(answers), 1), NUMBER["="]), answers[:, :-1]], dim=1)


def main():
    parser = argparse.ArgumentParser(description="Learn to add numbers, character by character.")
    parser.add_argument("--digits", type=int, default=2)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--lr", type=float, default=6e-3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)

    model = Adder(options.width)
    optimizer = torch.optim.Adam(model.parameters(), lr=options.lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.lr, total_steps=options.steps)
    questions, answers = problems(1000, options.digits)          # to see how well it does, never learnt
    start, total = time.perf_counter(), 0.0
    every = max(1, options.steps // 5)
    for step in range(1, options.steps + 1):
        given, wanted = problems(options.batch_size, options.digits)
        scores = model(given, shifted(wanted))                   # (N, L, V)
        loss = F.cross_entropy(scores.flatten(0, 1), wanted.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        total += loss.item()
        if step % every == 0:
            right = (model.answer(questions, answers.shape[1]) == answers).all(dim=1).float().mean().item()
            print(f"step {step:5d}: loss {total / every:.3f}, {100 * right:.1f} % of new sums are right")
            total = 0.0
    for question, said in zip(questions[:5].tolist(), model.answer(questions[:5], answers.shape[1]).tolist()):
        a, _, b = "".join(CHARACTERS[i] for i in question).strip(" =").partition("+")
        print(f"{a[::-1]} + {b[::-1]} = {decoded(said)}")
    print(f"{time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
