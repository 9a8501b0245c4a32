"""Tokens by which Google says who calls (OpenID Connect): verified with PyJWT against Google's published keys.

Used by the sources that Pub/Sub and Eventarc push to. A token is asked of nobody and nothing in it chooses a host:
the keys come from one fixed URL, are kept for an hour and, for a key id nobody knows, asked for again at most every
half minute. Keys that cannot be fetched are our trouble (Retryable), not the sender's.
https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions
"""

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp
import structlog

from syncd.clouds.extras import needing
from syncd.domain.decoding import strict_json
from syncd.domain.errors import Retryable

if TYPE_CHECKING:
    from collections.abc import Callable

    from jwt import PyJWK

log = structlog.get_logger()

GOOGLE_KEYS = "https://www.googleapis.com/oauth2/v3/certs"
GOOGLE_ISSUERS = ("https://accounts.google.com", "accounts.google.com")
LEEWAY_S = 60.0
"""So far may two clocks differ."""
KEPT_S, AGAIN_S, STALE_S = 3600.0, 30.0, 86_400.0
"""Keys are asked for anew after KEPT_S, never more often than every AGAIN_S, and used at most for STALE_S."""
_LARGEST_TOKEN = 16 * 1024
_ANSWER_S = 10.0


class PublishedKeys:
    """The signing keys at one URL, by key id (a JSON Web Key Set, RFC 7517)."""

    def __init__(self, url: str, now: "Callable[[], float]") -> None:
        self._url = url
        self._now = now
        self._keys: dict[str, PyJWK] = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._lock = asyncio.Lock()

    async def find(self, kid: str) -> "PyJWK | None":
        """The key; None: there is none of that id. Retryable: we cannot tell at the moment."""
        if kid in self._keys and self._age(self._fetched_at) <= KEPT_S:
            return self._keys[kid]  # not held up while keys nobody knows are asked for
        async with self._lock:
            if kid not in self._keys or self._age(self._fetched_at) > KEPT_S:
                await self._fetch_again(kid)
            return self._keys.get(kid)

    async def _fetch_again(self, kid: str) -> None:
        """Unless we did a moment ago. An outage is none of a known key: it stays good for a day."""
        failed_last = self._tried_at != self._fetched_at
        if self._age(self._tried_at) > AGAIN_S:
            self._tried_at = self._now()
            if keys := await _fetch(self._url):
                self._keys, self._fetched_at = keys, self._tried_at
                return
            failed_last = True
        if failed_last and (kid not in self._keys or self._age(self._fetched_at) > STALE_S):
            raise Retryable("the keys that verify tokens cannot be fetched", retry_after=AGAIN_S)

    def _age(self, then: float) -> float:
        """Seconds since then. A clock that was set back makes everything old."""
        age = self._now() - then
        return age if age >= 0 else float("inf")


class CallerCheck:
    """Whether a token says that `email` calls `audience`, and is signed by a key of `keys_url`. `now`: unix seconds."""

    def __init__(self, *, audience: str, email: str, keys_url: str, now: "Callable[[], float]") -> None:
        self._audience = audience
        self._email = email
        self._keys = PublishedKeys(keys_url, now)

    async def admits(self, token: str) -> bool:
        """Verify it wholly. Retryable: we cannot tell at the moment."""
        kid = _key_id(token)
        key = await self._keys.find(kid) if kid else None
        return key is not None and self._is_ours(token, key)

    def _is_ours(self, token: str, key: "PyJWK") -> bool:
        import jwt  # noqa: PLC0415 - optional; `_key_id` told if it is missing

        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=["RS256"],  # never what the token asks for
                audience=self._audience,
                issuer=GOOGLE_ISSUERS,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iat", "aud", "iss"], "strict_aud": True},
            )
        except jwt.PyJWTError as error:
            return _refused(type(error).__name__)
        if claims.get("email") != self._email:
            return _refused("another e-mail")
        return claims.get("email_verified") is True or _refused("an e-mail that is not verified")


def needs_jwt(field: str) -> None:
    """ConfigError when PyJWT, or what it verifies signatures with, is not installed."""
    with needing("gcp", field):
        import cryptography  # noqa: F401, PLC0415 - optional
        import jwt  # noqa: F401, PLC0415


def _key_id(token: str) -> str:
    """Which key a token claims to be signed with; empty when it claims none, or another algorithm than RS256."""
    import jwt  # noqa: PLC0415 - optional

    if len(token) > _LARGEST_TOKEN:
        return ""
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError):
        return ""
    kid = header.get("kid")
    return kid if isinstance(kid, str) and header.get("alg") == "RS256" else ""


def _refused(why: str) -> bool:
    log.info("token.refused", reason=why)
    return False


async def _fetch(url: str) -> "dict[str, PyJWK]":
    """The keys there that verify RS256 signatures; none when they cannot be had."""
    try:
        timeout = aiohttp.ClientTimeout(total=_ANSWER_S)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url, allow_redirects=False) as answer:
            if answer.status != 200:
                raise ValueError(f"HTTP {answer.status}")  # noqa: TRY301 - one way to report
            keys = _usable(strict_json(await answer.read()))
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        log.warning("keys.fetch_failed", url=url, error=type(error).__name__)
        return {}
    return keys


def _usable(published: Any) -> "dict[str, PyJWK]":
    import jwt  # noqa: PLC0415 - optional

    try:
        found = jwt.PyJWKSet.from_dict(published).keys
    except (jwt.PyJWTError, AttributeError, TypeError, KeyError):
        raise ValueError("no key set") from None
    return {key.key_id: key for key in found if key.key_id and key.key_type == "RSA" and key.algorithm_name == "RS256"}
