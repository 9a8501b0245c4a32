"""Bad events in memory: one role of `MemoryState`, the reference."""

from collections import Counter
from collections.abc import Sequence

from syncd.domain.notifications import BadEvent
from syncd.ports import QUARANTINE_KEPT, Clock, Quarantined
from syncd.state import rules


class MemoryQuarantine:
    """See `ports.Quarantine`."""

    _clock: Clock

    def __init__(self) -> None:
        super().__init__()
        self._quarantined: dict[str, Quarantined] = {}

    async def quarantine(self, source: str, bad: Sequence[BadEvent]) -> None:
        """See `Quarantine.quarantine`."""
        written = rules.quarantined(self._quarantined, source, bad, self._clock.now())
        self._quarantined |= {entry.id: entry for entry in written}
        for entry in self._newest_first(source)[QUARANTINE_KEPT:]:
            del self._quarantined[entry.id]

    async def quarantined(self, source: str | None = None, limit: int = 100) -> list[Quarantined]:
        """See `Quarantine.quarantined`; of those that came last at one time, the one first seen last comes first."""
        return self._newest_first(source)[:limit]

    def _newest_first(self, source: str | None) -> list[Quarantined]:
        ours = [entry for entry in reversed(self._quarantined.values()) if source in (None, entry.source)]
        return sorted(ours, key=lambda entry: -entry.last_at)

    async def quarantine_counts(self) -> dict[str, int]:
        """See `Quarantine.quarantine_counts`."""
        return dict(sorted(Counter(entry.source for entry in self._quarantined.values()).items()))

    async def drop_quarantined(self, ids: Sequence[str]) -> int:
        """See `Quarantine.drop_quarantined`."""
        return sum(self._quarantined.pop(id_, None) is not None for id_ in set(ids))
