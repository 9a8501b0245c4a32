"""The servers that the bench `intake` compares, each a process of its own.

`python -m tests.bench.intake_server bare|ours|single FOLDER PORT` prints, as JSON, its port and what its senders must
show, and serves until it is ended. `bare` is aiohttp that reads a body and answers 204. `ours` is the daemon's own
receiver on its SQLite state, without the workers, which have no annotator here. `single` is ours with a commit for
each request.
"""

import asyncio
import json
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from unittest.mock import patch

from aiohttp import web

from syncd.config import load_config
from syncd.runtime import garbage
from syncd.runtime.telemetry import configure_logging
from syncd.service import daemon
from syncd.service.assembly import assemble
from syncd.service.upkeep import Upkeep
from syncd.sources.receiver import Inbox
from syncd.state import writer

TOKEN = "bench-token-of-no-use-elsewhere"
SECRET = "whsec_" + "YmVuY2gga2V5IG9mIG5vIHVzZSBlbHNld2hlcmU="
_CONFIG = """
data_dir = "{folder}/data"
[receiver]
port = {port}
admin = ""
[buckets.photos]
url = "s3://photos"
[buckets.uploads]
url = "s3://uploads"
[sources.minio]
type = "minio"
buckets = ["photos"]
tokens = [{{ file = "{folder}/token" }}]
[sources.http]
type = "http"
buckets = ["uploads"]
secrets = [{{ file = "{folder}/secret" }}]
[annotators.studio]
type = "label-studio"
url = "http://127.0.0.1:9"
token = {{ file = "{folder}/token" }}
[datasets.fruits]
annotator = "studio"
sources = ["minio", "http"]
task = "image-classification"
labels = ["apple", "pear"]
"""


async def bare(port: int) -> None:
    """The least that a server can do."""

    async def accept(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/{tail:.*}", accept)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    _say({"port": port})
    await asyncio.Event().wait()


async def ours(folder: Path, port: int) -> None:
    """The receiver as `syncd run` has it."""
    for name, secret in (("token", TOKEN), ("secret", SECRET)):
        (folder / name).write_text(secret)
    config = folder / "syncd.toml"
    config.write_text(_CONFIG.format(folder=folder, port=port))
    async with assemble(load_config(config, {}), exclusive=True) as parts, AsyncExitStack() as stack:
        inboxes: dict[str, Inbox] = {}
        await daemon._listen_for(parts, Upkeep(parts), inboxes, "fruits")
        await stack.enter_async_context(daemon._listening(parts, inboxes))
        garbage.settle()
        _say({"port": port, "webhook_secret": await parts.webhook_secret("fruits")})
        await asyncio.Event().wait()


def _say(what: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main(kind: str, folder: str, port: str) -> None:
    """Serve."""
    configure_logging("warning", "json")
    with patch.object(writer, "_GROUP", 1 if kind == "single" else writer._GROUP):
        asyncio.run(bare(int(port)) if kind == "bare" else ours(Path(folder), int(port)))


if __name__ == "__main__":
    main(*sys.argv[1:])
