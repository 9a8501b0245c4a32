"""The first contact with annotators and snapshot stores when the daemon starts.

What can never work ends the start with a clear error. A server that is down, slow or refuses for now does not: it
may come up after us, and events are kept meanwhile.
"""

import asyncio

import structlog

from syncd.domain.errors import ConfigError, Rejected, Retryable
from syncd.service.assembly import Assembly

log = structlog.get_logger()

PATIENCE_S = 15.0


async def greet(parts: Assembly) -> None:
    """Reach every annotator, open its datasets, and prove that snapshots can be written.

    ConfigError: a wrong token, URL or label config, or a place that cannot hold snapshots.
    """
    annotators = (_annotator(parts, name) for name in parts.annotators)
    snapshots = (_snapshots(parts, name) for name in parts.datasets)
    greeted = await asyncio.gather(*annotators, *snapshots, return_exceptions=True)
    problems = [problem for error in greeted if isinstance(error, ConfigError) for problem in error.problems]
    if problems:
        raise ConfigError(problems)
    for error in greeted:
        if error is not None:
            raise error


async def _annotator(parts: Assembly, name: str) -> None:
    try:
        async with asyncio.timeout(PATIENCE_S):
            info = await parts.ping(name)
            log.info("annotator.reached", annotator=name, url=info.url, version=info.version, user=info.user)
            for dataset, configured in parts.config.datasets.items():
                if configured.annotator == name:
                    await _open(parts, dataset)
    except (TimeoutError, Retryable, Rejected) as error:
        reason = str(error) or f"no answer within {PATIENCE_S:g} s"
        log.warning("annotator.unreachable", annotator=name, error=reason, then="events are kept; trying on")


async def _open(parts: Assembly, dataset: str) -> None:
    """What cannot work with a dataset that a key brought stops nobody else: its objects wait, and the log tells."""
    try:
        await parts.remote(dataset)
    except ConfigError as error:
        if parts.config.datasets[dataset].key_pattern is None:
            raise
        log.warning("dataset.unusable", dataset=dataset, error=str(error))


async def _snapshots(parts: Assembly, dataset: str) -> None:
    try:
        async with asyncio.timeout(PATIENCE_S):
            await parts.snapshots[dataset].probe()
    except ConfigError as error:
        raise error.below(f"datasets.{dataset}") from None
    except (TimeoutError, Retryable) as error:
        reason = str(error) or f"no answer within {PATIENCE_S:g} s"
        log.warning("snapshots.unreachable", dataset=dataset, error=reason, then="rows are kept; trying on")
