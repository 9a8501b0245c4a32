"""Amazon's interfaces as `syncd bucket` needs them: one client a service, and "is it there" as a question.

Everything here may raise Retryable, ConfigError or Rejected, as `clouds.aws` says.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from syncd.clouds.aws import AwsAccess, AwsClient, Refused
from syncd.domain.errors import ConfigError

_ABSENT = {
    "AWS.SimpleQueueService.NonExistentQueue",
    "QueueDoesNotExist",
    "NotFound",
    "NotFoundException",
    "ResourceNotFoundException",
}


@dataclass(frozen=True, slots=True)
class Amazon:
    """Clients of one account."""

    s3: AwsClient
    sqs: AwsClient
    sns: AwsClient
    events: AwsClient
    sts: AwsClient

    async def account(self) -> tuple[str, str]:
        """Our account, and the partition it is in (aws, aws-cn, aws-us-gov)."""
        answer = await self.sts.call("get_caller_identity")
        return str(answer["Account"]), str(answer["Arn"]).split(":")[1]


@asynccontextmanager
async def s3_of(access: AwsAccess) -> AsyncIterator[AwsClient]:
    """S3, until the context ends; it leads to other regions by itself."""
    client = AwsClient("s3", access.model_copy(update={"region": access.region or "us-east-1"}), subject="url")
    try:
        yield client
    finally:
        await client.close()


async def bucket_region(s3: AwsClient, bucket: str) -> str:
    """Where a bucket is. Old ones answer by older names
    (https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html)."""
    found = (await s3.call("get_bucket_location", Bucket=bucket)).get("LocationConstraint")
    return {None: "us-east-1", "": "us-east-1", "EU": "eu-west-1"}.get(found, str(found))


@asynccontextmanager
async def amazon(s3: AwsClient, rest: AwsAccess) -> AsyncIterator[Amazon]:
    """Clients until the context ends, of `s3` and of the other services."""
    subjects = {"sqs": "queue", "sns": "topic", "events": "rule", "sts": rest.credentials_field}
    async with AsyncExitStack() as stack:
        clients = {name: AwsClient(name, rest, subject=subject) for name, subject in subjects.items()}
        for client in clients.values():
            stack.push_async_callback(client.close)
        yield Amazon(s3=s3, **clients)


async def if_there(client: AwsClient, operation: str, **parameters: Any) -> Mapping[str, Any] | None:
    """The answer; None where what was asked for is not there."""
    try:
        return await client.call(operation, **parameters)
    except ConfigError as error:
        if error.problems[0].found in _ABSENT:
            return None
        raise
    except Refused as error:
        if error.code in _ABSENT:
            return None
        raise
