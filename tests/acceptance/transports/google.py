"""A bucket of Google Cloud Storage, and Pub/Sub beside it: doubles of our own, as neither is to be had anywhere.

The bucket knows what syncd's store asks it: a page of the JSON listing, HEAD and GET of an object. What Google itself
does was not seen.
"""

import base64
import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from urllib.parse import unquote

from aiohttp import web

from tests.pubsub_double import EMAIL, SUBSCRIPTION, PubSubDouble

BUCKET = "photos"
AUDIENCE = "syncd"
_PAGE = 200


@dataclass(frozen=True)
class _Object:
    data: bytes
    generation: int

    @property
    def etag(self) -> str:
        return base64.b64encode(f"etag {self.generation}".encode()).decode()


@dataclass(frozen=True)
class Published:
    """A notification as Cloud Storage hands it to Pub/Sub."""

    attributes: Mapping[str, str]
    data: bytes


class GoogleBucket:
    """The bucket, and what it published. `push`: whether Pub/Sub calls syncd, else syncd pulls."""

    def __init__(self, pubsub: PubSubDouble, *, push: bool) -> None:
        self._pubsub, self._push = pubsub, push
        self._objects: dict[str, _Object] = {}
        self._generations = count(1_700_000_000_000_000)
        self._published: list[Published] = []
        self.sources = ""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["GoogleBucket"]:
        """On a free port of 127.0.0.1 until the context ends."""
        app = web.Application()
        app.router.add_get(f"/storage/v1/b/{BUCKET}/o", self._list)
        app.router.add_get(f"/{BUCKET}/{{key:.+}}", self._get)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.sources = self._toml(f"http://127.0.0.1:{runner.addresses[0][1]}")
            yield self
        finally:
            await runner.cleanup()

    def _toml(self, url: str) -> str:
        pull = f'type = "pubsub"\nsubscription = "{SUBSCRIPTION}"\nendpoint = "{self._pubsub.url}"'
        push = (
            f'type = "pubsub-push"\naudience = "{AUDIENCE}"\nservice_account = "{EMAIL}"\n'
            f'keys_url = "{self._pubsub.url}/keys"'
        )
        return (
            f'[buckets.photos]\nurl = "gs://{BUCKET}"\n[buckets.photos.storage_options]\ngoogle_base_url = "{url}"\n'
            'google_skip_signature = "true"\nallow_http = "true"\n'
            f'[sources.photos]\nbuckets = ["photos"]\n{push if self._push else pull}'
        )

    # ------------------------------------------------------------ as syncd sees it

    async def _list(self, request: web.Request) -> web.Response:
        after, start = request.query.get("pageToken", ""), request.query.get("startOffset", "")
        keys = [key for key in sorted(self._objects, key=str.encode) if key > after and key >= start][:_PAGE]
        items = [
            {"name": key, "etag": one.etag, "generation": str(one.generation), "size": str(len(one.data))}
            for key, one in ((key, self._objects[key]) for key in keys)
        ]
        return web.json_response({"items": items} | ({"nextPageToken": keys[-1]} if len(keys) == _PAGE else {}))

    async def _get(self, request: web.Request) -> web.Response:
        found = self._objects.get(unquote(request.path.removeprefix(f"/{BUCKET}/")))
        if found is None:
            return web.Response(status=404)
        about = {
            "ETag": f'"{hashlib.md5(found.data).hexdigest()}"',  # noqa: S324 - what Google does
            "x-goog-generation": str(found.generation),
            "Last-Modified": "Sat, 21 Nov 2026 10:00:00 GMT",
        }
        asked = range(len(found.data))[request.http_range]
        if "Range" not in request.headers:
            return web.Response(body=found.data, headers=about)
        told = {**about, "Content-Range": f"bytes {asked.start}-{asked.stop - 1}/{len(found.data)}"}
        return web.Response(status=206, body=found.data[asked.start : asked.stop], headers=told)

    # ------------------------------------------------------------ as `Transport` says

    async def put(self, key: str, data: bytes) -> None:
        """As `Transport` says. An overwrite is told as two events: the old generation went, the new one came."""
        before = self._objects.get(key)
        self._objects[key] = now = _Object(data, next(self._generations))
        if before:
            self._publish("OBJECT_DELETE", key, before, overwrittenByGeneration=str(now.generation))
        more = {"overwroteGeneration": str(before.generation)} if before else {}
        self._publish("OBJECT_FINALIZE", key, now, **more)

    async def delete(self, key: str) -> None:
        """As `Transport` says."""
        self._publish("OBJECT_DELETE", key, self._objects.pop(key))

    def _publish(self, kind: str, key: str, one: _Object, **more: str) -> None:
        attributes = {
            "notificationConfig": f"projects/_/buckets/{BUCKET}/notificationConfigs/1",
            "eventType": kind,
            "payloadFormat": "JSON_API_V1",
            "bucketId": BUCKET,
            "objectId": key,
            "objectGeneration": str(one.generation),
            "eventTime": "2026-11-21T10:00:00.123456Z",
            **more,
        }
        resource = {
            "kind": "storage#object",
            "name": key,
            "bucket": BUCKET,
            "generation": str(one.generation),
            "metageneration": "1",
            "size": str(len(one.data)),
            "etag": one.etag,
            "md5Hash": base64.b64encode(hashlib.md5(one.data).digest()).decode(),  # noqa: S324
        }
        self._published.append(Published(attributes, json.dumps(resource).encode()))

    async def versions(self) -> Mapping[str, str]:
        """As `Transport` says."""
        return {key: str(one.generation) for key, one in self._objects.items()}

    async def held(self) -> Sequence[Published]:
        """As `Transport` says."""
        return list(self._published)

    async def tell(self, events: Sequence[Published], port: int) -> None:
        """As `Transport` says."""
        for event in events:
            self._pubsub.publish(event.attributes, event.data)
        if self._push:
            statuses = await self._pubsub.push(f"http://127.0.0.1:{port}/events/photos", AUDIENCE)
            assert set(statuses) == {204}
