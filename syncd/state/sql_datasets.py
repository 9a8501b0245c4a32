"""Statements about a whole dataset. Used by `sql` only; each is one step of a transaction."""

from sqlalchemy import Connection, delete, select

from syncd.domain.model import StagedChange
from syncd.state import sql_staging
from syncd.state.schema import cursors, deliveries, imported, intents, known, records, subjects


def forget(connection: Connection, dataset: str) -> None:
    """See `StateStore.forget`."""
    for table in (subjects, records, intents, imported, deliveries):
        connection.execute(delete(table).where(table.c.dataset == dataset))
    connection.execute(delete(subjects).where(subjects.c.dataset.startswith(f"{dataset}/", autoescape=True)))
    connection.execute(delete(cursors).where(cursors.c.name.endswith(f":{dataset}", autoescape=True)))
    ours = select(known.c.annotation_id, known.c.task_id).where(known.c.dataset == dataset)
    rows = connection.execute(ours.order_by(known.c.annotation_id))
    sql_staging.stage(connection, dataset, [StagedChange(annotation, task, None) for annotation, task in rows])
