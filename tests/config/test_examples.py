"""Every example of config/examples can be loaded as it stands."""

from pathlib import Path

import pytest

from syncd.config import load_config

FOLDER = Path(__file__).parents[2] / "config" / "examples"
EXAMPLES = {path.stem: path for path in FOLDER.glob("*.toml")}


def test_there_is_one_for_each_place_to_run() -> None:
    assert EXAMPLES.keys() == {"aws", "azure", "folder", "gcp", "many-hosts", "self-hosted-s3", "teams"}


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_an_example_is_a_configuration_without_problems(name: str) -> None:
    config = load_config(EXAMPLES[name], environ={})
    named = {bucket for source in config.sources.values() for bucket in getattr(source.options, "buckets", ())}
    assert named == config.buckets.keys()
    assert config.datasets


@pytest.mark.parametrize("name", ["azure", "gcp"])
def test_what_stands_commented_out_beside_can_be_taken_instead(name: str, tmp_path: Path) -> None:
    """Commented tables, such as another source of the same name, replace the active ones."""
    text = EXAMPLES[name].read_text()
    alternatives = _alternatives(text)
    assert alternatives
    for alternative in alternatives:
        file = tmp_path / "syncd.toml"
        file.write_text(alternative)
        load_config(file, environ={})


def _alternatives(text: str) -> list[str]:
    """The example with each commented [sources.photos] in place of the active one."""
    active = text[text.index("[sources.") :].split("\n\n", 1)[0]
    commented = [part for part in text.split("\n\n") if "\n#[sources." in f"\n{part}"]
    return [text.replace(part, "").replace(active, _uncommented(part)) for part in commented]


def _uncommented(part: str) -> str:
    lines = part.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("#["))
    return "\n".join(line.removeprefix("#") for line in lines[start:])
