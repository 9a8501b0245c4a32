"""Secret managers for tests: doubles of Google's and Azure's, which say so; AWS's are those of the emulators.

The doubles speak just enough of the documented REST interfaces for their vendors' own libraries: tokens included,
so what is tested is everything up to the vendor's door, not the vendor.
"""

import base64
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import boto3

from tests.aws_emulators import KEY, REGION, Emulator

TOKEN = "token-of-the-double"


def manager(server: Emulator) -> Any:
    """A Secrets Manager client, as the person who keeps the secrets has one."""
    keys = {"aws_access_key_id": KEY, "aws_secret_access_key": KEY}
    return boto3.client("secretsmanager", endpoint_url=server.endpoint, region_name=REGION, **keys)


class Vault:
    """A double of Google's or Azure's manager: what it holds by path, and what it was asked."""

    def __init__(self) -> None:
        self.held: dict[str, tuple[int, Any]] = {}
        """Path (without query) to status and JSON."""
        self.tokens = 0
        self.authorized: list[str] = []

    def google(self, name: str, value: str | bytes, version: str = "latest") -> None:
        """Hold a secret as Google's REST interface gives it."""
        data = base64.b64encode(value.encode() if isinstance(value, str) else value).decode()
        body = {"name": f"{name}/versions/7", "payload": {"data": data}}
        self.held[f"/v1/{name}/versions/{version}:access"] = (200, body)

    def azure(self, name: str, value: str) -> None:
        """Hold a secret as a Key Vault does."""
        self.held[f"/secrets/{name}/"] = (200, {"id": f"https://v/secrets/{name}/1", "value": value})


@contextmanager
def served(vault: Vault, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """The double at a port of its own; its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        double: ClassVar[Vault] = vault

        def do_GET(self) -> None:
            _answer(self, vault)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            _answer(self, vault)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _answer(request: BaseHTTPRequestHandler, vault: Vault) -> None:
    path = request.path.partition("?")[0]
    if path in {"/token", "/msi"}:  # Google's token endpoint, and a managed identity's
        vault.tokens += 1
        times = {"expires_in": 3600, "expires_on": str(int(time.time()) + 3600)}
        return _send(request, 200, {"access_token": TOKEN, "token_type": "Bearer", "resource": "r", **times})
    if "Authorization" not in request.headers:
        domain = request.headers["Host"].partition(".")[2]  # of v.vault.azure.net: vault.azure.net, as Azure names it
        challenge = f'Bearer authorization="https://login.microsoftonline.com/tenant", resource="https://{domain}"'
        return _send(request, 401, {}, {"WWW-Authenticate": challenge})
    vault.authorized.append(request.headers["Authorization"])
    status, body = vault.held.get(path, (404, {"error": {"code": "NotFound"}}))
    return _send(request, status, body)


def _send(request: BaseHTTPRequestHandler, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
    data = json.dumps(body).encode()
    request.send_response(status)
    for name, value in {
        "Content-Type": "application/json",
        "Content-Length": str(len(data)),
        **(headers or {}),
    }.items():
        request.send_header(name, value)
    request.end_headers()
    request.wfile.write(data)
