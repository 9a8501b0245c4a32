"""The steps from one shape of the state database to the next, and how they are taken at opening.

Each step is written once and never changed; `schema` describes where they end. A database knows the number
of the last step it took. All steps run in one transaction, so a database is never half migrated; of several
programs that open it at once, one takes them while the others wait.
"""

from sqlalchemy import Connection, delete, insert, inspect, select

from syncd.domain.errors import ConfigError, Problem
from syncd.state.database import one_at_a_time
from syncd.state.schema import schema_version

# The dialects' words: a column that numbers rows, one that never does so twice alike, text (it sorts as bytes, whatever
# the database's own collation is), and bytes.
_WORDS = {
    "sqlite": {
        "serial": "INTEGER PRIMARY KEY",
        "serial_once": "INTEGER PRIMARY KEY AUTOINCREMENT",
        "text": "TEXT",
        "bytes": "BLOB",
    },
    "postgresql": {
        "serial": "BIGSERIAL PRIMARY KEY",
        "serial_once": "BIGSERIAL PRIMARY KEY",
        "text": 'TEXT COLLATE "C"',
        "bytes": "BYTEA",
    },
}

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE schema_version (version INTEGER NOT NULL PRIMARY KEY)",
        """CREATE TABLE subjects (
            n {serial} NOT NULL, kind {text} NOT NULL, dataset {text} NOT NULL, id {text} NOT NULL,
            generation BIGINT NOT NULL, due_at FLOAT NOT NULL, first_marked_at FLOAT NOT NULL, observation {text},
            attempts INTEGER NOT NULL, failing_since FLOAT, lease_until FLOAT, token {text} NOT NULL,
            dead_at FLOAT, reason {text} NOT NULL, gone_at FLOAT, ready_at FLOAT)""",
        "CREATE UNIQUE INDEX subjects_identity ON subjects (kind, dataset, id)",
        "CREATE INDEX subjects_ready ON subjects (kind, dataset, ready_at)",
        "CREATE INDEX subjects_waiting ON subjects (kind, dataset, first_marked_at) WHERE ready_at IS NOT NULL",
        "CREATE INDEX subjects_claimed ON subjects (kind, dataset, lease_until) WHERE lease_until IS NOT NULL",
        "CREATE INDEX subjects_dead ON subjects (kind, dataset, dead_at) WHERE dead_at IS NOT NULL",
        "CREATE INDEX subjects_gone ON subjects (gone_at) WHERE gone_at IS NOT NULL",
        """CREATE TABLE records (
            dataset {text} NOT NULL, task_key {text} NOT NULL, task_id {text} NOT NULL, task_number BIGINT NOT NULL,
            bucket {text} NOT NULL, key {text} NOT NULL, etag {text}, version_id {text}, size BIGINT,
            serial INTEGER NOT NULL, state {text} NOT NULL, PRIMARY KEY (dataset, task_key))""",
        "CREATE INDEX records_by_object ON records (dataset, bucket, key, serial)",
        "CREATE INDEX records_by_task ON records (dataset, task_id)",
        "CREATE INDEX records_by_number ON records (dataset, task_number, task_id, task_key)",
        """CREATE TABLE intents (
            n {serial} NOT NULL, dataset {text} NOT NULL, marker {text} NOT NULL, created_at FLOAT NOT NULL,
            placements {text} NOT NULL)""",
        "CREATE UNIQUE INDEX intents_identity ON intents (marker)",
        """CREATE TABLE staged (
            seq {serial_once} NOT NULL, dataset {text} NOT NULL, annotation_id {text} NOT NULL,
            task_id {text} NOT NULL, "row" {text})""",
        "CREATE UNIQUE INDEX staged_identity ON staged (dataset, annotation_id)",
        "CREATE INDEX staged_in_order ON staged (dataset, seq)",
        """CREATE TABLE known (
            dataset {text} NOT NULL, annotation_id {text} NOT NULL, task_id {text} NOT NULL, digest {text} NOT NULL,
            PRIMARY KEY (dataset, annotation_id))""",
        "CREATE INDEX known_by_task ON known (dataset, task_id)",
        """CREATE TABLE imported (
            n {serial} NOT NULL, dataset {text} NOT NULL, bucket {text} NOT NULL, key {text} NOT NULL,
            digest {text} NOT NULL, kind {text} NOT NULL, result {text} NOT NULL, model_version {text}, text {text},
            given INTEGER NOT NULL)""",
        "CREATE UNIQUE INDEX imported_identity ON imported (dataset, bucket, key, digest)",
        "CREATE INDEX imported_wanted ON imported (dataset) WHERE given = 0",
        """CREATE TABLE deliveries (
            n {serial} NOT NULL, id {text} NOT NULL, dataset {text} NOT NULL, "trigger" {text} NOT NULL,
            event {text} NOT NULL, created_at FLOAT NOT NULL, attempts {text} NOT NULL, verdict {text},
            passed_over {text})""",
        "CREATE UNIQUE INDEX deliveries_identity ON deliveries (id)",
        "CREATE INDEX deliveries_by_time ON deliveries (created_at)",
        "CREATE INDEX deliveries_by_dataset ON deliveries (dataset, created_at)",
        """CREATE TABLE quarantine (
            n {serial} NOT NULL, id {text} NOT NULL, source {text} NOT NULL, reason {text} NOT NULL,
            detail {text} NOT NULL, excerpt {bytes} NOT NULL, count BIGINT NOT NULL, first_at FLOAT NOT NULL,
            last_at FLOAT NOT NULL)""",
        "CREATE UNIQUE INDEX quarantine_identity ON quarantine (id)",
        "CREATE INDEX quarantine_by_time ON quarantine (source, last_at)",
        "CREATE TABLE cursors (name {text} NOT NULL PRIMARY KEY, value {text} NOT NULL)",
    ),
    ("ALTER TABLE records ADD COLUMN parts {text}",),
    ("CREATE TABLE leases (name {text} NOT NULL PRIMARY KEY, holder {text} NOT NULL, until FLOAT NOT NULL)",),
    ("ALTER TABLE subjects ADD COLUMN traces {text}",),
)


def migrate(connection: Connection) -> None:
    """Bring the database to the newest shape; ConfigError when it is of a newer program."""
    one_at_a_time(connection, "migrate")
    version = _version(connection)
    if version > len(MIGRATIONS):
        found = f"a database of schema version {version}"
        allowed = f"version {len(MIGRATIONS)} at most; upgrade syncd, or name another state"
        raise ConfigError([Problem("state.url", found, allowed)])
    if version < len(MIGRATIONS):
        _step(connection, version)


def _version(connection: Connection) -> int:
    if not inspect(connection).has_table(schema_version.name):
        return 0
    version: int = connection.execute(select(schema_version.c.version)).scalar_one()
    return version


def _step(connection: Connection, version: int) -> None:
    words = _WORDS[connection.dialect.name]
    for statement in (s for step in MIGRATIONS[version:] for s in step):
        connection.exec_driver_sql(statement.format(**words))
    connection.execute(delete(schema_version))
    connection.execute(insert(schema_version).values(version=len(MIGRATIONS)))
