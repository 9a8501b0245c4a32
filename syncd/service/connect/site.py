"""Where on Amazon a target is: account, partition, region, and the names of what belongs to it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from syncd.domain.errors import ConfigError, Problem
from syncd.service.connect.amazon import Amazon, amazon, bucket_region, s3_of
from syncd.service.connect.target import Target
from syncd.sources.sqs_queue import address

DEAD = "-dead"
_LONGEST_NAME = 80


@dataclass(frozen=True, slots=True)
class Site:
    """A target, and where it is. `region` is that of bucket, queue and topic: S3 sends to its own region only."""

    target: Target
    aws: Amazon
    account: str
    partition: str
    region: str

    @property
    def bucket_arn(self) -> str:
        """Of the bucket."""
        return f"arn:{self.partition}:s3:::{self.target.bucket}"

    @property
    def queue(self) -> str:
        """The queue's name."""
        return queue_name(str(self.target.option("queue")))

    @property
    def dead_letters(self) -> str:
        """The name of the queue for what was received too often."""
        return self.queue[: _LONGEST_NAME - len(DEAD)] + DEAD

    def arn(self, service: str, name: str) -> str:
        """Of something in this account and region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{name}"


def queue_name(queue: str) -> str:
    """Of a queue's URL, ARN or name."""
    found = address(queue)
    return found.name or found.url.rstrip("/").rpartition("/")[2]


@asynccontextmanager
async def site_of(target: Target, profile: str | None = None) -> AsyncIterator[Site]:
    """Ask Amazon where we are, until the context ends. ConfigError, Retryable, Rejected as `clouds.aws` says."""
    rest, bucket = target.access(profile), target.bucket_access(profile)
    async with s3_of(bucket) as s3:
        at = await bucket_region(s3, target.bucket)
        told = rest.region or _told_region(target)
        if told and told != at:
            allowed = f"must be in {at}, where the bucket is: S3 sends to its own region only"
            raise ConfigError([Problem("region" if rest.region else "queue", told, allowed)])
        async with amazon(s3, rest.model_copy(update={"region": at})) as aws:
            account, partition = await aws.account()
            yield Site(target, aws, account, partition, at)


def _told_region(target: Target) -> str | None:
    """That in the address of the queue, or in the ARN of the topic."""
    if queue := target.option("queue"):
        return address(queue).region
    topics = target.option("topics")
    return str(topics[0].split(":")[3]) if topics else None
