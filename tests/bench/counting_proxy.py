"""Stands between two programs on 127.0.0.1, passes on what is asked, and notes each request.

Called by `peer_pull`. In a thread of its own.
"""

import asyncio
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import aiohttp
import orjson
from aiohttp import web

_NOT_PASSED = {"host", "content-length", "content-encoding", "connection", "transfer-encoding", "keep-alive"}


@dataclass(frozen=True)
class Passed:
    """A request. `at`: when it came (s of `time.perf_counter`). `tasks`: how many the answer listed."""

    method: str
    path: str
    at: float
    tasks: int


class CountingProxy:
    """`target`: the URL it stands before; may be set late. `loses`: it takes all and passes on nothing."""

    def __init__(self, target: str = "") -> None:
        self.target, self.loses = target, False
        self.passed: list[Passed] = []
        self.url = ""

    @contextmanager
    def running(self) -> Iterator["CountingProxy"]:
        """On a free port until the context ends."""
        started, loop = threading.Event(), asyncio.new_event_loop()
        ended = asyncio.Event()
        thread = threading.Thread(target=lambda: loop.run_until_complete(self._serve(started, ended)))
        thread.start()
        try:
            assert started.wait(10)
            yield self
        finally:
            loop.call_soon_threadsafe(ended.set)
            thread.join()
            loop.close()

    async def _serve(self, started: threading.Event, ended: asyncio.Event) -> None:
        app = web.Application(client_max_size=1 << 28)
        app.router.add_route("*", "/{path:.*}", self._pass)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=300)) as self._client:
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            started.set()
            await ended.wait()
            await runner.cleanup()

    async def _pass(self, request: web.Request) -> web.Response:
        at, body = time.perf_counter(), await request.read()
        status, headers, told = (200, {}, b"") if self.loses else await self._asked(request, body)
        self.passed.append(Passed(request.method, request.path, at, _tasks(request.path, told)))
        return web.Response(status=status, headers=headers, body=told)

    async def _asked(self, request: web.Request, body: bytes) -> tuple[int, dict[str, str], bytes]:
        asked = self._client.request(
            request.method, self.target + request.raw_path, data=body, headers=_kept(request.headers.items())
        )
        async with asked as answer:
            return answer.status, _kept(answer.headers.items()), await answer.read()


def _kept(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {name: value for name, value in headers if name.lower() not in _NOT_PASSED}


def _tasks(path: str, told: bytes) -> int:
    if path != "/api/tasks/" or not told.startswith(b"{"):
        return 0
    return len(orjson.loads(told).get("tasks", ()))
