"""A configuration with one bucket and one source, loaded as the command line does."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from syncd.config import Config, load_config

Configured = Callable[..., Config]


def toml(values: dict[str, Any]) -> str:
    """Keys and values; JSON's texts, lists and numbers are TOML's too."""
    return "\n".join(
        f"{key} = {value if isinstance(value, Inline) else json.dumps(value)}" for key, value in values.items()
    )


class Inline(str):
    """TOML that is written as it stands."""

    __slots__ = ()


@pytest.fixture
def configured(tmp_path: Path) -> Configured:
    """Write and load: a source `camera` of a type, with options, for `[buckets.photos]` at a URL."""

    def load(
        type_: str, url: str = "s3://photos-of-fruit", storage: dict[str, Any] | None = None, **options: Any
    ) -> Config:
        (tmp_path / "syncd.toml").write_text(f"""
data_dir = "data"
[receiver]
public_url = "https://syncd.example.com"
[buckets.photos]
url = {json.dumps(url)}
[buckets.photos.storage_options]
{toml(storage or {})}
[sources.camera]
type = "{type_}"
buckets = ["photos"]
{toml(options)}
""")
        return load_config(tmp_path / "syncd.toml", {"HOME": str(tmp_path)})

    return load
