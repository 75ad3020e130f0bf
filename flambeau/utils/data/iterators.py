"""One pass of a `DataLoader` over its dataset."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from ._utils.fetch import fetcher_maker
from .sampler import draw_seed

if TYPE_CHECKING:
    from .dataloader import DataLoader


class BaseIterator:
    """Draws the seed of the pass and counts what it yields."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        self._loader = loader
        self._dataset = loader.dataset
        self._index_sampler = loader._index_sampler
        if loader.pin_memory:
            self._warn_about_pinning(loader.pin_memory_device)
        self._reset(loader)
        # Drawn though nothing here may use it: the default generator goes on as in PyTorch.
        self._base_seed = draw_seed(loader.generator)

    def _warn_about_pinning(self, device: str) -> None:
        if device:
            warnings.warn(
                "pin_memory_device is deprecated, the current accelerator will be used as the device,"
                f"ignore pin_memory_device='{device}'.",
                stacklevel=5,
            )
        warnings.warn(
            "'pin_memory' argument is set as true but no accelerator is found, "
            "then device pinned memory won't be used.",
            stacklevel=5,
        )

    def _reset(self, loader: DataLoader[Any]) -> None:
        """Starts a pass; the index sampler draws nothing yet."""
        self._sampler_iter = iter(self._index_sampler)
        self._num_yielded = 0
        self._announced = loader._IterableDataset_len_called

    def restart(self, loader: DataLoader[Any]) -> bool:
        """Begins a further pass with what this one has, if it can be used again."""
        return False

    def __iter__(self) -> BaseIterator:
        return self

    def _next_index(self) -> Any:
        return next(self._sampler_iter)

    def _next_data(self) -> Any:
        raise NotImplementedError

    def __next__(self) -> Any:
        data = self._next_data()
        self._num_yielded += 1
        if self._announced is not None and self._num_yielded > self._announced:
            self._warn_about_length()
        return data

    def _warn_about_length(self) -> None:
        message = (
            f"Length of IterableDataset {self._dataset} was reported to be {self._announced}"
            f"(when accessing len(dataloader)), but {self._num_yielded} samples have been fetched. "
        )
        if self._loader.num_workers > 0:
            message += (
                "For multiprocessing data-loading, this could be caused by not properly configuring the "
                "IterableDataset replica at each worker. Please see "
                "https://pytorch.org/docs/stable/data.html#torch.utils.data.IterableDataset for examples."
            )
        warnings.warn(message, stacklevel=3)

    def __len__(self) -> int:
        return len(self._index_sampler)

    def __getstate__(self) -> Any:
        raise NotImplementedError("{} cannot be pickled", type(self).__name__)


class SingleProcessIterator(BaseIterator):
    """Loads every batch when it is asked for."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        super().__init__(loader)
        if loader.timeout != 0:
            raise AssertionError("_SingleProcessDataLoaderIter requires timeout == 0")
        self._fetcher = fetcher_maker(loader)(self._dataset)

    def _next_data(self) -> Any:
        return self._fetcher.fetch(self._next_index())
