"""Where a look at a bucket stands, kept in the state, so that one that was cut off goes on in the middle.

The counts are kept with the place: what may be retired is judged by the whole picture, never by the part that was seen
since.
"""

from dataclasses import dataclass, field

from pydantic import TypeAdapter, ValidationError

from syncd.flows.context import Dataset
from syncd.flows.reconcile.findings import Findings

RESUME_WITHIN_S = 3600.0
"""A place older than this is of another time: the look starts anew."""

_COUNTS = ("seen", "known", "new", "changed", "gone")


@dataclass
class Standing:
    """A place in a listing. `retiring`: of the second one, which marks what is missing. `at`: when it was kept."""

    after: str = ""
    retiring: bool = False
    at: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)
    retired: int = 0

    def found(self) -> Findings:
        """What was found so far."""
        found = Findings(resumed=bool(self.after or self.retiring))
        for name in _COUNTS:
            setattr(found, name, self.counts.get(name, 0))
        return found

    def note(self, findings: Findings) -> None:
        """Take over the counts."""
        self.counts = {name: getattr(findings, name) for name in _COUNTS}


_STANDING: TypeAdapter[Standing] = TypeAdapter(Standing)


class Bookmark:
    """The standing of one looker (`daemon`, `command`) on one bucket. Without a name nothing is kept."""

    def __init__(self, dataset: Dataset, looker: str, bucket: str) -> None:
        self._state, self._clock = dataset.state, dataset.clock
        self._name = f"listing:{looker}:{bucket}:{dataset.name}" if looker else ""

    async def read(self) -> Standing:
        """Where the last look was cut off; the beginning where it was not, or too long ago."""
        kept = await self._state.get(self._name) if self._name else None
        try:
            standing = _STANDING.validate_json(kept) if kept else Standing()
        except ValidationError:  # of another version of the program
            return Standing()
        fresh = abs(self._clock.now() - standing.at) <= RESUME_WITHIN_S
        return standing if fresh else Standing()

    async def keep(self, standing: Standing) -> None:
        """Durable on return."""
        if self._name:
            standing.at = self._clock.now()
            await self._state.put(self._name, _STANDING.dump_json(standing).decode())

    async def remove(self) -> None:
        """The look is over; the next one starts at the beginning."""
        if self._name:
            await self._state.put(self._name, "")
