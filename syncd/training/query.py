"""What all reading methods of a snapshot take: which rows, and which of their columns.

snapshot.to_pandas(split="train", columns=["key", "labels"])
"""

from collections.abc import Sequence
from typing import Any, TypedDict

from syncd.domain.errors import Rejected
from syncd.domain.model import RowStatus

STATUSES = (*(status.value for status in RowStatus), "all")


class Query(TypedDict, total=False):
    """Keyword arguments of every reading method.

    `status`: submitted (the default), skipped, draft, invalid or all. `split`: rows of that split alone.
    `columns`: only these, in this order.
    """

    status: str
    split: str | None
    columns: Sequence[str] | None


def scan_of(query: Query, names: Sequence[str]) -> dict[str, Any]:
    """`columns` and `filter` for Lance, given the table's column names. Rejected: no such status or column."""
    chosen = list(names if query.get("columns") is None else query["columns"] or ())
    unknown = [column for column in chosen if column not in names]
    if unknown:
        raise Rejected(f"no column {', '.join(unknown)}; there is: {', '.join(names)}")
    status = query.get("status", RowStatus.SUBMITTED.value)
    if status not in STATUSES:
        raise Rejected(f"no status {status!r}; there is: {', '.join(STATUSES)}")
    conditions = [] if status == "all" else [f"status = '{status}'"]
    if split := query.get("split"):
        quoted = split.replace("'", "''")
        conditions.append(f"split = '{quoted}'")
    return {"columns": chosen, "filter": " AND ".join(conditions) or None}
