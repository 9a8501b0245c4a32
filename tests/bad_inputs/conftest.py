"""The receiver of a real daemon with a real state file, its datasets and routes; nobody works on what it keeps."""

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import aiohttp
import pytest

from syncd.config import load_config
from syncd.domain.model import Kind
from syncd.service.assembly import Assembly, assemble
from syncd.service.daemon import _listen_for, _listening
from syncd.service.upkeep import Upkeep
from syncd.sources.receiver import Inbox
from tests.bad_inputs.running import Running, running
from tests.known_secrets import HUSH, leaked
from tests.seaweed import free_ports
from tests.sources.pushing import Answer

CONFIG = """
data_dir = "{home}"
[receiver]
port = {port}
admin = "127.0.0.1:{aside}"
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
"""
WEBHOOK = "/webhooks/label-studio/fruits"


@dataclass
class Daemon:
    """What senders reach, and what was kept of what they sent."""

    parts: Assembly
    session: aiohttp.ClientSession
    aside: aiohttp.ClientSession
    secret: str

    async def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
        """Any request; `_` in the names of headers is `-`."""
        return await _asked(self.session, method, path, body, headers)

    async def ask_aside(self, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
        """The same, of the listener for those who watch."""
        return await _asked(self.aside, method, path, body, headers)

    async def event(self, body: bytes) -> Answer:
        """As the camera's server sends it."""
        return await self.ask("POST", "/events/cam", body, Authorization=f"Bearer {HUSH}")

    async def webhook(self, body: bytes) -> Answer:
        """As Label Studio sends it."""
        return await self.ask("POST", WEBHOOK, body, X_Syncd_Secret=self.secret)

    async def waiting(self) -> dict[Kind, int]:
        """How many subjects of each kind wait to be worked on."""
        return {lane.kind: lane.pending for lane in await self.parts.state.backlog()}

    async def page(self) -> str:
        """The metrics."""
        return (await self.ask_aside("GET", "/metrics")).body.decode()


async def _asked(
    session: aiohttp.ClientSession, method: str, path: str, body: bytes, headers: Mapping[str, str]
) -> Answer:
    named = {"Content-Type": "application/json"} | {k.replace("_", "-"): v for k, v in headers.items()}
    async with session.request(method, path, data=BytesIO(body) if body else None, headers=named) as answer:
        return Answer(answer.status, answer.headers, await answer.read())


@pytest.fixture
async def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Daemon]:
    monkeypatch.setenv("CAM_TOKEN", HUSH)
    file = tmp_path / "syncd.toml"
    port, aside = free_ports(2)
    file.write_text(CONFIG.format(home=tmp_path, port=port, aside=aside))
    inboxes: dict[str, Inbox] = {}
    async with assemble(load_config(file, {}), exclusive=True) as parts:
        await _listen_for(parts, Upkeep(parts), inboxes, "fruits")
        async with (
            _listening(parts, inboxes),
            aiohttp.ClientSession(f"http://127.0.0.1:{port}", skip_auto_headers=["Content-Type"]) as session,
            aiohttp.ClientSession(f"http://127.0.0.1:{aside}", skip_auto_headers=["Content-Type"]) as watcher,
        ):
            yield Daemon(parts, session, watcher, await parts.webhook_secret("fruits"))


@pytest.fixture(scope="module")
def daemon_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A real `syncd run`, one for all tests of a module; nothing that it shows holds a secret it was shown."""
    with running(tmp_path_factory.mktemp("daemon")) as daemon:
        yield daemon
        shown = daemon.shown()
        assert "syncd_http_requests_total" in shown
        assert leaked(shown) == []
