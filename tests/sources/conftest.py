"""Fixtures of the sources' tests."""

from collections.abc import AsyncIterator

import pytest

from tests.aws_emulators import Emulator
from tests.sources.sqs_world import Cloud, opened


@pytest.fixture
async def cloud(aws: Emulator, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cloud]:
    """An emulator of AWS, which the usual chain finds too."""
    for name, value in aws.variables.items():
        monkeypatch.setenv(name, value)
    async with opened(aws) as clients:
        yield clients
