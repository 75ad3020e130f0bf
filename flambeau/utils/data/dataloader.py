"""Batches of a dataset (`torch.utils.data.dataloader`).

How many random numbers an epoch draws, from which generator and when, is part of the
behaviour: the same seed gives PyTorch's batches.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ._utils.collate import default_collate, default_convert
from ._utils.fetch import FETCHERS, MAP, STREAM, holds_plain_tensors
from ._utils.worker import get_worker_info
from .dataset import Dataset, IterableDataset
from .iterators import BaseIterator, SingleProcessIterator
from .sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler, WeightedRandomSampler

if TYPE_CHECKING:
    from flambeau import Generator

__all__ = ["DataLoader", "default_collate", "default_convert", "get_worker_info"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_collate_fn_t = Callable[[list[T]], Any]  # the names are PyTorch's, for annotations
_worker_init_fn_t = Callable[[int], None]

_FIXED = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")
_PLAIN_SAMPLERS = (SequentialSampler, RandomSampler, WeightedRandomSampler)


class _DatasetKind:
    """How a dataset is read: by index or as a stream."""

    Map = MAP
    Iterable = STREAM

    @staticmethod
    def create_fetcher(kind: int, dataset: Any, auto_collation: bool, collate_fn: Any, drop_last: bool) -> Any:
        """What gets and collates the data of an index or a list of them."""
        return FETCHERS[kind](dataset, auto_collation, collate_fn, drop_last)


class _InfiniteConstantSampler(Sampler[None]):
    """Says that there is more, for a stream of samples."""

    def __iter__(self) -> Any:
        while True:
            yield None


class DataLoader(Generic[T_co]):
    """An iterable over batches of a dataset.

    Data is loaded in the calling process, or with `num_workers` above 0 in so many worker processes, ahead of what
    is asked for; tensors come back in memory that is handed over, not copied. An error in a worker is raised here
    with the worker's traceback; a worker that dies makes the loop raise `RuntimeError`.

    Args:
        dataset: a map from indices to samples, or an `IterableDataset`.
        batch_size: samples a batch; None for no batches.
        shuffle: random order, another one every epoch.
        sampler: gives the order instead.
        batch_sampler: gives lists of indices instead.
        num_workers: how many processes load; 0 for none.
        collate_fn: makes a batch of a list of samples.
        pin_memory: accepted; there is nothing to pin memory for.
        drop_last: leave out a last batch that is smaller.
        timeout: seconds to wait for a batch of a worker; 0 for ever.
        worker_init_fn: called in each worker with its number before it loads.
        multiprocessing_context: how workers are started: a context of `multiprocessing`, or a start method's name.
        generator: draws the order and the workers' seeds (default: the default one).
        prefetch_factor: batches a worker that are loaded in advance (default: 2).
        persistent_workers: keep the workers from one epoch to the next.
        pin_memory_device: accepted.
        in_order: False: batches come as they are ready.

    Raises:
        ValueError: options that exclude each other or are out of their range.
    """

    dataset: Dataset[T_co]
    batch_size: int | None
    num_workers: int
    drop_last: bool
    sampler: Any
    batch_sampler: Any
    prefetch_factor: int | None
    _iterator: BaseIterator | None
    __initialized = False

    def __init__(
        self,
        dataset: Dataset[T_co],
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Sampler[Any] | Iterable[Any] | None = None,
        batch_sampler: Sampler[list[Any]] | Iterable[list[Any]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        _check_workers(num_workers, timeout, prefetch_factor, persistent_workers)
        self.dataset = dataset
        self.num_workers = num_workers
        self.prefetch_factor = 2 if num_workers > 0 and prefetch_factor is None else prefetch_factor
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.in_order = in_order
        self._dataset_kind = _DatasetKind.Iterable if isinstance(dataset, IterableDataset) else _DatasetKind.Map
        if self._dataset_kind == _DatasetKind.Iterable:
            _check_stream_options(shuffle, sampler, batch_sampler)
        _check_order_options(batch_size, shuffle, sampler, batch_sampler, drop_last)
        order: Any = self._default_sampler(dataset, shuffle, generator) if sampler is None else sampler
        if batch_sampler is not None:
            batch_size, drop_last = None, False
        elif batch_size is not None:
            batch_sampler = BatchSampler(order, batch_size, drop_last)
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = order
        self.batch_sampler = batch_sampler
        self.generator = generator
        self.collate_fn = collate_fn or (default_collate if self._auto_collation else default_convert)
        self.persistent_workers = persistent_workers
        self.__initialized = True
        self._IterableDataset_len_called: int | None = None
        self._iterator = None
        self.check_worker_number_rationality()

    def _default_sampler(self, dataset: Any, shuffle: bool | None, generator: Generator | None) -> Any:
        if self._dataset_kind == _DatasetKind.Iterable:
            return _InfiniteConstantSampler()
        return RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)

    def __setattr__(self, attr: str, val: Any) -> None:
        if self.__initialized and attr in _FIXED:
            raise ValueError(f"{attr} attribute should not be set after {type(self).__name__} is initialized")
        super().__setattr__(attr, val)

    @property
    def multiprocessing_context(self) -> Any:
        """The context that workers would be started in."""
        return self.__multiprocessing_context

    @multiprocessing_context.setter
    def multiprocessing_context(self, multiprocessing_context: Any) -> None:
        if multiprocessing_context is not None:
            multiprocessing_context = _checked_context(multiprocessing_context, self.num_workers)
        self.__multiprocessing_context = multiprocessing_context

    @property
    def _auto_collation(self) -> bool:
        return self.batch_sampler is not None

    @property
    def _index_sampler(self) -> Any:
        return self.batch_sampler if self._auto_collation else self.sampler

    def _reads_rows(self) -> bool:
        """Are the batches rows of plain tensors, in an order of whole numbers?"""
        return (
            self.collate_fn is default_collate
            and type(self.batch_sampler) is BatchSampler
            and type(self.sampler) in _PLAIN_SAMPLERS
            and holds_plain_tensors(self.dataset)
        )

    def _get_iterator(self) -> BaseIterator:
        if self.num_workers == 0:
            return SingleProcessIterator(self)
        from .processes import MultiProcessIterator

        self.check_worker_number_rationality()
        return MultiProcessIterator(self)

    def __iter__(self) -> BaseIterator:
        if not (self.persistent_workers and self.num_workers > 0):
            return self._get_iterator()
        if self._iterator is None or not self._iterator.restart(self):
            self._iterator = self._get_iterator()
        return self._iterator

    def __len__(self) -> int:
        if self._dataset_kind == _DatasetKind.Map:
            return len(self._index_sampler)
        stream: Any = self.dataset
        length = self._IterableDataset_len_called = len(stream)
        if self.batch_size is None:
            return length
        return length // self.batch_size if self.drop_last else math.ceil(length / self.batch_size)

    def check_worker_number_rationality(self) -> None:
        """Warns of more workers than there are processors for this process."""
        available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        if self.num_workers and (available is None or self.num_workers > available):
            warnings.warn(
                f"This DataLoader will create {self.num_workers} worker processes in total. {_suggestion(available)} "
                "Please be aware that excessive worker creation might get DataLoader running slow or even freeze, "
                "lower the worker number to avoid potential slowness/freeze if necessary.",
                stacklevel=3,
            )


def _suggestion(available: int | None) -> str:
    if available is None:
        return "DataLoader is not able to compute a suggested max number of worker in current system."
    unsure = "" if hasattr(os, "sched_getaffinity") else " (`cpuset` is not taken into account)"
    return (
        f"Our suggested max number of worker in current system is {available}{unsure}, which is smaller than what "
        "this DataLoader is going to create."
    )


def _check_workers(num_workers: int, timeout: float, prefetch: int | None, persistent: bool) -> None:
    """Raises ValueError for worker options out of their range or without workers."""
    if num_workers < 0:
        raise ValueError("num_workers option should be non-negative; use num_workers=0 to disable multiprocessing.")
    if timeout < 0:
        raise ValueError("timeout option should be non-negative")
    if num_workers == 0 and prefetch is not None:
        raise ValueError(
            "prefetch_factor option could only be specified in multiprocessing."
            "let num_workers > 0 to enable multiprocessing, otherwise set prefetch_factor to None."
        )
    if prefetch is not None and prefetch < 0:
        raise ValueError("prefetch_factor option should be non-negative")
    if persistent and num_workers == 0:
        raise ValueError("persistent_workers option needs num_workers > 0")


def _check_stream_options(shuffle: Any, sampler: Any, batch_sampler: Any) -> None:
    """Raises ValueError for an order asked of a stream, which has its own."""
    what = "DataLoader with IterableDataset: expected unspecified "
    if shuffle not in (False, None):
        raise ValueError(f"{what}shuffle option, but got shuffle={shuffle}")
    if sampler is not None:
        raise ValueError(f"{what}sampler option, but got sampler={sampler}")
    if batch_sampler is not None:
        raise ValueError(f"{what}batch_sampler option, but got batch_sampler={batch_sampler}")


def _check_order_options(batch_size: Any, shuffle: Any, sampler: Any, batch_sampler: Any, drop_last: Any) -> None:
    """Raises ValueError for ways to give the order and the batches that exclude each other."""
    if sampler is not None and shuffle:
        raise ValueError("sampler option is mutually exclusive with shuffle")
    if batch_sampler is not None:
        if batch_size != 1 or shuffle or sampler is not None or drop_last:
            raise ValueError(
                "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last"
            )
    elif batch_size is None and drop_last:
        raise ValueError("batch_size=None option disables auto-batching and is mutually exclusive with drop_last")


def _checked_context(context: Any, num_workers: int) -> Any:
    """A multiprocessing context from a context or the name of a start method."""
    import multiprocessing
    from multiprocessing.context import BaseContext

    if num_workers == 0:
        raise ValueError(
            "multiprocessing_context can only be used with multi-process loading (num_workers > 0), "
            f"but got num_workers={num_workers}"
        )
    if isinstance(context, str):
        valid = multiprocessing.get_all_start_methods()
        if context not in valid:
            raise ValueError(
                f"multiprocessing_context option should specify a valid start method in {valid!r}, "
                f"but got multiprocessing_context={context!r}"
            )
        return multiprocessing.get_context(context)
    if not isinstance(context, BaseContext):
        raise TypeError(
            "multiprocessing_context option should be a valid context object or a string specifying the start "
            f"method, but got multiprocessing_context={context}"
        )
    return context


_BaseDataLoaderIter = BaseIterator
_SingleProcessDataLoaderIter = SingleProcessIterator


def __getattr__(name: str) -> Any:
    """PyTorch's name of the iterator with worker processes, which is imported when it is needed."""
    if name == "_MultiProcessingDataLoaderIter":
        from .processes import MultiProcessIterator

        return MultiProcessIterator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
