"""Rows as PyTorch datasets: the extra `torch`. Called by `Snapshot.to_torch`.

    train = snapshot.to_torch(split="train", columns=["key", "labels"], media=True, transform=to_tensors)
    loader = DataLoader(train, batch_size=64, shuffle=True, num_workers=4, multiprocessing_context="spawn",
                        collate_fn=train.collate)

Workers have to be spawned, or come from a fork server, and say so where they were forked: neither Lance nor obstore
lives through a fork, which is the default of DataLoader on Linux up to Python 3.13. So the transform must be one that
pickles (a function of a module, no lambda). A fork server starts workers sooner, once it has loaded torch:
`multiprocessing.set_forkserver_preload(["torch", "syncd.training.reader"])`.

How fast: time `for _ in DataLoader(snapshot.to_torch(iterable=True, shuffle=True), batch_size=256, collate_fn=…)`,
with the columns that a model needs: parsing the JSON of `result` and `data` costs more than reading them.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from syncd.domain.errors import Rejected
from syncd.training.extras import required
from syncd.training.loaders.order import Order
from syncd.training.loaders.rows import Rows
from syncd.training.query import Query

if TYPE_CHECKING:
    from syncd.training.snapshot import Snapshot


class TorchOptions(Query, total=False):
    """Keyword arguments of `Snapshot.to_torch`, besides those of Query.

    `transform`: called with each row (a dict, JSON columns parsed) in the worker; what it returns is the sample.
    `media`: rows have `media` too, the row's `Media` (None where it has no object), which is read when it is opened.

    `iterable`: an IterableDataset, which reads many rows at once: the faster way to go through all of them, and the
    one that shares them among workers and ranks by itself, each row exactly once. Without it the dataset is
    map-style, and DataLoader(shuffle=True) or a DistributedSampler says the order. Of iterable ones alone:

    `shuffle`: all rows at random, by `seed` (default 0) and the epoch set by `set_epoch`; else by row id.
    `rank`, `world_size`: which share of the rows this process reads (default: what torch.distributed says when it is
    initialised, else all). All ranks get the same number: `drop_last` leaves out what does not divide evenly, else
    rows from the start of the order are repeated, as DistributedSampler does.
    """

    transform: Callable[[dict[str, Any]], Any]
    media: bool
    iterable: bool
    shuffle: bool
    seed: int
    rank: int
    world_size: int
    drop_last: bool


_OF_STREAMS = tuple(field.name for field in fields(Order))


def to_torch(snapshot: "Snapshot", options: TorchOptions) -> Any:
    """The rows as a dataset of `torch_datasets`. Rejected: an option of iterable datasets without `iterable`."""
    if unknown := options.keys() - TorchOptions.__annotations__.keys():
        raise TypeError(f"to_torch() got an unexpected keyword argument {', '.join(sorted(unknown))}")
    required("torch")
    from syncd.training.loaders.torch_datasets import RowDataset, RowStream  # noqa: PLC0415 - its classes are torch's

    given: Mapping[str, Any] = options
    query = Query(**{name: given[name] for name in Query.__annotations__ if name in given})  # type: ignore[typeddict-item]
    order = {name: given[name] for name in _OF_STREAMS if name in given}
    if order and not options.get("iterable"):
        hint = "pass iterable=True; the order of a map-style dataset is said by its DataLoader or sampler"
        raise Rejected(f"{', '.join(order)}: {hint}")
    rows = Rows(snapshot, query, media=options.get("media", False), transform=options.get("transform"))
    return RowStream(rows, Order(**order)) if options.get("iterable") else RowDataset(rows)
