"""Publishing: what is asked of the exporter, and what its errors mean. The formats have tests of their own."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from syncd.domain.deliveries import Verdict
from syncd.domain.errors import ConfigError, Rejected
from syncd.domain.model import JsonObject
from syncd.ports import Surroundings
from syncd.triggers.export import Export, ExportOptions


class Publisher:
    def __init__(self) -> None:
        self.asked: list[tuple[str, Path, Mapping[str, Any]]] = []
        self.error: Exception | None = None

    async def publish(self, uri: str, out: Path, how: Mapping[str, Any]) -> None:
        self.asked.append((uri, out, how))
        if self.error:
            raise self.error


@pytest.fixture
def publisher() -> Publisher:
    return Publisher()


@pytest.fixture
def target(publisher: Publisher, surroundings: Surroundings, tmp_path: Path) -> Export:
    options = ExportOptions(format="coco", out=tmp_path / "exports", options={"year": "2026"})
    return Export(options, replace(surroundings, publish=publisher.publish))


async def test_each_version_is_published_in_a_folder_of_its_own(
    target: Export, publisher: Publisher, event: JsonObject, tmp_path: Path
) -> None:
    answer = await target.deliver(event)
    out = tmp_path / "exports" / "fruits" / "v7"
    assert publisher.asked == [
        ("s3://lab/fruits@v7", out, {"format": "coco", "media": None, "options": {"year": "2026"}})
    ]
    assert (answer.verdict, answer.outcome) == (Verdict.DELIVERED, f"coco in {out}")


async def test_a_disk_that_is_full_is_tried_again(target: Export, publisher: Publisher, event: JsonObject) -> None:
    publisher.error = OSError(28, "No space left on device")
    answer = await target.deliver(event)
    assert answer.verdict is Verdict.FAILED
    assert answer.outcome.endswith("cannot be written: No space left on device")


async def test_a_format_that_does_not_fit_is_given_up(target: Export, publisher: Publisher, event: JsonObject) -> None:
    publisher.error = Rejected("coco does not fit")
    with pytest.raises(Rejected, match="does not fit"):
        await target.deliver(event)


async def test_a_place_that_cannot_be_written_is_named_at_the_start(surroundings: Surroundings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    target = Export(ExportOptions(format="coco", out=tmp_path / "file"), surroundings)
    with pytest.raises(ConfigError, match=r"datasets\.fruits\.triggers\.retrain\.out"):
        await target.check()
