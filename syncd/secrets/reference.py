"""`SecretRef`: where a secret is, in the words of the configuration, and how it is read from there.

Made by pydantic from a table of the configuration file, read by adapters when they need the value. The environment
and files are read anew at each use; what a secret manager holds comes from the cache, so that `read` never waits
for a network on the event loop (`keeping`).
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from syncd.domain.errors import ConfigError, Problem
from syncd.secrets.cache import CACHE, Manager, Place, Unreadable
from syncd.secrets.files import text_of

DOCKER_SECRETS = Path("/run/secrets")
"""Where Docker and Podman mount the secrets of a container."""

PLACES = (
    '{ env = "NAME" }, { file = "/path" }, { credential = "name" }, { docker_secret = "name" }, '
    '{ aws_secret = "name" }, { gcp_secret = "projects/p/secrets/s" } or '
    '{ azure_secret = "name", vault = "https://v.vault.azure.net" }'
)
_KINDS = ("env", "file", "credential", "docker_secret", "aws_secret", "gcp_secret", "azure_secret")
_GCP_NAME = re.compile(r"projects/[\w:.-]+(/locations/[\w-]+)?/secrets/[\w-]{1,255}")
_AZURE_NAME = re.compile(r"[0-9A-Za-z-]{1,127}")
_VAULT = re.compile(r"https://[\w.-]+(:\d+)?/?")


class SecretRef(BaseModel):
    """Where a secret is: exactly one place, and a `key` where that place holds a JSON object."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    env: str | None = Field(None, min_length=1, description="Name of the environment variable that holds the secret.")
    file: Path | None = Field(None, description="Path of the file that holds the secret (trailing newline ignored).")
    credential: str | None = Field(None, description="Name of a systemd credential (LoadCredential= of the unit).")
    docker_secret: str | None = Field(None, description="Name of a Docker secret, a file in /run/secrets.")
    aws_secret: str | None = Field(
        None, min_length=1, max_length=2048, description="Name or ARN of a secret in AWS Secrets Manager."
    )
    gcp_secret: str | None = Field(None, description="projects/P/secrets/S, or projects/P/locations/L/secrets/S.")
    version: str = Field("latest", pattern=r"^[\w-]+$", description="Version of a gcp_secret. Default: latest.")
    azure_secret: str | None = Field(None, description="Name of a secret in an Azure Key Vault.")
    vault: str | None = Field(None, description="URL of that vault, https://NAME.vault.azure.net.")
    key: str | None = Field(
        None, min_length=1, description="Member to take, where the secret is a JSON object. Default: all of the text."
    )

    @field_validator("file")
    @classmethod
    def _from_the_configuration(cls, file: Path | None, info: ValidationInfo) -> Path | None:
        """A relative path starts at the folder of the configuration file, `~` is the user's home."""
        base = (info.context or {}).get("base", Path())
        return base / file.expanduser() if file else None

    @field_validator("credential", "docker_secret")
    @classmethod
    def _file_name(cls, name: str | None) -> str | None:
        if name is not None and (not name or name in {".", ".."} or "/" in name or "\0" in name):
            raise ValueError("must be a file name, without a path")
        return name

    @field_validator("gcp_secret")
    @classmethod
    def _gcp_name(cls, name: str | None) -> str | None:
        if name is not None and not _GCP_NAME.fullmatch(name):
            raise ValueError(
                "must be projects/P/secrets/S or projects/P/locations/L/secrets/S; its version is `version`"
            )
        return name

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if sum(getattr(self, kind) is not None for kind in _KINDS) != 1:
            raise ValueError(f"name exactly one place: {PLACES}")
        if (self.vault is None) != (self.azure_secret is None):
            raise ValueError('azure_secret and vault go together: vault = "https://NAME.vault.azure.net"')
        if self.azure_secret is not None and not _AZURE_NAME.fullmatch(self.azure_secret):
            raise ValueError("an azure_secret has 1 to 127 of a-z, A-Z, 0-9 and -")
        if self.vault is not None and not _VAULT.fullmatch(self.vault):
            raise ValueError("vault must be https://NAME.vault.azure.net, without a path")
        if "version" in self.model_fields_set and self.gcp_secret is None:
            raise ValueError("version belongs to a gcp_secret")
        return self

    @property
    def managed(self) -> Place | None:
        """Where it is in a secret manager; None where it is on this machine."""
        if self.aws_secret:
            return Place(Manager.AWS, self.aws_secret)
        if self.gcp_secret:
            return Place(Manager.GCP, self.gcp_secret, version=self.version)
        if self.azure_secret:
            return Place(Manager.AZURE, self.azure_secret, vault=(self.vault or "").rstrip("/"))
        return None

    def read(self, field: str) -> str:
        """The secret. ConfigError names `field` and what is missing, never a value."""
        value = self._text(field)
        value = self._member(value, field) if self.key else value
        if not value:
            raise ConfigError([Problem(field, f"{self} is empty or not set", "a secret at the place named")])
        return value

    def _text(self, field: str) -> str:
        if self.env:
            return os.environ.get(self.env, "")
        if place := self.managed:
            try:
                return CACHE.value(place).strip()
            except Unreadable as error:
                raise self.unreadable(field, error) from None
        return self._from_file(self._path(field), field)

    def unreadable(self, field: str, error: Unreadable) -> ConfigError:
        """That its manager did not give it."""
        return ConfigError([Problem(field, f"{self}: {error}", "a secret that can be read there")])

    def _path(self, field: str) -> Path:
        if self.docker_secret:
            return DOCKER_SECRETS / self.docker_secret
        if self.credential:
            if folder := os.environ.get("CREDENTIALS_DIRECTORY"):
                return Path(folder) / self.credential
            allowed = f"LoadCredential={self.credential}:/path in the systemd unit; it sets $CREDENTIALS_DIRECTORY"
            raise ConfigError([Problem(field, f"{self}, but $CREDENTIALS_DIRECTORY is not set", allowed)])
        assert self.file is not None  # noqa: S101 - the validator holds it
        return self.file

    def _from_file(self, path: Path, field: str) -> str:
        try:
            return text_of(path)
        except OSError as error:
            found = f"{path}: {error.strerror}"
        except UnicodeDecodeError:
            found = f"{path}: not UTF-8 text"
        raise ConfigError([Problem(field, found, "a readable file that holds the secret")])

    def _member(self, text: str, field: str) -> str:
        """The member `key` of a JSON object, a text or a number."""
        try:
            found = orjson.loads(text)
        except orjson.JSONDecodeError:
            found = None  # whose message would quote the text
        if not isinstance(found, dict):
            allowed = "a JSON object where `key` is given, or no `key`"
            raise ConfigError([Problem(field, f"{self._where} holds no JSON object", allowed)])
        value = found.get(self.key)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            allowed = f"a JSON object with a text at {self.key!r}"
            raise ConfigError([Problem(field, f"{self._where} has none", allowed)])
        return str(value)

    @property
    def _where(self) -> str:
        if self.env:
            return f"environment variable {self.env}"
        if self.credential:
            return f"systemd credential {self.credential}"
        if self.docker_secret:
            return f"Docker secret {self.docker_secret}"
        return str(self.managed) if self.managed else f"file {self.file}"

    def __str__(self) -> str:
        """The place, not the secret."""
        return f"{self._where}, key {self.key}" if self.key else self._where


def text_or_secret(value: object, info: ValidationInfo) -> str | SecretRef:
    """For a pydantic field that takes text or the place of a secret."""
    if isinstance(value, Mapping):
        return SecretRef.model_validate(value, context=info.context)
    if not isinstance(value, str | SecretRef):
        raise ValueError(f"must be text, or the place of a secret: {PLACES}")  # noqa: TRY004 - pydantic's word
    return value
