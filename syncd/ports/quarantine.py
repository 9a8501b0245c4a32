"""Where bad events are kept: a role of the state store."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from syncd.domain.notifications import BadEvent

QUARANTINE_KEPT = 10_000
"""How many bad events are kept of each source: about 40 MB at most."""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A bad event that is kept. `count`: how often it came, first and last at these times (unix seconds)."""

    id: str
    source: str
    reason: str
    detail: str
    excerpt: bytes
    count: int
    first_at: float
    last_at: float


class Quarantine(Protocol):
    """Events that can never be acted upon, for a person to look at."""

    async def quarantine(self, source: str, bad: Sequence[BadEvent]) -> None:
        """Keep bad events; durable on return. Idempotent but for the count: the same reason and excerpt are one event.

        Of each source the newest `QUARANTINE_KEPT` stay, by when they last came.
        """
        ...

    async def quarantined(self, source: str | None = None, limit: int = 100) -> list[Quarantined]:
        """What is kept, that which came last first."""
        ...

    async def quarantine_counts(self) -> dict[str, int]:
        """How many are kept, by source; sources without any are left out."""
        ...

    async def drop_quarantined(self, ids: Sequence[str]) -> int:
        """Forget these; returns how many there were."""
        ...
