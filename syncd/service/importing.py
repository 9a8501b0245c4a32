"""`syncd import`: answers into the state, and then to their tasks, by the running daemon or in its place."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from syncd.config import Config
from syncd.domain.errors import ConfigError
from syncd.domain.model import ImportedAnswer, Kind, Mark, Subject
from syncd.service.assembly import Assembly, assemble
from syncd.service.manual import settled
from syncd.state import holder_of

BATCH = 500


@dataclass(frozen=True, slots=True)
class Imported:
    """`new` answers were put in; `known` had been before. `waiting` (of the whole dataset) lack their object yet."""

    new: int
    known: int
    waiting: int


def import_answers(
    config: Config, name: str, answers: Sequence[ImportedAnswer], step: Callable[[str], None]
) -> Imported:
    """Give the answers to their tasks, making these where they are not there yet.

    Safe to repeat, and to cut off: what was put in is durable, and the daemon goes on with it. Retryable: the daemon
    did not get through in time.
    """
    return asyncio.run(_import(config, name, answers, step))


async def _import(
    config: Config, name: str, answers: Sequence[ImportedAnswer], step: Callable[[str], None]
) -> Imported:
    try:
        async with assemble(config, exclusive=True) as parts:
            new = await _want(parts, name, answers, step)
            await _work(parts, step)
            return await _outcome(parts, name, new, len(answers))
    except ConfigError:
        if holder_of(config.state.url) is None:
            raise
    async with assemble(config, exclusive=False, observing=True) as parts:
        new = await _want(parts, name, answers, step)
        step("waiting for the running daemon")
        await settled(parts, name, Kind.OBJECT)
        return await _outcome(parts, name, new, len(answers))


async def _want(parts: Assembly, name: str, answers: Sequence[ImportedAnswer], step: Callable[[str], None]) -> int:
    """Into the state, then marked: a crash in between leaves answers that wait for the object's next event, and a
    repetition marks them again."""
    new = 0
    for start in range(0, len(answers), BATCH):
        batch = answers[start : start + BATCH]
        new += await parts.state.want(name, batch)
        waiting = await parts.state.wanted(name, [answer.ref for answer in batch])
        await parts.state.mark([Mark(Subject(Kind.OBJECT, name, ref.id)) for ref in waiting])
        step(f"{start + len(batch):,} of {len(answers):,} read in")
    return new


async def _work(parts: Assembly, step: Callable[[str], None]) -> None:
    workers = parts.workers()
    while await workers.start_one():
        step("giving them to their tasks")
        await workers.finish()


async def _outcome(parts: Assembly, name: str, new: int, count: int) -> Imported:
    return Imported(new, count - new, await parts.state.wanted_count(name))
