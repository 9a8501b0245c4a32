"""`syncd import`: answers into the state, and then to their tasks, by the running daemon or in its place."""

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from syncd.config import Config
from syncd.domain.errors import ConfigError, Retryable
from syncd.domain.model import ImportedAnswer, Kind, Mark, Subject
from syncd.service.assembly import Assembly, assemble
from syncd.service.manual import ASK_EVERY_S, DAEMON_TIMEOUT_S
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
    gets nowhere with it, or the annotator does not answer. Rejected: a text is called as another one was before.
    """
    return asyncio.run(_import(config, name, answers, step))


async def _import(
    config: Config, name: str, answers: Sequence[ImportedAnswer], step: Callable[[str], None]
) -> Imported:
    try:
        async with assemble(config, exclusive=True) as parts:
            new = await _want(parts, name, answers, step)
            by_others = await parts.replica.others()
            await (_by_daemon if by_others else _work)(parts, name, step)
            return await _outcome(parts, name, new, len(answers))
    except ConfigError:
        if holder_of(config.state.url) is None:
            raise
    async with assemble(config, exclusive=False, observing=True) as parts:
        new = await _want(parts, name, answers, step)
        await _by_daemon(parts, name, step)
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


async def _by_daemon(parts: Assembly, name: str, step: Callable[[str], None]) -> None:
    """Return once the running daemon has worked off the dataset's objects. Retryable: it gets nowhere."""
    least, since = math.inf, 0.0
    while left := await _left(parts, name):
        now = asyncio.get_running_loop().time()
        if left < least:
            least, since = left, now
        elif now > since + DAEMON_TIMEOUT_S:
            raise Retryable(
                f"the running daemon settled no object within {DAEMON_TIMEOUT_S:g} s; see `syncd status`. "
                "The answers are kept, and it goes on with them: the import need not be repeated"
            )
        step(f"waiting for the running daemon: {left:,} objects left")
        await asyncio.sleep(ASK_EVERY_S)


async def _left(parts: Assembly, name: str) -> int:
    backlog = await parts.state.backlog()
    return sum(b.pending + b.claimed for b in backlog if (b.kind, b.dataset) == (Kind.OBJECT, name))


async def _work(parts: Assembly, name: str, step: Callable[[str], None]) -> None:
    """In the daemon's place, once through. Retryable: some objects have to be tried again later."""
    workers = parts.workers()
    while await workers.start_one():
        step(f"giving them to their tasks: {await _left(parts, name):,} objects left")
        await workers.finish()
    if left := await _left(parts, name):
        raise Retryable(
            f"{left:,} objects are not settled yet, for the reason logged above. The answers are kept: "
            "repeat the import, or start the daemon (`syncd run`), which goes on with them"
        )


async def _outcome(parts: Assembly, name: str, new: int, count: int) -> Imported:
    return Imported(new, count - new, await parts.state.wanted_count(name))
