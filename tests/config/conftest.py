"""A stranger's plug-ins, installed the way real ones are: a distribution with entry points on the path."""

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from syncd.config import Config, load_config
from syncd.domain.errors import ConfigError

MODULE = """
from pathlib import Path
from pydantic import BaseModel, ConfigDict, Field
from syncd.secrets import SecretRef

class Link(BaseModel):
    model_config = ConfigDict(extra="forbid")
    bucket: str

class Options(BaseModel):
    model_config = ConfigDict(extra="forbid")
    path: Path
    token: SecretRef | None = None
    poll_every: float = Field(5.0, gt=0)
    links: tuple[Link, ...] = ()

class Plugin:
    Options = Options
"""
BASE = """
[sources.photos]
type = "stranger"
path = "/srv/photos"
[annotators.studio]
type = "stranger"
path = "/x"
[datasets.fruits]
annotator = "studio"
sources = ["photos"]
task = "image-classification"
labels = ["apple"]
"""
Load = Callable[..., Config]


@pytest.fixture(autouse=True)
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Types `stranger`, `absent` (its package is not installed), `never` (fails when imported) and `broken`."""
    site = tmp_path / "site"
    info = site / "stranger-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\nProvides-Extra: absent\n")
    points = "stranger = stranger_plugin:Plugin\nabsent = stranger_absent:Plugin\nnever = stranger_never:Plugin\n"
    points += "broken = stranger_plugin:Nothing\n"
    (info / "entry_points.txt").write_text(f"[syncd.sources]\n{points}\n[syncd.annotators]\n{points}\n")
    (site / "stranger_plugin.py").write_text(MODULE)
    (site / "stranger_absent.py").write_text("import a_package_nobody_has\n")
    (site / "stranger_never.py").write_text("raise RuntimeError('imported though nobody asked')\n")
    monkeypatch.syspath_prepend(site)


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load a configuration text, and the environment given."""

    def run(text: str, **environ: str) -> Config:
        path = tmp_path / "syncd.toml"
        path.write_text(textwrap.dedent(text))
        return load_config(path, {"HOME": str(tmp_path), **environ})

    return run


@pytest.fixture
def problems(load: Load) -> Callable[..., dict[str, str]]:
    """Load what cannot work: dotted field → the whole line a person is shown."""

    def run(text: str, **environ: str) -> dict[str, str]:
        with pytest.raises(ConfigError) as caught:
            load(text, **environ)
        return {problem.field: str(problem) for problem in caught.value.problems}

    return run
