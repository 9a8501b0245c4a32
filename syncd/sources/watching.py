"""Watching a directory tree: watchdog's events as changes of relative paths. Used by `sources.folder` only.

Blocking; changes are told from watchdog's threads. Where there is no inotify, or it is at its limit, the tree is
polled: that holds the state of every path in memory (about 1 kB each) and looks at all of them each time.
"""

import errno
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from watchdog.events import (
    DirDeletedEvent,
    DirMovedEvent,
    FileAttribEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.api import BaseObserver
from watchdog.observers.polling import PollingObserverVFS

_LIMITS = frozenset({errno.ENOSPC, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
_FINISHED = (FileClosedEvent, FileDeletedEvent, FileMovedEvent)
_NOTIFIED: list[type[FileSystemEvent]] = [*_FINISHED, FileCreatedEvent, FileAttribEvent, DirDeletedEvent, DirMovedEvent]
_POLLED = [*_NOTIFIED, FileModifiedEvent]  # polling sees no close; inotify would tell of every single write


class Watcher(Protocol):
    """Who is told, from other threads."""

    def changed(self, key: str, *, finished: bool) -> None:
        """Something happened to a file. `finished`: its writer is done with it (closed, renamed, deleted)."""
        ...

    def lost(self, reason: str) -> None:
        """Changes were missed."""
        ...

    def ended(self) -> None:
        """The root is gone: nothing more will be told."""
        ...

    def limited(self) -> None:
        """The kernel grants no more watches: of some directories nothing will be told."""
        ...


class Watch:
    """A tree being watched. `poll_every`: seconds between two looks at everything; None: by notifications."""

    def __init__(self, root: Path, watcher: Watcher, *, poll_every: float | None) -> None:
        self._root = root
        self._watcher = watcher
        self._poll_every = poll_every
        self._observer: BaseObserver | None = None
        self._identity: os.stat_result | None = None
        self._lock = threading.Lock()  # a stop waits for the start that it overtook

    def start(self) -> None:
        """Return once every change from now on will be told. OSError: the root is gone, or watches are limited."""
        with self._lock:
            self._identity = self._root.stat()
            root = str(self._root.resolve(strict=True))
            try:
                self._observer = self._new_observer()
                kinds = _NOTIFIED if self._poll_every is None else _POLLED
                self._observer.schedule(_Handler(root, self._watcher), root, recursive=True, event_filter=kinds)
                self._observer.start()
            except OSError as error:
                if error.errno in _LIMITS:
                    self._watcher.limited()
                raise

    def stop(self) -> None:
        """Return once nothing will be told any more. Idempotent."""
        with self._lock:
            observer, self._observer = self._observer, None
            if observer is not None:
                observer.stop()
                with suppress(RuntimeError):  # its start failed
                    observer.join()

    def stands(self) -> bool:
        """Whether the root is still the directory that is watched: not replaced, moved away or unmounted."""
        observer, identity = self._observer, self._identity
        if observer is None or identity is None:
            return False
        if not (observer.is_alive() and all(emitter.is_alive() for emitter in observer.emitters)):
            return False
        try:
            return os.path.samestat(identity, self._root.stat())
        except OSError:
            return False

    def _new_observer(self) -> BaseObserver:
        if self._poll_every is not None or sys.platform != "linux":
            return PollingObserverVFS(os.lstat, os.scandir, polling_interval=self._poll_every or 1.0)
        from syncd.sources.inotify import InotifyObserver  # noqa: PLC0415 - does not import elsewhere

        return InotifyObserver(
            on_lost=lambda: self._watcher.lost("the inotify queue overflowed"),
            on_refused=self._refused,
        )

    def _refused(self, error: OSError) -> None:
        if error.errno in _LIMITS:
            self._watcher.limited()


class _Handler(FileSystemEventHandler):
    """Turns watchdog's events into calls of a watcher."""

    def __init__(self, root: str, watcher: Watcher) -> None:
        self._root = root
        self._prefix = root.rstrip("/") + "/"
        self._watcher = watcher

    def dispatch(self, event: FileSystemEvent) -> None:
        """The one entrance. Of a directory moved within the root each file is told by watchdog as well."""
        if isinstance(event, DirDeletedEvent):  # its files were told one by one
            if event.src_path == self._root:
                self._watcher.ended()
        elif isinstance(event, DirMovedEvent):
            if not event.dest_path:
                self._watcher.lost("a directory was moved out of the folder")
        else:
            finished = isinstance(event, _FINISHED)
            for path in (event.src_path, event.dest_path):
                if path:
                    self._watcher.changed(os.fsdecode(path).removeprefix(self._prefix), finished=finished)
