"""Where a PostgreSQL database is: its URL, and a name for it that holds no secret. Used by `sql` and `postgres`."""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit

from syncd.domain.errors import ConfigError, Problem

_SCHEMES = {"postgresql", "postgres", "postgresql+asyncpg"}


@dataclass(frozen=True, slots=True)
class Place:
    """`dsn`: the URL as libpq knows it, with its password. `name` is for people, logs and errors."""

    dsn: str = field(repr=False)
    name: str


def place_of(url: str | Path) -> Place | None:
    """The place that a `postgresql://` URL names; None for another scheme, or a path. ConfigError: it is no URL."""
    if isinstance(url, Path) or url.partition("://")[0] not in _SCHEMES:
        return None
    try:
        parts = urlsplit(url)
        options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    except ValueError:
        raise ConfigError([Problem("state.url", "", "a URL postgresql://USER@HOST/DATABASE")]) from None
    where = unquote(parts.netloc.rpartition("@")[2]) or options.get("host", "localhost")
    database = unquote(parts.path.strip("/")) or options.get("dbname") or options.get("database", "")
    dsn = urlunsplit(("postgresql", *parts[1:]))
    return Place(dsn, f"the PostgreSQL database {database!r} at {where}")
