"""The real servers that a scenario stands on: Label Studio, and SeaweedFS with its webhook, each started for it alone.

Made by `__main__` and by the tests. Everything lies below one folder, which is kept where something went wrong.
"""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from tests.acceptance.transports.s3 import S3Bucket, make_bucket
from tests.label_studio import LabelStudioServer, free_port, home_maker, serve
from tests.seaweed import served
from tests.seaweed_webhook import WeedWebhook, served_with_webhook

SOURCE = "photos"
"""The source that SeaweedFS speaks to; it gives the path of its events its name."""


@dataclass
class Ground:
    """The servers. `home`: a folder for what the scenario makes."""

    home: Path
    studio: LabelStudioServer
    weed: WeedWebhook
    _numbers: Iterator[int] = field(default_factory=count)

    def folder(self) -> Path:
        """A new, empty one, with a name that no other has."""
        made = self.home / f"{self.home.name}-{next(self._numbers)}"
        made.mkdir()
        return made

    def bucket(self) -> S3Bucket:
        """A new, empty bucket of the S3 server, whose events go to the port that `weed` names."""
        return S3Bucket(asyncio.run(make_bucket(self.weed.client)), self.options())

    def options(self) -> dict[str, str]:
        """Endpoint and credentials of the S3 server."""
        return {**self.weed.server.options, "aws_allow_http": "true"}


@contextmanager
def grounded(home: Path, *, webhook: bool = True) -> Iterator[Ground]:
    """Servers on an empty folder, until the context ends. `webhook`: the S3 server tells of its objects."""
    (home / "weed").mkdir()
    with ExitStack() as servers:
        if webhook:
            weed = servers.enter_context(served_with_webhook(home / "weed", f"/events/{SOURCE}"))
        else:
            weed = WeedWebhook(servers.enter_context(served(home / "weed")), free_port())
        studio_home = home_maker()(home / "label-studio")
        studio = servers.enter_context(serve(studio_home, home / "files", {}))
        yield Ground(home, studio, weed)
