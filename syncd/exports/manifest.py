"""`manifest.json` of an export: of what it is an export, and the sha256 of every file in it.

Used by `run` and `place`. No date but the version's. Media are named by the etag they were labelled on; they are not
read again to be hashed.
"""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import orjson

from syncd.exports.base import Format, Source
from syncd.snapshots.times import time_text

NAME = "manifest.json"
Manifest = dict[str, Any]

_IDENTITY = (
    "made_with",
    "dataset",
    "version",
    "created_at",
    "uri",
    "label_config_hash",
    "format",
    "query",
    "options",
    "media_as",
)
_CHUNK = 1 << 20


def identity_of(source: Source, chosen: Format, media: Mapping[str, str]) -> Manifest:
    """What makes two exports the same one."""
    snapshot = source.snapshot
    return {
        "made_with": f"syncd {_version()}",
        "dataset": snapshot.dataset,
        "version": snapshot.name,
        "created_at": _utc(snapshot.info.created_at),
        "uri": snapshot.uri,
        "label_config_hash": snapshot.info.label_config_hash,
        "format": chosen.name,
        "query": {name: value for name, value in sorted(source.query.items()) if value is not None},
        "options": dict(sorted(source.options.items())),
        "media_as": dict(media),
    }


def _version() -> str:
    try:
        return version("syncd")
    except PackageNotFoundError:
        return "unknown"


def _utc(seconds: float) -> str:
    return str(time_text(datetime.fromtimestamp(seconds, UTC)))


def written(
    folder: Path, identity: Manifest, lost: Mapping[str, int], placed: Mapping[str, str | None], *, files: bool
) -> Manifest:
    """Write the manifest of what lies in a folder, and give it. `files`: the placed media are files there."""
    media = set(placed) if files else set()
    paths = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    manifest = {
        **identity,
        "lost": {what: count for what, count in sorted(lost.items()) if count},
        "files": {path: _sha256(folder / path) for path in paths if path not in media},
        "media": dict(sorted(placed.items())),
    }
    (folder / NAME).write_bytes(orjson.dumps(manifest, option=orjson.OPT_INDENT_2) + b"\n")
    return manifest


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of an export; None where there is none that can be read."""
    try:
        found = orjson.loads((folder / NAME).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return None
    return found if isinstance(found, dict) and {*_IDENTITY, "files", "media", "lost"} <= found.keys() else None


def same(manifest: Manifest, identity: Manifest) -> bool:
    """Whether it is the manifest of this export."""
    return all(manifest[name] == identity[name] for name in _IDENTITY)


def whole(folder: Path, manifest: Manifest) -> bool:
    """Whether all files are as they were written, and media are there."""
    files = all(_sha256(folder / path) == digest for path, digest in manifest["files"].items())
    with_media = manifest["media_as"].get("mode") in {"link", "copy"}
    return files and (not with_media or all((folder / path).is_file() for path in manifest["media"]))


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError:
        return "unreadable"
    return digest.hexdigest()
