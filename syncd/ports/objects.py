"""Where objects and their events come from."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from syncd.domain.model import ObjectRef, Observation
from syncd.domain.routing import Selection

Seen = tuple[ObjectRef, Observation]


Deliver = Callable[[Sequence[Seen]], Awaitable[None]]


class EventSource(Protocol):
    """Where object events come from: a folder watcher, a queue, a push receiver."""

    name: str
    stores: Mapping[str, "ObjectStore"]
    """The buckets its events may speak of, and how to look at them; events of others are dropped."""
    selection: Selection
    """Which of their keys it speaks of at all."""

    async def check(self) -> None:
        """ConfigError when it can never run, such as a folder that is not there. Looks only."""
        ...

    async def run(self, deliver: Deliver, rescan: Callable[[], None]) -> None:
        """Run until cancelled. `deliver` returns once the marks are durable: returning is the ack, raising the nack.

        Events may be lost, doubled, late and reordered; a source that knows that it lost some (a queue
        overflow) calls `rescan`, which asks for a reconcile of its bucket; and once when it listens, so that
        nothing falls between the listing and the first event. Raises what `check` raises.
        """
        ...


class ObjectStore(Protocol):
    """Object data of one bucket, read only."""

    bucket: str

    async def head(self, key: str) -> Observation:
        """What is there now. Absent, or not an object syncd may touch: an observation that is `gone`."""
        ...

    def list(self, *, after: str = "") -> AsyncIterator[Sequence[Seen]]:
        """Pages of what is there, in the order of the keys' UTF-8 bytes, from behind `after`.

        Constant memory. What changes while the listing runs may or may not be seen. Raises Retryable when
        the listing cannot be completed: a partial listing never looks like a whole one.
        """
        ...

    async def get(self, key: str, *, limit: int) -> bytes:
        """The object's bytes. Rejected when it is gone or larger than `limit` bytes."""
        ...
