"""Label Studio JSON: tasks with their annotations and predictions in `tasks.json`, to be imported again.

What `POST /api/projects/{id}/import` and the Import dialog take, in the form of Label Studio's own export; its
converter takes it too. https://labelstud.io/guide/export#Label-Studio-JSON-format-of-annotated-tasks

A task's `data` is what its label config saw; links in it lead where they led. Label Studio gives new ids, dates and
the importing person: it refuses an import that names people it does not know. So who answered stands in the task's
`meta`, with the version, the object and each annotation's row; the option `annotators=yes` writes `completed_by`
too, for the server the answers came from. Skipped answers are cancelled annotations, drafts are left out.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from syncd.domain.model import JsonObject, RowStatus
from syncd.exports.base import Format, Item, Source
from syncd.exports.plain import json_text

_OBJECT = ("object_uri", "bucket", "key", "etag", "version_id", "split")
_ROW = ("annotation_id", "annotator", "status", "invalid_reason", "digest")


def _write(source: Source, out: Path) -> None:
    with (out / "tasks.json").open("wb") as file:
        before = b"[\n"
        for task in _tasks(source):
            file.write(before + json_text(task))
            before = b",\n"
        file.write(b"\n]\n" if before == b",\n" else b"[]\n")


def _tasks(source: Source) -> Iterator[JsonObject]:
    for task_id, items in groupby(source.items(), key=lambda item: item.row["task_id"]):
        yield _task(source, task_id, list(items))


def _task(source: Source, task_id: str, items: list[Item]) -> JsonObject:
    first = items[0].row
    answers = [item.row for item in items if item.row["status"] != RowStatus.DRAFT]
    if drafts := len(items) - len(answers):
        source.lose("a draft", drafts)
    named = source.options.get("annotators") == "yes"
    return {
        "id": _number(task_id),
        "data": first["data"],
        "annotations": [_annotation(row, named=named) for row in answers],
        "predictions": list(_predictions(answers)),
        "meta": {"syncd": _lineage(source, first, answers)},
    }


def _annotation(row: Any, *, named: bool) -> JsonObject:
    made: JsonObject = {
        "id": _number(row["annotation_id"]),
        "result": row["result"],
        "was_cancelled": row["status"] == RowStatus.SKIPPED,
        "ground_truth": row["ground_truth"],
        "lead_time": row["lead_time"],
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
    }
    who = row["annotator"]
    return made | {"completed_by": {"email": who} if "@" in who else _number(who)} if named and who else made


def _predictions(rows: Iterable[Any]) -> Iterator[JsonObject]:
    """Each prediction that an answer began with, once."""
    for row in {row["prediction_id"]: row for row in rows if row["prediction"] is not None}.values():
        yield {"model_version": row["model_version"], "result": row["prediction"]}


def _lineage(source: Source, first: Any, answers: list[Any]) -> JsonObject:
    known = {name: first[name] for name in _OBJECT if first.get(name) is not None}
    rows = [{name: row[name] for name in _ROW if row.get(name) is not None} for row in answers]
    return {"snapshot": f"{source.snapshot.dataset}@{source.snapshot.name}", **known, "annotations": rows}


def _number(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdigit() else text


FORMAT = Format(
    "label-studio",
    "Label Studio JSON: tasks with annotations and predictions, to import again",
    _write,
    lambda _source: None,
    per_task=False,
    options={"annotators": "yes: say who answered, for the Label Studio that the answers came from"},
)
