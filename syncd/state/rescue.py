"""State files that were lost: in what condition one is, how it is put aside, and what can still be read of it.

Used by `service.rebuilding`. Blocking. Nothing is ever deleted here, nor written to a file that is looked at.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from enum import StrEnum
from itertools import count
from pathlib import Path

from syncd.domain.errors import Retryable
from syncd.state import lock

_BESIDE = ("", "-wal", "-shm")
"""What SQLite keeps beside a database in WAL mode belongs to it."""
_BUSY = {"SQLITE_BUSY", "SQLITE_LOCKED"}
_SECRETS = "SELECT name, value FROM cursors WHERE name = 'media-secret' OR name LIKE 'webhook-secret:%'"


class Condition(StrEnum):
    """EMPTY: it is a state that knows of no task, such as a start without the lost one makes."""

    ABSENT = "absent"
    EMPTY = "empty"
    GOOD = "good"
    DAMAGED = "damaged"


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Keep daemons off a state file, whether it is there or not. ConfigError: one runs on it."""
    with suppress(OSError):  # taking the lock tells what is wrong
        path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = lock.take(path)
    try:
        yield
    finally:
        os.close(descriptor)


def condition_of(path: Path) -> Condition:
    """What is there; every page of it is looked at. Retryable: another process writes to it."""
    if not path.exists():
        return Condition.ABSENT
    try:
        with closing(_opened(path)) as database:
            if database.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",):
                return Condition.DAMAGED
            made = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'records'").fetchone()
            known = made and database.execute("SELECT 1 FROM records LIMIT 1").fetchone()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorname in _BUSY:
            raise Retryable(f"{path} is locked by another process; end what holds it") from None
        return Condition.DAMAGED
    return Condition.GOOD if known else Condition.EMPTY


def secrets_in(path: Path) -> dict[str, str]:
    """Secrets that others know by now, by name: of webhooks and of links in tasks. As far as they can be read."""
    try:
        with closing(_opened(path)) as database:
            return dict(database.execute(_SECRETS).fetchall())
    except sqlite3.DatabaseError:
        return {}


def put_aside(path: Path) -> Path:
    """Rename a state file, with what belongs to it, to a name that nothing has; returns that."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    names = (path.with_name(f"{path.name}.aside-{stamp}{f'-{n}' if n else ''}") for n in count())
    aside = next(name for name in names if not name.exists())
    for end in _BESIDE:
        if (there := _with_end(path, end)).exists():
            there.rename(_with_end(aside, end))
    return aside


def put_in_place(made: Path, path: Path) -> None:
    """Give a closed state file its name; durable on return."""
    made.rename(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def remove(path: Path) -> None:
    """Remove a state file that was begun and never finished."""
    for end in (*_BESIDE, ".lock"):
        _with_end(path, end).unlink(missing_ok=True)


def _with_end(path: Path, end: str) -> Path:
    return path.with_name(path.name + end)


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)
