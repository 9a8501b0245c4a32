"""The steps from one shape of the state database to the next, and how they are taken at opening.

Each step is written once and never changed; `schema` describes where they end. A database knows the number
of the last step it took. All steps run in one transaction, so a database is never half migrated.
"""

from sqlalchemy import Connection, delete, insert, inspect, select

from syncd.domain.errors import ConfigError, Problem
from syncd.state.schema import schema_version

# The dialects' words for a column that numbers rows, one that never does so twice alike, and text that sorts as bytes.
_WORDS = {
    "sqlite": {
        "serial": "INTEGER PRIMARY KEY",
        "serial_once": "INTEGER PRIMARY KEY AUTOINCREMENT",
        "bytewise": "TEXT",
    }
}

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE schema_version (version INTEGER NOT NULL PRIMARY KEY)",
        """CREATE TABLE subjects (
            n {serial} NOT NULL, kind TEXT NOT NULL, dataset TEXT NOT NULL, id TEXT NOT NULL,
            generation BIGINT NOT NULL, due_at FLOAT NOT NULL, first_marked_at FLOAT NOT NULL, observation TEXT,
            attempts INTEGER NOT NULL, failing_since FLOAT, lease_until FLOAT, token TEXT NOT NULL,
            dead_at FLOAT, reason TEXT NOT NULL, gone_at FLOAT, ready_at FLOAT)""",
        "CREATE UNIQUE INDEX subjects_identity ON subjects (kind, dataset, id)",
        "CREATE INDEX subjects_ready ON subjects (kind, dataset, ready_at)",
        "CREATE INDEX subjects_waiting ON subjects (kind, dataset, first_marked_at) WHERE ready_at IS NOT NULL",
        "CREATE INDEX subjects_claimed ON subjects (kind, dataset, lease_until) WHERE lease_until IS NOT NULL",
        "CREATE INDEX subjects_dead ON subjects (kind, dataset, dead_at) WHERE dead_at IS NOT NULL",
        "CREATE INDEX subjects_gone ON subjects (gone_at) WHERE gone_at IS NOT NULL",
        """CREATE TABLE records (
            dataset TEXT NOT NULL, task_key TEXT NOT NULL, task_id TEXT NOT NULL, task_number BIGINT NOT NULL,
            bucket TEXT NOT NULL, key {bytewise} NOT NULL, etag TEXT, version_id TEXT, size BIGINT,
            serial INTEGER NOT NULL, state TEXT NOT NULL, PRIMARY KEY (dataset, task_key))""",
        "CREATE INDEX records_by_object ON records (dataset, bucket, key, serial)",
        "CREATE INDEX records_by_task ON records (dataset, task_id)",
        "CREATE INDEX records_by_number ON records (dataset, task_number, task_id, task_key)",
        """CREATE TABLE intents (
            n {serial} NOT NULL, dataset TEXT NOT NULL, marker TEXT NOT NULL, created_at FLOAT NOT NULL,
            placements TEXT NOT NULL)""",
        "CREATE UNIQUE INDEX intents_identity ON intents (marker)",
        """CREATE TABLE staged (
            seq {serial_once} NOT NULL, dataset TEXT NOT NULL, annotation_id TEXT NOT NULL,
            task_id TEXT NOT NULL, "row" TEXT)""",
        "CREATE UNIQUE INDEX staged_identity ON staged (dataset, annotation_id)",
        "CREATE INDEX staged_in_order ON staged (dataset, seq)",
        """CREATE TABLE known (
            dataset TEXT NOT NULL, annotation_id TEXT NOT NULL, task_id TEXT NOT NULL, digest TEXT NOT NULL,
            PRIMARY KEY (dataset, annotation_id))""",
        "CREATE INDEX known_by_task ON known (dataset, task_id)",
        """CREATE TABLE imported (
            n {serial} NOT NULL, dataset TEXT NOT NULL, bucket TEXT NOT NULL, key {bytewise} NOT NULL,
            digest TEXT NOT NULL, kind TEXT NOT NULL, result TEXT NOT NULL, model_version TEXT, text TEXT,
            given INTEGER NOT NULL)""",
        "CREATE UNIQUE INDEX imported_identity ON imported (dataset, bucket, key, digest)",
        "CREATE INDEX imported_wanted ON imported (dataset) WHERE given = 0",
        """CREATE TABLE deliveries (
            n {serial} NOT NULL, id TEXT NOT NULL, dataset TEXT NOT NULL, "trigger" TEXT NOT NULL,
            event TEXT NOT NULL, created_at FLOAT NOT NULL, attempts TEXT NOT NULL, verdict TEXT,
            passed_over TEXT)""",
        "CREATE UNIQUE INDEX deliveries_identity ON deliveries (id)",
        "CREATE INDEX deliveries_by_time ON deliveries (created_at)",
        "CREATE INDEX deliveries_by_dataset ON deliveries (dataset, created_at)",
        """CREATE TABLE quarantine (
            n {serial} NOT NULL, id TEXT NOT NULL, source TEXT NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL,
            excerpt BLOB NOT NULL, count BIGINT NOT NULL, first_at FLOAT NOT NULL, last_at FLOAT NOT NULL)""",
        "CREATE UNIQUE INDEX quarantine_identity ON quarantine (id)",
        "CREATE INDEX quarantine_by_time ON quarantine (source, last_at)",
        "CREATE TABLE cursors (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL)",
    ),
    ("ALTER TABLE records ADD COLUMN parts TEXT",),
)


def migrate(connection: Connection) -> None:
    """Bring the database to the newest shape; ConfigError when it is of a newer program."""
    version = _version(connection)
    if version > len(MIGRATIONS):
        found = f"a database of schema version {version}"
        allowed = f"version {len(MIGRATIONS)} at most; upgrade syncd, or name another state file"
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
