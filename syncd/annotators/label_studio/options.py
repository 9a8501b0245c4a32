"""What a Label Studio connection needs to be told: its options, as they stand in the configuration.

Used by `syncd.config` (validation, documentation) and by `LabelStudio`. Nothing here touches the server.
"""

from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from syncd.clouds.link_local import WHY, is_link_local
from syncd.secrets import SecretRef

_VENDORS = {
    "s3": frozenset({"endpoint", "region", "access_key_id", "secret_access_key", "session_token"}),
    "gs": frozenset({"service_account"}),
    "az": frozenset({"account_name", "account_key"}),
}


class StorageLink(BaseModel):
    """How Label Studio itself reaches a bucket, to show its objects to people."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bucket: str = Field(
        pattern=r"^(s3|gs|az)://[^/\s]+$", description="Bucket URL, `s3://name`, `gs://name` or `az://container`."
    )
    presign: bool = Field(
        False,
        description="Send browsers to presigned URLs of the bucket instead of proxying through Label Studio. "
        "Default: false.",
    )
    endpoint: str | None = Field(
        None, description="s3: endpoint URL as Label Studio reaches it. Default: Amazon's own."
    )
    region: str | None = Field(None, description="s3: region name. Default: what the endpoint implies.")
    access_key_id: SecretRef | None = Field(
        None, description="s3: where the access key id is. Default: Label Studio's own credentials."
    )
    secret_access_key: SecretRef | None = Field(
        None, description="s3: where the secret access key is. Default: Label Studio's own credentials."
    )
    session_token: SecretRef | None = Field(None, description="s3: where the session token is. Default: none.")
    service_account: SecretRef | None = Field(
        None, description="gs: where the service account's JSON key is. Default: Label Studio's own credentials."
    )
    account_name: str | None = Field(
        None, description="az: name of the storage account. Default: Label Studio's AZURE_BLOB_ACCOUNT_NAME."
    )
    account_key: SecretRef | None = Field(
        None, description="az: where the account's key is. Default: Label Studio's AZURE_BLOB_ACCOUNT_KEY."
    )

    @property
    def vendor(self) -> str:
        """`s3`, `gs` or `az`."""
        return self.bucket.partition("://")[0]

    @model_validator(mode="after")
    def _of_its_vendor(self) -> Self:
        others = frozenset().union(*_VENDORS.values()) - _VENDORS[self.vendor]
        if foreign := sorted(self.model_fields_set & others):
            raise ValueError(f"{', '.join(foreign)} cannot be set for a bucket of {self.vendor}://")
        return self


class LabelStudioOptions(BaseModel):
    """The connection to one Label Studio server."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(description="Base URL of the server, `http://host:port` or with a path; no default.")
    token: SecretRef = Field(
        description="Where the token is: a personal access token, or a legacy token where the server allows them."
    )
    concurrency: int = Field(
        1,
        ge=1,
        le=64,
        description="Requests under way at once. Default: 1; 2 to 4 only where Label Studio runs on PostgreSQL.",
    )
    timeout: float = Field(
        300.0,
        gt=0,
        description="Seconds to wait for one answer, but never more than 60 s where nothing is changed by asking. "
        "Default: 300 s.",
    )
    overlap: float = Field(
        5.0,
        ge=0,
        description="Seconds for which the newest changes are listed again, for commits that come late. Default: 5 s.",
    )
    local_files_root: Path | None = Field(
        None,
        description="The server's LOCAL_FILES_DOCUMENT_ROOT; needed for `file://` buckets, which have to lie "
        "inside it, under the same path on both hosts. Default: none.",
    )
    storages: tuple[StorageLink, ...] = Field(
        (), description="How Label Studio reaches each bucket that is no folder. Default: none."
    )

    @field_validator("url")
    @classmethod
    def _plain_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("write it as http://host:port or https://host")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("leave user, password, query and fragment out; the token has its own field")
        if is_link_local(parts.hostname):
            raise ValueError(f"name the server by another address: {WHY}")
        return value.rstrip("/")
