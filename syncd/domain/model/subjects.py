"""Objects and subjects: what may be out of date, and the words for taking and settling it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, Self


class Kind(StrEnum):
    """What a subject is; each kind has exactly one flow."""

    OBJECT = "object"
    TASK = "task"
    DATASET = "dataset"
    DELIVERY = "delivery"


@dataclass(frozen=True, slots=True, order=True)
class ObjectRef:
    """Where an object lives."""

    bucket: str
    key: str

    @property
    def id(self) -> str:
        """The subject id: bucket URL, one space, key. A bucket URL holds no space, so it can be split again."""
        return f"{self.bucket} {self.key}"

    @classmethod
    def from_id(cls, id_: str) -> Self:
        """The inverse of `id`."""
        bucket, _, key = id_.partition(" ")
        return cls(bucket, key)


class Versioned(Protocol):
    """Whatever names a version of an object: an observation of it, a placement, a part, an answer's headers."""

    @property
    def etag(self) -> str | None:
        """Without quotes; None: not told."""
        ...

    @property
    def version_id(self) -> str | None:
        """Where the bucket has versions; None: it has none, or it was not told."""
        ...


@dataclass(frozen=True, slots=True)
class Part:
    """Another object that a task is made of: a sidecar, a member of a group, what a row of a manifest links to."""

    name: str
    ref: ObjectRef
    etag: str | None = None
    version_id: str | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """What an event or a listing saw of an object.

    `sequencer` orders two observations of one key under the sender's own rule (None: no order known);
    `observed_at` is when the sight was taken and orders the rest. `gone` means the object was not there.
    `settled` is False where it may still be being written: then it is looked at again, not acted upon.
    `parts`: what else its task is made of, as far as that is there; no event knows them.
    """

    observed_at: float
    etag: str | None = None
    version_id: str | None = None
    sequencer: str | None = None
    size: int | None = None
    gone: bool = False
    settled: bool = True
    parts: tuple[Part, ...] = ()

    @property
    def version(self) -> str | None:
        """What tells two versions of one object apart: the version id where the bucket has them, else the etag."""
        return self.version_id or self.etag


@dataclass(frozen=True, slots=True)
class Subject:
    """A thing that may be out of date. `id`: an ObjectRef id, a task id, the dataset's own name, or a delivery's id.

    A delivery's `dataset` is `DATASET/TRIGGER`.
    """

    kind: Kind
    dataset: str
    id: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Put a subject into the set, or refresh it there. `delay`: seconds until it is due.

    A dataset subject keeps its earliest due time when marked again unless `postpone` is set. Without `revive` a
    dead subject stays as it is when the observation says what the dead one's said: the same version, gone or not.
    `trace`: the W3C traceparent of what told us, where traces are written.
    """

    subject: Subject
    observation: Observation | None = None
    delay: float = 0.0
    postpone: bool = False
    revive: bool = True
    trace: str | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A subject taken under a lease.

    `generation` counts marks: a settle for an older generation leaves the subject pending, because
    something was seen in between. `attempts` counts failed tries since the last mark or success;
    `failing_since` is when the first of them was. `marked_at`: when it began to wait, unix seconds. `traces`: those of
    the marks it stands for, the oldest first, as far as they are kept.
    """

    subject: Subject
    generation: int
    observation: Observation | None = None
    attempts: int = 0
    failing_since: float | None = None
    token: str = ""
    marked_at: float | None = None
    traces: tuple[str, ...] = ()


class Outcome(StrEnum):
    """How a claim was settled."""

    DONE = "done"
    AGAIN = "again"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of a claim. `delay` (seconds) counts for AGAIN; `failed` says whether the try counts as a failure.

    `vanished` counts for DONE: the object was gone before anything was made of it, so that nothing but the set of
    subjects can tell a late event of it from news. `cause` is `SyncdError.cause` where an error decided: one word of
    few, to be counted by.
    """

    claim: Claim
    outcome: Outcome
    reason: str = ""
    delay: float = 0.0
    failed: bool = True
    vanished: bool = False
    cause: str = ""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A subject settled dead: revived by a new event or by hand."""

    subject: Subject
    reason: str
    dead_at: float
    attempts: int
