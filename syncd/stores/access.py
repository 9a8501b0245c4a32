"""Who we are at a bucket, kept fresh: options are read again on a timer and when credentials are refused.

Used by `stores.cloud`. So a secret that is rotated needs no restart: the next request after the old one was refused
is sent with the new one. Reading may block or ask a secret manager: it is done in a thread.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from obstore.exceptions import BaseError

from syncd.clouds.aws import AwsAccess
from syncd.domain.errors import ConfigError, Problem
from syncd.ports import Clock
from syncd.stores.azure import Azure
from syncd.stores.gcs import Google
from syncd.stores.s3 import S3
from syncd.stores.transfer import Transfer, summary
from syncd.stores.wire import Wire

FRESH_S = 60.0
CLIENT = frozenset({
    "allow_http", "allow_invalid_certificates", "connect_timeout", "default_content_type", "http1_only", "http2_only",
    "pool_idle_timeout", "pool_max_idle_per_host", "proxy_ca_certificate", "proxy_excludes", "proxy_url",
    "read_timeout", "timeout", "user_agent",
})  # fmt: skip
"""What object_store's HTTP client understands; the same under a vendor's prefix."""


@dataclass(frozen=True, slots=True)
class Doors:
    """Both ways to the bucket's objects."""

    options: Mapping[str, str]
    wire: Wire
    transfer: Transfer


class Access:
    """The doors of one bucket, made anew when its options have changed."""

    def __init__(
        self, url: str, options: Callable[[], Mapping[str, str]], clock: Clock, aws: AwsAccess, field: str
    ) -> None:
        self._field = field
        self._url = url
        self._options = options
        self._clock = clock
        self._aws = aws
        self._doors: Doors | None = None
        self._read_at = 0.0
        self._reads = 0
        self._reading = asyncio.Lock()

    async def doors(self) -> Doors:
        """As the options are now, or were within the last minute. ConfigError: they cannot work."""
        if self._doors is None or self._clock.now() >= self._read_at + FRESH_S:
            await self._read()
        assert self._doors  # noqa: S101 - read
        return self._doors

    async def refresh(self, refused: Doors) -> None:
        """After these were refused: secrets are read and credentials are looked for anew, once for all who ask."""
        refused.wire.dialect.refused()
        if refused is self._doors:
            await self._read()

    async def close(self) -> None:
        """Release connections. Idempotent."""
        doors, self._doors = self._doors, None
        if doors:
            await doors.wire.close()

    async def _read(self) -> None:
        """Those who ask while it is read are content with that."""
        before = self._reads
        async with self._reading:
            if self._reads != before:
                return
            options = dict(await asyncio.to_thread(self._options))
            self._read_at = self._clock.now()
            self._reads += 1
            if self._doors is None or options != self._doors.options:
                old, self._doors = self._doors, open_doors(self._url, options, self._aws, self._field)
                if old:
                    await old.wire.close()


def open_doors(url: str, options: Mapping[str, str], aws: AwsAccess, field: str) -> Doors:
    """The doors of a bucket, without asking it anything. ConfigError: an option below `field` is wrong or missing."""
    try:
        return _opened(url, options, aws)
    except ConfigError as error:
        raise error.below(field) from None
    except (BaseError, ValueError) as error:
        problem = Problem(f"{field}.storage_options", summary(error), "options by their object_store names")
        raise ConfigError([problem]) from None


def _opened(url: str, options: Mapping[str, str], aws: AwsAccess) -> Doors:
    parts = urlsplit(url)
    client = {_client(name): value for name, value in options.items() if _client(name) in CLIENT}
    own = {name: value for name, value in options.items() if _client(name) not in CLIENT}
    dialect: S3 | Google | Azure
    if parts.scheme == "s3":
        dialect = S3(parts.netloc, own, client, aws)
    elif parts.scheme == "gs":
        dialect = Google(parts.netloc, own, client)
    else:
        dialect = Azure(parts.netloc, own, client)
    if dialect.url.startswith("http://") and client.get("allow_http", "").lower() not in {"true", "1"}:
        allowed = 'https, or allow_http = "true" beside it'
        raise ConfigError([Problem("storage_options", f"{dialect.url}, unencrypted", allowed)])
    return Doors(dict(options), Wire(dialect, client), Transfer(dialect.objects()))


def _client(name: str) -> str:
    """Without the vendor's prefix: `aws_allow_http` is `allow_http`."""
    return re.sub(r"^(aws|google|azure)_", "", name.lower())
