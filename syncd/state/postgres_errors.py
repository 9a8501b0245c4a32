"""What PostgreSQL's failures mean, and what to do next. Used by `postgres`.

Codes: https://www.postgresql.org/docs/current/errcodes-appendix.html. The server's own words are not passed on: they
may quote values. No address, user or password is named either, but for the database's name and host.
"""

from asyncio import IncompleteReadError
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
from pydantic_core import PydanticSerializationError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from syncd.domain.errors import ConfigError, Problem, Rejected, Retryable, SyncdError

_NOT_TEXT = "it holds text that cannot be stored (no valid Unicode, or NUL); rename the object"
_REJECTED = {"54": "it is longer than an index takes (2,700 bytes); give it a shorter name", "22": _NOT_TEXT}
_AGAIN = {"40001", "40P01", "25P03"}  # rolled back for another's sake: serialization, deadlock, held up too long
_LOST = ("08", "57P01", "57P02")
_RETRYABLE = {
    "25006": "is read-only, as a standby is; name the primary",
    "55000": "takes no connections at the moment; see its administrator",
    "53100": "has no space left; free some on its disk",
    "53200": "has no memory left; free some on its host",
    "53300": "takes no more connections; raise its max_connections, or end others",
    "55P03": "kept a row locked too long; end what holds it",
    "57014": "was too slow; look at its load",
    "57P03": "is starting up or shutting down; wait for it",
    "58030": "cannot read or write its disk; look at its log",
}
_CONFIG = {
    "28": ("refused the user or the password", "a user that may log in; see its pg_hba.conf"),
    "3D": ("does not exist", "a database that exists; make it: createdb NAME"),
    "42501": (
        "may not be changed by this user",
        "a user that may create tables; GRANT CREATE ON SCHEMA public TO USER",
    ),
    "XX001": ("is damaged", "an undamaged database; restore it from a backup"),
    "XX002": ("is damaged", "an undamaged database; REINDEX it, or restore it from a backup"),
    "42P05": ("is behind a pooler without prepared statements", "PgBouncer 1.21 or newer, or the server itself"),
    "26000": ("is behind a pooler without prepared statements", "PgBouncer 1.21 or newer, or the server itself"),
}


class Interrupted(Retryable):
    """The transaction was rolled back and may be run again at once: a deadlock, or a connection that was lost."""


@contextmanager
def failures_named(name: str, *, committing: bool = False) -> Iterator[None]:
    """Turn errors into what to do next; what is left is a bug. `committing`: COMMIT is sent in it."""
    try:
        yield
    except Exception as error:
        said = _named(error, name, committing)
        if said is error:
            raise
        raise said from error


def _named(error: Exception, name: str, committing: bool) -> Exception:
    if isinstance(error, SyncdError):
        return error
    if isinstance(error, PoolTimeout):
        return Retryable(f"{name} is busy: all our connections to it are in use", effect_possible=False)
    original, code = _original(error)
    if _is_no_value(original):
        return Rejected(_NOT_TEXT)
    if _is_lost(original, code):
        return _lost(name, committing)
    if isinstance(original, OSError | TimeoutError):
        return Retryable(f"{name} cannot be reached, or does not answer", effect_possible=committing)
    return _by_code(code, name) or error


def is_orderly(error: BaseException) -> bool:
    """Whether its connection is as good as before: the server said no, or what ran on it raised."""
    original, code = _original(error)
    return isinstance(original, Exception) and not isinstance(original, TimeoutError) and not _is_lost(original, code)


def _original(error: BaseException) -> tuple[Any, str]:
    """asyncpg's own error below SQLAlchemy's, and the server's code, if it came from there."""
    original: Any = error.orig.__cause__ if isinstance(error, DBAPIError) and error.orig is not None else error
    return original, getattr(original, "sqlstate", None) or ""


def _is_lost(error: Any, code: str) -> bool:
    """Whether the connection ended. asyncpg says so in several ways: `InternalClientError` when it ended in between."""
    if isinstance(error, asyncpg.InternalClientError):
        return True
    if isinstance(error, asyncpg.InterfaceError):
        return "closed" in str(error) or "released" in str(error)
    return code.startswith(_LOST) or isinstance(error, ConnectionResetError | BrokenPipeError | IncompleteReadError)


def _lost(name: str, committing: bool) -> Retryable:
    if committing:
        return Retryable(f"the connection to {name} was lost while it committed")
    return Interrupted(f"the connection to {name} was lost", effect_possible=False)


def _is_no_value(error: Any) -> bool:
    """What no column can hold, found before it is sent: a lone surrogate, an integer of more than 64 bits."""
    if isinstance(error, PydanticSerializationError | UnicodeError):
        return True
    return isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError)


def _by_code(code: str, name: str) -> Exception | None:
    if code in _AGAIN:
        return Interrupted(f"{name} rolled back for another's sake, again and again", effect_possible=False)
    if code in _RETRYABLE:
        return Retryable(f"{name} {_RETRYABLE[code]}", effect_possible=False)
    if found := _CONFIG.get(code) or _CONFIG.get(code[:2]):
        problem, allowed = found
        return ConfigError([Problem("state.url", f"{name} {problem}", allowed)])
    return Rejected(_REJECTED[code[:2]]) if code[:2] in _REJECTED else None
