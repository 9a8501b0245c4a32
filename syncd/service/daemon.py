"""`syncd run`: the daemon as named jobs under one supervisor.

Jobs: `source:NAME`, `workers`, `objects:DATASET`, `changes:DATASET`, `tasks:DATASET`, `snapshots:DATASET`,
`versions:DATASET`, `pruner`, `keeper`; the receiver listens around them. Called by the command line; raises
ConfigError before anything starts.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import structlog

from syncd.config import Config
from syncd.domain.errors import ConfigError, Problem, Retryable
from syncd.domain.model import Kind, Mark, Subject
from syncd.runtime.supervisor import Job, Stop, notify, supervise
from syncd.runtime.telemetry import count_request, metrics_page
from syncd.service.assembly import Assembly, assemble
from syncd.service.greeting import greet
from syncd.service.triggers import by_lane
from syncd.service.upkeep import Upkeep
from syncd.sources.receiver import Inbox, Limits, Probes, Receiver

log = structlog.get_logger()


async def run(config: Config) -> None:
    """Run until a signal asks to stop. ConfigError: it cannot start; anything else raised is a bug.

    It listens before it reaches for anybody: webhooks are kept while an annotator is slow or down.
    """
    stop = Stop()
    async with assemble(config, exclusive=True) as parts, AsyncExitStack() as stack:
        for source in parts.sources.values():
            await source.check()
        for trigger in by_lane(parts.announcers).values():
            await trigger.target.check()
        stack.enter_context(stop.on_signals())
        upkeep = Upkeep(parts)
        port = await stack.enter_async_context(_listening(parts, upkeep))
        log.info("daemon.started", host=config.receiver.host, port=port, datasets=sorted(parts.datasets))
        notify("READY=1")
        await _unless_stopped(greet(parts), stop)
        await supervise(_jobs(parts, upkeep, stop), stop, grace=config.shutdown.grace)
    log.info("daemon.stopped")


@asynccontextmanager
async def _listening(parts: Assembly, upkeep: Upkeep) -> AsyncIterator[int]:
    """The receiver, from now to the end; yields its port. ConfigError when it cannot listen there."""
    config = parts.config.receiver
    inboxes = {
        parts.webhook_path(name): Inbox(await parts.webhook_secret(name), partial(_accept, parts, upkeep, name))
        for name in parts.datasets
    }
    probes = Probes(ready=partial(_ready, parts), metrics=metrics_page, count=count_request)
    limits = Limits(config.body_limit, config.header_timeout, config.body_timeout)
    async with AsyncExitStack() as stack:
        try:
            listening = Receiver(inboxes, probes, limits).listen(config.host, config.port)
            port = await stack.enter_async_context(listening)
        except OSError:
            found = f"{config.host}:{config.port} is taken, or no address of this host"
            allowed = "another port or host, or end what listens there"
            raise ConfigError([Problem("receiver.port", found, allowed)]) from None
        yield port


async def _unless_stopped(start: Coroutine[Any, Any, None], stop: Stop) -> None:
    """Wait for the start, but not longer than until a signal asks to stop."""
    starting, stopping = asyncio.create_task(start), asyncio.create_task(stop.drain.wait())
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    starting.cancel()
    await asyncio.wait({starting, stopping})
    if not starting.cancelled():
        starting.result()


def _jobs(parts: Assembly, upkeep: Upkeep, stop: Stop) -> list[Job]:
    jobs = [Job("workers", partial(parts.workers().work, stop.drain), drains=True)]
    jobs += [Job("keeper", upkeep.keep), Job("pruner", upkeep.prune)]
    for name, source in parts.sources.items():
        jobs.append(Job(f"source:{name}", partial(source.run, parts.deliver, partial(upkeep.rescan, name))))
    for name, dataset in parts.datasets.items():
        looks = {
            "objects": upkeep.objects,
            "changes": upkeep.changes,
            "tasks": upkeep.tasks,
            "snapshots": upkeep.snapshots,
        }
        if name in parts.announcers:
            looks["versions"] = upkeep.versions
        jobs += [Job(f"{look}:{name}", partial(run, dataset)) for look, run in looks.items()]
    return jobs


async def _accept(parts: Assembly, upkeep: Upkeep, dataset: str, body: bytes) -> None:
    """A webhook is a hint: take the ids from it, mark the tasks, and let the flow read the truth."""
    event = parts.datasets[dataset].annotator.parse_webhook(body)
    # a deletion names annotations only
    tasks = event.task_ids or await parts.state.tasks_of(dataset, event.annotation_ids)
    marks = [Mark(Subject(Kind.TASK, dataset, task), delay=parts.config.worker.linger) for task in tasks]
    if marks:
        await parts.state.mark(marks)
    elif event.annotation_ids:  # deleted before we knew it
        upkeep.look_for_changes(dataset)


async def _ready(parts: Assembly) -> str:
    """Ready means: what arrives can be made durable."""
    try:
        async with asyncio.timeout(2):
            await parts.state.put("ready", "")
    except (Retryable, TimeoutError):
        return "the state store cannot be written"
    return ""
