"""Fixtures for all tests."""

from collections.abc import Iterator

import pytest
import structlog

pytest_plugins = ["tests.label_studio", "tests.seaweed"]


@pytest.fixture(autouse=True)
def _logging_of_its_own() -> Iterator[None]:
    """A command that ran in this process leaves the log on its own, by then closed, stream."""
    yield
    structlog.reset_defaults()
