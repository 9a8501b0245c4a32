"""A pushed event on its way through the daemon: from HTTP to a durable mark. And what the port asks of push sources."""

import asyncio
from importlib.metadata import entry_points
from pathlib import Path

import aiohttp
import pytest

from syncd.config import load_config
from syncd.domain.model import Kind
from syncd.domain.notifications import Notices
from syncd.ports import Pushed, PushSource, Reply
from syncd.service.assembly import assemble
from syncd.service.daemon import _listening
from syncd.sources.folder import FolderSource
from syncd.sources.minio import MinioSource
from tests.known_secrets import HUSH
from tests.seaweed import free_ports
from tests.sources.amazon import records
from tests.sources.pushing import Post, made
from tests.sources.waiting import until

CONFIG = """
data_dir = "{home}"
[receiver]
port = {port}
admin = "receiver"
[worker]
linger = 0.0
[buckets.photos]
url = "s3://photos"
[sources.cam]
type = "minio"
buckets = ["photos"]
tokens = [{{ env = "CAM_TOKEN" }}]
[annotators.label-studio]
type = "label-studio"
url = "http://127.0.0.1:9"
token = {{ env = "CAM_TOKEN" }}
[datasets.fruits]
annotator = "label-studio"
sources = ["cam"]
task = "image-classification"
labels = ["apple"]
include = ["*.jpg"]
"""


async def test_a_pushed_event_is_a_durable_mark_of_every_dataset_that_wants_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAM_TOKEN", HUSH)
    file = tmp_path / "syncd.toml"
    file.write_text(CONFIG.format(home=tmp_path, port=free_ports(1)[0]))
    config = load_config(file, {})
    headers = {"Authorization": f"Bearer {HUSH}", "Content-Type": "application/json"}
    async with (
        assemble(config, exclusive=True) as parts,
        _listening(parts, {}) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}", headers=headers) as sender,
    ):
        body = records("a+b.jpg", "c.txt").encode()
        async with sender.post("/events/cam", data=body) as answer:
            assert answer.status == 204
        async with sender.post("/events/fruits", data=body) as answer:
            assert answer.status == 404
        claims = await parts.state.claim(limit=10, lease=60)
        assert [(c.subject.kind, c.subject.dataset, c.subject.id) for c in claims] == [
            (Kind.OBJECT, "fruits", "s3://photos a b.jpg")
        ]
        async with sender.get("/metrics") as page:
            assert 'syncd_http_requests_total{route="events",status="204"}' in await page.text()


def test_every_source_that_is_pushed_to_has_the_form_of_the_port() -> None:
    for point in entry_points(group="syncd.sources"):
        kind = point.load()
        assert hasattr(kind, "receive") == hasattr(kind, "methods"), point.name
    assert not hasattr(FolderSource, "receive")


async def test_it_asks_for_a_rescan_when_it_starts_and_where_a_message_left_objects_unnamed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CAM_TOKEN", HUSH)
    source = made(MinioSource, tokens=[{"env": "CAM_TOKEN"}])
    assert isinstance(source, PushSource)
    rescans: list[str] = []
    job = asyncio.create_task(source.run(Post().deliver, lambda: rescans.append("rescan")))
    await until("it listens", lambda: rescans)
    request = Pushed("POST", {"authorization": f"Bearer {HUSH}", "content-type": "application/json"}, {}, b"{}")
    monkeypatch.setattr("syncd.sources.minio.parse_s3", lambda *_: Notices(rescan=True))
    assert await source.receive(request, Post().deliver) == Reply(204)
    await until("it asks again", lambda: len(rescans) == 2)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
