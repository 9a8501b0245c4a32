"""Unsubmitted work of everyone.

Used by `dataset`. A task listing says that a task has drafts, but shows only those of the token's own user; the
one thing that shows all is an export. It is made over a view of just these tasks, and both are removed again.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from syncd.annotators.label_studio.client import Client
from syncd.annotators.label_studio.listing import among
from syncd.domain.errors import Retryable
from syncd.domain.model import JsonObject

TITLE = "syncd (temporary)"
_PATIENCE = 60
"""Seconds to wait for an export; a server without a job queue makes it within the request."""


async def drafts_of(client: Client, project: int, tasks: Sequence[JsonObject]) -> Mapping[int, Sequence[JsonObject]]:
    """task id → drafts, of tasks from a listing with `fields=all`. Asks the server only where it knows of drafts."""
    with_drafts = [task["id"] for task in tasks if task.get("draft_exists")]
    if not with_drafts:
        return {}
    views = client.sdk.views
    data = {"title": TITLE, "filters": {"conjunction": "and", "items": [among(with_drafts)]}}
    view = await client.write("making a view", lambda: views.create(project=project, data=data))
    try:
        exported = await _exported(client, project, view.id)
    finally:
        await client.write("removing the view", lambda: views.delete(str(view.id)))
    return {task["id"]: task["drafts"] for task in exported}


async def _exported(client: Client, project: int, view: int) -> list[JsonObject]:
    base = f"api/projects/{project}/exports"
    options = {"drafts": {"only_id": False}, "predictions": {"only_id": True}}
    body = {"title": TITLE, "task_filter_options": {"view": view}, "serialization_options": options}
    export = await client.post_json("exporting drafts", f"{base}/", {}, body)
    try:
        await _finished(client, base, export)
        path = f"{base}/{export['id']}/download"
        return list(await client.get_json("reading exported drafts", path, {"exportType": "JSON"}))
    finally:
        api = client.sdk.projects.exports
        await client.write("removing the export", lambda: api.delete(project, export["id"]))


async def _finished(client: Client, base: str, export: Any) -> None:
    for _ in range(_PATIENCE):
        if export["status"] == "completed":
            return
        await client.sleep(1.0)
        export = await client.get_json("waiting for the export", f"{base}/{export['id']}", {})
    raise Retryable("Label Studio did not finish an export of drafts; is its job queue running?")
