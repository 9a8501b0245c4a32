"""The wire to one SQS queue: receive, delete, hide, in batches of ten. Used by `sources.sqs` only.

What Amazon limits: ten messages a request, 20 s a receive, 12 h of hiding. A receipt is stale once its message was
handed out again or its time had passed; that is told, not raised.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from syncd.clouds.aws import AwsAccess, AwsClient

TEN = 10
LONGEST_WAIT = 20
_LATE = 15.0
"""Seconds an answer may come after the wait it was asked for."""
_ARN = re.compile(r"arn:[\w-]+:sqs:(?P<region>[\w-]+):(?P<owner>\d+):(?P<name>[\w.-]+)")
_NAME = re.compile(r"[\w-]{1,80}(\.fifo)?")
_HOST = re.compile(
    r"(?:queue|sqs|[\w-]+\.sqs)\.(?P<region>[a-z]{2,}-[\w-]+-\d)\.|^(?P<old>[a-z]{2,}-[\w-]+-\d)\.queue\."
)
STALE = {
    "ReceiptHandleIsInvalid",
    "InvalidParameterValue",
    "MessageNotInflight",
    "AWS.SimpleQueueService.MessageNotInflight",
}


@dataclass(frozen=True, slots=True)
class Message:
    """What was received. `receipt` is good until the message is handed out again."""

    id: str
    receipt: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Address:
    """Where a queue is: a URL, or a name and perhaps whose it is. `region` where the address tells it."""

    url: str = ""
    name: str = ""
    owner: str = ""
    region: str | None = None


def address(queue: str) -> Address:
    """Of a URL, an ARN or a name. ValueError: it is none of them."""
    if arn := _ARN.fullmatch(queue):
        return Address(name=arn["name"], owner=arn["owner"], region=arn["region"])
    if queue.startswith(("https://", "http://")) and urlsplit(queue).path.strip("/"):
        host = _HOST.search(urlsplit(queue).hostname or "")
        return Address(url=queue, region=(host["region"] or host["old"]) if host else None)
    if _NAME.fullmatch(queue):
        return Address(name=queue)
    raise ValueError("must be a queue's URL (https://sqs…), its ARN (arn:aws:sqs:…) or its name")


@dataclass(frozen=True, slots=True)
class Failures:
    """What became of the messages of a batch that did not succeed: too late, or worth another try."""

    stale: Sequence[str] = ()
    again: Sequence[str] = ()


class Queue:
    """One queue. All methods raise Retryable, Rejected or ConfigError; `connections`: requests under way at once."""

    def __init__(self, queue: str, access: AwsAccess, *, connections: int) -> None:
        self._address = address(queue)
        located = access.model_copy(update={"region": access.region or self._address.region})
        self._client = AwsClient(
            "sqs", located, subject="queue", connections=connections, read_timeout=LONGEST_WAIT + _LATE
        )
        self._url = self._address.url

    async def look(self) -> None:
        """Ask whether it is there and ours to read. Changes nothing."""
        attributes = ["QueueArn", "VisibilityTimeout"]
        await self._client.call("get_queue_attributes", QueueUrl=await self._located(), AttributeNames=attributes)

    async def receive(self, *, wait: int, visibility: int) -> list[Message]:
        """Up to ten messages, hidden from others for `visibility` seconds; none after `wait` seconds without any."""
        answer = await self._client.call(
            "receive_message",
            QueueUrl=await self._located(),
            MaxNumberOfMessages=TEN,
            WaitTimeSeconds=wait,
            VisibilityTimeout=visibility,
        )
        return [
            Message(m["MessageId"], m["ReceiptHandle"], m.get("Body", "").encode("utf-8", "surrogatepass"))
            for m in answer.get("Messages", ())
        ]

    async def delete(self, receipts: Sequence[str]) -> Failures:
        """Remove up to ten messages."""
        return await self._batch("delete_message_batch", receipts, {})

    async def hide(self, receipts: Sequence[str], seconds: int) -> Failures:
        """Let up to ten messages be received again in so many seconds from now; 0: at once."""
        return await self._batch("change_message_visibility_batch", receipts, {"VisibilityTimeout": seconds})

    async def close(self) -> None:
        """Release the connections. Idempotent; it may be used again."""
        await self._client.close()

    async def _batch(self, operation: str, receipts: Sequence[str], more: Mapping[str, Any]) -> Failures:
        entries = [{"Id": str(n), "ReceiptHandle": receipt, **more} for n, receipt in enumerate(receipts)]
        answer = await self._client.call(operation, QueueUrl=await self._located(), Entries=entries)
        failed = answer.get("Failed", ())
        late = {entry["Id"] for entry in failed if entry.get("SenderFault") or entry.get("Code") in STALE}
        return Failures(
            [receipts[int(n)] for n in late], [receipts[int(f["Id"])] for f in failed if f["Id"] not in late]
        )

    async def _located(self) -> str:
        if not self._url:
            whose = {"QueueOwnerAWSAccountId": self._address.owner} if self._address.owner else {}
            answer = await self._client.call("get_queue_url", QueueName=self._address.name, **whose)
            self._url = answer["QueueUrl"]
        return self._url
