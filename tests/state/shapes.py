"""What a database looks like, as its own catalogue tells it: for tests of migrations."""

from typing import Any

from sqlalchemy import Connection

_COLUMNS = """
    SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, c.collname,
           pg_get_expr(d.adbin, d.adrelid)
    FROM pg_attribute a LEFT JOIN pg_collation c ON c.oid = a.attcollation
         LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = '{0}'::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"""
_INDEXES = "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = '{0}' ORDER BY indexname"


def shape(connection: Connection) -> dict[str, Any]:
    """Columns, keys and indexes of each table."""
    return _of_sqlite(connection) if connection.dialect.name == "sqlite" else _of_postgres(connection)


def _of_postgres(connection: Connection) -> dict[str, Any]:
    names = [name for (name,) in _rows(connection, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    return {
        name: (_rows(connection, _COLUMNS.format(name)), _rows(connection, _INDEXES.format(name)))
        for name in sorted(names)
    }


def _of_sqlite(connection: Connection) -> dict[str, Any]:
    names = [name for (name,) in _rows(connection, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
    return {
        name: (_rows(connection, f"PRAGMA table_xinfo({name})"), _sqlite_indexes(connection, name)) for name in names
    }


def _sqlite_indexes(connection: Connection, table: str) -> dict[str, Any]:
    return {
        name: (unique, origin, partial, _rows(connection, f"PRAGMA index_xinfo({name})"))
        for _, name, unique, origin, partial in _rows(connection, f"PRAGMA index_list({table})")
    }


def _rows(connection: Connection, statement: str) -> list[tuple[Any, ...]]:
    return [tuple(found) for found in connection.exec_driver_sql(statement)]
