"""A damaged table is met with one clear line that says what to do, whatever Lance makes of it."""

import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import syncd
from syncd.domain.errors import Rejected
from syncd.snapshots.location import Root, open_root
from tests.seaweed import Seaweed
from tests.snapshots.damaging import KINDS, damaged
from tests.snapshots.test_verify import files_of, history, opened

READINGS = int(os.environ.get("SYNCD_DAMAGED_READINGS", "60"))
NUMBER = 4


class Reader:
    """The process, started again when a damage ended it."""

    def __init__(self) -> None:
        self._process = self._started()

    def _started(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.snapshots.damaged_reader"]
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def outcome(self, uri: str) -> str:
        """What came of opening and reading; `ended` when the process did."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(uri + "\n")
        self._process.stdin.flush()
        if line := self._process.stdout.readline():
            return line.rstrip("\n")
        self.close()
        self._process = self._started()
        return "ended"

    def close(self) -> None:
        """End it."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(timeout=60)


@pytest.fixture
def reader() -> Iterator[Reader]:
    made = Reader()
    yield made
    made.close()


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return open_root(tmp_path.as_uri())


async def test_random_damages_never_show_an_error_of_lances(tmp_path: Path, root: Root, reader: Reader) -> None:
    store, chance, uri = opened(tmp_path.as_uri()), random.Random(21), f"{tmp_path.as_uri()}/fruits@v{NUMBER}"
    await history(store)
    table = [path for path in await files_of(store, root, NUMBER) if "rows.lance" in path]
    good, seen = reader.outcome(uri), Counter[str]()
    assert good.startswith("rows ")
    for attempt in range(READINGS):
        path, kind = chance.choice(table), chance.choice(KINDS)
        with damaged(root, path, kind, chance):
            outcome = reader.outcome(uri)
        shown = outcome.partition(" ")[0]
        seen[shown] += 1
        assert shown in {"rows", "Rejected", "ended"}, f"damage {attempt}: {kind} of {path}: {outcome}"
        assert shown != "Rejected" or "syncd snapshot verify" in outcome, outcome
        assert outcome == good or "_versions" not in path or shown == "Rejected", f"{kind} of {path}: {outcome}"
    assert seen["Rejected"] > READINGS / 4
    assert seen["ended"] < READINGS / 20, seen


@pytest.mark.parametrize("kind", ["remove", "truncate"])
async def test_a_file_gone_or_cut_on_s3_is_called_damage_not_an_outage(seaweed: Seaweed, kind: str) -> None:
    url, chance = seaweed.fresh(), random.Random(1)
    store, root = opened(url, seaweed.options), open_root(url, seaweed.options)
    await history(store)
    for part in ("/data/", "/_deletions/", "/_versions/"):
        path = next(path for path in await files_of(store, root, NUMBER) if part in path)
        with damaged(root, path, kind, chance), pytest.raises(Rejected, match="syncd snapshot verify"):
            syncd.open_snapshot(f"{url}/fruits@v{NUMBER}", storage_options=seaweed.options).to_arrow(status="all")


async def test_the_line_names_the_version_and_the_remedy(tmp_path: Path, root: Root) -> None:
    store = opened(tmp_path.as_uri())
    await history(store)
    data = next(path for path in await files_of(store, root, NUMBER) if "/data/" in path)
    with damaged(root, data, "remove", random.Random(1)):
        with pytest.raises(Rejected) as caught:
            syncd.open_snapshot(f"{tmp_path.as_uri()}/fruits@v{NUMBER}").to_arrow()
        assert await store.verify("fruits", NUMBER)
    message = str(caught.value)
    assert f"fruits@v{NUMBER}" in message
    assert "`syncd snapshot verify`" in message
    assert "\n" not in message
