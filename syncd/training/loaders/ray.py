"""Rows as a Ray Dataset that its workers read themselves: the extra `ray`. Called by `Snapshot.to_ray`.

Each read task opens the pinned version by its URI and options and reads its part, so that nothing of the driver's
machine is needed but a root and buckets that all hosts reach. Workers need `syncd[ray]` installed (`runtime_env`).
"""

from typing import TYPE_CHECKING, Any

from syncd.training.extras import required
from syncd.training.query import Query

if TYPE_CHECKING:
    from syncd.training.snapshot import Snapshot


def to_ray(snapshot: "Snapshot", query: Query) -> Any:
    """The rows as a `ray.data.Dataset`, read lazily and in parallel; JSON columns stay text."""
    data = required("ray.data", "ray")
    from syncd.training.loaders.ray_source import SnapshotSource  # noqa: PLC0415 - its classes are Ray's

    return data.read_datasource(SnapshotSource(snapshot, query))
