"""A version published as files in a format, each time one appears. One of the targets of triggers.

Writes `<out>/<dataset>/<version>/`, whole or not at all, and leaves what is there: an export of a version is the
same each time. The writing itself is given (`ports.Publish`), for formats are another part of this floor.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from syncd.domain.deliveries import Answer, Verdict
from syncd.domain.errors import ConfigError, Problem
from syncd.domain.model import JsonObject
from syncd.ports import Surroundings
from syncd.triggers.options import TriggerOptions


class ExportOptions(TriggerOptions):
    """The options of a trigger of type `export`."""

    format: str = Field(min_length=1, description="The format, as `syncd export --list` shows them.")
    out: Path = Field(
        description="Folder for <out>/<dataset>/<version>/; a relative path starts at the configuration file's folder."
    )
    media: Literal["link", "copy", "uri", "none"] | None = Field(
        None, description="How objects come along: link, copy, uri or none. Default: as the format needs."
    )
    options: dict[str, str] = Field({}, description="Options of that format.")

    @field_validator("out")
    @classmethod
    def _below_the_configuration(cls, out: Path, info: ValidationInfo) -> Path:
        base: Path = (info.context or {}).get("base", Path())
        return base / out.expanduser()


class Export:
    """Publishes versions into a folder."""

    Options = ExportOptions
    attempts: int | None = None

    def __init__(self, options: ExportOptions, surroundings: Surroundings) -> None:
        self._options = options
        self._publish = surroundings.publish
        self._place = options.out / surroundings.dataset
        self._field = f"datasets.{surroundings.dataset}.triggers.{surroundings.trigger}"

    async def check(self) -> None:
        """ConfigError: the folder cannot be made."""
        try:
            self._place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            problem = Problem(f"{self._field}.out", f"{self._place}: {error.strerror}", "must be a folder to write to")
            raise ConfigError([problem]) from None

    async def deliver(self, event: JsonObject) -> Answer:
        """Write the version, unless it is there. Raises what the format raises."""
        data = event["data"]
        out = self._place / data["version"]
        how = {"format": self._options.format, "media": self._options.media, "options": self._options.options}
        try:
            await self._publish(data["uri"], out, how)
        except OSError as error:
            return Answer(Verdict.FAILED, f"{out} cannot be written: {error.strerror}")
        return Answer(Verdict.DELIVERED, f"{self._options.format} in {out}")

    async def close(self) -> None:
        """Nothing is left open."""
