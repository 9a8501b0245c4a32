"""Media in a local folder: the files themselves, held to the etag they were labelled on while they are read.

Used by `buckets`. A key never leads out of the folder: one with `..` is refused, a symbolic link on the way is as good
as no file (the daemon never made a task of one).
"""

import io
import os
import stat
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

from syncd.domain.errors import Rejected, Retryable
from syncd.domain.etags import file_etag
from syncd.domain.routing import folder_path
from syncd.training.media.refs import MediaRef

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Folder:
    """One folder as a bucket, by its URL."""

    def __init__(self, url: str) -> None:
        self._url = url

    @cached_property
    def _root(self) -> Path:
        try:
            return Path(folder_path(self._url)).resolve(strict=True)
        except (OSError, ValueError) as error:
            hint = "mount it where it was when its objects were labelled"
            raise Rejected(f"the folder {self._url} cannot be read ({error}): {hint}") from None

    def open(self, ref: MediaRef) -> BinaryIO:
        """The file, which raises MediaChanged when it changes before it is read to its end."""
        return io.BufferedReader(self._opened(ref))

    def path(self, ref: MediaRef) -> Path:
        """The file itself, as labelled when it was asked for."""
        with self._opened(ref):
            return self._place(ref)

    def size(self, ref: MediaRef) -> int:
        """Bytes."""
        with self._opened(ref) as file:
            return os.fstat(file.fileno()).st_size

    def _opened(self, ref: MediaRef) -> "_Unchanged":
        try:
            file = _Unchanged(self._place(ref), ref)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise ref.gone() from None
        except OSError as error:
            raise Retryable(f"{ref.uri} cannot be read: {error.strerror}") from None
        try:
            file.check()
        except BaseException:
            file.close()
            raise
        return file

    def _place(self, ref: MediaRef) -> Path:
        parts = ref.key.split("/")
        if "\0" in ref.key or not {"", ".", ".."}.isdisjoint(parts):
            raise Rejected(f"{ref.uri!r} is no object of {self._url}: a key has no empty part, no `.` and no `..`")
        path = self._root.joinpath(*parts)
        try:
            followed = path.resolve()
        except (OSError, RuntimeError):  # a loop of links; RuntimeError before Python 3.13
            followed = None
        if followed != path:
            raise ref.gone(", a symbolic link now")
        return path


class _Unchanged(io.FileIO):
    """A regular file that is compared with its reference after each read."""

    def __init__(self, path: Path, ref: MediaRef) -> None:
        super().__init__(path, opener=lambda name, _: os.open(name, _FLAGS))
        self._ref = ref

    def readinto(self, buffer: Any) -> int:
        """As FileIO."""
        count = super().readinto(buffer)
        self.check()
        return count

    def readall(self) -> bytes:
        """As FileIO."""
        data = super().readall()
        self.check()
        return data

    def check(self) -> None:
        """MediaChanged unless it is what was labelled."""
        found = os.fstat(self.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise self._ref.gone(", no regular file now")
        self._ref.check(file_etag(found.st_mtime_ns, found.st_size))
