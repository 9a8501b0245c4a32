"""Where objects and their events come from."""

from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, overload, runtime_checkable

from syncd.domain.errors import Retryable
from syncd.domain.model import ObjectRef, Observation, Versioned
from syncd.domain.notifications import BadEvent
from syncd.domain.routing import Selection

Seen = tuple[ObjectRef, Observation]

Entry = tuple[str, str | None, int, str | None]
"""An object in a listing, plain because there are millions: key; etag without quotes; size in bytes; version id."""


@dataclass(frozen=True, slots=True, eq=False)
class Listed(Sequence[Seen]):
    """A page of a listing, which stays plain: an object's reference and observation are made when they are asked for.

    Making them costs more than comparing, and of millions nearly all are as they were. `at`: when they were seen.
    """

    bucket: str
    at: float
    entries: Sequence[Entry]
    settled: bool = True

    def __len__(self) -> int:
        return len(self.entries)

    @overload
    def __getitem__(self, place: int) -> Seen: ...

    @overload
    def __getitem__(self, place: slice) -> "Listed": ...

    def __getitem__(self, place: int | slice) -> "Seen | Listed":
        if isinstance(place, slice):
            return Listed(self.bucket, self.at, self.entries[place], self.settled)
        return self._seen(self.entries[place])

    def __iter__(self) -> Iterator[Seen]:
        return map(self._seen, self.entries)

    def _seen(self, entry: Entry) -> Seen:
        key, etag, size, version_id = entry
        return ObjectRef(self.bucket, key), Observation(self.at, etag, version_id, None, size, settled=self.settled)


class Deliver(Protocol):
    """Where a source puts what it was told. Durable on return; Retryable: nothing of it is, send it again."""

    async def __call__(self, seen: Sequence[Seen], bad: Sequence[BadEvent] = ()) -> None:
        """Mark what was seen, of buckets that anybody wants, and keep what is bad for a person. Idempotent."""
        ...


class EventSource(Protocol):
    """Where object events come from: a folder watcher, a queue, a push receiver."""

    name: str
    stores: Mapping[str, "ObjectStore"]
    """The buckets its events may speak of, and how to look at them; events of others are dropped."""
    selection: Selection
    """Which of their keys it speaks of at all."""

    async def check(self) -> None:
        """Look, only. ConfigError: it can never run, as its folder is not there. Retryable: nobody can tell now."""
        ...

    async def run(self, deliver: Deliver, rescan: Callable[[], None]) -> None:
        """Run until cancelled. `deliver` returns once the marks are durable: returning is the ack, raising the nack.

        Events may be lost, doubled, late and reordered; a source that knows that it lost some (a queue
        overflow) calls `rescan`, which asks for a reconcile of its bucket; and once when it listens, so that
        nothing falls between the listing and the first event. Raises what `check` raises.
        """
        ...


@dataclass(frozen=True, slots=True)
class Pushed:
    """A request that was pushed at us. `headers` by lower-case names; of a name that came twice, a comma between."""

    method: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """Our answer. A body never echoes the input, nor says more about a refusal than its sender has to know."""

    status: int = 204
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class PushSource(EventSource, Protocol):
    """A source whose events are pushed to `/events/NAME` of the receiver. Its `run` asks for one rescan and waits."""

    methods: frozenset[str]
    """What it answers: POST, and HEAD, GET or OPTIONS where its sender probes with them."""

    async def receive(self, request: Pushed, deliver: Deliver) -> Reply:
        """Authenticate, parse, deliver, and only then answer 2xx.

        A wrong signature, token or topic is a Reply of 401 or 403; Rejected (400) is a body that can never become
        valid; Retryable (503) our own trouble, for which some senders would drop an event on any 4xx.
        """
        ...


class Stores(Protocol):
    """Where a source gets the stores of its buckets."""

    def bucket(self, name: str) -> "ObjectStore":
        """The store of `[buckets.NAME]`; one and the same for all who ask. ConfigError: there is no such table."""
        ...

    def folder(self, url: str, *, hidden: bool = False, settle: float = 0.0) -> "Folder":
        """The store of a folder, `file:///path`, as `stores.folder` says."""
        ...


class ObjectStore(Protocol):
    """Object data of one bucket."""

    bucket: str

    async def head(self, key: str) -> Observation:
        """What is there now. Absent, or not an object syncd may touch: an observation that is `gone`."""
        ...

    def list(self, *, after: str = "") -> AsyncIterator[Sequence[Seen]]:
        """Pages of what is there, in the order of the keys' UTF-8 bytes, from behind `after`.

        Constant memory. What changes while the listing runs may or may not be seen. Raises Retryable when
        the listing cannot be completed: a partial listing never looks like a whole one. A store whose listing is of
        an earlier time, such as an inventory, has an attribute `late` that is true, and its sights are not settled.
        """
        ...

    async def get(self, key: str, *, limit: int, cut: bool = False, of: Versioned | None = None) -> bytes:
        """The object's bytes. Rejected when it is gone, TooLarge (one of these) when it has more than `limit` bytes.

        `cut`: of a larger one the first `limit` bytes. `of`: only of this version, as far as it is named; Conflict when
        another is there, or none. What comes is of one version in any case, however long the reading takes.
        """
        ...

    async def write(self, key: str, data: bytes) -> str | None:
        """Write a small object, whatever was there; its etag. For probes and tests: syncd never changes what it reads.

        Raises Rejected where we may not write.
        """
        ...

    async def remove(self, key: str) -> None:
        """Remove an object. Idempotent. For probes and tests, as `write`."""
        ...

    async def sign(self, key: str, *, expires: float) -> str | None:
        """A URL by which anybody may GET the object for `expires` seconds; None where the store has no such thing."""
        ...

    def stream(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The object's bytes from `start` to before `end` (None: to its end), in pieces. Rejected when it is gone."""
        ...

    async def close(self) -> None:
        """Release connections. Idempotent."""
        ...


class Folder(ObjectStore, Protocol):
    """A folder of files: a look at one takes less time than to ask for it."""

    async def looks(self, keys: Collection[str]) -> Mapping[str, Observation | Retryable]:
        """`head` of many in one go; of those that cannot be looked at, the error."""
        ...
