"""`[buckets.NAME]`: where a bucket of a cloud is and how it is reached. Folders need none: their source names them."""

import re
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, PlainValidator, field_validator, model_validator

from syncd.clouds.link_local import WHY, is_link_local
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

    profile: str | None = Field(
        None, description="S3: profile of the AWS configuration. Default: AWS_PROFILE, or the usual chain."
    )
    role_arn: str | None = Field(
        None, description="S3: role to assume with the credentials found, as its ARN. Default: none."
    )
    external_id: str | None = Field(
        None, description="S3: external id that the role's trust policy asks for. Default: none."
    )
    inventory: str | None = Field(
        None,
        description="S3: list from the newest S3 Inventory (CSV or Parquet) instead of from the bucket: "
        "s3://BUCKET/PREFIX/SOURCE-BUCKET/CONFIGURATION, read with the same credentials. Default: none.",
    )

    @field_validator("inventory")
    @classmethod
    def _is_a_place(cls, inventory: str | None) -> str | None:
        if inventory is None:
            return None
        bucket, _, prefix = inventory.removeprefix("s3://").strip("/").partition("/")
        if not inventory.startswith("s3://") or not bucket or not prefix:
            raise ValueError("must be s3://BUCKET/PREFIX/SOURCE-BUCKET/CONFIGURATION, the folder of the dated folders")
        return f"s3://{bucket}/{prefix}"

    @model_validator(mode="after")
    def _of_amazon(self) -> Self:
        given = [name for name in ("profile", "role_arn", "external_id", "inventory") if getattr(self, name)]
        if given and not self.url.startswith("s3://"):
            raise ValueError(f"{given[0]} belongs to s3:// buckets")
        if self.external_id and not self.role_arn:
            raise ValueError("external_id needs role_arn")
        return self

    @field_validator("url")
    @classmethod
    def _supported(cls, url: str) -> str:
        scheme, _, name = url.rstrip("/").partition("://")
        if scheme not in {"s3", "gs", "az"} or not name or "/" in name:
            raise ValueError(
                "must be s3://name, gs://name or az://container, without a path: keys are matched by globs"
            )
        if re.search(r"[\s?#]", name):
            raise ValueError("has a bucket's name in it, which holds no space, ? or #")
        return url.rstrip("/")

    @field_validator("storage_options")
    @classmethod
    def _endpoints_are_urls(cls, options: dict[str, str | SecretRef]) -> dict[str, str | SecretRef]:
        for name, value in options.items():
            told = name.endswith(("endpoint", "endpoint_url")) and isinstance(value, str)
            if told and not re.match(r"https?://[^/\s]", str(value)):
                raise ValueError(f"{name} must be a URL, as https://host or http://host:port")
            if told and is_link_local(urlsplit(str(value)).hostname or ""):
                raise ValueError(f"{name} must be another address: {WHY}")
        return options

    def resolved_options(self, field: str) -> dict[str, str]:
        """The storage options with their secrets read. ConfigError names `field`.storage_options.NAME."""
        return {
            name: option.read(f"{field}.storage_options.{name}") if isinstance(option, SecretRef) else option
            for name, option in self.storage_options.items()
        }
