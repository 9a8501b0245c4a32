"""What a root may be, and what is said when it cannot hold versions."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from syncd.domain.errors import ConfigError, Problem, Retryable
from syncd.snapshots.store import LanceSnapshots
from tests.clock import FakeClock
from tests.seaweed import Seaweed
from tests.snapshots.rows import put


class _Careless(BaseHTTPRequestHandler):
    """As far as a probe sees it an S3 server that ignores If-None-Match, as some do; it has the bucket `snap`."""

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        known = self.path.startswith("/snap/")
        body = b"" if known else b"<?xml version='1.0'?><Error><Code>NoSuchBucket</Code></Error>"
        self.send_response(200 if known else 404)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_DELETE(self) -> None:
        self.send_response(204)
        self.end_headers()

    def do_POST(self) -> None:
        self.do_DELETE()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def careless() -> Iterator[dict[str, str]]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Careless) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield _options(f"http://127.0.0.1:{server.server_port}", "any")
        server.shutdown()
        thread.join()


def _options(endpoint: str, secret: str) -> dict[str, str]:
    return {
        "aws_endpoint": endpoint,
        "aws_access_key_id": "test",
        "aws_secret_access_key": secret,
        "aws_region": "us-east-1",
        "allow_http": "true",
    }


def snapshots(url: str, options: dict[str, str] | None = None) -> LanceSnapshots:
    return LanceSnapshots(url, clock=FakeClock(), storage_options=options)


async def test_a_store_that_ignores_create_only_is_refused(careless: dict[str, str]) -> None:
    store = snapshots("s3://snap/x", careless)
    with pytest.raises(ConfigError, match="a second create-only PUT of one key was accepted"):
        await store.probe()
    with pytest.raises(ConfigError):
        await store.commit("fruits", [put("1")], "h")


async def test_a_good_root_passes_the_probe_each_time(seaweed: Seaweed, tmp_path: Path) -> None:
    for store in (snapshots(seaweed.fresh(), seaweed.options), snapshots(tmp_path.as_uri())):
        await store.probe()
        await store.probe()


async def test_a_bucket_that_is_not_there_is_told(careless: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="bucket that exists") as caught:
        await snapshots("s3://absent", careless).probe()
    assert "<" not in str(caught.value)


async def test_wrong_credentials_are_told_without_showing_them(seaweed: Seaweed) -> None:
    with pytest.raises(ConfigError, match="may be written") as caught:
        await snapshots(seaweed.fresh(), _options(seaweed.endpoint, "hunter2hunter2")).probe()
    assert "hunter2" not in str(caught.value)
    assert "<" not in str(caught.value)


async def test_a_server_that_is_down_is_asked_again_later() -> None:
    store = snapshots("s3://snap/x", _options("http://127.0.0.1:1", "any"))
    with pytest.raises(Retryable, match="writing to s3://snap/x"):
        await store.probe()


@pytest.mark.parametrize("url", ["", "snapshots", "ftp://host/x", "s3://", "file://host/x", "http://x/y"])
def test_a_url_that_is_no_root_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"file:///folder, s3://bucket/prefix"):
        snapshots(url)


@pytest.mark.parametrize("options", [{"aws_no_such": "1"}, {"colour": "blue"}])
def test_an_option_that_is_none_is_refused(options: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="object_store names"):
        snapshots("s3://snap/x", options)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="a folder that can be written"):
        snapshots((tmp_path / "file" / "below").as_uri())


async def test_credentials_that_are_replaced_are_used_from_then_on(seaweed: Seaweed) -> None:
    """A daemon's credentials are rotated while it runs; while one cannot be read, those of before do."""
    told = [{**seaweed.options, "aws_secret_access_key": "wrong"}]
    store = LanceSnapshots(seaweed.fresh(), clock=FakeClock(), storage_options=lambda: told[-1])
    with pytest.raises(ConfigError):
        await store.probe()
    told.append(dict(seaweed.options))
    assert await store.commit("fruits", [put("1")], "<View/>")

    def unreadable() -> dict[str, str]:
        raise ConfigError([Problem("storage_options", "", "a secret")])

    store._options = unreadable
    assert [version.name for version in await store.versions("fruits")] == ["v1"]
