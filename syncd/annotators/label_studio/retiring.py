"""Taking tasks out of work and putting them back, without ever deleting human work.

Used by `dataset`. Deletion is one Data Manager action whose filter the server applies as it deletes: a person who
submits between our look and our deletion loses nothing.
"""

from collections.abc import Sequence

from syncd.annotators.label_studio.client import Client
from syncd.annotators.label_studio.errors import Refused
from syncd.annotators.label_studio.listing import Listing, among, where
from syncd.annotators.label_studio.reading import RETIRED
from syncd.domain.model import JsonObject, TaskState

# The task's own counters are stale after some actions, so this asks for the annotations themselves (skips included).
UNTOUCHED = (
    where("annotations_ids", "empty", "List", True),
    where("draft_exists", "equal", "Boolean", False),
)


async def retire(
    client: Client, listing: Listing, project: int, task_ids: Sequence[int], reason: str
) -> dict[str, TaskState]:
    """Delete those without human work, flag the others; what became of each. `task_ids` are not empty."""
    await _delete_untouched(client, project, task_ids)
    states = {str(task_id): TaskState.REMOVED for task_id in task_ids}
    for task in await _raw(listing, task_ids):
        if await _set_data(client, task, {**task["data"], RETIRED: reason}):
            states[str(task["id"])] = TaskState.RETIRED
    return states


async def restore(client: Client, listing: Listing, task_ids: Sequence[int]) -> None:
    """Take the flag off again."""
    for task in await _raw(listing, task_ids):
        data = {name: value for name, value in task["data"].items() if name != RETIRED}
        await _set_data(client, task, data)


async def _delete_untouched(client: Client, project: int, task_ids: Sequence[int]) -> None:
    if not task_ids:
        raise ValueError("an empty selection is a selection of all tasks to the server")
    body = {
        "selectedItems": {"all": False, "included": list(task_ids)},
        "filters": {"conjunction": "and", "items": list(UNTOUCHED)},
    }
    await client.post_json("deleting tasks", "api/dm/actions", {"id": "delete_tasks", "project": project}, body)


async def _raw(listing: Listing, task_ids: Sequence[int]) -> list[JsonObject]:
    return await listing.all_by_id([among(task_ids)], fields="task_only", include="id,data")


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
