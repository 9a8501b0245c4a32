"""Staged rows into a version: the flow for dataset subjects.

Called by a worker when a dataset is due, and by `syncd snapshot create`. One commit, one name; the rows leave the
staging only when they are in a named version, so a crash anywhere repeats an idempotent step. A commit counts only on
top of the version that was the newest before the rows were read: who slept in between reads them again.
"""

from collections.abc import Sequence

import structlog

from syncd.domain.errors import Conflict
from syncd.domain.model import Claim, Outcome, Settlement
from syncd.flows.collect import waiting_since
from syncd.flows.context import Dataset
from syncd.ports import SnapshotStore

log = structlog.get_logger()

MOST_ROWS = 20_000  # per version: bounds the memory of one commit
ATTEMPTS = 5  # each that fails is one in which another process made a version


async def snapshot(dataset: Dataset, snapshots: SnapshotStore, claims: Sequence[Claim]) -> list[Settlement]:
    """Make the next version of the dataset, if anything changed."""
    await commit_staged(dataset, snapshots)
    left = await dataset.state.staged_count(dataset.name)
    outcome = Outcome.AGAIN if left else Outcome.DONE
    return [Settlement(claim, outcome, "more changes wait", failed=False) for claim in claims]


async def commit_staged(dataset: Dataset, snapshots: SnapshotStore) -> None:
    """Commit what is staged as one version; none is made where the newest holds all of it already.

    Conflict: others keep making versions. Nothing is lost, and it may be tried again.
    """
    for left in reversed(range(ATTEMPTS)):
        try:
            await _commit(dataset, snapshots)
        except Conflict as error:
            log.info("snapshot.overtaken", dataset=dataset.name, reason=str(error))
            if not left:
                raise
        else:
            return


async def _commit(dataset: Dataset, snapshots: SnapshotStore) -> None:
    newest = await snapshots.newest(dataset.name)  # before the rows: what comes in between has another number
    changes = await dataset.state.staged(dataset.name, limit=MOST_ROWS)
    await dataset.state.put(waiting_since(dataset.name), "")
    config, expected = dataset.config.canonical, newest.number if newest else 0
    version = await snapshots.commit(dataset.name, changes, config, dataset.splits, expected=expected)
    await dataset.state.committed(dataset.name, changes)
    if version:
        counts = {"inserted": version.inserted, "updated": version.updated, "deleted": version.deleted}
        log.info("snapshot.committed", dataset=dataset.name, version=version.name, rows=version.rows, **counts)
