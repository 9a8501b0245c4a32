"""Brings the media of an export: many at once, each as it was when its label was made.

Called by `run`. Everything is looked at before anything fails, so that one message names all objects that changed.
"""

import shutil
from collections.abc import Callable, Hashable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from pathlib import Path
from typing import Any

from syncd.domain.errors import Conflict, Rejected
from syncd.exports.base import Source
from syncd.exports.beside import Beside, Changed, Media, identity
from syncd.exports.names import unique_names
from syncd.training.media import MediaChanged, MediaGone

TOGETHER = 16
_AHEAD = 4 * TOGETHER
_COLUMNS = ("object_uri", "bucket", "key", "etag", "version_id", "task_id")

Progress = Callable[[str, int, int], object]
"""What is being done, how much of it is done, of how much."""
Images = Mapping[Hashable, Mapping[str, Any]]


def images_of(source: Source) -> dict[Hashable, dict[str, Any]]:
    """A row for each image of the version, in order: where it lies, at which etag."""
    rows = source.snapshot.to_arrow(**source.asking(*_COLUMNS)).to_pylist()
    ordered = sorted(rows, key=lambda row: tuple(str(row[name] or "") for name in _COLUMNS))
    return {identity(row): row for row in ordered}


def names_of(images: Images, *, flat: bool) -> dict[Hashable, str]:
    """A name for each image, taken from its key; `task-5` where it has none."""
    return unique_names({image: row["key"] or f"task-{row['task_id']}" for image, row in images.items()}, flat=flat)


def fetch(images: Images, beside: Beside, source: Source, changed: Changed, progress: Progress) -> None:
    """Stage the file of every image. Images whose object changed are skipped, kept, or a Conflict that names them."""
    if unlinked := sum(row["key"] is None for row in images.values()):
        raise Rejected(
            f"{unlinked} of {len(images)} images are no objects of a bucket (their tasks were made by hand), so "
            "there is no file to bring: export with media=none"
        )
    gone: dict[Hashable, str] = {}
    for done, (image, trouble) in enumerate(_fetched(images, beside, source, keep=changed is Changed.KEEP), 1):
        if trouble:
            gone[image] = trouble
        progress("media", done, len(images))
    if gone and changed is not Changed.SKIP:
        raise Conflict(_told(gone, images, changed))
    source.lose("an image whose object changed or left since it was labelled", len(gone))
    beside.skipped.update(gone)


def _fetched(images: Images, beside: Beside, source: Source, *, keep: bool) -> Iterator[tuple[Hashable, str]]:
    """Each image, and what is wrong with it, as they come; only so many are under way that memory stays small."""

    def one(image: Hashable) -> str:
        target = beside.file(image)
        assert target is not None  # noqa: S101 - asked where files are wanted
        row = dict(images[image]) | ({"etag": None, "version_id": None} if keep else {})
        return _brought(source, row, target, link=beside.mode is Media.LINK)

    waiting = iter(images)
    running: dict[Future[str], Hashable] = {}
    with ThreadPoolExecutor(TOGETHER, "media") as pool:
        try:
            while True:
                for image in islice(waiting, _AHEAD - len(running)):
                    running[pool.submit(one, image)] = image
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(future), future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _brought(source: Source, row: Mapping[str, Any], target: Path, *, link: bool) -> str:
    """Put the object there; what is wrong with it in a few words, empty where nothing is."""
    media = source.snapshot.media(row)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        if link and _linked(media.path(), target):
            if target.samefile(media.path()):  # between the look and the link it might have been replaced
                return ""
            target.unlink()  # never written through: it may be somebody's object
        with media.open() as content, target.open("wb") as file:
            shutil.copyfileobj(content, file, 1 << 20)
    except MediaGone:
        return "is gone"
    except MediaChanged:
        return "has changed"
    return ""


def _linked(path: Path, target: Path) -> bool:
    """Whether it could be linked: not onto another file system."""
    try:
        target.hardlink_to(path)
    except OSError:
        return False
    return True


def _told(gone: Mapping[Hashable, str], images: Images, changed: Changed) -> str:
    ordered = [image for image in images if image in gone]
    some = "; ".join(f"{images[image]['object_uri']} {gone[image]}" for image in ordered[:5])
    more = f"; and {len(ordered) - 5} more" if len(ordered) > 5 else ""
    keep = "" if changed is Changed.KEEP else ", or take what is there now with changed=keep"
    count = f"{len(ordered)} of {len(images)} objects are not what was labelled"
    return f"{count}: {some}{more}; leave them out with changed=skip{keep}"
