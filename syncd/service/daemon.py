"""`syncd run`: the daemon as named jobs under one supervisor.

Jobs: `source:NAME`, `worker-N`, `objects:DATASET`, `changes:DATASET`, `tasks:DATASET`, `keeper`; the receiver
listens around them. Called by the command line; raises ConfigError before anything starts.
"""

import asyncio
from functools import partial

import structlog

from syncd.config import Config
from syncd.domain.errors import ConfigError, Problem, Retryable
from syncd.domain.model import Kind, Mark, Subject
from syncd.runtime.supervisor import Job, Stop, notify, supervise
from syncd.runtime.telemetry import count_request, metrics_page
from syncd.service.assembly import Assembly, assemble
from syncd.service.upkeep import Upkeep
from syncd.sources.receiver import Inbox, Limits, Probes, Receiver

log = structlog.get_logger()


async def run(config: Config) -> None:
    """Run until a signal asks to stop. ConfigError: it cannot start; anything else raised is a bug."""
    stop = Stop()
    async with assemble(config, exclusive=True) as parts:
        with stop.on_signals():
            await _greet_annotators(parts)
            await _serve(parts, stop)


async def _greet_annotators(parts: Assembly) -> None:
    """A wrong token or URL ends the start; a server that is down does not: it may come up after us."""
    for name, annotator in parts.annotators.items():
        try:
            info = await annotator.ping()
            log.info("annotator.reached", annotator=name, url=info.url, version=info.version, user=info.user)
        except ConfigError as error:
            raise error.below(f"annotators.{name}") from None
        except Retryable as error:
            log.warning("annotator.unreachable", annotator=name, error=str(error), then="events are kept; trying on")
        else:
            await _open_datasets(parts, name)


async def _open_datasets(parts: Assembly, annotator: str) -> None:
    """A label config that cannot work there, or that drifted under `refuse`, ends the start too."""
    for name, configured in parts.config.datasets.items():
        if configured.annotator == annotator:
            try:
                await parts.datasets[name].remote()
            except ConfigError as error:
                raise error.below(f"datasets.{name}") from None
            except Retryable as error:
                log.warning("dataset.not_opened", dataset=name, error=str(error), then="trying on")


async def _serve(parts: Assembly, stop: Stop) -> None:
    config = parts.config
    inboxes = {
        parts.webhook_path(name): Inbox(await parts.webhook_secret(name), partial(_accept, parts, name))
        for name in parts.datasets
    }
    probes = Probes(ready=partial(_ready, parts), metrics=metrics_page, count=count_request)
    limits = Limits(config.receiver.body_limit, config.receiver.header_timeout, config.receiver.body_timeout)
    try:
        async with Receiver(inboxes, probes, limits).listen(config.receiver.host, config.receiver.port) as port:
            log.info("daemon.started", host=config.receiver.host, port=port, datasets=sorted(parts.datasets))
            notify("READY=1")
            await supervise(_jobs(parts, stop), stop, grace=config.shutdown.grace)
    except OSError as error:
        address = f"{config.receiver.host}:{config.receiver.port}"
        allowed = f"an address this host can listen on ({error.strerror})"
        raise ConfigError([Problem("receiver.port", address, allowed)]) from error
    log.info("daemon.stopped")


def _jobs(parts: Assembly, stop: Stop) -> list[Job]:
    upkeep = Upkeep(parts)
    pool = parts.pool()
    jobs = [Job(f"worker-{n}", partial(pool.work, stop.drain), drains=True) for n in range(parts.config.worker.count)]
    for name, source in parts.sources.items():
        jobs.append(Job(f"source:{name}", partial(source.run, parts.deliver, partial(upkeep.rescan, name))))
    for name, dataset in parts.datasets.items():
        looks = {"objects": upkeep.objects, "changes": upkeep.changes, "tasks": upkeep.tasks}
        jobs += [Job(f"{look}:{name}", partial(run, dataset)) for look, run in looks.items()]
    return [*jobs, Job("keeper", upkeep.keep)]


async def _accept(parts: Assembly, dataset: str, body: bytes) -> None:
    """A webhook is a hint: take the ids from it, mark the tasks, and let the flow read the truth."""
    event = parts.datasets[dataset].annotator.parse_webhook(body)
    # a deletion names annotations only
    tasks = event.task_ids or await parts.state.tasks_of(dataset, event.annotation_ids)
    marks = [Mark(Subject(Kind.TASK, dataset, task), delay=parts.config.worker.linger) for task in tasks]
    if marks:
        await parts.state.mark(marks)


async def _ready(parts: Assembly) -> str:
    """Ready means: what arrives can be made durable."""
    try:
        async with asyncio.timeout(2):
            await parts.state.put("ready", "")
    except (Retryable, TimeoutError):
        return "the state store cannot be written"
    return ""
