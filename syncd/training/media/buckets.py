"""The media of a snapshot's rows: which bucket a row's object is in, and fetching many at once.

Used by `Snapshot.media` and `Snapshot.prefetch`. Opens a bucket on first use and once per process; what is pickled are
its URL and options alone, so that workers on other hosts open it for themselves.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from urllib.parse import urlsplit

from syncd.domain.errors import Rejected
from syncd.training.media.cache import MediaCache
from syncd.training.media.cloud import VENDORS, Cloud
from syncd.training.media.folder import Folder
from syncd.training.media.refs import MediaChanged, MediaRef

_NAMED = 10  # of the changed objects, in the error about all of them
_AHEAD = 4  # times the workers: rows taken from the caller before some are done


class Bucket(Protocol):
    """What reads objects as they were labelled. All raise MediaChanged, MediaGone, Rejected, Retryable."""

    def open(self, ref: MediaRef) -> BinaryIO:
        """The content as a binary file."""
        ...

    def path(self, ref: MediaRef) -> Path:
        """A local file with the content."""
        ...

    def size(self, ref: MediaRef) -> int:
        """Bytes."""
        ...


@dataclass(frozen=True, slots=True)
class Media:
    """The object of one row, as it was labelled. Nothing is read before it is asked for.

    Everything raises MediaChanged when the object has changed since it was labelled (MediaGone: it is not there any
    more), Rejected when it may not be read, Retryable when its store did not answer. A row with neither etag nor
    version id gives the object as it is now.
    """

    ref: MediaRef
    buckets: "Buckets" = field(repr=False)

    @property
    def uri(self) -> str:
        """The object's URI, as the row has it."""
        return self.ref.uri

    @property
    def size(self) -> int:
        """Bytes."""
        return self._bucket.size(self.ref)

    def open(self) -> BinaryIO:
        """The content as a binary file, to be closed by the caller."""
        return self._bucket.open(self.ref)

    def read(self) -> bytes:
        """The content."""
        with self.open() as file:
            return file.read()

    def path(self) -> Path:
        """A local file with the content: the object itself in a `file://` bucket, else the cached copy.

        Read only, both. The first may change after it was given, the second leaves when the cache is full: `open`
        has neither trouble.
        """
        return self._bucket.path(self.ref)

    @property
    def _bucket(self) -> Bucket:
        return self.buckets.bucket(self.ref.bucket)


class Buckets:
    """The buckets that a snapshot's rows are in. `options` by object_store names; other vendors' are passed over."""

    def __init__(self, options: Mapping[str, str] | None = None, cache: MediaCache | None = None) -> None:
        self._options = dict(options or {})
        self._cache = cache or MediaCache()
        self._open: dict[str, Bucket] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        """Options and cache; each process opens its own buckets."""
        return Buckets, (self._options, self._cache)

    def media(self, row: Any) -> Media:
        """The object of a row, which has the columns MEDIA_COLUMNS. Rejected: it names none."""
        return Media(MediaRef.of(row), self)

    def find(self, row: Any) -> Media | None:
        """As `media`, None where the row names no object."""
        ref = MediaRef.find(row)
        return None if ref is None else Media(ref, self)

    def bucket(self, url: str) -> Bucket:
        """The bucket of that URL. Rejected: a scheme there is no reader for."""
        if url not in self._open:
            self._open[url] = self._made(url)
        return self._open[url]

    def _made(self, url: str) -> Bucket:
        scheme = urlsplit(url).scheme
        if scheme == "file":
            return Folder(url)
        if scheme not in VENDORS:
            raise Rejected(
                f"objects of {url} cannot be read; what can: file://, {', '.join(f'{s}://' for s in VENDORS)}"
            )
        return Cloud(url, self._options, self._cache)

    def prefetch(
        self, rows: Iterable[Any], *, workers: int = 16, progress: Callable[[Media], object] = lambda _: None
    ) -> int:
        """Fetch the objects of many rows into the cache, each once; how many objects that were.

        `progress` is called in the caller's thread for each object that is there. MediaChanged names up to ten of
        the objects that have changed, after all others were fetched; any other error ends it at once.
        """
        wanted = dict.fromkeys(MediaRef.of(row) for row in rows)
        changed: list[str] = []
        with ThreadPoolExecutor(workers, "media") as pool:
            try:
                for media, job in _fetched(pool, (Media(ref, self) for ref in wanted), workers * _AHEAD):
                    try:
                        job.result()
                    except MediaChanged as error:
                        changed.append(str(error))
                    else:
                        progress(media)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        _raise_changed(changed, len(wanted))
        return len(wanted)


def _fetched(pool: ThreadPoolExecutor, media: Iterator[Media], ahead: int) -> Iterator[tuple[Media, "Future[Path]"]]:
    """What was asked for, as it comes; no more than `ahead` under way."""
    waiting: dict[Future[Path], Media] = {}
    for one in media:
        waiting[pool.submit(one.path)] = one
        if len(waiting) >= ahead:
            yield from _ended(waiting)
    while waiting:
        yield from _ended(waiting)


def _ended(waiting: dict["Future[Path]", Media]) -> Iterator[tuple[Media, "Future[Path]"]]:
    for job in wait(waiting, return_when=FIRST_COMPLETED).done:
        yield waiting.pop(job), job


def _raise_changed(changed: list[str], count: int) -> None:
    if len(changed) == 1:
        raise MediaChanged(changed[0])
    if changed:
        more = f"; and {len(changed) - _NAMED} more" if len(changed) > _NAMED else ""
        raise MediaChanged(f"{len(changed)} of {count} objects: {'; '.join(changed[:_NAMED])}{more}")
