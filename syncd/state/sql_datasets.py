"""Statements about a whole dataset. Used by `sql` only; each is one step of a transaction."""

from sqlalchemy import Connection, delete

from syncd.state.schema import cursors, metadata


def forget(connection: Connection, dataset: str) -> None:
    """See `StateStore.forget`."""
    for table in metadata.sorted_tables:
        if "dataset" in table.c:
            connection.execute(delete(table).where(table.c.dataset == dataset))
    connection.execute(delete(cursors).where(cursors.c.name.endswith(f":{dataset}", autoescape=True)))
