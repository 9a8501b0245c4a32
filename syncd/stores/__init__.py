"""Object data of one bucket, read only, over the `ObjectStore` port. `open_store` is how the service makes one."""

import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from syncd.domain.errors import ConfigError, Problem
from syncd.domain.routing import folder_path
from syncd.ports import ObjectStore
from syncd.stores.folder import FolderStore

__all__ = ["open_store"]


def open_store(
    bucket_url: str, *, hidden: bool = False, settle: float = 0.0, now: Callable[[], float] = time.time
) -> ObjectStore:
    """The store of a bucket, chosen by the URL's scheme.

    `hidden`: whether names starting with a dot are listed. `settle`: how long (s) a file must have been left alone
    before it is seen as settled. `now` dates what is seen (pass the clock's). Does not look whether the bucket is
    there. ConfigError: a scheme or a form that is not supported.
    """
    if urlsplit(bucket_url).scheme != "file":
        raise ConfigError([Problem("bucket", repr(bucket_url), "a folder as file:///absolute/path")])
    try:
        path = folder_path(bucket_url)
    except ValueError as error:
        raise ConfigError([Problem("bucket", str(error), "a folder as file:///absolute/path")]) from None
    return FolderStore(Path(path), hidden=hidden, settle=settle, now=now)
