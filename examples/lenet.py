"""LeNet on handwritten digits: an ordinary PyTorch program.

    flambeau run examples/lenet.py
    flambeau run examples/lenet.py --epochs 5 --batch-size 64 --seed 1

The digits are 8 x 8 images that ship with flambeau (UCI optdigits, CC BY 4.0), enlarged to LeNet's 32 x 32.
"""

import argparse
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torchvision.datasets import Optdigits


class LeNet(nn.Module):
    """Two convolutions and three linear layers (LeCun, Bottou, Bengio, Haffner, 1998)."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, kernel_size=5)
        self.conv2 = nn.Conv2d(6, 16, kernel_size=5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):                                    # (N,  1, 32, 32)
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)           # (N,  6, 14, 14)  from (N,  6, 28, 28)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)           # (N, 16,  5,  5)  from (N, 16, 10, 10)
        x = torch.flatten(x, 1)                              # (N, 400)
        x = F.relu(self.fc1(x))                              # (N, 120)
        x = F.relu(self.fc2(x))                              # (N,  84)
        return self.fc3(x)                                   # (N,  10)


def digits(train):
    """All images of a split and their labels, as a data set of tensors (1, 32, 32) with values from 0 to 1."""
    split = Optdigits(train=train)
    images = split.data[:, None].float() / 255               # (N, 1,  8,  8)
    images = F.interpolate(images, size=32, mode="bilinear") # (N, 1, 32, 32)
    return TensorDataset(images, split.targets)


def show(epoch, step, steps, loss, milliseconds):
    """Draw the progress bar over itself; nothing where the output is no terminal."""
    if sys.stdout.isatty():
        done = 30 * step // steps
        bar = "#" * done + "." * (30 - done)
        print(f"\repoch {epoch:2d} [{bar}] loss {loss:.4f}, {milliseconds:.2f} ms a step", end="", flush=True)


def train(model, loader, optimizer, epoch):
    """One pass over the training images; returns the mean loss and the milliseconds a step."""
    model.train()
    total, start = 0.0, time.perf_counter()
    for step, (images, labels) in enumerate(loader, 1):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        total += loss.item()
        milliseconds = (time.perf_counter() - start) / step * 1000
        show(epoch, step, len(loader), total / step, milliseconds)
    return total / len(loader), milliseconds


@torch.no_grad()
def accuracy(model, loader):
    """The share of images whose most likely class is the right one."""
    model.eval()
    right = sum((model(images).argmax(dim=1) == labels).sum().item() for images, labels in loader)
    return right / len(loader.dataset)


def main():
    parser = argparse.ArgumentParser(description="Train LeNet on handwritten digits.")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--momentum", type=float, default=0.9)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)

    images = digits(train=True), digits(train=False)
    training = DataLoader(images[0], batch_size=options.batch_size, shuffle=True)
    testing = DataLoader(images[1], batch_size=357)
    model = LeNet()
    optimizer = torch.optim.SGD(model.parameters(), lr=options.lr, momentum=options.momentum)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=options.epochs)
    print(model)
    print(f"{len(images[0])} images for training, {len(images[1])} for testing")

    for epoch in range(1, options.epochs + 1):
        loss, milliseconds = train(model, training, optimizer, epoch)
        schedule.step()
        share = 100 * accuracy(model, testing)
        end = "\r\033[K" if sys.stdout.isatty() else ""
        print(f"{end}epoch {epoch:2d}: loss {loss:.4f}, test accuracy {share:.1f} %, {milliseconds:.2f} ms a step")


if __name__ == "__main__":
    main()
