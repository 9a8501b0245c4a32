"""The folder an export goes to: written beside, then put there whole; never over what is not an export.

Used by `run`. `.<out>.syncd-partial` beside it is locked while it is written (the lock ends with its process), and what
a crash left in it is thrown away by the next export. An export that is replaced is `.<out>.syncd-old` for a moment; a
crash in that moment is healed by the next export, too. The names are such that nobody's own folder has them: these two
are emptied without asking.
"""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from syncd.domain.errors import Conflict, Rejected
from syncd.exports.manifest import Manifest, read_manifest, same, whole

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ENAMETOOLONG}


class Place:
    """Where an export goes: the folder itself, where `out` is a link to one. Rejected: it is no folder to write to."""

    def __init__(self, out: Path) -> None:
        try:
            self.out = out.expanduser().resolve()
            self.partial = self.out.with_name(f".{self.out.name}.syncd-partial")
            self._old = self.out.with_name(f".{self.out.name}.syncd-old")
        except (OSError, RuntimeError, ValueError):  # a loop of links, nobody's home, the root of the disk
            raise Rejected(f"{out} is no folder to write to; choose another") from None

    @contextmanager
    def held(self, identity: Manifest, *, force: bool) -> Iterator[Manifest | None]:
        """An empty partial folder that nobody else writes to; or the manifest, where the export is there already.

        Rejected: something else is there, or the folder cannot be written (any more: the disk is full). Conflict:
        another export writes there.
        """
        try:
            self.out.parent.mkdir(parents=True, exist_ok=True)
            self.partial.mkdir(exist_ok=True)
            descriptor = os.open(self.partial, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise self._unwritable(error) from None
        try:
            self._lock(descriptor)
            self._heal()
            yield self._there(identity, force=force)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            raise self._unwritable(error) from None
        finally:
            if self._is_ours(descriptor):
                shutil.rmtree(self.partial, ignore_errors=True)
            os.close(descriptor)

    def finish(self) -> None:
        """The partial folder is whole: it becomes the export."""
        if self.out.exists():
            if any(self.out.iterdir()):
                self.out.rename(self._old)
            else:
                self.out.rmdir()
        self.partial.rename(self.out)
        shutil.rmtree(self._old, ignore_errors=True)

    def _lock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Conflict(f"another export is writing to {self.out}: wait for it, or choose another folder") from None
        if not self._is_ours(descriptor):
            raise Conflict(f"another export has just written {self.out}: try again")

    def _is_ours(self, descriptor: int) -> bool:
        """Whether the folder of that name is the one that we opened, and hold."""
        try:
            there = self.partial.stat()
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        ours = os.fstat(descriptor)
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

    def _unwritable(self, error: OSError) -> Rejected:
        return Rejected(f"{self.out} cannot be written: {error.strerror}; choose another folder")

    def _heal(self) -> None:
        if self._old.exists() and not self.out.exists():
            self._old.rename(self.out)
        shutil.rmtree(self._old, ignore_errors=True)
        for left in self.partial.iterdir():
            shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()

    def _there(self, identity: Manifest, *, force: bool) -> Manifest | None:
        if not self.out.exists() or (self.out.is_dir() and not any(self.out.iterdir())):
            return None
        found = read_manifest(self.out) if self.out.is_dir() else None
        if found is None:
            raise Rejected(f"{self.out} holds something that is no export: choose another folder")
        if same(found, identity) and whole(self.out, found):
            return found
        if not force:
            what = "this export, damaged" if same(found, identity) else _named(found)
            raise Rejected(f"{self.out} holds {what}: choose another folder, or replace it with force")
        return None


def _named(manifest: Manifest) -> str:
    return f"another export ({manifest['dataset']}@{manifest['version']} as {manifest['format']})"
