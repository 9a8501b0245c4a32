"""syncd: new objects become tasks, annotations become versioned snapshots that training opens with one line.

    from syncd import open_snapshot

    fruits = open_snapshot("s3://bucket/snapshots/fruits@v3")
    for row in fruits:
        row["object_uri"], row["result"]

This is the training side. Importing it loads nothing; opening a snapshot loads Lance and nothing of the daemon.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from syncd.exports.run import export_snapshot
    from syncd.training.mlflow import log_to_mlflow
    from syncd.training.reader import open_snapshot
    from syncd.training.snapshot import Snapshot

__all__ = ["Snapshot", "export_snapshot", "log_to_mlflow", "open_snapshot"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "export_snapshot":
        from syncd.exports import run  # noqa: PLC0415 - as below

        return run.export_snapshot
    if name == "log_to_mlflow":
        from syncd.training import mlflow  # noqa: PLC0415

        return mlflow.log_to_mlflow
    from syncd.training import reader  # noqa: PLC0415 - the daemon and --help do not pay for Lance

    return getattr(reader, name)
