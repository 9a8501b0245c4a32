"""A container of Azurite, Microsoft's own emulator, with a storage queue into which its events are put.

Azurite raises no events: those are made here, as Event Grid documents them, and put into its queue as Event Grid does.
"""

import asyncio
import base64
import json
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import obstore
from azure.storage.queue.aio import QueueClient, QueueServiceClient
from obstore.store import AzureStore

from syncd.domain.etags import bare_etag
from tests.azurite import Azurite
from tests.event_grid import blob_event

_AT_ONCE = 8


class AzureContainer:
    """One container and its queue."""

    def __init__(self, server: Azurite, container: str, queue: QueueClient) -> None:
        self._container, self._queue = container, queue
        config = {name: value for name, value in server.options.items() if name != "azure_allow_http"}
        self._store = AzureStore(container, config=config, client_options={"allow_http": True})  # type: ignore[arg-type]
        self._events: list[str] = []
        options = "\n".join(f'{name} = "{value}"' for name, value in server.options.items())
        self.sources = (
            f'[buckets.photos]\nurl = "az://{container}"\n[buckets.photos.storage_options]\n{options}\n'
            f'[sources.photos]\ntype = "storage-queue"\nbuckets = ["photos"]\nqueue = "{queue.queue_name}"\n'
            f'account_url = "{server.queue_endpoint}"\ncredentials = {{ env = "LOOP_KEY" }}\npoll_every = 0.2'
        )

    async def put(self, key: str, data: bytes) -> None:
        """As `Transport` says."""
        made = await obstore.put_async(self._store, key, data, use_multipart=False)
        event = blob_event(key, container=self._container)
        event["data"] |= {"eTag": bare_etag(made["e_tag"] or ""), "contentLength": len(data)}
        self._raise(event)

    async def delete(self, key: str) -> None:
        """As `Transport` says."""
        await obstore.delete_async(self._store, key)
        self._raise(blob_event(key, kind="BlobDeleted", container=self._container, api="DeleteBlob"))

    def _raise(self, event: Mapping[str, object]) -> None:
        self._events.append(base64.b64encode(json.dumps(event).encode()).decode())

    async def versions(self) -> Mapping[str, str]:
        """As `Transport` says."""
        pages = obstore.list(self._store)
        return {meta["path"]: bare_etag(meta["e_tag"] or "") async for page in pages for meta in page}

    async def held(self) -> Sequence[str]:
        """As `Transport` says."""
        return list(self._events)

    async def tell(self, events: Sequence[str], port: int) -> None:
        """As `Transport` says."""
        slots = asyncio.Semaphore(_AT_ONCE)

        async def send(event: str) -> None:
            async with slots:
                await self._queue.send_message(event)

        await asyncio.gather(*map(send, events))


@asynccontextmanager
async def azure_container(server: Azurite) -> AsyncIterator[AzureContainer]:
    """A container and a queue of its own."""
    name = f"loop{uuid.uuid4().hex[:16]}"
    async with QueueServiceClient.from_connection_string(server.connection_string) as service:
        queue = await service.create_queue(name)
        yield AzureContainer(server, server.container(), queue)
