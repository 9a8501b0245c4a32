"""Label Studio's task JSON → our words. Pure; used by `dataset`.

The server stores nearly anything, so nothing here trusts a form: what is not what it should be becomes None, or
stays as it is for the flows to judge.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from syncd.domain.model import Annotation, JsonObject, RowStatus, TaskContent
from syncd.ports import TaskLineage

KEY = "syncd_key"
BATCH = "syncd_batch"
RETIRED = "syncd_retired"


def task_content(task: JsonObject, drafts: Iterable[JsonObject]) -> TaskContent:
    """One task of a listing with `fields=all`, and the drafts on it."""
    task_id = str(task["id"])
    predictions = {str(prediction["id"]): prediction for prediction in task.get("predictions") or ()}
    answers = [_annotation(task_id, raw, predictions) for raw in task.get("annotations") or ()]
    unsubmitted = [_draft(task_id, raw) for raw in drafts]
    return TaskContent(task_id, task_key(task), own_data(task), (*answers, *unsubmitted))


def task_key(task: JsonObject) -> str | None:
    """The key we gave the task; None where it is not ours."""
    key = _data(task).get(KEY)
    return key if isinstance(key, str) else None


def is_retired(task: JsonObject) -> bool:
    """Whether a task was flagged as taken out of work."""
    return _data(task).get(RETIRED) is not None


def task_lineage(task: JsonObject) -> TaskLineage:
    """One task of a listing that includes data and meta."""
    meta, retired = task.get("meta"), _data(task).get(RETIRED)
    known = meta if isinstance(meta, dict) else {}
    return TaskLineage(str(task["id"]), task_key(task), known, "" if retired is None else str(retired) or "retired")


def own_data(task: JsonObject) -> JsonObject:
    """The task's data without what we keep our books with."""
    return {name: value for name, value in _data(task).items() if name not in {KEY, BATCH, RETIRED}}


def _data(task: JsonObject) -> JsonObject:
    data = task.get("data")
    return data if isinstance(data, dict) else {}


def _annotation(task_id: str, raw: JsonObject, predictions: Mapping[str, JsonObject]) -> Annotation:
    prediction_id = _text(raw.get("parent_prediction"))
    prediction = predictions.get(prediction_id or "", {})
    return Annotation(
        id=str(raw["id"]),
        task_id=task_id,
        status=RowStatus.SKIPPED if raw.get("was_cancelled") else RowStatus.SUBMITTED,
        annotator=_person(raw.get("completed_by")),
        ground_truth=bool(raw.get("ground_truth")),
        prediction_id=prediction_id,
        prediction=_result(prediction) if prediction else None,
        model_version=_text(prediction.get("model_version")),
        **_common(raw),
    )


def _draft(task_id: str, raw: JsonObject) -> Annotation:
    annotator = _person(raw.get("user"))
    return Annotation(f"draft-{raw['id']}", task_id, RowStatus.DRAFT, annotator=annotator, **_common(raw))


def _common(raw: JsonObject) -> dict[str, Any]:
    lead_time = raw.get("lead_time")
    return {
        "result": _result(raw),
        "lead_time": float(lead_time) if isinstance(lead_time, int | float) else None,
        "created_at": _text(raw.get("created_at")),
        "updated_at": _text(raw.get("updated_at")),
    }


def _result(raw: JsonObject) -> list[JsonObject]:
    result = raw.get("result")
    if result is None:
        return []
    return result if isinstance(result, list) else [result]


def _person(value: object) -> str | None:
    """A user as the server names one: an id, an e-mail address, or an object with either."""
    return _text(value.get("email") or value.get("id")) if isinstance(value, dict) else _text(value)


def _text(value: object) -> str | None:
    return None if value is None or value == "" else str(value)
