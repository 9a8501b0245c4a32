"""Imported answers into Label Studio: with new tasks in one request, or one by one to tasks that are there.

Used by `dataset`. The server gives imported answers no identity that we could look for, so what is there is told
by what it says: kind, regions and, for predictions, model version. Region ids do not count.
"""

from collections.abc import Iterable, Sequence

from syncd.annotators.label_studio.client import Client
from syncd.annotators.label_studio.listing import Listing, among
from syncd.annotators.label_studio.reading import task_key
from syncd.domain.model import AnswerKind, ImportedAnswer, JsonObject, ObjectRef
from syncd.ports import TaskHeader

_NOBODY = ObjectRef("", "")
_MEMBERS = {AnswerKind.ANNOTATION: "annotations", AnswerKind.PREDICTION: "predictions"}


def answers_of(answers: Iterable[ImportedAnswer]) -> JsonObject:
    """The members `annotations` and `predictions` of a task to import; those that there are."""
    members: dict[str, list[JsonObject]] = {}
    for one in answers:
        members.setdefault(_MEMBERS[one.kind], []).append(_body(one))
    return members


def _body(answer: ImportedAnswer) -> JsonObject:
    origin = {"model_version": answer.model_version} if answer.kind is AnswerKind.PREDICTION else {}
    return {"result": list(answer.result), **origin}


async def answer(client: Client, listing: Listing, task: TaskHeader, answers: Sequence[ImportedAnswer]) -> bool:
    """Give a task the answers it lacks, each with a request. False: it is gone or not ours any more, and gets none."""
    found = await listing.all_by_id([among([int(task.task_id)])], fields="all")
    ours = next((there for there in found if task_key(there) == task.task_key), None)
    if ours is None:
        return False
    known = {one.digest for one in _there(ours)}
    for wanted in answers:
        if wanted.digest not in known:
            await _give(client, task.task_id, wanted)
    return True


def _there(task: JsonObject) -> Iterable[ImportedAnswer]:
    for raw in task.get("annotations") or ():
        yield ImportedAnswer(_NOBODY, AnswerKind.ANNOTATION, tuple(raw.get("result") or ()))
    for raw in task.get("predictions") or ():
        result, origin = tuple(raw.get("result") or ()), raw.get("model_version") or None
        yield ImportedAnswer(_NOBODY, AnswerKind.PREDICTION, result, origin)


async def _give(client: Client, task_id: str, answer: ImportedAnswer) -> None:
    if answer.kind is AnswerKind.ANNOTATION:
        await client.post_json("adding an annotation", f"api/tasks/{task_id}/annotations/", {}, _body(answer))
    else:
        await client.post_json("adding a prediction", "api/predictions/", {}, {"task": int(task_id), **_body(answer)})
