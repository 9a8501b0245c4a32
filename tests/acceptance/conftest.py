"""Fixtures of the acceptance tests."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.site import Site
from tests.label_studio import LabelStudioServer


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Makes installations against a given Label Studio; their daemons end with the test."""
    sites: list[Site] = []

    def make(studio: LabelStudioServer, **dataset: Any) -> Site:
        home = tmp_path / f"{tmp_path.name}-site-{len(sites)}"
        home.mkdir()
        sites.append(Site(home, studio, **dataset))
        return sites[-1]

    yield make
    for site in sites:
        site.close()


@pytest.fixture
def site(make_site: Callable[..., Site], label_studio: LabelStudioServer) -> Site:
    """An installation against the session's Label Studio."""
    return make_site(label_studio)
