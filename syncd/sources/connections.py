"""aiohttp's server, where its own ways are not ours: with what is no HTTP, with who sends too slowly, with routes.

Used by the receiver. aiohttp would show a sender the bytes that broke, and log them, which may be a token's; it would
count no such request, and would wait on for the rest of a body that did not come in time. Its routes and middlewares
take longer than all else of a bare answer, so requests pass by us first.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler


class _Connection(RequestHandler):
    """One connection."""

    refused: Callable[[int], None]

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what is no HTTP; aiohttp's to a mistake of ours, which it logs."""
        if not isinstance(exc, HttpProcessingError):
            return super().handle_error(request, status, exc, message)
        self.refused(status)
        answer = web.Response(status=status, text="This is no HTTP that can be read.")
        answer.force_close()
        return answer

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send the answer; whose time is over gets no more of it."""
        sent = await super().finish_response(request, resp, start_time)
        if resp.status == web.HTTPRequestTimeout.status_code:
            self.force_close()
        return sent


class _Server(web.Server):
    refused: Callable[[int], None]

    def __call__(self) -> RequestHandler:
        connection = _Connection(self, loop=self._loop, **self._kwargs)
        connection.refused = self.refused
        return connection


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Runner(web.AppRunner):
    """An `AppRunner`. `first` answers each request; it is given the application, for what it does not answer itself.

    `refused` is called with the status of each answer to what was no HTTP.
    """

    def __init__(
        self,
        app: web.Application,
        *,
        first: Callable[[Handler, web.Request], Awaitable[web.StreamResponse]],
        refused: Callable[[int], None],
        **options: Any,
    ) -> None:
        super().__init__(app, **options)
        self._first = first
        self._refused = refused

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        answer: Any = partial(self._first, made.request_handler)
        server = _Server(answer, request_factory=made.request_factory, **made._kwargs)  # noqa: SLF001 - there is no other door
        server.refused = self._refused
        return server
