"""The least an IAM policy for syncd must allow, from the configuration alone: nothing is asked over the network."""

import re
from typing import Any

from syncd.service.connect.site import queue_name
from syncd.service.connect.target import Target
from syncd.sources.sqs_queue import address

_OWNER = re.compile(r"/(\d{12})/")


def daemon_policy(target: Target) -> dict[str, Any]:
    """What `syncd run` and `syncd bucket check` do with a bucket and its queue.

    What the configuration does not tell, region or account of a queue, is a `*` in its ARN.
    """
    bucket = f"arn:aws:s3:::{target.bucket}"
    statements = [
        _allow("ListTheBucket", ["s3:ListBucket"], bucket),
        _allow("ReadItsObjects", ["s3:GetObject", "s3:GetObjectVersion"], f"{bucket}/*"),
        _allow("ProbeIt", ["s3:PutObject", "s3:DeleteObject"], f"{bucket}/*.syncd-probe-*"),
    ]
    if target.plugin.type == "sqs":
        statements.append(_allow("ReadTheQueue", QUEUE_ACTIONS, _queue_arn(str(target.option("queue")))))
    return {"Version": "2012-10-17", "Statement": statements}


QUEUE_ACTIONS = [
    "sqs:GetQueueUrl",
    "sqs:GetQueueAttributes",
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibility",
]


def _allow(sid: str, actions: list[str], resource: str) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource}


def _queue_arn(queue: str) -> str:
    if queue.startswith("arn:"):
        return queue
    found = address(queue)
    owner = _OWNER.search(found.url)
    return f"arn:aws:sqs:{found.region or '*'}:{owner[1] if owner else '*'}:{queue_name(queue)}"
