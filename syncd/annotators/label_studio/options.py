"""What a Label Studio connection needs to be told: its options, as they stand in the configuration.

Used by `syncd.config` (validation, documentation) and by `LabelStudio`. Nothing here touches the server.
"""

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from syncd.secrets import SecretRef


class S3Link(BaseModel):
    """How Label Studio itself reaches an S3 bucket, to show its objects to people."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bucket: str = Field(pattern=r"^s3://[^/\s]+$", description="Bucket URL, `s3://name`.")
    endpoint: str | None = Field(None, description="S3 endpoint URL as Label Studio reaches it. Default: Amazon's own.")
    region: str | None = Field(None, description="Region name. Default: what the endpoint implies.")
    access_key_id: SecretRef | None = Field(
        None, description="Where the access key id is. Default: Label Studio's own credentials."
    )
    secret_access_key: SecretRef | None = Field(
        None, description="Where the secret access key is. Default: Label Studio's own credentials."
    )
    session_token: SecretRef | None = Field(None, description="Where the session token is. Default: none.")
    presign: bool = Field(
        False,
        description="Send browsers to presigned URLs of the bucket instead of proxying through Label Studio. "
        "Default: false.",
    )


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
    storages: tuple[S3Link, ...] = Field((), description="How Label Studio reaches each `s3://` bucket. Default: none.")

    @field_validator("url")
    @classmethod
    def _plain_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("write it as http://host:port or https://host")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("leave user, password, query and fragment out; the token has its own field")
        return value.rstrip("/")
