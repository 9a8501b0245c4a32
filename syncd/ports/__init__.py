"""The ports: what syncd needs of the world, each a contract in words.

Every implementation passes the contract suite of its port (`tests/contracts/`), the in-memory ones included.
All methods are async and batch first. Unless a method says otherwise it raises `Retryable` when the other
side is down, slow or busy, and `Rejected` when the request can never succeed.
"""

from syncd.ports.annotator import (
    WEBHOOK_SECRET_HEADER,
    Annotator,
    AnnotatorDataset,
    AnnotatorInfo,
    Changed,
    DatasetSpec,
    TaskHeader,
    TaskLineage,
    WebhookStatus,
)
from syncd.ports.clock import Clock
from syncd.ports.cursors import Cursors
from syncd.ports.leases import Leases
from syncd.ports.objects import (
    Deliver,
    Entry,
    EventSource,
    Folder,
    Listed,
    ObjectStore,
    Pushed,
    PushSource,
    Reply,
    Seen,
    Stores,
)
from syncd.ports.quarantine import QUARANTINE_KEPT, Quarantine, Quarantined
from syncd.ports.snapshots import Collected, Damage, Retention, SnapshotStore, TagMove, Trouble
from syncd.ports.state import (
    Backlog,
    Deliveries,
    Imports,
    KnownVersion,
    Lane,
    Records,
    Staging,
    StateStore,
    Subjects,
)
from syncd.ports.triggers import Publish, Surroundings, Target, Trigger

__all__ = [
    "QUARANTINE_KEPT",
    "WEBHOOK_SECRET_HEADER",
    "Annotator",
    "AnnotatorDataset",
    "AnnotatorInfo",
    "Backlog",
    "Changed",
    "Clock",
    "Collected",
    "Cursors",
    "Damage",
    "DatasetSpec",
    "Deliver",
    "Deliveries",
    "Entry",
    "EventSource",
    "Folder",
    "Imports",
    "KnownVersion",
    "Lane",
    "Leases",
    "Listed",
    "ObjectStore",
    "Publish",
    "PushSource",
    "Pushed",
    "Quarantine",
    "Quarantined",
    "Records",
    "Reply",
    "Retention",
    "Seen",
    "SnapshotStore",
    "Staging",
    "StateStore",
    "Stores",
    "Subjects",
    "Surroundings",
    "TagMove",
    "Target",
    "TaskHeader",
    "TaskLineage",
    "Trigger",
    "Trouble",
    "WebhookStatus",
]
