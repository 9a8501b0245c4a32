"""Taking tasks out of work and putting them back, without ever deleting human work.

Used by `dataset`. Deletion is a Data Manager action whose filter the server applies as it deletes: a person who
submits between our look and our deletion loses nothing, nor does another object whose task got the id meanwhile (on
SQLite the server gives the highest task id away again). Flags have no such filter: they are set on what was just read.
"""

from collections.abc import Iterable, Sequence

from syncd.annotators.label_studio.client import Client
from syncd.annotators.label_studio.errors import Refused
from syncd.annotators.label_studio.listing import Listing, among, where
from syncd.annotators.label_studio.reading import KEY, RETIRED, task_key
from syncd.domain.model import JsonObject, TaskState
from syncd.ports import TaskHeader

# The task's own counters are stale after some actions, so this asks for the annotations themselves (skips included).
UNTOUCHED = (
    where("annotations_ids", "empty", "List", True),
    where("draft_exists", "equal", "Boolean", False),
)


async def retire(client: Client, listing: Listing, tasks: Sequence[TaskHeader], reason: str) -> list[TaskState]:
    """Delete those without human work, flag the others; what became of each. `tasks` are not empty."""
    there = await _meant(listing, tasks)
    await _delete_untouched(client, listing.project, there.values())
    kept = (await _meant(listing, tasks)).items()
    flagged = {header: await _set_data(client, task, {**task["data"], RETIRED: reason}) for header, task in kept}
    return [TaskState.RETIRED if flagged.get(header) else TaskState.REMOVED for header in tasks]


async def restore(client: Client, listing: Listing, tasks: Sequence[TaskHeader]) -> None:
    """Take the flag off again."""
    for task in (await _meant(listing, tasks)).values():
        data = {name: value for name, value in task["data"].items() if name != RETIRED}
        await _set_data(client, task, data)


async def _meant(listing: Listing, tasks: Sequence[TaskHeader]) -> dict[TaskHeader, JsonObject]:
    """Those that are there, as raw tasks; what has the id but another key is not."""
    ids = [int(header.task_id) for header in dict.fromkeys(tasks)]
    raw = await listing.all_by_id([among(ids)], fields="task_only", include="id,data")
    there = {str(task["id"]): task for task in raw}
    found = {header: there[header.task_id] for header in tasks if header.task_id in there}
    return {header: task for header, task in found.items() if header.task_key in (None, task_key(task))}


async def _delete_untouched(client: Client, project: int, tasks: Iterable[JsonObject]) -> None:
    keys = {task["id"]: task_key(task) for task in tasks}
    ours = [id_ for id_, key in keys.items() if key is not None]
    same_keys = where(f"data.{KEY}", "in_list", "List", [keys[id_] for id_ in ours])
    await _delete(client, project, ours, [*UNTOUCHED, same_keys])
    await _delete(client, project, [id_ for id_, key in keys.items() if key is None], UNTOUCHED)


async def _delete(client: Client, project: int, task_ids: Sequence[int], filters: Sequence[JsonObject]) -> None:
    """Of these tasks, those that pass all filters."""
    if not task_ids:  # to the server, a selection of all tasks
        return
    body = {
        "selectedItems": {"all": False, "included": list(task_ids)},
        "filters": {"conjunction": "and", "items": list(filters)},
    }
    await client.post_json("deleting tasks", "api/dm/actions", {"id": "delete_tasks", "project": project}, body)


async def _set_data(client: Client, task: JsonObject, data: JsonObject) -> bool:
    """Whether the task is still there."""
    if data == task["data"]:
        return True
    api = client.sdk.tasks
    try:
        await client.write("flagging a task", lambda: api.update(str(task["id"]), data=data))
    except Refused as error:
        if error.status == 404:
            return False
        raise
    return True
