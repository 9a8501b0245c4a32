"""How quickly a listing may fill the set of subjects: so many a second, and no further than so many that wait."""

from collections.abc import Callable

from syncd.domain.errors import Retryable
from syncd.domain.model import Kind
from syncd.flows.context import Dataset
from syncd.ports import Clock

WAIT_S = 1.0


class NoRoom(Retryable):
    """Too much waits already, and nobody works on it."""


class Pace:
    """The brake of one look at one dataset.

    `rate`: objects marked a second, 0 for no limit. `most_waiting`: it waits while more objects of the dataset than
    these wait for a worker, 0 for no limit; by a tenth more may. `idle`: asked then, whether nobody works on them;
    `told`: how many it waits for.
    """

    def __init__(
        self,
        *,
        rate: float = 0.0,
        most_waiting: int = 0,
        idle: Callable[[], bool] = lambda: False,
        told: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._rate = rate
        self._most_waiting = most_waiting
        self._idle = idle
        self._told = told
        self._free_at = self._owed = 0.0
        self._room = 0

    async def room(self, dataset: Dataset, count: int) -> None:
        """Return when so many objects may be marked. NoRoom: that will not be soon."""
        if self._most_waiting:
            await self._below_most(dataset, count)
        if self._rate:
            await self._in_time(dataset.clock, count)

    async def _in_time(self, clock: Clock, count: int) -> None:
        """Wait until what was marked before has had its time; not longer, should the clock have been set back."""
        wait = min(self._free_at - clock.now(), self._owed)
        if wait > 0:
            await clock.sleep(wait)
        self._owed = count / self._rate
        self._free_at = clock.now() + self._owed

    async def _below_most(self, dataset: Dataset, count: int) -> None:
        """The backlog is counted once for every tenth of the limit: counting costs, too."""
        if self._room >= count:
            self._room -= count
            return
        while (waiting := await _waiting(dataset)) > self._most_waiting:
            if self._idle():
                raise NoRoom(
                    f"{waiting:,} objects of {dataset.name} wait already, and no daemon works on them; start "
                    "`syncd run`, and repeat this: it goes on where it stopped"
                )
            self._told(waiting)
            await dataset.clock.sleep(WAIT_S)
        self._room = max(0, self._most_waiting // 10 - count)


async def _waiting(dataset: Dataset) -> int:
    backlog = await dataset.state.backlog()
    return sum(b.pending + b.claimed for b in backlog if (b.kind, b.dataset) == (Kind.OBJECT, dataset.name))
