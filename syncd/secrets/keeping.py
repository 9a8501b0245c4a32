"""Reads what secret managers hold at the start, and again while the daemon runs: a rotated secret needs no restart.

Called by `service`. Managers are asked in threads, so the event loop never waits for them; several secrets at once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import structlog

from syncd.domain.errors import ConfigError, Problem
from syncd.secrets.cache import CACHE, Place, Unreadable
from syncd.secrets.reference import SecretRef

log = structlog.get_logger()

Secrets = Iterable[tuple[str, SecretRef]]
Sleep = Callable[[float], Awaitable[None]]


async def warm(secrets: Secrets) -> None:
    """Read every secret of a manager before anything needs it.

    `secrets`: dotted field and reference. ConfigError names every field whose secret cannot be read, or does not
    have its key.
    """
    managed = [(field, ref, place) for field, ref in secrets if (place := ref.managed)]
    places = dict.fromkeys(place for _, _, place in managed)
    outcomes = await asyncio.gather(
        *(asyncio.to_thread(CACHE.value, place) for place in places), return_exceptions=True
    )
    failed = {place: error for place, error in zip(places, outcomes, strict=True) if isinstance(error, BaseException)}
    problems: list[Problem] = []
    for field, ref, place in managed:
        problems += _problems(field, ref, failed.get(place))
    if problems:
        raise ConfigError(problems)


def _problems(field: str, ref: SecretRef, failure: BaseException | None) -> tuple[Problem, ...]:
    if isinstance(failure, Unreadable):
        return ref.unreadable(field, failure).problems
    if failure:
        raise failure
    try:
        ref.read(field)
    except ConfigError as error:
        return error.problems
    return ()


async def keep_fresh(secrets: Secrets, every: float, sleep: Sleep) -> None:
    """Read them again every so many seconds, until cancelled. What cannot be read stays as it was."""
    places = {place for _, secret in secrets if (place := secret.managed)}
    silent: set[Place] = set()
    while True:
        await sleep(every)
        await asyncio.gather(*(_refresh(place, silent) for place in places))


async def _refresh(place: Place, silent: set[Place]) -> None:
    """Read one again. `silent`: the places whose failure has been told, which is told once."""
    try:
        rotated = await asyncio.to_thread(CACHE.read_again, place)
    except Unreadable as error:
        if place not in silent:
            log.warning("secret.refresh_failed", secret=str(place), reason=str(error), kept="the value read before")
        silent.add(place)
        return
    if place in silent:
        silent.discard(place)
        log.info("secret.refresh_recovered", secret=str(place))
    if rotated:
        log.info("secret.rotated", secret=str(place))
