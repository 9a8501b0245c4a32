"""Fixtures of the tests of the service."""

from pathlib import Path

import pytest

from tests.service.memory_site import Site


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """An installation with one folder, and a daemon that the test starts."""
    return Site(tmp_path, monkeypatch)
