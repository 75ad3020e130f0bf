"""Hand-made programs of views, in-place writes and autograd. ``log(...)`` records what they show.

``expected`` results were recorded with PyTorch by ``scripts/make_alias_golden.py``.
"""

from __future__ import annotations

from typing import Any

CASES: dict[str, str] = {
    "write base, read view": """
x = torch.zeros(2, 3)
v = x[0]
x.add_(1)
log(v)
""",
    "write view, read base": """
x = torch.zeros(2, 3)
v = x[:, 1]
v.fill_(5)
log(x)
""",
    "view of view": """
x = torch.arange(12.).reshape(3, 4)
v = x[1:].t()[::2]
v.mul_(10)
log(x, v)
""",
    "reader recorded before the write": """
x = torch.arange(4.)
y = x + 10
x[:1].fill_(9)
log(y, x)
""",
    "view recorded, base written, view read": """
x = torch.arange(4.)
v = x.view(2, 2)
w = v * 2
x.zero_()
log(v, w)
""",
    "transposed write": """
x = torch.zeros(2, 3)
x.t()[1] = torch.tensor([7., 8.])
log(x)
""",
    "slice with step": """
x = torch.arange(10.)
x[1::3] = -1
log(x)
""",
    "overlapping slices cloned": """
x = torch.arange(5.)
x[1:] = x[:-1].clone()
log(x)
""",
    "overlapping slices": """
x = torch.arange(5.)
x[1:] = x[:-1]
log(x)
""",
    "same view twice": """
x = torch.zeros(4)
a, b = x[:2], x[:2]
a.add_(1)
b.add_(1)
log(x, a, b)
""",
    "expand refuses a write": """
x = torch.ones(1, 3).expand(2, 3)
x.add_(1)
""",
    "expand reads the base": """
x = torch.ones(1, 3)
y = x.expand(2, 3)
x.mul_(3)
log(y)
""",
    "fill of expand": """
x = torch.ones(1, 3)
x.expand(2, 3).fill_(4)
log(x)
""",
    "diagonal": """
x = torch.zeros(3, 3)
x.diagonal().copy_(torch.tensor([1., 2., 3.]))
log(x)
""",
    "unfold sees writes": """
x = torch.arange(5.)
u = x.unfold(0, 2, 1)
x[2] = 9
log(u)
""",
    "as_strided": """
x = torch.arange(6.)
x.as_strided((2, 2), (3, 1), 1).zero_()
log(x)
""",
    "reshape copies": """
x = torch.arange(6.).reshape(2, 3).t()
y = x.reshape(6)
y.zero_()
log(x)
""",
    "reshape views": """
x = torch.arange(6.)
y = x.reshape(2, 3)
y[0] = 7
log(x)
""",
    "flatten of contiguous": """
x = torch.zeros(2, 2)
x.flatten()[3] = 1
log(x)
""",
    "contiguous is the same": """
x = torch.zeros(2, 2)
y = x.contiguous()
y[0] = 1
log(x, x is y)
""",
    "contiguous of transposed": """
x = torch.zeros(2, 3)
y = x.t().contiguous()
y[0] = 1
log(x)
""",
    "detach shares": """
x = torch.ones(3, requires_grad=True)
d = x.detach()
d[0] = 5
log(x, x._version, d._version)
""",
    "data shares, own version": """
x = torch.ones(3, requires_grad=True)
x.data[0] = 5
log(x, x._version)
""",
    "data assigned": """
x = torch.ones(3, requires_grad=True)
x.data = torch.zeros(2)
log(x, x.shape)
""",
    "clone is apart": """
x = torch.ones(3)
y = x.clone()
x.zero_()
log(y)
""",
    "chunk writes": """
x = torch.zeros(4)
a, b = x.chunk(2)
b += 1
log(x)
""",
    "unbind writes": """
x = torch.zeros(2, 2)
for i, r in enumerate(x.unbind(0)): r.fill_(i + 1)
log(x)
""",
    "split under grad refuses": """
x = torch.ones(4, requires_grad=True)
y = x * 2
a, b = y.split(2)
a.add_(1)
""",
    "in-place on a leaf": """
x = torch.ones(2, requires_grad=True)
x.add_(1)
""",
    "in-place on a view of a leaf": """
x = torch.ones(2, requires_grad=True)
x[0].add_(1)
""",
    "leaf written without grad": """
x = torch.ones(2, requires_grad=True)
with torch.no_grad(): x.add_(1)
log(x, x._version)
""",
    "history of base after a write to its view": """
x = torch.ones(2, 3, requires_grad=True)
y = x * 2
y[0].mul_(3)
y.sum().backward()
log(x.grad, type(y.grad_fn).__name__)
""",
    "history of view after a write to its base": """
x = torch.ones(3, requires_grad=True)
y = x * 2
v = y[1:]
y.mul_(5)
v.sum().backward()
log(x.grad, type(v.grad_fn).__name__)
""",
    "constant base gains a history": """
b = torch.zeros(2, 3)
d = torch.ones(3, requires_grad=True)
b[0].add_(d * 2)
log(b.requires_grad)
(b * 3).sum().backward()
log(d.grad)
""",
    "view of a base that gained a history": """
b = torch.zeros(2, 3)
c = b[0]
d = torch.ones(3, requires_grad=True)
b.add_(d * 2)
log(c.requires_grad)
(c * 3).sum().backward()
log(d.grad)
""",
    "overwritten part loses its gradient": """
x = torch.ones(4, requires_grad=True)
y = x * 1
y[1:3] = 0
(y * 2).sum().backward()
log(x.grad)
""",
    "copy_ of a differentiable value": """
x = torch.ones(2, requires_grad=True)
y = torch.zeros(4)
y[::2].copy_(x * 3)
y.sum().backward()
log(x.grad, y)
""",
    "two writes through two views": """
x = torch.arange(4., requires_grad=True)
y = x * 1
y[:2].mul_(2)
y[1:].mul_(3)
y.sum().backward()
log(x.grad, y)
""",
    "saved input overwritten": """
x = torch.ones(2, requires_grad=True)
y = x * 2
z = y * y
y.add_(1)
z.sum().backward()
""",
    "saved output overwritten": """
x = torch.ones(2, requires_grad=True)
y = x.exp()
y.add_(1)
y.sum().backward()
""",
    "saved value overwritten through detach": """
x = torch.ones(2, requires_grad=True)
y = x * 2
z = y * y
y.detach().add_(1)
z.sum().backward()
""",
    "saved value overwritten through data": """
x = torch.ones(2, requires_grad=True)
y = x * 2
z = y * y
y.data.add_(1)
z.sum().backward()
log(x.grad)
""",
    "not saved, so free to write": """
x = torch.ones(2, requires_grad=True)
y = x * 2
z = y + 1
y.add_(1)
z.sum().backward()
log(x.grad)
""",
    "in-place relu": """
x = torch.tensor([-1., 2.], requires_grad=True)
y = x * 2
y.relu_()
y.sum().backward()
log(x.grad, y)
""",
    "backward twice": """
x = torch.ones(2, requires_grad=True)
y = (x * x).sum()
y.backward()
y.backward()
""",
    "backward twice where nothing is saved": """
x = torch.ones(2, requires_grad=True)
y = x.sum()
y.backward()
y.backward()
log(x.grad)
""",
    "retain_graph": """
x = torch.ones(2, requires_grad=True)
y = (x * x).sum()
y.backward(retain_graph=True)
y.backward()
log(x.grad)
""",
    "grad is accumulated in place": """
x = torch.ones(2, requires_grad=True)
(x * 2).sum().backward()
g = x.grad
(x * 3).sum().backward()
log(g, g is x.grad)
""",
    "grad zeroed in place": """
x = torch.ones(2, requires_grad=True)
(x * 2).sum().backward()
g = x.grad
x.grad.zero_()
log(g)
""",
    "gradient passed is not aliased": """
x = torch.ones(2, requires_grad=True)
f = torch.ones(2)
(x * 1).backward(f)
x.grad.add_(1)
log(f, x.grad)
""",
    "hook changes the gradient": """
x = torch.ones(2, requires_grad=True)
y = x * 2
h = y.register_hook(lambda g: g * 10)
y.sum().backward()
log(x.grad)
""",
    "hook removed": """
x = torch.ones(2, requires_grad=True)
y = x * 2
h = y.register_hook(lambda g: g * 10)
h.remove()
y.sum().backward()
log(x.grad)
""",
    "retain_grad": """
x = torch.ones(2, requires_grad=True)
y = x * 2
y.retain_grad()
(y * 3).sum().backward()
log(y.grad, x.grad)
""",
    "second derivative": """
x = torch.tensor([2.], requires_grad=True)
g, = torch.autograd.grad((x * x * x).sum(), [x], create_graph=True)
log(g)
g.sum().backward()
log(x.grad)
""",
    "transpose in place": """
x = torch.arange(6.).reshape(2, 3)
y = x[0]
x.t_()
log(x, y, x.stride(), x._version)
""",
    "squeeze and unsqueeze in place": """
x = torch.zeros(2, 1)
x.squeeze_()
log(x.shape)
x.unsqueeze_(0)
log(x.shape, x._version)
""",
    "mask assignment": """
x = torch.arange(6.).reshape(2, 3)
x[x > 2] = 0
log(x)
""",
    "mask assignment of a tensor": """
x = torch.arange(4.)
x[x > 1] = torch.tensor([8., 9.])
log(x)
""",
    "integer index assignment": """
x = torch.zeros(3, 2)
x[torch.tensor([2, 0])] = torch.ones(2, 2)
log(x)
""",
    "index under grad": """
x = torch.arange(4., requires_grad=True)
y = x * 1
y[torch.tensor([0, 2])] = 5.
y.sum().backward()
log(x.grad)
""",
    "repeated index accumulates in backward": """
x = torch.ones(3, requires_grad=True)
x[torch.tensor([0, 0, 2])].sum().backward()
log(x.grad)
""",
    "out= writes in place": """
x = torch.zeros(2)
v = x[:1]
torch.add(torch.ones(2), 1, out=x)
log(v, x)
""",
    "out= of a leaf": """
x = torch.zeros(2, requires_grad=True)
torch.add(torch.ones(2), 1, out=x)
""",
    "numpy sees a write": """
x = torch.zeros(3)
n = x.numpy()
x.add_(1)
log(n.tolist())
""",
    "tensor sees numpy's write": """
x = torch.zeros(3)
n = x.numpy()
n[0] = 7
log(x)
""",
    "numpy's write after a read was recorded": """
x = torch.zeros(3)
n = x.numpy()
y = x + 1
n[0] = 7
log(y, x + 1)
""",
    "from_numpy shares both ways": """
n = np.zeros(4, np.float32)
x = torch.from_numpy(n[::2])
x.add_(1)
n[0] = 5
log(n.tolist(), x)
""",
    "numpy of a view": """
x = torch.zeros(2, 3)
n = x[1].numpy()
n[:] = 4
log(x)
""",
    "iadd keeps the object": """
x = torch.zeros(2)
y = x
x += 1
log(y, x is y)
""",
    "iadd of an int tensor with a float": """
x = torch.zeros(2, dtype=torch.int64)
x += 1.5
""",
    "in-place broadcast refuses": """
x = torch.zeros(2)
x.add_(torch.ones(3, 2))
""",
    "set_ of another tensor": """
x = torch.zeros(2)
y = torch.ones(3)
x.set_(y)
y[0] = 4
log(x)
""",
    "view in no_grad written with grad": """
x = torch.ones(2, requires_grad=True)
y = x * 1
with torch.no_grad(): v = y[:1]
v.add_(1)
""",
    "detach_ of a view": """
x = torch.ones(2)
x[0].detach_()
""",
    "swap rows": """
x = torch.arange(4.).reshape(2, 2)
x[0], x[1] = x[1].clone(), x[0].clone()
log(x)
""",
    "view dtype shares": """
x = torch.zeros(2, dtype=torch.int32)
x.view(torch.float32).fill_(1)
log(x)
""",
    "real part is a view": """
x = torch.zeros(2, dtype=torch.complex64)
torch.view_as_real(x)[:, 0] = 3
log(x)
""",
    "copy of a tensor shares no memory": """
import copy
x = torch.ones(2)
y = copy.deepcopy(x)
x.zero_()
log(y)
""",
    "what gather read may not be overwritten": """
x = torch.ones(2, 3, requires_grad=True)
y = x * 2
z = y.gather(1, torch.tensor([[0], [2]]))
y[torch.tensor([0])] = 1.5
z.sum().backward()
""",
    "what take read may not be overwritten": """
x = torch.ones(2, 3, requires_grad=True)
y = x * 2
z = y.take(torch.tensor([0, 5]))
y.zero_()
z.sum().backward()
""",
    "views by name cannot be set": """
x = torch.arange(6.0).reshape(2, 3)
y = x.T
try:
    x.T -= 1
finally:
    log(x)
""",
    "sgd step updates in place": """
x = torch.ones(2, requires_grad=True)
v = x.detach()
o = torch.optim.SGD([x], lr=0.5)
(x * 2).sum().backward()
o.step()
log(v, x)
""",
}


def run(torch: Any, program: str) -> list[Any]:
    """What the program logs, as plain data; an exception as its type and first line."""
    import numpy as np

    logs: list[Any] = []
    scope = {"torch": torch, "np": np, "log": lambda *values: logs.append([plain(torch, v) for v in values])}
    try:
        exec(compile(program.strip(), "<alias case>", "exec"), scope)
    except Exception as error:
        logs.append([type(error).__name__, str(error).splitlines()[0]])
    return logs


def plain(torch: Any, v: Any) -> Any:
    """A value as JSON can hold it; tensors with shape, strides and dtype."""
    if isinstance(v, torch.Tensor):
        values = torch.view_as_real(v.detach()) if v.is_complex() else v.detach()
        return {"values": values.tolist(), "strides": list(v.stride()), "dtype": str(v.dtype), "grad": v.requires_grad}
    return list(v) if isinstance(v, tuple) else v
