"""What works but is probably not meant is told, and does not stop the daemon."""

from pathlib import Path

import pytest

from syncd.config import warnings_of
from tests.config.conftest import BASE, Load

ANY = "0.0.0.0"  # noqa: S104 - nothing listens here


def test_a_sound_configuration_has_no_warnings(load: Load) -> None:
    assert warnings_of(load(BASE)) == []


def test_what_no_dataset_uses_is_told(load: Load) -> None:
    unused = '[sources.other]\ntype = "stranger"\npath = "/"\n[annotators.other]\ntype = "stranger"\npath = "/"\n'
    assert [line.partition(":")[0] for line in warnings_of(load(BASE + unused))] == [
        "sources.other",
        "annotators.other",
    ]
    assert "none is configured" in warnings_of(load(""))[0]


def test_an_address_nobody_can_call_is_told(load: Load) -> None:
    assert "public_url" in warnings_of(load(BASE, SYNCD_RECEIVER__HOST=ANY))[0]
    public = {"SYNCD_RECEIVER__HOST": ANY, "SYNCD_RECEIVER__PUBLIC_URL": "http://syncd.example"}
    assert warnings_of(load(BASE, **public)) == []


@pytest.mark.parametrize(("mode", "told"), [(0o644, True), (0o604, True), (0o640, False), (0o600, False)])
def test_a_secret_that_everybody_can_read_is_told(load: Load, tmp_path: Path, mode: int, told: bool) -> None:
    secret = tmp_path / "token"
    secret.write_text("hunter2")
    secret.chmod(mode)
    reference = f'{{ file = "{secret}" }}'
    text = BASE.replace('path = "/x"', f'path = "/x"\ntoken = {reference}')
    found = warnings_of(load(f"{text}snapshots.storage_options.key = {reference}\n"))
    fields = [line.partition(":")[0] for line in found]
    assert fields == (["annotators.studio.token", "datasets.fruits.snapshots.storage_options.key"] if told else [])
    assert "hunter2" not in "".join(found)


def test_a_secret_that_stands_in_the_file_itself_is_told_without_it(load: Load) -> None:
    written = 'aws_region = "eu-central-1"\naws_access_key_id = "AKIA"\naws_secret_access_key = "hunter2"\n'
    bucket = f'[buckets.photos]\nurl = "s3://photos"\n[buckets.photos.storage_options]\n{written}'
    (line,) = [one for one in warnings_of(load(BASE + bucket)) if one.startswith("buckets.")]
    assert line.startswith("buckets.photos.storage_options.aws_secret_access_key: ")
    assert "hunter2" not in line
