"""Which bucket is meant, which source hears of it, and as whom it is set up."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr, model_validator

from syncd.clouds.aws import AwsAccess
from syncd.config import BucketConfig, Config, Plugin
from syncd.domain.errors import ConfigError, Problem
from syncd.secrets import SecretRef

_KEYS = {"access_key_id": "access_key_id", "secret_access_key": "secret_access_key", "session_token": "session_token"}


@dataclass(frozen=True, slots=True)
class Target:
    """A bucket of `[buckets.NAME]` and the source that names it. `endpoint`: where pushed events are to go."""

    name: str
    url: str
    configured: BucketConfig
    source: str
    plugin: Plugin
    endpoint: str

    @property
    def options(self) -> Mapping[str, str | SecretRef]:
        """The bucket's storage options, secrets as references."""
        return self.configured.storage_options

    @property
    def bucket(self) -> str:
        """The bucket's, or container's, own name."""
        return self.url.partition("://")[2]

    @property
    def id(self) -> str:
        """What everything is called that is made for it."""
        return f"syncd-{self.name}"

    @property
    def field(self) -> str:
        """Where the source stands in the configuration."""
        return f"sources.{self.source}"

    def option(self, name: str) -> Any:
        """An option of the source; None where its type has no such."""
        return getattr(self.plugin.options, name, None)

    def told(self, name: str) -> str | None:
        """A storage option of the bucket that is no secret, with or without its `aws_` or `azure_` prefix."""
        for known in (name, f"aws_{name}", f"azure_{name}", f"google_{name}"):
            if isinstance(value := self.options.get(known), str):
                return value
        return None

    def access(self, profile: str | None = None) -> AwsAccess:
        """As whom its queue, or topic, is reached: as the source, or by a profile of the AWS configuration."""
        options = self.plugin.options
        fields = set(AwsAccess.model_fields)
        given = {name: getattr(options, name) for name in fields} if isinstance(options, AwsAccess) else self._role()
        if profile:
            given = {"region": given.get("region"), "endpoint": given.get("endpoint"), "profile": profile}
        return AwsAccess.model_construct(**given)

    def bucket_access(self, profile: str | None = None) -> AwsAccess:
        """As whom the bucket is reached: what its storage options say, else as its source."""
        base = self.access(profile)
        if not profile and (role := self._role()):
            base = base.model_copy(
                update={"access_key_id": None, "secret_access_key": None, "session_token": None, **role}
            )
        here = {"endpoint": self.told("endpoint") or self.told("endpoint_url"), "region": self.told("region")}
        if not profile and (keys := self._keys()):
            here |= {"profile": None, "role_arn": None, **keys}
        return base.model_copy(update={name: value for name, value in here.items() if value or name in _KEYS})

    def _role(self) -> dict[str, Any]:
        """As whom the bucket says it is reached."""
        bucket = self.configured
        if not (bucket.profile or bucket.role_arn):
            return {}
        return {"profile": bucket.profile, "role_arn": bucket.role_arn, "external_id": bucket.external_id}

    def _keys(self) -> dict[str, Any]:
        found = {name: self.options.get(f"aws_{name}", self.options.get(name)) for name in _KEYS}
        if not found["access_key_id"]:
            return {}
        return {name: WrittenOut.of(value) if isinstance(value, str) else value for name, value in found.items()}


class WrittenOut(SecretRef):
    """A key that the configuration holds as text, where a reference is wanted."""

    written: SecretStr

    @model_validator(mode="after")
    def _one_place(self) -> "WrittenOut":
        return self

    @classmethod
    def of(cls, text: str) -> "WrittenOut":
        """That text."""
        return cls(written=SecretStr(text))

    def read(self, field: str) -> str:
        """As `SecretRef`."""
        return self.written.get_secret_value()


def target_of(config: Config, name: str) -> Target:
    """The bucket `[buckets.NAME]` and its source. ConfigError: there is none of that name, or nobody names it."""
    if name not in config.buckets:
        known = ", ".join(sorted(config.buckets)) or "none"
        raise ConfigError([Problem("bucket", repr(name), f"must be one of the configured [buckets.*]: {known}")])
    sources = {at: p for at, p in config.sources.items() if name in getattr(p.options, "buckets", ())}
    if not sources:
        allowed = f'no source names it: set buckets = ["{name}"] in one of [sources.*]'
        raise ConfigError([Problem(f"buckets.{name}", "", allowed)])
    source, plugin = next(iter(sources.items()))
    bucket = config.buckets[name]
    endpoint = f"{config.receiver.public_url}/events/{source}"
    return Target(name, bucket.url, bucket, source, plugin, endpoint)
