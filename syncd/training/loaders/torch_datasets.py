"""The two kinds of PyTorch dataset over a snapshot's rows. Imported by `loaders.torch` once torch is there."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, IterableDataset, default_collate, get_worker_info

from syncd.training.loaders.order import Order
from syncd.training.loaders.rows import Rows

_CHUNK = 4_096  # rows read at once by a stream: reading 64 at once takes five times as long a row


def collate(samples: Sequence[Any]) -> Any:
    """A batch of samples: a dict or tuple of columns (a list for samples that are neither).

    Columns of numbers, and of tensors or arrays of one shape, become tensors; all others stay lists: texts, labels,
    regions, what holds a None. (DataLoader's own collate refuses None and lists of different lengths.)
    """
    first = samples[0]
    if isinstance(first, Mapping):
        return {name: _column([sample[name] for sample in samples]) for name in first}
    if isinstance(first, tuple):
        return tuple(_column(list(column)) for column in zip(*samples, strict=True))
    return _column(list(samples))


def _column(values: list[Any]) -> Any:
    numbers = all(isinstance(value, (bool, int, float)) for value in values)
    stackable = all(isinstance(value, (torch.Tensor, np.ndarray)) for value in values)
    same = stackable and len({tuple(value.shape) for value in values}) == 1
    return default_collate(values) if numbers or same else values


class RowDataset(Dataset[Any]):  # type: ignore[misc]  # torch is not followed
    """Map-style: samples by place, in ascending row id. DataLoader fetches a batch by one read."""

    collate = staticmethod(collate)

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def __len__(self) -> int:
        """How many rows."""
        return len(self._rows)

    def __getitem__(self, place: int) -> Any:
        """One sample; negative places count from the end. IndexError: there is none."""
        if not -len(self) <= place < len(self):
            raise IndexError(f"there are {len(self)} rows, and no row {place}")
        return next(self._rows.read([place]))

    def __getitems__(self, places: list[int]) -> list[Any]:
        """Many samples at once."""
        return list(self._rows.read(places))


class RowStream(IterableDataset[Any]):  # type: ignore[misc]
    """Iterable: all samples of this rank, shared among the workers of its DataLoader."""

    collate = staticmethod(collate)

    def __init__(self, rows: Rows, order: Order) -> None:
        self._rows = rows
        self._order = order
        self._place: tuple[int, int] | None = None
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # seen by workers that persist

    @property
    def num_rows(self) -> int:
        """How many samples this rank gives an epoch."""
        return len(self._share())

    def set_epoch(self, epoch: int) -> None:
        """Shuffle anew for this epoch; the same epoch and seed give the same order. Reaches persistent workers too."""
        self._epoch.fill_(epoch)

    def __iter__(self) -> Iterator[Any]:
        """The samples of this worker."""
        worker = get_worker_info()
        order = self._share()[worker.id :: worker.num_workers] if worker else self._share()
        for start in range(0, len(order), _CHUNK):
            yield from self._rows.read(order[start : start + _CHUNK])

    def _share(self) -> Any:
        return self._order.share(len(self._rows), int(self._epoch), self._place or _distributed())

    def __getstate__(self) -> dict[str, Any]:
        """Pickled for a spawned worker, which has no process group to ask for its rank."""
        return {**self.__dict__, "_place": self._place or _distributed()}


def _distributed() -> tuple[int, int]:
    """Rank and number of ranks of this process group; (0, 1) without one."""
    group = torch.distributed
    if group.is_available() and group.is_initialized():
        return group.get_rank(), group.get_world_size()
    return 0, 1
