"""`syncd run`: the daemon as named jobs under one supervisor.

Jobs: `source:NAME`, `workers`, `objects:DATASET`, `changes:DATASET`, `tasks:DATASET`, `snapshots:DATASET`,
`versions:DATASET`, `template:NAME`, `newcomers`, `learner`, `pruner`, `keeper`, `secrets`; the
receiver listens around them. Called by the command line; raises ConfigError before anything starts.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import Any

import structlog
from aiohttp import web

from syncd.config import RECEIVER, Config, secrets_of
from syncd.domain.errors import ConfigError, Problem, Retryable
from syncd.domain.model import Kind, Mark, Subject
from syncd.ports import PushSource
from syncd.runtime import garbage
from syncd.runtime.metrics import count_request, metrics_page, time_request
from syncd.runtime.supervisor import Job, Stop, notify, supervise
from syncd.secrets import keep_fresh
from syncd.service.assembly import Assembly, assemble
from syncd.service.greeting import greet
from syncd.service.media import media_route
from syncd.service.newcomers import Newcomers
from syncd.service.triggers import by_lane
from syncd.service.upkeep import Upkeep
from syncd.service.watching import admin_listening, traced, watched
from syncd.sources.receiver import Inbox, Limits, Probes, Push, Receiver

log = structlog.get_logger()

_LONG = 64 * 1024
"""Bytes of a webhook that take milliseconds to be read, for which other senders are not to wait."""


async def run(config: Config) -> None:
    """Run until a signal asks to stop. ConfigError: it cannot start; anything else raised is a bug.

    It listens before it reaches for anybody: webhooks are kept while an annotator is slow or down.
    """
    stop = Stop()
    async with assemble(config, exclusive=True) as parts, AsyncExitStack() as stack:
        stack.enter_context(traced(config.telemetry))
        await parts.replica.present()
        stack.push_async_callback(parts.replica.leave)
        for source in parts.sources.values():
            with suppress(Retryable):  # its cloud is out of reach: its job says so, and goes on trying
                await source.check()
        for trigger in by_lane(parts.announcers).values():
            await trigger.target.check()
        stack.enter_context(stop.on_signals())
        upkeep = Upkeep(parts)
        inboxes: dict[str, Inbox] = {}
        for name in parts.datasets:
            await _listen_for(parts, upkeep, inboxes, name)
        port = await stack.enter_async_context(_listening(parts, inboxes))
        where = {"host": config.receiver.host, "port": port, "daemon": parts.replica.name}
        log.info("daemon.started", **where, datasets=sorted(parts.datasets))
        notify("READY=1")
        await _unless_stopped(greet(parts), stop)
        newcomers = Newcomers(
            parts, upkeep, partial(_listen_for, parts, upkeep, inboxes), partial(_jobs_of, parts, upkeep)
        )
        garbage.settle()
        await supervise(_jobs(parts, upkeep, newcomers, stop), stop, grace=config.shutdown.grace)
    log.info("daemon.stopped")


@asynccontextmanager
async def _listening(parts: Assembly, inboxes: Mapping[str, Inbox]) -> AsyncIterator[int]:
    """The receiver, from now to the end; yields its port. ConfigError when it cannot listen there."""
    config = parts.config.receiver
    notes = partial(_notes, parts)
    probes = Probes(partial(_ready, parts), metrics_page, count_request, notes, time_request, watched)
    limits = Limits(config.body_limit, header_timeout=config.header_timeout, body_timeout=config.body_timeout)
    receiver = Receiver(inboxes, probes, limits, _pushes(parts))
    others = [*_media(parts), *([receiver.add_metrics] if config.admin == RECEIVER else [])]
    async with AsyncExitStack() as stack:
        try:
            port = await stack.enter_async_context(receiver.listen(config.host, config.port, *others))
        except OSError:
            found = f"{config.host}:{config.port} is taken, or no address of this host"
            allowed = "another port or host, or end what listens there"
            raise ConfigError([Problem("receiver.port", found, allowed)]) from None
        await stack.enter_async_context(admin_listening(parts.config, receiver))
        yield port


async def _listen_for(parts: Assembly, upkeep: Upkeep, inboxes: dict[str, Inbox], name: str) -> None:
    secret = await parts.webhook_secret(name)
    inboxes[parts.webhook_path(name)] = Inbox(secret, partial(_accept, parts, upkeep, name))


def _media(parts: Assembly) -> list[Callable[[web.UrlDispatcher], None]]:
    """The route to objects, where any dataset's tasks link to it."""
    tables = (*parts.config.datasets.values(), *parts.config.templates.values())
    if not any(table.media == "signed" for table in tables):
        return []
    return [media_route(parts.media, parts.state, parts.datasets, parts.config).add_to]


def _pushes(parts: Assembly) -> dict[str, Push]:
    """The routes of those sources that are pushed to."""
    return {
        f"/events/{name}": Push(source.methods, partial(source.receive, deliver=partial(parts.deliver, source=name)))
        for name, source in parts.sources.items()
        if isinstance(source, PushSource)
    }


async def _unless_stopped(start: Coroutine[Any, Any, None], stop: Stop) -> None:
    """Wait for the start, but not longer than until a signal asks to stop."""
    starting, stopping = asyncio.create_task(start), asyncio.create_task(stop.drain.wait())
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    starting.cancel()
    await asyncio.wait({starting, stopping})
    if not starting.cancelled():
        starting.result()


def _jobs(parts: Assembly, upkeep: Upkeep, newcomers: Newcomers, stop: Stop) -> list[Job]:
    jobs = [Job("workers", partial(parts.workers().work, stop.drain), drains=True)]
    jobs += [Job("keeper", upkeep.keep), Job("pruner", upkeep.prune)]
    secrets = secrets_of(parts.config)
    if any(secret.managed for _, secret in secrets):
        jobs.append(Job("secrets", partial(keep_fresh, secrets, parts.config.secrets.refresh_every, parts.clock.sleep)))
    for name, source in parts.sources.items():
        deliver = partial(parts.deliver, source=name)
        jobs.append(Job(f"source:{name}", partial(source.run, deliver, partial(upkeep.rescan, name))))
    jobs += [job for name in parts.datasets for job in _jobs_of(parts, upkeep, name)]
    jobs += [Job(f"template:{name}", partial(newcomers.find, finder)) for name, finder in parts.finders.items()]
    if parts.finders:
        jobs.append(Job("newcomers", newcomers.run))
        jobs += [] if parts.replica.alone else [Job("learner", newcomers.learn)]
    return jobs


def _jobs_of(parts: Assembly, upkeep: Upkeep, name: str) -> list[Job]:
    dataset = parts.datasets[name]
    looks = {"objects": upkeep.objects, "changes": upkeep.changes, "tasks": upkeep.tasks, "snapshots": upkeep.snapshots}
    if name in parts.announcers:
        looks["versions"] = upkeep.versions
    return [Job(f"{look}:{name}", partial(run, dataset)) for look, run in looks.items()]


async def _accept(parts: Assembly, upkeep: Upkeep, dataset: str, body: bytes) -> None:
    """A webhook is a hint: take the ids from it, mark the tasks, and let the flow read the truth."""
    parse = parts.datasets[dataset].annotator.parse_webhook
    event = parse(body) if len(body) < _LONG else await asyncio.to_thread(parse, body)
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
            await parts.state.put("ready", repr(parts.clock.now()))  # SQLite does not write the same value again
    except (Retryable, TimeoutError):
        return "the state store cannot be written"
    return ""


def _notes(parts: Assembly) -> list[str]:
    """Which of several daemons answers; and the sources that do not work as they should.

    Why is for the log alone, for it may name a queue or a folder.
    """
    who = [] if parts.replica.alone else [f"daemon {parts.replica.name}"]
    degraded = (name for name, source in parts.sources.items() if getattr(source, "degraded", ""))
    return [*who, *(f"source {name} is degraded; the log says why" for name in degraded)]
