"""The same version gives the same bytes: again, after compaction, elsewhere, under another locale and time zone."""

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import syncd
from syncd.snapshots.store import LanceSnapshots
from tests.clock import FakeClock
from tests.exports.texts import everything

FORMATS = ("argilla", "conll", "csv", "huggingface", "jsonl", "label-studio", "parquet", "prodigy", "spacy")
CODE = f"""
import sys
from syncd.exports.run import export_snapshot
for name in {FORMATS!r}:
    export_snapshot(sys.argv[1], name, sys.argv[2] + "/" + name)
"""


def bytes_of(folder: Path) -> dict[str, str]:
    """sha256 of every file; the manifest says where the snapshots' root is, so it is left out."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "manifest.json")
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def exported(uri: str, out: Path, **env: str) -> dict[str, str]:
    here = Path(syncd.__file__).parent.parent
    made = {**os.environ, "PYTHONPATH": str(here), **env}
    subprocess.run([sys.executable, "-c", CODE, uri, str(out)], env=made, check=True, capture_output=True)
    return bytes_of(out)


async def test_every_format_gives_the_same_bytes_each_time(tmp_path: Path) -> None:
    texts = everything(tmp_path / "here")
    waiting, texts.rows = texts.rows, []
    for row in waiting:
        texts.rows.append(row)
        await texts.commit()
    there = tmp_path / "there"
    shutil.copytree(tmp_path / "here" / "snapshots", there)
    await LanceSnapshots(there.as_uri(), clock=FakeClock()).maintain("texts")
    nepal = {"TZ": "Asia/Kathmandu", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "2"}
    first, second = await asyncio.gather(
        asyncio.to_thread(exported, f"{texts.root}/texts", tmp_path / "1", TZ="UTC", LC_ALL="C", PYTHONHASHSEED="1"),
        asyncio.to_thread(exported, f"{there.as_uri()}/texts", tmp_path / "2", **nepal),
    )
    assert {name.partition("/")[0] for name in first} == set(FORMATS)
    assert second == first


@pytest.mark.parametrize("format_", FORMATS)
async def test_no_place_of_this_machine_is_written(tmp_path: Path, format_: str) -> None:
    texts = everything(tmp_path)
    await texts.export(format_)
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file() and path.name != "manifest.json"]
    assert not [path for path in files if str(tmp_path).encode() in path.read_bytes()]
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["created_at"] == "2027-01-15T08:00:00Z"
