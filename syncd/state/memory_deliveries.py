"""Deliveries in memory: one role of `MemoryState`, the reference."""

from abc import abstractmethod
from collections.abc import Sequence

from syncd.domain.deliveries import Attempt, Delivery, Status
from syncd.domain.model import Mark, Subject
from syncd.state import rules
from syncd.state.rules import Entry


class MemoryDeliveries:
    """See `ports.Deliveries`. `_entries` and `_cursors` are those of the whole store."""

    _entries: dict[Subject, Entry]
    _cursors: dict[str, str]

    def __init__(self) -> None:
        super().__init__()
        self._deliveries: dict[str, Delivery] = {}

    @abstractmethod
    async def mark(self, marks: Sequence[Mark]) -> None:
        """See `Subjects.mark`."""

    async def announce(self, deliveries: Sequence[Delivery], *, cursor: str, value: str) -> list[str]:
        """See `Deliveries.announce`."""
        written = rules.announced(self._deliveries, deliveries)
        self._deliveries |= {delivery.id: delivery for delivery in written}
        self._cursors[cursor] = value
        due = [delivery for delivery in written if delivery.passed_over is None]
        await self.mark([Mark(delivery.subject) for delivery in due])
        return [delivery.id for delivery in due]

    async def delivery(self, id_: str) -> Delivery | None:
        """See `Deliveries.delivery`."""
        return self._shown(self._deliveries[id_]) if id_ in self._deliveries else None

    async def deliveries(
        self, *, dataset: str | None = None, status: Status | None = None, limit: int = 100
    ) -> list[Delivery]:
        """See `Deliveries.deliveries`; those made at one time come in the order of their writing, last first."""
        ours = [self._shown(d) for d in reversed(self._deliveries.values()) if dataset in (None, d.dataset)]
        chosen = [d for d in ours if status in (None, d.status)]
        return sorted(chosen, key=lambda d: -d.created_at)[:limit]

    async def attempted(self, id_: str, attempt: Attempt) -> None:
        """See `Deliveries.attempted`; nothing where it was forgotten meanwhile."""
        if id_ in self._deliveries:
            self._deliveries[id_] = rules.attempted(self._deliveries[id_], attempt)

    async def redeliver(self, ids: Sequence[str]) -> int:
        """See `Deliveries.redeliver`."""
        chosen = [self._deliveries[id_] for id_ in dict.fromkeys(ids) if id_ in self._deliveries]
        self._deliveries |= {delivery.id: rules.redelivered(delivery) for delivery in chosen}
        await self.mark([Mark(delivery.subject) for delivery in chosen])
        return len(chosen)

    async def prune_deliveries(self, before: float) -> int:
        """See `Deliveries.prune_deliveries`."""
        shown = [self._shown(delivery) for delivery in self._deliveries.values()]
        old = [d for d in shown if d.created_at < before and d.status is not Status.WAITING]
        for delivery in old:
            del self._deliveries[delivery.id]
            self._entries.pop(delivery.subject, None)
        return len(old)

    def forget_deliveries(self, dataset: str) -> None:
        """Forget all deliveries of a dataset."""
        self._deliveries = {id_: d for id_, d in self._deliveries.items() if d.dataset != dataset}

    def _shown(self, delivery: Delivery) -> Delivery:
        entry = self._entries.get(delivery.subject)
        return rules.shown(delivery, entry.due_at if entry else None, bool(entry and entry.dead_at is not None))
