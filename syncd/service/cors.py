"""Whether browsers may read pixels of presigned objects from the annotator's pages, and how to let them.

Used by `doctor`. Only where something sends browsers to the bucket itself: storages with `presign`, or signed media
with `receiver.media_presign`. It asks as a browser does, with a preflight, and changes nothing.
"""

import asyncio
import json
import shlex
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp

from syncd.config import Config, Plugin
from syncd.domain.errors import SyncdError
from syncd.service.assembly import Assembly
from syncd.service.media import signed

_PATIENCE_S = 10.0
_PROBE = ".syncd-cors-probe"
_HOSTS = {
    "s3": "https://{0}.s3.amazonaws.com",
    "gs": "https://storage.googleapis.com/{0}",
    "az": "https://{1}.blob.core.windows.net/{0}",
}


@dataclass(frozen=True, slots=True)
class Sending:
    """A browser on a page of `origin` is sent to `url`, an address of the bucket."""

    bucket: str
    origin: str
    url: str


async def examine_cors(parts: Assembly) -> list[tuple[str, bool | None, str]]:
    """(what, ok, what to do) for each bucket that browsers are sent to from an annotator's pages."""
    sendings = dict.fromkeys([*_by_storages(parts.config), *await _by_links(parts)])
    return [(f"CORS of {one.bucket}", *await _verdict(one)) for one in sendings]


def _by_storages(config: Config) -> Iterator[Sending]:
    """Storages of annotators that presign."""
    for annotator in config.annotators.values():
        for link in getattr(annotator.options, "storages", ()):
            name = link.bucket.partition("://")[2]
            url = f"{link.endpoint}/{name}" if link.endpoint else _HOSTS[link.vendor].format(name, link.account_name)
            if link.presign:
                yield Sending(link.bucket, _origin(annotator), f"{url}/{_PROBE}")


async def _by_links(parts: Assembly) -> list[Sending]:
    """Links of syncd's that lead to presigned URLs."""
    if not parts.config.receiver.media_presign:
        return []
    found = []
    for dataset in signed(parts.datasets, parts.config).values():
        origin = _origin(parts.config.annotators[parts.config.datasets[dataset.name].annotator])
        for bucket, store in (dataset.bases or dataset.stores).items():
            with suppress(SyncdError):  # a bucket that cannot be reached has a finding of its own
                if url := await store.sign(_PROBE, expires=60):
                    found.append(Sending(bucket, origin, url))
    return found


async def _verdict(sending: Sending) -> tuple[bool | None, str]:
    asked = {"Origin": sending.origin, "Access-Control-Request-Method": "GET"}
    try:
        async with (
            asyncio.timeout(_PATIENCE_S),
            aiohttp.ClientSession() as session,
            session.options(sending.url, headers=asked) as answer,
        ):
            allowed = answer.headers.get("Access-Control-Allow-Origin", "")
    except (aiohttp.ClientError, TimeoutError) as error:
        return None, f"it did not answer the question of a browser ({type(error).__name__})"
    if allowed in {"*", sending.origin}:
        return True, f"pages of {sending.origin} may read its objects"
    return None, f"pages of {sending.origin} may not read pixels of its objects; {_remedy(sending)}"


def _remedy(sending: Sending) -> str:
    scheme, _, name = sending.bucket.partition("://")
    bucket, origin = shlex.quote(name), shlex.quote(sending.origin)
    if scheme == "az":
        return f"az storage cors add --services b --methods GET --allowed-headers '*' --origins {origin} --max-age 3600"
    if scheme == "gs":
        rule = json.dumps([{"origin": [sending.origin], "method": ["GET"], "responseHeader": ["*"]}])
        return f"gcloud storage buckets update gs://{bucket} --cors-file=FILE, where FILE holds {rule}"
    rule = json.dumps(
        {"CORSRules": [{"AllowedOrigins": [sending.origin], "AllowedMethods": ["GET"], "AllowedHeaders": ["*"]}]}
    )
    return f"aws s3api put-bucket-cors --bucket {bucket} --cors-configuration {shlex.quote(rule)}"


def _origin(annotator: Plugin) -> str:
    """Scheme and host of the annotator's pages, as a browser says it."""
    url = urlsplit(getattr(annotator.options, "url", ""))
    return f"{url.scheme}://{url.netloc}"
