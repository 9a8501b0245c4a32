"""What the doctor says of buckets that browsers are sent to."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from syncd.config import load_config
from syncd.service.assembly import assemble
from syncd.service.cors import examine_cors
from tests.known_secrets import HUSH

CONFIG = """
data_dir = "{home}/data"
[receiver]
media_presign = {presign}
[buckets.photos]
url = "s3://photos"
[buckets.photos.storage_options]
aws_endpoint = "{url}"
aws_allow_http = "true"
aws_region = "us-east-1"
aws_access_key_id = "id"
aws_secret_access_key = "{HUSH}"
[sources.photos]
type = "listing"
buckets = ["photos"]
[annotators.studio]
type = "label-studio"
url = "https://studio.example:8443/label"
token = {{ env = "NONE" }}
[[annotators.studio.storages]]
bucket = "s3://photos"
endpoint = "{url}"
presign = {link}
[datasets.fruits]
sources = ["photos"]
annotator = "studio"
media = "signed"
task = "image-classification"
labels = ["a", "b"]
"""


@asynccontextmanager
async def bucket_server(allowed: str) -> AsyncIterator[str]:
    """A server that answers preflights for one origin."""

    async def preflight(request: web.Request) -> web.Response:
        assert request.headers["Origin"] == "https://studio.example:8443"
        return web.Response(headers={"Access-Control-Allow-Origin": allowed} if allowed else {})

    app = web.Application()
    app.router.add_route("OPTIONS", "/photos/{key:.*}", preflight)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def findings(home: Path, url: str, *, presign: bool, link: bool) -> list[tuple[str, bool | None, str]]:
    file = home / "syncd.toml"
    told = {"home": home, "url": url, "presign": str(presign).lower(), "link": str(link).lower()}
    file.write_text(CONFIG.format(HUSH=HUSH, **told))
    async with assemble(load_config(file, environ={}), exclusive=False) as parts:
        return await examine_cors(parts)


@pytest.mark.parametrize(("presign", "link"), [(True, False), (False, True)], ids=["links", "storages"])
@pytest.mark.parametrize("allowed", ["*", "https://studio.example:8443"])
async def test_a_bucket_that_lets_the_annotators_pages_read_is_fine(
    tmp_path: Path, presign: bool, link: bool, allowed: str
) -> None:
    async with bucket_server(allowed) as url:
        ((what, ok, _),) = await findings(tmp_path, url, presign=presign, link=link)
    assert (what, ok) == ("CORS of s3://photos", True)


@pytest.mark.parametrize("allowed", ["", "https://elsewhere.example"])
async def test_one_that_does_not_is_told_with_the_command_that_mends_it(tmp_path: Path, allowed: str) -> None:
    async with bucket_server(allowed) as url:
        ((_, ok, detail),) = await findings(tmp_path, url, presign=True, link=False)
    assert ok is None
    assert "aws s3api put-bucket-cors --bucket photos --cors-configuration" in detail
    assert '"AllowedOrigins": ["https://studio.example:8443"]' in detail
    assert HUSH not in detail


async def test_a_bucket_that_no_browser_is_sent_to_is_not_asked(tmp_path: Path) -> None:
    assert await findings(tmp_path, "http://127.0.0.1:9", presign=False, link=False) == []


async def test_a_bucket_that_does_not_answer_is_said_to(tmp_path: Path) -> None:
    ((_, ok, detail),) = await findings(tmp_path, "http://127.0.0.1:9", presign=True, link=False)
    assert (ok, "did not answer" in detail) == (None, True)
