"""The workloads: LeNet as in the seed documents, networks that people train on a CPU, and single operators."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

from . import networks
from .steps import Side, Step, Workload, batches, flops_of, inference, operator, training

# ---- LeNet


def lenet_training(side: Side, variant: str, batch: int) -> Step:
    """A step as the document does it: 000 and 002 MSE and SGD, 001 the update written out, 003 and 004 labels."""
    torch = side.torch
    torch.manual_seed(0)
    net = networks.lenet(torch, variant)
    channels, size = networks.LENETS[variant][:2]
    data = batches(torch, (batch, channels, size, size), 10)
    if variant in ("000", "001", "002"):
        data = [(x, torch.randn(batch, 10)) for x, _ in data]
        if variant == "001":
            return _written_out(side, net, data)
        return training(side, net, torch.nn.MSELoss(), torch.optim.SGD(net.parameters(), lr=0.01), data)
    if variant == "003":
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    else:
        optimizer = torch.optim.Adam(net.parameters(), lr=0.001)
    return training(side, net, torch.nn.CrossEntropyLoss(), optimizer, data)


def _written_out(side: Side, net: Any, data: list[Any]) -> Step:
    """Gradient descent in the user's own loop over the parameters."""
    forward, given, criterion = side.wrap(net), itertools.cycle(data), side.torch.nn.MSELoss()

    def step() -> float:
        x, y = next(given)
        net.zero_grad()
        loss = criterion(forward(x), y)
        loss.backward()
        for f in net.parameters():
            f.data.sub_(f.grad.data * 0.01)
        return loss.item()

    return Step(step)


def lenet_inference(side: Side, variant: str, batch: int) -> Step:
    """Only forward."""
    torch = side.torch
    torch.manual_seed(0)
    net = networks.lenet(torch, variant)
    channels, size = networks.LENETS[variant][:2]
    return inference(side, net, batches(torch, (batch, channels, size, size), 10))


def lenets() -> list[Workload]:
    """Five networks, three batch sizes, training and inference."""
    from . import in_jax

    found = []
    for train, variant, batch in itertools.product((True, False), networks.LENETS, (1, 64, 256)):
        make = partial(lenet_training if train else lenet_inference, variant=variant, batch=batch)
        channels, size = networks.LENETS[variant][:2]
        shape = (batch, channels, size, size)
        flops = flops_of(lambda torch, v=variant, s=shape: (networks.lenet(torch, v), torch.zeros(*s)), train)
        how = "training" if train else "inference"
        jax = partial(in_jax.lenet_training if train else in_jax.lenet_inference, variant=variant, batch=batch)
        found.append(
            Workload(
                f"lenet-{variant}-{how}-{batch}",
                f"LeNet ({variant}), {how}, batch {batch}",
                make,
                flops,
                jax=jax,
                headline=variant == "003" and (train or batch != 256),
            )
        )
    return found


# ---- multi-layer perceptrons, VAE


def mlp_training(side: Side, widths: tuple[int, ...], batch: int) -> Step:
    """Cross entropy and Adam."""
    torch = side.torch
    torch.manual_seed(0)
    net = networks.mlp(torch, *widths)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.001)
    data = batches(torch, (batch, widths[0]), widths[-1])
    return training(side, net, torch.nn.CrossEntropyLoss(), optimizer, data)


def vae_training(side: Side) -> Step:
    """Binary cross entropy, divergence and Adam."""
    torch, F = side.torch, side.torch.nn.functional
    torch.manual_seed(0)
    net = networks.vae(torch)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.001)

    def loss(found: Any, x: Any) -> Any:
        reconstruction, mu, logvar = found
        bce = F.binary_cross_entropy(reconstruction, x, reduction="sum")
        return bce - 0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())

    images = [torch.rand(128, 784) for _ in range(4)]
    return training(side, net, loss, optimizer, [(x, x) for x in images])


def perceptrons() -> list[Workload]:
    """Two of them and the autoencoder."""
    from . import in_jax

    found = []
    for widths, batch in (((20, 64, 64, 2), 32), ((784, 512, 512, 10), 128)):
        name = "-".join(map(str, widths))
        make = partial(mlp_training, widths=widths, batch=batch)
        flops = flops_of(lambda torch, w=widths, b=batch: (networks.mlp(torch, *w), torch.zeros(b, w[0])), True)
        jax = partial(in_jax.mlp_training, widths=widths, batch=batch)
        title = f"MLP {name}, batch {batch}, Adam"
        found.append(Workload(f"mlp-{widths[0]}", title, make, flops, jax=jax, headline=True))
    flops = flops_of(lambda torch: (networks.vae(torch), torch.zeros(128, 784)), True)
    title = "VAE 784-400-20, batch 128, Adam"
    return [*found, Workload("vae", title, vae_training, flops, headline=True)]


# ---- sequences


def _tokens(torch: Any, batch: int, context: int) -> list[tuple[Any, Any]]:
    text = [torch.randint(0, 65, (batch, context + 1)) for _ in range(4)]
    return [(t[:, :-1].contiguous(), t[:, 1:].contiguous()) for t in text]


def _next_token(torch: Any) -> Callable[[Any, Any], Any]:
    return lambda logits, y: torch.nn.functional.cross_entropy(logits.view(-1, logits.size(-1)), y.view(-1))


def gpt_training(side: Side, layers: int, width: int, heads: int, context: int, batch: int) -> Step:
    """Next token, AdamW."""
    torch = side.torch
    torch.manual_seed(0)
    net = networks.gpt(torch, layers, width, heads, context)
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.001, betas=(0.9, 0.99), weight_decay=0.1)
    return training(side, net, _next_token(torch), optimizer, _tokens(torch, batch, context))


def lstm_training(side: Side) -> Step:
    """Next token, Adam."""
    torch = side.torch
    torch.manual_seed(0)
    net = networks.lstm(torch, 128, 2)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.002)
    return training(side, net, _next_token(torch), optimizer, _tokens(torch, 32, 64))


def sequences() -> list[Workload]:
    """Two transformers and a recurrent network."""
    found = []
    for name, layers, width, heads, context, batch in (("small", 4, 128, 4, 64, 12), ("large", 6, 384, 6, 256, 8)):
        make = partial(gpt_training, layers=layers, width=width, heads=heads, context=context, batch=batch)
        flops = flops_of(
            lambda torch, n=layers, w=width, h=heads, c=context, b=batch: (
                networks.gpt(torch, n, w, h, c), torch.zeros(b, c, dtype=torch.int64)
            ),
            True,
            more=4.0 * layers * batch * context * context * width,
        )  # fmt: skip
        title = f"GPT, {layers} layers, width {width}, context {context}, batch {batch}, AdamW"
        found.append(Workload(f"gpt-{name}", title, make, flops, headline=True))
    flops = flops_of(lambda torch: (networks.lstm(torch, 128, 2), torch.zeros(32, 64, dtype=torch.int64)), True)
    title = "LSTM, 2 layers, width 128, 64 steps, batch 32, Adam"
    return [*found, Workload("lstm", title, lstm_training, flops, headline=True)]


# ---- images


def _in_layout(side: Side, *values: Any) -> list[Any]:
    """Tensors or networks, in PyTorch's channels_last layout if the side asks for it."""
    if not side.channels_last:
        return list(values)
    return [v.to(memory_format=side.torch.channels_last) for v in values]


def resnet_training(side: Side) -> Step:
    """Cross entropy, SGD with momentum and weight decay."""
    torch = side.torch
    torch.manual_seed(0)
    [net] = _in_layout(side, networks.resnet18(torch))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    data = [(*_in_layout(side, x), y) for x, y in batches(torch, (16, 3, 32, 32), 10)]
    return training(side, net, torch.nn.CrossEntropyLoss(), optimizer, data)


def mobilenet_inference(side: Side) -> Step:
    """One image."""
    torch = side.torch
    torch.manual_seed(0)
    [net] = _in_layout(side, networks.mobilenet(torch))
    return inference(side, net, [(*_in_layout(side, x), y) for x, y in batches(torch, (1, 3, 224, 224), 1000)])


def images() -> list[Workload]:
    """A residual network and MobileNet."""
    resnet = flops_of(lambda torch: (networks.resnet18(torch), torch.zeros(16, 3, 32, 32)), True)
    mobile = flops_of(lambda torch: (networks.mobilenet(torch).eval(), torch.zeros(1, 3, 224, 224)), False)
    first = "ResNet-18, 32 x 32, batch 16, SGD"
    second = "MobileNetV1 inference, 224 x 224, batch 1"
    return [
        Workload("resnet18", first, resnet_training, resnet, images=True, headline=True),
        Workload("mobilenet", second, mobilenet_inference, mobile, images=True, headline=True),
    ]


# ---- single operators


def _operands(side: Side, *shapes: tuple[int, ...]) -> list[Any]:
    side.torch.manual_seed(0)
    return [side.torch.randn(*shape) for shape in shapes]


def _simple(name: str, title: str, call: Callable[..., Any], *shapes: tuple[int, ...], **more: Any) -> Workload:
    """An operator of ``torch`` and its operands."""

    def make(side: Side) -> Step:
        operands = _operands(side, *shapes)
        return operator(lambda: call(side.torch, *operands))

    return Workload(name, title, make, **more)


def _chain(torch: Any, a: Any, b: Any) -> Any:
    return torch.relu(a * b + a) * 0.5 - b


def _backward_of(call: Callable[..., Any]) -> Callable[..., Any]:
    def both(torch: Any, x: Any, g: Any) -> Any:
        x = x.detach().requires_grad_()
        return torch.autograd.grad(call(torch, x), x, g)[0]

    return both


def _convolution(name: str, title: str, call: Callable[..., Any], x: Any, w: Any, flops: float) -> Workload:
    def make(side: Side) -> Step:
        a, b = _in_layout(side, *_operands(side, x, w))
        return operator(lambda: call(side.torch, a, b))

    return Workload(name, title, make, flops, images=True)


def convolutions() -> list[Workload]:
    """The three passes of a 3 x 3 convolution."""
    x, w = (16, 64, 56, 56), (64, 64, 3, 3)
    flops = 2.0 * 16 * 64 * 56 * 56 * 64 * 9
    title = "convolution 3 x 3, 64 to 64, 56 x 56, batch 16: "
    passes: dict[str, tuple[Callable[..., Any], Any, Any]] = {
        "forward": (lambda t, a, b: t.nn.functional.conv2d(a, b, padding=1), x, w),
        "input": (lambda t, g, b: t.nn.grad.conv2d_input(x, b, g, padding=1), x, w),
        "weight": (lambda t, a, g: t.nn.grad.conv2d_weight(a, w, g, padding=1), x, x),
    }
    return [_convolution(f"conv-{name}", title + name, *passes[name], flops) for name in passes]


def operators() -> list[Workload]:
    """Reductions along rows, products, elementwise chains, convolutions."""
    from . import in_jax

    found = []
    for n, m in ((512, 512), (4096, 1024)):
        size = 4.0 * n * m
        kinds: dict[str, Callable[..., Any]] = {
            "softmax": lambda t, x: t.softmax(x, -1),
            "layernorm": lambda t, x: t.nn.functional.layer_norm(x, x.shape[-1:]),
        }
        for kind, call in kinds.items():
            title = f"{'layer norm' if kind == 'layernorm' else kind} {n} x {m}"
            found.append(_simple(f"{kind}-{n}", title, call, (n, m), bytes=2 * size))
            both = _backward_of(call)
            more = f"{title}, forward and backward"
            found.append(_simple(f"{kind}-{n}-backward", more, both, (n, m), (n, m), bytes=4 * size))
    for n in (256, 512, 1024, 2048):
        jax = partial(in_jax.product, n=n)
        shapes = ((n, n), (n, n))
        found.append(
            _simple(f"gemm-{n}", f"product {n} x {n} x {n}", lambda t, a, b: a @ b, *shapes, flops=2.0 * n**3, jax=jax)
        )
    for n in (1_000, 100_000, 4_000_000):
        title = f"relu(a * b + a) * 0.5 - b, {n:,} elements"
        found.append(_simple(f"chain-{n}", title, _chain, (n,), (n,), bytes=12.0 * n))
    n = 4_000_000
    gelu = _simple(f"gelu-{n}", f"GELU, {n:,} elements", lambda t, x: t.nn.functional.gelu(x), (n,), bytes=8.0 * n)
    total = _simple(f"sum-{n}", f"sum of {n:,} elements", lambda t, x: x.sum(), (n,), bytes=4.0 * n)
    return [*found, gelu, total, *convolutions()]


def all_workloads() -> list[Workload]:
    """In the order of the table."""
    return [*lenets(), *perceptrons(), *sequences(), *images(), *operators()]
