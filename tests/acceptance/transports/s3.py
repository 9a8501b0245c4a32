"""S3 buckets for the loop: of SeaweedFS and Ceph, which push, and of emulators of Amazon, with a queue."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import aiohttp
import obstore
from aiobotocore.session import get_session
from obstore.store import S3Store
from yarl import URL

from syncd.domain.etags import bare_etag
from tests.acceptance.transports.relay import Relay, Request
from tests.ceph import Ceph
from tests.seaweed_webhook import WeedWebhook

_TEN = 10


class S3Bucket:
    """Objects of one S3 bucket. `options` by object_store names."""

    def __init__(self, name: str, options: Mapping[str, str]) -> None:
        self.name = name
        config = {key.removeprefix("aws_"): value for key, value in options.items() if key.startswith("aws_")}
        config.pop("allow_http", None)
        self._store = S3Store(name, config=config, client_options={"allow_http": True})  # type: ignore[arg-type]
        lines = "\n".join(f'{key} = "{value}"' for key, value in options.items())
        self.toml = f'[buckets.photos]\nurl = "s3://{name}"\n[buckets.photos.storage_options]\n{lines}\n'

    async def put(self, key: str, data: bytes) -> None:
        """As `Transport` says."""
        await obstore.put_async(self._store, key, data, use_multipart=False)

    async def delete(self, key: str) -> None:
        """As `Transport` says. Not obstore's way: Ceph 16 dies of DeleteObjects where a persistent topic is told."""
        url = obstore.sign(self._store, "DELETE", key, timedelta(minutes=1))
        async with aiohttp.ClientSession() as session, session.delete(URL(url, encoded=True)) as answer:
            assert answer.status == 204, (answer.status, await answer.text())

    async def versions(self) -> Mapping[str, str]:
        """As `Transport` says."""
        found = {}
        async for page in obstore.list(self._store):
            found.update({meta["path"]: bare_etag(meta["e_tag"] or "") for meta in page})
        return found


class Pushing(S3Bucket):
    """A bucket whose server calls a relay."""

    def __init__(self, name: str, options: Mapping[str, str], relay: Relay, source: str) -> None:
        super().__init__(name, options)
        self._relay = relay
        self.sources = f"{self.toml}\n[sources.photos]\n{source}"

    async def held(self) -> Sequence[Request]:
        """As `Transport` says."""
        return list(self._relay.requests)

    async def tell(self, events: Sequence[Request], port: int) -> None:
        """As `Transport` says."""
        await self._relay.pass_on(events, port)


class Queued(S3Bucket):
    """A bucket that tells one queue; the messages are put into another one, which syncd reads."""

    def __init__(self, name: str, endpoint: str, sqs: Any, raised: str, read: str) -> None:
        options = {
            "aws_endpoint": endpoint,
            "aws_access_key_id": "test",
            "aws_secret_access_key": "test",
            "aws_region": "us-east-1",
            "aws_allow_http": "true",
        }
        super().__init__(name, options)
        self._sqs, self._raised, self._read = sqs, raised, read
        self._messages: list[str] = []
        self.sources = (
            f'{self.toml}\n[sources.photos]\ntype = "sqs"\nbuckets = ["photos"]\nqueue = "{read}"\nwait = 1\n'
            f'region = "us-east-1"\nendpoint = "{endpoint}"\n'
            'access_key_id = { env = "LOOP_KEY" }\nsecret_access_key = { env = "LOOP_KEY" }'
        )

    async def held(self) -> Sequence[str]:
        """As `Transport` says. Test events are none."""
        answer = await self._sqs.receive_message(QueueUrl=self._raised, MaxNumberOfMessages=_TEN, WaitTimeSeconds=1)
        messages = answer.get("Messages", [])
        if messages:
            entries = [{"Id": str(n), "ReceiptHandle": one["ReceiptHandle"]} for n, one in enumerate(messages)]
            await self._sqs.delete_message_batch(QueueUrl=self._raised, Entries=entries)
        self._messages += [one["Body"] for one in messages if "s3:TestEvent" not in one["Body"]]
        return list(self._messages)

    async def tell(self, events: Sequence[str], port: int) -> None:
        """As `Transport` says."""
        tens = [events[start : start + _TEN] for start in range(0, len(events), _TEN)]
        slots = asyncio.Semaphore(4)

        async def send(bodies: Sequence[str]) -> None:
            entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies)]
            async with slots:
                await self._sqs.send_message_batch(QueueUrl=self._read, Entries=entries)

        await asyncio.gather(*map(send, tens))


@asynccontextmanager
async def queued(endpoint: str, *, directly: bool = False) -> AsyncIterator[Queued]:
    """A bucket of an emulator, told to speak to a queue of its own; `directly`: to that which syncd reads."""
    name = f"loop-{uuid.uuid4().hex[:12]}"
    session = get_session()
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    async with (
        session.create_client("s3", endpoint_url=endpoint, **keys) as s3,
        session.create_client("sqs", endpoint_url=endpoint, **keys) as sqs,
    ):
        await s3.create_bucket(Bucket=name)
        raised, read = [(await sqs.create_queue(QueueName=f"{name}-{end}"))["QueueUrl"] for end in ("raised", "read")]
        about = await sqs.get_queue_attributes(QueueUrl=raised, AttributeNames=["QueueArn"])
        queue = {"QueueArn": about["Attributes"]["QueueArn"], "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}
        await s3.put_bucket_notification_configuration(
            Bucket=name, NotificationConfiguration={"QueueConfigurations": [queue]}
        )
        yield Queued(name, endpoint, sqs, raised, raised if directly else read)


async def seaweed_bucket(weed: WeedWebhook, relay: Relay) -> Pushing:
    """A bucket of its own on SeaweedFS, whose filer calls the relay about all of them."""
    name = await make_bucket(weed.client)
    source = 'type = "seaweedfs"\nbuckets = ["photos"]\ntokens = [{ env = "LOOP_TOKEN" }]'
    return Pushing(name, {**weed.server.options, "aws_allow_http": "true"}, relay, source)


async def ceph_bucket(ceph: Ceph, relay: Relay, token: str) -> Pushing:
    """A bucket on Ceph, with a topic that calls the relay until it is answered."""
    name = await make_bucket(ceph.client)
    session = get_session()
    about = {"push-endpoint": relay.url, "persistent": "true", "OpaqueData": token}
    async with session.create_client("sns", **ceph.client) as sns, session.create_client("s3", **ceph.client) as s3:
        topic = (await sns.create_topic(Name=name, Attributes=about))["TopicArn"]
        told = {"Id": "loop", "TopicArn": topic, "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}
        await s3.put_bucket_notification_configuration(
            Bucket=name, NotificationConfiguration={"TopicConfigurations": [told]}
        )
    client = ceph.client
    options = {
        "aws_endpoint": client["endpoint_url"],
        "aws_access_key_id": client["aws_access_key_id"],
        "aws_secret_access_key": client["aws_secret_access_key"],
        "aws_region": "us-east-1",
        "aws_allow_http": "true",
    }
    source = 'type = "ceph"\nbuckets = ["photos"]\ntokens = [{ env = "LOOP_TOKEN" }]'
    return Pushing(name, options, relay, source)


async def make_bucket(client: Mapping[str, Any]) -> str:
    """A bucket of a name that nobody used; `client`: the arguments of an S3 client."""
    name = f"loop-{uuid.uuid4().hex[:12]}"
    async with get_session().create_client("s3", **client) as s3:
        await s3.create_bucket(Bucket=name)
    return name
