"""A directory tree read, and for probes written, without ever leaving it: the regular files in it, by relative path.

Used by `stores.folder` only; blocking, POSIX. No symbolic link below the root is followed and nothing but a
regular file is opened: every step goes through the descriptor of the directory above, so a swap between a look
and an open leads nowhere. One descriptor is held per level of depth. Memory: the names of the directories that
lie on the path of a walk, about 100 bytes a name.
"""

import os
import stat
import threading
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import structlog

from syncd.domain.errors import Rejected, Retryable, TooLarge
from syncd.stores import files
from syncd.stores.files import is_at, is_utf8, raise_unless_absent, unreadable

log = structlog.get_logger()

_ROOT = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_DIRECTORY = _ROOT | os.O_NOFOLLOW
_LOST_AND_FOUND = "lost+found"  # at the root of an ext disk, for root's eyes only: it would fail every listing
_KINDS = {
    stat.S_IFLNK: "symbolic link",
    stat.S_IFIFO: "FIFO",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}


class _Level(NamedTuple):
    """A directory under way: its descriptor, the prefix of its keys, and the names still to come, last one first."""

    fd: int
    prefix: str
    names: list[str]


class Tree:
    """One root. `skipped` counts by reason what lies in it but can be no object; each reason is logged once.

    Every method raises Retryable when the root, or anything in it, cannot be read. With `hidden` False a walk leaves
    out what has a part starting with a dot in its path; asked for by its key it is there all the same.
    """

    def __init__(self, root: Path, *, hidden: bool) -> None:
        self.skipped: Counter[str] = Counter()
        self._root = root
        self._hidden = hidden
        self._was_mounted = False
        self._lock = threading.Lock()

    def stat(self, key: str) -> os.stat_result | None:
        """What lies under this key; None where nothing is, or nothing that can be an object."""
        *above, name = key.split("/")
        try:
            with self._directory(above) as fd:
                return self._regular(fd, name, key) if self._is_key(key) else None
        except OSError as error:
            raise_unless_absent(error, key)
            return None

    def read(self, key: str, limit: int, *, cut: bool = False) -> tuple[bytes, os.stat_result, os.stat_result] | None:
        """The file's bytes, and what it was before and after they were read; None where there is no such file.

        TooLarge: it has more than `limit` bytes; with `cut` it is read so far.
        """
        *above, name = key.split("/")
        found = None
        try:
            with self._directory(above) as fd:
                if self._is_key(key) and self._regular(fd, name, key):
                    found = files.read(fd, name, limit + 1)
        except OSError as error:
            raise_unless_absent(error, key)
        if found is None:
            return None
        data, before, after = found
        if len(data) > limit and not cut:
            raise TooLarge(f"{key!r} is larger than the {limit} bytes allowed")
        return data[:limit], before, after

    def pieces(self, key: str, start: int, end: int | None) -> Generator[bytes, None, None]:
        """The file's bytes from `start` to before `end`, read on while it is iterated. Rejected: no such file."""
        *above, name = key.split("/")
        try:
            with self._directory(above) as fd:
                if self._is_key(key) and self._regular(fd, name, key):
                    return files.pieces(files.open_regular(fd, name), start, end)
        except OSError as error:
            raise_unless_absent(error, key)
        raise self._gone(key)

    def write(self, key: str, data: bytes) -> os.stat_result:
        """Put a file there, whole or not at all, with the folders above it. Rejected where it cannot be."""
        *above, name = key.split("/")
        if not self._is_key(key):
            raise Rejected(f"{key!r} can be no path below {self._root}")
        try:
            with self._directory(above, make=True) as fd:
                return files.write_whole(fd, name, data)
        except OSError as error:
            raise Rejected(f"{key!r} cannot be written below {self._root}: {error.strerror}") from None

    def remove(self, key: str) -> None:
        """Take a file away; its folders stay. Rejected where syncd may not."""
        *above, name = key.split("/")
        try:
            with self._directory(above) as fd:
                if self._is_key(key) and self._regular(fd, name, key):
                    os.unlink(name, dir_fd=fd)
        except PermissionError as error:
            raise Rejected(f"{key!r} cannot be removed from {self._root}: {error.strerror}") from None
        except OSError as error:
            raise_unless_absent(error, key)

    def _gone(self, key: str) -> Rejected:
        return Rejected(f"{key!r} is gone from {self._root}, or is no regular file")

    def walk(self, after: str = "") -> Iterator[tuple[str, os.stat_result]]:
        """The keys behind `after` in the order of their UTF-8 bytes (which is that of code points).

        A folder below that cannot be read holds up none of the others: it is raised at the end.
        """
        levels: list[_Level] = []
        refused: Retryable | None = None
        try:
            self._enter(levels, self._open_root(), "", after)
            while levels:
                fd, prefix, names = levels[-1]
                if not names:
                    self._leave(levels)
                elif (name := names.pop()).endswith("/"):
                    refused = self._tried(levels, name, after) or refused
                elif found := self._looked_up(fd, name, prefix + name):
                    yield prefix + name, found
        finally:
            for level in levels:
                os.close(level.fd)
        if refused:
            raise refused

    # ------------------------------------------------------------ directories

    def _open_root(self) -> int:
        """Retryable where an unmounted disk would otherwise look like an empty bucket."""
        try:
            fd = os.open(self._root, _ROOT)
        except OSError as error:
            hint = "mount the disk, put the folder back, or give syncd permission to read it"
            raise Retryable(f"the folder {self._root} cannot be read: {error.strerror}; {hint}") from None
        mounted = os.fstat(fd).st_dev != os.stat("..", dir_fd=fd).st_dev
        if self._was_mounted and not mounted:
            os.close(fd)
            raise Retryable(f"the folder {self._root} was a mounted disk and is not any more; mount it again")
        self._was_mounted = mounted
        return fd

    @contextmanager
    def _directory(self, parts: Sequence[str], *, make: bool = False) -> Iterator[int]:
        fd = self._open_root()
        try:
            for part in parts:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(part, dir_fd=fd)
                above, fd = fd, os.open(part, _DIRECTORY, dir_fd=fd)
                os.close(above)
            yield fd
        finally:
            os.close(fd)

    def _tried(self, levels: list[_Level], name: str, after: str) -> Retryable | None:
        depth = len(levels)
        try:
            self._descend(levels, name, after)
        except Retryable as error:
            while len(levels) > depth:
                self._leave(levels)
            return error
        return None

    def _descend(self, levels: list[_Level], name: str, after: str) -> None:
        prefix = levels[-1].prefix + name
        try:
            fd = os.open(name[:-1], _DIRECTORY, dir_fd=levels[-1].fd)
        except OSError as error:
            raise_unless_absent(error, prefix)
        else:
            self._enter(levels, fd, prefix, after)

    def _enter(self, levels: list[_Level], fd: int, prefix: str, after: str) -> None:
        level = _Level(fd, prefix, [])
        levels.append(level)
        try:
            level.names.extend(self._names(level, after))
        except OSError as error:
            raise unreadable(error, prefix or str(self._root)) from None
        level.names.sort(reverse=True)

    def _leave(self, levels: list[_Level]) -> None:
        if len(levels) == 1 and not is_at(levels[0].fd, self._root):
            raise Retryable(f"the folder {self._root} went away while it was listed; it will be listed again")
        os.close(levels.pop().fd)

    def _names(self, level: _Level, after: str) -> Iterator[str]:
        """The directory's entries that lie behind `after`; a directory's name ends in `/` and so sorts as its keys."""
        with os.scandir(level.fd) as entries:
            for entry in entries:
                if self._is_shown(entry.name) and self._is_name(entry.name, level.prefix):
                    name = entry.name + "/" * entry.is_dir(follow_symlinks=False)
                    key = level.prefix + name
                    if key > after or (after.startswith(key) and name.endswith("/")):
                        yield name

    # ------------------------------------------------------------ entries

    def _looked_up(self, fd: int, name: str, key: str) -> os.stat_result | None:
        try:
            return self._regular(fd, name, key)
        except OSError as error:
            raise_unless_absent(error, key)
            return None

    def _regular(self, fd: int, name: str, key: str) -> os.stat_result | None:
        found = os.stat(name, dir_fd=fd, follow_symlinks=False)
        kind = stat.S_IFMT(found.st_mode)
        if kind == stat.S_IFREG:
            return found
        if kind != stat.S_IFDIR:
            self._skip(_KINDS.get(kind, "unknown kind of file"), key)
        return None

    def _is_key(self, key: str) -> bool:
        """Whether a walk that shows all could bring this key."""
        parts = key.split("/")
        if "\0" in key or not {"", ".", ".."}.isdisjoint(parts):
            return False
        return self._is_name(parts[0], "") and all(self._is_name(part, key) for part in parts[1:])

    def _is_shown(self, name: str) -> bool:
        return self._hidden or not name.startswith(".")

    def _is_name(self, name: str, prefix: str) -> bool:
        if not (name.isascii() or is_utf8(name)):
            self._skip("name that is not UTF-8", name)
            return False
        return bool(prefix) or name != _LOST_AND_FOUND

    def _skip(self, reason: str, key: str) -> None:
        with self._lock:
            self.skipped[reason] += 1
            first = self.skipped[reason] == 1
        if first:
            shown = key.encode(errors="backslashreplace").decode()
            log.warning("object.skipped", folder=str(self._root), key=shown, reason=reason)
