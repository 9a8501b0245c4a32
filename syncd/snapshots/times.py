"""ISO 8601 text of annotators to instants and back, for the snapshot's two time columns.

Called by `schema` and by `memory`, so that both give the same text back. Pure. Text without a zone is UTC;
beyond microseconds it is cut. The text given back is UTC with `Z` (`2026-11-20T18:00:00.123456Z`), as Label
Studio writes it.
"""

from dataclasses import replace
from datetime import UTC, datetime

from syncd.domain.model import Row

TIME_COLUMNS = ("created_at", "updated_at")


def parse_time(text: str | None) -> datetime | None:
    """The instant, in UTC; None where there is none, or no ISO 8601 text."""
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def time_text(at: datetime | None) -> str | None:
    """The inverse of `parse_time` for text in UTC."""
    return None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def canonical(row: Row) -> Row:
    """The row as every snapshot store gives it back: its times as UTC text with `Z`."""
    created_at, updated_at = (time_text(parse_time(text)) for text in (row.created_at, row.updated_at))
    return replace(row, created_at=created_at, updated_at=updated_at)
