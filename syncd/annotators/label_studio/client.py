"""The wire to one Label Studio server: sends, waits its turn, repeats what may be repeated, names what failed.

Used by every module of this package. Management goes through label-studio-sdk on our own httpx client, with
the SDK's retries off (they repeat POSTs); task listings and imports are sent as raw JSON over the same client,
because the SDK's models change what they parse.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx
import orjson
from label_studio_sdk.base_client import AsyncLabelStudioBase
from label_studio_sdk.core.api_error import ApiError
from label_studio_sdk.core.parse_error import ParsingError
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, stop_after_delay, wait_random_exponential

from syncd.annotators.label_studio.auth import TokenAuth, decoded
from syncd.annotators.label_studio.errors import Garbled, translated
from syncd.annotators.label_studio.options import LabelStudioOptions
from syncd.clouds.link_local import WHY, is_link_local
from syncd.domain.errors import Retryable
from syncd.ports import Clock

T = TypeVar("T")
CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 60.0
"""Seconds, at most, for an answer to a request without effect: only imports and their like may take longer."""


class Client:
    """One server. `read` is for requests without effect, which are repeated for seconds; `write` sends once.

    Both raise Retryable, Rejected (as `Refused`) or ConfigError, never an error of httpx or the SDK.
    """

    def __init__(self, options: LabelStudioOptions, clock: Clock) -> None:
        self.url = options.url
        self.sleep = clock.sleep
        self._turns = asyncio.Semaphore(options.concurrency)
        self._timeout = options.timeout
        self._refresh_url = f"{options.url}/api/token/refresh/"
        auth = TokenAuth(lambda: options.token.read("token"), self._refresh_url, clock)
        # Redirects are refused: the token would follow them.
        self._http = httpx.AsyncClient(auth=auth, follow_redirects=False, event_hooks={"request": [self._bound]})
        self.sdk = AsyncLabelStudioBase(
            base_url=options.url, api_key="set by TokenAuth", httpx_client=self._http, max_retries=0
        )

    async def close(self) -> None:
        """Release the connections. Idempotent."""
        await self._http.aclose()

    async def write(self, what: str, send: Callable[[], Awaitable[T]]) -> T:
        """Send once. `what` is the request in words, for messages."""
        async with self._turns:
            try:
                return await send()
            except (httpx.HTTPError, ApiError, ParsingError) as error:
                raise translated(error, what, self.url) from None

    async def read(self, what: str, send: Callable[[], Awaitable[T]]) -> T:
        """Send, and repeat what failed quickly, for at most ten seconds or so."""
        retrying = AsyncRetrying(
            retry=retry_if_exception(lambda error: isinstance(error, Retryable) and error.retry_after is None),
            stop=stop_after_attempt(4) | stop_after_delay(10),
            wait=wait_random_exponential(multiplier=0.2, max=2),
            sleep=self.sleep,
            reraise=True,
        )
        return await retrying(self.write, what, send)

    async def get_json(self, what: str, path: str, params: Mapping[str, Any]) -> Any:
        """GET, as `read`; the answer's JSON."""
        return await self.read(what, lambda: self._json("GET", path, params=params))

    async def post_json(self, what: str, path: str, params: Mapping[str, Any], body: object) -> Any:
        """POST, as `write`; the answer's JSON."""
        content, headers = orjson.dumps(body), {"Content-Type": "application/json"}
        return await self.write(what, lambda: self._json("POST", path, params=params, content=content, headers=headers))

    async def get_json_openly(self, what: str, path: str) -> Any:
        """GET without showing the token, as `read`."""
        return await self.read(what, lambda: self._json("GET", path, auth=None))

    async def server_time(self) -> datetime:
        """The server's clock, to the second, by the `Date` of an answer."""
        response = await self.read("asking for the time", lambda: self._http.get(f"{self.url}/health", auth=None))
        try:
            return parsedate_to_datetime(response.headers["date"])
        except (KeyError, ValueError):
            raise Garbled(f"Label Studio at {self.url} answered without a valid `Date`") from None

    async def _bound(self, request: httpx.Request) -> None:
        """Sets the timeouts: here, because the SDK has ones of its own, and a refreshing of the token has none."""
        reads = request.method == "GET" or request.url == self._refresh_url
        wait = min(self._timeout, READ_TIMEOUT) if reads else self._timeout
        timeout = httpx.Timeout(wait, connect=min(wait, CONNECT_TIMEOUT), pool=None)
        request.extensions["timeout"] = timeout.as_dict()
        request.extensions["trace"] = self._never_link_local

    async def _never_link_local(self, event: str, info: Mapping[str, Any]) -> None:
        """Once connected and before anything is sent: a name may lead somewhere else each time it is looked up."""
        if event == "connection.connect_tcp.complete":
            stream = info["return_value"]
            address = stream.get_extra_info("server_addr")[0]
            if is_link_local(address):
                await stream.aclose()
                raise Retryable(f"{self.url} leads to {address}, and {WHY}; mend the name's address")

    async def _json(self, method: str, path: str, **arguments: Any) -> Any:
        response = await self._http.request(method, f"{self.url}/{path}", **arguments)
        body = decoded(response)
        if not response.is_success or isinstance(body, str):
            raise ApiError(status_code=response.status_code, headers=dict(response.headers), body=body)
        return body
