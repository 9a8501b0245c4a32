"""Pure: our part of a bucket's notifications and of a policy, merged into what is there, and taken out again.

Other people's configurations and statements stay as they are, in their order. Ours are known by their id.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Json = Mapping[str, Any]

EVENTS = ("s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectRestore:Completed", "s3:LifecycleExpiration:*")
"""What tells that an object came, changed or went
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-event-types-and-destinations.html)."""

Kind = Literal["Queue", "Topic"]
_LISTS = {"Queue": "QueueConfigurations", "Topic": "TopicConfigurations"}
_ALL_LISTS = (*_LISTS.values(), "LambdaFunctionConfigurations")


@dataclass(frozen=True, slots=True)
class Wanted:
    """One notification of a bucket: where its events go, and of which keys."""

    id: str
    kind: Kind
    arn: str
    prefix: str = ""
    suffix: str = ""
    events: Sequence[str] = EVENTS

    def as_sent(self) -> dict[str, Any]:
        """As S3 takes it."""
        rules = [{"Name": n, "Value": v} for n, v in (("prefix", self.prefix), ("suffix", self.suffix)) if v]
        made: dict[str, Any] = {"Id": self.id, f"{self.kind}Arn": self.arn, "Events": list(self.events)}
        return made | ({"Filter": {"Key": {"FilterRules": rules}}} if rules else {})


def notifications(answer: Json) -> dict[str, Any]:
    """What S3 answered, as it takes it back."""
    return {name: answer[name] for name in (*_ALL_LISTS, "EventBridgeConfiguration") if name in answer}


def with_wanted(there: Json, wanted: Wanted) -> dict[str, Any]:
    """The notifications with ours in them, once and as wanted."""
    if found_of(there, wanted.id) == normal(wanted.as_sent()) and len(_ours(there, wanted.id)) == 1:
        return dict(there)
    merged = without(there, wanted.id)
    place = _LISTS[wanted.kind]
    merged[place] = [*merged.get(place, ()), wanted.as_sent()]
    return merged


def without(there: Json, id_: str) -> dict[str, Any]:
    """The notifications without ours."""
    merged = dict(there)
    for place in _ALL_LISTS:
        if place in merged:
            merged[place] = [entry for entry in merged[place] if entry.get("Id") != id_]
            if not merged[place]:
                del merged[place]
    return merged


def found_of(there: Json, id_: str) -> dict[str, Any] | None:
    """Ours as it stands, in a form that can be compared; None where it is not there."""
    ours = _ours(there, id_)
    return normal(ours[0]) if ours else None


def normal(entry: Json) -> dict[str, Any]:
    """An entry without what makes no difference: the order of events and rules, and the case of their names."""
    rules = entry.get("Filter", {}).get("Key", {}).get("FilterRules", ())
    key = {rule["Name"].lower(): rule.get("Value", "") for rule in rules}
    arns = {name: value for name, value in entry.items() if name.endswith("Arn")}
    return {"Id": entry.get("Id"), "Events": sorted(entry.get("Events", ())), "Key": key, **arns}


def _ours(there: Json, id_: str) -> list[Json]:
    return [entry for place in _ALL_LISTS for entry in there.get(place, ()) if entry.get("Id") == id_]


# ---------------------------------------------------------------- policies of queues and topics


def may_send(id_: str, action: str, resource: str, sender: str, account: str) -> dict[str, Any]:
    """That one sender (an ARN), and no other of the same service, may send there.

    The account guards against a bucket of the same name that somebody else makes once ours is gone
    (https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html).
    """
    return {
        "Sid": id_,
        "Effect": "Allow",
        "Principal": {"Service": f"{sender.split(':')[2]}.amazonaws.com"},
        "Action": action,
        "Resource": resource,
        "Condition": {"ArnEquals": {"aws:SourceArn": sender}, "StringEquals": {"aws:SourceAccount": account}},
    }


def with_statement(policy: str | None, statement: Json) -> str:
    """The policy with our statement in it; the very same text where it is there already."""
    document = _document(policy)
    if [one for one in document["Statement"] if one.get("Sid") == statement["Sid"]] == [statement]:
        return policy or ""
    others = [one for one in document["Statement"] if one.get("Sid") != statement["Sid"]]
    return json.dumps({**document, "Statement": [*others, statement]})


def without_statement(policy: str | None, id_: str) -> str:
    """The policy without our statement; empty where nothing is left."""
    document = _document(policy)
    others = [one for one in document["Statement"] if one.get("Sid") != id_]
    if len(others) == len(document["Statement"]):
        return policy or ""
    return json.dumps({**document, "Statement": others}) if others else ""


def sender_of(policy: str | None, id_: str) -> str:
    """Who may send by our statement, as an ARN; empty where it is not there, or says something else."""
    ours = [one for one in _document(policy)["Statement"] if one.get("Sid") == id_]
    found = ours[0].get("Condition", {}).get("ArnEquals", {}).get("aws:SourceArn", "") if ours else ""
    return found if isinstance(found, str) else ""


def senders(policy: str | None, besides: str) -> int:
    """How many statements of others a policy has."""
    return sum(one.get("Sid") != besides for one in _document(policy)["Statement"])


def _document(policy: str | None) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(policy) if policy else {"Version": "2012-10-17", "Statement": []}
    statements = document.get("Statement", [])
    return {**document, "Statement": statements if isinstance(statements, list) else [statements]}
