"""Storages that only connect: they let Label Studio show objects of a bucket, and never create tasks.

Used by `server` when it ensures a dataset. Found again by what they connect to; one made here carries our title
and is refreshed each time, so that rotated credentials reach the server; those made by people are left alone.
"""

from pathlib import PurePosixPath
from urllib.parse import quote, unquote

import structlog

from syncd.annotators.label_studio.client import Client
from syncd.annotators.label_studio.errors import Forbidden, Refused, ServerFault
from syncd.annotators.label_studio.options import LabelStudioOptions
from syncd.annotators.label_studio.storage_links import VENDORS, fields, refused
from syncd.domain.errors import ConfigError, Problem, Rejected, SyncdError
from syncd.domain.model import ObjectRef

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
        scheme, _, name = ref.bucket.partition("://")
        return f"{VENDORS[scheme].scheme if scheme in VENDORS else scheme}://{name}/{ref.key}"

    def check(self, buckets: tuple[str, ...]) -> None:
        """ConfigError for what could not be shown in a project yet to be made, as far as that shows without it."""
        for bucket in buckets:
            if bucket.startswith("file://"):
                self._inside_root(bucket)
            elif bucket not in self._links:
                raise _unreachable(bucket)
            else:
                fields(self._links[bucket])  # reads the secrets

    async def ensure(self, project: int, buckets: tuple[str, ...]) -> None:
        """Have one storage for each bucket. Idempotent. ConfigError says what keeps the server from showing it."""
        for bucket in buckets:
            if bucket.startswith("file://"):
                await self._ensure_local(project, bucket)
            elif bucket.partition("://")[0] in VENDORS:
                await self._ensure_cloud(project, bucket)
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

    async def _ensure_cloud(self, project: int, bucket: str) -> None:
        scheme, _, name = bucket.partition("://")
        vendor, link = VENDORS[scheme], self._links.get(bucket)
        api = getattr(self._client.sdk.import_storage, vendor.api)
        stored = await self._client.read("listing storages", lambda: api.list(project=project))
        of_bucket = [storage for storage in stored if getattr(storage, vendor.container) == name]
        ours = next((storage for storage in of_bucket if storage.title == TITLE), None)
        if of_bucket and (ours is None or link is None):
            return
        if link is None:
            raise _unreachable(bucket)
        told = {"project": project, vendor.container: name, **_CONNECT_ONLY, **fields(link)}
        try:
            await self._client.write(
                "connecting a storage", lambda: api.update(ours.id, **told) if ours else api.create(**told)
            )
        except (Refused, Forbidden, ServerFault) as error:
            raise refused(error, link) from None
        log.info("storage.connected", project=project, bucket=bucket)


def _unreachable(bucket: str) -> ConfigError:
    if bucket.partition("://")[0] not in VENDORS:
        return _config("buckets", bucket, "Label Studio shows objects of file://, s3://, gs:// and az:// buckets here")
    allowed = f"an entry that says how Label Studio reaches {bucket}; without it people cannot see its objects"
    return _config("storages", "", allowed)


def _path(bucket: str) -> PurePosixPath:
    return PurePosixPath(unquote(bucket.removeprefix("file://")))


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


def _config(field: str, found: str, allowed: str) -> ConfigError:
    return ConfigError([Problem(field, found, allowed)])
