"""Exports one version: what `syncd.export_snapshot`, `syncd export` and publishing call.

A format writes into a folder beside `out`, which becomes `out` when it is whole: a crash leaves no half export. The
same export again is left as it is. `manifest.json` says what it is an export of, and the sha256 of every file the
format wrote: the same version, format, query and options give the same bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar, Unpack

from syncd.domain.errors import Rejected
from syncd.domain.model import RowStatus
from syncd.exports.base import Format, Source
from syncd.exports.beside import Beside, Changed, Media
from syncd.exports.fetching import Progress, fetch, images_of, names_of
from syncd.exports.formats import find_format, misfit_of
from syncd.exports.manifest import Manifest, identity_of, written
from syncd.exports.place import Place
from syncd.training.query import Query
from syncd.training.reader import open_snapshot
from syncd.training.snapshot import Snapshot

_Choice = TypeVar("_Choice", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export came to.

    `lost`: what the format could not hold, counted by what it is. `unchanged`: it was there already. `images`: how
    many files or URIs of images it names.
    """

    path: Path
    manifest: Mapping[str, Any]
    images: int
    lost: Mapping[str, int]
    unchanged: bool = False


def export_snapshot(  # noqa: PLR0913 - one keyword for each thing one may say of an export
    snapshot: Snapshot | str | Path,
    format: str,  # noqa: A002 - the word for it
    out: str | Path,
    *,
    media: str | None = None,
    changed: str = "error",
    strict: bool = False,
    force: bool = False,
    options: Mapping[str, str] | None = None,
    storage_options: Mapping[str, str] | None = None,
    progress: Progress = lambda _what, _done, _total: None,
    **query: Unpack[Query],
) -> Exported:
    """Write one version in another format into the folder `out`; a second time the same bytes.

    `snapshot`: one that is open, or its URI (with `storage_options`). `format`: a name of `formats()`. `media`: link,
    copy, uri or none (default: link for formats about images). `changed`: error, skip or keep, for images whose
    object is not what was labelled. `strict`: what the format cannot hold is an error. `force`: replace another
    export in `out`. `options`: the format's own. `progress` is called with what is done, how much, of how much.
    `query`: which rows; `tasks` is "newest" for formats with one answer a task.

    Raises Rejected (no such format, or it does not fit: says which do; `out` holds something else; strict), Conflict
    (objects changed, or another export is writing there), and what opening the version raises.
    """
    if not isinstance(snapshot, Snapshot):
        snapshot = open_snapshot(snapshot, storage_options=storage_options)
    chosen = find_format(format)
    _check_options(chosen, options or {})
    _check_split(snapshot, query.get("split"))
    source = Source(snapshot, _completed(chosen, query), dict(options or {}))
    if why := misfit_of(chosen, source):
        raise Rejected(why)
    wanted = _Media(_mode(chosen, media), _choice(Changed, "changed", changed), progress)
    identity = identity_of(source, chosen, wanted.told)
    place = Place(Path(out))
    with place.held(identity, force=force) as found:
        manifest = found or _write(source, chosen, place.partial, wanted, identity)
        if strict and manifest["lost"]:
            raise Rejected(f"{chosen.name} cannot hold all of {snapshot.uri}: {lost_text(manifest['lost'])}")
        if not found:
            place.finish()
    return Exported(place.out, manifest, len(manifest["media"]), manifest["lost"], unchanged=found is not None)


@dataclass(frozen=True, slots=True)
class _Media:
    """How media are wanted."""

    mode: Media
    changed: Changed
    progress: Progress

    @property
    def told(self) -> dict[str, str]:
        """For the manifest."""
        return {"mode": self.mode.value, **({"changed": self.changed.value} if self.mode.files else {})}


def _write(source: Source, chosen: Format, folder: Path, wanted: _Media, identity: Manifest) -> Manifest:
    """The whole export into an empty folder."""
    placed: Mapping[str, str | None] = {}
    if chosen.media:
        images = images_of(source)
        names = names_of(images, flat=chosen.flat)
        with Beside(folder, wanted.mode, names, lambda done: wanted.progress("images", done, len(images))) as beside:
            if wanted.mode.files:
                fetch(images, beside, source, wanted.changed, wanted.progress)
            chosen.write(replace(source, beside=beside), folder)
        placed = beside.placed
    else:
        chosen.write(source, folder)
    return written(folder, identity, source.lost, placed, files=wanted.mode.files)


def _completed(chosen: Format, query: Query) -> Query:
    """With the policy of the format where none is asked for. `columns` is no matter of exports."""
    if "columns" in query:
        raise Rejected("an export has the columns of its format: leave `columns` out")
    said: Query = {"status": RowStatus.SUBMITTED.value, **query}  # said or not, it is the same export
    return {"tasks": "newest", **said} if chosen.per_task else said


def _mode(chosen: Format, media: str | None) -> Media:
    mode = _choice(Media, "media", media or ("link" if chosen.media else "none"))
    if mode is not Media.NONE and not chosen.media:
        raise Rejected(f"{chosen.name} has no place for media: leave `media` out")
    if mode is Media.URI and chosen.needs_files:
        raise Rejected(f"{chosen.name} finds images by their path, not by URI: take media=link, copy or none")
    return mode


def _choice(kind: type[_Choice], name: str, value: str) -> _Choice:
    try:
        return kind(value)
    except ValueError:
        raise Rejected(f"no {name} {value!r}; there is: {', '.join(kind)}") from None


def _check_options(chosen: Format, options: Mapping[str, str]) -> None:
    if unknown := sorted(set(options) - set(chosen.options)):
        known = ", ".join(chosen.options) or "none"
        raise Rejected(f"{chosen.name} has no option {', '.join(unknown)}; there is: {known}")


def _check_split(snapshot: Snapshot, split: str | None) -> None:
    """A misspelt one would be an export of nothing."""
    if split is None:
        return
    there = "split" in snapshot.schema.names
    found = set(snapshot.to_arrow(status="all", columns=["split"])["split"].to_pylist()) - {None} if there else set()
    if split not in found:
        raise Rejected(f"{snapshot.uri} has no split {split!r}; there is: {', '.join(sorted(found)) or 'none'}")


def lost_text(lost: Mapping[str, int]) -> str:
    """What was lost, in one line."""
    return "; ".join(f"{what} ({count})" for what, count in sorted(lost.items()))
