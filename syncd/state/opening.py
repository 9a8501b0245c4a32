"""Opens the state store where `state.url` says it is: a path, `sqlite:///PATH`, or `postgresql://…`.

Called by `service` (exclusively), and by commands of the CLI (beside a running daemon).
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, make_url
from sqlalchemy.exc import ArgumentError

from syncd.domain.errors import ConfigError, Problem
from syncd.ports import Clock
from syncd.state import lock, sql_subjects
from syncd.state.bell import Bell
from syncd.state.migrations import migrate
from syncd.state.postgres_place import Place, place_of
from syncd.state.sql import SqlState
from syncd.state.sqlite import open_file

_ALLOWED = "a path, sqlite:///PATH, or postgresql://USER@HOST/DATABASE"


async def open_state(place: str | Path, clock: Clock, *, exclusive: bool = True, virtual: bool = False) -> SqlState:
    """Open the database at a path or URL, bring it to the newest shape, and make the file where there is none.

    `exclusive` is for the daemon: what would wait for more than a day is due, for the clock was set back meanwhile.
    It holds a file against a second daemon and ends the claims of a dead one. A PostgreSQL database is nobody's alone:
    others' claims end with their leases. There the server's clock counts, unless `clock` is `virtual`: a test's.
    Without `exclusive` one reads and makes small writes beside a running daemon.
    ConfigError: the file is held by another daemon, is damaged, cannot be made, or is of a newer program; the server
    refuses us. Retryable: the server cannot be reached.
    """
    if server := place_of(place):
        return await _open_server(server, clock, exclusive, virtual)
    path = _path(place)
    prepare = _preparing(clock.now, exclusive, alone=True)
    return SqlState(await open_file(path, prepare, exclusive=exclusive), clock, Bell())


async def _open_server(place: Place, clock: Clock, exclusive: bool, virtual: bool) -> SqlState:
    try:
        from syncd.state import postgres, postgres_bell, server_clock  # noqa: PLC0415 - an extra
    except ImportError:
        allowed = "the extra that PostgreSQL needs: pip install 'syncd[postgres]'"
        raise ConfigError([Problem("state.url", "postgresql://", allowed)]) from None
    time = server_clock.VirtualClock(clock) if virtual else server_clock.ServerClock(clock)
    prepare = _preparing(time.now, exclusive, alone=False)
    database = await postgres.open_server(place, prepare, time)
    return SqlState(database, time, postgres_bell.PostgresBell(database))


def _preparing(now: Callable[[], float], exclusive: bool, *, alone: bool) -> Callable[[Connection], None]:
    return partial(_prepare, now=now, exclusive=exclusive, alone=alone)


def _prepare(connection: Connection, now: Callable[[], float], exclusive: bool, alone: bool) -> None:
    migrate(connection)
    if exclusive:
        sql_subjects.start(connection, now(), alone=alone)


def state_file(place: str | Path) -> Path | None:
    """The database file that a path or a `sqlite:///` URL names; None: it is on a server. ConfigError: neither."""
    return None if place_of(place) else _path(place)


def holder_of(place: str | Path) -> int | None:
    """The process that holds the database exclusively; None where nobody does, as always on a server."""
    path = state_file(place)
    return None if path is None else lock.holder_of(path)


def _path(place: str | Path) -> Path:
    if isinstance(place, Path) or "://" not in place:
        return Path(place)
    try:
        url = make_url(place)
    except ArgumentError:
        raise ConfigError([Problem("state.url", "", _ALLOWED)]) from None
    if url.get_backend_name() != "sqlite" or not url.database:
        raise ConfigError([Problem("state.url", url.drivername, _ALLOWED)])
    return Path(url.database)
