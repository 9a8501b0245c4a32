"""A webhook: the event as CloudEvents JSON in a POST, signed as Standard Webhooks. One of the targets of triggers.

Content: CloudEvents 1.0, HTTP protocol binding, structured mode. Signature, what counts as delivered, 410 and
Retry-After: https://github.com/standard-webhooks/standard-webhooks (spec/standard-webhooks.md). An answer outside
2xx is a failure, a redirect too: the event goes where it was meant to, or nowhere. Retries are the worker's.
"""

import asyncio
import time
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlsplit

import aiohttp
import orjson
from pydantic import Field, PlainValidator, field_validator

from syncd.domain.deliveries import Answer, Verdict
from syncd.domain.errors import ConfigError, Problem
from syncd.domain.model import JsonObject
from syncd.domain.standard_webhooks import SECRET_HINT, sign, signing_key
from syncd.ports import Surroundings
from syncd.secrets import SecretRef, text_or_secret
from syncd.triggers import excerpts
from syncd.triggers.options import TriggerOptions

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
READ_BYTES = 2048
BODY_S = 1.0
LONGEST_WISH_S = 6 * 3600.0
_HEADERS_OF_OURS = {"content-type", "content-length", "host", "webhook-id", "webhook-timestamp", "webhook-signature"}


class WebhookOptions(TriggerOptions):
    """The options of a trigger of type `webhook`."""

    url: str = Field(description="Where events are posted to, as http(s) URL.", repr=False)
    secrets: list[SecretRef] = Field(
        min_length=1,
        description="Where the signing secrets are (whsec_ and base64 of 24 to 64 bytes); two while one is replaced.",
    )
    headers: dict[str, Annotated[str | SecretRef, PlainValidator(text_or_secret)]] = Field(
        {}, description="More headers, such as Authorization: text, or where a secret is.", repr=False
    )
    timeout: float = Field(20.0, gt=0, allow_inf_nan=False, description="Longest wait for an answer, seconds.")

    @field_validator("url")
    @classmethod
    def _postable(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be an http:// or https:// URL")
        if parts.username or parts.password:
            raise ValueError("must hold no user and password; put them into `headers` as Authorization")
        return url

    @field_validator("headers")
    @classmethod
    def _free(cls, headers: dict[str, str | SecretRef]) -> dict[str, str | SecretRef]:
        if taken := _HEADERS_OF_OURS & {name.lower() for name in headers}:
            raise ValueError(f"{', '.join(sorted(taken))} is set by syncd")
        return headers


class Webhook:
    """Posts events to one URL."""

    Options = WebhookOptions
    attempts: int | None = None

    def __init__(self, options: WebhookOptions, surroundings: Surroundings) -> None:
        self._options = options
        self._field = f"datasets.{surroundings.dataset}.triggers.{surroundings.trigger}"
        self._session: aiohttp.ClientSession | None = None

    async def check(self) -> None:
        """ConfigError: a secret is missing, or is none."""
        self._keys()
        self._headers()

    async def deliver(self, event: JsonObject) -> Answer:
        """Post it once. The same event has the same `webhook-id` each time, and a timestamp of its own."""
        body = orjson.dumps(event)
        headers = self._headers() | sign(event["id"], int(time.time()), body, self._keys())
        try:
            return await self._post(body, headers)
        except TimeoutError:
            return Answer(Verdict.FAILED, f"no answer within {self._options.timeout:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Answer(Verdict.FAILED, f"no connection to {self._host}: {_reason(error)}")

    async def close(self) -> None:
        """Close the connections."""
        if self._session:
            await self._session.close()
            self._session = None

    async def _post(self, body: bytes, headers: dict[str, str]) -> Answer:
        async with asyncio.timeout(self._options.timeout):
            response = await self._opened().post(self._options.url, data=body, headers=headers, allow_redirects=False)
        async with response:
            return _answer(response, await _said(response, [*headers.values(), self._options.url]))

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "syncd", "Content-Type": CONTENT_TYPE},
                timeout=aiohttp.ClientTimeout(total=None),  # ours is around it
            )
        return self._session

    @property
    def _host(self) -> str:
        return urlsplit(self._options.url).hostname or ""

    def _headers(self) -> dict[str, str]:
        field = f"{self._field}.headers"
        return {
            name: value.read(f"{field}.{name}") if isinstance(value, SecretRef) else value
            for name, value in self._options.headers.items()
        }

    def _keys(self) -> list[bytes]:
        """The signing keys, read anew: a secret that was replaced needs no restart."""
        return [_key(secret, f"{self._field}.secrets.{n}") for n, secret in enumerate(self._options.secrets)]


def _key(secret: SecretRef, field: str) -> bytes:
    try:
        return signing_key(secret.read(field))
    except ValueError as error:
        raise ConfigError([Problem(field, f"{secret} {error}", SECRET_HINT)]) from None


async def _said(response: aiohttp.ClientResponse, hidden: list[str]) -> str:
    """An excerpt of the answer; the status is all that counts, so a body that does not come is not waited for."""
    try:
        async with asyncio.timeout(BODY_S):
            said = await response.content.read(READ_BYTES)
    except (TimeoutError, aiohttp.ClientError):
        return ""
    return excerpts.beginning(said, hidden, whole=response.content.at_eof())


def _answer(response: aiohttp.ClientResponse, excerpt: str) -> Answer:
    outcome = _named(response.status)
    if 200 <= response.status < 300:
        return Answer(Verdict.DELIVERED, outcome, excerpt)
    if response.status == HTTPStatus.GONE:
        return Answer(Verdict.REFUSED, f"{outcome}: the receiver wants no more of this; take the trigger out", excerpt)
    if 300 <= response.status < 400:
        outcome += ": redirects are not followed; configure the address it leads to"
    return Answer(Verdict.FAILED, outcome, excerpt, retry_after=_wish(response.headers.get("Retry-After", "")))


def _named(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _wish(text: str) -> float | None:
    """Retry-After, as seconds or as a date (RFC 9110, 10.2.3); None where there is none to be understood."""
    try:
        seconds = float(text) if text.isdigit() else parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), LONGEST_WISH_S)


def _reason(error: Exception) -> str:
    """In a few words, and without the URL: it may hold a token."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return str(error.certificate_error)
        case aiohttp.ClientConnectorError():
            return error.os_error.strerror or type(error.os_error).__name__
        case OSError(strerror=str(words)) if words:
            return words
    return type(error).__name__
