"""Google Cloud for adapters: who we are there, and its REST interfaces over aiohttp.

Used by `sources.pubsub`, and by whatever else speaks to Google. Keyless first: the workload identity, the metadata
server, a federation file or a person's own login, as google-auth finds them (Application Default Credentials); or the
key of a service account at a place that the configuration names. REST, not Google's gRPC clients: those bring 60 MB and
threads of their own, and what is needed here is four calls that carry JSON.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import aiohttp
import orjson

from syncd.clouds.extras import needing
from syncd.domain.errors import ConfigError, Problem, Rejected, Retryable
from syncd.secrets import SecretRef

_REFRESH_S = 20.0
"""Longest wait for a new access token, seconds."""
_CONNECT_S = 10.0


class GoogleTokens:
    """Access tokens for one scope. `credentials`: where a service account's key is; None: keyless. `field` names it."""

    def __init__(self, scope: str, *, credentials: SecretRef | None, field: str) -> None:
        self._scope = scope
        self._ref = credentials
        self._field = field
        self._credentials: Any = None
        self._lock = asyncio.Lock()

    async def token(self) -> str:
        """One that is good for minutes. ConfigError: there is no credential, or none that works. Retryable."""
        async with self._lock:
            if self._credentials is None or not self._credentials.valid:
                self._credentials = await self._refreshed()
            return str(self._credentials.token)

    def forget(self) -> None:
        """The last token was refused: the credential is read anew, as it may have been replaced."""
        self._credentials = None

    async def _refreshed(self) -> Any:
        try:
            async with asyncio.timeout(_REFRESH_S):
                return await asyncio.to_thread(self._load_and_refresh)
        except TimeoutError:
            raise Retryable("Google gave no access token in time", effect_possible=False) from None

    def _load_and_refresh(self) -> Any:
        """Blocks. The credential is read anew each time (hourly), so that a replaced one needs no restart."""
        with needing("gcp", self._field):
            from google.auth import exceptions  # noqa: PLC0415 - optional
            from google.auth.transport.requests import Request  # noqa: PLC0415
        try:
            credentials = self._load()
            credentials.refresh(Request())
        except (exceptions.DefaultCredentialsError, exceptions.MalformedError, exceptions.OAuthError, ValueError):
            # its message may quote the credential
            raise ConfigError([Problem(self._field, *self._unusable())]) from None
        except exceptions.RefreshError as error:
            if error.retryable:
                raise Retryable("Google gives no access token at the moment", effect_possible=False) from None
            raise ConfigError([Problem(self._field, *self._unusable())]) from None
        except exceptions.GoogleAuthError:
            raise Retryable("Google's token service cannot be reached", effect_possible=False) from None
        return credentials

    def _load(self) -> Any:
        import google.auth  # noqa: PLC0415 - optional
        from google.oauth2.service_account import Credentials  # noqa: PLC0415

        if self._ref is None:
            return google.auth.default(scopes=[self._scope])[0]
        key = orjson.loads(self._ref.read(self._field))
        if not isinstance(key, dict):
            raise ValueError("no service account")  # noqa: TRY004 - as what comes next raises
        return Credentials.from_service_account_info(key, scopes=[self._scope])  # type: ignore[no-untyped-call]

    def _unusable(self) -> tuple[str, str]:
        """What was found, and what is allowed."""
        if self._ref is None:
            found = "no Google credentials that work"
            return found, "a workload identity or service account for syncd, or GOOGLE_APPLICATION_CREDENTIALS"
        return f"{self._ref}: no key that works", "a service account's key in JSON; better none at all, but an identity"


class GoogleApi:
    """One REST interface, such as https://pubsub.googleapis.com. `tokens` None: an emulator, that asks for none.

    No redirects are followed and nothing is repeated here.
    """

    def __init__(self, base: str, tokens: GoogleTokens | None) -> None:
        self._base = base.rstrip("/")
        self._tokens = tokens
        self._session: aiohttp.ClientSession | None = None

    async def post(self, path: str, body: Mapping[str, object], *, timeout: float) -> dict[str, Any]:
        """What `POST base/path` answers, within `timeout` seconds.

        Retryable: out of reach, busy or slow, or the token was refused, which may be of age. ConfigError: there is no
        usable credential. Rejected: Google refused this request and will again. `Slow`, `Missing` and `Forbidden` say
        more.
        """
        headers = {"Content-Type": "application/json"}
        if self._tokens:
            headers["Authorization"] = f"Bearer {await self._tokens.token()}"
        try:
            async with self._open().post(
                f"{self._base}/{path}",
                data=orjson.dumps(body),
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=timeout, sock_connect=min(timeout, _CONNECT_S)),
            ) as answer:
                content = await answer.read()
                self._raise_for(answer.status)
        except aiohttp.ClientError as error:  # also where connecting took too long
            raise Retryable(f"{self._base} cannot be reached ({type(error).__name__})") from None
        except TimeoutError:
            raise Slow(f"{self._base} did not answer within {timeout:g} s") from None
        return _object(content)

    def _raise_for(self, status: int) -> None:
        if status == 401 and self._tokens:
            self._tokens.forget()
            raise Retryable("Google refused the access token", effect_possible=False)
        if status in {401, 403}:
            raise Forbidden("Google refused: the service account of syncd lacks a permission here")
        if status == 404:
            raise Missing("there is no such thing at Google")
        if status == 504:
            raise Slow("Google did not answer in time (HTTP 504)")
        if status == 429 or status >= 500:
            raise Retryable(f"Google is busy or down (HTTP {status})", effect_possible=status != 429)
        if status != 200:
            raise Rejected(f"Google refused the request (HTTP {status})")

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession()
        return self._session

    async def close(self) -> None:
        """Release connections. Idempotent."""
        if self._session:
            await self._session.close()


class Slow(Retryable):
    """There was no answer in time, but somebody is there: of a long poll, nothing to be had."""


class Missing(Rejected):
    """What was asked of is not there."""


class Forbidden(Rejected):
    """We may not."""


def _object(content: bytes) -> dict[str, Any]:
    try:
        answer = orjson.loads(content or b"{}")
    except orjson.JSONDecodeError:
        answer = None
    if not isinstance(answer, dict):
        raise Retryable("Google's answer is no JSON object: is there a proxy in between?")
    return answer
