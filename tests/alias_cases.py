"""Hand-made programs of views, in-place writes and autograd. ``log(...)`` records what they show.

``expected`` results were recorded with PyTorch by ``scripts/make_alias_golden.py``.
"""

from __future__ import annotations

from typing import Any

CASES: dict[str, str] = {
    "write base, read view": "x = torch.zeros(2, 3)\nv = x[0]\nx.add_(1)\nlog(v)",
    "write view, read base": "x = torch.zeros(2, 3)\nv = x[:, 1]\nv.fill_(5)\nlog(x)",
    "view of view": "x = torch.arange(12.).reshape(3, 4)\nv = x[1:].t()[::2]\nv.mul_(10)\nlog(x, v)",
    "reader recorded before the write": "x = torch.arange(4.)\ny = x + 10\nx[:1].fill_(9)\nlog(y, x)",
    "view recorded, base written, view read": "x = torch.arange(4.)\nv = x.view(2, 2)\nw = v * 2\nx.zero_()\nlog(v, w)",
    "transposed write": "x = torch.zeros(2, 3)\nx.t()[1] = torch.tensor([7., 8.])\nlog(x)",
    "slice with step": "x = torch.arange(10.)\nx[1::3] = -1\nlog(x)",
    "overlapping slices cloned": "x = torch.arange(5.)\nx[1:] = x[:-1].clone()\nlog(x)",
    "overlapping slices": "x = torch.arange(5.)\nx[1:] = x[:-1]\nlog(x)",
    "same view twice": "x = torch.zeros(4)\na, b = x[:2], x[:2]\na.add_(1)\nb.add_(1)\nlog(x, a, b)",
    "expand refuses a write": "x = torch.ones(1, 3).expand(2, 3)\nx.add_(1)",
    "expand reads the base": "x = torch.ones(1, 3)\ny = x.expand(2, 3)\nx.mul_(3)\nlog(y)",
    "fill of expand": "x = torch.ones(1, 3)\nx.expand(2, 3).fill_(4)\nlog(x)",
    "diagonal": "x = torch.zeros(3, 3)\nx.diagonal().copy_(torch.tensor([1., 2., 3.]))\nlog(x)",
    "unfold sees writes": "x = torch.arange(5.)\nu = x.unfold(0, 2, 1)\nx[2] = 9\nlog(u)",
    "as_strided": "x = torch.arange(6.)\nx.as_strided((2, 2), (3, 1), 1).zero_()\nlog(x)",
    "reshape copies": "x = torch.arange(6.).reshape(2, 3).t()\ny = x.reshape(6)\ny.zero_()\nlog(x)",
    "reshape views": "x = torch.arange(6.)\ny = x.reshape(2, 3)\ny[0] = 7\nlog(x)",
    "flatten of contiguous": "x = torch.zeros(2, 2)\nx.flatten()[3] = 1\nlog(x)",
    "contiguous is the same": "x = torch.zeros(2, 2)\ny = x.contiguous()\ny[0] = 1\nlog(x, x is y)",
    "contiguous of transposed": "x = torch.zeros(2, 3)\ny = x.t().contiguous()\ny[0] = 1\nlog(x)",
    "detach shares": "x = torch.ones(3, requires_grad=True)\nd = x.detach()\nd[0] = 5\nlog(x, x._version, d._version)",
    "data shares, own version": "x = torch.ones(3, requires_grad=True)\nx.data[0] = 5\nlog(x, x._version)",
    "data assigned": "x = torch.ones(3, requires_grad=True)\nx.data = torch.zeros(2)\nlog(x, x.shape)",
    "clone is apart": "x = torch.ones(3)\ny = x.clone()\nx.zero_()\nlog(y)",
    "chunk writes": "x = torch.zeros(4)\na, b = x.chunk(2)\nb += 1\nlog(x)",
    "unbind writes": "x = torch.zeros(2, 2)\nfor i, r in enumerate(x.unbind(0)): r.fill_(i + 1)\nlog(x)",
    "split under grad refuses": "x = torch.ones(4, requires_grad=True)\ny = x * 2\na, b = y.split(2)\na.add_(1)",
    "in-place on a leaf": "x = torch.ones(2, requires_grad=True)\nx.add_(1)",
    "in-place on a view of a leaf": "x = torch.ones(2, requires_grad=True)\nx[0].add_(1)",
    "leaf written without grad": "x = torch.ones(2, requires_grad=True)\nwith torch.no_grad(): x.add_(1)\nlog(x, x._version)",
    "history of base after a write to its view": "x = torch.ones(2, 3, requires_grad=True)\ny = x * 2\ny[0].mul_(3)\ny.sum().backward()\nlog(x.grad, type(y.grad_fn).__name__)",
    "history of view after a write to its base": "x = torch.ones(3, requires_grad=True)\ny = x * 2\nv = y[1:]\ny.mul_(5)\nv.sum().backward()\nlog(x.grad, type(v.grad_fn).__name__)",
    "constant base gains a history": "b = torch.zeros(2, 3)\nd = torch.ones(3, requires_grad=True)\nb[0].add_(d * 2)\nlog(b.requires_grad)\n(b * 3).sum().backward()\nlog(d.grad)",
    "view of a base that gained a history": "b = torch.zeros(2, 3)\nc = b[0]\nd = torch.ones(3, requires_grad=True)\nb.add_(d * 2)\nlog(c.requires_grad)\n(c * 3).sum().backward()\nlog(d.grad)",
    "overwritten part loses its gradient": "x = torch.ones(4, requires_grad=True)\ny = x * 1\ny[1:3] = 0\n(y * 2).sum().backward()\nlog(x.grad)",
    "copy_ of a differentiable value": "x = torch.ones(2, requires_grad=True)\ny = torch.zeros(4)\ny[::2].copy_(x * 3)\ny.sum().backward()\nlog(x.grad, y)",
    "two writes through two views": "x = torch.arange(4., requires_grad=True)\ny = x * 1\ny[:2].mul_(2)\ny[1:].mul_(3)\ny.sum().backward()\nlog(x.grad, y)",
    "saved input overwritten": "x = torch.ones(2, requires_grad=True)\ny = x * 2\nz = y * y\ny.add_(1)\nz.sum().backward()",
    "saved output overwritten": "x = torch.ones(2, requires_grad=True)\ny = x.exp()\ny.add_(1)\ny.sum().backward()",
    "saved value overwritten through detach": "x = torch.ones(2, requires_grad=True)\ny = x * 2\nz = y * y\ny.detach().add_(1)\nz.sum().backward()",
    "saved value overwritten through data": "x = torch.ones(2, requires_grad=True)\ny = x * 2\nz = y * y\ny.data.add_(1)\nz.sum().backward()\nlog(x.grad)",
    "not saved, so free to write": "x = torch.ones(2, requires_grad=True)\ny = x * 2\nz = y + 1\ny.add_(1)\nz.sum().backward()\nlog(x.grad)",
    "in-place relu": "x = torch.tensor([-1., 2.], requires_grad=True)\ny = x * 2\ny.relu_()\ny.sum().backward()\nlog(x.grad, y)",
    "backward twice": "x = torch.ones(2, requires_grad=True)\ny = (x * x).sum()\ny.backward()\ny.backward()",
    "backward twice where nothing is saved": "x = torch.ones(2, requires_grad=True)\ny = x.sum()\ny.backward()\ny.backward()\nlog(x.grad)",
    "retain_graph": "x = torch.ones(2, requires_grad=True)\ny = (x * x).sum()\ny.backward(retain_graph=True)\ny.backward()\nlog(x.grad)",
    "grad is accumulated in place": "x = torch.ones(2, requires_grad=True)\n(x * 2).sum().backward()\ng = x.grad\n(x * 3).sum().backward()\nlog(g, g is x.grad)",
    "grad zeroed in place": "x = torch.ones(2, requires_grad=True)\n(x * 2).sum().backward()\ng = x.grad\nx.grad.zero_()\nlog(g)",
    "gradient passed is not aliased": "x = torch.ones(2, requires_grad=True)\nf = torch.ones(2)\n(x * 1).backward(f)\nx.grad.add_(1)\nlog(f, x.grad)",
    "hook changes the gradient": "x = torch.ones(2, requires_grad=True)\ny = x * 2\nh = y.register_hook(lambda g: g * 10)\ny.sum().backward()\nlog(x.grad)",
    "hook removed": "x = torch.ones(2, requires_grad=True)\ny = x * 2\nh = y.register_hook(lambda g: g * 10)\nh.remove()\ny.sum().backward()\nlog(x.grad)",
    "retain_grad": "x = torch.ones(2, requires_grad=True)\ny = x * 2\ny.retain_grad()\n(y * 3).sum().backward()\nlog(y.grad, x.grad)",
    "second derivative": "x = torch.tensor([2.], requires_grad=True)\ng, = torch.autograd.grad((x * x * x).sum(), [x], create_graph=True)\nlog(g)\ng.sum().backward()\nlog(x.grad)",
    "transpose in place": "x = torch.arange(6.).reshape(2, 3)\ny = x[0]\nx.t_()\nlog(x, y, x.stride(), x._version)",
    "squeeze and unsqueeze in place": "x = torch.zeros(2, 1)\nx.squeeze_()\nlog(x.shape)\nx.unsqueeze_(0)\nlog(x.shape, x._version)",
    "mask assignment": "x = torch.arange(6.).reshape(2, 3)\nx[x > 2] = 0\nlog(x)",
    "mask assignment of a tensor": "x = torch.arange(4.)\nx[x > 1] = torch.tensor([8., 9.])\nlog(x)",
    "integer index assignment": "x = torch.zeros(3, 2)\nx[torch.tensor([2, 0])] = torch.ones(2, 2)\nlog(x)",
    "index under grad": "x = torch.arange(4., requires_grad=True)\ny = x * 1\ny[torch.tensor([0, 2])] = 5.\ny.sum().backward()\nlog(x.grad)",
    "repeated index accumulates in backward": "x = torch.ones(3, requires_grad=True)\nx[torch.tensor([0, 0, 2])].sum().backward()\nlog(x.grad)",
    "out= writes in place": "x = torch.zeros(2)\nv = x[:1]\ntorch.add(torch.ones(2), 1, out=x)\nlog(v, x)",
    "out= of a leaf": "x = torch.zeros(2, requires_grad=True)\ntorch.add(torch.ones(2), 1, out=x)",
    "numpy sees a write": "x = torch.zeros(3)\nn = x.numpy()\nx.add_(1)\nlog(n.tolist())",
    "tensor sees numpy's write": "x = torch.zeros(3)\nn = x.numpy()\nn[0] = 7\nlog(x)",
    "numpy's write after a read was recorded": "x = torch.zeros(3)\nn = x.numpy()\ny = x + 1\nn[0] = 7\nlog(y, x + 1)",
    "from_numpy shares both ways": "n = np.zeros(4, np.float32)\nx = torch.from_numpy(n[::2])\nx.add_(1)\nn[0] = 5\nlog(n.tolist(), x)",
    "numpy of a view": "x = torch.zeros(2, 3)\nn = x[1].numpy()\nn[:] = 4\nlog(x)",
    "iadd keeps the object": "x = torch.zeros(2)\ny = x\nx += 1\nlog(y, x is y)",
    "iadd of an int tensor with a float": "x = torch.zeros(2, dtype=torch.int64)\nx += 1.5",
    "in-place broadcast refuses": "x = torch.zeros(2)\nx.add_(torch.ones(3, 2))",
    "set_ of another tensor": "x = torch.zeros(2)\ny = torch.ones(3)\nx.set_(y)\ny[0] = 4\nlog(x)",
    "view in no_grad written with grad": "x = torch.ones(2, requires_grad=True)\ny = x * 1\nwith torch.no_grad(): v = y[:1]\nv.add_(1)",
    "detach_ of a view": "x = torch.ones(2)\nx[0].detach_()",
    "swap rows": "x = torch.arange(4.).reshape(2, 2)\nx[0], x[1] = x[1].clone(), x[0].clone()\nlog(x)",
    "view dtype shares": "x = torch.zeros(2, dtype=torch.int32)\nx.view(torch.float32).fill_(1)\nlog(x)",
    "real part is a view": "x = torch.zeros(2, dtype=torch.complex64)\ntorch.view_as_real(x)[:, 0] = 3\nlog(x)",
    "copy of a tensor shares no memory": "import copy\nx = torch.ones(2)\ny = copy.deepcopy(x)\nx.zero_()\nlog(y)",
    "sgd step updates in place": "x = torch.ones(2, requires_grad=True)\nv = x.detach()\no = torch.optim.SGD([x], lr=0.5)\n(x * 2).sum().backward()\no.step()\nlog(v, x)",
}


def run(torch: Any, program: str) -> list[Any]:
    """What the program logs, as plain data; an exception as its type and first line."""
    import numpy as np

    logs: list[Any] = []
    scope = {"torch": torch, "np": np, "log": lambda *values: logs.append([plain(torch, v) for v in values])}
    try:
        exec(compile(program, "<alias case>", "exec"), scope)
    except Exception as error:
        logs.append([type(error).__name__, str(error).splitlines()[0]])
    return logs


def plain(torch: Any, v: Any) -> Any:
    """A value as JSON can hold it; tensors with shape, strides and dtype."""
    if isinstance(v, torch.Tensor):
        values = torch.view_as_real(v.detach()) if v.is_complex() else v.detach()
        return {"values": values.tolist(), "strides": list(v.stride()), "dtype": str(v.dtype), "grad": v.requires_grad}
    return list(v) if isinstance(v, tuple) else v
