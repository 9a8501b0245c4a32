"""Which way a bucket is connected: by the type of the source that names it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from syncd.domain.errors import ConfigError, Problem
from syncd.service.connect import aws, ceph, recipes
from syncd.service.connect.iam import daemon_policy
from syncd.service.connect.plan import Plan, Recipe, Text
from syncd.service.connect.site import site_of
from syncd.service.connect.target import Target


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a person chose. `via`: how events get to a queue; `prefix` and `suffix`: of which keys only.

    `profile`: of the AWS configuration, instead of syncd's own credentials. `delete_queue` and `force` are of a
    disconnection: the queue goes too once it is empty, or at any rate.
    """

    via: aws.Via = "queue"
    prefix: str = ""
    suffix: str = ""
    profile: str | None = None
    delete_queue: bool = False
    force: bool = False


@asynccontextmanager
async def connection(target: Target, wishes: Wishes) -> AsyncIterator[Plan | Recipe]:
    """What connects the bucket; a plan can be carried out until the context ends. ConfigError, Retryable, Rejected."""
    with _placed(target):
        match target.plugin.type:
            case "sqs":
                async with site_of(target, wishes.profile) as site:
                    yield await aws.queue_connection(site, wishes.via, wishes.prefix, wishes.suffix)
            case "sns":
                async with site_of(target, wishes.profile) as site:
                    yield await aws.topic_connection(site, wishes.prefix, wishes.suffix)
            case "ceph":
                async with ceph.gateway(target, wishes.profile) as gateway:
                    yield await ceph.connection(gateway, wishes.prefix, wishes.suffix)
            case _:
                yield recipes.connection(target, wishes.prefix, wishes.suffix)


@asynccontextmanager
async def disconnection(target: Target, wishes: Wishes) -> AsyncIterator[Plan | Recipe]:
    """What takes `connection` back, and nothing else."""
    with _placed(target):
        match target.plugin.type:
            case "sqs":
                async with site_of(target, wishes.profile) as site:
                    yield await aws.queue_disconnection(site, delete=wishes.delete_queue, force=wishes.force)
            case "sns":
                async with site_of(target, wishes.profile) as site:
                    yield await aws.topic_disconnection(site)
            case "ceph":
                async with ceph.gateway(target, wishes.profile) as gateway:
                    yield await ceph.disconnection(gateway)
            case _:
                yield recipes.disconnection(target)


def policy(target: Target) -> Recipe:
    """What syncd itself must be allowed to do there, and no more."""
    if target.url.startswith("s3://"):
        text = json.dumps(daemon_policy(target), indent=2)
        return Recipe([Text("The IAM policy syncd needs", "json", text)])
    return recipes.rights(target)


class _placed:  # noqa: N801 - a context manager, used like a function
    """ConfigErrors name their fields as the configuration does."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ConfigError):
            raise ConfigError([self._in_place(problem) for problem in error.problems]) from None

    def _in_place(self, problem: Problem) -> Problem:
        bucket = problem.field == "url"
        owner = f"buckets.{self._target.name}" if bucket else self._target.field
        field = problem.field if problem.field.startswith(owner) else f"{owner}.{problem.field}"
        return Problem(field, problem.found, problem.allowed)
