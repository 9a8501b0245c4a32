"""The object behind a row, opened at the version its label was made on: `snapshot.media(row)`.

`refs` says which object, `folder` and `cloud` read it, `cache` keeps what came over the network, `buckets` puts them
together. Synchronous and safe to use from many threads and processes at once.
"""

from syncd.training.media.buckets import Buckets, Media
from syncd.training.media.cache import MediaCache
from syncd.training.media.refs import MEDIA_COLUMNS, MediaChanged, MediaGone, MediaRef

__all__ = ["MEDIA_COLUMNS", "Buckets", "Media", "MediaCache", "MediaChanged", "MediaGone", "MediaRef"]
