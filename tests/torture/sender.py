"""A patient sender of events to the source of type `http`: each one until it is acknowledged, as good senders do."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.seaweed_webhook import TOKEN
from tests.torture.ground import SOURCE
from tests.torture.installation import Installation

UNREACHED = 0
"""The status where nobody answers."""
_WAIT_S = 0.5
_TIMEOUT = aiohttp.ClientTimeout(total=30)


@dataclass(frozen=True)
class Answer:
    """What was answered to one attempt, and when by the monotonic clock."""

    sent: float
    answered: float
    status: int


@dataclass
class Sender:
    """`acknowledged`: the keys of which a 2xx came. `rate`: events a second at most; 0: as fast as they go."""

    site: Installation
    rate: float = 0.0
    at_once: int = 16
    acknowledged: set[str] = field(default_factory=set)
    answers: list[Answer] = field(default_factory=list)
    given_up: bool = False
    """Set it, and nothing is sent again."""

    @property
    def statuses(self) -> Counter[int]:
        """How often each status was answered."""
        return Counter(answer.status for answer in self.answers)

    async def send(self, events: Iterable[dict[str, Any]]) -> None:
        """Return once every event is acknowledged, or it was given up."""
        slots, began = asyncio.Semaphore(self.at_once), time.monotonic()
        connector = aiohttp.TCPConnector(limit=self.at_once)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with (
            aiohttp.ClientSession(connector=connector, headers=headers, timeout=_TIMEOUT) as session,
            asyncio.TaskGroup() as sending,
        ):
            for number, event in enumerate(events):
                if self.rate and (early := began + number / self.rate - time.monotonic()) > 0:
                    await asyncio.sleep(early)
                await slots.acquire()
                sending.create_task(self._until_acknowledged(session, event)).add_done_callback(
                    lambda _: slots.release()
                )

    async def _until_acknowledged(self, session: aiohttp.ClientSession, event: dict[str, Any]) -> None:
        body = {"bucket": SOURCE, "events": [event]}
        url = f"http://127.0.0.1:{self.site.port}/events/{SOURCE}"
        while not self.given_up:
            sent = time.monotonic()
            try:
                async with session.post(url, json=body) as answered:
                    status = answered.status
            except (aiohttp.ClientError, TimeoutError):
                status = UNREACHED
            self.answers.append(Answer(sent, time.monotonic(), status))
            if 200 <= status < 300:
                self.acknowledged.add(event["key"])
                return
            assert status in {UNREACHED, 429, 503}, f"an event was refused with {status}: its sender would drop it"
            await asyncio.sleep(_WAIT_S)


def created(key: str, **known: Any) -> dict[str, Any]:
    """The event of an object that was written. `known`: its etag and size, where a look is to be spared."""
    return {"type": "created", "key": key, **known}
