"""An SNS topic between a bucket and a queue, or between a bucket and our receiver; and an EventBridge rule."""

import json
from collections.abc import Mapping
from typing import Any

from syncd.domain.errors import Rejected
from syncd.service.connect.amazon import if_there
from syncd.service.connect.draft import Draft
from syncd.service.connect.merging import Json, sender_of, with_statement, without_statement
from syncd.service.connect.plan import Change
from syncd.service.connect.site import Site

DETAIL_TYPES = ("Object Created", "Object Deleted", "Object Restore Completed")


async def want_topic(site: Site, draft: Draft, arn: str, statement: Json) -> None:
    """The topic, where `statement` may publish."""
    there = await if_there(site.aws.sns, "get_topic_attributes", TopicArn=arn)
    policy = _policy(there)
    name = arn.rpartition(":")[2]

    async def make() -> None:
        await site.aws.sns.call("create_topic", Name=name)
        made = await site.aws.sns.call("get_topic_attributes", TopicArn=arn)
        await _set(site, arn, "Policy", with_statement(_policy(made), statement))
        await _set(site, arn, "SignatureVersion", "2")  # SHA256 instead of SHA1

    async def open_() -> None:
        await _set(site, arn, "Policy", with_statement(policy, statement))

    if (other := sender_of(policy, site.target.id)) not in {"", site.bucket_arn}:
        raise _taken(site, f"topic {name}", other)
    if there is None:
        draft.change("+", f"topic {name}, where only {site.bucket_arn} may publish", make)
    elif with_statement(policy, statement) != policy:
        draft.change("~", f"topic {name}: {site.bucket_arn} may publish", open_)
    else:
        draft.stand(f"topic {name}")


async def want_subscription(site: Site, draft: Draft, topic: str, protocol: str, endpoint: str) -> None:
    """Somebody who is told what the topic is told; a queue raw, without SNS' envelope."""
    if await _subscription(site, topic, endpoint):
        draft.stand(f"subscription of {endpoint}")
        return
    raw = {"RawMessageDelivery": "true"} if protocol == "sqs" else {}

    async def act() -> None:
        await site.aws.sns.call("subscribe", TopicArn=topic, Protocol=protocol, Endpoint=endpoint, Attributes=raw)

    draft.change("+", f"subscription of {endpoint}", act)
    if protocol != "sqs":
        draft.note(f"SNS asks {endpoint} to confirm: `syncd run` must be running, and Amazon must reach it")


async def unwant_topic(site: Site, draft: Draft, arn: str, endpoint: str) -> None:
    """Our topic goes; of another one our part."""
    there = await if_there(site.aws.sns, "get_topic_attributes", TopicArn=arn)
    name, policy = arn.rpartition(":")[2], _policy(there)
    if there is None or sender_of(policy, site.target.id) != site.bucket_arn:
        return

    async def delete() -> None:
        await if_there(site.aws.sns, "delete_topic", TopicArn=arn)

    if name == site.target.id:
        draft.change("-", f"topic {name} and its subscriptions", delete)
        return
    subscription = await _subscription(site, arn, endpoint)

    async def unsubscribe() -> None:
        await if_there(site.aws.sns, "unsubscribe", SubscriptionArn=subscription)

    async def close() -> None:
        await _set(site, arn, "Policy", without_statement(policy, site.target.id))

    if subscription and subscription.startswith("arn:"):
        draft.change("-", f"subscription of {endpoint}", unsubscribe)
    if without_statement(policy, site.target.id) != policy:
        draft.change("-", f"right to publish to topic {name}", close)


async def want_rule(site: Site, draft: Draft, pattern: Json, queue: str) -> None:
    """A rule of the default event bus that sends what matches `pattern` to a queue."""
    name, events = site.target.id, site.aws.events
    there = await if_there(events, "describe_rule", Name=name)

    async def make() -> None:
        described = f"Events of {site.target.url} for syncd"
        rule = {"EventPattern": json.dumps(pattern), "State": "ENABLED", "Description": described}
        await events.call("put_rule", Name=name, **rule)

    async def aim() -> None:
        await events.call("put_targets", Rule=name, Targets=[{"Id": name, "Arn": queue}])

    if there and (other := _bucket_of(there)) != site.target.bucket:
        raise _taken(site, f"rule {name}", other)
    if there is None:
        draft.change("+", f"rule {name} of the default event bus", make)
    elif json.loads(there.get("EventPattern") or "{}") != pattern or there.get("State") != "ENABLED":
        draft.change("~", f"rule {name}", make)
    else:
        draft.stand(f"rule {name}")
    targets = {t["Id"]: t["Arn"] for t in await _targets(site)} if there else {}
    if targets.get(name) != queue:
        draft.change("+", f"target of rule {name}: {queue}", aim)


async def unwant_rule(site: Site, draft: Draft) -> None:
    """Our rule goes."""
    name, events = site.target.id, site.aws.events
    there = await if_there(events, "describe_rule", Name=name)
    if there is None or _bucket_of(there) != site.target.bucket:
        return
    ids = [target["Id"] for target in await _targets(site)]

    async def delete() -> None:
        if ids:
            await events.call("remove_targets", Rule=name, Ids=ids)
        await if_there(events, "delete_rule", Name=name)

    draft.changes.append(Change("-", f"rule {name}", delete))
    draft.note("EventBridge stays switched on for the bucket: others may listen there")


def pattern(bucket: str, prefix: str = "", suffix: str = "") -> dict[str, Any]:
    """What a rule matches: objects of a bucket that came or went. Prefix and suffix are alternatives in a pattern,
    so both together are one wildcard."""
    detail: dict[str, Any] = {"bucket": {"name": [bucket]}}
    if prefix and suffix:
        literal = (prefix.replace("\\", "\\\\").replace("*", "\\*"), suffix.replace("\\", "\\\\").replace("*", "\\*"))
        detail["object"] = {"key": [{"wildcard": "*".join(literal)}]}
    elif prefix or suffix:
        detail["object"] = {"key": [{"prefix": prefix} if prefix else {"suffix": suffix}]}
    return {"source": ["aws.s3"], "detail-type": list(DETAIL_TYPES), "detail": detail}


def _bucket_of(rule: Json) -> str:
    """The bucket a rule listens to; empty where it is none of ours."""
    match json.loads(rule.get("EventPattern") or "{}"):
        case {"detail": {"bucket": {"name": [str(bucket)]}}}:
            return bucket
    return ""


def _taken(site: Site, what: str, other: str) -> Rejected:
    """Names of topics and rules are the whole account's."""
    return Rejected(f"{what} is that of {other or 'somebody else'}: give [buckets.{site.target.name}] another name")


async def _targets(site: Site) -> list[Mapping[str, Any]]:
    return list((await site.aws.events.call("list_targets_by_rule", Rule=site.target.id)).get("Targets", ()))


async def _subscription(site: Site, topic: str, endpoint: str) -> str:
    """The ARN of a subscription, `PendingConfirmation` while it waits; empty where there is none."""
    token: dict[str, str] = {}
    while True:
        answer = await if_there(site.aws.sns, "list_subscriptions_by_topic", TopicArn=topic, **token) or {}
        for one in answer.get("Subscriptions", ()):
            if one.get("Endpoint") == endpoint:
                return str(one["SubscriptionArn"])
        if not answer.get("NextToken"):
            return ""
        token = {"NextToken": answer["NextToken"]}


async def _set(site: Site, arn: str, name: str, value: str) -> None:
    await site.aws.sns.call("set_topic_attributes", TopicArn=arn, AttributeName=name, AttributeValue=value)


def _policy(topic: Json | None) -> str | None:
    return topic.get("Attributes", {}).get("Policy") if topic else None
