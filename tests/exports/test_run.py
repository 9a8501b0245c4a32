"""What holds for every export: the same bytes, whole or not at all, nothing silently wrong."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import syncd
from syncd.domain.errors import ConfigError, Conflict, Rejected
from syncd.domain.labels import label_config
from syncd.exports.formats import find_format, formats
from syncd.snapshots.store import LanceSnapshots
from tests.clock import FakeClock
from tests.exports.world import World, box, choice, tree
from tests.seaweed import Seaweed
from tests.training.labelled import s3_bucket

FITTING = ("coco", "masks", "voc", "yolo", "yolo-obb", "yolo-seg")
AGAIN = """
import sys, syncd
for name in sys.argv[3].split(","):
    syncd.export_snapshot(sys.argv[1], name, f"{sys.argv[2]}/{name}")
"""
STRANGERS = """
import sys, syncd
syncd.export_snapshot(sys.argv[1], "keys", sys.argv[2])
try:
    syncd.export_snapshot(sys.argv[1], "broken", sys.argv[2])
except Exception as error:
    print(error)
"""


def beside(folder: Path) -> list[str]:
    """What exports to `out` left in the folder above it."""
    return sorted(path.name for path in folder.glob("*out*"))


def run(program: str, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """A Python program in a process of its own."""
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)


def export_all(snapshot: Any, out: Path) -> None:
    for name in FITTING:
        syncd.export_snapshot(snapshot, name, out / name)


async def test_every_format_gives_the_same_bytes_in_another_process_zone_and_locale(
    everything: World, tmp_path: Path
) -> None:
    snapshot = await everything.commit()
    export_all(snapshot, tmp_path / "one")
    elsewhere = {"TZ": "Pacific/Auckland", "LC_ALL": "C", "PYTHONHASHSEED": "7"}
    ran = run(AGAIN, snapshot.uri, str(tmp_path / "two"), ",".join(FITTING), **elsewhere)
    assert ran.returncode == 0, ran.stderr
    one, two = tree(tmp_path / "one"), tree(tmp_path / "two")
    assert one.keys() == two.keys()
    assert [name for name in one if one[name] != two[name]] == []


async def test_compaction_and_the_order_of_commits_change_no_byte(everything: World, tmp_path: Path) -> None:
    snapshot = await everything.commit()
    export_all(snapshot, tmp_path / "one")
    other = replace(everything, home=tmp_path / "other")
    for row in reversed(everything.rows):  # one commit for each row, the last first
        await LanceSnapshots(other.snapshots, clock=FakeClock()).commit("streets", [row], other.xml)
    table = other.open()
    table.lance.optimize.compact_files()
    export_all(other.open(), tmp_path / "two")
    one, two = (tree(tmp_path / name, without=lambda name: "manifest.json" in name) for name in ("one", "two"))
    two = {name: data.replace(b"@v3", b"@v1").replace(b'"v3"', b'"v1"') for name, data in two.items()}
    assert one.keys() == two.keys()
    assert [name for name in one if one[name] != two[name]] == []


async def test_the_manifest_says_of_what_and_names_every_file(everything: World, tmp_path: Path) -> None:
    snapshot = await everything.commit()
    syncd.export_snapshot(snapshot, "coco", tmp_path / "out", split="train")
    manifest = json.loads((tmp_path / "out/manifest.json").read_text(encoding="utf-8"))
    assert manifest["uri"] == snapshot.uri
    assert manifest["created_at"] == "1970-01-12T13:46:40Z"
    assert manifest["query"] == {"split": "train", "status": "submitted", "tasks": "newest"}
    assert sorted(manifest["files"]) == ["annotations.json", "items.jsonl"]
    assert list(manifest["media"]) == ["images/a/x.jpg", "images/ä_b/日本_1.png"]
    assert manifest["media"]["images/a/x.jpg"] == everything.columns("a/x.jpg")["etag"]


async def test_every_file_leads_back_to_its_object_and_answer(everything: World, tmp_path: Path) -> None:
    syncd.export_snapshot(await everything.commit(), "yolo", tmp_path / "out")
    lines = [json.loads(line) for line in (tmp_path / "out/items.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(line["file"], line["key"], line["annotation_id"]) for line in lines] == [
        ("images/train/a__x.jpg", "a/x.jpg", "1"),
        ("images/val/b__x.jpg", "b/x.jpg", "2"),
        ("images/train/ä_b__日本_1.png", "ä b/日本 1.png", "3"),
    ]
    assert all(line["etag"] and line["digest"] for line in lines)


async def test_the_same_export_again_changes_nothing_and_another_is_refused(everything: World, tmp_path: Path) -> None:
    snapshot = await everything.commit()
    assert not syncd.export_snapshot(snapshot, "coco", tmp_path / "out").unchanged
    before = (tmp_path / "out").stat().st_ino
    assert syncd.export_snapshot(snapshot, "coco", tmp_path / "out").unchanged
    assert (tmp_path / "out").stat().st_ino == before
    with pytest.raises(Rejected, match=r"holds another export \(streets@v1 as coco\): .* replace it with force"):
        syncd.export_snapshot(snapshot, "voc", tmp_path / "out")
    assert not syncd.export_snapshot(snapshot, "voc", tmp_path / "out", force=True).unchanged
    assert not (tmp_path / "out/annotations.json").exists()
    assert beside(tmp_path) == ["out"]


async def test_a_damaged_export_is_seen_and_made_anew_with_force(everything: World, tmp_path: Path) -> None:
    snapshot = await everything.commit()
    syncd.export_snapshot(snapshot, "coco", tmp_path / "out")
    good = tree(tmp_path / "out")
    (tmp_path / "out/annotations.json").write_text("{}")
    with pytest.raises(Rejected, match="holds this export, damaged"):
        syncd.export_snapshot(snapshot, "coco", tmp_path / "out")
    syncd.export_snapshot(snapshot, "coco", tmp_path / "out", force=True)
    assert tree(tmp_path / "out") == good


async def test_what_is_said_and_what_goes_without_saying_are_one_export(everything: World, tmp_path: Path) -> None:
    snapshot = await everything.commit()
    syncd.export_snapshot(snapshot, "coco", tmp_path / "out")
    said: Any = {"status": "submitted", "tasks": "newest", "split": None, "media": "link"}
    assert syncd.export_snapshot(snapshot, "coco", tmp_path / "out", **said).unchanged


# ---------------------------------------------------------------- media


async def test_media_are_linked_copied_named_or_left_out(everything: World, tmp_path: Path) -> None:
    snapshot = await everything.commit()
    for media in ("link", "copy", "uri", "none"):
        syncd.export_snapshot(snapshot, "coco", tmp_path / media, media=media)
    original = everything.bucket / "a/x.jpg"
    assert (tmp_path / "link/images/a/x.jpg").samefile(original)
    assert not (tmp_path / "copy/images/a/x.jpg").samefile(original)
    assert (tmp_path / "copy/images/a/x.jpg").read_bytes() == original.read_bytes()
    assert not (tmp_path / "none/images").exists()
    names = {media: first_image(tmp_path / media) for media in ("link", "uri", "none")}
    assert names["uri"]["file_name"] == everything.columns("a/x.jpg")["object_uri"]
    assert names["link"]["file_name"] == names["none"]["file_name"] == "images/a/x.jpg"


def first_image(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "annotations.json").read_text(encoding="utf-8"))["images"][0]
    return found


async def test_objects_that_changed_are_named_skipped_or_kept(everything: World, tmp_path: Path) -> None:
    snapshot = await everything.commit()
    everything.image("a/x.jpg", colour="green")
    (everything.bucket / "b/x.jpg").unlink()
    told = r"2 of 3 objects are not what was labelled: .*a/x.jpg has changed; .*b/x.jpg is gone; leave them out with"
    for media in ("link", "copy"):
        with pytest.raises(Conflict, match=told):
            syncd.export_snapshot(snapshot, "coco", tmp_path / "out", media=media)
    done = syncd.export_snapshot(snapshot, "coco", tmp_path / "skip", changed="skip")
    assert dict(done.lost) == {"an image whose object changed or left since it was labelled": 2}
    assert first_image(tmp_path / "skip")["file_name"] == "images/ä_b/日本_1.png"
    everything.image("b/x.jpg")
    syncd.export_snapshot(snapshot, "coco", tmp_path / "keep", changed="keep")
    assert (tmp_path / "keep/images/a/x.jpg").read_bytes() == (everything.bucket / "a/x.jpg").read_bytes()


async def test_an_object_labelled_twice_at_two_versions_is_two_images(world: World, tmp_path: Path) -> None:
    world.add("1", world.image("1.jpg"), box("car", 1, 1, 5, 5), task_id="1", retired=True)
    world.add("2", world.image("1.jpg", colour="blue"), box("person", 2, 2, 5, 5), task_id="2")
    snapshot = await world.commit()
    done = syncd.export_snapshot(snapshot, "coco", tmp_path / "both", media="none")
    assert done.images == 2
    syncd.export_snapshot(snapshot, "coco", tmp_path / "now", retired=False)
    assert first_image(tmp_path / "now")["file_name"] == "images/1.jpg"


async def test_tasks_made_by_hand_have_no_file_to_bring(world: World, tmp_path: Path) -> None:
    world.add("1", {}, box("car", 1, 1, 5, 5))
    snapshot = await world.commit()
    with pytest.raises(Rejected, match=r"1 of 1 images are no objects of a bucket .* export with media=none"):
        syncd.export_snapshot(snapshot, "coco", tmp_path / "out")
    syncd.export_snapshot(snapshot, "coco", tmp_path / "out", media="none")
    assert first_image(tmp_path / "out")["file_name"] == "images/task-1"


async def test_images_in_s3_are_downloaded_at_the_labelled_etag(
    world: World, tmp_path: Path, seaweed: Seaweed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNCD_CACHE", str(tmp_path / "cache"))
    bucket = s3_bucket(seaweed)
    world.image("local.png")
    data = (world.bucket / "local.png").read_bytes()
    for number in range(30):
        key = f"a b/{number}.png"
        bucket.put(key, data)
        row = {"bucket": bucket.url, "key": key, "object_uri": f"{bucket.url}/{key}", "etag": await bucket.etag(key)}
        world.add(str(number), row, box("car", 1, 1, 5, 5))
    root = seaweed.fresh()
    await LanceSnapshots(root, clock=FakeClock(), storage_options=seaweed.options).commit(
        "streets", world.rows, world.xml
    )
    steps: list[tuple[str, int, int]] = []
    uri = f"{root}/streets"
    options: Any = {"storage_options": seaweed.options, "progress": lambda *step: steps.append(step)}
    syncd.export_snapshot(uri, "yolo", tmp_path / "out", **options)
    assert len(list((tmp_path / "out/images/train").iterdir())) == 30
    assert (tmp_path / "out/images/train/a_b__7.png").read_bytes() == data
    assert ("media", 30, 30) in steps
    assert steps[-1] == ("images", 30, 30)
    bucket.put("a b/7.png", b"other")
    monkeypatch.setenv("SYNCD_CACHE", str(tmp_path / "empty"))
    with pytest.raises(Conflict, match=r"1 of 30 objects are not what was labelled: .*a b/7.png has changed"):
        syncd.export_snapshot(uri, "yolo", tmp_path / "out2", **options)


# ---------------------------------------------------------------- what is asked for


def test_our_formats_are_installed_and_described() -> None:
    names = [one.name for one in formats()]
    assert {*FITTING, "folders"} <= set(names)
    assert names == sorted(names)
    assert all(one.description and "\n" not in one.description for one in formats())
    assert find_format("coco").name == "coco"


async def test_what_cannot_be_done_is_one_clear_line(everything: World, tmp_path: Path) -> None:
    snapshot, out = await everything.commit(), tmp_path / "out"
    cases: list[tuple[dict[str, Any], str]] = [
        ({"format": "cocoa"}, r"no format 'cocoa'; there is: .*coco, .*yolo-seg"),
        ({"format": "coco", "media": "beside"}, "no media 'beside'; there is: link, copy, uri, none"),
        ({"format": "coco", "changed": "maybe"}, "no changed 'maybe'; there is: error, skip, keep"),
        ({"format": "coco", "options": {"x": "1"}}, "coco has no option x; there is: none"),
        ({"format": "masks", "options": {"x": "1"}}, "masks has no option x; there is: instances"),
        ({"format": "coco", "status": "done"}, "no status 'done'"),
        ({"format": "coco", "tasks": "best"}, "no policy tasks='best'"),
        ({"format": "coco", "columns": ["key"]}, "leave `columns` out"),
        ({"format": "coco", "split": "tset"}, "/streets@v1 has no split 'tset'; there is: train, val$"),
        ({"format": "coco", "out": "/"}, "/ is no folder to write to; choose another"),
    ]
    for wrong, message in cases:
        with pytest.raises(Rejected, match=message) as raised:
            syncd.export_snapshot(snapshot, **{"out": out, **wrong})
        assert "\n" not in str(raised.value)
    assert beside(tmp_path) == []


@pytest.mark.parametrize("name", [*FITTING, "folders"])
async def test_texts_fit_no_format_for_images(name: str, world: World, tmp_path: Path) -> None:
    world.xml = label_config("text-classification", ["good", "bad"])
    world.add("1", {"data": '{"text": "fine"}'}, {**choice("good"), "to_name": "text"})
    with pytest.raises(Rejected, match=rf"^{name} does not fit .*/streets@v1: .*"):
        syncd.export_snapshot(await world.commit(), name, tmp_path / "out")


async def test_a_strangers_format_comes_in_by_the_same_door(world: World, tmp_path: Path) -> None:
    package = tmp_path / "site" / "stranger.py"
    package.parent.mkdir()
    package.write_text(
        "from syncd.exports.base import Format\n"
        "def write(source, out):\n"
        "    (out / 'keys.txt').write_text(''.join(item.media + '\\n' for item in source.items()))\n"
        "FORMAT = Format('keys', 'keys alone', write, lambda source: None)\n"
    )
    points = tmp_path / "site" / "stranger-1.0.dist-info"
    points.mkdir()
    (points / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (points / "entry_points.txt").write_text("[syncd.exporters]\nkeys = stranger:FORMAT\nbroken = nowhere:FORMAT\n")
    world.add("1", world.image("b.jpg"))
    world.add("2", world.image("a.jpg"))
    uri = (await world.commit()).uri
    ran = run(STRANGERS, uri, str(tmp_path / "out"), PYTHONPATH=str(package.parent))
    assert ran.stdout == "exporter broken: a package that can be imported (found No module named 'nowhere')\n", (
        ran.stderr
    )
    assert (tmp_path / "out/keys.txt").read_text() == "a.jpg\nb.jpg\n"


async def test_a_missing_library_is_named_with_its_extra(
    everything: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(ConfigError, match=r"PIL.Image: installed for this: pip install 'syncd\[images\]'"):
        syncd.export_snapshot(await everything.commit(), "masks", tmp_path / "out")
