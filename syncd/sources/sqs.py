"""Amazon S3 by SQS: a source whose events wait in a queue, the source of type `sqs`.

Takes what S3 sends to a queue itself, through SNS (wrapped or raw) and through EventBridge. Several hosts may read
one queue. Without keys in the options credentials are found as everywhere on AWS. `sqs_consumer` does the work,
`sqs_queue` is the wire.
"""

from collections.abc import Callable
from typing import Self

import structlog
from pydantic import Field, field_validator, model_validator
from tenacity import AsyncRetrying, retry_if_exception_type, wait_random_exponential

from syncd.clouds.aws import AwsAccess
from syncd.domain.errors import ConfigError, Problem, Rejected, Retryable
from syncd.domain.notifications.aws import parse_aws
from syncd.ports import Clock, Deliver, Stores
from syncd.sources.gate import Gate
from syncd.sources.of_buckets import BucketsOptions, BucketsSource
from syncd.sources.sqs_consumer import Consumer, Pace
from syncd.sources.sqs_queue import LONGEST_WAIT, TEN, Queue, address

log = structlog.get_logger()

HALF_A_DAY = 12 * 3600


class SqsOptions(BucketsOptions, AwsAccess):
    """The options of a source of type `sqs`."""

    queue: str = Field(description="The queue: its URL, ARN or name.")
    pollers: int = Field(4, ge=1, le=64, description="Receives under way at once. Default: 4.")
    wait: int = Field(20, ge=1, le=LONGEST_WAIT, description="Seconds a receive waits for messages. Default: 20.")
    visibility: int = Field(
        60, ge=1, le=HALF_A_DAY, description="Seconds a received message is hidden from other readers. Default: 60."
    )
    heartbeat: float = Field(
        20.0, gt=0, description="Seconds between two renewals of that; at most a third of it. Default: 20."
    )
    batch: int = Field(1_000, ge=1, le=1_000, description="Most events handed on at once. Default: 1,000.")
    in_flight: int = Field(
        1_000, ge=TEN, le=100_000, description="Most messages received and not deleted yet. Default: 1,000."
    )
    hold: float = Field(
        600.0,
        ge=0,
        description="Seconds messages are held while their events cannot be stored, before they go back. Default: 600.",
    )

    @field_validator("queue")
    @classmethod
    def _addressed(cls, queue: str) -> str:
        address(queue)
        return queue

    @model_validator(mode="after")
    def _renewed_in_time(self) -> Self:
        if 3 * self.heartbeat > self.visibility:
            raise ValueError("heartbeat must be at most a third of visibility, so that a late one is no loss")
        return self


class SqsSource(BucketsSource):
    """Reads one queue. `degraded`: what a person has to mend while nothing can be read; empty while all is well."""

    Options = SqsOptions

    def __init__(self, name: str, options: SqsOptions, *, stores: Stores, clock: Clock) -> None:
        super().__init__(name, options, stores=stores, clock=clock)
        self._queue = Queue(options.queue, options, connections=3 * options.pollers + 2)
        self._pace = Pace(**options.model_dump(include=set(Pace.__slots__)))
        self._consumer: Consumer | None = None

    @property
    def degraded(self) -> str:
        """What a person has to mend, such as a queue that went away."""
        return self._consumer.degraded if self._consumer else ""

    async def check(self) -> None:
        """As the port says: the queue is not there, or is not ours to read. Retryable: it cannot be reached."""
        try:
            await self._look()
        finally:
            await self._queue.close()

    async def run(self, deliver: Deliver, rescan: Callable[[], None]) -> None:
        """As the port says. ConfigError when the queue cannot be read at the start; later it waits to be mended."""
        try:
            await self._reached()
            log.info("queue.opened", source=self.name, pollers=self._pace.pollers)
            rescan()
            gate = Gate(self.name, self.stores)
            self._consumer = Consumer(self._queue, gate, parse_aws, self._pace, self._clock, self.name)
            await self._consumer.consume(deliver, rescan)
        finally:
            await self._queue.close()

    async def _reached(self) -> None:
        """Return once the queue answered."""
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(Retryable),
            wait=wait_random_exponential(multiplier=0.2, max=20),
            sleep=self._clock.sleep,
            before_sleep=lambda state: log.warning("queue.unreachable", source=self.name, attempt=state.attempt_number),
        )
        await retrying(self._look)

    async def _look(self) -> None:
        try:
            await self._queue.look()
        except ConfigError as error:
            raise error.below(f"sources.{self.name}") from None
        except Rejected as error:
            raise ConfigError([Problem(f"sources.{self.name}.queue", str(error), "a queue that can be read")]) from None
