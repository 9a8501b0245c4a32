"""One Label Studio project as an annotator dataset.

Made by `server`, used by the flows through the port. Ids are the server's integers as text.
"""

import re
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, TypeVar

from syncd.annotators.label_studio import retiring, webhook
from syncd.annotators.label_studio.answering import answer, answers_of
from syncd.annotators.label_studio.drafts import drafts_of
from syncd.annotators.label_studio.errors import Refused, in_project, shortened
from syncd.annotators.label_studio.listing import Listing, among, where
from syncd.annotators.label_studio.reading import BATCH, KEY, is_retired, task_content, task_key, task_lineage
from syncd.domain.errors import Rejected, Retryable, SyncdError
from syncd.domain.labels.configs import LabelConfig
from syncd.domain.labels.task_data import json_task_data
from syncd.domain.model import DatasetStats, ImportedAnswer, JsonObject, NewTask, ObjectRef, TaskContent, TaskState
from syncd.ports import Changed, TaskHeader, TaskLineage, WebhookStatus

T = TypeVar("T")
CHUNK = 300
"""Tasks asked for in one URL: with seven-digit ids just below the 4,094 bytes a gunicorn takes by default."""

_ITEM = re.compile(r"Errors? .*?at item (\d+): (.*?)(?: ::| \[assume|$)", re.DOTALL)


class LabelStudioDataset:
    """One project. `config` is its label config, with a primary object tag; `created_at` as the server says.

    `link` makes what task data holds to show an object.
    """

    def __init__(
        self, listing: Listing, link: Callable[[ObjectRef], str], config: LabelConfig, *, drift: str, created_at: str
    ) -> None:
        self.url = f"{listing.client.url}/projects/{listing.project}"
        self.identity = f"project {listing.project} of {created_at}"
        self.drift = drift
        self.project = listing.project
        self._client = listing.client
        self._link = link
        self._listing = listing
        self._config = config

    @property
    def inline_text(self) -> bool:
        """As the port says."""
        return self._config.inline_text

    def link(self, ref: ObjectRef) -> str:
        """As the port says."""
        return self._link(ref)

    def task_data(self, ref: ObjectRef, text: str | None) -> JsonObject:
        """As the port says. Rejected for what the server can neither show nor store."""
        if not self.inline_text:
            return {self._config.variables[0]: self._link(ref)}
        if text is None or "\0" in text:
            raise Rejected(f"{ref.id}: Label Studio stores no text with NUL characters; is this a text object?")
        return json_task_data(self._config, text) if self._config.structured else {self._config.variables[0]: text}

    async def import_tasks(self, marker: str, tasks: Sequence[NewTask]) -> list[str]:
        """As the port says: one request, never repeated here."""
        if not tasks:
            return []
        path, body = f"api/projects/{self.project}/import", [_wire(task, marker) for task in tasks]
        try:
            answer = await self._client.post_json("importing tasks", path, {"return_task_ids": "true"}, body)
        except Refused as error:
            raise _import_refused(error, self.project) from None
        ids = answer.get("task_ids") if isinstance(answer, dict) else None
        if not isinstance(ids, list) or len(set(ids)) != len(tasks):
            raise Retryable(f"Label Studio imported {len(tasks)} tasks into {self.url} but did not name them all")
        return [str(id_) for id_ in ids]

    async def find_by_marker(self, marker: str) -> dict[str, str]:
        """One query; where a key was made twice under the marker, the older task counts."""
        filters = [where(f"data.{BATCH}", "equal", "String", marker)]
        tasks = await self._listing.all_by_id(filters, fields="task_only", include="id,data")
        found = {key: str(task["id"]) for task in reversed(tasks) if (key := task_key(task))}
        return dict(sorted(found.items(), key=lambda item: int(item[1])))

    async def retire(self, tasks: Sequence[TaskHeader], reason: str) -> list[TaskState]:
        """As the port says. The server itself checks for keys and human work as it deletes."""
        states: list[TaskState] = []
        for chunk in _chunks(tasks):
            states += await retiring.retire(self._client, self._listing, chunk, reason)
        return states

    async def restore(self, tasks: Sequence[TaskHeader]) -> None:
        """As the port says."""
        for chunk in _chunks(tasks):
            await retiring.restore(self._client, self._listing, chunk)

    async def contents(self, task_ids: Sequence[str]) -> list[TaskContent]:
        """One request for up to 300 tasks; more where people have unsubmitted work on them."""
        contents: list[TaskContent] = []
        for chunk in _chunks([int(task_id) for task_id in dict.fromkeys(task_ids)]):
            tasks = await self._listing.all_by_id([among(chunk)], fields="all")
            drafts = await drafts_of(self._client, self.project, tasks)
            contents += [task_content(task, drafts.get(task["id"], ())) for task in tasks]
        return contents

    async def give(self, task: TaskHeader, answers: Sequence[ImportedAnswer]) -> bool:
        """As the port says."""
        return await answer(self._client, self._listing, task, answers)

    def changed(self, cursor: str | None) -> AsyncIterator[Changed]:
        """As the port says; the cursor is the last task's time of change."""
        return self._listing.changed(cursor)

    async def tasks(self) -> AsyncIterator[Sequence[TaskHeader]]:
        """As the port says."""
        async for page in self._listing.by_id([], fields="task_only", include="id,data"):
            yield [TaskHeader(str(task["id"]), task_key(task), is_retired(task)) for task in page]

    async def lineages(self) -> AsyncIterator[Sequence[TaskLineage]]:
        """As the port says."""
        async for page in self._listing.by_id([], fields="task_only", include="id,data,meta"):
            yield [task_lineage(task) for task in page]

    async def ensure_webhook(self, url: str, secret: str) -> WebhookStatus:
        """As the port says."""
        return await webhook.ensure(self._client, self.project, url, secret)

    async def remove_webhook(self, path: str) -> None:
        """As the port says."""
        await webhook.remove(self._client, self.project, path)

    async def stats(self) -> DatasetStats:
        """As the server counts; it recounts for each call, so this is not for polling."""
        api = self._client.sdk.projects
        project = await self._client.read("counting", lambda: api.get(self.project))
        return DatasetStats(
            tasks=project.task_number or 0,
            labelled=project.num_tasks_with_annotations or 0,
            annotations=project.total_annotations_number or 0,
            predictions=project.total_predictions_number or 0,
            skipped=project.skipped_annotations_number or 0,
        )

    async def delete(self) -> None:
        """As the port says."""
        api = self._client.sdk.projects
        try:
            await self._client.write("deleting the project", lambda: api.delete(self.project))
        except Refused as error:
            if error.status != 404:
                raise


def _wire(task: NewTask, marker: str) -> dict[str, Any]:
    """Key and marker lie flat in the data: nothing else can be filtered on."""
    data = {**task.data, KEY: task.task_key, BATCH: marker}
    return {"data": data, "meta": task.meta, **answers_of(task.answers)}


def _import_refused(error: Refused, project: int) -> SyncdError:
    """Which items, where the server tells: a list with one text for each bad item. Its texts end in the item's data."""
    matches = (_ITEM.match(text) for text in map(str, error.errors.get("non_field_errors") or ()))
    problems = {int(match[1]): shortened(match[2]) for match in matches if match}
    if not problems:
        return in_project(error, project)
    return Rejected(f"{error}: {len(problems)} items named as invalid", problems=problems)


def _chunks(items: Sequence[T]) -> list[Sequence[T]]:
    return [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]
