"""The output of a command, in a file of bounded size: its beginning and its end. Used by `process`."""

import os
from pathlib import Path
from types import TracebackType
from typing import Self

_EXCERPT_BYTES = 2048


class Output:
    """A log file, readable for its owner only. Holds at most half of `limit` bytes in memory."""

    def __init__(self, path: Path, limit: int) -> None:
        self.path = path
        self.last = b""
        """The last bytes, once it is closed."""
        self._room = limit - limit // 2
        self._tail_limit = limit // 2
        self._tail = bytearray()
        self._dropped = 0
        self.whole = True
        """Whether `last` is all of it."""

    def __enter__(self) -> Self:
        """Make the file."""
        self._file = os.fdopen(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
        return self

    def write(self, data: bytes) -> None:
        """Take more. What is neither beginning nor end is counted and dropped."""
        head = data[: self._room]
        self._room -= len(head)
        self._file.write(head)
        self._tail += data[len(head) :]
        excess = len(self._tail) - self._tail_limit
        if excess > 0:
            del self._tail[:excess]
            self._dropped += excess

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Write the end behind the beginning."""
        with self._file:
            if self._dropped:
                self._file.write(f"\n[syncd left out {self._dropped} bytes here]\n".encode())
            self._file.write(self._tail)
        written = self.path.read_bytes()
        self.last = written[-_EXCERPT_BYTES:]
        self.whole = len(written) <= _EXCERPT_BYTES
