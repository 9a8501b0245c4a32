"""A double of Google Pub/Sub over REST, our own: Google's emulator is to be had from no package registry.

It does what its documentation says of pull, acknowledge, modifyAckDeadline and testIamPermissions, delivers again
after a deadline, pushes with OIDC tokens that are really signed (RS256), publishes the keys, and hands out access
tokens for a service account's signed assertion. What Google itself does was not seen. Not there: ordering keys,
filters, seek, exactly-once delivery, gRPC.
https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.subscriptions
"""

import asyncio
import base64
import json
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from typing import Any

import aiohttp
import jwt
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

EMAIL = "pusher@project.iam.gserviceaccount.com"
ISSUER = "https://accounts.google.com"
SUBSCRIPTION = "projects/project/subscriptions/photos"
TOKEN_AUDIENCE = "https://oauth2.googleapis.com/token"
"""What every service account says in its assertion, wherever it sends it."""
CONSUME = "pubsub.subscriptions.consume"
_HELD_OPEN_S = 0.5


@cache
def signing_key(name: str) -> RSAPrivateKey:
    """One key for each name; making one takes a tenth of a second."""
    assert name
    return generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class Message:
    """A message in a subscription. `due`: when it is handed out (again), monotonic seconds."""

    id: str
    attributes: Mapping[str, str]
    data: bytes
    due: float = 0.0
    ack_id: str = ""
    deliveries: int = 0

    def json(self) -> dict[str, Any]:
        """As both pull and push show it."""
        data = base64.b64encode(self.data).decode()
        return {
            "messageId": self.id,
            "attributes": dict(self.attributes),
            "data": data,
            "publishTime": "2026-11-20T00:00:00Z",
        }


@dataclass
class PubSubDouble:
    """One subscription, its keys and its faults. `deadline`: seconds a pulled message is given at first."""

    deadline: float = 10.0
    speed: float = 1.0
    """Deadlines that a client asks for run so many times faster."""
    allowed: bool = True
    """Whether the caller may pull."""
    secured: bool = False
    """Whether an access token is asked for."""
    fail_next: list[int] = field(default_factory=list)
    """Statuses with which the next calls are answered."""
    keys: list[str] = field(default_factory=lambda: ["key-1"])
    """The names of the keys that are published; none: an outage."""
    hold: asyncio.Event | None = None
    """Keys are told once it is set; None: at once."""
    messages: dict[str, Message] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    access_tokens: set[str] = field(default_factory=set)
    url: str = ""
    _ids: "count[int]" = field(default_factory=lambda: count(1))

    def publish(self, attributes: Mapping[str, str], data: bytes = b"{}") -> str:
        """Put a message in; its id."""
        message = Message(str(next(self._ids)), attributes, data)
        self.messages[message.id] = message
        return message.id

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["PubSubDouble"]:
        """On a free port of 127.0.0.1 until the context ends."""
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_post("/v1/{name:[^:]+}:{verb}", self._call)
        app.router.add_post("/token", self._token)
        app.router.add_get("/keys", self._keys)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield self
        finally:
            await runner.cleanup()

    # ------------------------------------------------------------ pull

    async def _call(self, request: web.Request) -> web.Response:
        verb, body = request.match_info["verb"], await request.json()
        self.calls.append(verb)
        if self.fail_next:
            return web.json_response({"error": {"message": "secret detail"}}, status=self.fail_next.pop(0))
        if self.secured and request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.access_tokens:
            return web.json_response({}, status=401)
        if request.match_info["name"] != SUBSCRIPTION:
            return web.json_response({}, status=404)
        return web.json_response(await getattr(self, f"_{verb}")(body))

    async def _testIamPermissions(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - Google's name
        return {"permissions": body["permissions"]} if self.allowed else {}

    async def _pull(self, body: dict[str, Any]) -> dict[str, Any]:
        until = time.monotonic() + _HELD_OPEN_S
        while not (found := self._due(body["maxMessages"])) and time.monotonic() < until:
            await asyncio.sleep(0.005)
        return {"receivedMessages": [{"ackId": m.ack_id, "message": m.json()} for m in found]} if found else {}

    def _due(self, most: int) -> list[Message]:
        now = time.monotonic()
        found = [message for message in self.messages.values() if message.due <= now][:most]
        for message in found:
            message.due = now + self.deadline / self.speed
            message.ack_id = uuid.uuid4().hex
            message.deliveries += 1
        return found

    async def _acknowledge(self, body: dict[str, Any]) -> dict[str, Any]:
        for message in self._held(body["ackIds"]):
            self.acknowledged.add(message.id)
            del self.messages[message.id]
        return {}

    async def _modifyAckDeadline(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - Google's name
        for message in self._held(body["ackIds"]):
            message.due = time.monotonic() + body["ackDeadlineSeconds"] / self.speed
        return {}

    def _held(self, ack_ids: list[str]) -> list[Message]:
        """What was handed out under these and not been handed out anew since: others are passed over in silence."""
        now = time.monotonic()
        return [m for m in list(self.messages.values()) if m.ack_id in set(ack_ids) and m.due > now]

    # ------------------------------------------------------------ push

    async def push(self, url: str, audience: str) -> list[int]:
        """Push everything once; what is answered with 2xx is done with. The statuses."""
        statuses = []
        async with aiohttp.ClientSession() as session:
            for message in list(self.messages.values()):
                message.deliveries += 1
                body = {"message": message.json(), "subscription": SUBSCRIPTION}
                headers = {"Authorization": f"Bearer {self.token(audience)}", "User-Agent": "APIs-Google"}
                async with session.post(url, json=body, headers=headers) as answer:
                    statuses.append(answer.status)
                if statuses[-1] in {102, 200, 201, 202, 204}:
                    self.acknowledged.add(message.id)
                    del self.messages[message.id]
        return statuses

    def token(
        self, audience: str, *, key: str = "key-1", headers: Mapping[str, Any] | None = None, **claims: Any
    ) -> str:
        """A token as Google makes them; claims and headers that are None are left out."""
        now = int(time.time())
        usual = {
            "iss": ISSUER, "aud": audience, "azp": "1", "sub": "1", "email": EMAIL, "email_verified": True,
            "iat": now, "exp": now + 3600,
        }  # fmt: skip
        said = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        head = {name: value for name, value in {"kid": key, **(headers or {})}.items() if value is not None}
        return jwt.encode(said, signing_key(key), algorithm="RS256", headers=head)

    async def _keys(self, _: web.Request) -> web.Response:
        self.calls.append("keys")
        if self.hold:
            await self.hold.wait()
        if not self.keys:
            return web.Response(status=500)
        return web.json_response({"keys": [_published(name) for name in self.keys]})

    # ------------------------------------------------------------ access tokens

    def service_account(self) -> str:
        """A service account's credential in JSON, as Google gives them out."""
        pem = signing_key("service-account").private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return json.dumps({
            "type": "service_account",
            "project_id": "project",
            "private_key_id": "1",
            "private_key": pem.decode(),
            "client_email": "syncd@project.iam.gserviceaccount.com",
            "token_uri": f"{self.url}/token",
        })  # fmt: skip

    async def _token(self, request: web.Request) -> web.Response:
        self.calls.append("token")
        assertion = str((await request.post())["assertion"])
        public = signing_key("service-account").public_key()
        jwt.decode(assertion, public, algorithms=["RS256"], audience=TOKEN_AUDIENCE)
        self.access_tokens.add(token := uuid.uuid4().hex)
        return web.json_response({"access_token": token, "expires_in": 3600, "token_type": "Bearer"})


def _published(name: str) -> dict[str, Any]:
    public: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(signing_key(name).public_key(), as_dict=True)
    return {**public, "kid": name, "alg": "RS256", "use": "sig"}


def gcs_attributes(
    key: str, *, generation: int = 1, event: str = "OBJECT_FINALIZE", bucket: str = "photos"
) -> dict[str, str]:
    """The attributes of a bucket's notification."""
    return {
        "eventType": event,
        "bucketId": bucket,
        "objectId": key,
        "objectGeneration": str(generation),
        "payloadFormat": "JSON_API_V1",
        "notificationConfig": f"projects/_/buckets/{bucket}/notificationConfigs/1",
        "eventTime": "2026-11-20T10:00:00.000000Z",
    }


def gcs_data(key: str, *, generation: int = 1, bucket: str = "photos", size: int = 3) -> bytes:
    """The resource of an object, as a notification carries it."""
    md5 = base64.b64encode(generation.to_bytes(16, "big")).decode()
    return json.dumps({
        "kind": "storage#object", "bucket": bucket, "name": key, "generation": str(generation), "size": str(size),
        "md5Hash": md5, "etag": "CAE=", "contentType": "image/jpeg",
    }).encode()  # fmt: skip
