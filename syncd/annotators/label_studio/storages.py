"""Storages that only connect: they let Label Studio show objects of a bucket, and never create tasks.

Used by `server` when it ensures a dataset. Found again by what they connect to; one made here carries our title
and is refreshed each time, so that rotated credentials reach the server; those made by people are left alone.
"""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote, unquote

import structlog

from syncd.annotators.label_studio.client import Client
from syncd.annotators.label_studio.errors import Forbidden, Refused, ServerFault
from syncd.annotators.label_studio.options import LabelStudioOptions, S3Link
from syncd.domain.errors import ConfigError, Problem, Rejected, SyncdError
from syncd.domain.model import ObjectRef
from syncd.secrets import SecretRef

log = structlog.get_logger()

TITLE = "syncd (shows objects, creates no tasks)"
_CONNECT_ONLY = {"title": TITLE, "regex_filter": "(?!)", "use_blob_urls": True, "synchronizable": False}
LOCAL_URL = "/data/local-files/?d="


class Storages:
    """How one server reaches buckets, by its options."""

    def __init__(self, client: Client, options: LabelStudioOptions) -> None:
        self._client = client
        self._root = options.local_files_root
        self._links = {link.bucket: link for link in options.storages}

    def uri(self, ref: ObjectRef) -> str:
        """What task data holds to show this object. Rejected where the server could not find it by that."""
        if ref.bucket.startswith("file://"):
            path = self._inside_root(ref.bucket)
            return LOCAL_URL + quote(f"{path}/{ref.key}")
        if "?" in ref.key:  # the server cuts such a key there, and there is no way to escape it
            raise Rejected(f"{ref.id}: Label Studio cannot show an object with `?` in its key; rename the object")
        return f"{ref.bucket}/{ref.key}"

    def check(self, buckets: tuple[str, ...]) -> None:
        """ConfigError for what could not be shown in a project yet to be made, as far as that shows without it."""
        for bucket in buckets:
            if bucket.startswith("file://"):
                self._inside_root(bucket)
            elif bucket not in self._links:
                raise _unreachable(bucket)
            else:
                _s3_fields(self._links[bucket])  # reads the secrets

    async def ensure(self, project: int, buckets: tuple[str, ...]) -> None:
        """Have one storage for each bucket. Idempotent. ConfigError says what keeps the server from showing it."""
        for bucket in buckets:
            if bucket.startswith("file://"):
                await self._ensure_local(project, bucket)
            elif bucket.startswith("s3://"):
                await self._ensure_s3(project, bucket)
            else:
                raise _unreachable(bucket)

    def _inside_root(self, bucket: str) -> str:
        """The bucket's path relative to the document root."""
        allowed = "`file://` buckets have to be folders inside the server's LOCAL_FILES_DOCUMENT_ROOT"
        if self._root is None:
            raise _config("local_files_root", "", f"{allowed}; name that root here")
        path = _path(bucket)
        if PurePosixPath(self._root) not in path.parents or ".." in path.parts:
            raise _config("local_files_root", f"{self._root}, while the bucket is {bucket}", allowed)
        return str(path.relative_to(self._root))

    async def _ensure_local(self, project: int, bucket: str) -> None:
        self._inside_root(bucket)
        path, api = str(_path(bucket)), self._client.sdk.import_storage.local
        stored = await self._client.read("listing local storages", lambda: api.list(project=project))
        if any(storage.path == path for storage in stored):
            return
        try:
            await self._client.write(
                "connecting a local storage", lambda: api.create(project=project, path=path, **_CONNECT_ONLY)
            )
        except Refused as error:
            raise _local_refused(error, bucket) from None
        log.info("storage.connected", project=project, bucket=bucket)

    async def _ensure_s3(self, project: int, bucket: str) -> None:
        name, api = bucket.removeprefix("s3://"), self._client.sdk.import_storage.s3
        stored = await self._client.read("listing S3 storages", lambda: api.list(project=project))
        of_bucket = [storage for storage in stored if storage.bucket == name]
        ours = next((storage for storage in of_bucket if storage.title == TITLE), None)
        link = self._links.get(bucket)
        if link is None:
            if of_bucket:
                return
            raise _unreachable(bucket)
        if of_bucket and ours is None:
            return
        fields = {"project": project, "bucket": name, **_CONNECT_ONLY, **_s3_fields(link)}
        try:
            await self._client.write(
                "connecting an S3 storage",
                lambda: api.update(ours.id, **fields) if ours else api.create(**fields),
            )
        except (Refused, Forbidden, ServerFault) as error:
            raise _s3_refused(error, link) from None
        log.info("storage.connected", project=project, bucket=bucket)


def _unreachable(bucket: str) -> ConfigError:
    if not bucket.startswith("s3://"):
        return _config("buckets", bucket, "Label Studio shows objects of `file://` and `s3://` buckets here")
    allowed = f"an entry that says how Label Studio reaches {bucket}; without it people cannot see its objects"
    return _config("storages", "", allowed)


def _path(bucket: str) -> PurePosixPath:
    return PurePosixPath(unquote(bucket.removeprefix("file://")))


def _s3_fields(link: S3Link) -> Mapping[str, Any]:
    fields = {
        "presign": link.presign,
        "s3endpoint": link.endpoint,
        "region_name": link.region,
        "aws_access_key_id": _secret(link.access_key_id, "access_key_id"),
        "aws_secret_access_key": _secret(link.secret_access_key, "secret_access_key"),
        "aws_session_token": _secret(link.session_token, "session_token"),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _secret(place: SecretRef | None, field: str) -> str | None:
    return place.read(f"storages.{field}") if place else None


def _local_refused(error: Refused, bucket: str) -> SyncdError:
    """The server's reasons are told apart by their words; there is nothing else in its answer."""
    said = " ".join((error.detail, *error.reasons("non_field_errors")))
    if "LOCAL_FILES_SERVING_ENABLED" in said:
        found = "Label Studio has local file serving switched off"
        return _config("local_files_root", found, "set LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true on the server")
    if "does not exist" in said:
        found = f"Label Studio does not see the folder of {bucket}"
        return _config("local_files_root", found, "a folder which the server sees under the same path")
    if "LOCAL_FILES_DOCUMENT_ROOT" in said:
        found = f"the folder of {bucket} is not inside the root the server uses"
        return _config("local_files_root", found, "the value the server has for LOCAL_FILES_DOCUMENT_ROOT")
    return error


def _s3_refused(error: Refused | Forbidden | ServerFault, link: S3Link) -> SyncdError:
    where = f"Label Studio cannot use {link.bucket}"
    if "reserved network address" in error.detail:
        allowed = "an endpoint at a public address, or LABEL_STUDIO_SSRF_PROTECTION_ENABLED=false on the server"
        return _config("storages", f"{where}: its SSRF protection forbids the endpoint's private address", allowed)
    if isinstance(error, Refused) or "s3 endpoints" in error.detail:  # the server's word for a failed connection
        allowed = "a bucket, endpoint and credentials with which the server itself can connect"
        return _config("storages", f"{where}: it cannot connect, or was refused there", allowed)
    return error


def _config(field: str, found: str, allowed: str) -> ConfigError:
    return ConfigError([Problem(field, found, allowed)])
