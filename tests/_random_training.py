"""Random training programs as text: stacks of layers with views, writes, branches and several losses, then steps.

A program is a list of lines that run under the name ``torch`` of any package. It uses these names besides: ``given``
(an array of this shape), ``labels``, ``made`` (a module with given parameters), ``see`` (an observation, which may do
nothing) and ``log`` (what is compared). Lines of the loop's body are indented. The generator runs each line with
flambeau as it writes it, to know the shapes; nothing is computed then.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

BATCHES = [1, 2, 3, 4, 7, 11, 12, 13, 15, 16, 16, 17, 20, 24, 31, 32, 33, 48, 64, 70]
ACTIVATIONS = ["relu", "tanh", "sigmoid", "gelu", "silu", "leaky_relu", "elu", "softplus", "hardtanh", "selu", "mish",
               "hardswish", "relu6", "softsign", "logsigmoid", "celu", "hardsigmoid"]  # fmt: skip
OPTIMIZERS = ["SGD({}, lr=0.05)", "SGD({}, lr=0.02, momentum=0.9)", "Adam({}, lr=1e-3)",
              "SGD({}, lr=0.02, momentum=0.9, nesterov=True, weight_decay=1e-3)", "AdamW({}, lr=1e-3)",
              "RMSprop({}, lr=1e-3, momentum=0.5)", "Adagrad({}, lr=0.01)", "Adadelta({})", "NAdam({}, lr=1e-3)",
              "Adamax({}, lr=1e-3)", "RAdam({}, lr=1e-3)", "Adam({}, lr=1e-3, amsgrad=True)"]  # fmt: skip
LARGEST = 40_000  # elements of an activation
WORK = 4_000_000  # products of a layer


class World:
    """What the lines of a program may name, for one package and floating dtype.

    Args:
        torch: the package.
        wide: everything in float64.
        see: what an observation does.
        noise: if not 0, given numbers are off by some roundings, others for each number.
    """

    def __init__(self, torch: Any, wide: bool = False, see: Callable[[Any], Any] | None = None, noise: int = 0) -> None:
        self.torch = torch
        self.noise = noise
        self.dtype = torch.float64 if wide else torch.float32
        self.logged: list[tuple[str, Any]] = []
        self.names: dict[str, Any] = {
            "torch": torch, "nn": torch.nn, "F": torch.nn.functional, "given": self.given, "labels": self.labels,
            "made": self.made, "see": see or (lambda *values: None), "log": self.log,
        }  # fmt: skip

    def given(self, shape: tuple[int, ...], seed: int, scale: float = 1.0) -> Any:
        """A tensor of normal numbers."""
        a = np.random.default_rng(seed).standard_normal(shape).astype(np.float32) * np.float32(scale)
        return self.tensor(a)

    def tensor(self, a: np.ndarray) -> Any:
        """A tensor of these numbers, in this world's dtype."""
        if self.noise:
            a = a * (1 + 3e-7 * np.random.default_rng(self.noise).standard_normal(a.shape).astype(np.float32))
        return self.torch.from_numpy(a).to(self.dtype)

    def labels(self, shape: tuple[int, ...], n: int, seed: int) -> Any:
        """A tensor of integers below ``n``."""
        return self.torch.from_numpy(np.random.default_rng(seed).integers(0, n, shape))

    def made(self, module: Any, seed: int) -> Any:
        """The module with parameters of its own, in this world's dtype."""
        module = module.to(self.dtype)
        rng = np.random.default_rng(seed)
        with self.torch.no_grad():
            for p in module.parameters():
                bound = 1.0 if p.ndim < 2 else float(np.prod(p.shape[1:])) ** -0.5
                a = rng.uniform(-bound, bound, tuple(p.shape)).astype(np.float32)
                p.copy_(self.tensor(a + np.float32(p.ndim < 2)))
        return module

    def log(self, name: str, value: Any) -> None:
        """Keeps a value to be compared."""
        self.logged.append((name, None if value is None else value.detach().clone()))

    def run(self, program: list[str]) -> list[tuple[str, Any]]:
        """Runs a program; what it logged, as arrays."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec("\n".join(program), self.names)
        return [(name, None if x is None else np.array(x.numpy())) for name, x in self.logged]


def written(seed: int) -> list[str]:
    """The random program of this number."""
    return _Writer(seed).program()


class _Writer:
    def __init__(self, seed: int) -> None:
        import flambeau

        self.rng = random.Random(seed)
        self.seed = seed
        self.world = World(flambeau)
        self.names = self.world.names
        self.before: list[str] = []
        self.body: list[str] = []
        self.parameters: list[str] = []
        self.modules = 0
        self.count = seed * 100

    # ---- text

    def one(self, options: Any) -> Any:
        return self.rng.choice(list(options))

    def chance(self, p: float) -> bool:
        return self.rng.random() < p

    def number(self) -> int:
        """The seed of one more array."""
        self.count += 1
        return self.count

    def first(self, line: str) -> None:
        """A line before the loop."""
        exec(line, self.names)
        self.before.append(line)

    def then(self, line: str) -> bool:
        """A line of the loop, if it runs and leaves a tensor that is not too large."""
        old = self.names["h"]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                exec(line, self.names)
            h = self.names["h"]
            if h.numel() > LARGEST or h.numel() == 0 or h.ndim > 5:
                raise ValueError("too large")
        except (RuntimeError, ValueError, IndexError, TypeError, AssertionError):
            self.names["h"] = old
            return False
        self.body.append("    " + line)
        if self.chance(0.7):
            self.body.append("    see(h)")
        return True

    def module(self, text: str) -> str:
        """A new module; its name."""
        name = f"m{self.modules}"
        self.modules += 1
        self.first(f"{name} = made({text}, {self.number()})")
        self.parameters.append(f"*{name}.parameters()")
        return name

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of what the layers have made so far."""
        return tuple(self.names["h"].shape)

    # ---- the program

    def program(self) -> list[str]:
        """All lines."""
        self.begin()
        for _ in range(self.rng.randint(2, 7)):
            self.layer()
        self.losses()
        steps = self.rng.randint(1, 3)
        optimizer = self.one(OPTIMIZERS) if self.parameters else ""
        head = list(self.before)
        if optimizer:
            head.append("opt = torch.optim." + optimizer.format("[" + ", ".join(self.parameters) + "]"))
        return [*head, f"for step in range({steps}):", *self.body, *self.end(optimizer), *self.logs()]

    def begin(self) -> None:
        """The input: images, sequences, tokens, series or rows."""
        b, one = self.one(BATCHES), self.one
        kind = one(["image"] * 4 + ["rows"] * 2 + ["sequence", "tokens", "series"])
        if kind == "tokens":
            n, d = one([5, 30, 65]), one([4, 16, 17, 32])
            self.first(f"x = labels({(b, one([3, 8, 16, 17]))}, {n}, {self.number()})")
            table = self.module(f"nn.Embedding({n}, {d})")
            self.names["h"] = self.names[table](self.names["x"])
            self.body.append(f"    h = {table}(x)")
            return
        c = one([1, 1, 2, 3, 3, 4, 6, 8, 16, 32])
        shape: tuple[int, ...] = (b, one([3, 10, 20, 31, 32, 64, 100]))
        if kind == "image":
            size = one([5, 7, 8, 10, 12, 14, 16, 20])
            shape = (b, c, size, size if self.chance(0.7) else one([4, 6, 9, 17]))
        elif kind != "rows":
            shape = (
                (b, one([4, 8, 16, 17, 33]), one([4, 8, 16, 32])) if kind == "sequence" else (b, c, one([8, 17, 40]))
            )
        while np.prod(shape) > LARGEST // 2:
            shape = (max(1, shape[0] // 2), *shape[1:])
        wants = ".requires_grad_()" if self.chance(0.3) else ""
        self.first(f"x = given({shape}, {self.number()}){wants}")
        self.names["h"] = self.names["x"]
        self.body.append("    h = x")

    def layer(self) -> None:
        """One more layer that fits."""
        for _ in range(10):
            n = len(self.shape)
            kinds = ["activate"] * 4 + ["odd"] * 3 + ["view"] * 2 + ["write", "residual", "quiet", "normal"]
            kinds += {4: ["image"] * 10, 3: ["sequence"] * 10, 2: ["rows"] * 8}.get(n, ["flat"])
            if getattr(self, self.one(kinds))():
                return

    def activate(self) -> bool:
        name = self.one(ACTIVATIONS)
        if name == "relu" and self.chance(0.3) and self.body[-1].strip() != "h = x":
            return self.then("h = F.relu(h.clone(), inplace=True)")
        return self.then(f"h = F.{name}(h)")

    def normal(self) -> bool:
        n = self.shape[1] if len(self.shape) > 1 else 1
        if len(self.shape) < 2:
            return False
        d = {2: "1d", 3: "1d", 4: "2d"}.get(len(self.shape))
        kinds = [f"nn.LayerNorm({self.shape[-1]})", f"nn.LayerNorm({list(self.shape[1:])})"]
        if d:
            kinds += [f"nn.BatchNorm{d}({n})"] * 2
        if len(self.shape) > 2 and n % 2 == 0:
            kinds += [f"nn.GroupNorm(2, {n})", f"nn.GroupNorm({n}, {n})"]
        if len(self.shape) == 4:
            kinds += [f"nn.InstanceNorm2d({n}, affine=True)", f"nn.BatchNorm2d({n}, track_running_stats=False)"]
            kinds += ["nn.LocalResponseNorm(3)"]
        if d and self.shape[0] * int(np.prod(self.shape[2:])) == 1:
            return False
        return self.then(f"h = {self.module(self.one(kinds))}(h)")

    def image(self) -> bool:
        b, c, height, width = self.shape
        one = self.one
        kind = one(["conv"] * 6 + ["pool"] * 4 + ["transposed", "resize", "pad", "flat", "flat", "shuffle"])
        if kind == "conv":
            groups = one([g for g in (1, 1, 1, 2, c) if c % g == 0])
            k, out = one([1, 2, 3, 3, 3, 5]), one([1, 2, 4, 6, 8, 16, 20, 32]) * groups
            if b * c * out * k * k * height * width // groups > WORK:
                return False
            s, p, d = one([1, 1, 1, 2, 3]), one([0, 0, 1, 2]), one([1, 1, 1, 2])
            more = one(["", "", "", ", bias=False", ", padding_mode='reflect'", ", padding_mode='circular'"])
            text = f"nn.Conv2d({c}, {out}, {k}, stride={s}, padding={p}, dilation={d}, groups={groups}{more})"
            if d * (k - 1) + 1 > min(height, width) + 2 * p:
                return False
            return self.then(f"h = {self.module(text)}(h)")
        if kind == "transposed":
            k, out, s = one([2, 3, 4]), one([1, 3, 8]), one([1, 2])
            if b * c * out * k * k * height * width > WORK or b * out * height * width * s * s > LARGEST:
                return False
            text = f"nn.ConvTranspose2d({c}, {out}, {k}, stride={s}, padding={one([0, 1])})"
            return self.then(f"h = {self.module(text)}(h)")
        if kind == "pool":
            k, s, p = one([2, 2, 3]), one([1, 2, 2, 3]), one([0, 0, 0, 1])
            ceil = one(["", "", ", ceil_mode=True"])
            return self.then(one([
                f"h = F.max_pool2d(h, {k}, {s}, {p}{ceil})", f"h = F.max_pool2d(h, {k}, {s}, {p}{ceil})",
                f"h = F.avg_pool2d(h, {k}, {s}, {p}{ceil})",
                f"h = F.avg_pool2d(h, {k}, {s}, {p}, count_include_pad=False)",
                f"h = F.adaptive_avg_pool2d(h, {one([1, 2, 3])})", f"h = F.adaptive_max_pool2d(h, {one([1, 2])})",
                f"h = F.max_pool2d(h, 3, 1, 1, dilation={one([1, 2])})", "h = F.lp_pool2d(h.abs() + 0.5, 2, 2)",
            ]))  # fmt: skip
        if kind == "resize":
            return self.then(one([
                "h = F.interpolate(h, scale_factor=2)",
                f"h = F.interpolate(h, size=({height + 1}, {width}), mode='bilinear')",
                f"h = F.interpolate(h, size=({max(1, height - 1)}, {width + 2}), mode='bilinear', align_corners=True)",
            ]))  # fmt: skip
        if kind == "pad":
            return self.then(one(["h = F.pad(h, (1, 2, 0, 1))", "h = F.pad(h, (1, 1, 1, 1), mode='reflect')",
                                  "h = F.pad(h, (2, 0, 1, 0), mode='replicate')", "h = F.pad(h, (-1, 0, 0, -1))",
                                  "h = F.pad(h, (1, 0, 0, 1), value=0.5)"]))  # fmt: skip
        if kind == "shuffle":
            return self.then(
                one(["h = F.pixel_unshuffle(h, 2)", "h = F.pixel_shuffle(h, 2)", "h = F.channel_shuffle(h, 2)"])
            )
        return self.then(one(["h = h.flatten(1)", "h = h.view(h.size(0), -1)", "h = h.flatten(2).transpose(1, 2)",
                              "h = h.mean((2, 3))", "h = h.flatten(2)"]))  # fmt: skip

    def flat(self) -> bool:
        return self.then(self.one(["h = h.flatten(1)", "h = h.unsqueeze(1)", "h = h.sum(-1)"]))

    def rows(self) -> bool:
        d = self.shape[1]
        if self.chance(0.65):
            out = self.one([1, 2, 5, 10, 16, 20, 31, 32, 33, 64])
            return self.then(f"h = {self.module(f'nn.Linear({d}, {out})')}(h)")
        return self.then(self.one([
            "h = h.softmax(-1)", "h = F.normalize(h)", "h = torch.cat([h, h.flip(0)], 1)", "h = h @ h.t() @ h * 0.1",
            "h = h.cumsum(1) * 0.2", "h = h.sort(1)[0]", "h = h.topk(2, 1)[0]", "h = F.glu(h)", "h = h.unsqueeze(1)",
            "h = h.gather(1, h.argsort(1))", "h = h - h.logsumexp(1, keepdim=True)",
            "h = torch.einsum('bi,bj->bij', h, h)",
            "h = h.view(h.size(0), 1, 2, -1)",
        ]))  # fmt: skip

    def sequence(self) -> bool:
        b, t, d = self.shape
        one = self.one
        kind = one(["linear"] * 2 + ["attention"] * 2 + ["conv"] * 3 + ["recurrent", "block", "odd", "odd", "odd"])
        if kind == "linear" and b * t * d * 32 <= WORK:
            return self.then(f"h = {self.module(f'nn.Linear({d}, {one([4, 16, 17, 32])})')}(h)")
        if kind == "attention" and d % 2 == 0 and d < 80 and t < 40:
            if self.chance(0.5):
                m = self.module(f"nn.MultiheadAttention({d}, 2, batch_first=True)")
                return self.then(f"h = {m}(h, h, h, need_weights={self.chance(0.5)})[0]")
            causal = self.chance(0.5)
            return self.then(f"h = F.scaled_dot_product_attention(h, h * 0.5, h, is_causal={causal})")
        if kind == "conv":
            k, groups = one([1, 2, 3]), one([1, 1, 1, t])
            text = f"nn.Conv1d({t}, {one([2, 5, 16]) * groups}, {k}, stride={one([1, 1, 2])}, "
            text += f"padding={one([0, 1])}, groups={groups})"
            return b * t * d * 16 * k <= WORK and self.then(f"h = {self.module(text)}(h)")
        if kind == "recurrent" and t <= 17 and d <= 64:
            m = self.module(f"nn.{one(['LSTM', 'GRU', 'RNN'])}({d}, {one([3, 8, 16])}, batch_first=True)")
            return self.then(f"h = {m}(h)[0]")
        if kind == "block" and d % 2 == 0 and d <= 32 and t <= 17:
            m = self.module(f"nn.TransformerEncoderLayer({d}, 2, {one([8, 20])}, dropout=0.0, batch_first=True)")
            return self.then(f"h = {m}(h)")
        return self.then(one([
            "h = h.mean(1)", "h = h[:, -1]", "h = h.transpose(1, 2)", "h = h.flatten(1)", "h = h.max(1)[0]",
            "h = h.unsqueeze(1)", "h = h + h.roll(1, 1)", "h = h.masked_fill(h > 1, 0.5)", "h = F.max_pool1d(h, 2)",
            "h = torch.bmm(h, h.transpose(1, 2)) * 0.1", "h = F.avg_pool1d(h, 3, 2, 1)", "h = h.cumsum(1) * 0.2",
            "h = h.index_select(1, torch.tensor([0, 1, 0]))", "h = h.tril()", "h = h.unfold(1, 2, 1).mean(-1)",
        ]))  # fmt: skip

    def odd(self) -> bool:
        """Arithmetic over some dimensions, with constants, or of parts with parts."""
        n = len(self.shape)
        d = self.rng.randrange(n)
        return self.then(self.one([
            f"h = h - h.mean({d}, keepdim=True)", f"h = h / (h.std({d}, keepdim=True) + 1)",
            f"h = h - h.amax({d}, keepdim=True)", "h = h * 0.5 + 1", "h = h + torch.ones_like(h)",
            "h = h.clamp(-1.5, 1.5)",
            f"h = h * torch.arange({self.shape[-1]}.0).to(h.dtype) * 0.1", "h = torch.where(h > 0, h, h * 0.1)",
            f"h = torch.cat([h, torch.zeros_like(h)], {d})",
            f"h = torch.stack([h, -h]).sum(0) + h.sum({d}, keepdim=True)",
            f"a, b = h.tensor_split(2, {d}); h = torch.cat([b, a], {d})", f"h = torch.maximum(h, h.flip({d}))",
            "h = h * h.detach().sigmoid()", f"h = h.narrow({d}, 0, {max(1, self.shape[d] - 1)})",
            "h = h.square() * 0.3",
            f"h = h.repeat_interleave(2, {d})", f"h = h + (h.argmax({d}, keepdim=True) % 3).to(h.dtype) * 0.1",
            f"h = h.log_softmax({d})", f"h = h.softmax({d})", "h = (h.abs() + 0.1).sqrt()", "h = h.sin() + h.cos()",
        ]))  # fmt: skip

    def view(self) -> bool:
        n = len(self.shape)
        d = self.rng.randrange(n)
        return self.then(self.one([
            f"h = h.transpose({d}, {self.rng.randrange(n)})", f"h = h.transpose({d}, {n - 1}).contiguous()",
            f"h = h.unsqueeze({d}).squeeze({d})", f"h = h.flip({d})", "h = h[..., ::2]", "h = h[1:]", "h = h.clone()",
            "h = h.reshape(-1, h.size(-1))", "h = h.expand(2, *h.shape).mean(0)",
        ]))  # fmt: skip

    def write(self) -> bool:
        """Writes in place into a copy, through a view or not."""
        return self.then(self.one([
            "h = h * 1; h.mul_(0.5).add_(1)", "h = h.clone(); h[..., 0] = 0", "h = h.clone(); h[0].mul_(2)",
            "h = h + 0; h[:, :1] += h[:, -1:]", "h = h.clone(); v = h.view(-1); v[::2] = v[::2].tanh()",
            "h = h * 2; h.clamp_(-1, 1)", "h = h.clone(); h.masked_fill_(h < -1, 0.1)",
            "h = h + 1; h.transpose(0, -1).sub_(1)",
            "h = h.clone(); h.select(-1, 0).copy_(h.select(-1, -1) * 0.5)", "h = h.clone(); h.diagonal().zero_()",
            "h = h.sigmoid_() if not h.is_leaf and h is not x and h._base is None else h + 1",
        ]))  # fmt: skip

    def residual(self) -> bool:
        """A branch with one more layer, added to what it began with."""
        c = self.shape[1] if len(self.shape) > 1 else 0
        if len(self.shape) == 4 and int(np.prod(self.shape)) * c * 9 <= WORK:
            m = self.module(f"nn.Conv2d({c}, {c}, 3, padding=1)")
            return self.then(f"r = h; h = F.relu({m}(h)); h = h + r")
        if len(self.shape) in (2, 3) and self.shape[-1] <= 128:
            m = self.module(f"nn.Linear({self.shape[-1]}, {self.shape[-1]})")
            return self.then(f"r = h; h = {m}(h).tanh(); h += r")
        return False

    def quiet(self) -> bool:
        """A part without gradients."""
        return self.then(self.one([
            "torch.set_grad_enabled(False); k = h.mean(); torch.set_grad_enabled(True); h = h - k",
            "k = h.detach().abs().amax() + 1; h = h / k", "k = (h.detach() * 2).softmax(-1); h = h + k",
        ]))  # fmt: skip

    # ---- losses and steps

    def losses(self) -> None:
        """One or two losses; what they take comes before the loop."""
        h = self.shape
        kinds = ["h.sum()", "h.mean()", "(h ** 2).mean()", "h.abs().sum() * 0.1", "(h * h).sum().sqrt()", "h.std()"]
        target = f"t{self.number()}"
        if self.chance(0.6) and len(h) > 1:
            classes = h[1] if len(h) != 3 or self.chance(0.5) else 0
            if classes > 1 and self.chance(0.6):
                self.first(f"{target} = labels({(h[0], *h[2:])}, {classes}, {self.number()})")
                more = self.one(["", "", "", ", label_smoothing=0.1", ", ignore_index=0", ", reduction='sum'"])
                kinds = [f"F.cross_entropy(h, {target}{more})", f"F.nll_loss(h.log_softmax(1), {target})"]
                if len(h) == 2:
                    kinds.append(f"F.multi_margin_loss(h, {target})")
            else:
                self.first(f"{target} = given({h}, {self.number()})")
                names = ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "soft_margin_loss"]
                kinds = [f"F.{self.one(names)}(h, {target})",
                         f"F.binary_cross_entropy_with_logits(h, {target}.sigmoid())",
                         f"F.kl_div(h.log_softmax(-1), {target}.softmax(-1), reduction='batchmean')",
                         f"F.cosine_embedding_loss(h.flatten(1), {target}.flatten(1), torch.ones({h[0]}))"]  # fmt: skip
        self.body += [f"    loss = {self.one(kinds)}", "    see(loss)"]

    def end(self, optimizer: str) -> list[str]:
        """The backward passes and the step."""
        zero = ["    opt.zero_grad()"] if optimizer and self.chance(0.8) else []
        back = ["    loss.backward()"]
        if not self.parameters and ".requires_grad_()" not in "".join(self.before):
            back = []
        elif self.chance(0.15):
            back = ["    loss.backward(retain_graph=True)", "    (h * 0.1).sum().backward()"]
        elif self.chance(0.1) and ".requires_grad_()" in "".join(self.before):
            back = [
                "    g, = torch.autograd.grad(loss, x, create_graph=True)",
                "    (loss + (g ** 2).sum()).backward()",
            ]
        see = [f"    for p in [{', '.join(self.parameters)}]: see(p.grad)"] if self.chance(0.5) else []
        clip = [f"    torch.nn.utils.clip_grad_norm_([{', '.join(self.parameters)}], 1.0)"]
        clip = clip if optimizer and back and self.chance(0.2) else []
        step = ["    opt.step()"] if optimizer and back else []
        return [*zero, *back, *see, *clip, *self.grads(), "    log('loss', loss)", *step]

    def grads(self) -> list[str]:
        """Gradients that are compared."""
        out = [f"    for p in [{', '.join(self.parameters)}]: log('gradient', p.grad)"] if self.parameters else []
        if ".requires_grad_()" in "".join(self.before):
            out += ["    log('gradient of x', x.grad)", "    x.grad = None"]
        return out

    def logs(self) -> list[str]:
        """What is compared at the end."""
        out = ["log('h', h)"]
        for k in range(self.modules):
            out.append(f"for v in m{k}.state_dict().values(): log('m{k}', v)")
        return out
