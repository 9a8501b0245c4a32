"""Secrets by reference: the configuration names where a secret is, and it is read only when needed.

`{ env = "NAME" }` or `{ file = "/path" }`. The value is read anew at each use, so a rotated secret needs no
restart, and it appears in no repr, log, error or page. Used by the options of every adapter.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from syncd.domain.errors import ConfigError, Problem


class SecretRef(BaseModel):
    """Where a secret is: exactly one of `env` and `file`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    env: str | None = Field(None, description="Name of the environment variable that holds the secret.")
    file: Path | None = Field(None, description="Path of the file that holds the secret (trailing newline ignored).")

    @field_validator("file")
    @classmethod
    def _from_the_configuration(cls, file: Path | None, info: ValidationInfo) -> Path | None:
        """A relative path starts at the folder of the configuration file, `~` is the user's home."""
        base = (info.context or {}).get("base", Path())
        return base / file.expanduser() if file else None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.env is None) == (self.file is None):
            raise ValueError('name exactly one place: { env = "NAME" } or { file = "/path" }')
        return self

    def read(self, field: str) -> str:
        """The secret. ConfigError names `field` and what is missing, never a value."""
        value = os.environ.get(self.env, "") if self.env else self._from_file(field)
        if not value:
            raise ConfigError([Problem(field, f"{self} is empty or not set", "a secret at the place named")])
        return value

    def _from_file(self, field: str) -> str:
        assert self.file is not None  # noqa: S101 - the validator holds it
        try:
            return self.file.read_text(encoding="utf-8").strip()
        except OSError as error:
            found = f"{self.file}: {error.strerror}"
            raise ConfigError([Problem(field, found, "a readable file that holds the secret")]) from None

    def __str__(self) -> str:
        """The place, not the secret."""
        return f"environment variable {self.env}" if self.env else f"file {self.file}"


def text_or_secret(value: object, info: ValidationInfo) -> str | SecretRef:
    """For a pydantic field that takes text or the place of a secret."""
    if isinstance(value, Mapping):
        return SecretRef.model_validate(value, context=info.context)
    if not isinstance(value, str | SecretRef):
        raise ValueError('must be text, or { env = "NAME" } or { file = "/path" }')  # noqa: TRY004 - pydantic's word
    return value
