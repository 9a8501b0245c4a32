"""The queue of a source, and the one for its dead letters: made, opened to one sender, closed to it, removed."""

import json
from typing import Any, Literal

from syncd.domain.errors import ConfigError, Problem
from syncd.service.connect.amazon import if_there
from syncd.service.connect.draft import Draft
from syncd.service.connect.merging import Json, senders, with_statement, without_statement
from syncd.service.connect.site import Site

KEPT_S = 14 * 86400
"""How long a message waits: Amazon's most. An outage of the daemon is then no loss."""
_LEAST_KEPT_S = 4 * 86400
RECEIVES = 100
"""So often a message is handed out before it counts as dead: what is bad in it syncd keeps and deletes at once, so
this is for what nothing can be made of at all. An outage of the state hands out again too, every ten minutes."""
_WAITING = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


async def want_queue(site: Site, draft: Draft, statement: Json) -> None:
    """The queue with its dead letters, where `statement` may send. ConfigError: of a kind S3 cannot send to."""
    if site.queue.endswith(".fifo"):
        raise ConfigError([Problem("queue", site.queue, "must be a standard queue: S3 sends to no FIFO queue")])
    dead, queue = await _found(site, site.dead_letters), await _found(site, site.queue)
    if queue is None or "RedrivePolicy" not in queue:
        _want_dead_letters(site, draft, dead)
    if queue is None:
        _make(site, draft, statement)
    else:
        _mend(site, draft, queue, statement)


async def unwant_queue(site: Site, draft: Draft, *, delete: bool, force: bool) -> None:
    """Our sender may send no more; with `delete` the queue and its dead letters go, once they are empty."""
    queue = await _found(site, site.queue)
    if queue is None:
        draft.stand(f"no queue {site.queue}")
        return
    others = senders(queue.get("Policy"), site.target.id)
    if delete and _delete(site, draft, queue, f"{others} others may send to it" if others else "", force=force):
        dead = await _found(site, site.dead_letters)
        if dead is not None and site.dead_letters in queue.get("RedrivePolicy", ""):
            _delete(site, draft, dead, "", force=force)
        return
    if (policy := without_statement(queue.get("Policy"), site.target.id)) != queue.get("Policy", ""):
        draft.change("-", f"right to send to queue {site.queue}", _setting(site, queue, {"Policy": policy}))
    if not delete:
        draft.note(f"queue {site.queue} stays; --delete-queue removes it once it is empty")


def _want_dead_letters(site: Site, draft: Draft, dead: Json | None) -> None:
    if dead is None:
        attributes = {"MessageRetentionPeriod": str(KEPT_S)}
        draft.change(
            "+",
            f"queue {site.dead_letters} for dead letters, kept 14 days",
            _making(site, site.dead_letters, attributes),
        )
    else:
        draft.stand(f"queue {site.dead_letters}")


def _make(site: Site, draft: Draft, statement: Json) -> None:
    attributes = {
        "VisibilityTimeout": str(site.target.option("visibility")),
        "MessageRetentionPeriod": str(KEPT_S),
        "ReceiveMessageWaitTimeSeconds": "20",
        "RedrivePolicy": _redrive(site),
        "Policy": with_statement(None, statement),
    }
    said = (
        f"queue {site.queue}: only {_who(statement)} may send, messages are kept 14 days, "
        f"dead letters go to {site.dead_letters} after {RECEIVES} receives"
    )
    draft.change("+", said, _making(site, site.queue, attributes))


def _mend(site: Site, draft: Draft, queue: Json, statement: Json) -> None:
    """Add what is missing to a queue that is there; what somebody chose on purpose stays."""
    if "RedrivePolicy" in queue:
        draft.stand(f"queue {site.queue}")
    else:
        said = f"queue {site.queue}: dead letters to {site.dead_letters} after {RECEIVES} receives"
        draft.change("~", said, _setting(site, queue, {"RedrivePolicy": _redrive(site)}))
    if int(queue.get("MessageRetentionPeriod", KEPT_S)) < _LEAST_KEPT_S:
        said = f"queue {site.queue}: messages kept 14 days"
        draft.change("~", said, _setting(site, queue, {"MessageRetentionPeriod": str(KEPT_S)}))
    policy = with_statement(queue.get("Policy"), statement)
    if policy != queue.get("Policy", ""):
        sign: Literal["+", "~"] = "~" if site.target.id in (queue.get("Policy") or "") else "+"
        said = f"right to send to queue {site.queue}, for {_who(statement)} only"
        draft.change(sign, said, _setting(site, queue, {"Policy": policy}))
    else:
        draft.stand(f"right to send to queue {site.queue}")
    if "KmsMasterKeyId" in queue:
        draft.note(f"queue {site.queue} is encrypted: its key must let {_who(statement)} GenerateDataKey and Decrypt")


def _delete(site: Site, draft: Draft, queue: Json, reason: str, *, force: bool) -> bool:
    """Plan to remove a queue, unless there is a `reason` to keep it or messages wait; whether it goes."""
    name = str(queue["QueueArn"]).rpartition(":")[2]
    waiting = sum(int(queue.get(count, 0)) for count in _WAITING)
    reason = reason or (f"{waiting} messages wait in it" if waiting else "")
    if reason and not force:
        draft.note(f"queue {name} stays: {reason}; --force removes it all the same")
        return False

    async def act() -> None:
        await if_there(site.aws.sqs, "delete_queue", QueueUrl=queue["Url"])

    draft.change("-", f"queue {name}" + (f" with {waiting} messages" if waiting else ""), act)
    return True


async def _found(site: Site, name: str) -> dict[str, Any] | None:
    """The attributes of a queue, and its `Url`; None where there is none."""
    answer = await if_there(site.aws.sqs, "get_queue_url", QueueName=name)
    if answer is None:
        return None
    url = answer["QueueUrl"]
    attributes = await if_there(site.aws.sqs, "get_queue_attributes", QueueUrl=url, AttributeNames=["All"])
    return None if attributes is None else {**attributes.get("Attributes", {}), "Url": url}


def _making(site: Site, name: str, attributes: dict[str, str]) -> Any:
    async def act() -> None:
        await site.aws.sqs.call("create_queue", QueueName=name, Attributes=attributes)

    return act


def _setting(site: Site, queue: Json, attributes: dict[str, str]) -> Any:
    async def act() -> None:
        await site.aws.sqs.call("set_queue_attributes", QueueUrl=queue["Url"], Attributes=attributes)

    return act


def _redrive(site: Site) -> str:
    return json.dumps({"deadLetterTargetArn": site.arn("sqs", site.dead_letters), "maxReceiveCount": RECEIVES})


def _who(statement: Json) -> str:
    return str(statement["Condition"]["ArnEquals"]["aws:SourceArn"])
