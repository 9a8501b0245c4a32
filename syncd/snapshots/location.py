"""Where a snapshot root is: a URL and its options, made into what obstore and Lance want.

Called by `store` and `reader`. The options use the names of Apache's object_store (`aws_endpoint`,
`aws_access_key_id`, `azure_storage_account_name`, `google_service_account`, `allow_http` …) and go to both
libraries unchanged; credentials that are not among them come from where each library finds them (environment,
instance role). Requests are repeated for seconds by the two libraries themselves, the only retry at this edge.

Layout under the root, per dataset:

    <dataset>/rows.lance/             the Lance table
    <dataset>/versions/00000001.json  the name v1: which table version it is, its counts; never overwritten
    <dataset>/latest.json             a copy of the newest name, or of one a little older
    <dataset>/ledger/00000001.json    decisions: a tag moved, versions were collected; the highest counts
    <dataset>/ledger/latest.json      how many there are, or were a little earlier
    <dataset>/splits/00000001.json    the rules that splits were given by, first, second …
    <dataset>/checksums/<n>.json      what the files of table version n were when it was written
    <dataset>/label-configs/<hash>.xml  the label configs that rows were given under
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError, PreconditionError
from obstore.store import AzureStore, GCSStore, LocalStore, ObjectStore, S3Store

from syncd.domain.errors import ConfigError, Problem, Retryable
from syncd.snapshots.forks import refuse_in_fork

ABSENT = (FileNotFoundError, NotFoundError)
TAKEN = (AlreadyExistsError, PreconditionError)
_CLOUDS: dict[str, Any] = {"s3": S3Store, "gs": GCSStore, "az": AzureStore}
_FIELD = "snapshots.url"
_ALLOWED = "file:///folder, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix"


@dataclass(frozen=True, slots=True)
class Root:
    """An opened root. `url` without trailing slash; `objects` holds the small files, Lance opens `table_uri`."""

    url: str
    objects: ObjectStore
    options: Mapping[str, str]
    local: bool

    def table_uri(self, dataset: str) -> str:
        """Where Lance finds the table: a path for a local root, else a URL."""
        base = str(_path(self.url)) if self.local else self.url
        return f"{base}/{dataset}/rows.lance"

    def read(self, path: str) -> bytes | None:
        """An object's bytes, None where it is not there."""
        with storage_errors(f"reading {self.url}/{path}"):
            try:
                return obstore.get(self.objects, path).bytes().to_bytes()
            except ABSENT:
                return None

    def digest(self, path: str) -> tuple[int, str] | None:
        """An object's size in bytes and its sha256 (hex), read as a stream; None where it is not there."""
        with storage_errors(f"reading {self.url}/{path}"):
            try:
                found = obstore.get(self.objects, path)
                hashed = hashlib.sha256()
                for chunk in found.stream():
                    hashed.update(chunk)
                return found.meta["size"], hashed.hexdigest()
            except ABSENT:
                return None

    def create(self, path: str, data: bytes) -> bool:
        """Write an object that must not be there yet; False when it is there (or may be: read back)."""
        with storage_errors(f"writing {self.url}/{path}"):
            try:
                obstore.put(self.objects, path, data, mode="create", use_multipart=False)
            except TAKEN:
                return False
            return True

    def overwrite(self, path: str, data: bytes) -> None:
        """Write an object whether it is there or not."""
        with storage_errors(f"writing {self.url}/{path}"):
            obstore.put(self.objects, path, data, use_multipart=False)

    def remove(self, paths: Sequence[str]) -> None:
        """Remove objects; one that is not there is as good as removed."""
        with storage_errors(f"removing from {self.url}"):
            for path in paths:
                with suppress(*ABSENT):
                    obstore.delete(self.objects, path)

    def paths(self, prefix: str, *, after: str | None = None) -> list[str]:
        """The paths of all objects below a prefix (those behind the path `after`), sorted."""
        return sorted(self.sizes(prefix, after=after))

    def sizes(self, prefix: str, *, after: str | None = None) -> dict[str, int]:
        """The sizes in bytes of all objects below a prefix, by path."""
        with storage_errors(f"listing {self.url}/{prefix}"):
            pages = obstore.list(self.objects, prefix, offset=after)
            return {meta["path"]: meta["size"] for page in pages for meta in page}

    def folders(self) -> list[str]:
        """The names of the folders under the root, sorted."""
        with storage_errors(f"listing {self.url}"):
            return sorted(obstore.list_with_delimiter(self.objects)["common_prefixes"])


def open_root(url: str, options: Mapping[str, str] | None = None, *, make: bool = False) -> Root:
    """Open a root without asking it anything; `make` makes a local folder. ConfigError: URL or options are wrong."""
    url, options = url.rstrip("/"), dict(options or {})
    parts = urlsplit(url)
    if parts.scheme == "file" and not parts.netloc and parts.path:
        return Root(url, _local(url, make=make), options, local=True)
    if parts.scheme not in _CLOUDS or not parts.netloc:
        raise ConfigError([Problem(_FIELD, url, _ALLOWED)])
    return Root(url, _cloud(parts.scheme, parts.netloc, parts.path.strip("/"), options), options, local=False)


def _path(url: str) -> Path:
    return Path(unquote(urlsplit(url).path))


def _local(url: str, *, make: bool) -> ObjectStore:
    path = _path(url)
    if not make and not path.is_dir():
        raise ConfigError([Problem(_FIELD, url, "a folder that exists")])
    try:
        return LocalStore(path, mkdir=make)
    except (BaseError, OSError) as error:
        raise ConfigError([Problem(_FIELD, summary(error), "a folder that can be written")]) from error


def _cloud(scheme: str, bucket: str, prefix: str, options: Mapping[str, str]) -> ObjectStore:
    vendor = {key: value for key, value in options.items() if key.startswith(("aws_", "google_", "azure_"))}
    client = {key: value for key, value in options.items() if key not in vendor}
    store: ObjectStore
    try:
        store = _CLOUDS[scheme](bucket, prefix=prefix or None, config=vendor, client_options=client)
    except (BaseError, ValueError) as error:
        allowed = "options by their object_store names"
        raise ConfigError([Problem("snapshots.storage_options", summary(error), allowed)]) from error
    return store


@contextmanager
def storage_errors(doing: str) -> Iterator[None]:
    """Translate what obstore raises, other than what the caller handles, into Retryable."""
    refuse_in_fork(doing)
    try:
        yield
    except (BaseError, OSError) as error:
        raise Retryable(f"{doing}: {summary(error)}") from error


def summary(error: BaseException) -> str:
    """An error's first words, without the server's body, a URL's query and a library's source positions."""
    return re.split(r"[\n<{?]|, /", str(error), maxsplit=1)[0].strip(" -:,")[:200] or type(error).__name__
