"""How requests to Label Studio prove who we are, for both kinds of token.

A legacy token is sent as it is. A personal access token is a JWT *refresh* token: it is traded for an access
token that lives 300 s. The secret is read anew for every request, so a rotated one needs no restart.
Used by `client` alone.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

import httpx
import orjson
from label_studio_sdk.core.api_error import ApiError

from syncd.ports import Clock

ACCESS_LIFETIME = 240.0
"""Seconds an access token is used; the server lets it live for 300 s."""


@dataclass(frozen=True, slots=True)
class _Access:
    secret: str
    token: str
    until: float


class TokenAuth(httpx.Auth):
    """Sets the Authorization header; renews the access token when it is old, and once after a 401."""

    def __init__(self, read_secret: Callable[[], str], refresh_url: str, clock: Clock) -> None:
        self._read_secret = read_secret
        self._refresh_url = refresh_url
        self._clock = clock
        self._access: _Access | None = None

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """One request, with a refresh before it or after it where needed. Raises ApiError when that fails."""
        secret = await asyncio.to_thread(self._read_secret)
        if secret.count(".") != 2:  # not a JWT
            request.headers["Authorization"] = f"Token {secret}"
            yield request
            return
        if not self._is_fresh(secret):
            self._accept(secret, await _whole((yield self._refresh(secret))))
        response = yield self._signed(request)
        if response.status_code == 401:
            self._accept(secret, await _whole((yield self._refresh(secret))))
            yield self._signed(request)

    def _is_fresh(self, secret: str) -> bool:
        access = self._access
        return access is not None and access.secret == secret and self._clock.now() < access.until

    def _refresh(self, secret: str) -> httpx.Request:
        return httpx.Request("POST", self._refresh_url, json={"refresh": secret})

    def _accept(self, secret: str, response: httpx.Response) -> None:
        body = decoded(response)
        if response.status_code != 200 or not isinstance(body, dict) or not isinstance(body.get("access"), str):
            raise ApiError(status_code=response.status_code, headers=dict(response.headers), body=body)
        self._access = _Access(secret, body["access"], self._clock.now() + ACCESS_LIFETIME)

    def _signed(self, request: httpx.Request) -> httpx.Request:
        assert self._access is not None  # noqa: S101 - `_accept` came first, or raised
        request.headers["Authorization"] = f"Bearer {self._access.token}"
        return request


async def _whole(response: httpx.Response) -> httpx.Response:
    await response.aread()
    return response


def decoded(response: httpx.Response) -> object:
    """The JSON of an answer, or its text where it is none."""
    try:
        return orjson.loads(response.content)
    except orjson.JSONDecodeError:
        return response.text
