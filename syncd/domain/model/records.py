"""Records and intents: what was done about object versions, and what is about to be."""

from dataclasses import dataclass
from enum import StrEnum

from syncd.domain.model.imported import ImportedAnswer
from syncd.domain.model.subjects import ObjectRef, Part
from syncd.domain.model.values import JsonObject, digest

SIDECAR = "sidecar"
"""Name of the part that describes an object without being shown."""


class TaskState(StrEnum):
    """Where a task of ours stands.

    IN_DOUBT: we are about to take it out of work, or to put it back; whether that was done is not known until it is
    taken out once more. RETIRED: taken out of work, still in the annotator because it holds human work. REMOVED: taken
    out by us and deleted there. DISCARDED: deleted there by a person; that object version gets no new task.
    """

    ACTIVE = "active"
    IN_DOUBT = "in-doubt"
    RETIRED = "retired"
    REMOVED = "removed"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class Record:
    """What we did about one object version: the task we made of it. `serial` grows with each task of one object."""

    dataset: str
    ref: ObjectRef
    task_key: str
    task_id: str
    etag: str | None
    version_id: str | None = None
    size: int | None = None
    serial: int = 0
    state: TaskState = TaskState.ACTIVE
    parts: tuple[Part, ...] = ()

    @property
    def version(self) -> str | None:
        """As `Observation.version`."""
        return self.version_id or self.etag

    @property
    def media(self) -> Part:
        """The object that people were shown: of a task made of several the first; itself where it is one object."""
        made_of = [part for part in self.parts if part.name != SIDECAR]
        return made_of[0] if made_of else Part("", self.ref, self.etag, self.version_id)


@dataclass(frozen=True, slots=True)
class Placement:
    """One planned task: which object version, and under which key the annotator will know it."""

    ref: ObjectRef
    task_key: str
    etag: str | None
    version_id: str | None
    size: int | None
    serial: int
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Intent:
    """What we are about to do: one bulk import under one marker. Written before the import, gone with its records."""

    dataset: str
    marker: str
    created_at: float
    placements: tuple[Placement, ...]


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task as handed to an annotator. `data` holds the label config's variables, `meta` our lineage.

    `answers` come with it: predictions to look over, annotations from elsewhere.
    """

    task_key: str
    data: JsonObject
    meta: JsonObject
    answers: tuple[ImportedAnswer, ...] = ()


def task_key(dataset: str, ref: ObjectRef, version: str | None, serial: int) -> str:
    """The key an annotator knows a task by: 32 hex digits, the same for the same object version and serial."""
    return digest("\n".join((dataset, ref.bucket, ref.key, version or "", str(serial))))[:32]
