"""Task listings of one project, through the Data Manager: filtered, paged by key, complete or raising.

Used by `dataset` and `retiring`. Pages are never asked for by number: each asks for what lies behind the last row
seen, so rows that come and go in between cannot shift others out of sight.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from syncd.annotators.label_studio.client import Client
from syncd.annotators.label_studio.errors import Garbled, Refused, in_project
from syncd.domain.model import JsonObject
from syncd.ports import Changed

PAGE_SIZE = 1000
TIE_LIMIT = 100_000
"""Tasks changed in the same microsecond that are still read as one page."""


def where(column: str, operator: str, type_: str, value: object) -> JsonObject:
    """One Data Manager filter on a task column."""
    return {"filter": f"filter:tasks:{column}", "operator": operator, "type": type_, "value": value}


def among(task_ids: Sequence[int]) -> JsonObject:
    """The filter for these tasks."""
    return where("id", "in_list", "List", list(task_ids))


class Listing:
    """The tasks of one project, as raw JSON. Raises as `Client.read` does.

    `overlap`: for how many seconds a change may be committed late.
    """

    def __init__(self, client: Client, project: int, *, overlap: float) -> None:
        self.project = project
        self.client = client
        self._overlap = overlap

    async def by_id(self, filters: Sequence[JsonObject], **params: str) -> AsyncIterator[list[JsonObject]]:
        """Pages of the tasks that pass all filters, by rising id. `params`: what to include of each."""
        last = 0
        while True:
            behind = [*filters, where("id", "greater", "Number", last)]
            tasks, total = await self._page(behind, "tasks:id", PAGE_SIZE, **params)
            if tasks:
                yield tasks
                last = tasks[-1]["id"]
            if len(tasks) >= total:
                return

    async def all_by_id(self, filters: Sequence[JsonObject], **params: str) -> list[JsonObject]:
        """As `by_id`, in one list."""
        return [task async for page in self.by_id(filters, **params) for task in page]

    async def changed(self, cursor: str | None) -> AsyncIterator[Changed]:
        """Pages of what changed behind the cursor, up to the newest change as of now.

        What changes while this runs is left to the next time, so it ends however busy the project is. A cursor
        never passes what may still be committed late: the last seconds are listed again, until they are past.
        """
        settled = _text(await self.client.server_time() - timedelta(seconds=self._overlap))
        newest, _ = await self._changes([], "-tasks:updated_at", 1)
        horizon, since, size = _text(_instant(newest[0])) if newest else "", cursor or "", PAGE_SIZE
        while since < horizon:
            tasks, total = await self._changes(_behind(since), "tasks:updated_at", size)
            if not tasks:
                return
            last, complete = _instant(tasks[-1]), len(tasks) >= total
            # Rows of one instant have no order among them: where some may be missing, all of them come again.
            reached = _text(last if complete else last - timedelta(microseconds=1))
            yield Changed(tuple(str(task["id"]) for task in tasks), max(cursor or "", min(reached, settled)))
            if complete:
                return
            since, size = reached, min(size * 4, TIE_LIMIT) if reached == since else PAGE_SIZE

    async def _changes(self, filters: list[JsonObject], order: str, size: int) -> tuple[list[JsonObject], int]:
        return await self._page(filters, order, size, fields="task_only", include="id,updated_at")

    async def _page(
        self, filters: Sequence[JsonObject], order: str, size: int, **params: str
    ) -> tuple[list[JsonObject], int]:
        """The first rows, and how many there are in all."""
        query: dict[str, Any] = {"ordering": [order]}
        if filters:
            query["filters"] = {"conjunction": "and", "items": list(filters)}
        base = {"project": self.project, "page": 1, "page_size": size, "resolve_uri": "false"}
        text = orjson.dumps(query).decode()
        try:
            answer = await self.client.get_json("listing tasks", "api/tasks/", {**base, **params, "query": text})
        except Refused as error:
            raise in_project(error, self.project) from None
        return _rows(answer)


def _rows(answer: Any) -> tuple[list[JsonObject], int]:
    try:
        tasks, total = answer["tasks"], int(answer["total"])
    except (KeyError, TypeError, ValueError):
        raise Garbled("Label Studio listed tasks in a form that is not known") from None
    if total and not tasks:
        raise Garbled("Label Studio counted tasks but listed none")
    return tasks, total


def _instant(task: JsonObject) -> datetime:
    return datetime.fromisoformat(task["updated_at"])


def _text(instant: datetime) -> str:
    """With microseconds, always: the only form the server's filters take, and one that sorts as text."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _behind(since: str) -> list[JsonObject]:
    return [where("updated_at", "greater", "Datetime", since)] if since else []
