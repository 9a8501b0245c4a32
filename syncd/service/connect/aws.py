"""Amazon S3: a bucket's events to a queue, straight or by SNS or EventBridge; or by SNS to our receiver."""

from collections.abc import Mapping
from typing import Any, Literal

from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_fixed

from syncd.clouds.aws import Refused
from syncd.domain.errors import Rejected
from syncd.service.connect.draft import Draft
from syncd.service.connect.merging import Wanted, found_of, may_send, notifications, with_wanted, without
from syncd.service.connect.plan import Plan
from syncd.service.connect.queues import unwant_queue, want_queue
from syncd.service.connect.site import Site
from syncd.service.connect.topics import (
    pattern,
    unwant_rule,
    unwant_topic,
    want_rule,
    want_subscription,
    want_topic,
)

Via = Literal["queue", "sns", "eventbridge"]
PATIENCE_S, AGAIN_S = 60.0, 3.0
"""A new policy counts only after a while, up to a minute for queues; until then S3 refuses the destination."""


async def queue_connection(site: Site, via: Via, prefix: str, suffix: str) -> Plan:
    """The plan for a source of type `sqs`."""
    draft, target = Draft(), site.target
    queue = site.arn("sqs", site.queue)
    topic, rule = site.arn("sns", target.id), site.arn("events", f"rule/{target.id}")
    sender = {"queue": site.bucket_arn, "sns": topic, "eventbridge": rule}[via]
    send = may_send(target.id, "sqs:SendMessage", queue, sender, site.account)
    await want_queue(site, draft, send)
    if via == "sns":
        await want_topic(site, draft, topic, _publish(site, topic))
        await want_subscription(site, draft, topic, "sqs", queue)
    if via == "eventbridge":
        await want_rule(site, draft, pattern(target.bucket, prefix, suffix), queue)
        await _switch_on(site, draft)
        return draft.plan()
    kind: Literal["Queue", "Topic"] = "Queue" if via == "queue" else "Topic"
    await want_notification(site, draft, Wanted(target.id, kind, queue if via == "queue" else topic, prefix, suffix))
    return draft.plan()


async def topic_connection(site: Site, prefix: str, suffix: str) -> Plan:
    """The plan for a source of type `sns`: bucket, topic, our receiver."""
    draft, topic = Draft(), _topic(site)
    await want_topic(site, draft, topic, _publish(site, topic))
    endpoint = site.target.endpoint
    await want_subscription(site, draft, topic, endpoint.partition("://")[0], endpoint)
    await want_notification(site, draft, Wanted(site.target.id, "Topic", topic, prefix, suffix))
    return draft.plan()


async def queue_disconnection(site: Site, *, delete: bool, force: bool) -> Plan:
    """What takes back all of `queue_connection`, whichever way it was made."""
    draft = Draft()
    await unwant_notification(site, draft)
    await unwant_rule(site, draft)
    await unwant_topic(site, draft, site.arn("sns", site.target.id), site.arn("sqs", site.queue))
    await unwant_queue(site, draft, delete=delete, force=force)
    return draft.plan()


async def topic_disconnection(site: Site) -> Plan:
    """What takes back all of `topic_connection`."""
    draft = Draft()
    await unwant_notification(site, draft)
    await unwant_topic(site, draft, _topic(site), site.target.endpoint)
    return draft.plan()


async def want_notification(site: Site, draft: Draft, wanted: Wanted) -> None:
    """Our entry among the bucket's notifications."""
    there = await _notifications(site)
    if with_wanted(there, wanted) == there:
        draft.stand(f"notification {wanted.id} of {site.target.url}")
        return

    patience = PATIENCE_S if draft.changes else 0.0  # the destination's right to be sent to may be new

    async def act() -> None:
        await _put(site, with_wanted(await _notifications(site), wanted), patience)

    sign: Literal["+", "~"] = "+" if found_of(there, wanted.id) is None else "~"
    of = "".join(f", {n} {v!r}" for n, v in (("prefix", wanted.prefix), ("suffix", wanted.suffix)) if v)
    draft.change(sign, f"notification {wanted.id} of {site.target.url} to {wanted.arn}{of}", act)


async def unwant_notification(site: Site, draft: Draft) -> None:
    """Our entry goes; the others stay."""
    id_, there = site.target.id, await _notifications(site)
    if found_of(there, id_) is None:
        draft.stand(f"no notification {id_} of {site.target.url}")
        return

    async def act() -> None:
        await _put(site, without(await _notifications(site), id_))

    draft.change("-", f"notification {id_} of {site.target.url}", act)


async def _switch_on(site: Site, draft: Draft) -> None:
    """The bucket tells EventBridge everything; an entry of ours that told a queue would tell it twice."""
    there = await _notifications(site)

    def wanted(found: Mapping[str, Any]) -> dict[str, Any]:
        return {**without(found, site.target.id), "EventBridgeConfiguration": {}}

    if "EventBridgeConfiguration" in there and found_of(there, site.target.id) is None:
        draft.stand(f"EventBridge for {site.target.url}")
        return

    async def act() -> None:
        await _put(site, wanted(await _notifications(site)))

    draft.change("~", f"EventBridge switched on for {site.target.url}", act)


async def _notifications(site: Site) -> dict[str, Any]:
    answer = await site.aws.s3.call("get_bucket_notification_configuration", Bucket=site.target.bucket)
    return notifications(answer)


async def _put(site: Site, configuration: Mapping[str, Any], patience: float = 0.0) -> None:
    """S3 takes it as a whole; read anew just before, so that what others added meanwhile is in it."""
    retrying = AsyncRetrying(
        retry=retry_if_exception(lambda error: isinstance(error, Refused) and error.code == "InvalidArgument"),
        wait=wait_fixed(AGAIN_S),
        stop=stop_after_delay(patience),
        reraise=True,
    )
    try:
        await retrying(
            site.aws.s3.call,
            "put_bucket_notification_configuration",
            Bucket=site.target.bucket,
            NotificationConfiguration=configuration,
        )
    except Refused as error:
        if error.code != "InvalidArgument":
            raise
        raise Rejected(
            f"{site.target.url} refused the notification: another one may cover the same keys and events already "
            "(S3 allows no overlap; narrow ours by --prefix or --suffix), or the destination may not be sent to"
        ) from None


def _publish(site: Site, topic: str) -> dict[str, Any]:
    return may_send(site.target.id, "sns:Publish", topic, site.bucket_arn, site.account)


def _topic(site: Site) -> str:
    return str(site.target.option("topics")[0])
