"""What all reading methods of a snapshot take: which rows, and which of their columns.

snapshot.to_pandas(split="train", columns=["key", "labels"])
snapshot.to_pandas(tasks="majority", agreement=True)

Called by `snapshot` and `views`. Pure: text in, Lance's filter and columns out.
"""

from collections.abc import Sequence
from typing import TypedDict

from syncd.domain.errors import Rejected
from syncd.domain.model import RowStatus

STATUSES = (*(status.value for status in RowStatus), "all")
TASKS = ("newest", "majority", "ground-truth", "all")
VIEW_COLUMNS = ("annotations", "annotators", "agreement")


class Query(TypedDict, total=False):
    """Keyword arguments of every reading method.

    `status`: submitted (the default), skipped, draft, invalid or all. `split`: rows of that split alone.
    `retired`: False leaves out, True gives alone, the rows whose object changed or left later; None: both.
    `columns`: only these, in this order.

    `tasks`: None gives every annotation its row. With a policy the rows found are grouped by task, and each task has
    one row: `newest` (the answer changed last), `majority` (the answer that agrees most with the others; for choices
    that is the answer given most often), `ground-truth` (a reviewer's reference, else the newest), or all of its
    rows (`all`). Two columns come with it: `annotations` (int: how many rows the task has) and `annotators` (list).
    `agreement`: with a third, `agreement` (0 to 1, null where one person answered; see `training.agreement`), which
    naming it in `columns` asks for too.
    """

    status: str
    split: str | None
    retired: bool | None
    columns: Sequence[str] | None
    tasks: str | None
    agreement: bool


def columns_of(query: Query, names: Sequence[str]) -> list[str]:
    """The columns asked for, given the table's. Rejected: there is no such column."""
    known = [*names, *_view_columns(query)]
    if query.get("columns") is None:
        return known
    chosen = list(query["columns"] or ())
    offered = [*names, *VIEW_COLUMNS] if query.get("tasks") else names
    if unknown := [column for column in chosen if column not in offered]:
        hint = f" ({', '.join(VIEW_COLUMNS)} come with tasks=…)" if set(unknown) & set(VIEW_COLUMNS) else ""
        raise Rejected(f"no column {', '.join(unknown)}; there is: {', '.join(offered)}{hint}")
    return chosen


def wants_agreement(query: Query) -> bool:
    """Whether the agreement column is asked for, which reads every answer and needs a library."""
    return bool(query.get("agreement")) or "agreement" in (query.get("columns") or ())


def filter_of(query: Query) -> str | None:
    """The filter for Lance. Rejected: there is no such status, or no such policy."""
    if unknown := query.keys() - Query.__annotations__.keys():
        raise TypeError(f"unexpected keyword argument {', '.join(sorted(unknown))}")
    status, tasks = query.get("status", RowStatus.SUBMITTED.value), query.get("tasks")
    if status not in STATUSES:
        raise Rejected(f"no status {status!r}; there is: {', '.join(STATUSES)}")
    if tasks is not None and tasks not in TASKS:
        raise Rejected(f"no policy tasks={tasks!r}; there is: {', '.join(TASKS)}")
    if tasks is None and query.get("agreement"):
        raise Rejected("agreement=True is said of tasks: pass a policy too, as in tasks='newest'")
    conditions = [] if status == "all" else [f"status = '{status}'"]
    if split := query.get("split"):
        quoted = split.replace("'", "''")
        conditions.append(f"split = '{quoted}'")
    if (retired := query.get("retired")) is not None:
        conditions.append("retired" if retired else "NOT retired")
    return " AND ".join(conditions) or None


def _view_columns(query: Query) -> Sequence[str]:
    if not query.get("tasks"):
        return ()
    return VIEW_COLUMNS if query.get("agreement") else VIEW_COLUMNS[:2]
