"""Ceph RGW: a topic that pushes to our receiver, made by SNS' interface at the gateway, and a bucket that uses it.

The topic is persistent: what could not be pushed is kept and pushed again. It shows the source's first token, as
`OpaqueData`; the token goes over the wire and into the gateway, never into a plan or a log.
https://docs.ceph.com/en/latest/radosgw/notifications/
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from yarl import URL

from syncd.clouds.aws import AwsAccess, AwsClient, credentials_of
from syncd.domain.errors import ConfigError, Problem, Rejected, Retryable
from syncd.service.connect.draft import Draft
from syncd.service.connect.merging import Wanted, found_of, notifications, with_wanted
from syncd.service.connect.plan import Plan
from syncd.service.connect.target import Target

EVENTS = ("s3:ObjectCreated:*", "s3:ObjectRemoved:*")
"""What old gateways know too; expiry has had names of its own since Ceph 17."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """The gateway of a target. `token` is what its events will show."""

    target: Target
    access: AwsAccess
    s3: AwsClient
    sns: AwsClient
    token: str = field(repr=False)

    @property
    def topic(self) -> dict[str, str]:
        """The attributes the topic is made with."""
        return {"push-endpoint": self.target.endpoint, "persistent": "true", "OpaqueData": self.token}


@asynccontextmanager
async def gateway(target: Target, profile: str | None = None) -> AsyncIterator[Gateway]:
    """The gateway until the context ends, with the bucket's own credentials. ConfigError: no endpoint, no token."""
    access = target.bucket_access(profile)
    if not access.endpoint:
        allowed = "the gateway's URL, as aws_endpoint"
        raise ConfigError([Problem(f"buckets.{target.name}.storage_options", "", allowed)])
    access = access.model_copy(update={"region": access.region or "us-east-1"})
    token = target.option("tokens")[0].read(f"{target.field}.tokens.0")
    s3, sns = AwsClient("s3", access, subject="url"), AwsClient("sns", access, subject="topic")
    try:
        yield Gateway(target, access, s3, sns, token)
    finally:
        await s3.close()
        await sns.close()


async def connection(gateway: Gateway, prefix: str, suffix: str) -> Plan:
    """Topic and notification."""
    draft, target = Draft(), gateway.target
    arn = await _want_topic(gateway, draft)
    there = await _notifications(gateway)
    wanted = Wanted(target.id, "Topic", arn, prefix, suffix, EVENTS)
    if with_wanted(there, wanted) == there:
        draft.stand(f"notification {target.id} of {target.url}")
        return draft.plan()

    async def act() -> None:
        await _put(gateway, with_wanted(await _notifications(gateway), wanted))

    sign: Any = "+" if found_of(there, target.id) is None else "~"
    draft.change(sign, f"notification {target.id} of {target.url} to topic {target.id}", act)
    return draft.plan()


async def disconnection(gateway: Gateway) -> Plan:
    """Our notification and our topic go; the others stay."""
    draft, target = Draft(), gateway.target
    if found_of(await _notifications(gateway), target.id) is None:
        draft.stand(f"no notification {target.id} of {target.url}")
    else:

        async def remove() -> None:
            await _remove(gateway)

        draft.change("-", f"notification {target.id} of {target.url}", remove)
    if topic := await _topic(gateway):

        async def delete() -> None:
            await gateway.sns.call("delete_topic", TopicArn=topic["TopicArn"])

        draft.change("-", f"topic {target.id}", delete)
    return draft.plan()


async def _want_topic(gateway: Gateway, draft: Draft) -> str:
    """Make it, or make it anew where it says something else; its ARN."""
    target, there = gateway.target, await _topic(gateway)
    said = f"topic {target.id}: persistent, pushes to {target.endpoint}"

    async def make() -> None:
        await gateway.sns.call("create_topic", Name=target.id, Attributes=gateway.topic)

    if there is None:
        draft.change("+", said, make)
        return f"arn:aws:sns:default::{target.id}"
    if not await _stands(gateway, str(there["TopicArn"])):
        draft.change("~", said, make)
    else:
        draft.stand(f"topic {target.id}")
    return str(there["TopicArn"])


async def _topic(gateway: Gateway) -> Mapping[str, Any] | None:
    """Our topic among all."""
    answer = await gateway.sns.call("list_topics")
    named = (t for t in answer.get("Topics", ()) if str(t["TopicArn"]).rpartition(":")[2] == gateway.target.id)
    return next(named, None)


async def _stands(gateway: Gateway, arn: str) -> bool:
    """Whether the topic is as wanted, as far as the gateway tells."""
    attributes = (await gateway.sns.call("get_topic_attributes", TopicArn=arn)).get("Attributes", {})
    try:
        endpoint = json.loads(attributes.get("EndPoint") or "{}")
    except ValueError:
        return False
    there = (endpoint.get("EndpointAddress"), attributes.get("OpaqueData"), str(endpoint.get("Persistent")).lower())
    return there == (gateway.target.endpoint, gateway.token, "true")


async def _notifications(gateway: Gateway) -> dict[str, Any]:
    answer = await gateway.s3.call("get_bucket_notification_configuration", Bucket=gateway.target.bucket)
    return notifications(answer)


async def _remove(gateway: Gateway) -> None:
    """Remove our notification by its id, as only Ceph can: here a PUT adds, and what it leaves out stays."""
    bucket = f"{str(gateway.access.endpoint).rstrip('/')}/{quote(gateway.target.bucket)}"
    request = AWSRequest("DELETE", f"{bucket}?{urlencode({'notification': gateway.target.id})}")
    who = await credentials_of(gateway.access).get_frozen_credentials()
    S3SigV4Auth(who, "s3", gateway.access.region).add_auth(request)
    timeout = aiohttp.ClientTimeout(total=30)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.delete(URL(request.url, encoded=True), headers=dict(request.headers)) as answer,
        ):
            status = answer.status
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Retryable(f"the gateway cannot be reached ({type(error).__name__})") from None
    if status not in {200, 204, 404}:
        raise Rejected(f"the gateway did not remove the notification (HTTP {status})")


async def _put(gateway: Gateway, configuration: Mapping[str, Any]) -> None:
    await gateway.s3.call(
        "put_bucket_notification_configuration",
        Bucket=gateway.target.bucket,
        NotificationConfiguration=configuration,
    )
