"""How Azure's blobs are spoken to, ADLS Gen2 included.

Used by `stores.access`. Options by their object_store names, with or without `azure_`: `storage_account_name` or
`endpoint`, and a `storage_account_key`, a `sas_token`, or `tenant_id`, `client_id` and `client_secret`; without any of
these, keyless, as azure-identity finds it. A listing cannot begin behind a key here: what is before it is passed over.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import obstore
from obstore.store import AzureStore, ObjectStore

from syncd.clouds.azure_tokens import AzureTokens
from syncd.clouds.extras import needing
from syncd.domain.errors import ConfigError, Problem
from syncd.stores.answers import Page
from syncd.stores.pages import read_azure
from syncd.stores.transfer import NO_RETRIES, TIMEOUTS, is_plain
from syncd.stores.wire import Headers, Request

_VERSION = "2023-11-03"
_ALIASES = {
    "storage_account_name": "account_name",
    "storage_account_key": "account_key",
    "access_key": "account_key",
    "master_key": "account_key",
    "storage_access_key": "account_key",
    "storage_sas_key": "sas_token",
    "storage_sas_token": "sas_token",
    "sas_key": "sas_token",
    "storage_tenant_id": "tenant_id",
    "storage_client_id": "client_id",
    "storage_client_secret": "client_secret",
    "storage_endpoint": "endpoint",
}
_SIGNED = (
    "Content-Encoding", "Content-Language", "Content-Length", "Content-MD5", "Content-Type", "Date",
    "If-Modified-Since", "If-Match", "If-None-Match", "If-Unmodified-Since", "Range",
)  # fmt: skip


class Azure:
    """Implements `wire.Dialect`, and makes the obstore store of the same container."""

    version_header = "x-ms-version-id"
    put_headers: Headers = MappingProxyType({"x-ms-blob-type": "BlockBlob"})
    resumes = False

    def __init__(self, container: str, options: Mapping[str, str], client: Mapping[str, str]) -> None:
        bare = {name.removeprefix("azure_"): value for name, value in options.items()}
        named = {_ALIASES.get(name, name): value for name, value in bare.items()}
        self._client = dict(client)
        self._container = container
        self._account = named.get("account_name", "")
        if not self._account:
            raise ConfigError([Problem("storage_options.azure_storage_account_name", "", "the account's name")])
        self._endpoint = named.get("endpoint", f"https://{self._account}.blob.core.windows.net").rstrip("/")
        self.url = f"{self._endpoint}/{quote(container)}"
        self._key, self._sas = named.get("account_key", ""), named.get("sas_token", "").lstrip("?")
        self._tokens = None if self._key or self._sas else AzureTokens(named)

    def list_request(self, after: str, token: str) -> Request:
        """A page of List Blobs."""
        query = {"restype": "container", "comp": "list", "maxresults": "1000"}
        if token:
            query["marker"] = token
        return Request("GET", f"{self.url}?{urlencode(query, quote_via=quote, safe='')}")

    def read_page(self, body: bytes) -> Page:
        """As the protocol says."""
        return read_azure(body)

    async def signed(self, request: Request) -> Request:
        """By shared key, shared access signature or token."""
        headers = {"x-ms-version": _VERSION, "x-ms-date": formatdate(usegmt=True), **request.headers}
        if request.method == "PUT":  # signed are both; a length of 0 counts as none
            headers["Content-Type"] = "application/octet-stream"
        if request.body:
            headers["Content-Length"] = str(len(request.body))
        url = request.url
        if self._sas:
            url += ("&" if "?" in url else "?") + self._sas
        elif self._key:
            headers["Authorization"] = self._shared_key(request.method, url, headers)
        elif self._tokens:
            headers["Authorization"] = f"Bearer {await self._tokens.token()}"
        return Request(request.method, url, headers, request.body)

    def refused(self) -> None:
        """As the protocol says."""
        if self._tokens:
            self._tokens.forget()

    async def presigned(self, key: str, expires: float) -> str | None:
        """By the account's key, or keyless by a delegation key. None with a signature of the container's own.

        Not by obstore where a key has more than ASCII: Azure refuses what it signs then (measured on Azurite).
        """
        if self._key:
            return self._blob_signature(key, datetime.now(UTC) + timedelta(seconds=expires))
        if self._tokens and key.isascii() and is_plain(key):
            store: Any = self.objects()
            return str(await obstore.sign_async(store, "GET", key, timedelta(seconds=expires)))
        return None

    def objects(self) -> ObjectStore:
        """The container in obstore, with the same credentials."""
        config: Any = {"account_name": self._account, "endpoint": self._endpoint}
        if self._key:
            config["account_key"] = self._key
        elif self._sas:
            config["sas_key"] = self._sas
        provider: Any = self._tokens.provided if self._tokens else None
        client: Any = {**TIMEOUTS, **self._client}
        return AzureStore(
            self._container, config=config, client_options=client, retry_config=NO_RETRIES, credential_provider=provider
        )

    def _shared_key(self, method: str, url: str, headers: Headers) -> str:
        """https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key"""
        parts = urlsplit(url)
        ours = sorted((name.lower(), value) for name, value in headers.items() if name.lower().startswith("x-ms-"))
        query = sorted((name.lower(), value) for name, value in parse_qsl(parts.query, keep_blank_values=True))
        lines = [method, *(headers.get(name, "") for name in _SIGNED)]
        lines += [f"{name}:{value}" for name, value in ours]
        lines += [f"/{self._account}{parts.path}", *(f"{name}:{value}" for name, value in query)]
        try:
            key = base64.b64decode(self._key, validate=True)
        except ValueError:
            raise ConfigError([Problem("storage_options.azure_storage_account_key", "", "a key in base64")]) from None
        mac = hmac.digest(key, "\n".join(lines).encode(), hashlib.sha256)
        return f"SharedKey {self._account}:{base64.b64encode(mac).decode()}"

    def _blob_signature(self, key: str, expiry: datetime) -> str:
        with needing("azure", "storage_options"):
            from azure.storage.blob import BlobSasPermissions, generate_blob_sas  # noqa: PLC0415 - optional
        sas = generate_blob_sas(
            self._account,
            self._container,
            key,
            account_key=self._key,
            permission=BlobSasPermissions(read=True),
            expiry=expiry,
        )
        return f"{self.url}/{quote(key, safe='/-_.~')}?{sas}"
