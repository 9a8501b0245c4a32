"""A version as a Hugging Face dataset: typed, with its media as they were labelled."""

import re
from datetime import datetime
from pathlib import Path
from typing import Any

import datasets
import pytest
from datasets import Dataset, Value
from datasets.table import embed_table_storage
from PIL import Image

from syncd import open_snapshot
from syncd.domain.errors import Rejected
from syncd.domain.labels.configs import parse_label_config
from syncd.training.loaders.media_files import address, ref_of
from syncd.training.media import MediaCache, MediaChanged, MediaRef
from tests.seaweed import Seaweed
from tests.training.labelled import Labelled, folder_bucket, picture, s3_bucket
from tests.training.loaders.conftest import Made

CONFIG = """<View><Image name="image" value="$image"/>
<Choices name="c" toName="image"><Choice value="cat"/></Choices></View>"""
COLOURS = {"red": (255, 0, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")


@pytest.fixture(params=["folder", "s3"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Labelled:
    root, cache = tmp_path / "snapshots", MediaCache(tmp_path / "cache")
    if request.param == "folder":
        return Labelled(root, folder_bucket(tmp_path / "my photos"))
    seaweed: Seaweed = request.getfixturevalue("seaweed")
    return Labelled(root, s3_bucket(seaweed), seaweed.options, cache)


async def coloured(labelled: Labelled) -> list[str]:
    keys = [f"{labelled.prefix}/{colour} 100%?.png" for colour in COLOURS]
    await labelled.label({key: picture(colour) for key, colour in zip(keys, COLOURS, strict=True)})
    return keys


def by_key(dataset: Dataset) -> dict[str, Any]:
    return {row["key"]: row for row in dataset}


@pytest.mark.parametrize("query", [{}, {"status": "all"}, {"split": "it's"}, {"tasks": "newest"}], ids=str)
def test_it_holds_the_rows_of_a_query(made: Made, query: dict[str, Any]) -> None:
    dataset = made.snapshot.to_hf(**query)
    assert isinstance(dataset, Dataset)
    assert sorted(dataset["annotation_id"]) == made.ids(**query)
    assert list(dataset) == made.snapshot.to_arrow(**query).to_pylist()


def test_its_columns_are_typed_and_it_says_where_it_is_from(made: Made) -> None:
    dataset = made.snapshot.to_hf(split="train")
    assert dataset.features["labels"] == datasets.List(Value("string"))
    assert dataset.features["created_at"] == Value("timestamp[us, tz=UTC]")
    assert dataset.features["lead_time"] == Value("float64")
    assert dataset.features["retired"] == Value("bool")
    assert isinstance(next(at for at in dataset["created_at"] if at), datetime)
    assert (dataset.split, dataset.info.dataset_name) == ("train", "fruits")
    assert dataset.info.description == made.snapshot.uri


def test_its_fingerprint_says_which_rows_of_which_version_it_holds(made: Made) -> None:
    again = open_snapshot(made.snapshot.uri)
    one = made.snapshot.to_hf(columns=["key", "labels"])._fingerprint
    assert again.to_hf(columns=["key", "labels"])._fingerprint == one
    others = [
        made.snapshot.to_hf()._fingerprint,
        made.snapshot.to_hf(columns=["labels", "key"])._fingerprint,
        made.snapshot.to_hf(columns=["key", "labels"], status="all")._fingerprint,
        open_snapshot(made.root / "fruits@v2").to_hf(columns=["key", "labels"])._fingerprint,
    ]
    assert len({one, *others}) == 5


async def test_media_are_a_column_of_images_decoded_on_access(either: Labelled) -> None:
    keys = await coloured(either)
    dataset = either.open().to_hf(media="image", columns=["key", "labels"])
    assert dataset.features["image"] == datasets.Image()
    assert dataset.column_names == ["key", "labels", "image"]
    images = {key: row["image"] for key, row in by_key(dataset).items()}
    assert all(isinstance(image, Image.Image) for image in images.values())
    assert {key: image.getpixel((0, 0)) for key, image in images.items()} == dict(
        zip(keys, COLOURS.values(), strict=True)
    )


async def test_nothing_is_fetched_before_it_is_looked_at(either: Labelled) -> None:
    keys = await coloured(either)
    dataset = either.open().to_hf(media="image")
    for key in keys[1:]:
        either.bucket.put(key, b"replaced")
    row = next(index for index, key in enumerate(dataset["key"]) if key == keys[0])
    assert dataset[row]["image"].size == (8, 6)


async def test_an_image_overwritten_after_labelling_is_refused(either: Labelled) -> None:
    key, *_ = await coloured(either)
    dataset = either.open().to_hf(media="image")
    either.bucket.put(key, picture("black", (9, 9)))
    with pytest.raises(MediaChanged, match=re.escape(f"{either.bucket.url}/{key} has changed since it was labelled")):
        list(dataset)


async def test_map_transform_and_save_keep_to_what_was_labelled(either: Labelled, tmp_path: Path) -> None:
    await coloured(either)
    dataset = either.open().to_hf(media="image", columns=["key"])
    wide = dataset.map(lambda row: {"width": row["image"].width})
    assert wide["width"] == [8, 8, 8]
    assert wide.features["image"] == datasets.Image()
    small = dataset.with_transform(lambda rows: {"size": [image.resize((2, 3)).size for image in rows["image"]]})
    assert small[0] == {"size": (2, 3)}
    dataset.save_to_disk(tmp_path / "saved")
    saved = datasets.load_from_disk(tmp_path / "saved")
    whole = dataset.with_format("arrow").map(embed_table_storage, batched=True).with_format(None)
    for key in dataset["key"]:
        either.bucket.put(key, b"replaced")
    assert sorted(row["image"].getpixel((0, 0)) for row in whole) == sorted(COLOURS.values())
    either.forget()
    with pytest.raises(MediaChanged):
        list(saved)


async def test_a_row_without_an_object_has_no_image(either: Labelled) -> None:
    await either.commit(await either.change("a.png", picture("red"), bucket=None, key=None))
    assert either.open().to_hf(media="image", columns=["labels"])[0] == {"labels": ["cat"], "image": None}


def test_the_kind_of_media_comes_from_the_label_config_or_must_be_said(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(made.snapshot.__dict__, "label_config", None)
    with pytest.raises(Rejected, match=r"media of kind 'unknown'.*: pass media= one of image, audio, video"):
        made.snapshot.to_hf(media=True)
    monkeypatch.setitem(made.snapshot.__dict__, "label_config", parse_label_config(CONFIG))
    assert made.snapshot.to_hf(media=True, columns=["key"]).features["image"] == datasets.Image()
    with pytest.raises(Rejected, match="media of kind 'text'"):
        made.snapshot.to_hf(media="text")
    assert made.snapshot.to_hf(media="audio", columns=["key"]).features["audio"] == datasets.Audio()


@pytest.mark.parametrize("key", ["a/b.jpg", "a b%2F?#*[x]::y.jpg", "ü/..", "a//b"])
def test_an_address_says_the_object_whatever_its_key(key: str) -> None:
    for ref in (MediaRef("s3://photos", key, 'W/"e"', "v/1"), MediaRef("file:///my%20data", key)):
        assert ref_of(address(ref)) == ref
        assert not set(address(ref)) & set("?*[] #")


def test_what_is_no_address_is_told() -> None:
    with pytest.raises(Rejected, match="is no address of media: syncd-media://BUCKET/eETAG/vVERSION/KEY"):
        ref_of("syncd-media://a/b")
