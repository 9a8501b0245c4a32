"""Webhook bodies → events. Pure: bytes in, ids out; the receiver does the I/O.

An event is a hint. Nothing but ids is read from it, the truth is pulled from the annotator; so what is missing or
odd is passed over, and only bytes that can never be a webhook body are refused.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from syncd.domain.decoding import decoded_object

MAX_ID = 2**63 - 1

_TASK_ACTIONS = frozenset({"ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_CREATED"})
_DELETED = "ANNOTATIONS_DELETED"


@dataclass(frozen=True, slots=True)
class AnnotationEvent:
    """What a webhook spoke of, each id once, in order. Deletions name annotations only. Both empty: nothing of use."""

    task_ids: tuple[str, ...] = ()
    annotation_ids: tuple[str, ...] = ()


def parse_label_studio(body: bytes) -> AnnotationEvent:
    """The event in a webhook body of Label Studio.

    Rejected where the body is not JSON, not an object, or nested deeper than 64. Unknown actions, and members that
    are missing, null or of another type, make an event without those ids.
    """
    event = decoded_object(body, "Label Studio")
    action = event.get("action")
    if action == _DELETED:
        return AnnotationEvent(annotation_ids=_unique(_ids(event.get("annotations"), "id")))
    if not isinstance(action, str) or action not in _TASK_ACTIONS:
        return AnnotationEvent()
    annotations = event.get("annotation")  # a list under a singular name where the action speaks of several
    tasks = (*_ids(annotations, "task"), *_ids(event.get("task"), "id"))
    return AnnotationEvent(_unique(tasks), _unique(_ids(annotations, "id")))


def _ids(members: object, name: str) -> Iterator[str]:
    """The valid ids under a name in one object, or in each object of a list."""
    for member in members if isinstance(members, list) else [members]:
        value = member.get(name) if isinstance(member, dict) else None
        if type(value) is int and 0 < value <= MAX_ID:  # a bool is no id
            yield str(value)


def _unique(ids: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(ids))
