"""What every source has in common whose events are pushed to `/events/NAME`: its order of work, and its tokens.

The base of `sns`, `eventbridge`, `minio`, `ceph`, `seaweedfs`, `cloudevents` and `http`; the receiver calls it. The
order is fixed: probe, content type, authenticate, parse, deliver, and only then 2xx. Whatever may be our own fault
is Retryable, never a refusal: some senders drop an event for good on any 4xx.
"""

import asyncio
import hmac
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, Field

from syncd.domain.errors import ConfigError, Problem, Retryable, SyncdError
from syncd.domain.notifications import Notices
from syncd.ports import Clock, Deliver, Pushed, Reply, Stores
from syncd.secrets import SecretRef
from syncd.sources.gate import Gate
from syncd.sources.of_buckets import BucketsOptions, BucketsSource

Result = TypeVar("Result")

JSON = frozenset({"application/json"})
_SHOWABLE = "a token of printable ASCII characters without spaces, such as `openssl rand -hex 32` makes"
_LONG = 64 * 1024
"""Bytes that a parser takes some milliseconds for."""
TAKEN = Reply()
REFUSED = Reply(401, b"The secret is missing or wrong.")


class TokenOptions(BucketsOptions):
    """The options of a source whose sender shows a token."""

    tokens: tuple[SecretRef, ...] = Field(
        min_length=1, description="Where the tokens are that open it; two while one is replaced by another."
    )


class PushedSource(BucketsSource, ABC):
    """A push source: what it has of every event source, and the first steps with a request."""

    methods = frozenset({"POST", "HEAD"})
    content_types: ClassVar[frozenset[str]] = JSON
    """What it takes; empty: anything."""

    def __init__(self, name: str, options: BucketsOptions, *, stores: Stores, clock: Clock) -> None:
        super().__init__(name, options, stores=stores, clock=clock)
        self._urls = {bucket: stores.bucket(bucket).bucket for bucket in options.buckets}
        self._gate = Gate(name, self.stores)
        self._unsaid = asyncio.Event()

    @abstractmethod
    async def check(self) -> None:
        """As the port says: ConfigError when a secret is missing, or is none."""

    async def run(self, deliver: Deliver, rescan: Callable[[], None]) -> None:
        """As the port says. The receiver listens already; later rescans are for messages that leave objects unnamed."""
        while True:
            rescan()
            await self._unsaid.wait()
            self._unsaid.clear()

    async def receive(self, request: Pushed, deliver: Deliver) -> Reply:
        """As the port says. HEAD is a probe that somebody listens, and changes nothing."""
        if request.method != "POST":
            return self._probed(request)
        if self.content_types and content_type(request) not in self.content_types:
            return Reply(415, f"Send {' or '.join(sorted(self.content_types))}.".encode())
        return await self._read(request, deliver)

    def _probed(self, request: Pushed) -> Reply:
        return Reply(200)

    @abstractmethod
    async def _read(self, request: Pushed, deliver: Deliver) -> Reply:
        """Authenticate, parse, deliver. Rejected: it can never become valid; Retryable: our own trouble."""

    async def _deliver(self, notices: Notices, deliver: Deliver) -> None:
        """A refusal to take what is valid is our own trouble."""
        try:
            await self._gate.deliver(notices, deliver)
        except Retryable:
            raise
        except SyncdError as error:
            raise Retryable(f"what {self.name} delivered was not taken: {error}") from error
        if notices.rescan:
            self._unsaid.set()


class SecretSource(PushedSource):
    """A push source whose sender proves itself by a secret. A subclass says how, and reads what is said."""

    async def _read(self, request: Pushed, deliver: Deliver) -> Reply:
        if not self._is_authentic(request):
            return REFUSED
        await self._deliver(await beside(request, self._notices, request), deliver)
        return TAKEN

    @abstractmethod
    def _is_authentic(self, request: Pushed) -> bool:
        """Whether the sender may speak. Retryable: we cannot tell at the moment."""

    @abstractmethod
    def _notices(self, request: Pushed) -> Notices:
        """What it says. Rejected: it can never become valid."""


async def beside(request: Pushed, parse: Callable[..., Result], *arguments: Any) -> Result:
    """What a parser makes of a request: of a long body in a thread, beside other senders' small ones."""
    if len(request.body) < _LONG:
        return parse(*arguments)
    return await asyncio.to_thread(parse, *arguments)


class Tokens:
    """Secrets that a sender shows as they are. Read anew each time: a replaced one needs no restart.

    `field` is where they stand in the configuration, such as `sources.photos.tokens`.
    """

    def __init__(self, refs: Sequence[SecretRef], field: str) -> None:
        self._places = [(f"{field}.{n}", ref) for n, ref in enumerate(refs)]

    def check(self, *, spaces: bool = False) -> None:
        """ConfigError: one is missing, or senders could not show it. `spaces`: it may hold some."""
        problems: list[Problem] = []
        for where, ref in self._places:
            token = ref.read(where)
            if not (token.isascii() and token.isprintable() and (spaces or " " not in token)):
                problems.append(Problem(where, f"{ref} holds other characters", _SHOWABLE))
        if problems:
            raise ConfigError(problems)

    def opened_by(self, shown: Iterable[str]) -> bool:
        """Whether every text shown is one of the tokens, and at least one is shown.

        Constant time, on bytes, so that nothing a sender writes can raise. Retryable: it is none of those that
        can be read, but another one cannot be read at the moment, as while it is being replaced.
        """
        texts = [text.encode("utf-8", "surrogateescape") for text in shown]
        known, trouble = self._read()
        if texts and all(_is_one_of(text, known) for text in texts):
            return True
        if trouble:
            raise Retryable(f"a secret cannot be read: {trouble}")
        return False

    def _read(self) -> tuple[list[bytes], ConfigError | None]:
        known: list[bytes] = []
        trouble = None
        for where, ref in self._places:
            try:
                known.append(ref.read(where).encode())
            except ConfigError as error:
                trouble = error
        return known, trouble


class TokenSource(SecretSource):
    """A push source whose sender shows a token; by default as `Authorization: Bearer TOKEN`."""

    Options: ClassVar[type[BaseModel]] = TokenOptions

    def __init__(self, name: str, options: TokenOptions, *, stores: Stores, clock: Clock) -> None:
        super().__init__(name, options, stores=stores, clock=clock)
        self._tokens = Tokens(options.tokens, f"sources.{name}.tokens")

    async def check(self) -> None:
        """As the port says."""
        self._tokens.check()

    def _is_authentic(self, request: Pushed) -> bool:
        return self._tokens.opened_by(self._shown(request))

    def _shown(self, request: Pushed) -> list[str]:
        """The tokens this request shows."""
        return bearer(request)


def bearer(request: Pushed) -> list[str]:
    """The bearer token (RFC 6750, 2.1) of a request, as a list of at most one."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return [token] if scheme.lower() == "bearer" and token else []


def content_type(request: Pushed) -> str:
    """The media type of the body in lower case, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _is_one_of(text: bytes, known: list[bytes]) -> bool:
    return sum(hmac.compare_digest(text, one) for one in known) > 0  # a sum: all are compared, whichever it is
