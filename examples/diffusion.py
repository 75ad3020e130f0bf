"""A diffusion model of points in the plane: it learns to turn noise into a spiral, and draws what it makes.

    flambeau run examples/diffusion.py

Denoising diffusion (Ho, Jain, Abbeel, 2020). Noise is added to a point in many small steps; a network learns to tell
which noise was added; taking it away step by step, from noise alone, makes new points. N samples, T steps of noise.
"""

import argparse
import math
import time

import torch
import torch.nn.functional as F
from torch import nn


def spiral(count):
    """Points on a spiral of one turn and a half, a little off it: (N, 2), with coordinates from -1 to 1 about."""
    turn = torch.rand(count).sqrt()                              # (N,), even along the curve
    angle = 3 * math.pi * turn
    points = torch.stack([turn * angle.cos(), turn * angle.sin()], dim=1)
    return points + 0.02 * torch.randn(count, 2)


class Noise(nn.Module):
    """Which noise is in a point, given how much there is. Coordinates and time come as sines and cosines, too."""

    speed: torch.Tensor                                          # (waves,), a buffer

    def __init__(self, width, waves=6):
        super().__init__()
        self.register_buffer("speed", torch.exp(torch.linspace(0, 3, waves)))
        self.layers = nn.Sequential(
            nn.Linear(3 + 6 * waves, width), nn.SiLU(),
            nn.Linear(width, width), nn.SiLU(),
            nn.Linear(width, width), nn.SiLU(),
            nn.Linear(width, 2),
        )

    def forward(self, points, time):                             # (N, 2), (N, 1) from 0 to 1
        x = torch.cat([points, time], dim=1)                     # (N, 3)
        waves = (x[:, :, None] * self.speed).flatten(1)          # (N, 3 * waves)
        return self.layers(torch.cat([x, waves.sin(), waves.cos()], dim=1))            # (N, 2)


class Diffusion:
    """How much of a point is left after each of T steps of noise, and the way there and back."""

    def __init__(self, steps):
        self.steps = steps
        self.beta = torch.linspace(0.01, 0.35, steps) ** 2       # (T,), the share of noise that each step adds
        self.left = torch.cumprod(1 - self.beta, dim=0)          # (T,), the share of the point's square that is left

    def noisy(self, points, noise, at):
        """The points after the steps ``at``, which are (N,)."""
        left = self.left[at, None]                               # (N, 1)
        return left.sqrt() * points + (1 - left).sqrt() * noise

    def loss(self, model, points):
        """How wrong the network is about the noise at random steps."""
        at = torch.randint(self.steps, (len(points),))
        noise = torch.randn_like(points)
        found = model(self.noisy(points, noise, at), at[:, None] / self.steps)
        return F.mse_loss(found, noise)

    @torch.no_grad()
    def sample(self, model, count):
        """New points, from noise: (N, 2)."""
        points = torch.randn(count, 2)
        for at in reversed(range(self.steps)):
            found = model(points, torch.full((count, 1), at / self.steps))
            beta, left = self.beta[at], self.left[at]
            points = (points - beta / (1 - left).sqrt() * found) / (1 - beta).sqrt()
            if at:
                points = points + beta.sqrt() * torch.randn(count, 2)
        return points


def draw(points, size=23):
    """The plane from -1.1 to 1.1 in characters: the more points, the darker."""
    places = ((points + 1.1) / 2.2 * size).long()                # (N, 2): column, row
    inside = ((places >= 0) & (places < size)).all(dim=1)
    column, row = places[inside].T
    counts = torch.zeros(size * size, dtype=torch.long)
    counts.index_add_(0, row * size + column, torch.ones_like(row))
    for line in counts.view(size, size).flip(0).tolist():
        print("".join(2 * " .:*#"[min(4, (n + 1) // 2)] for n in line).rstrip())


def main():
    parser = argparse.ArgumentParser(description="Train a diffusion model on a spiral, and draw what it makes.")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--noise-steps", type=int, default=100)
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)

    model, diffusion = Noise(options.width), Diffusion(options.noise_steps)
    optimizer = torch.optim.Adam(model.parameters(), lr=options.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.steps)
    start, total = time.perf_counter(), 0.0
    every = max(1, options.steps // 5)
    for step in range(1, options.steps + 1):
        loss = diffusion.loss(model, spiral(options.batch_size))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        total += loss.item()
        if step % every == 0:
            print(f"step {step:5d}: loss {total / every:.3f}")
            total = 0.0
    seconds = time.perf_counter() - start

    made = diffusion.sample(model, 1000)
    nearest = torch.cdist(made, spiral(4000)).min(dim=1).values  # (N,)
    print(f"made 1000 points, half of them nearer to the spiral than {nearest.median().item():.3f}")
    draw(made)
    print(f"trained in {seconds:.1f} s")


if __name__ == "__main__":
    main()
