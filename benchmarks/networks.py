"""The networks, as a user of PyTorch writes them."""

from __future__ import annotations

from typing import Any

LENETS = {  # input channels, size, kernel, channels of the second convolution, widths of the linear layers
    "000": (1, 32, 3, 16, (576, 120, 84)),
    "001": (1, 32, 3, 16, (576, 120, 84)),
    "002": (3, 32, 5, 16, (400, 120, 84)),
    "003": (1, 32, 5, 16, (400, 120, 84)),
    "004": (1, 28, 5, 12, (192, 120, 60)),
}


def lenet(torch: Any, variant: str) -> Any:
    """The network of a seed document: (N, 1 or 3, 32, 32), or (N, 1, 28, 28), -> (N, 10)."""
    nn, F = torch.nn, torch.nn.functional
    channels, _, kernel, second, (flat, wide, narrow) = LENETS[variant]

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(channels, 6, kernel)
            self.conv2 = nn.Conv2d(6, second, kernel)
            self.fc1 = nn.Linear(flat, wide)
            self.fc2 = nn.Linear(wide, narrow)
            self.fc3 = nn.Linear(narrow, 10)

        def forward(self, x: Any) -> Any:
            x = F.max_pool2d(F.relu(self.conv1(x)), (2, 2))
            x = F.max_pool2d(F.relu(self.conv2(x)), 2)
            x = x.view(x.size(0), -1)
            x = F.relu(self.fc1(x))
            x = F.relu(self.fc2(x))
            return self.fc3(x)

    return Net()


def mlp(torch: Any, *widths: int) -> Any:
    """Linear layers with ReLU between them."""
    nn = torch.nn
    layers: list[Any] = []
    for before, after in zip(widths, widths[1:]):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def vae(torch: Any) -> Any:
    """A variational autoencoder, 784-400-20: (N, 784) -> reconstruction, mean, logarithm of the variance."""
    nn, F = torch.nn, torch.nn.functional

    class VAE(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1 = nn.Linear(784, 400)
            self.fc21 = nn.Linear(400, 20)
            self.fc22 = nn.Linear(400, 20)
            self.fc3 = nn.Linear(20, 400)
            self.fc4 = nn.Linear(400, 784)

        def forward(self, x: Any) -> Any:
            h = F.relu(self.fc1(x))
            mu, logvar = self.fc21(h), self.fc22(h)
            std = torch.exp(0.5 * logvar)
            z = mu + torch.randn_like(std) * std
            return torch.sigmoid(self.fc4(F.relu(self.fc3(z)))), mu, logvar

    return VAE()


def gpt(torch: Any, layers: int, width: int, heads: int, context: int, vocabulary: int = 65) -> Any:
    """A transformer that predicts the next token: (N, T) -> (N, T, vocabulary)."""
    nn, F = torch.nn, torch.nn.functional

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.c_attn = nn.Linear(width, 3 * width, bias=False)
            self.c_proj = nn.Linear(width, width, bias=False)

        def forward(self, x: Any) -> Any:
            B, T, C = x.size()
            q, k, v = self.c_attn(x).split(C, dim=2)
            q, k, v = (t.view(B, T, heads, C // heads).transpose(1, 2) for t in (q, k, v))
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            return self.c_proj(y.transpose(1, 2).contiguous().view(B, T, C))

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.ln_1 = nn.LayerNorm(width)
            self.attn = Attention()
            self.ln_2 = nn.LayerNorm(width)
            self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

        def forward(self, x: Any) -> Any:
            x = x + self.attn(self.ln_1(x))
            return x + self.mlp(self.ln_2(x))

    class GPT(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wte = nn.Embedding(vocabulary, width)
            self.wpe = nn.Embedding(context, width)
            self.h = nn.ModuleList([Block() for _ in range(layers)])
            self.ln_f = nn.LayerNorm(width)
            self.lm_head = nn.Linear(width, vocabulary, bias=False)

        def forward(self, idx: Any) -> Any:
            x = self.wte(idx) + self.wpe(torch.arange(idx.size(1)))
            for block in self.h:
                x = block(x)
            return self.lm_head(self.ln_f(x))

    return GPT()


def lstm(torch: Any, width: int, layers: int, vocabulary: int = 65) -> Any:
    """A recurrent network that predicts the next token: (N, T) -> (N, T, vocabulary)."""
    nn = torch.nn

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(vocabulary, width)
            self.lstm = nn.LSTM(width, width, layers, batch_first=True)
            self.head = nn.Linear(width, vocabulary)

        def forward(self, idx: Any) -> Any:
            out, _ = self.lstm(self.embed(idx))
            return self.head(out)

    return Net()


def resnet18(torch: Any) -> Any:
    """The residual network of 18 layers for small images: (N, 3, 32, 32) -> (N, 10)."""
    nn, F = torch.nn, torch.nn.functional

    class Block(nn.Module):
        def __init__(self, before: int, after: int, stride: int) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(after)
            self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(after)
            self.shortcut = nn.Sequential()
            if stride != 1 or before != after:
                conv = nn.Conv2d(before, after, 1, stride, bias=False)
                self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(after))

        def forward(self, x: Any) -> Any:
            out = F.relu(self.bn1(self.conv1(x)))
            return F.relu(self.bn2(self.conv2(out)) + self.shortcut(x))

    stages: list[Any] = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    before = 64
    for after, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        stages += [Block(before, after, stride), Block(after, after, 1)]
        before = after
    return nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


MOBILENET = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))


def mobilenet(torch: Any) -> Any:
    """The first MobileNet: (N, 3, 224, 224) -> (N, 1000)."""
    nn = torch.nn

    def unit(before: int, after: int, kernel: int, stride: int, groups: int = 1) -> list[Any]:
        conv = nn.Conv2d(before, after, kernel, stride, kernel // 2, groups=groups, bias=False)
        return [conv, nn.BatchNorm2d(after), nn.ReLU()]

    layers, before = unit(3, 32, 3, 2), 32
    for after, stride in MOBILENET:
        layers += unit(before, before, 3, stride, before) + unit(before, after, 1, 1)
        before = after
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1024, 1000))
