"""Finds the version that a snapshot URI names. What `syncd.open_snapshot` is.

Called by training jobs and notebooks, through `syncd`. Imports nothing of the daemon.
"""

from collections.abc import Mapping
from pathlib import Path

from syncd.domain.errors import ConfigError, Problem, Rejected
from syncd.domain.model import VersionInfo
from syncd.snapshots.location import Root, open_root
from syncd.snapshots.names import Names
from syncd.snapshots.table import open_version
from syncd.training.media import Buckets, MediaCache
from syncd.training.snapshot import Snapshot

_FORM = "ROOT/DATASET@VERSION, as in file:///data/snapshots/fruits@v3, s3://bucket/snapshots/fruits@latest"


def open_snapshot(
    uri: str | Path,
    *,
    storage_options: Mapping[str, str] | None = None,
    media_options: Mapping[str, str] | None = None,
    media_cache: MediaCache | None = None,
) -> Snapshot:
    """Open one version of a dataset's snapshots.

    `uri`: `ROOT/DATASET@VERSION`. ROOT is a URL (file, s3, gs, az) or a path; VERSION is `v3`, a tag such as
    `production`, or `latest`, which is meant when there is no `@`.

    `storage_options`: endpoint and credentials by their object_store names (`aws_endpoint`, `aws_access_key_id` …),
    where the environment does not say. `media_options`: those of the buckets that the rows' objects are in (default:
    `storage_options`; each bucket takes its own vendor's). `media_cache`: where objects from the network are kept
    (default: `MediaCache()`).

    Raises ConfigError (the URI is no such thing, or its root is not there), Rejected (no such dataset, version
    or tag: says what there is; a damaged one: says what to do), Retryable (the store did not answer).
    """
    base, dataset, version = _parse(str(uri))
    root = open_root(base, storage_options)
    names = Names(root, dataset)
    info = _find(root, names, version)
    snapshot = Snapshot(root, names, info, open_version(root, info), uri=f"{base}/{dataset}@{info.name}")
    snapshot.buckets = Buckets(root.options if media_options is None else media_options, media_cache)
    return snapshot


def reopen(uri: str, storage_options: Mapping[str, str], buckets: Buckets) -> Snapshot:
    """The snapshot that was pickled under this URI."""
    snapshot = open_snapshot(uri, storage_options=storage_options)
    snapshot.buckets = buckets
    return snapshot


def _parse(uri: str) -> tuple[str, str, str]:
    base, _, last = uri.rstrip("/").rpartition("/")
    dataset, at, version = last.partition("@")
    if not dataset or (at and not version):
        raise ConfigError([Problem("uri", uri, _FORM)])
    return base if "://" in uri else Path(base).expanduser().resolve().as_uri(), dataset, version or "latest"


def _find(root: Root, names: Names, version: str) -> VersionInfo:
    newest = names.newest()
    if newest is None:
        there = ", ".join(name for name in root.folders() if Names(root, name).exist()) or "none"
        raise Rejected(f"{root.url} has no dataset {names.dataset!r} with a version; datasets there: {there}")
    return newest if version == "latest" else names.find(version)
