"""README's training examples run as they stand, on two versions of real snapshots."""

import asyncio
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from syncd.domain.labels import label_config
from syncd.domain.model import StagedChange
from syncd.domain.splits import Splits
from syncd.snapshots.store import LanceSnapshots
from tests.clock import FakeClock
from tests.snapshots.rows import put

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
EXAMPLES = {block.splitlines()[0].removeprefix("# "): block for block in BLOCKS}


def fruit(folder: Path, number: int, *, wrong: bool) -> StagedChange:
    """A red or a green picture, and what somebody called it."""
    label = ("apple", "pear")[number % 2]
    noise = random.Random(number)
    colour = [noise.randrange(120, 255) if (i == 1) == (label == "pear") else noise.randrange(90) for i in range(3)]
    path = folder / f"{number:03}.png"
    if not path.exists():
        Image.new("RGB", (20, 20), tuple(colour)).save(path)
    stat = path.stat()
    said = {"apple": "pear", "pear": "apple"}[label] if wrong else label
    return put(
        str(number),
        task_id=str(number),
        labels=(said,),
        bucket=folder.as_uri(),
        key=path.name,
        object_uri=path.as_uri(),
        etag=f"{stat.st_mtime_ns:x}-{stat.st_size:x}",
    )


def review(number: int, *, wrong: bool) -> StagedChange:
    """A sentence that is plainly good or bad, and what somebody called it."""
    label = ("good", "bad")[number % 2]
    words = {"good": ["lovely", "great", "fine", "tasty"], "bad": ["awful", "stale", "poor", "cold"]}[label]
    text = f"the {random.Random(number).choice(words)} soup number {number}"
    said = {"good": "bad", "bad": "good"}[label] if wrong else label
    return put(str(number), task_id=str(number), labels=(said,), data=json.dumps({"text": text}), key=f"r{number}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two datasets of two versions: v1 has few answers, many of them wrong; v2 is corrected and has more."""
    home = tmp_path_factory.mktemp("example")
    (home / "photos").mkdir()
    asyncio.run(_commit(home))
    return home


async def _commit(home: Path) -> None:
    store = LanceSnapshots((home / "snapshots").as_uri(), clock=FakeClock())
    fruits = label_config("image-classification", ["apple", "pear"])
    reviews = label_config("text-classification", ["good", "bad"])
    for count, wrong in ((40, 3), (120, 0)):
        marks = [bool(wrong) and n % 5 < wrong for n in range(count)]
        pictures = [fruit(home / "photos", n, wrong=bad) for n, bad in enumerate(marks)]
        await store.commit("fruits", pictures, fruits, Splits())
        await store.commit("reviews", [review(n, wrong=bad) for n, bad in enumerate(marks)], reviews, Splits())


@pytest.mark.parametrize("name", ["A small image model in PyTorch", "A text classifier in scikit-learn"])
def test_the_example_compares_two_versions(folder: Path, name: str) -> None:
    (example,) = (block for title, block in EXAMPLES.items() if title.startswith(name))
    run = [sys.executable, "-W", "error::DeprecationWarning:__main__", "-c", example]
    done = subprocess.run(run, cwd=folder, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    scores = dict(line.split()[:2] for line in done.stdout.splitlines() if re.match(r"v\d ", line))
    assert set(scores) == {"v1", "v2"}
    assert float(scores["v2"]) > float(scores["v1"])
    assert float(scores["v2"]) >= 0.9


def test_every_way_to_read_that_readme_shows_works(folder: Path) -> None:
    (shown,) = (block for block in BLOCKS if "log_to_mlflow" in block)
    opened, *lines = [line for line in shown.splitlines() if line.startswith(("fruits", "syncd."))]
    assert opened.startswith("fruits = syncd.open_snapshot(")
    program = ["import syncd", 'fruits = syncd.open_snapshot("snapshots/fruits@v2")']
    program += [f"print('way', type({line.partition(' #')[0].strip()}).__name__)" for line in lines]
    environment = {**os.environ, "MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_TRACKING_URI": (folder / "runs").as_uri()}
    run = [sys.executable, "-c", "\n".join(program)]
    done = subprocess.run(run, cwd=folder, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    ways = ["DataFrame", "DataFrame", "Dataset", "RowStream", "Dataset", "DuckDBPyRelation", "DataFrame", "list"]
    found = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("way ")]
    assert found[: len(ways)] == ways
    assert len(found) == len(lines)
