"""The tables of the state database, as SQLAlchemy sees them. `migrations` makes them; a test holds both equal.

Times are unix seconds, values that are never searched by are JSON text. Text sorts as bytes on both dialects.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)

metadata = MetaData()

_Serial = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only under this name
_Text = Text().with_variant(Text(collation="C"), "postgresql")  # sorts as bytes, whatever the database's collation

schema_version = Table("schema_version", metadata, Column("version", Integer, primary_key=True, autoincrement=False))

subjects = Table(
    "subjects",
    metadata,
    Column("n", _Serial, primary_key=True),
    Column("kind", _Text, nullable=False),
    Column("dataset", _Text, nullable=False),
    Column("id", _Text, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("due_at", Float, nullable=False),
    Column("first_marked_at", Float, nullable=False),
    Column("observation", _Text),
    Column("attempts", Integer, nullable=False),
    Column("failing_since", Float),
    Column("lease_until", Float),
    Column("token", _Text, nullable=False),
    Column("dead_at", Float),
    Column("reason", _Text, nullable=False),
    Column("gone_at", Float),  # of tombstones
    Column("ready_at", Float),  # from when on it can be claimed; NULL for dead letters and tombstones
    Column("traces", _Text),  # of the marks it stands for, a space between; NULL where no traces are written
    Index("subjects_identity", "kind", "dataset", "id", unique=True),
    Index("subjects_ready", "kind", "dataset", "ready_at"),
)


def _index_of(name: str, column: str, some: ColumnElement[bool]) -> None:
    """Index some of the subjects, for those who count them or look for the first."""
    lane = (subjects.c.kind, subjects.c.dataset)
    Index(name, *lane, subjects.c[column], sqlite_where=some, postgresql_where=some)


_index_of("subjects_waiting", "first_marked_at", subjects.c.ready_at.is_not(None))
_index_of("subjects_claimed", "lease_until", subjects.c.lease_until.is_not(None))
_index_of("subjects_dead", "dead_at", subjects.c.dead_at.is_not(None))
_gone = subjects.c.gone_at.is_not(None)
Index("subjects_gone", subjects.c.gone_at, sqlite_where=_gone, postgresql_where=_gone)

records = Table(
    "records",
    metadata,
    Column("dataset", _Text, primary_key=True),
    Column("task_key", _Text, primary_key=True),
    Column("task_id", _Text, nullable=False),  # not unique: annotators give freed ids away again
    Column("task_number", BigInteger, nullable=False),  # sorts numeric task ids; 0 for others
    Column("bucket", _Text, nullable=False),
    Column("key", _Text, nullable=False),
    Column("etag", _Text),
    Column("version_id", _Text),
    Column("size", BigInteger),
    Column("serial", Integer, nullable=False),
    Column("state", _Text, nullable=False),
    Column("parts", _Text),  # NULL: the task is made of its object alone
    Index("records_by_object", "dataset", "bucket", "key", "serial"),
    Index("records_by_task", "dataset", "task_id"),
    Index("records_by_number", "dataset", "task_number", "task_id", "task_key"),
)

intents = Table(
    "intents",
    metadata,
    Column("n", _Serial, primary_key=True),
    Column("dataset", _Text, nullable=False),
    Column("marker", _Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("placements", _Text, nullable=False),
    Index("intents_identity", "marker", unique=True),
)

staged = Table(
    "staged",
    metadata,
    Column("seq", _Serial, primary_key=True),
    Column("dataset", _Text, nullable=False),
    Column("annotation_id", _Text, nullable=False),
    Column("task_id", _Text, nullable=False),
    Column("row", _Text),  # NULL: the annotation is gone
    Index("staged_identity", "dataset", "annotation_id", unique=True),
    Index("staged_in_order", "dataset", "seq"),
    sqlite_autoincrement=True,  # a `seq` that was handed out is never used again
)

known = Table(
    "known",
    metadata,
    Column("dataset", _Text, primary_key=True),
    Column("annotation_id", _Text, primary_key=True),
    Column("task_id", _Text, nullable=False),
    Column("digest", _Text, nullable=False),  # empty while a deletion waits
    Index("known_by_task", "dataset", "task_id"),
)

imported = Table(
    "imported",
    metadata,
    Column("n", _Serial, primary_key=True),
    Column("dataset", _Text, nullable=False),
    Column("bucket", _Text, nullable=False),
    Column("key", _Text, nullable=False),
    Column("digest", _Text, nullable=False),
    Column("kind", _Text, nullable=False),
    Column("result", _Text, nullable=False),
    Column("model_version", _Text),
    Column("text", _Text),
    Column("given", Integer, nullable=False),
    Index("imported_identity", "dataset", "bucket", "key", "digest", unique=True),
    Index("imported_wanted", "dataset", sqlite_where=text("given = 0"), postgresql_where=text("given = 0")),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("n", _Serial, primary_key=True),
    Column("id", _Text, nullable=False),
    Column("dataset", _Text, nullable=False),
    Column("trigger", _Text, nullable=False),
    Column("event", _Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("attempts", _Text, nullable=False),
    Column("verdict", _Text),  # of the last attempt
    Column("passed_over", _Text),
    Index("deliveries_identity", "id", unique=True),
    Index("deliveries_by_time", "created_at"),
    Index("deliveries_by_dataset", "dataset", "created_at"),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("n", _Serial, primary_key=True),
    Column("id", _Text, nullable=False),
    Column("source", _Text, nullable=False),
    Column("reason", _Text, nullable=False),
    Column("detail", _Text, nullable=False),
    Column("excerpt", LargeBinary, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("first_at", Float, nullable=False),
    Column("last_at", Float, nullable=False),
    Index("quarantine_identity", "id", unique=True),
    Index("quarantine_by_time", "source", "last_at"),
)

cursors = Table("cursors", metadata, Column("name", _Text, primary_key=True), Column("value", _Text, nullable=False))

leases = Table(
    "leases",
    metadata,
    Column("name", _Text, primary_key=True),
    Column("holder", _Text, nullable=False),
    Column("until", Float, nullable=False),
)
