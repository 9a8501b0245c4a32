"""A folder, the real configuration, assembly and daemon in this process; the annotator is the reference in memory.

The annotator is a stranger's plug-in, installed as one: type `memory`. What it holds outlives the daemon.
"""

import asyncio
import sys
import types
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from syncd.annotators.memory import MemoryAnnotator, MemoryDataset
from syncd.config import load_config
from syncd.ports import Clock
from syncd.runtime.clock import SystemClock
from syncd.service import daemon
from tests.label_studio import free_port

WITHIN_S = 30.0


class Site:
    """One installation. `put` and `remove` are what uploaders do."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home = home
        self.folder = home / "bucket"
        self.folder.mkdir()
        self.bucket = self.folder.as_uri()
        self.annotator = MemoryAnnotator(SystemClock())
        self.config = home / "syncd.toml"
        _install(home / "plugins", self.annotator, monkeypatch)
        self._port = free_port()

    def configure(self, datasets: str, *, every: float = 300.0) -> None:
        """Write the configuration; `datasets` is its TOML below the sources and annotators."""
        self.config.write_text(f"""
data_dir = "{self.home}/data"
[receiver]
port = {self._port}
admin = ""
[reconcile]
every = {every}
[sources.files]
type = "folder"
path = "{self.folder}"
settle = 0.05
[annotators.studio]
type = "memory"
{datasets}
""")

    def put(self, key: str, data: bytes | str) -> None:
        """Write an object in one go, as copy tools do."""
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        part.write_bytes(data.encode() if isinstance(data, str) else data)
        part.rename(path)

    def remove(self, key: str) -> None:
        (self.folder / key).unlink()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The daemon, until the context ends."""
        running = asyncio.create_task(daemon.run(load_config(self.config, {"HOME": str(self.home)})))
        try:
            yield
            if running.done():
                running.result()
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    def tasks(self, title: str) -> list[dict[str, Any]]:
        """The data of a dataset's tasks in work."""
        dataset = self.dataset(title)
        return [task.new.data for task in dataset.work.values() if task.retired is None] if dataset else []

    def dataset(self, title: str) -> MemoryDataset | None:
        return self.annotator._datasets.get(title)

    async def until(self, check: Callable[[], object]) -> None:
        """Return once it is true."""
        async with asyncio.timeout(WITHIN_S):
            while not check():
                await asyncio.sleep(0.02)


def _install(site: Path, annotator: MemoryAnnotator, monkeypatch: pytest.MonkeyPatch) -> None:
    class Options(BaseModel):
        """None."""

    def factory(options: Options, *, clock: Clock) -> MemoryAnnotator:
        return annotator

    module = types.ModuleType("memory_plugin")
    factory.Options = Options  # type: ignore[attr-defined]
    module.Plugin = factory  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "memory_plugin", module)
    info = site / "memory_plugin-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: memory_plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[syncd.annotators]\nmemory = memory_plugin:Plugin\n")
    monkeypatch.syspath_prepend(site)
