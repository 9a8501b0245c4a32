"""watchdog's inotify observer, made to say when it sees less than all. Linux only; used by `sources.watching`.

watchdog itself only logs a queue overflow, and passes in silence over a directory that it cannot watch.
"""

import errno
from collections.abc import Callable

from watchdog.observers.api import BaseObserver
from watchdog.observers.inotify import InotifyFullEmitter
from watchdog.observers.inotify_c import (
    CallbackId,
    InotifyConstants,
    InotifyEvent,
    InotifyFD,
    Mask,
    WatchCallback,
    WatchDescriptor,
)


class InotifyObserver(BaseObserver):
    """`on_lost`: events were lost. `on_refused`: a directory cannot be watched. Called from its threads.

    Tells unmatched halves of moves as moves with one path empty. OSError: there is no inotify instance left.
    """

    def __init__(self, *, on_lost: Callable[[], None], on_refused: Callable[[OSError], None]) -> None:
        self._inotify_fd = _Inotify(on_lost, on_refused)
        super().__init__(InotifyFullEmitter, inotify_fd=self._inotify_fd)

    def on_thread_start(self) -> None:
        """Read from the start: to add many watches takes a while."""
        self._inotify_fd.start()
        super().on_thread_start()

    def is_alive(self) -> bool:
        """Whether it runs, and its reader does."""
        return super().is_alive() and self._inotify_fd.is_alive()

    def on_thread_stop(self) -> None:
        """Stop the emitters, then the reader."""
        super().on_thread_stop()
        self._inotify_fd.stop()
        self._inotify_fd.join()


class _Inotify(InotifyFD):
    def __init__(self, on_lost: Callable[[], None], on_refused: Callable[[OSError], None]) -> None:
        super().__init__()
        self._on_lost = on_lost
        self._on_refused = on_refused

    def _add_callback(self, path: bytes, mask: Mask, callback: WatchCallback, id_: CallbackId) -> WatchDescriptor:
        """As watchdog's, but for what is said here; and a directory met twice is no reason to warn."""
        try:  # of attribute changes watchdog asks to be told only together with every single write: a flood
            watch = self._get_or_create_watch(path, Mask(mask | InotifyConstants.IN_ATTRIB))
        except OSError as error:
            self._on_refused(error)
            raise
        if watch.wd < 0:  # no permission, which watchdog takes for a watch
            raise PermissionError(errno.EACCES, "no permission to watch")
        watch.callbacks[id_] = callback
        return watch.wd

    def handle_event(self, event: InotifyEvent) -> None:
        super().handle_event(event)
        if event.is_queue_overflow:  # only now, after watchdog has rebuilt its watches
            self._on_lost()
