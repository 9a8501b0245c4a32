"""`[buckets.NAME]`: where a bucket of a cloud is and how it is reached. Folders need none: their source names them."""

from typing import Annotated

from pydantic import Field, PlainValidator, field_validator

from syncd.config.base import Section
from syncd.secrets import SecretRef, text_or_secret


class BucketConfig(Section):
    """One bucket of S3, Google Cloud Storage or Azure, or of what speaks their language."""

    url: str = Field(description="Bucket URL: s3://name, gs://name or az://container.")
    storage_options: dict[str, Annotated[str | SecretRef, PlainValidator(text_or_secret)]] = Field(
        {},
        description="Endpoint, region and credentials by their object_store names (aws_endpoint, aws_region …): text, "
        "or where a secret is. None: those of the environment, profile, role or instance.",
        repr=False,
    )

    @field_validator("url")
    @classmethod
    def _supported(cls, url: str) -> str:
        scheme, _, name = url.rstrip("/").partition("://")
        if scheme not in {"s3", "gs", "az"} or not name or "/" in name:
            raise ValueError(
                "must be s3://name, gs://name or az://container, without a path: keys are matched by globs"
            )
        return url.rstrip("/")

    def resolved_options(self, field: str) -> dict[str, str]:
        """The storage options with their secrets read. ConfigError names `field`.storage_options.NAME."""
        return {
            name: option.read(f"{field}.storage_options.{name}") if isinstance(option, SecretRef) else option
            for name, option in self.storage_options.items()
        }
