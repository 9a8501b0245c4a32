"""Datasets that appear with their first object: taken up at run time, known after a restart and to commands."""

import asyncio
import json

import pytest
from typer.testing import CliRunner

from syncd.cli import app
from tests.service.memory_site import Site

TEAMS = """
[datasets.teams]
annotator = "studio"
sources = ["files"]
task = "image-classification"
labels = ["cat", "dog"]
title = "Team {dataset}"
key_pattern = '^teams/(?P<dataset>[^/]+)/'
most = 3
[datasets.fixed]
annotator = "studio"
sources = ["files"]
task = "image-classification"
labels = ["cat", "dog"]
include = ["fixed/**"]
"""


def listed(site: Site, *command: str) -> list[dict[str, object]]:
    done = CliRunner().invoke(app, [*command, "--config", str(site.config), "--json"], env={"HOME": str(site.home)})
    assert done.exit_code == 0, done.output
    found: list[dict[str, object]] = json.loads(done.stdout)
    return found


async def test_the_first_object_of_a_name_makes_its_dataset_and_a_restart_knows_it(site: Site) -> None:
    site.configure(TEAMS)
    async with site.running():
        site.put("fixed/1.jpg", b"x")
        await site.until(lambda: site.tasks("fixed"))
        site.put("teams/red/1.jpg", b"x")
        await site.until(lambda: site.tasks("Team red"))
        site.put("teams/blue/1.jpg", b"x")
        site.put("teams/red/2.jpg", b"x")
        await site.until(lambda: len(site.tasks("Team red")) == 2 and site.tasks("Team blue"))
        red = site.dataset("Team red")
        assert red is not None
        await site.until(lambda: any(url.endswith("/webhooks/memory/red") for url in red.webhooks))
    assert {str(row["dataset"]) for row in await asyncio.to_thread(listed, site, "status")} == {"fixed", "red", "blue"}
    assert {row["title"] for row in await asyncio.to_thread(listed, site, "dataset", "list")} == {
        "fixed",
        "Team red",
        "Team blue",
    }
    site.put("teams/blue/2.jpg", b"x")
    async with site.running():
        await site.until(lambda: len(site.tasks("Team blue")) == 2)
        assert len(site.tasks("Team red")) == 2


async def test_what_was_there_before_the_daemon_is_found_by_listing(site: Site) -> None:
    site.configure(TEAMS)
    for name in ("red", "blue"):
        site.put(f"teams/{name}/1.jpg", b"x")
    async with site.running():
        await site.until(lambda: site.tasks("Team red") and site.tasks("Team blue"))


async def test_bad_names_and_too_many_make_no_dataset_and_stop_nothing(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.configure(TEAMS)
    async with site.running():
        for name in ("UPPER", "fixed", "teams", "x" * 51, "white space", "a", "b", "c", "d"):
            site.put(f"teams/{name}/1.jpg", b"x")
        site.put("fixed/1.jpg", b"x")
        await site.until(lambda: site.tasks("fixed") and len(site.annotator._datasets) == 4)
        await site.until(lambda: all(site.tasks(title) for title in site.annotator._datasets))
    found = {row["dataset"] for row in await asyncio.to_thread(listed, site, "status")}
    assert len(found) == 4
    assert found < {"fixed", "a", "b", "c", "d"}
