"""Buckets as a dataset sees them: objects with their sidecars, groups of objects, rows of manifests.

Each view is an `ObjectStore` over the store of the bucket, so that the flows need not know. `views` makes those of a
dataset. What a view lists has to be sorted anew, or joined; that is done in a file that goes with it (`spool`), so
memory does not grow with the bucket.
"""

from collections.abc import Callable, Mapping, Sequence

from syncd.domain.layout import Layout
from syncd.domain.model import ObjectRef
from syncd.ports import Clock, ObjectStore
from syncd.stores.views.groups import GroupView
from syncd.stores.views.rows import RowView
from syncd.stores.views.sidecars import SidecarView

__all__ = ["views"]

Accepts = Callable[[ObjectRef], bool]


def views(
    stores: Mapping[str, ObjectStore], layout: Layout, accepts: Accepts, linked: Sequence[str], clock: Clock
) -> dict[str, ObjectStore]:
    """By bucket URL, the stores in which the tasks' objects of a dataset are; as they are where its layout is plain.

    `accepts`: whether the configuration selects an object of the bucket; `linked`: columns of rows that hold links.
    """
    if layout.sidecar:
        return {bucket: SidecarView(store, layout.sidecar) for bucket, store in stores.items()}
    if layout.members:
        groups = [GroupView(store, layout, accepts, clock) for store in stores.values()]
        return {group.bucket: group for group in groups}
    if layout.manifests:
        rows = [RowView(store, layout, accepts, (linked, tuple(stores)), clock) for store in stores.values()]
        return {one.bucket: one for one in rows}
    return dict(stores)
