"""The rows of a query by their places, read in any order: what the datasets of `torch_datasets` are made on.

Knows nothing of torch. Pickled, it is the version's URI, options and 8 bytes a row.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from syncd.training.media import MEDIA_COLUMNS
from syncd.training.query import Query, columns_of

if TYPE_CHECKING:
    from syncd.training.snapshot import Snapshot


class Rows:
    """The rows of a query, numbered by ascending row id. `transform` and `media` as in `TorchOptions`."""

    def __init__(
        self,
        snapshot: "Snapshot",
        query: Query,
        *,
        media: bool = False,
        transform: Callable[[dict[str, Any]], Any] | None = None,
    ) -> None:
        self._snapshot = snapshot
        self._row_ids = snapshot.row_ids(**query).to_numpy()
        columns = columns_of(query, snapshot.schema.names)
        self._helpers = [name for name in MEDIA_COLUMNS if media and name not in columns]
        self._query: Query = {**query, "columns": [*columns, *self._helpers]}
        self._media = media
        self._transform = transform

    def __len__(self) -> int:
        """How many."""
        return len(self._row_ids)

    def read(self, places: Any) -> Iterator[Any]:
        """The rows at these places (integers), in their order: read at once, made into samples one by one."""
        table = self._snapshot.take(self._row_ids[places], **self._query)
        return (self._finished(row) for row in self._snapshot.parsed(table))

    def _finished(self, row: dict[str, Any]) -> Any:
        if self._media:
            media = self._snapshot.buckets.find(row)
            for name in self._helpers:
                del row[name]
            row["media"] = media
        return self._transform(row) if self._transform else row
