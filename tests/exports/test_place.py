"""The folder of an export: whole or not at all, and nobody else's files are touched."""

import errno
import os
import threading
from pathlib import Path

import pytest

import syncd
from syncd.domain.errors import Conflict, Rejected
from syncd.exports.manifest import read_manifest
from tests.exports.test_run import beside
from tests.exports.world import World


async def test_what_is_no_export_is_never_replaced(everything: World, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.tex").write_text("years of work")
    for force in (False, True):
        with pytest.raises(Rejected, match="holds something that is no export: choose another folder"):
            syncd.export_snapshot(await everything.commit(), "coco", tmp_path / "out", force=force)
    assert (tmp_path / "out/thesis.tex").read_text() == "years of work"


async def test_a_failing_export_leaves_nothing_and_a_killed_one_is_finished_by_the_next(
    everything: World, tmp_path: Path
) -> None:
    snapshot = await everything.commit()
    (everything.bucket / "b/x.jpg").unlink()
    with pytest.raises(Conflict):
        syncd.export_snapshot(snapshot, "coco", tmp_path / "out")
    assert beside(tmp_path) == []
    (tmp_path / ".out.syncd-partial/.media").mkdir(parents=True)  # what a killed one leaves
    (tmp_path / ".out.syncd-partial/half.json").write_text("{")
    syncd.export_snapshot(snapshot, "coco", tmp_path / "out", media="none")
    assert not (tmp_path / "out/half.json").exists()
    assert beside(tmp_path) == ["out"]


async def test_a_crash_while_one_export_replaces_another_is_healed(everything: World, tmp_path: Path) -> None:
    snapshot = await everything.commit()
    syncd.export_snapshot(snapshot, "coco", tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / ".out.syncd-old")  # died before the new one was there
    assert syncd.export_snapshot(snapshot, "coco", tmp_path / "out").unchanged
    (tmp_path / ".out.syncd-old").mkdir()  # died before the old one was thrown away
    assert syncd.export_snapshot(snapshot, "coco", tmp_path / "out").unchanged
    assert beside(tmp_path) == ["out"]


async def test_folders_that_somebody_keeps_beside_it_stay(everything: World, tmp_path: Path) -> None:
    snapshot = await everything.commit()
    syncd.export_snapshot(snapshot, "coco", tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / "out.old")
    (tmp_path / "out.partial").mkdir()
    (tmp_path / "out.partial/thesis.tex").write_text("years of work")
    for name in ("voc", "coco"):
        syncd.export_snapshot(snapshot, name, tmp_path / "out", force=True)
    assert (tmp_path / "out.old/annotations.json").is_file()
    assert (tmp_path / "out.partial/thesis.tex").read_text() == "years of work"


async def test_a_link_to_a_folder_is_followed(everything: World, tmp_path: Path) -> None:
    (tmp_path / "big").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "big")
    for name in ("coco", "voc"):
        done = syncd.export_snapshot(await everything.commit(), name, tmp_path / "link", force=True)
    assert done.path == tmp_path / "big"
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "link/Annotations").is_dir()
    assert not (tmp_path / "link/annotations.json").exists()


async def test_a_full_disk_is_one_clear_line_and_leaves_nothing(
    everything: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(Rejected, match="/out cannot be written: No space left on device; choose another folder"):
        syncd.export_snapshot(await everything.commit(), "coco", tmp_path / "out")
    assert beside(tmp_path) == []


async def test_two_exports_to_one_folder_at_once_do_not_mix(everything: World, tmp_path: Path) -> None:
    snapshot = await everything.commit()
    inside, go_on = threading.Event(), threading.Event()

    def wait(_what: str, _done: int, _total: int) -> None:
        inside.set()
        assert go_on.wait(30)

    first = threading.Thread(target=lambda: syncd.export_snapshot(snapshot, "coco", tmp_path / "out", progress=wait))
    first.start()
    assert inside.wait(30)
    with pytest.raises(Conflict, match="another export is writing to"):
        syncd.export_snapshot(snapshot, "voc", tmp_path / "out")
    go_on.set()
    first.join()
    manifest = read_manifest(tmp_path / "out")
    assert manifest is not None
    assert manifest["format"] == "coco"
