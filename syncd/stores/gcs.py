"""How Google Cloud Storage is spoken to: its JSON interface for listings, the XML one for objects, obstore for most.

Used by `stores.access`. Options by their object_store names, with or without `google_`: `service_account` or
`application_credentials` (the path of a credential), `service_account_key` (a credential in JSON), `base_url`,
`skip_signature`; without a credential, keyless, as google-auth finds it. The generation is an object's version id, as
in notifications: their etag is that of the JSON interface, which the XML one and so a HEAD does not tell.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, urlencode

import obstore
from obstore.store import GCSStore, ObjectStore

from syncd.clouds.gcp import GoogleTokens
from syncd.domain.errors import ConfigError, Problem
from syncd.stores.answers import Page
from syncd.stores.pages import read_gcs
from syncd.stores.transfer import NO_RETRIES, TIMEOUTS, is_plain
from syncd.stores.wire import Headers, Request

_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
_FIELDS = "nextPageToken,items(name,etag,generation,size)"
_KEPT = timedelta(minutes=10)


class _Given:
    """A credential in JSON among the options, read as a SecretRef is."""

    def __init__(self, text: str = "", path: str = "") -> None:
        self._text, self._path = text, path

    def read(self, field: str) -> str:
        """The JSON. ConfigError names `field`."""
        try:
            return self._text or Path(self._path).read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigError([Problem(field, f"{self._path}: {error.strerror}", "a readable credential")]) from None

    def __str__(self) -> str:
        return f"file {self._path}" if self._path else "the credential in storage_options"


class Google:
    """Implements `wire.Dialect`, and makes the obstore store of the same bucket."""

    version_header = "x-goog-generation"
    put_headers: Headers = MappingProxyType({})
    resumes = True

    def __init__(self, bucket: str, options: Mapping[str, str], client: Mapping[str, str]) -> None:
        named = {name.removeprefix("google_"): value for name, value in options.items()}
        self._bucket, self._client = bucket, dict(client)
        self._base = named.get("base_url", "https://storage.googleapis.com").rstrip("/")
        self.url = f"{self._base}/{quote(bucket)}"
        path = named.get("service_account") or named.get("service_account_path") or named.get("application_credentials")
        text = named.get("service_account_key")
        self._account = {"service_account_key": text} if text else {"service_account": path} if path else {}
        given: Any = _Given(text or "", path or "") if self._account else None
        signs = named.get("skip_signature", "").lower() not in {"true", "1"}
        self._tokens = GoogleTokens(_SCOPE, credentials=given, field="storage_options") if signs else None

    def list_request(self, after: str, token: str) -> Request:
        """A page of objects. `startOffset` is the first key it may bring, so what it names comes again."""
        query = {"maxResults": "1000", "fields": _FIELDS}
        query |= {"pageToken": token} if token else {"startOffset": after} if after else {}
        url = f"{self._base}/storage/v1/b/{quote(self._bucket)}/o"
        return Request("GET", f"{url}?{urlencode(query, quote_via=quote)}")

    def read_page(self, body: bytes) -> Page:
        """As the protocol says."""
        return read_gcs(body)

    async def signed(self, request: Request) -> Request:
        """By token."""
        if self._tokens is None:
            return request
        headers = {**request.headers, "Authorization": f"Bearer {await self._tokens.token()}"}
        return Request(request.method, request.url, headers, request.body)

    def refused(self) -> None:
        """As the protocol says."""
        if self._tokens:
            self._tokens.forget()

    async def presigned(self, key: str, expires: float) -> str | None:
        """By obstore: needs the private key of a service account. None keyless, and for keys obstore cannot carry."""
        if not self._account or not is_plain(key):
            return None
        store: Any = self._store(self._account, None)
        return str(await obstore.sign_async(store, "GET", key, timedelta(seconds=expires)))

    def objects(self) -> ObjectStore:
        """The bucket in obstore, with the same credentials."""
        return self._store({"skip_signature": "true"} if self._tokens is None else {}, self._provided)

    def _store(self, config: Mapping[str, str], provider: Any) -> ObjectStore:
        config = {**config, "base_url": self._base} if "googleapis.com" not in self._base else config
        options: dict[str, Any] = {"config": config, "client_options": {**TIMEOUTS, **self._client}}
        if provider and self._tokens:
            options["credential_provider"] = provider
        return GCSStore(self._bucket, retry_config=NO_RETRIES, **options)

    async def _provided(self) -> Any:
        assert self._tokens  # noqa: S101 - only then it is passed
        return {"token": await self._tokens.token(), "expires_at": datetime.now(UTC) + _KEPT}
