"""Statements of imported answers. Used by `sql` only; each is one step of a transaction."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, func, select, update

from syncd.domain.model import AnswerKind, ImportedAnswer, ObjectRef
from syncd.domain.model.imported import require_same_texts
from syncd.state.database import add, among, chunks, one_at_a_time
from syncd.state.schema import imported

_COLUMNS = (imported.c.bucket, imported.c.key, imported.c.kind, imported.c.result, imported.c.model_version)


def want(connection: Connection, dataset: str, answers: Sequence[ImportedAnswer]) -> int:
    """See `Imports.want`."""
    one_at_a_time(connection, f"imports {dataset}")
    there = list(_known(connection, dataset, {answer.ref for answer in answers}))
    require_same_texts({ref: text for ref, _, text in there if text is not None}, answers)
    known = {(ref, digest) for ref, digest, _ in there}
    fresh = {(a.ref, a.digest): a for a in answers if (a.ref, a.digest) not in known}
    add(connection, imported, [_values(dataset, answer) for answer in fresh.values()])
    return len(fresh)


def _known(
    connection: Connection, dataset: str, refs: Iterable[ObjectRef]
) -> Iterable[tuple[ObjectRef, str, str | None]]:
    for condition in _of(connection, dataset, refs):
        columns = (imported.c.bucket, imported.c.key, imported.c.digest, imported.c.text)
        for bucket, key, digest, text in connection.execute(select(*columns).where(condition)):
            yield ObjectRef(bucket, key), digest, text


def _of(connection: Connection, dataset: str, refs: Iterable[ObjectRef]) -> Iterable[ColumnElement[bool]]:
    """Conditions that pick these objects, each short enough."""
    for bucket, keys_there in sorted(_keys(refs).items()):
        for chunk in chunks(sorted(keys_there)):
            keys = among(connection, imported.c.key, chunk)
            yield (imported.c.dataset == dataset) & (imported.c.bucket == bucket) & keys


def _keys(refs: Iterable[ObjectRef]) -> dict[str, list[str]]:
    keys: dict[str, list[str]] = defaultdict(list)
    for ref in refs:
        keys[ref.bucket].append(ref.key)
    return keys


def _values(dataset: str, answer: ImportedAnswer) -> dict[str, Any]:
    return {
        "dataset": dataset,
        "bucket": answer.ref.bucket,
        "key": answer.ref.key,
        "digest": answer.digest,
        "kind": answer.kind.value,
        "result": orjson.dumps(answer.result).decode(),
        "model_version": answer.model_version,
        "text": answer.text,
        "given": 0,
    }


def wanted(connection: Connection, dataset: str, refs: Sequence[ObjectRef]) -> dict[ObjectRef, list[ImportedAnswer]]:
    """See `Imports.wanted`. What is given is left out here: SQLite would look through all that waits, not by key."""
    found: dict[ObjectRef, list[ImportedAnswer]] = defaultdict(list)
    if connection.execute(select(imported.c.n).where(imported.c.dataset == dataset).limit(1)).scalar() is None:
        return {}  # as for most datasets, and each batch asks
    for condition in _of(connection, dataset, refs):
        ours = select(*_COLUMNS, imported.c.given).where(condition).order_by(imported.c.n)
        for bucket, key, kind, result, model_version, done in connection.execute(ours):
            if done:
                continue
            ref = ObjectRef(bucket, key)
            found[ref].append(ImportedAnswer(ref, AnswerKind(kind), tuple(orjson.loads(result)), model_version))
    return dict(found)


def given(connection: Connection, dataset: str, answers: Sequence[ImportedAnswer]) -> None:
    """See `Imports.given`."""
    one_at_a_time(connection, f"imports {dataset}")
    for answer in answers:
        theirs = (imported.c.bucket == answer.ref.bucket, imported.c.key == answer.ref.key)
        one = (imported.c.dataset == dataset, *theirs, imported.c.digest == answer.digest)
        connection.execute(update(imported).where(*one).values(given=1))


def wanted_count(connection: Connection, dataset: str) -> int:
    """See `Imports.wanted_count`."""
    waiting = (imported.c.dataset == dataset, imported.c.given == 0)
    return connection.execute(select(func.count()).where(*waiting)).scalar_one()


def text(connection: Connection, dataset: str, ref: ObjectRef) -> str | None:
    """See `Imports.text`."""
    theirs = (imported.c.dataset == dataset, imported.c.bucket == ref.bucket, imported.c.key == ref.key)
    ours = select(imported.c.text).where(*theirs, imported.c.text.is_not(None)).order_by(imported.c.n).limit(1)
    return connection.execute(ours).scalar()
