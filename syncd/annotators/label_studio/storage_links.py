"""What Label Studio is told to reach a bucket of a cloud, and what its refusals mean. Used by `storages` only.

Label Studio's names: `gcs` for Google Cloud Storage and `azure-blob://` for Azure; its endpoint for Azure is fixed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from syncd.annotators.label_studio.errors import Forbidden, Refused, ServerFault
from syncd.annotators.label_studio.options import StorageLink
from syncd.domain.errors import ConfigError, Problem, SyncdError
from syncd.secrets import SecretRef


@dataclass(frozen=True, slots=True)
class Vendor:
    """How Label Studio names one cloud: the SDK's client, the field of the bucket's name, the scheme of its URIs."""

    api: str
    container: str
    scheme: str


VENDORS = {
    "s3": Vendor("s3", "bucket", "s3"),
    "gs": Vendor("gcs", "bucket", "gs"),
    "az": Vendor("azure", "container", "azure-blob"),
}


def fields(link: StorageLink) -> Mapping[str, Any]:
    """Fields of the storage besides the bucket. ConfigError: a secret is missing."""
    given = {
        "presign": link.presign,
        "s3endpoint": link.endpoint,
        "region_name": link.region,
        "aws_access_key_id": _secret(link.access_key_id, "access_key_id"),
        "aws_secret_access_key": _secret(link.secret_access_key, "secret_access_key"),
        "aws_session_token": _secret(link.session_token, "session_token"),
        "google_application_credentials": _secret(link.service_account, "service_account"),
        "account_name": link.account_name,
        "account_key": _secret(link.account_key, "account_key"),
    }
    return {name: value for name, value in given.items() if value is not None}


def _secret(place: SecretRef | None, field: str) -> str | None:
    return place.read(f"storages.{field}") if place else None


def refused(error: Refused | Forbidden | ServerFault, link: StorageLink) -> SyncdError:
    """The server's reasons are told apart by their words; there is nothing else in its answer."""
    where = f"Label Studio cannot use {link.bucket}"
    if "reserved network address" in error.detail:
        allowed = "an endpoint at a public address, or LABEL_STUDIO_SSRF_PROTECTION_ENABLED=false on the server"
        return _config(f"{where}: its SSRF protection forbids the endpoint's private address", allowed)
    if isinstance(error, Refused) or "s3 endpoints" in error.detail:  # the server's word for a failed connection
        allowed = "a bucket, endpoint and credentials with which the server itself can connect"
        return _config(f"{where}: it cannot connect, or was refused there", allowed)
    return error


def _config(found: str, allowed: str) -> ConfigError:
    return ConfigError([Problem("storages", found, allowed)])
