"""Task listings of one project, through the Data Manager: filtered, paged by key, complete or raising.

Used by `dataset` and `retiring`. Pages are never asked for by number: each asks for what lies behind the last row
seen, so rows that come and go in between cannot shift others out of sight.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import structlog

from syncd.annotators.label_studio.client import Client
from syncd.annotators.label_studio.errors import Garbled, Refused, in_project
from syncd.domain.model import JsonObject
from syncd.ports import Changed

PAGE_SIZE = 1000
_RESOLUTION = timedelta(microseconds=1)
_TIMES = {"fields": "task_only", "include": "id,updated_at"}

log = structlog.get_logger()


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
        now = await self.client.server_time()
        cursor, settled = self._credible(cursor, now), _text(now - timedelta(seconds=self._overlap))

        def until(instant: datetime) -> str:
            return max(cursor or "", min(_text(instant), settled))

        newest, _ = await self._page([], "-tasks:updated_at", 1, **_TIMES)
        horizon, since = _text(_instant(newest[0])) if newest else "", cursor or ""
        while since < horizon:
            tasks, total = await self._page(_behind(since), "tasks:updated_at", PAGE_SIZE, **_TIMES)
            if len(tasks) >= total:
                if tasks:
                    yield Changed(_ids(tasks), until(_instant(tasks[-1])))
                return
            # Rows of one instant have no order among them: those of the last one are listed again, as a whole.
            last = _instant(tasks[-1])
            if _instant(tasks[0]) < last:
                yield Changed(_ids(tasks), until(last - _RESOLUTION))
                since = _text(last - _RESOLUTION)
            else:
                async for page in self._tied(last, until):
                    yield page
                since = _text(last)

    def _credible(self, cursor: str | None, now: datetime) -> str | None:
        """None for a cursor out of the future, made when the server's clock ran ahead: behind it, nothing is seen."""
        if cursor is None or cursor <= _text(now):
            return cursor
        log.warning("cursor.ahead", project=self.project, cursor=cursor, server_time=_text(now))
        return None

    async def _tied(self, instant: datetime, until: Callable[[datetime], str]) -> AsyncIterator[Changed]:
        """Pages of what changed in one instant, by rising id. Only with the last one the cursor passes it."""
        held: tuple[str, ...] = ()
        async for tasks in self.by_id([where("updated_at", "equal", "Datetime", _text(instant))], **_TIMES):
            if held:
                yield Changed(held, until(instant - _RESOLUTION))
            held = _ids(tasks)
        if held:
            yield Changed(held, until(instant))

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


def _ids(tasks: Sequence[JsonObject]) -> tuple[str, ...]:
    return tuple(str(task["id"]) for task in tasks)


def _instant(task: JsonObject) -> datetime:
    return datetime.fromisoformat(task["updated_at"])


def _text(instant: datetime) -> str:
    """With microseconds, always: the only form the server's filters take, and one that sorts as text."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _behind(since: str) -> list[JsonObject]:
    return [where("updated_at", "greater", "Datetime", since)] if since else []
