"""Fixtures for all tests."""

from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

pytest_plugins = [
    "tests.aws_emulators",
    "tests.azurite",
    "tests.ceph",
    "tests.label_studio",
    "tests.postgres",
    "tests.seaweed",
    "tests.seaweed_webhook",
    "tests.secret_search",
]

# How quick a machine is, and what else runs on it, says nothing about the product.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture(autouse=True)
def _logging_of_its_own() -> Iterator[None]:
    """A command that ran in this process leaves the log on its own, by then closed, stream."""
    yield
    structlog.reset_defaults()
