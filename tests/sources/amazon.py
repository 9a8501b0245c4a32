"""A double of Amazon SNS, for tests: it signs messages and serves its certificate and confirmations over real TLS.

No emulator gives a signature that verifies, so the key and the certificates are made here. `asked` holds every
request that reached it, on any path: a test that claims that nothing was fetched looks there.
"""

import base64
import datetime
import json
import re
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import cache
from ipaddress import IPv4Address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from syncd.sources.sns_trust import Rules

TOPIC = "arn:aws:sns:us-east-1:123456789012:photos"
SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    "UnsubscribeConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@cache
def rsa_key(number: int = 0) -> rsa.RSAPrivateKey:
    """A key of its own for each number, made once."""
    return rsa.generate_private_key(65537, 2048)


def certificate(key: Key) -> bytes:
    """A self-signed certificate of this key for 127.0.0.1 and localhost, as PEM."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a double of SNS")])
    now = datetime.datetime.now(datetime.UTC)
    hosts = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1")), x509.DNSName("localhost")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(hosts, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@contextmanager
def tls() -> Iterator[tuple[ssl.SSLContext, ssl.SSLContext]]:
    """TLS of a server on loopback, and of a client that trusts it and nobody else."""
    with TemporaryDirectory() as folder:
        key, chain = Path(folder, "key.pem"), Path(folder, "chain.pem")
        pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        key.write_bytes(rsa_key().private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
        chain.write_bytes(certificate(rsa_key()))
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(chain, key)
        yield server, ssl.create_default_context(cafile=str(chain))


@dataclass
class Amazon:
    """The double. `pages` are what it answers by path: a status, a body, and a Location for a redirect."""

    port: int
    client: ssl.SSLContext
    key: rsa.RSAPrivateKey = field(default_factory=rsa_key)
    pages: dict[str, tuple[int, bytes, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    @property
    def rules(self) -> Rules:
        """The rules that trust this one, by the name localhost only: 127.0.0.1 is a foreign host that would count."""
        return Rules(re.compile(f"localhost:{self.port}"), self.client)

    def url(self, path: str, *, host: str = "localhost", scheme: str = "https") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    def message(self, text: str = "", *, version: str = "2", **changed: str | None) -> dict[str, str | None]:
        """A signed message. What is `changed` is signed too; None leaves it out."""
        message: dict[str, str | None] = {
            "Type": "Notification",
            "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
            "TopicArn": TOPIC,
            "Message": text,
            "SignatureVersion": version,
            "SigningCertURL": self.url("/cert.pem"),
            **changed,
        }
        return self.signed({name: value for name, value in message.items() if value is not None})

    def signed(self, message: dict[str, str | None]) -> dict[str, str | None]:
        """The same with a signature over what it says now."""
        names = [name for name in SIGNED.get(str(message.get("Type")), ()) if message.get(name) is not None]
        text = "".join(f"{name}\n{message[name]}\n" for name in names).encode()
        digest = hashes.SHA1() if message.get("SignatureVersion") == "1" else hashes.SHA256()  # noqa: S303 - version 1 is that
        return message | {"Signature": base64.b64encode(self.key.sign(text, padding.PKCS1v15(), digest)).decode()}

    def confirmation(self, **changed: str | None) -> dict[str, str | None]:
        """A signed SubscriptionConfirmation."""
        url = self.url("/confirm?Token=2336412f37")
        told: dict[str, Any] = {"Type": "SubscriptionConfirmation", "Token": "2336412f37", "SubscribeURL": url}
        return self.message("You have chosen…", **{**told, **changed})


def body(message: dict[str, str | None]) -> bytes:
    return json.dumps(message, ensure_ascii=False).encode()


def records(*keys: str, bucket: str = "photos") -> str:
    """What S3 publishes when these keys (encoded already) were written."""
    return json.dumps({"Records": [_record(bucket, key, n) for n, key in enumerate(keys)]})


def _record(bucket: str, key: str, n: int) -> dict[str, object]:
    thing = {"key": key, "size": 3, "eTag": f"e{n}", "sequencer": f"0055AED6DCD9028{n}"}
    s3 = {"bucket": {"name": bucket}, "object": thing}
    return {"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": s3}


@asynccontextmanager
async def amazon() -> AsyncIterator[Amazon]:
    """The double, listening on loopback; it serves its certificate at /cert.pem and confirms at /confirm."""

    async def answer(request: web.Request) -> web.Response:
        double.asked.append(request.path_qs)
        status, page, location = double.pages.get(request.path, (404, b"", ""))
        return web.Response(status=status, body=page, headers={"Location": location} if location else {})

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    with tls() as (server, client):
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server).start()
            double = Amazon(runner.addresses[0][1], client)
            double.pages = {"/cert.pem": (200, certificate(double.key), ""), "/confirm": (200, b"<Confirm/>", "")}
            yield double
        finally:
            await runner.cleanup()
