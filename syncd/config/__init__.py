"""The configuration: one TOML file, overridden by the environment, checked as a whole before anything starts.

`cli` loads it and shows its problems, `service` builds the daemon from it. Nothing here opens a connection; only
the plug-in classes that the file names are imported.
"""

from syncd.config.about import AboutDataset
from syncd.config.buckets import BucketConfig
from syncd.config.checks import secrets_of, warnings_of
from syncd.config.datasets import Dataset, Snapshots
from syncd.config.loader import find_config, load_config
from syncd.config.models import (
    RECEIVER,
    Config,
    Log,
    Receiver,
    Reconcile,
    Retry,
    Shutdown,
    State,
    Telemetry,
    Worker,
)
from syncd.config.plugins import Plugin
from syncd.config.splits import DatasetSplits
from syncd.config.state_urls import is_server, state_url

__all__ = [
    "RECEIVER",
    "AboutDataset",
    "BucketConfig",
    "Config",
    "Dataset",
    "DatasetSplits",
    "Log",
    "Plugin",
    "Receiver",
    "Reconcile",
    "Retry",
    "Shutdown",
    "Snapshots",
    "State",
    "Telemetry",
    "Worker",
    "find_config",
    "is_server",
    "load_config",
    "secrets_of",
    "state_url",
    "warnings_of",
]
