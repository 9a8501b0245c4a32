"""Image folders for classification, read as torchvision and Hugging Face read them."""

import json
from pathlib import Path

import pytest
from datasets import load_dataset

import syncd
from syncd.domain.errors import Rejected
from syncd.domain.labels import label_config
from tests.exports.world import World, box, choice


@pytest.fixture
def pets(world: World) -> World:
    world.xml = label_config("image-classification", ["cat", "dog/wolf"])
    world.add("1", world.image("a/1.jpg"), choice("cat"), split="train")
    world.add("2", world.image("b/1.jpg"), choice("dog/wolf"), split="train")
    world.add("3", world.image("c/1.png"), choice("cat"), split="test")
    return world


def classes(folder: Path) -> dict[str, list[str]]:
    """Split → class/file, in the order of the alphabet, as ImageFolder lists them."""
    splits = sorted(path for path in folder.iterdir() if path.is_dir())
    return {
        split.name: sorted(path.relative_to(split).as_posix() for path in split.rglob("*") if path.is_file())
        for split in splits
    }


async def test_each_image_lies_in_the_folder_of_its_split_and_class(pets: World, tmp_path: Path) -> None:
    syncd.export_snapshot(await pets.commit(), "folders", tmp_path / "out")
    assert classes(tmp_path / "out") == {"test": ["cat/c__1.png"], "train": ["cat/a__1.jpg", "dog_wolf/b__1.jpg"]}
    assert json.loads((tmp_path / "out/classes.json").read_text()) == {"cat": "cat", "dog_wolf": "dog/wolf"}


async def test_hugging_face_reads_the_classes(pets: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    syncd.export_snapshot(await pets.commit(), "folders", tmp_path / "out")
    folders = {split: str(tmp_path / "out" / split / "**") for split in ("train", "test")}
    found = load_dataset("imagefolder", data_files=folders, cache_dir=str(tmp_path / "cache"))
    names = found["train"].features["label"].names
    assert [names[number] for number in found["train"]["label"]] == ["cat", "dog_wolf"]


async def test_images_without_a_class_are_told(pets: World, tmp_path: Path) -> None:
    pets.add("4", pets.image("d/1.jpg"))
    done = syncd.export_snapshot(await pets.commit(), "folders", tmp_path / "out")
    assert dict(done.lost) == {"an image without a class": 1}
    assert done.images == 3


async def test_every_split_has_all_folders_so_that_readers_number_classes_alike(pets: World, tmp_path: Path) -> None:
    pets.add("4", pets.image("d/1.png"), choice("dog/wolf"), split="test")
    pets.rows = [row for row in pets.rows if row.annotation_id != "3"]  # no cat is left in test
    syncd.export_snapshot(await pets.commit(), "folders", tmp_path / "out")
    found = {split: sorted(path.name for path in (tmp_path / "out" / split).iterdir()) for split in ("train", "test")}
    assert found == {"train": ["cat", "dog_wolf"], "test": ["cat", "dog_wolf"]}
    assert not [*(tmp_path / "out/test/cat").iterdir()]


async def test_other_answers_are_told_and_are_no_classes(pets: World, tmp_path: Path) -> None:
    pets.add("4", pets.image("d/1"), choice("cat"), box("car", 1, 1, 5, 5))
    done = syncd.export_snapshot(await pets.commit(), "folders", tmp_path / "out")
    assert done.lost == {"a box": 1, "an image whose name ImageFolder does not take for an image's": 1}
    assert json.loads((tmp_path / "out/classes.json").read_text()) == {"cat": "cat", "dog_wolf": "dog/wolf"}


async def test_several_labels_for_an_image_do_not_fit(world: World, tmp_path: Path) -> None:
    world.xml = label_config("image-multi-classification", ["indoor", "people"])
    world.add("1", world.image("1.jpg"), choice("indoor", "people"))
    with pytest.raises(
        Rejected, match=r"folders does not fit .*: an image lies in one folder; people here choose several"
    ):
        syncd.export_snapshot(await world.commit(), "folders", tmp_path / "out")


async def test_boxes_do_not_fit(world: World, tmp_path: Path) -> None:
    world.add("1", world.image("1.jpg"), box("car", 1, 1, 5, 5))
    with pytest.raises(Rejected, match=r"it needs one single choice .* What fits: coco, .*masks, .*voc, yolo"):
        syncd.export_snapshot(await world.commit(), "folders", tmp_path / "out")
