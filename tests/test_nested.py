"""Nested tensors; numbers and texts are PyTorch's."""

import pytest

import flambeau as torch
import flambeau.nn.functional as F
from flambeau import nested, nn

A, B = torch.arange(6.0).view(2, 3), torch.arange(12.0).view(4, 3)
ROWS = torch.cat([A, B])


def jagged():
    return nested.nested_tensor([A, B], layout=torch.jagged)


def test_what_it_is():
    nt = jagged()
    assert repr(nt.shape).startswith("torch.Size([2, j")
    assert (nt.size(0), nt.size(-1), nt.dim(), nt.ndim, nt.numel(), len(nt)) == (2, 3, 3, 3, 18, 2)
    assert (nt.is_nested, nt.layout, nt.dtype, nt.device.type) == (True, torch.jagged, torch.float32, "cpu")
    assert isinstance(nt, torch.Tensor)
    assert torch.equal(nt.values(), ROWS)
    assert nt.offsets().tolist() == [0, 2, 6]
    assert [x.tolist() for x in nt.unbind()] == [A.tolist(), B.tolist()]
    assert torch.equal(nt[1], B)
    assert repr(nt) == f"NestedTensor(size=(2, {nt.shape[1]}, 3), offsets=tensor([0, 2, 6]), contiguous=True)"


def test_the_strided_layout():
    nt = nested.nested_tensor([torch.ones(2, 3), torch.ones(1, 3)])
    assert nt.layout is torch.strided
    assert repr(nt) == (
        "nested_tensor([\n  tensor([[1., 1., 1.],\n          [1., 1., 1.]]),\n  tensor([[1., 1., 1.]])\n])"
    )
    with pytest.raises(RuntimeError, match="Given dimension 1 is irregular and does not have a size."):
        nt.size(1)
    assert (nt * 2).layout is torch.strided


def test_padding():
    nt = jagged()
    padded = nt.to_padded_tensor(-1.0)
    assert padded.shape == (2, 4, 3)
    assert padded[0].tolist() == [*A.tolist(), [-1] * 3, [-1] * 3]
    assert torch.equal(padded[1], B)
    wide = nested.to_padded_tensor(nt, 0.0, (3, 5, 3))
    assert wide.shape == (3, 5, 3)
    assert wide.sum().item() == 81
    with pytest.raises(RuntimeError, match="less than NestedTensor padded size"):
        nt.to_padded_tensor(0.0, (2, 3, 3))
    assert torch.equal(nt.transpose(1, 2).to_padded_tensor(0.0), nt.to_padded_tensor(0.0).transpose(1, 2))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x * 2,
        lambda x: x + x,
        lambda x: 1 / (x + 1),
        lambda x: x * torch.tensor([1.0, 2, 3]),
        lambda x: x - torch.tensor([[1.0, 2, 3]]),
        lambda x: torch.relu(x - 3).sin(),
        lambda x: F.gelu(x),
        lambda x: F.layer_norm(x, (3,)),
        lambda x: x.softmax(-1),
        lambda x: F.log_softmax(x, -1),
        lambda x: x.sum(-1),
        lambda x: x.mean(-1, keepdim=True),
        lambda x: x / x.sum(-1, keepdim=True).clamp(min=1),
        lambda x: x @ torch.ones(3, 2),
        lambda x: x.unflatten(-1, (3, 1)).flatten(-2, -1),
        lambda x: torch.cat(x.chunk(3, -1)[::-1], -1),
        lambda x: x.split([1, 2], -1)[1],
        lambda x: torch.where(x > 3, x, 0.0),
        lambda x: x.masked_fill(x > 3, 0.0).to(torch.float64),
        lambda x: x.unsqueeze(-1).squeeze(-1),
        lambda x: x.amax(-1),
    ],
)
def test_functions_of_the_rows(f):
    assert torch.equal(f(jagged()).values(), f(ROWS))


def test_layers():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.GELU(), nn.LayerNorm(4), nn.Linear(4, 2))
    found = net(jagged())
    torch.testing.assert_close(found.values(), net(ROWS))
    found.values().square().sum().backward()
    grad = net[0].weight.grad
    net.zero_grad()
    net(ROWS).square().sum().backward()
    torch.testing.assert_close(grad, net[0].weight.grad)
    tokens = nested.nested_tensor([torch.tensor([1, 2]), torch.tensor([0])], layout=torch.jagged)
    assert nn.Embedding(3, 5)(tokens).values().shape == (3, 5)


def test_the_ragged_dimension():
    nt = jagged()
    assert nt.sum(1).tolist() == [[3, 5, 7], [18, 22, 26]]
    assert nt.mean(1).tolist() == [[1.5, 2.5, 3.5], [4.5, 5.5, 6.5]]
    assert nt.sum(1, keepdim=True).shape == (2, 1, 3)
    assert nt.sum().item() == 81
    for found, part in zip(nt.softmax(1).unbind(), (A, B)):
        torch.testing.assert_close(found, part.softmax(0))
    assert torch.equal(nt.transpose(1, 2).sum(2), nt.sum(1))
    centred = nt - nt.mean(1, keepdim=True)
    assert centred.sum(1).abs().max().item() == 0


def test_dimensions_moved():
    nt = jagged().transpose(1, 2)
    assert nt.size(1) == 3
    assert [tuple(x.shape) for x in nt.unbind()] == [(3, 2), (3, 4)]
    assert not nt.is_contiguous()
    assert torch.equal((nt * 2)[0], 2 * A.t())
    heads = jagged().unflatten(-1, (3, 1)).transpose(1, 2)
    assert torch.equal(heads.transpose(1, 2).flatten(2, 3).values(), ROWS)
    assert torch.equal(jagged().view(2, -1, 1, 3).permute(0, 1, 3, 2).contiguous().values(), ROWS.view(6, 1, 3).mT)


@pytest.mark.parametrize("is_causal", [False, True])
def test_attention(is_causal):
    torch.manual_seed(0)
    parts = [torch.randn(n, 8, requires_grad=True) for n in (2, 4, 1)]
    q = nested.as_nested_tensor(parts, layout=torch.jagged).unflatten(-1, (2, 4)).transpose(1, 2)
    found = F.scaled_dot_product_attention(q, q * 2, q, is_causal=is_causal)
    assert found.transpose(1, 2).values().shape == (7, 2, 4)
    for part, result in zip(parts, found.unbind()):
        x = part.view(1, -1, 2, 4).transpose(1, 2)
        torch.testing.assert_close(result, F.scaled_dot_product_attention(x, x * 2, x, is_causal=is_causal)[0])
    found.transpose(1, 2).values().sum().backward()
    assert all(x.grad.abs().sum() > 0 for x in parts)


def test_gradients():
    x, y = A.clone().requires_grad_(), B.clone().requires_grad_()
    (nested.as_nested_tensor([x, y], layout=torch.jagged) * 2).values().sum().backward()
    assert x.grad.tolist() == [[2] * 3] * 2
    leaf = nested.nested_tensor([A, B], layout=torch.jagged, requires_grad=True)
    (leaf * leaf).to_padded_tensor(7.0).sum().backward()
    assert leaf.is_leaf and leaf.requires_grad
    assert torch.equal(leaf.grad.values(), 2 * ROWS)
    assert leaf.grad.shape == leaf.shape
    v = ROWS.clone().requires_grad_()
    nested.nested_tensor_from_jagged(v, torch.tensor([0, 2, 6])).mean(1).sum().backward()
    assert v.grad[:, 0].tolist() == [0.5, 0.5, 0.25, 0.25, 0.25, 0.25]


def test_offsets_say_which_sizes_are_the_same():
    a, b = jagged(), jagged()
    with pytest.raises(RuntimeError, match="cannot call binary pointwise function add.Tensor with inputs of shapes"):
        a + b
    c = nested.nested_tensor_from_jagged(torch.ones(6, 1), a.offsets())
    assert c.shape[1] == a.shape[1]
    assert torch.equal((a + c).values(), ROWS + 1)
    d = nested.nested_tensor_from_jagged(torch.ones(6, 1), lengths=torch.tensor([2, 4]))
    assert d.offsets().tolist() == [0, 2, 6]
    with pytest.raises(RuntimeError, match="do not cover the values"):
        nested.nested_tensor_from_jagged(torch.ones(5, 1), a.offsets())
    offsets = torch.tensor([0, 2, 6])
    before = nested.nested_tensor_from_jagged(ROWS, offsets)
    offsets[1] = 3
    after = nested.nested_tensor_from_jagged(ROWS, offsets)
    assert [len(x) for x in before.unbind()] == [2, 4]
    assert [len(x) for x in after.unbind()] == [3, 3]


def test_what_is_refused():
    nt = jagged()
    with pytest.raises(RuntimeError, match="only allows for a single ragged dimension"):
        nested.nested_tensor([torch.ones(2, 3), torch.ones(1, 4)], layout=torch.jagged)
    with pytest.raises(NotImplementedError, match="differ in other dimensions"):
        nested.nested_tensor([torch.ones(2, 3), torch.ones(1, 4)])
    with pytest.raises(NotImplementedError, match=r"torch.cumsum\(\) does not take nested tensors"):
        torch.cumsum(nt, 1)
    with pytest.raises(NotImplementedError, match="of two nested tensors"):
        nt @ nt.transpose(1, 2)
    with pytest.raises(NotImplementedError, match="dense one of shape"):
        nt + torch.ones(4, 3)
    with pytest.raises(NotImplementedError, match="along the ragged dimension"):
        nt.log_softmax(1)
    with pytest.raises(NotImplementedError, match="must not be ragged or moved"):
        F.linear(nt.transpose(1, 2), torch.ones(2, 3))
