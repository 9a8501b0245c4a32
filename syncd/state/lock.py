"""Keeps a second daemon off a state file: an OS lock on a file beside it, which ends with the process."""

import fcntl
import os
from pathlib import Path

from syncd.domain.errors import ConfigError, Problem


def take(path: Path) -> int:
    """Lock `<path>.lock` for this process and return the descriptor that holds it; closing it unlocks.

    ConfigError names who holds it. The lock file stays: to remove it would let two processes lock two files.
    """
    try:
        descriptor = os.open(_lock_file(path), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        found = f"{_lock_file(path)}: {error.strerror}"
        raise ConfigError([Problem("state.url", found, "a file in an existing directory syncd may write to")]) from None
    if not _locked(descriptor, fcntl.LOCK_EX):
        raise _held(path, descriptor)
    os.truncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor


def holder_of(path: Path) -> int | None:
    """The process that holds the lock; None where nobody does."""
    try:
        descriptor = os.open(_lock_file(path), os.O_RDONLY)
    except OSError:
        return None
    try:
        return None if _locked(descriptor, fcntl.LOCK_SH) else _pid(descriptor)
    finally:
        os.close(descriptor)


def _lock_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


def _locked(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _pid(descriptor: int) -> int:
    """0 while the holder has not written it yet."""
    return int(os.pread(descriptor, 32, 0) or 0)


def _held(path: Path, descriptor: int) -> ConfigError:
    pid = _pid(descriptor)
    os.close(descriptor)
    allowed = f"one daemon for each state file; stop process {pid}, or name another file"
    return ConfigError([Problem("state.url", f"{path} is in use by process {pid}", allowed)])
