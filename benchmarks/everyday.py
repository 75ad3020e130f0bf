"""Everyday loops: what people write around a network, in the sizes of a notebook.

Each function makes what its loop needs with ``torch`` (flambeau or PyTorch) and gives the step, which is told its
number. `loops.py` times them. What a step changes is in ``state``, whose numbers both sides must agree on.
"""

from __future__ import annotations

import copy
import random
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

Step = Callable[[int], None]
Loop = Callable[[Any, list[Any]], Step]
LOOPS: dict[str, Loop] = {}


def loop(make: Loop) -> Loop:
    """Notes a loop under its name."""
    LOOPS[make.__name__] = make
    return make


def perceptron(torch: Any, *sizes: int) -> Any:
    """Linear layers of these sizes with ReLU between them."""
    layers: list[Any] = []
    for before, after in zip(sizes, sizes[1:]):
        layers += [torch.nn.Linear(before, after), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def classifier(torch: Any, state: list[Any], optimizer: str = "Adam") -> tuple[Any, Any, Any, Any]:
    """A small network, its optimizer, 64 samples of 20 numbers and their classes."""
    net = perceptron(torch, 20, 64, 3)
    state.append(net)
    x, y = torch.randn(64, 20), torch.randint(0, 3, (64,))
    return net, getattr(torch.optim, optimizer)(net.parameters(), lr=0.01), x, y


def update(optimizer: Any, loss: Any) -> None:
    """One step of training."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


@loop
def losses_and_hits(torch: Any, state: list[Any]) -> Step:
    """The loss and the hits of each batch are added up."""
    net, optimizer, x, y = classifier(torch, state)
    total = [0.0, 0]

    def step(_: int) -> None:
        out = net(x)
        loss = torch.nn.functional.cross_entropy(out, y)
        update(optimizer, loss)
        total[0] += loss.item()
        total[1] += (out.argmax(1) == y).sum().item()

    return step


@loop
def gradients_of_four_batches(torch: Any, state: list[Any]) -> Step:
    """Gradients are accumulated, then clipped."""
    net, optimizer, x, y = classifier(torch, state)

    def step(_: int) -> None:
        for k in range(0, 64, 16):
            (torch.nn.functional.cross_entropy(net(x[k : k + 16]), y[k : k + 16]) / 4).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return step


@loop
def averaged_target(torch: Any, state: list[Any]) -> Step:
    """A second network follows the first one slowly."""
    net, optimizer, x, _ = classifier(torch, state)
    target = copy.deepcopy(net)

    def step(_: int) -> None:
        with torch.no_grad():
            wanted = target(x) + 1
        update(optimizer, torch.nn.functional.mse_loss(net(x), wanted))
        for p, slow in zip(net.parameters(), target.parameters()):
            slow.data.copy_(0.99 * slow.data + 0.01 * p.data)

    return step


@loop
def updates_by_hand(torch: Any, state: list[Any]) -> Step:
    """The optimizer written out."""
    net, _, x, y = classifier(torch, state)

    def step(_: int) -> None:
        loss = torch.nn.functional.cross_entropy(net(x), y)
        net.zero_grad()
        loss.backward()
        with torch.no_grad():
            for p in net.parameters():
                p -= 0.01 * p.grad
        loss.item()

    return step


@loop
def replayed_transitions(torch: Any, state: list[Any]) -> Step:
    """Deep Q-learning: a decision, then a batch of 64 remembered tensors."""
    net = perceptron(torch, 4, 64, 2)
    state.append(net)
    optimizer = torch.optim.Adam(net.parameters())
    memory: deque[Any] = deque(maxlen=1000)
    seen = torch.randn(1, 4)

    def step(_: int) -> None:
        nonlocal seen
        with torch.no_grad():
            action = net(seen).argmax(1, keepdim=True)
        after = torch.tensor(np.random.randn(4), dtype=torch.float32).unsqueeze(0)
        memory.append((seen, action, after, torch.tensor([1.0])))
        seen = after
        if len(memory) < 64:
            return
        before, actions, behind, rewards = map(torch.cat, zip(*random.sample(list(memory), 64)))
        with torch.no_grad():
            wanted = net(behind).amax(1) * 0.9 + rewards
        update(optimizer, torch.nn.functional.smooth_l1_loss(net(before).gather(1, actions)[:, 0], wanted))

    return step


@loop
def cells_in_a_loop(torch: Any, state: list[Any]) -> Step:
    """A recurrent cell step by step, over sequences of other lengths each time."""
    cell, head = torch.nn.GRUCell(8, 32), torch.nn.Linear(32, 5)
    state += [cell, head]
    optimizer = torch.optim.Adam([*cell.parameters(), *head.parameters()])

    def step(k: int) -> None:
        length = 5 + k % 7
        x, y = torch.randn(length, 4, 8), torch.randint(0, 5, (length, 4))
        h, loss = torch.zeros(4, 32), 0.0
        for t in range(length):
            h = cell(x[t], h)
            loss = loss + torch.nn.functional.cross_entropy(head(h), y[t])
        update(optimizer, loss)

    return step


@loop
def sequences_of_other_lengths(torch: Any, state: list[Any]) -> Step:
    """An LSTM whose batches differ in length."""
    net, head = torch.nn.LSTM(8, 32, batch_first=True), torch.nn.Linear(32, 5)
    state += [net, head]
    optimizer = torch.optim.Adam([*net.parameters(), *head.parameters()])

    def step(k: int) -> None:
        x, y = torch.randn(4, 4 + 7 * k % 26, 8), torch.randint(0, 5, (4,))
        out, _ = net(x)
        update(optimizer, torch.nn.functional.cross_entropy(head(out[:, -1]), y))

    return step


@loop
def hidden_states_carried_on(torch: Any, state: list[Any]) -> Step:
    """Truncated backpropagation through time."""
    net, head = torch.nn.LSTM(16, 32), torch.nn.Linear(32, 16)
    state += [net, head]
    optimizer = torch.optim.SGD([*net.parameters(), *head.parameters()], lr=0.1)
    data = torch.randn(700, 4, 16)
    hidden: Any = None

    def step(k: int) -> None:
        nonlocal hidden
        at = 7 * k % 600
        hidden = hidden and tuple([h.detach() for h in hidden])
        out, hidden = net(data[at : at + 7], hidden)
        update(optimizer, torch.nn.functional.mse_loss(head(out), data[at + 1 : at + 8]))

    return step


@loop
def samples_under_a_mask(torch: Any, state: list[Any]) -> Step:
    """As many samples as a mask says."""
    net = perceptron(torch, 8, 64, 1)
    state.append(net)
    optimizer, data = torch.optim.Adam(net.parameters()), torch.randn(500, 8)

    def step(_: int) -> None:
        out = net(data[torch.rand(500) > 0.5])
        update(optimizer, (out[out[:, 0] > 0] ** 2).sum() + out.mean())

    return step


@loop
def graphs_of_other_sizes(torch: Any, state: list[Any]) -> Step:
    """Means over neighbours, in graphs of ever other numbers of nodes and edges."""
    first, second = torch.nn.Linear(8, 32), torch.nn.Linear(32, 2)
    state += [first, second]
    optimizer = torch.optim.Adam([*first.parameters(), *second.parameters()])

    def step(_: int) -> None:
        nodes, edges = random.randint(50, 80), random.randint(100, 200)
        h = torch.relu(first(torch.randn(nodes, 8)))
        sources, targets = torch.randint(0, nodes, (2, edges))
        total = torch.zeros(nodes, 32).index_add_(0, targets, h[sources])
        count = torch.zeros(nodes).scatter_add_(0, targets, torch.ones(edges)).clamp(min=1)
        out = second(total / count[:, None])
        update(optimizer, torch.nn.functional.cross_entropy(out, torch.zeros(nodes, dtype=torch.int64)))

    return step


@loop
def rows_of_numpy(torch: Any, state: list[Any]) -> Step:
    """Batches drawn from an array that lives on, and predictions that go back to NumPy."""
    net, optimizer, _, _ = classifier(torch, state)
    data, labels = np.random.randn(640, 20).astype(np.float32), np.random.randint(0, 3, 640)
    x, y = torch.from_numpy(data), torch.from_numpy(labels)

    def step(_: int) -> None:
        at = torch.randperm(640)[:64]
        out = net(x[at])
        update(optimizer, torch.nn.functional.cross_entropy(out, y[at]))
        (out.detach().numpy().argmax(1) == y[at].numpy()).mean()

    return step


@loop
def parameters_looked_at(torch: Any, state: list[Any]) -> Step:
    """Norms of gradients and weights are noted at each step."""
    net, optimizer, x, y = classifier(torch, state, "SGD")

    def step(_: int) -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(x), y).backward()
        [(p.grad.norm().item(), p.data.std().item()) for p in net.parameters()]
        optimizer.step()

    return step


@loop
def training_and_evaluation(torch: Any, state: list[Any]) -> Step:
    """Batch norm and dropout, switched to and fro."""
    nn = torch.nn
    net = nn.Sequential(nn.Linear(20, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 3))
    state.append(net)
    optimizer, x, y = torch.optim.Adam(net.parameters()), torch.randn(64, 20), torch.randint(0, 3, (64,))

    def step(_: int) -> None:
        net.train()
        update(optimizer, nn.functional.cross_entropy(net(x), y))
        net.eval()
        with torch.no_grad():
            (net(x).argmax(1) == y).float().mean().item()

    return step


@loop
def gradient_penalty(torch: Any, state: list[Any]) -> Step:
    """A Wasserstein critic."""
    net = perceptron(torch, 8, 64, 1)
    state.append(net)
    optimizer, real, fake = torch.optim.Adam(net.parameters()), torch.randn(32, 8), torch.randn(32, 8)

    def step(_: int) -> None:
        share = torch.rand(32, 1)
        between = (share * real + (1 - share) * fake).requires_grad_(True)
        out = net(between)
        slope = torch.autograd.grad(out, between, torch.ones_like(out), create_graph=True)[0]
        penalty = 10 * ((slope.norm(2, 1) - 1) ** 2).mean()
        update(optimizer, net(fake).mean() - net(real).mean() + penalty)

    return step


@loop
def own_gradients(torch: Any, state: list[Any]) -> Step:
    """A straight-through estimator."""

    class Sign(torch.autograd.Function):  # type: ignore[name-defined,misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x.sign()

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            (x,) = ctx.saved_tensors
            return g * (x.abs() < 1).float()

    w, x = torch.randn(20, 20, requires_grad=True), torch.randn(64, 20)
    state.append(w)
    optimizer = torch.optim.SGD([w], lr=0.01)
    return lambda _: update(optimizer, (Sign.apply(x @ w) - 1).pow(2).mean())


@loop
def networks_of_other_widths(torch: Any, state: list[Any]) -> Step:
    """A search over widths: five steps of a network that is new each time."""
    x, y = torch.randn(64, 20), torch.randint(0, 3, (64,))

    def step(k: int) -> None:
        net = perceptron(torch, 20, 8 + k, 3)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        for _ in range(5):
            update(optimizer, torch.nn.functional.cross_entropy(net(x), y))
        state[:] = [net]

    return step


@loop
def text_letter_by_letter(torch: Any, state: list[Any]) -> Step:
    """Twenty letters drawn from a recurrent network."""
    table, cell, head = torch.nn.Embedding(40, 32), torch.nn.GRUCell(32, 64), torch.nn.Linear(64, 40)

    def step(_: int) -> None:
        h, letter = torch.zeros(1, 64), torch.tensor([1])
        with torch.no_grad():
            for _ in range(20):
                h = cell(table(letter), h)
                letter = torch.multinomial(torch.softmax(head(h) / 0.8, 1), 1)[:, 0]
                letter.item()
        state[:] = [h]

    return step


@loop
def episodes(torch: Any, state: list[Any]) -> Step:
    """Policy gradients over episodes of other lengths."""
    net = perceptron(torch, 4, 64, 2)
    state.append(net)
    optimizer = torch.optim.Adam(net.parameters())

    def step(_: int) -> None:
        chances, rewards = [], []
        for _ in range(random.randint(5, 25)):
            policy = torch.distributions.Categorical(logits=net(torch.from_numpy(np.random.randn(4)).float()))
            action = policy.sample()
            chances.append(policy.log_prob(action))
            rewards.append(float(action.item()))
        returns = torch.tensor(np.cumsum(rewards[::-1])[::-1].copy(), dtype=torch.float32)
        update(optimizer, -(torch.stack(chances) * (returns - returns.mean())).sum())

    return step


@loop
def heat_on_a_grid(torch: Any, state: list[Any]) -> Step:
    """Ten steps of a difference scheme, written through slices."""
    state.append(torch.rand(100, 100))

    def step(_: int) -> None:
        u = state[0]
        for _ in range(10):
            inner = u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2] - 4 * u[1:-1, 1:-1]
            u = u.clone()
            u[1:-1, 1:-1] += 0.1 * inner
        state[0] = u
        u.mean().item()

    return step


@loop
def nearest_centres(torch: Any, state: list[Any]) -> Step:
    """k-means with a loop over its clusters."""
    points = torch.randn(2000, 8)
    state.append(points[:10].clone())

    def step(_: int) -> None:
        nearest = torch.cdist(points, state[0]).argmin(1)
        means = [points[nearest == k].mean(0) if (nearest == k).any() else state[0][k] for k in range(10)]
        state[0] = torch.stack(means)

    return step


@loop
def random_crops(torch: Any, state: list[Any]) -> Step:
    """Sixteen images cut and turned at random, one by one."""
    images = torch.rand(64, 3, 32, 32)

    def step(_: int) -> None:
        found = []
        for k in range(16):
            i, j = random.randint(0, 4), random.randint(0, 4)
            image = images[k][:, i : i + 28, j : j + 28]
            found.append(((image.flip(-1) if random.random() < 0.5 else image) - 0.5) / 0.25)
        state[:] = [torch.stack(found)]

    return step


@loop
def beams(torch: Any, state: list[Any]) -> Step:
    """Ten steps of a beam search."""
    scores = torch.randn(50, 100)

    def step(_: int) -> None:
        total, found = torch.zeros(5), torch.zeros(5, 1, dtype=torch.int64)
        for t in range(10):
            total, best = (total[:, None] + torch.log_softmax(scores[t : t + 5], -1)).view(-1).topk(5)
            found = torch.cat([found[best // 100], (best % 100)[:, None]], 1)
        found.tolist()
        state[:] = [total, found]

    return step


@loop
def counts_by_element(torch: Any, state: list[Any]) -> Step:
    """A confusion matrix, one sample after the other."""

    def step(_: int) -> None:
        counts = torch.zeros(5, 5, dtype=torch.int64)
        for truth, guess in zip(torch.randint(0, 5, (200,)), torch.randint(0, 5, (200,))):
            counts[truth, guess] += 1
        state[:] = [counts]

    return step


@loop
def least_squares(torch: Any, state: list[Any]) -> Step:
    """Normal equations, solved each time."""
    x, y = torch.randn(300, 10), torch.randn(300, 1)

    def step(_: int) -> None:
        w = torch.linalg.solve(x.T @ x + 0.1 * torch.eye(10), x.T @ y)
        ((x @ w - y) ** 2).mean().item()
        state[:] = [w]

    return step
