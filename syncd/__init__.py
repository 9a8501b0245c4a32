"""syncd: new objects become tasks, annotations become versioned snapshots that training opens with one line.

    from syncd import open_snapshot

    fruits = open_snapshot("s3://bucket/snapshots/fruits@v3")
    for row in fruits:
        row["object_uri"], row["result"]

This is the training side. Importing it loads nothing; opening a snapshot loads Lance and nothing of the daemon.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from syncd.exports.run import export_snapshot
    from syncd.training.media import MediaCache, MediaChanged, MediaGone
    from syncd.training.mlflow import log_to_mlflow
    from syncd.training.reader import open_snapshot
    from syncd.training.snapshot import Snapshot

__all__ = ["MediaCache", "MediaChanged", "MediaGone", "Snapshot", "export_snapshot", "log_to_mlflow", "open_snapshot"]

# Loaded when they are asked for: the daemon and --help do not pay for Lance.
_FROM = {
    "MediaCache": "syncd.training.media",
    "MediaChanged": "syncd.training.media",
    "MediaGone": "syncd.training.media",
    "Snapshot": "syncd.training.snapshot",
    "export_snapshot": "syncd.exports.run",
    "log_to_mlflow": "syncd.training.mlflow",
    "open_snapshot": "syncd.training.reader",
}


def __getattr__(name: str) -> Any:
    if name not in _FROM:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_FROM[name]), name)
