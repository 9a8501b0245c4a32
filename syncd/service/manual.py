"""What a command does in the daemon's place, or asks a running daemon to do."""

import asyncio
from collections.abc import Callable

from syncd.config import Config
from syncd.domain.errors import ConfigError, Retryable
from syncd.domain.model import Kind, Mark, Subject, VersionInfo
from syncd.flows.reconcile import Caution, reconcile_changes
from syncd.flows.snapshot import commit_staged
from syncd.service.assembly import Assembly, assemble
from syncd.state import holder_of

ASK_EVERY_S = 0.2
DAEMON_TIMEOUT_S = 120.0


def snapshot_now(config: Config, name: str, step: Callable[[str], None]) -> VersionInfo | None:
    """Read what changed in the annotator and make a version; None when nothing did.

    With no daemon on this state it is done here; a running one is asked to. Raises Retryable when the daemon
    does not get to it in time.
    """
    return asyncio.run(_snapshot_now(config, name, step))


async def _snapshot_now(config: Config, name: str, step: Callable[[str], None]) -> VersionInfo | None:
    try:
        async with assemble(config, exclusive=True, observing=True) as parts:
            by_others = await parts.replica.others()
            return await (_by_daemon if by_others else _here)(parts, name, step)
    except ConfigError:
        if holder_of(config.state.url) is None:
            raise
    async with assemble(config, exclusive=False, observing=True) as parts:
        return await _by_daemon(parts, name, step)


async def _here(parts: Assembly, name: str, step: Callable[[str], None]) -> VersionInfo | None:
    step("reading what changed")
    await parts.remote(name)
    await reconcile_changes(parts.datasets[name], Caution())
    workers = parts.workers()
    while await workers.start_one():
        step("collecting annotations")
        await workers.finish()
    step("committing")
    snapshots = parts.snapshots[name]
    before = await snapshots.newest(name)
    while await parts.state.staged_count(name):
        await commit_staged(parts.datasets[name], snapshots)
    newest = await snapshots.newest(name)
    return newest if newest != before else None


async def _by_daemon(parts: Assembly, name: str, step: Callable[[str], None]) -> VersionInfo | None:
    """Mark what changed, then the dataset, and wait until the daemon has settled both."""
    before = (await parts.snapshots[name].tags(name)).get("latest", 0)
    step("asking the running daemon")
    await parts.remote(name)
    await reconcile_changes(parts.datasets[name], Caution())
    try:
        async with asyncio.timeout(DAEMON_TIMEOUT_S):
            await settled(parts, name, Kind.TASK)
            now = Mark(Subject(Kind.DATASET, name, name), postpone=True)
            await parts.state.mark([now])
            await settled(parts, name, Kind.DATASET, now)
    except TimeoutError:
        raise Retryable(
            f"the running daemon did not finish within {DAEMON_TIMEOUT_S:g} s; see `syncd status`"
        ) from None
    versions = await parts.snapshots[name].versions(name)
    return versions[-1] if versions and versions[-1].number > before else None


async def settled(parts: Assembly, name: str, kind: Kind, again: Mark | None = None) -> None:
    """Return once the daemon has worked off all subjects of a kind.

    `again` is marked while it waits: what the daemon stages at this moment puts the dataset off anew.
    """
    while any(b.pending + b.claimed for b in await parts.state.backlog() if (b.kind, b.dataset) == (kind, name)):
        await asyncio.sleep(ASK_EVERY_S)
        if again and any(b.pending for b in await parts.state.backlog() if (b.kind, b.dataset) == (kind, name)):
            await parts.state.mark([again])
