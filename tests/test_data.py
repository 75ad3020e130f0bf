"""Datasets, samplers and loaders give PyTorch's batches, random numbers and errors.

golden_data.json was made with PyTorch 2.13, its workers being processes.
"""

from __future__ import annotations

import collections
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import flambeau as torch
from flambeau.utils import data
from flambeau.utils.data import DataLoader

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")  # more workers than there may be cores
golden = json.loads((Path(__file__).parent / "golden_data.json").read_text())
TEN = range(10)


def plain(x: Any) -> Any:
    """Tensors as lists, in any structure."""
    if isinstance(x, torch.Tensor):
        return x.tolist()
    if isinstance(x, (list, tuple)):
        return [plain(i) for i in x]
    return {k: plain(v) for k, v in x.items()} if isinstance(x, dict) else x


def drawn() -> list[int]:
    return torch.randint(1000, (3,)).tolist()


# ---- orders and random numbers -----------------------------------------------------

LOADERS: dict[str, tuple[Any, int]] = {
    "shuffle": (lambda ds: DataLoader(ds, batch_size=3, shuffle=True), 2),
    "sequential": (lambda ds: DataLoader(ds, batch_size=3), 2),
    "generator": (
        lambda ds: DataLoader(ds, batch_size=3, shuffle=True, generator=torch.Generator().manual_seed(3)),
        2,
    ),
    "drop_last": (lambda ds: DataLoader(ds, batch_size=3, shuffle=True, drop_last=True), 2),
    "samples": (lambda ds: DataLoader(ds, batch_size=None, shuffle=True), 1),
    "replacement": (lambda ds: DataLoader(ds, batch_size=12, sampler=data.RandomSampler(TEN, True, 36)), 1),
    "more": (lambda ds: DataLoader(ds, batch_size=8, sampler=data.RandomSampler(TEN, num_samples=23)), 1),
    "subset": (lambda ds: DataLoader(ds, batch_size=8, sampler=data.SubsetRandomSampler([5, 3, 8, 1])), 2),
    "weighted": (
        lambda ds: DataLoader(ds, batch_size=8, sampler=data.WeightedRandomSampler([0.1, 0.2, 0.3, 0.4], 6)),
        2,
    ),
    "weighted_once": (
        lambda ds: DataLoader(ds, batch_size=8, sampler=data.WeightedRandomSampler([0.1, 0.2, 0.3, 0.4], 3, False)),
        2,
    ),
    "distributed": (lambda ds: DataLoader(ds, batch_size=8, sampler=data.DistributedSampler(TEN, 3, 1, seed=2)), 1),
}


@pytest.mark.parametrize("kind", ["range", "tensors", "subset"])
@pytest.mark.parametrize("name", LOADERS)
def test_orders(name: str, kind: str) -> None:
    build, epochs = LOADERS[name]
    tensors = data.TensorDataset(torch.arange(10))
    dataset: Any = {"range": TEN, "tensors": tensors, "subset": data.Subset(tensors, list(TEN))}[kind]
    torch.manual_seed(7)
    loader = build(dataset)
    trail = []
    for _ in range(epochs):
        batches = [plain(batch) for batch in loader]
        trail.append(batches if kind == "range" else [batch[0] for batch in batches])
        trail.append(drawn())
    assert trail == golden[name]


class Augmented(data.Dataset[Any]):
    """Draws from all three global generators for each sample."""

    def __len__(self) -> int:
        return 7

    def __getitem__(self, i: int) -> tuple[int, int, int, int]:
        return i, int(torch.randint(1000, ())), random.randrange(1000), int(np.random.randint(1000))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("workers0", {}),
        ("workers2", {"num_workers": 2}),
        ("workers3_persistent", {"num_workers": 3, "persistent_workers": True}),
    ],
)
def test_workers_draw_what_processes_draw(name: str, options: dict[str, Any]) -> None:
    torch.manual_seed(7)
    random.seed(1)
    np.random.seed(2)
    loader = DataLoader(Augmented(), batch_size=2, shuffle=True, **options)
    trail: list[Any] = []
    for _ in range(2):
        trail += [[plain(batch) for batch in loader], drawn()]
    assert [*trail, [random.randrange(1000), int(np.random.randint(1000))]] == golden[name]


def test_random_split() -> None:
    torch.manual_seed(7)
    parts = data.random_split(TEN, [0.5, 0.25, 0.25])
    assert [part.indices for part in parts] == golden["split"]
    assert drawn() == golden["split_next"]
    with pytest.raises(ValueError, match=r"^Sum of input lengths does not equal the length of the input dataset!$"):
        data.random_split(TEN, [3, 3])
    with pytest.raises(ValueError, match="Fraction at index 1 is not between 0 and 1"):
        data.random_split(TEN, [0.5, -0.1, 0.6])
    with pytest.warns(UserWarning, match="Length of split at index 1 is 0. This might result in an empty dataset."):
        data.random_split(range(1), [0.7, 0.3])


def test_a_seed_is_drawn_when_an_epoch_begins_even_without_shuffling() -> None:
    torch.manual_seed(0)
    torch.empty((), dtype=torch.int64).random_()
    expected = drawn()
    torch.manual_seed(0)
    iter(DataLoader(TEN))
    assert drawn() == expected


def test_a_generator_leaves_the_default_one_alone() -> None:
    torch.manual_seed(0)
    expected = drawn()
    torch.manual_seed(0)
    list(DataLoader(TEN, shuffle=True, generator=torch.Generator().manual_seed(5)))
    assert drawn() == expected


def test_distributed_sampler() -> None:
    shares = [list(data.DistributedSampler(TEN, 3, rank, shuffle=False)) for rank in range(3)]
    assert shares == [[0, 3, 6, 9], [1, 4, 7, 0], [2, 5, 8, 1]]
    cut = [list(data.DistributedSampler(TEN, 3, rank, shuffle=False, drop_last=True)) for rank in range(3)]
    assert cut == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]
    assert list(data.DistributedSampler(range(2), 5, 4, shuffle=False)) == [0]
    sampler = data.DistributedSampler(TEN, 2, 0)
    first = list(sampler)
    sampler.set_epoch(1)
    assert list(sampler) != first and len(sampler) == 5
    with pytest.raises(ValueError, match=r"^Invalid rank 2, rank should be in the interval \[0, 1\]$"):
        data.DistributedSampler(TEN, 2, 2)


# ---- streams --------------------------------------------------


class Stream(data.IterableDataset[int]):
    """Numbers; shared out among workers if asked to."""

    def __init__(self, shared: bool = False) -> None:
        self.shared = shared

    def __iter__(self) -> Iterator[int]:
        info = data.get_worker_info()
        if info is None or not self.shared:
            return iter(range(7))
        return iter(range(info.id, 7, info.num_workers))

    def __len__(self) -> int:
        return 7

    def __repr__(self) -> str:
        return "Stream"


def batches(dataset: Any, **options: Any) -> list[Any]:
    return [plain(batch) for batch in DataLoader(dataset, **options)]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # by who runs the tests
def test_streams() -> None:
    assert batches(Stream(), batch_size=3) == [[0, 1, 2], [3, 4, 5], [6]]
    assert batches(Stream(), batch_size=3, drop_last=True) == [[0, 1, 2], [3, 4, 5]]
    assert batches(Stream(), batch_size=None) == list(range(7))
    assert batches(Stream(shared=True), batch_size=3, num_workers=2) == [[0, 2, 4], [1, 3, 5], [6]]
    with pytest.warns(UserWarning, match="was reported to be 7"):
        loader = DataLoader(Stream(), batch_size=None, num_workers=2)
        assert len(loader) == 7
        assert sorted(plain(list(loader))) == sorted([*range(7), *range(7)])
    assert data.get_worker_info() is None


# ---- the loader ------------------------------------------------------------------------

STREAM_ERROR = "DataLoader with IterableDataset: expected unspecified "
LOADER_ERRORS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"num_workers": -1}, ValueError, "num_workers option should be non-negative; use num_workers=0"),
    ({"timeout": -1}, ValueError, "timeout option should be non-negative"),
    ({"prefetch_factor": 2}, ValueError, "prefetch_factor option could only be specified in multiprocessing.let"),
    ({"num_workers": 1, "prefetch_factor": -1}, ValueError, "prefetch_factor option should be non-negative"),
    ({"persistent_workers": True}, ValueError, "persistent_workers option needs num_workers > 0"),
    ({"sampler": [1], "shuffle": True}, ValueError, "sampler option is mutually exclusive with shuffle"),
    ({"batch_sampler": [[1]], "batch_size": 3}, ValueError, "batch_sampler option is mutually exclusive with"),
    ({"batch_size": None, "drop_last": True}, ValueError, "batch_size=None option disables auto-batching"),
    ({"batch_size": 0}, ValueError, "batch_size should be a positive integer value, but got batch_size=0"),
    ({"drop_last": 1}, ValueError, "drop_last should be a boolean value, but got drop_last=1"),
    ({"multiprocessing_context": "spawn"}, ValueError, "multiprocessing_context can only be used with multi-process"),
    (
        {"multiprocessing_context": "x", "num_workers": 1},
        ValueError,
        "multiprocessing_context option should specify a valid start method in ",
    ),
    ({"multiprocessing_context": 3, "num_workers": 1}, TypeError, "should be a valid context object or a string"),
    ({"timeout": 3}, AssertionError, "_SingleProcessDataLoaderIter requires timeout == 0"),
]


@pytest.mark.parametrize(("options", "error", "message"), LOADER_ERRORS)
def test_loader_errors(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        batches(TEN, **options)
    assert message in str(caught.value)


@pytest.mark.parametrize("options", [{"shuffle": True}, {"sampler": [1]}, {"batch_sampler": [[1]]}])
def test_a_stream_has_its_own_order(options: dict[str, Any]) -> None:
    (name, value), *_ = options.items()
    with pytest.raises(ValueError) as caught:
        DataLoader(Stream(), **options)
    assert str(caught.value) == f"{STREAM_ERROR}{name} option, but got {name}={value}"


def test_lengths() -> None:
    assert [len(DataLoader(TEN, batch_size=b)) for b in (1, 3, 10, 11)] == [10, 4, 1, 1]
    assert len(DataLoader(TEN, batch_size=3, drop_last=True)) == 3
    assert len(DataLoader(TEN, batch_size=None)) == 10
    assert [len(DataLoader(Stream(), batch_size=2, drop_last=d)) for d in (False, True)] == [4, 3]


def test_settings_are_fixed() -> None:
    loader = DataLoader(TEN)
    for name in ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers"):
        with pytest.raises(ValueError, match=f"^{name} attribute should not be set after DataLoader is initialized$"):
            setattr(loader, name, None)
    loader.num_workers = 0


def test_custom_samplers_and_functions() -> None:
    assert batches(TEN, sampler=[3, 1, 2], batch_size=2) == [[3, 1], [2]]
    assert batches(TEN, batch_sampler=[[1, 2], [0]]) == [[1, 2], [0]]
    assert batches(TEN, batch_size=4, collate_fn=sum) == [6, 22, 17]
    assert batches({"a": 1, "b": 2}, sampler=["b", "a"], batch_size=None) == [2, 1]
    assert batches(torch.arange(4), batch_size=2) == [[0, 1], [2, 3]]


def test_pinning_warns() -> None:
    with pytest.warns(UserWarning, match="'pin_memory' argument is set as true but no accelerator is found"):
        batches(TEN, pin_memory=True)


def test_batches_are_fetched_together_where_that_can_be_done() -> None:
    class Together(data.Dataset[int]):
        def __len__(self) -> int:
            return 4

        def __getitems__(self, indices: list[int]) -> list[int]:
            return [10 * i for i in indices]

    assert batches(Together(), batch_size=3) == [[0, 10, 20], [30]]
    assert batches(data.Subset(Together(), [3, 1]), batch_size=3) == [[30, 10]]


def test_rows_of_tensors_equal_collated_samples() -> None:
    tensors = (torch.arange(12.0).reshape(6, 2), torch.arange(6), torch.arange(6) > 2)
    dataset = data.Subset(data.Subset(data.TensorDataset(*tensors), [5, -4, 0, 1]), [2, 0, 3])
    fast = DataLoader(dataset, batch_size=2)
    slow = DataLoader(dataset, batch_size=2, collate_fn=lambda samples: data.default_collate(samples))
    assert fast._reads_rows() and not slow._reads_rows()
    for a, b in zip(fast, slow, strict=True):
        assert [t.dtype for t in a] == [t.dtype for t in b]
        assert plain(a) == plain(b)
    batch = next(iter(fast))
    batch[0].zero_()
    assert tensors[0][0].tolist() == [0.0, 1.0]


def test_rows_of_other_tensors_are_collated() -> None:
    def reads_rows(dataset: Any, **options: Any) -> bool:
        return DataLoader(dataset, **options)._reads_rows()

    rows = data.TensorDataset(torch.ones(3, 2))
    assert reads_rows(rows) and reads_rows(rows, shuffle=True)
    assert not reads_rows(rows, sampler=[0]) and not reads_rows(rows, batch_size=None)
    assert not reads_rows(data.TensorDataset(torch.ones(3, 2).requires_grad_(True)))
    assert not reads_rows(data.Subset(rows, torch.tensor([0, 1])))
    assert not reads_rows(type("Own", (data.TensorDataset,), {})(torch.ones(3)))


# ---- collating ---------------------------------------------------------------------------

Pair = collections.namedtuple("Pair", "a b")


class Bag(list):
    """A sequence type of one's own."""


COLLATED: list[tuple[Any, Any]] = [
    ([1, 2], [1, 2]),
    ([1.5, 2], [1.5, 2.0]),
    ([True, False], [True, False]),
    (["a", "b"], ["a", "b"]),
    ([b"a", b"b"], [b"a", b"b"]),
    ([np.float32(1), np.float32(2)], [1.0, 2.0]),
    ([np.ones(2), np.zeros(2)], [[1.0, 1.0], [0.0, 0.0]]),
    ([(1, "a"), (2, "b")], [[1, 2], ["a", "b"]]),
    ([[1, 2.0], [3, 4.0]], [[1, 3], [2.0, 4.0]]),
    ([{"x": 1, "y": [1]}, {"x": 2, "y": [3]}], {"x": [1, 2], "y": [[1, 3]]}),
    ([range(3), range(3)], [[0, 0], [1, 1], [2, 2]]),
]


@pytest.mark.parametrize(("samples", "expected"), COLLATED)
def test_default_collate(samples: Any, expected: Any) -> None:
    assert plain(data.default_collate(samples)) == expected


def test_collated_types() -> None:
    assert data.default_collate([1.0, 2.0]).dtype == torch.float64
    assert data.default_collate([1, 2]).dtype == torch.int64
    assert data.default_collate([np.int16(1)]).dtype == torch.int16
    assert data.default_collate([np.ones(1, np.float32)]).dtype == torch.float32
    pair = data.default_collate([Pair(1, 2.0), Pair(3, 4.0)])
    assert isinstance(pair, Pair) and pair.a.tolist() == [1, 3]
    assert type(data.default_collate([Bag([1]), Bag([2])])) is Bag
    assert type(data.default_collate([collections.OrderedDict(a=1)])) is collections.OrderedDict
    default = data.default_collate([collections.defaultdict(list, a=1)])
    assert default["missing"] == []


@pytest.mark.parametrize(
    ("samples", "error", "message"),
    [
        ([None, None], TypeError, "numbers, dicts or lists; found <class 'NoneType'>"),
        ([[1], [1, 2]], RuntimeError, "each element in list of batch should be of equal size"),
        ([np.array(["a"])], TypeError, "numbers, dicts or lists; found <U1"),
        ([{"x": 1}, {"y": 1}], KeyError, "x"),
        ([torch.ones(2), torch.ones(3)], RuntimeError, "stack expects each tensor to be equal size, but got [2] at"),
    ],
)
def test_collate_errors(samples: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        data.default_collate(samples)
    assert message in str(caught.value)


def test_default_convert() -> None:
    found = data.default_convert({"a": np.ones(2), "b": ("x", np.int64(3)), "c": [1, np.array(["s"])]})
    assert isinstance(found["a"], torch.Tensor) and found["b"][1].item() == 3
    assert type(found["b"]) is list and found["c"][0] == 1 and isinstance(found["c"][1], np.ndarray)
    assert data.default_convert(Pair(np.ones(1), 2)).a.tolist() == [1.0]
    assert data.default_convert("text") == "text"


# ---- datasets and samplers -----------------------------------------------------------------


def test_concatenation() -> None:
    whole = data.ConcatDataset([range(10), range(5)])
    assert (len(whole), whole[0], whole[11], whole[-1], whole.cumulative_sizes) == (15, 0, 1, 4, [10, 15])
    assert len(data.TensorDataset(torch.ones(2)) + data.TensorDataset(torch.ones(3))) == 5
    assert list(Stream() + Stream()) == [*range(7), *range(7)]
    with pytest.raises(AssertionError, match="datasets should not be an empty iterable"):
        data.ConcatDataset([])
    with pytest.raises(AssertionError, match="ConcatDataset does not support IterableDataset"):
        data.ConcatDataset([Stream()])
    with pytest.raises(ValueError, match="absolute value of index should not exceed dataset length"):
        whole[-16]
    with pytest.raises(AssertionError, match="ChainDataset only supports IterableDataset"):
        list(data.ChainDataset([range(3)]))
    with pytest.warns(FutureWarning, match="renamed to `cumulative_sizes`"):
        assert whole.cummulative_sizes == [10, 15]


def test_stacking() -> None:
    assert data.StackDataset(range(3), TEN[:3])[2] == (2, 2)
    named = data.StackDataset(a=range(3), b=data.Subset("xyz", [2, 1, 0]))
    assert named[0] == {"a": 0, "b": "z"} and len(named) == 3
    assert named.__getitems__([0, 2]) == [{"a": 0, "b": "z"}, {"a": 2, "b": "x"}]
    for bad in (lambda: data.StackDataset(), lambda: data.StackDataset(range(2), range(3))):
        with pytest.raises(ValueError, match="At least one dataset should be passed|Size mismatch between datasets"):
            bad()
    with pytest.raises(ValueError, match="but both types are given"):
        data.StackDataset(range(2), a=range(2))


def test_tensor_dataset_and_subset() -> None:
    rows = data.TensorDataset(torch.arange(6).reshape(3, 2), torch.arange(3))
    assert plain(rows[1]) == [[2, 3], 1] and len(rows) == 3
    assert plain(data.Subset(rows, [2, 0])[0]) == [[4, 5], 2]
    assert plain(data.Subset(torch.arange(10), [3, 4, 5])[[0, 2]]) == [3, 5]
    with pytest.raises(AssertionError, match="Size mismatch between tensors"):
        data.TensorDataset(torch.ones(2), torch.ones(3))
    with pytest.raises(NotImplementedError, match="you must also override __getitems__"):
        type("Own", (data.Subset,), {"__getitem__": lambda self, i: 1})(TEN, [1])
    with pytest.raises(NotImplementedError, match=r"^Subclasses of Dataset should implement __getitem__\.$"):
        data.Dataset()[0]


SAMPLER_ERRORS: list[tuple[type[Exception], str, Any]] = [
    (
        ValueError,
        "num_samples should be a positive integer value, but got num_samples=0",
        lambda: data.RandomSampler([]),
    ),
    (TypeError, "replacement should be a boolean value, but got replacement=3", lambda: data.RandomSampler([1], 3)),
    (ValueError, "but got num_samples=0", lambda: data.WeightedRandomSampler([1.0], 0)),
    (ValueError, "but got replacement=2", lambda: data.WeightedRandomSampler([1.0], 1, 2)),
    (
        ValueError,
        "weights should be a 1d sequence but given weights have shape (1, 1)",
        lambda: data.WeightedRandomSampler([[1.0]], 1),
    ),
    (ValueError, "but got batch_size=True", lambda: data.BatchSampler([1], True, False)),
    (NotImplementedError, "", lambda: iter(data.Sampler())),
]


@pytest.mark.parametrize(("error", "message", "act"), SAMPLER_ERRORS)
def test_sampler_errors(error: type[Exception], message: str, act: Any) -> None:
    with pytest.raises(error) as caught:
        act()
    assert message in str(caught.value)


def test_batch_sampler() -> None:
    sampler = data.SequentialSampler(range(7))
    assert list(data.BatchSampler(sampler, 3, False)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(data.BatchSampler(sampler, 3, True)) == [[0, 1, 2], [3, 4, 5]]
    assert [len(data.BatchSampler(sampler, 3, drop)) for drop in (False, True)] == [3, 2]


@pytest.mark.live
@pytest.mark.parametrize("options", [{"shuffle": True}, {"shuffle": True, "drop_last": True}, {}])
def test_live(options: dict[str, Any]) -> None:
    oracle = pytest.importorskip("torch")
    from torch.utils.data import DataLoader as OracleLoader

    def trail(module: Any, loader: Any) -> Any:
        module.manual_seed(11)
        return [[batch.tolist() for batch in loader] for _ in range(3)], module.rand(3).tolist()

    ours, theirs = (cls(range(23), 5, **options) for cls in (DataLoader, OracleLoader))
    assert trail(torch, ours) == trail(oracle, theirs)


def test_batches_of_tensors_are_at_hand() -> None:
    labels = torch.arange(8) % 5
    loader = DataLoader(data.TensorDataset(torch.ones(8, 3), labels), batch_size=4)
    for x, y in loader:
        assert not x._s.pending and not y._s.pending
        with pytest.raises(IndexError, match="is out of bounds"):
            torch.nn.functional.cross_entropy(x, y)


def test_an_epoch_may_be_endless() -> None:
    sampler = data.RandomSampler(range(7), replacement=True, num_samples=10**15)
    drawn = [i for i, _ in zip(sampler, range(100))]
    assert len(drawn) == 100 and set(drawn) == set(range(7))


def test_the_order_is_that_of_the_argument_whatever_the_attribute_shows() -> None:  # recbole
    class Loader(torch.utils.data.DataLoader):
        def __getattribute__(self, name: str):
            return [0] * 100 if name == "dataset" else super().__getattribute__(name)

    for shuffle in (False, True):
        assert len(Loader([1, 2, 3], shuffle=shuffle).sampler) == 3


ROWS: dict[str, Any] = {
    "rows": lambda x: [x[3], x[0], x[3]],
    "rows within": lambda x: [x[3, 1], x[0, 1]],
    "elements": lambda x: [x[1, 1, 1], x[2, 0, 0]],
    "columns": lambda x: [x[:, 0], x[:, 1]],
    "turned": lambda x: [x[1].t(), x[0].t()],
    "pieces between rows": lambda x: [x.reshape(-1)[1:4], x.reshape(-1)[3:6]],
    "expanded": lambda x: [x[0, 0].expand(2, 3)] * 2,
    "no elements": lambda x: [x[0, :0], x[1, :0]],
    "of two tensors": lambda x: [x[0], (x + 0)[1]],
    "pending": lambda x: [x[0] + 1, x[1] + 1],
}


@pytest.mark.parametrize("dt", [torch.float32, torch.bfloat16, torch.int64, torch.complex64])
@pytest.mark.parametrize("way", ROWS)
def test_parts_of_one_tensor_are_collated_as_others(way: str, dt: torch.dtype) -> None:
    x = torch.arange(24).reshape(4, 2, 3).to(dt)
    x.tolist()
    parts = ROWS[way](x)
    found = data.default_collate(parts)
    assert found.dtype is dt and found.tolist() == [p.tolist() for p in parts]
    found += 1
    assert x.reshape(-1)[5] == 5


def test_parts_that_want_gradients_are_stacked_for_autograd() -> None:
    w = torch.ones(3, 2, requires_grad=True)
    data.default_collate([w[0], w[2], w[2]]).sum().backward()
    assert w.grad is not None and w.grad.tolist() == [[1, 1], [0, 0], [2, 2]]
