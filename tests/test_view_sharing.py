"""What shares memory, what counts as a view, and which history stays: PyTorch's answers."""

import pytest

import flambeau as torch


@pytest.mark.parametrize(
    ("split", "name"),
    [
        (lambda x: torch.unsafe_chunk(x, 2), "UnsafeSplitBackward0"),
        (lambda x: x.unsafe_split(2), "UnsafeSplitBackward0"),
        (lambda x: torch.unsafe_split_with_sizes(x, (2, 1)), "UnsafeSplitWithSizesBackward0"),
    ],
)
def test_unsafe_splits_share_memory_unseen(split, name):
    w = torch.arange(6.0).reshape(3, 2).requires_grad_()
    y = w * 1
    a, b = split(y)
    assert not a._is_view() and a.data_ptr() == y.data_ptr() and a.grad_fn.name() == name
    a.mul_(3)
    b[0, 0] = 7
    assert y.tolist() == [[0, 3], [6, 9], [7, 5]] and y.grad_fn.name() == "MulBackward0"
    assert (a._version, b._version, y._version) == (1, 1, 0)
    (a.sum() * 2 + b.sum()).backward()
    assert w.grad.tolist() == [[6, 6], [6, 6], [0, 1]]
    y.zero_()
    assert a.tolist() == [[0, 0], [0, 0]] and a._version == 1


def test_unsafe_splits_of_conjugates_are_copies():
    x = torch.tensor([[1j], [2 + 1j]])
    a, b = torch.unsafe_chunk(x.conj(), 2)
    assert not a.is_conj() and a.tolist() == [[-1j]] and b.data_ptr() != x[1].data_ptr()


@pytest.mark.parametrize(
    "f",
    [
        lambda x: torch.kron(x, x), lambda x: x.nonzero(), torch.argwhere, lambda x: x.quantile(0.5, dim=0),
        lambda x: x.nanquantile(torch.tensor([0.25, 0.5])), lambda x: x.unique(dim=1),
        lambda x: x.unique_consecutive(dim=1),
    ],
)  # fmt: skip
@pytest.mark.parametrize("grad", [False, True])
def test_what_is_computed_is_no_view(f, grad):
    y = f(torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=grad))
    assert not y._is_view() and y._base is None


def test_given_edges_are_returned():
    edges = torch.tensor([0.0, 1.0, 2.0])
    found = torch.histogramdd(torch.tensor([[0.5, 0.5]]), [edges, edges]).bin_edges
    assert found[0] is edges and found[1] is edges


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda v: v.t_(), "TBackward1"), (lambda v: v.unsqueeze_(0), "UnsqueezeBackward1"),
        (lambda v: v.squeeze_(), "SqueezeBackward3"), (lambda v: v.transpose_(0, 1), "TransposeBackward1"),
    ],
)  # fmt: skip
def test_geometry_changed_in_place_leaves_the_base_alone(change, name):
    w = torch.arange(4.0).reshape(2, 2).requires_grad_()
    y = w * 2
    v = y[0:]
    change(v)
    assert y.grad_fn.name() == "MulBackward0" and v.grad_fn.name() == name and v._base is y and y._version == 1
    (v.reshape(-1) * torch.tensor([1.0, 2.0, 3.0, 4.0])).sum().backward()
    turned = "t_" in name or name.startswith("T")
    assert w.grad.tolist() == ([[2, 6], [4, 8]] if turned else [[2, 4], [6, 8]])
    with torch.no_grad():
        v.add_(1)
    assert (y - w * 2).tolist() == [[1, 1], [1, 1]]


def test_strides_changed_in_place_and_the_gradient():
    w = torch.arange(4.0).reshape(2, 2).requires_grad_()
    y = w * 2
    v = y.view(4)
    v.as_strided_((3,), (1,), 1)
    (v * torch.tensor([1.0, 2.0, 3.0]) + y.sum()).sum().backward()
    assert w.grad.tolist() == [[6, 8], [10, 12]]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ((2, 3), "output with shape [3] doesn't match the broadcast shape [2, 3]"),
        ((1, 3), "output with shape [3] doesn't match the broadcast shape [1, 3]"),
        ((2,), "The size of tensor a (3) must match the size of tensor b (2) at non-singleton dimension 0"),
        ((2, 2), "The size of tensor a (3) must match the size of tensor b (2) at non-singleton dimension 1"),
    ],
)
def test_what_copy_refuses(given, text):
    with pytest.raises(RuntimeError) as raised:
        torch.zeros(3).copy_(torch.zeros(given))
    assert str(raised.value) == text


@pytest.mark.parametrize(
    ("dtype", "name"),
    [(torch.float32, "torch.FloatTensor"), (torch.complex64, "CPUComplexFloatType"), (torch.bool, "CPUBoolType")],
)
def test_what_assignment_refuses(dtype, name):
    x = torch.zeros(3, 3, dtype=dtype)
    with pytest.raises(RuntimeError) as raised:
        x[0] = x
    assert str(raised.value).startswith(f"expand({name}{{[3, 3]}}, size=[3]): the number of sizes provided (1)")


def test_layouts_and_corner_cases():
    assert torch.tensor(1.0).movedim(0, -1).shape == ()
    assert torch.ones(2, 2, 2, dtype=torch.complex64).movedim(0, -1).angle().stride() == (4, 2, 1)
    x = torch.ones(3)
    with pytest.raises(RuntimeError, match="some elements of the input tensor"):
        x.index_add_(0, torch.tensor([0]), x[:1])
    with pytest.raises(RuntimeError, match="element 0 of tensors does not require grad"):
        torch.autograd.grad(x.sum(), x)


def _bytes(n):
    return torch.arange(1, n + 1).to(torch.uint8)


@pytest.mark.parametrize("pending", [True, False])
def test_memory_that_is_no_whole_number_of_the_elements_seen(pending):
    memory = _bytes(7)
    if not pending:
        memory.numpy()
    seen = memory[:4].view(torch.int32)
    assert seen.tolist() == [0x04030201] and (seen + 1).tolist() == [0x04030202]
    assert seen.numpy().tolist() == [0x04030201]
    seen += 1
    assert memory.tolist() == [2, 2, 3, 4, 5, 6, 7]
    assert memory.untyped_storage().nbytes() == 7 and memory[4:6].view(torch.int16).tolist() == [0x0605]


def test_storages_of_odd_bytes_under_a_larger_dtype():
    assert torch.empty(0).set_(torch.UntypedStorage(2)).shape == (0,)
    assert torch.empty(0).set_(torch.UntypedStorage([0, 0, 128, 63, 9, 9])).tolist() == [1]
    storage = torch.TypedStorage(wrap_storage=torch.UntypedStorage([0, 0, 128, 63, 9]), dtype=torch.float32)
    assert storage.tolist() == [1]
    storage[0] = 2.0
    assert storage.untyped().tolist() == [0, 0, 0, 64, 9]
