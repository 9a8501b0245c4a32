"""Croissant metadata: `mlcroissant` loads and validates it, and reads the rows of what was published."""

import hashlib
import json
import warnings
from pathlib import Path
from typing import Any

import mlcroissant
import pytest

from syncd.training.describe import About
from tests.exports.texts import everything

ABOUT = About(
    description="What people felt, and about whom.",
    license="https://spdx.org/licenses/CC-BY-4.0",
    homepage="https://example.org/texts",
    citation="@misc{texts}",
    creators=("Ada Lovelace", "Example Ltd"),
    keywords=("sentiment",),
)


def loaded(text: dict[str, Any], folder: Path) -> mlcroissant.Dataset:
    """By way of a file, as everybody reads it."""
    path = folder / "croissant.json"
    path.write_text(json.dumps(text), encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries it reads JSON-LD with
        return mlcroissant.Dataset(str(path))


def issues(dataset: mlcroissant.Dataset) -> tuple[set[str], set[str]]:
    found = dataset.metadata.ctx.issues
    return set(found.errors), set(found.warnings)


async def test_a_version_that_was_not_published_is_described(tmp_path: Path) -> None:
    snapshot = await everything(tmp_path).commit()
    dataset = loaded(snapshot.croissant(ABOUT), tmp_path)
    assert issues(dataset) == (set(), set())
    metadata = dataset.metadata
    assert (metadata.name, metadata.version, metadata.license) == ("texts", "1.0.0", [ABOUT.license])
    assert metadata.description == ABOUT.description
    assert str(metadata.date_published) == "2027-01-15 08:00:00+00:00"
    assert [creator.name for creator in metadata.creators] == ["Ada Lovelace", "Example Ltd"]
    (records,) = metadata.record_sets
    assert [field.name for field in records.fields] == snapshot.schema.names
    assert records.fields[0].description.startswith("The annotator's annotation id")


async def test_every_file_of_the_version_is_named_with_its_checksum(tmp_path: Path) -> None:
    snapshot = await everything(tmp_path).commit()
    files = [file for file in snapshot.croissant()["distribution"] if file["@type"] == "cr:FileObject"]
    assert any("/rows.lance/data/" in file["contentUrl"] for file in files)
    for file in files:
        data = on_disk(file["contentUrl"])
        assert (file["sha256"], file["contentSize"]) == (hashlib.sha256(data).hexdigest(), f"{len(data)} B")


async def test_a_version_from_before_checksums_is_named_by_its_own_file(tmp_path: Path) -> None:
    snapshot = await everything(tmp_path).commit()
    for path in (tmp_path / "snapshots" / "texts" / "checksums").iterdir():
        path.unlink()
    file, _ = snapshot.croissant()["distribution"]
    assert file["contentUrl"] == f"{snapshot.uri.partition('@')[0]}/versions/00000001.json"
    assert issues(loaded(snapshot.croissant(), tmp_path))[0] == set()


async def test_what_nobody_said_is_a_warning_and_no_error(tmp_path: Path) -> None:
    errors, told = issues(loaded((await everything(tmp_path).commit()).croissant(), tmp_path))
    assert errors == set()
    assert sorted(name for name in ("license", "citeAs", "cite_as") if any(name in line for line in told)) != []
    assert len(told) == 2


async def test_mlcroissant_reads_the_rows_of_a_published_version(tmp_path: Path) -> None:
    texts = everything(tmp_path)
    await texts.export("parquet", options=ABOUT.to_options())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = mlcroissant.Dataset(str(tmp_path / "out" / "croissant.json"))
        records = list(dataset.records("annotations"))
    assert issues(dataset) == (set(), set())
    found = [{name.removeprefix("annotations/"): text(value) for name, value in row.items()} for row in records]
    rows = (await texts.commit()).to_arrow().to_pylist()
    assert sorted(found, key=by_id) == sorted(rows, key=by_id)


async def test_published_files_have_their_checksums(tmp_path: Path) -> None:
    await everything(tmp_path).export("parquet")
    metadata = json.loads((tmp_path / "out" / "croissant.json").read_text(encoding="utf-8"))
    *files, together = metadata["distribution"]
    written = {f"data/{path.name}": path.read_bytes() for path in (tmp_path / "out" / "data").iterdir()}
    assert {file["contentUrl"]: file["sha256"] for file in files} == {
        name: hashlib.sha256(data).hexdigest() for name, data in written.items()
    }
    assert sorted(together["includes"]) == sorted(written)


def on_disk(url: str) -> bytes:
    return Path(url.removeprefix("file://")).read_bytes()


def by_id(row: dict[str, Any]) -> str:
    return str(row["annotation_id"])


def text(value: Any) -> Any:
    """mlcroissant gives texts as bytes."""
    if isinstance(value, list):
        return [text(one) for one in value]
    return value.decode() if isinstance(value, bytes) else value


@pytest.mark.parametrize("about", [ABOUT, About(), About(license="MIT")])
def test_what_is_said_survives_as_options(about: About) -> None:
    assert About.from_options(about.to_options()) == about
