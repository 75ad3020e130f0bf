"""A policy gradient that learns to balance a pole on a cart, with the world in this file.

    flambeau run examples/cartpole.py

REINFORCE (Williams, 1992): actions after which more was earned than usual become more likely. The world is the one of
Barto, Sutton and Anderson (1983). An episode ends when the pole or the cart is out of bounds, so each has its own
length. N steps of several episodes make an update.
"""

import argparse
import math
import random
import time

import torch
from torch import nn
from torch.distributions import Categorical


class CartPole:
    """A cart on a track that is pushed to the left or right, with a pole on it. Each step that it stands earns 1."""

    def __init__(self, seed, longest=200):
        self.random = random.Random(seed)
        self.longest = longest

    def reset(self):
        """A new episode; its first state: place, speed, angle and its speed."""
        self.state = [self.random.uniform(-0.05, 0.05) for _ in range(4)]
        self.steps = 0
        return self.state

    def step(self, action):
        """Pushes for a fiftieth of a second; the state then, and whether the episode is over."""
        x, dx, angle, spin = self.state
        force = 10.0 if action else -10.0
        sine, cosine = math.sin(angle), math.cos(angle)
        push = (force + 0.05 * spin * spin * sine) / 1.1
        turn = (9.8 * sine - cosine * push) / (0.5 * (4 / 3 - 0.1 * cosine * cosine / 1.1))
        speed = push - 0.05 * turn * cosine / 1.1
        self.state = [x + 0.02 * dx, dx + 0.02 * speed, angle + 0.02 * spin, spin + 0.02 * turn]
        self.steps += 1
        fallen = abs(self.state[0]) > 2.4 or abs(self.state[2]) > 12 * math.pi / 180
        return self.state, fallen or self.steps == self.longest


@torch.no_grad()
def play(world, policy):
    """An episode: the states, (steps, 4), and what was done in each, (steps,)."""
    states, actions, over = [world.reset()], [], False
    while not over:
        odds = Categorical(logits=policy(torch.tensor(states[-1])))      # of 2 actions
        actions.append(odds.sample().item())
        state, over = world.step(actions[-1])
        states.append(state)
    return torch.tensor(states[:-1]), torch.tensor(actions)


def returns(count, discount):
    """What is still to be earned at each step of an episode, later rewards counting less: (steps,)."""
    total, found = 0.0, []
    for _ in range(count):
        total = 1.0 + discount * total
        found.append(total)
    return torch.tensor(found[::-1])


def main():
    parser = argparse.ArgumentParser(description="Learn to balance a pole on a cart.")
    parser.add_argument("--episodes", type=int, default=160)
    parser.add_argument("--together", type=int, default=4, help="episodes between two updates")
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--lr", type=float, default=1e-2)
    parser.add_argument("--discount", type=float, default=0.99)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)

    world = CartPole(options.seed)
    policy = nn.Sequential(nn.Linear(4, options.width), nn.Tanh(), nn.Linear(options.width, 2))
    optimizer = torch.optim.Adam(policy.parameters(), lr=options.lr)
    start, lengths, usual = time.perf_counter(), [], 0.0
    for first in range(0, options.episodes, options.together):
        episodes = [play(world, policy) for _ in range(options.together)]
        lengths += [len(actions) for _, actions in episodes]
        states = torch.cat([states for states, _ in episodes])   # (N, 4), the steps of all episodes
        actions = torch.cat([actions for _, actions in episodes])        # (N,)
        gains = torch.cat([returns(len(actions), options.discount) for _, actions in episodes])        # (N,)
        usual = 0.8 * usual + 0.2 * gains.mean().item() if first else gains.mean().item()
        advantage = (gains - usual) / gains.std()
        loss = -(Categorical(logits=policy(states)).log_prob(actions) * advantage).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        done = first + options.together
        if done % 20 == 0 or done >= options.episodes:
            last = lengths[-20:]
            print(f"{done:4d} episodes: the last {len(last)} stood {sum(last) / len(last):.1f} steps")
    seconds = time.perf_counter() - start
    print(f"{sum(lengths)} steps in {seconds:.1f} s, {seconds / sum(lengths) * 1e6:.0f} us a step")


if __name__ == "__main__":
    main()
