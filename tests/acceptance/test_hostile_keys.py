"""Forty hostile names from a bucket to tasks in Label Studio, and through their links back to the bytes, over SQS."""

import asyncio
from typing import Any

import aiohttp
import pytest
from aiobotocore.session import get_session

from tests.acceptance.site import Site, until
from tests.acceptance.transports.s3 import queued
from tests.aws_emulators import Emulator
from tests.domain.notifications.hostile import HOSTILE_KEYS

KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
REFUSED = {key for key in HOSTILE_KEYS if "\r" in key or "\n" in key}
"""What moto itself does not list back: a line break in a key."""


async def test_every_name_becomes_a_task_that_shows_its_object(
    site: Site, moto: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On moto, the only server at hand that keeps such names as they are."""
    monkeypatch.setenv("LOOP_KEY", "test")
    keys = [key for key in HOSTILE_KEYS if key not in REFUSED]
    client = {"endpoint_url": moto.endpoint, "region_name": "us-east-1", **KEYS}
    async with queued(moto.endpoint, directly=True) as bucket, get_session().create_client("s3", **client) as s3:
        site.configure(sources=f"{bucket.sources}\nhidden = true", every=3600, media="signed")
        await asyncio.to_thread(site.start)
        await asyncio.to_thread(until, "the first listing, of nothing", lambda: "bucket.reconciled" in site.log())
        for key in keys:
            await s3.put_object(Bucket=bucket.name, Key=key, Body=f"bytes of {key}".encode())
        tasks = await asyncio.to_thread(until, "all are tasks", lambda: _complete(site, len(keys)), timeout=90)
        assert sorted(task["meta"]["syncd"]["key"] for task in tasks) == sorted(keys)
        async with aiohttp.ClientSession() as browser:
            for task in tasks:
                wanted = f"bytes of {task['meta']['syncd']['key']}".encode()
                async with browser.get(task["data"]["image"]) as answer:
                    assert (answer.status, await answer.read()) == (200, wanted)


def _complete(site: Site, count: int) -> list[dict[str, Any]]:
    tasks = site.tasks()
    return tasks if len(tasks) >= count else []
