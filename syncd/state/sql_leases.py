"""Statements of leases. Used by `sql` only; each is one step of a transaction."""

from sqlalchemy import Connection, delete, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from syncd.state.database import shared
from syncd.state.schema import leases

_C = leases.c


def hold(connection: Connection, name: str, holder: str, now: float, until: float) -> bool:
    """See `Leases.hold`: one statement, so that of several who ask at once one gets it."""
    insert = postgresql.insert if shared(connection) else sqlite.insert
    wanted = insert(leases).values(name=name, holder=holder, until=until)
    free = or_(_C.holder == holder, _C.until <= now)
    taken = wanted.on_conflict_do_update(index_elements=("name",), set_={"holder": holder, "until": until}, where=free)
    return connection.execute(taken.returning(_C.name)).scalar() is not None


def holders(connection: Connection, prefix: str, now: float) -> dict[str, str]:
    """See `Leases.holders`."""
    held = select(_C.name, _C.holder).where(_C.name.startswith(prefix, autoescape=True), _C.until > now)
    return {row.name: row.holder for row in connection.execute(held.order_by(_C.name))}


def release(connection: Connection, name: str, holder: str) -> None:
    """See `Leases.release`."""
    connection.execute(delete(leases).where(_C.name == name, _C.holder == holder))
