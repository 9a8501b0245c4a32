"""Staged rows into a version: the flow for dataset subjects.

Called by a worker when a dataset is due, and by `syncd snapshot create`. One commit, one name; the rows leave the
staging only when they are in a named version, so a crash anywhere repeats an idempotent step.
"""

from collections.abc import Sequence

import structlog

from syncd.domain.model import Claim, Outcome, Settlement, VersionInfo
from syncd.flows.collect import waiting_since
from syncd.flows.context import Dataset
from syncd.ports import SnapshotStore

log = structlog.get_logger()

MOST_ROWS = 20_000  # per version: bounds the memory of one commit


async def snapshot(dataset: Dataset, snapshots: SnapshotStore, claims: Sequence[Claim]) -> list[Settlement]:
    """Make the next version of the dataset, if anything changed."""
    await commit_staged(dataset, snapshots)
    left = await dataset.state.staged_count(dataset.name)
    outcome = Outcome.AGAIN if left else Outcome.DONE
    return [Settlement(claim, outcome, "more changes wait", failed=False) for claim in claims]


async def commit_staged(dataset: Dataset, snapshots: SnapshotStore) -> VersionInfo | None:
    """Commit what is staged as one version; None when the newest version holds all of it already."""
    changes = await dataset.state.staged(dataset.name, limit=MOST_ROWS)
    await dataset.state.put(waiting_since(dataset.name), "")
    version = await snapshots.commit(dataset.name, changes, dataset.config.canonical, dataset.splits)
    await dataset.state.committed(dataset.name, changes)
    if version:
        counts = {"inserted": version.inserted, "updated": version.updated, "deleted": version.deleted}
        log.info("snapshot.committed", dataset=dataset.name, version=version.name, rows=version.rows, **counts)
    return version
