"""Rows as a Polars DataFrame: the extra `polars`. Called by `Snapshot.to_polars`."""

from typing import TYPE_CHECKING, Any

from syncd.training.extras import required
from syncd.training.query import Query

if TYPE_CHECKING:
    from syncd.training.snapshot import Snapshot


def to_polars(snapshot: "Snapshot", query: Query) -> Any:
    """The rows as a `polars.DataFrame`, over the memory of the Arrow table; JSON columns stay text."""
    polars = required("polars")
    return polars.from_arrow(snapshot.to_arrow(**query), rechunk=False)
