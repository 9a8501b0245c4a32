"""What `stores.tree` does with open files and with errors of the system: reading, writing whole, and what "absent" is.

Blocking, POSIX. Every function gets a descriptor, of a file or of the directory above, and follows no link.
"""

import errno
import os
import secrets
import stat
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path

from syncd.domain.errors import Retryable

PIECE = 1 << 20
OPENED = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENXIO, errno.ENAMETOOLONG})


def read(directory: int, name: str, limit: int) -> tuple[bytes, os.stat_result, os.stat_result]:
    """The first `limit` bytes of a regular file, and what it was before and after; OSError where there is none."""
    fd = open_regular(directory, name)
    with os.fdopen(fd, "rb") as file:
        before = os.fstat(fd)
        return file.read(limit), before, os.fstat(fd)


def pieces(fd: int, start: int, end: int | None) -> Generator[bytes, None, None]:
    """The bytes from `start` to before `end` (None: all), in pieces of at most a megabyte. Closes `fd`."""
    try:
        at = start
        while data := os.pread(fd, PIECE if end is None else min(PIECE, max(0, end - at)), at):
            yield data
            at += len(data)
    finally:
        os.close(fd)


def open_regular(directory: int, name: str) -> int:
    """A descriptor of a regular file; OSError where it is none, also when it was replaced a moment ago."""
    fd = os.open(name, OPENED, dir_fd=directory)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise FileNotFoundError(errno.ENOENT, "replaced by something else")
    return fd


def write_whole(directory: int, name: str, data: bytes) -> os.stat_result:
    """Write a file beside its place and move it there: nobody ever sees half of it."""
    new = f".syncd-{secrets.token_hex(8)}"
    fd = os.open(new, _NEW, 0o644, dir_fd=directory)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(fd)
            written = os.fstat(fd)
        os.rename(new, name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        with suppress(OSError):
            os.unlink(new, dir_fd=directory)
        raise
    return written


def is_at(fd: int, path: Path) -> bool:
    """Whether the path still leads to what is open."""
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except OSError:
        return False


def is_utf8(name: str) -> bool:
    """Whether a name from the file system is text at all."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def raise_unless_absent(error: OSError, key: str) -> None:
    """Retryable, unless the error only says that no such thing is there."""
    if error.errno not in _ABSENT:
        raise unreadable(error, key) from None


def unreadable(error: OSError, key: str) -> Retryable:
    """What to do about it, in one line."""
    return Retryable(f"{key!r} cannot be read: {error.strerror}; give syncd permission, or move it out of the folder")
