"""SQL over the rows of a version: the extra `duckdb`. Called by `Snapshot.sql`.

DuckDB reads the Lance table itself, the columns and rows that a statement needs alone; a tasks view is read into
memory first. The connection lives in memory, is the caller's alone, and is closed to the world: a statement can name
no file, no address, no extension to load and no Python variable, and cannot open any of that again.
"""

from typing import TYPE_CHECKING, Any

from syncd.training.extras import required
from syncd.training.query import Query, columns_of, filter_of

if TYPE_CHECKING:
    from syncd.training.snapshot import Snapshot

_CLOSED = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
    "lock_configuration": "true",
}


def sql(snapshot: "Snapshot", statement: str, query: Query) -> Any:
    """What a statement over the relation `snapshot` gives, as a `duckdb.DuckDBPyRelation`: `.fetchall()`, `.df()` ….

    `snapshot` holds the rows of the query, which are submitted rows unless it says otherwise. JSON columns are text,
    for `->>` and the like. Raises what DuckDB raises where the statement is wrong.
    """
    duckdb = required("duckdb")
    connection = duckdb.connect(config=_CLOSED)
    if query.get("tasks"):
        connection.register("snapshot", snapshot.to_arrow(**query))
    else:
        connection.register("rows", snapshot.lance)
        connection.execute(_view(snapshot, query))
    return connection.sql(statement)


def _view(snapshot: "Snapshot", query: Query) -> str:
    """Lance's filter is SQL that DuckDB reads as well."""
    columns = ", ".join(f'"{name}"' for name in columns_of(query, snapshot.schema.names))
    where = filter_of(query)
    return f"CREATE VIEW snapshot AS SELECT {columns} FROM rows" + (f" WHERE {where}" if where else "")  # noqa: S608
