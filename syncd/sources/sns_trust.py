"""Whether Amazon SNS signed a message: its certificate's address, the certificate, and the signature.

Used by the source `sns`. https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html. The
address is the message's own word, so it is held against a rule before anything is fetched: https, a host of SNS in a
region, no port, no user, a path that ends in `.pem`; redirects are not followed. A bare `sns.*.amazonaws.com` would
not do: `sns.s3.amazonaws.com` is a bucket that anybody could have made. Certificates are cached by address; an
address that led to none is remembered as long as it is among the last few.
"""

import asyncio
import base64
import binascii
import re
import ssl
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp

from syncd.clouds.extras import needing
from syncd.domain.errors import Retryable
from syncd.domain.notifications.sns import Envelope, signed_text

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

HOSTS = re.compile(r"sns\.[a-z]{2,}(-[a-z]+)+-[0-9]{1,2}\.amazonaws\.com(\.cn)?")
FETCH_S = 5.0
LARGEST = 64 * 1024
_CACHED = 32
_SHORTEST = 128


class Untrusted(Exception):
    """Not signed by SNS, for all we can tell; says why."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Whom to trust. Only tests have other `hosts` (matched against host and port), and another CA."""

    hosts: re.Pattern[str] = HOSTS
    tls: ssl.SSLContext | None = None

    def allows(self, url: str) -> bool:
        """Whether this URL is one of SNS itself."""
        try:
            parts = urlsplit(url)
        except ValueError:
            return False
        return parts.scheme == "https" and bool(self.hosts.fullmatch(parts.netloc)) and url.isprintable()


@dataclass
class Verifier:
    """Verifies envelopes. `versions`: the signature versions accepted, "2" (SHA256) and perhaps "1" (SHA1)."""

    versions: frozenset[str]
    rules: Rules = field(default_factory=Rules)
    _keys: "OrderedDict[str, RSAPublicKey | None]" = field(default_factory=OrderedDict)
    _fetching: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def verify(self, envelope: Envelope) -> None:
        """Untrusted: it is not to be believed. Retryable: the certificate cannot be had at the moment."""
        if envelope.signature_version not in self.versions:
            raise Untrusted("the signature version is not accepted")
        url = envelope.signing_cert_url
        if not (self.rules.allows(url) and urlsplit(url).path.endswith(".pem") and not urlsplit(url).query):
            raise Untrusted("the certificate is not one of Amazon SNS by its address")
        signature = _decoded(envelope.signature)
        key = await self._key(url)
        _check(key, signature, signed_text(envelope), envelope.signature_version)

    async def _key(self, url: str) -> "RSAPublicKey":
        """The public key at this address, fetched once; one fetch at a time, whatever is sent to us."""
        if url not in self._keys:
            async with self._fetching:
                if url not in self._keys:
                    self._remember(url, await self._fetched(url))
        key = self._keys.get(url)
        if key is None:
            raise Untrusted("its address leads to no RSA certificate")
        self._keys.move_to_end(url)
        return key

    async def _fetched(self, url: str) -> "RSAPublicKey | None":
        status, body = await fetch(url, self.rules)
        return _public_key(body) if status == 200 else None

    def _remember(self, url: str, key: "RSAPublicKey | None") -> None:
        self._keys[url] = key
        while len(self._keys) > _CACHED:
            self._keys.popitem(last=False)


async def fetch(url: str, rules: Rules) -> tuple[int, bytes]:
    """Status and beginning of what is there now, redirects as they are. Retryable: nobody answers, or with 429 or 5xx.

    Only for URLs that the rules allow.
    """
    try:
        async with (
            asyncio.timeout(FETCH_S),
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.get(url, allow_redirects=False, ssl=rules.tls or True) as response,
        ):
            status, body = response.status, await response.content.read(LARGEST)
    except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
        raise Retryable(f"Amazon SNS cannot be reached ({type(error).__name__})") from None
    if status == 429 or status >= 500:
        raise Retryable(f"Amazon SNS is busy or down (HTTP {status})")
    return status, body


def needs_cryptography(name: str) -> None:
    """ConfigError where the extra is not installed."""
    with needing("sns", f"sources.{name}.type"):
        import cryptography.x509  # noqa: F401, PLC0415 - optional, imported on first use


def _decoded(signature: str) -> bytes:
    """The bytes of a signature; Untrusted: too few for any RSA key in use, or no base64."""
    try:
        decoded = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if len(decoded) < _SHORTEST:
        raise Untrusted("the signature is none")
    return decoded


def _public_key(pem: bytes) -> "RSAPublicKey | None":
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey  # noqa: PLC0415 - optional
    from cryptography.x509 import load_pem_x509_certificate  # noqa: PLC0415

    try:
        key = load_pem_x509_certificate(pem).public_key()
    except ValueError:
        return None
    return key if isinstance(key, RSAPublicKey) else None


def _check(key: "RSAPublicKey", signature: bytes, text: bytes, version: str) -> None:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - optional
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15  # noqa: PLC0415
    from cryptography.hazmat.primitives.hashes import SHA1, SHA256  # noqa: PLC0415

    digest = SHA256() if version == "2" else SHA1()  # noqa: S303 - version 1 is only accepted where it is configured
    try:
        key.verify(signature, text, PKCS1v15(), digest)
    except InvalidSignature:
        raise Untrusted("the signature is wrong") from None
