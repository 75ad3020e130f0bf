"""torch.func on one small network: a gradient for each sample finds wrong labels, the Hessian takes Newton's steps.

    flambeau run examples/gradients.py

The network is a function of its parameters; ``grad``, ``vmap`` and ``hessian`` make other functions of that one.
N samples, P parameters.
"""

import argparse
import time

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, grad, hessian, vmap


def moons(count, wrong):
    """Two half moons, (N, 2), their labels, (N,), and which labels are wrong: the last ``wrong``."""
    angle = torch.rand(count) * torch.pi
    label = torch.arange(count) % 2
    x = torch.where(label == 0, angle.cos(), 1 - angle.cos())
    y = torch.where(label == 0, angle.sin(), 0.5 - angle.sin())
    points = torch.stack([x, y], dim=1) + 0.1 * torch.randn(count, 2)
    flipped = torch.arange(count) >= count - wrong
    return points, torch.where(flipped, 1 - label, label), flipped


def main():
    parser = argparse.ArgumentParser(description="Gradients of single samples, and Newton's method.")
    parser.add_argument("--samples", type=int, default=400)
    parser.add_argument("--wrong", type=int, default=20)
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    start = time.perf_counter()

    points, labels, flipped = moons(options.samples, options.wrong)      # (N, 2), (N,), (N,)
    model = nn.Sequential(nn.Linear(2, options.width), nn.Tanh(), nn.Linear(options.width, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(options.steps):
        loss = F.cross_entropy(model(points), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"Adam, {options.steps} steps: loss {loss.item():.4f}")

    # ---- a gradient for each sample

    names = [name for name, _ in model.named_parameters()]
    sizes = [p.numel() for p in model.parameters()]
    shapes = [p.shape for p in model.parameters()]

    def loss_of(flat, point, label):
        """The loss of one sample, or of several, as a function of all parameters in one row, (P,)."""
        parts = [part.view(shape) for part, shape in zip(flat.split(sizes), shapes)]
        return F.cross_entropy(functional_call(model, dict(zip(names, parts)), (point,)), label)

    flat = torch.cat([p.detach().flatten() for p in model.parameters()])       # (P,)
    each = vmap(grad(loss_of), in_dims=(None, 0, 0))(flat, points, labels)     # (N, P)
    whole = grad(loss_of)(flat, points, labels)                                # (P,)
    print(f"{len(each)} gradients of {len(flat)} parameters; their mean is that of the whole: "
          f"{torch.allclose(each.mean(dim=0), whole, atol=1e-6)}")
    suspects = each.norm(dim=1).topk(options.wrong).indices                    # (wrong,)
    print(f"of the {options.wrong} samples that pull hardest, {flipped[suspects].sum().item()} have a wrong label; "
          f"of all {options.samples}, {options.wrong} have")

    # ---- second derivatives, on the samples that are left

    points, labels = points[~flipped], labels[~flipped]

    def smooth(flat):
        """The loss of all samples, with a little weight decay, so that it has one minimum nearby."""
        return loss_of(flat, points, labels) + 1e-3 * flat.square().sum()

    for step in range(1, 7):
        slope, bend = grad(smooth)(flat), hessian(smooth)(flat)                # (P,), (P, P)
        values, directions = torch.linalg.eigh(bend)                           # (P,), (P, P)
        along = directions.T @ slope                                           # the slope along each direction
        flat = flat - directions @ (along / values.abs().clamp(min=1e-2))      # downhill, also where it bends down
        print(f"Newton, step {step}: loss {smooth(flat).item():.4f}, slope {grad(smooth)(flat).norm().item():.0e}, "
              f"largest bend {values[-1].item():.2f}, {(values < 0).sum().item()} directions bend down")
    print(f"{time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
