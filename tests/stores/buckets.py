"""Buckets for tests, made by aiobotocore: a client of its own beside the one under test."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession

CONFIG = AioConfig(s3={"addressing_style": "path"}, signature_version="s3v4")


@asynccontextmanager
async def s3_client(options: Mapping[str, str]) -> AsyncIterator[Any]:
    """A client of the server that the options (object_store's names) speak of."""
    async with AioSession().create_client(
        "s3",
        region_name=options["aws_region"],
        endpoint_url=options["aws_endpoint"],
        aws_access_key_id=options["aws_access_key_id"],
        aws_secret_access_key=options["aws_secret_access_key"],
        config=CONFIG,
    ) as client:
        yield client


async def make_bucket(name: str, options: Mapping[str, str], *, versioned: bool = False) -> None:
    """A new, empty bucket."""
    async with s3_client(options) as client:
        await client.create_bucket(Bucket=name)
        if versioned:
            await client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
