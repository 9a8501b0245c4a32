"""What all configuration models share: strictness, units and paths.

Used by the models of this package. Paths and placeholders are resolved with the validation context that the
loader passes: `base` (the folder of the configuration file) and `data_dir`.
"""

from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo


class Section(BaseModel):
    """A table of the configuration file: unknown fields are errors, values are read only."""

    # Tables that are left out are validated too: their defaults hold placeholders that only the loader can fill.
    model_config = ConfigDict(extra="forbid", frozen=True, revalidate_instances="always")


def resolved(path: Path, base: Path) -> Path:
    """`~` is the user's home; a relative path starts at `base`."""
    return base / path.expanduser()


def with_data_dir(url: str, info: ValidationInfo) -> str:
    """`{data_dir}` in a URL is the data directory, percent-encoded as URLs are."""
    data_dir = str((info.context or {}).get("data_dir", "{data_dir}"))
    return url.replace("{data_dir}", quote(data_dir, safe="/{}"))


Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
SecondsOrZero = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
