"""Finds the version that a snapshot URI names. What `syncd.open_snapshot` is.

Called by training jobs and notebooks, through `syncd`. Imports nothing of the daemon.
"""

from collections.abc import Mapping
from pathlib import Path

from syncd.domain.errors import ConfigError, Problem, Rejected
from syncd.domain.model import VersionInfo
from syncd.snapshots.location import Root, open_root
from syncd.snapshots.names import Names, version_number
from syncd.snapshots.table import open_version
from syncd.training.snapshot import Snapshot

_FORM = "ROOT/DATASET@VERSION, as in file:///data/snapshots/fruits@v3, s3://bucket/snapshots/fruits@latest"


def open_snapshot(uri: str | Path, *, storage_options: Mapping[str, str] | None = None) -> Snapshot:
    """Open one version of a dataset's snapshots.

    `uri`: `ROOT/DATASET@VERSION`. ROOT is a URL (file, s3, gs, az) or a path; VERSION is `v3`, a tag such as
    `production`, or `latest`, which is meant when there is no `@`. `storage_options`: endpoint and credentials
    by their object_store names (`aws_endpoint`, `aws_access_key_id` …), where the environment does not say.

    Raises ConfigError (the URI is no such thing, or its root is not there), Rejected (no such dataset, version
    or tag: says what there is; a damaged one: says what to do), Retryable (the store did not answer).
    """
    base, dataset, version = _parse(str(uri))
    root = open_root(base, storage_options)
    names = Names(root, dataset)
    info = _find(root, names, version)
    return Snapshot(root, names, info, open_version(root, info), uri=f"{base}/{dataset}@{info.name}")


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
    if version == "latest":
        return newest
    return names.require(version_number(version) or _tagged(names, version))


def _tagged(names: Names, tag: str) -> int:
    tags = names.tags()
    if tag not in tags:
        there = ", ".join(sorted(tags))
        raise Rejected(f"dataset {names.dataset!r} has no tag {tag!r}; there is: {there}, and versions as in v1")
    return tags[tag]
