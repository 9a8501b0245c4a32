"""A folder of objects that came over the network, by content: named by bucket, key and version, so never out of date.

Used by `cloud` only; shared by all processes of a machine. A file appears whole or not at all (written beside, synced,
renamed), and is fetched once by whoever comes first: the others wait on a lock file. What was used longest ago goes
when the folder grows over its limit, which each process may overstep by a hundredth before it looks again.
"""

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from syncd.domain.errors import Rejected

GIGABYTE = 10**9
_KEPT = 0.9  # of the limit, after making room: so that it is not made for every object
_UNSEEN = 0.01  # of the limit, written before the folder is looked through again


def default_folder() -> Path:
    """`$SYNCD_CACHE/media`, else `~/.cache/syncd/media`."""
    root = os.environ.get("SYNCD_CACHE")
    return (Path(root).expanduser() if root else Path("~/.cache/syncd").expanduser()) / "media"


@dataclass(slots=True)
class MediaCache:
    """The cache. `place`: its folder; None: what `default_folder` says on the machine that reads. `limit`: bytes."""

    place: Path | None = None
    limit: int = 20 * GIGABYTE
    _unseen: int = -1  # bytes written since the folder was looked through; -1: never looked

    @property
    def folder(self) -> Path:
        """Where it is."""
        return self.place or default_folder()

    def find(self, name: str) -> Path | None:
        """The file of that name, marked as used now; None where it is not there."""
        path = self._path(name)
        try:
            os.utime(path)
        except FileNotFoundError:
            return None
        except OSError:  # somebody else's file: there, and not ours to mark
            return path if path.exists() else None
        return path

    def get(self, name: str, fetch: Callable[[], Iterable[bytes]]) -> Path:
        """The file of that name, fetched where it is not there. Rejected: the folder cannot be written.

        What `fetch` raises goes through, and leaves nothing behind.
        """
        return self.find(name) or self._locked(name, fetch)

    def _locked(self, name: str, fetch: Callable[[], Iterable[bytes]]) -> Path:
        with self._lock(name[:2]):
            if found := self.find(name):
                return found
            path = self._path(name)
            self._write(path, fetch())
        self._make_room(path)
        return path

    def _write(self, path: Path, chunks: Iterable[bytes]) -> None:
        part = path.with_name(f"{path.name}.part")
        try:
            with self._writable():
                path.parent.mkdir(parents=True, exist_ok=True)
                file = part.open("wb")
            with file:
                for chunk in chunks:
                    with self._writable():
                        file.write(chunk)
                with self._writable():
                    file.flush()
                    os.fsync(file.fileno())  # else power loss could leave the name without the bytes
                    part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    @contextmanager
    def _writable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            hint = "make room there, set $SYNCD_CACHE to another folder, or give open_snapshot a media_cache"
            raise Rejected(f"the media cache {self.folder} cannot be written: {error.strerror}; {hint}") from error

    @contextmanager
    def _lock(self, shard: str) -> Iterator[None]:
        """Hold one of 256 lock files. They stay: a lock file that is removed can be held twice."""
        with self._writable():
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            locks = self.folder / ".locks"
            locks.mkdir(exist_ok=True)
            file = (locks / shard).open("wb")
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    # ------------------------------------------------------------ room

    def _make_room(self, newest: Path) -> None:
        """Remove what was used longest ago while there is too much; never the newest."""
        size = newest.stat().st_size
        if 0 <= self._unseen < self.limit * _UNSEEN - size:
            self._unseen += size
            return
        files = sorted(self._files())
        excess = sum(size for _, size, _ in files) - self.limit
        excess += int(self.limit * (1 - _KEPT)) if excess > 0 else 0
        for _, size, path in files:
            if excess <= 0:
                break
            if path != str(newest):
                with suppress(FileNotFoundError):  # another process makes room too
                    Path(path).unlink()
                excess -= size
        self._unseen = 0

    def _files(self) -> Iterator[tuple[float, int, str]]:
        """When each file was used last (unix seconds), its bytes, its path."""
        for folder in os.scandir(self.folder):
            if folder.is_dir() and folder.name != ".locks":
                for entry in os.scandir(folder):
                    with suppress(FileNotFoundError):
                        found = entry.stat()
                        yield found.st_mtime, found.st_size, entry.path

    def _path(self, name: str) -> Path:
        return self.folder / name[:2] / name
