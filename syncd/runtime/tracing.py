"""Traces, where they are written: what the rest of the program says of them. Off unless `use` was called.

A trace leads from a notification to its task, and from a webhook to its version. In between lies the durable state:
each mark carries the traceparent (W3C Trace Context) of what told us, and a claim brings back those of all marks that
became one subject. Used by `runtime` and `service`; `opentelemetry` is the one implementation, loaded only when on.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

from syncd.domain.model import Claim, Settlement
from syncd.ports import Lane

Value = str | int | float | bool


class Tracer(Protocol):
    """What writes traces. `writes`: whether it does; where it does not, hot paths need not ask it anything."""

    writes: bool

    def span(self, name: str, values: Mapping[str, Value]) -> AbstractContextManager[None]:
        """A span below the one around it, else a trace of its own."""
        ...

    def request(self, method: str, route: str, traceparent: str | None) -> AbstractContextManager[None]:
        """The span of a request that came in, below its sender's where it shows one."""
        ...

    def call(self, adapter: str, operation: str) -> AbstractContextManager[None]:
        """A span of a call to the outside; nothing where no span is around it."""
        ...

    def work(self, lane: Lane, claims: Sequence[Claim]) -> AbstractContextManager["Settled"]:
        """The span of one batch: below the oldest event of its first subject, linked with all the others."""
        ...

    def answered(self, status: int) -> None:
        """The answer to the request of the span around."""
        ...

    def traceparent(self) -> str | None:
        """Of the span around; None where there is none."""
        ...

    def ids(self) -> Mapping[str, str]:
        """`trace_id` and `span_id` of the span around, for logs."""
        ...

    def close(self) -> None:
        """Send what is left; waits a few seconds at most."""
        ...


class Settled(Protocol):
    """Takes how a batch was settled."""

    def __call__(self, settlements: Sequence[Settlement]) -> None: ...


_NOTHING = nullcontext()
_SETTLED = nullcontext(lambda _: None)


class _Off:
    """No traces."""

    writes = False

    def span(self, name: str, values: Mapping[str, Value]) -> AbstractContextManager[None]:
        return _NOTHING

    def request(self, method: str, route: str, traceparent: str | None) -> AbstractContextManager[None]:
        return _NOTHING

    def call(self, adapter: str, operation: str) -> AbstractContextManager[None]:
        return _NOTHING

    def work(self, lane: Lane, claims: Sequence[Claim]) -> AbstractContextManager[Settled]:
        return _SETTLED

    def answered(self, status: int) -> None: ...

    def traceparent(self) -> str | None:
        return None

    def ids(self) -> Mapping[str, str]:
        return {}

    def close(self) -> None: ...


_OFF: Tracer = _Off()
_tracer: list[Tracer] = [_OFF]


def tracer() -> Tracer:
    """The one in use."""
    return _tracer[-1]


@contextmanager
def use(new: Tracer) -> Iterator[None]:
    """Write traces with this one until the context ends; then what is left is sent."""
    _tracer.append(new)
    try:
        yield
    finally:
        _tracer.remove(new)
        new.close()
