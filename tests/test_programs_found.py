"""What public programs use beside the operators: old tensor types, sparse matrices, and the like."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from typing import Any

import numpy as np
import pytest

import flambeau as torch

INDICES, VALUES = [[0, 1, 1], [2, 0, 2]], [3.0, 4.0, 5.0]


def sparse(**options):
    return torch.sparse_coo_tensor(torch.tensor(INDICES), torch.tensor(VALUES, **options), (2, 3))


# ---- tensor types


def test_tensor_types_make_tensors_of_their_dtype():
    assert torch.LongTensor([1.5, 2]).tolist() == [1, 2]
    assert torch.FloatTensor(2, 3).shape == (2, 3)
    assert torch.FloatTensor(torch.Size([4])).shape == (4,)
    assert torch.BoolTensor([1, 0]).tolist() == [True, False]
    assert torch.DoubleTensor(np.array([1, 2], np.int32)).dtype is torch.float64
    assert torch.FloatTensor().shape == (0,)


def test_tensors_are_instances_of_the_type_of_their_dtype():
    x = torch.ones(2)
    assert isinstance(x, torch.FloatTensor)
    assert not isinstance(x, torch.LongTensor)
    assert x.type(torch.LongTensor).dtype is torch.int64
    assert repr(torch.FloatTensor) == "<class 'torch.FloatTensor'>"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: torch.FloatTensor(3.0), r"new\(\): data must be a sequence \(got float\)"),
        (lambda: torch.LongTensor("a"), r"new\(\): invalid data type 'str'"),
        (lambda: torch.LongTensor(torch.ones(2)), r"expected TensorOptions\(dtype=long int, .*got .*dtype=float,"),
    ],
)
def test_tensor_types_refuse(make, message):
    with pytest.raises(TypeError, match=message):
        make()


@pytest.mark.filterwarnings("ignore:torch.set_default_tensor_type")
def test_default_tensor_type():
    torch.set_default_tensor_type(torch.DoubleTensor)
    try:
        assert torch.zeros(1).dtype is torch.float64
    finally:
        torch.set_default_tensor_type("torch.FloatTensor")
    with pytest.raises(TypeError, match="only floating-point types are supported as the default type"):
        torch.set_default_tensor_type(torch.LongTensor)


# ---- sparse matrices


def test_sparse_matrix_prints_as_pytorch_does():
    assert repr(sparse()) == (
        "tensor(indices=tensor([[0, 1, 1],\n"
        "                       [2, 0, 2]]),\n"
        "       values=tensor([3., 4., 5.]),\n"
        "       size=(2, 3), nnz=3, layout=torch.sparse_coo)"
    )


def test_sparse_products_and_sums():
    s, dense = sparse(), torch.tensor([[0.0, 0.0, 3.0], [4.0, 0.0, 5.0]])
    b = torch.arange(6.0).reshape(3, 2)
    assert s.to_dense().tolist() == dense.tolist()
    for y in (s @ b, torch.mm(s, b), torch.spmm(s, b), torch.sparse.mm(s, b), torch.matmul(s, b)):
        assert y.tolist() == (dense @ b).tolist()
    assert (s @ b[:, 0]).tolist() == (dense @ b[:, 0]).tolist()
    assert (torch.ones(4, 2) @ s).tolist() == (torch.ones(4, 2) @ dense).tolist()
    assert (torch.ones(2, 3) + s).tolist() == (torch.ones(2, 3) + dense).tolist()
    assert (s + s).to_dense().tolist() == (2 * dense).tolist()
    assert s.t().to_dense().tolist() == dense.t().tolist()
    assert s.sum().item() == 12
    assert torch.sparse.sum(s, dim=0).to_dense().tolist() == [4, 0, 8]


def test_sparse_product_has_gradients():
    values, b = torch.tensor(VALUES, requires_grad=True), torch.arange(6.0).reshape(3, 2).requires_grad_(True)
    (torch.sparse_coo_tensor(torch.tensor(INDICES), values, (2, 3)) @ b).sum().backward()
    assert b.grad.tolist() == [[4, 4], [0, 0], [8, 8]]
    assert values.grad.tolist() == [9, 1, 9]


def test_coalesce_adds_what_has_one_index():
    s = torch.sparse_coo_tensor([[1, 0, 1]], [1.0, 2.0, 3.0], (3,)).coalesce()
    assert s.indices().tolist() == [[0, 1]]
    assert s.values().tolist() == [2, 4]


def test_dense_to_sparse_and_back():
    x = torch.tensor([[0.0, 2.0], [3.0, 0.0]])
    assert x.to_sparse().indices().tolist() == [[0, 1], [1, 0]]
    assert x.to_sparse().to_dense().tolist() == x.tolist()
    assert x.to_sparse().is_sparse
    assert isinstance(x.to_sparse(), torch.sparse.FloatTensor)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda s: torch.relu(s), NotImplementedError, "does not take sparse tensors"),
        (
            lambda s: s + torch.ones(2, 3),
            RuntimeError,
            r"add\(sparse, dense\) is not supported. Use add\(dense, sparse\)",
        ),
        (lambda s: s.indices(), RuntimeError, "Cannot get indices on an uncoalesced tensor"),
        (lambda s: s @ torch.ones(2, 2), RuntimeError, r"Argument #3 \(dense\): Expected dim 0 size 3, got 2"),
        (lambda s: s.numpy(), TypeError, "can't convert Sparse layout tensor to numpy"),
        (lambda s: torch.sparse_coo_tensor([[5]], [1.0], (3,)), RuntimeError, "for dim 0, size is 3 but found index 5"),
        (lambda s: torch.sparse_coo_tensor([[0, 1]], [1.0], (3,)), RuntimeError, "must have same nnz"),
    ],
)
def test_sparse_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call(sparse())


# ---- big optimizers


def test_first_step_of_a_large_group_records_in_one_epoch(monkeypatch):
    from flambeau.ops import _calling

    monkeypatch.setattr(_calling, "BUDGET", 1 << 18)
    parameters = [torch.nn.Parameter(torch.full((64, 64), float(i))) for i in range(12)]
    optimizer = torch.optim.Adadelta(parameters, lr=1.0)
    for p in parameters:
        p.grad = torch.ones_like(p)
    optimizer.step()
    steps = {round((p - i).mean().item(), 6) for i, p in enumerate(parameters)}
    assert steps == {-0.003162}


# ---- graphs of calls


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.l = torch.nn.Linear(2, 3)
        self.p = torch.nn.Parameter(torch.ones(3))
        self.seq = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Linear(3, 1))

    def forward(self, x):
        return self.seq(self.l(x) + self.p).view(-1, 1)


def branching(x, y=2, *, k=None):
    z = x + 1
    return torch.relu(z.sum(dim=1)[0]) * y, {"a": z}


def test_code_of_a_traced_function():
    traced = torch.fx.symbolic_trace(branching)
    assert traced.code == (
        "\n\n\ndef forward(self, x, y = 2, k = None):\n"
        "    add = x + 1;  x = None\n"
        "    sum_1 = add.sum(dim = 1)\n"
        "    getitem = sum_1[0];  sum_1 = None\n"
        "    relu = torch.relu(getitem);  getitem = None\n"
        "    mul = relu * y;  relu = y = None\n"
        "    return (mul, {'a': add})\n    "
    )
    y, rest = traced(torch.ones(2, 2))
    assert y.item() == 8
    assert rest["a"].tolist() == [[2, 2], [2, 2]]


def test_graph_of_a_traced_module():
    net = Net()
    traced = torch.fx.symbolic_trace(net)
    assert str(traced.graph) == (
        "graph():\n"
        "    %x : [num_users=1] = placeholder[target=x]\n"
        "    %l : [num_users=1] = call_module[target=l](args = (%x,), kwargs = {})\n"
        "    %p : [num_users=1] = get_attr[target=p]\n"
        "    %add : [num_users=1] = call_function[target=operator.add](args = (%l, %p), kwargs = {})\n"
        "    %seq_0 : [num_users=1] = call_module[target=seq.0](args = (%add,), kwargs = {})\n"
        "    %seq_1 : [num_users=1] = call_module[target=seq.1](args = (%seq_0,), kwargs = {})\n"
        "    %view : [num_users=1] = call_method[target=view](args = (%seq_1, -1, 1), kwargs = {})\n"
        "    return view"
    )
    x = torch.arange(8.0).reshape(4, 2)
    for run in (traced, torch.fx.Interpreter(traced).run, torch.fx.Transformer(traced).transform()):
        assert run(x).tolist() == net(x).tolist()


def test_a_graph_may_be_changed():
    traced = torch.fx.symbolic_trace(lambda x: torch.arctan(x) + 1)
    node = traced.graph.find_nodes(op="call_function", target=torch.arctan)[0]
    assert node.name == "arctan"
    with traced.graph.inserting_after(node):
        node.replace_all_uses_with(traced.graph.call_function(torch.neg, (node.args[0],)))
    traced.graph.erase_node(node)
    traced.graph.lint()
    traced.recompile()
    assert traced(torch.tensor(3.0)).item() == -2


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (lambda x: x if x.sum() > 0 else -x, "cannot be used as inputs to control flow"),
        (lambda x: list(x), "Proxy object cannot be iterated"),
    ],
)
def test_tracing_refuses_values(f, message):
    with pytest.raises(torch.fx.TraceError, match=message):
        torch.fx.symbolic_trace(f)


# ---- what one process on a CPU does not have


def test_compile_gives_the_model():
    net = Net()
    assert torch.compile(net)._orig_mod is net
    compiled = torch.compile(mode="max-autotune")(branching)
    assert compiled(torch.ones(2, 3))[0].item() == branching(torch.ones(2, 3))[0].item() == 12
    with pytest.raises(RuntimeError, match="Either mode or options can be specified"):
        torch.compile(net, mode="default", options={})


def test_absent_parts_say_so():
    assert not torch.distributed.is_available()
    with pytest.raises(ValueError, match="Default process group has not been initialized"):
        torch.nn.parallel.DistributedDataParallel(Net())
    with pytest.raises(ValueError, match="Default process group has not been initialized"):
        torch.distributed.get_rank()


def test_summary_writer_takes_tensors(tmp_path):
    pytest.importorskip("tensorboardX")
    from flambeau.utils.tensorboard import SummaryWriter

    with SummaryWriter(log_dir=tmp_path) as writer:
        writer.add_scalar("loss", torch.tensor(2.0), torch.tensor(3))
        writer.add_histogram("weights", torch.arange(4.0))
        assert writer.get_logdir() == str(tmp_path)
        writer.add_graph(Net(), torch.ones(4, 2))
    assert list(tmp_path.glob("events*"))


# ---- modules in files


def test_tables_are_pickled_as_plain_dictionaries():
    state = Net().__getstate__()
    assert type(state["_parameters"]) is dict
    assert type(state["_modules"]) is dict
    assert "l" not in state


def test_a_copy_of_a_module_shares_its_tables():
    import copy

    net = Net()
    other = copy.copy(net)
    assert other is not net
    assert other.l is net.l
    net.extra = torch.nn.Linear(1, 1)
    assert other.extra is net.extra


def test_histogram_has_a_hundred_bins_by_default():
    counts, edges = torch.histogram(torch.linspace(0, 1, 200))
    assert counts.shape == (100,)
    assert edges.shape == (101,)


# ---- trees and comparisons


def test_trees():
    from flambeau.utils import _pytree

    Point = namedtuple("Point", "x y")
    tree = {"a": [1, (2, 3)], "b": Point(4, OrderedDict(c=5))}
    leaves, spec = _pytree.tree_flatten(tree)
    assert leaves == [1, 2, 3, 4, 5]
    assert _pytree.tree_unflatten(leaves, spec) == tree
    assert _pytree.tree_map(lambda x, y: x + y, tree, tree) == {"a": [2, (4, 6)], "b": Point(8, OrderedDict(c=10))}
    assert _pytree.tree_map_only(int, str, [1, "x"]) == ["1", "x"]
    with pytest.raises(ValueError, match="`leaves` has length 1"):
        _pytree.tree_unflatten([1], spec)


@pytest.mark.parametrize(
    ("a", "b", "more", "message"),
    [
        (
            [1.0, 2.0], [1.0, 2.1], {},
            "Tensor-likes are not close!\n\nMismatched elements: 1 / 2 (50.0%)\n"
            "Greatest absolute difference: 0.09999990463256836 at index (1,) (up to 1e-05 allowed)\n",
        ),
        ([1.0], [1.0, 2.0], {}, "The values for attribute 'shape' do not match: torch.Size([1]) != torch.Size([2])."),
        ([1.0], [1], {}, "The values for attribute 'dtype' do not match: torch.float32 != torch.int64."),
        (1.0, 2.0, {}, "Scalars are not close!\n\nExpected 2.0 but got 1.0.\nAbsolute difference: 1.0 (up to 1e-05"),
        ([1, 3], [1, 4], {}, "Tensor-likes are not equal!\n\nMismatched elements: 1 / 2 (50.0%)\nGreatest absolute "),
        ([1.0], [2.0], {"msg": "no"}, "no"),
    ],
)  # fmt: skip
def test_assert_close_says_what_differs(a, b, more, message):
    with pytest.raises(AssertionError) as error:
        torch.testing.assert_close(torch.tensor(a), torch.tensor(b), **more)
    assert str(error.value).startswith(message)


def test_assert_close_of_other_things():
    torch.testing.assert_close(torch.tensor([1.0]), torch.tensor([1.0 + 1e-7]))
    torch.testing.assert_close(torch.tensor([float("nan")]), torch.tensor([float("nan")]), equal_nan=True)
    with pytest.raises(AssertionError, match=r"The failure occurred for item \[0\]"):
        torch.testing.assert_close([torch.tensor(1.0)], [torch.tensor(2.0)])
    with pytest.raises(AssertionError, match=r"Missing keys in the actual mapping: \['b'\]"):
        torch.testing.assert_close({"a": 1}, {"b": 1})
    with pytest.raises(TypeError, match="No comparison pair was able to handle"):
        torch.testing.assert_close("a", "b")
    with pytest.raises(ValueError, match="must be either specified or omitted"):
        torch.testing.assert_close(1.0, 1.0, rtol=1.0)


def test_generators_of_a_module_have_its_name():
    assert repr(Net().parameters()).startswith("<generator object Module.parameters at 0x")


class Words(torch.utils.data.Dataset):
    """Rows of different lengths in tensors of one size, as language models' datasets make them."""

    def __len__(self):
        return 256

    def __getitem__(self, i):
        x = torch.zeros(8, dtype=torch.long)
        length = 1 + i * i % 7
        x[:length] = torch.arange(length)
        return x


def test_batches_of_varying_samples_do_not_make_new_programs_of_every_step():
    from flambeau.graph import counters

    torch.manual_seed(0)
    compiled = []
    for x in torch.utils.data.DataLoader(Words(), batch_size=8, shuffle=True):
        (x * 2).sum().item()
        compiled.append(counters["compiles"])
    assert compiled[-1] - compiled[8] < 8


def test_libraries_may_prepare_for_compilation():
    assert torch.compiler.disable(branching) is branching
    assert torch.compiler.allow_in_graph(branching) is branching
    assert not torch.compiler.is_compiling()


def test_a_realisation_by_budget_between_the_results_of_one_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    from flambeau.ops import _calling

    x = torch.arange(12.0).reshape(3, 4)
    monkeypatch.setattr(_calling, "BUDGET", 1)
    values, indices = (x * 2).max(1)
    assert (values.tolist(), indices.tolist()) == ([6.0, 14.0, 22.0], [3, 3, 3])
    monkeypatch.setattr(_calling, "BUDGET", 1 << 18)
    q, k, v = [torch.full((1, 1, 64, 8), float(i), requires_grad=True) for i in (1, 2, 3)]
    for _ in range(40):  # the budget is passed at every point of the step, also within the operator's backward
        for t in (q, k, v):
            t.grad = None
        torch.nn.functional.scaled_dot_product_attention(q, k, v).sum().backward()
        assert v.grad is not None and abs(v.grad.sum().item() - 512) < 1e-3


@pytest.mark.parametrize(
    ("data", "dt", "values"),
    [
        ([[1, 2], (3, 4)], torch.int64, [[1, 2], [3, 4]]),
        (([True], [False]), torch.bool, [[True], [False]]),
        ([1.5, 2], torch.float32, [1.5, 2.0]),
        ([True, 2], torch.int64, [1, 2]),
        ([[[1.0], [2.0]]], torch.float32, [[[1.0], [2.0]]]),
        ([[], []], torch.float32, [[], []]),
        ([2**62, -(2**63)], torch.int64, [2**62, -(2**63)]),
    ],
)
def test_nested_lists_become_tensors(data: Any, dt: Any, values: Any) -> None:
    x = torch.tensor(data)
    assert (x.dtype, x.tolist()) == (dt, values)
