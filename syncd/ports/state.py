"""The state store, in its roles."""

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from syncd.domain.deliveries import Attempt, Delivery, Status
from syncd.domain.model import (
    Claim,
    DeadLetter,
    ImportedAnswer,
    Intent,
    Kind,
    Mark,
    ObjectRef,
    Record,
    Settlement,
    StagedChange,
    Subject,
)
from syncd.ports.cursors import Cursors
from syncd.ports.leases import Leases
from syncd.ports.quarantine import Quarantine

Lane = tuple[Kind, str]
"""All subjects of one kind in one dataset: what one flow takes at a time."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """How much of one kind in one dataset waits. `oldest`: when the longest waiting subject was first marked."""

    kind: Kind
    dataset: str
    pending: int
    claimed: int
    dead: int
    oldest: float | None


KnownVersion = tuple[str, str | None, str | None, str, bool]
"""Of a record, as a plain tuple, for there are as many as objects: key, etag, version id, state, whether of parts."""


class Subjects(Protocol):
    """The durable set of subjects."""

    async def mark(self, marks: Sequence[Mark]) -> None:
        """Put subjects into the set; durable on return (fsynced). Idempotent.

        The same subject again merges its observation (`planning.newer`), raises its generation, revives it
        if dead, forgets its failures, and is due at the earlier of both times (`Mark.postpone`: at the new one).
        Without `Mark.revive` a dead one stays as it is, its observation too, when the mark saw the same version.
        """
        ...

    async def claim(self, *, limit: int, lease: float, avoid: Collection[Lane] = ()) -> list[Claim]:
        """Take up to `limit` due subjects of one lane (that of the longest waiting) for `lease` s.

        Lanes in `avoid` are passed over: this process is busy with them already.
        A subject is held by at most one claim; after its lease it may be claimed again, under another token.
        """
        ...

    async def renew(self, claims: Sequence[Claim], *, lease: float) -> int:
        """Hold claims for `lease` s from now. Those lost meanwhile are passed over; returns how many."""
        ...

    async def settle(self, settlements: Sequence[Settlement]) -> int:
        """Done removes the subject, again makes it due after its delay, dead puts it among the dead letters.

        One that was done as vanished leaves a tombstone: no part of the backlog and of no claim. A mark whose sequencer
        is not newer, and says so too, leaves it be; any other makes it due anew, to be looked at.
        A subject marked since its claim stays pending and due whatever the outcome; a settlement whose claim
        was lost to another token has no effect; returns how many were.
        """
        ...

    async def wait(self, timeout: float) -> None:
        """Return when a subject may have become due, or after `timeout` s. A hint: spurious returns are fine."""
        ...

    async def backlog(self) -> list[Backlog]:
        """Counts by kind and dataset."""
        ...

    async def dead_letters(self, dataset: str | None = None) -> list[DeadLetter]:
        """Subjects settled dead, oldest first; of a dataset, those of its triggers too."""
        ...

    async def revive(self, subjects: Sequence[Subject]) -> int:
        """Make dead letters due now; returns how many were dead."""
        ...

    async def drop(self, subjects: Sequence[Subject]) -> int:
        """Forget dead letters; returns how many were dead."""
        ...

    async def prune_gone(self, before: float) -> int:
        """Forget tombstones of what was settled before a time (unix seconds); returns how many."""
        ...


class Records(Protocol):
    """What we did about objects, and what we are about to do."""

    async def records(self, dataset: str, refs: Sequence[ObjectRef]) -> dict[ObjectRef, list[Record]]:
        """All records of these objects by serial; objects without any are left out."""
        ...

    async def by_task(self, dataset: str, task_ids: Sequence[str]) -> dict[str, list[Record]]:
        """The records behind task ids; unknown ones are left out.

        Several under one id: an annotator may give the id of a deleted task to a new one (Label Studio on
        SQLite does); their task keys tell them apart.
        """
        ...

    async def task_keys(self, dataset: str, keys: Sequence[str]) -> set[str]:
        """Which of these task keys have a record."""
        ...

    def walk(self, dataset: str, bucket: str, *, after: str = "") -> AsyncIterator[Sequence[Record]]:
        """Pages of a bucket's records in the order of the keys' UTF-8 bytes; one object's records stay on one page."""
        ...

    def walk_versions(
        self, dataset: str, bucket: str, *, after: str = "", upto: str | None = None
    ) -> AsyncIterator[Sequence[KnownVersion]]:
        """As `walk`, up to a key (included; None: to the end), without what only a closer look needs."""
        ...

    def walk_tasks(self, dataset: str) -> AsyncIterator[Sequence[Record]]:
        """Pages of a dataset's records in the numeric order of their task ids."""
        ...

    async def intend(self, intent: Intent, *, held: Sequence[Claim] = ()) -> None:
        """Write down an import before it is sent; durable on return.

        `held`: the claims it is made for. Conflict, and nothing is written: one of them was lost to another, who may do
        the same.
        """
        ...

    async def intents(self, dataset: str) -> list[Intent]:
        """Open intents, oldest first."""
        ...

    async def record(self, records: Sequence[Record]) -> None:
        """Write records (by dataset and task key: insert or replace), whatever was there. For what is made anew."""
        ...

    async def fulfil(
        self, marker: str | None, records: Sequence[Record], *, held: Sequence[Claim] = ()
    ) -> list[Record]:
        """Close an intent with records of the tasks that it made, in one transaction. None: no intent tells of them.

        Returns the records whose task is the one that is recorded. A task key that has a record already keeps it:
        somebody else found the tasks, and went on with them, or made others. Nothing is written where the intent is
        closed already, unless the claims it was made for are all `held` still.
        """
        ...

    async def amend(
        self, changes: Sequence[tuple[Record, Record]], marks: Sequence[Mark] = (), *, held: Sequence[Claim] = ()
    ) -> list[Record]:
        """Replace records (before, after) that are as they were read, and mark, in one transaction.

        One that was changed or forgotten meanwhile stays so; returns those that were written. `held` as for `intend`.
        """
        ...

    async def abandon(self, marker: str) -> None:
        """Close an intent that had no effect. Idempotent."""
        ...


class Staging(Protocol):
    """Rows on their way into the next snapshot version, and which annotation belongs to which task."""

    async def known(self, dataset: str, task_ids: Sequence[str]) -> dict[str, dict[str, str]]:
        """task id → annotation id → digest of the row last staged; for tasks that ever had rows."""
        ...

    async def tasks_of(self, dataset: str, annotation_ids: Sequence[str]) -> list[str]:
        """The tasks these annotations were last seen on; unknown annotations are left out."""
        ...

    async def stage(
        self, dataset: str, changes: Sequence[StagedChange], *, held: Sequence[Claim] | None = None
    ) -> None:
        """Put changes in, the newest per annotation id wins; durable on return. Idempotent.

        `held`: only those of the tasks that these claims still hold; who lost its claim may have read what is old by
        now. None: all.
        """
        ...

    async def staged(self, dataset: str, *, limit: int) -> list[StagedChange]:
        """Changes in staging order, with their `seq`."""
        ...

    async def staged_count(self, dataset: str) -> int:
        """How many changes wait."""
        ...

    async def committed(self, dataset: str, changes: Sequence[StagedChange]) -> None:
        """These are in a version now: take them out, unless staged anew since (another `seq`).

        A row whose annotation was deleted meanwhile, and that deletion committed before this row, is staged as gone
        again: whoever committed it stood still in between.
        """
        ...


class Imports(Protocol):
    """Answers from elsewhere, on their way to the tasks of their objects; and the texts that came with them."""

    async def want(self, dataset: str, answers: Sequence[ImportedAnswer]) -> int:
        """Put answers in; durable on return. One that was ever put in for its object is passed over: how many are new.

        Idempotent. Told apart by `ImportedAnswer.digest`. Rejected, and nothing is put in: an object's text is another
        than the one that it came with before.
        """
        ...

    async def wanted(self, dataset: str, refs: Sequence[ObjectRef]) -> dict[ObjectRef, list[ImportedAnswer]]:
        """The answers that these objects' tasks still lack, in the order they came; objects without are left out."""
        ...

    async def given(self, dataset: str, answers: Sequence[ImportedAnswer]) -> None:
        """Their tasks have these now. Idempotent; they stay known."""
        ...

    async def wanted_count(self, dataset: str) -> int:
        """How many answers wait for their object, or its task."""
        ...

    async def text(self, dataset: str, ref: ObjectRef) -> str | None:
        """The text of an object of an `import://` bucket; None where there is none."""
        ...


class Deliveries(Protocol):
    """Events on their way to triggers' targets, and the log of the tries."""

    async def announce(self, deliveries: Sequence[Delivery], *, cursor: str, value: str) -> list[str]:
        """Write deliveries, mark those that are to be sent, and set a cursor, in one transaction.

        One that is there already stays as it is, its event too; but one that was passed over is written anew.
        Returns the ids of those that were marked.
        """
        ...

    async def delivery(self, id_: str) -> Delivery | None:
        """The delivery with its log, or None."""
        ...

    async def deliveries(
        self, *, dataset: str | None = None, status: Status | None = None, limit: int = 100
    ) -> list[Delivery]:
        """Deliveries with their logs, newest first."""
        ...

    async def attempted(self, id_: str, attempt: Attempt) -> None:
        """Add an entry to the log; durable on return. The oldest are dropped after `ATTEMPTS_KEPT`."""
        ...

    async def redeliver(self, ids: Sequence[str]) -> int:
        """Make deliveries due now, whatever became of them: the same event again. Returns how many there are."""
        ...

    async def prune_deliveries(self, before: float) -> int:
        """Forget those made before a time (unix seconds) that do not wait, dead letters included; how many."""
        ...


class StateStore(Subjects, Records, Staging, Imports, Deliveries, Quarantine, Cursors, Leases, Protocol):
    """All roles on one database, and its life."""

    async def forget(self, dataset: str) -> None:
        """Forget what was done for a dataset, its cursors (names ending in `:dataset`) included. Idempotent.

        The rows it had are staged as gone, so that its next version holds none of them.
        """
        ...

    async def close(self) -> None:
        """Finish what is under way and release the database. Idempotent."""
        ...
