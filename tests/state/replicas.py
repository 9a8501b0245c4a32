"""What replicas do in processes of their own: `python -m tests.state.replicas WHAT URL [ARGUMENTS]`; JSON lines."""

import asyncio
import os
import random
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import orjson
from sqlalchemy import Connection

from syncd.domain.errors import Retryable
from syncd.domain.model import Claim, Kind, Mark, Observation, Outcome, Settlement, Subject
from syncd.runtime.clock import SystemClock
from syncd.state import SqlState, open_state, postgres

LANES = ("pets", "cars")


def subjects(count: int) -> list[Subject]:
    """The first so many subjects, in two lanes."""
    return [Subject(Kind.TASK, LANES[n % 2], str(n)) for n in range(count)]


def say(word: Any) -> None:
    """A line for whoever started this process."""
    sys.stdout.buffer.write(orjson.dumps(word) + b"\n")
    sys.stdout.flush()


async def work(state: SqlState, lease: str) -> None:
    """Claim and settle until nothing is left; tell what was settled, and up to which mark it was seen."""
    say("begin")
    while await state.backlog():
        if claims := await state.claim(limit=random.randint(1, 20), lease=float(lease)):
            await asyncio.sleep(random.uniform(0, 0.01))
            for half in (claims[::2], claims[1::2]):
                await _settle(state, half)
        else:
            await state.wait(0.05)
    say("end")


async def _settle(state: SqlState, claims: list[Claim]) -> None:
    lost = await state.settle([Settlement(claim, Outcome.DONE) for claim in claims])
    if not lost:
        say([(claim.subject.id, claim.observation and claim.observation.sequencer) for claim in claims])


async def mark(state: SqlState, count: str, rounds: str, who: str) -> None:
    """Mark the same subjects as others do, again and again, each time in another order and in other groups."""
    for number in range(int(rounds)):
        chosen = subjects(int(count))
        random.shuffle(chosen)
        seen = Observation(float(number), f"{who}-{number}", sequencer=f"{number:04}{who}")
        marks = [Mark(subject, seen) for subject in chosen]
        await asyncio.gather(*(state.mark(marks[start : start + 7]) for start in range(0, len(marks), 7)))
    say("end")


async def lease(state: SqlState, name: str, rounds: str) -> None:
    """Take a lease as often as it can be had, and count under it, reading and writing apart."""
    for _ in range(int(rounds)):
        while not await state.hold(name, holder=str(os.getpid()), seconds=30):
            await asyncio.sleep(0.001)
        await state.put("count", str(int(await state.get("count") or 0) + 1))
        await state.release(name, holder=str(os.getpid()))
    say("end")


async def stop(state: SqlState) -> None:
    """Be stopped in the midst of a transaction that holds a subject's row."""

    def stopping(connection: Connection) -> None:
        connection.exec_driver_sql("UPDATE subjects SET reason = 'stopped' WHERE id = '0'")
        say("stopping")
        os.kill(os.getpid(), signal.SIGSTOP)

    with suppress(Retryable):  # it was about to commit, and cannot know whether it did
        await state._write(stopping)
    await state.put("went on", "yes")
    say("end")


async def main(what: Callable[..., Any], url: str, *arguments: str) -> None:
    """Run one of them."""
    state = await open_state(url, SystemClock())
    await what(state, *arguments)
    await state.close()


if __name__ == "__main__":
    postgres._BEGIN = postgres._BEGIN.replace("10s", "300ms")  # so that a test need not wait as long as others may
    ROLES: dict[str, Callable[..., Any]] = {"work": work, "mark": mark, "lease": lease, "stop": stop}
    asyncio.run(main(ROLES[sys.argv[1]], *sys.argv[2:]))
