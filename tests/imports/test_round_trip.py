"""What was exported can be imported: the same objects, the same answers."""

from pathlib import Path

import pytest

from syncd.exports.run import export_snapshot
from syncd.imports import PARSERS
from syncd.imports.base import Item
from tests.exports.world import World, box


def places(item: Item) -> list[tuple[str | None, list[float]]]:
    """Label and box of each region."""
    found = ((r.label, [getattr(r, name) for name in ("x", "y", "width", "height")]) for r in item.regions)
    return sorted(found, key=str)


@pytest.mark.parametrize("name", ["coco", "yolo", "voc"])
async def test_boxes_come_back_to_their_objects(tmp_path: Path, name: str) -> None:
    world = World(tmp_path)
    world.add("1", world.image("a b/x.jpg"), box("car", 16, 12, 32, 24), box("person", 0, 0, 8, 12))
    world.add("2", world.image("c/x.jpg"), box("car", 32, 0, 16, 12))
    world.add("3", world.image("nothing.jpg"))
    snapshot = await world.commit()
    export_snapshot(snapshot, name, tmp_path / "out")
    config = snapshot.label_config
    assert config is not None
    items = {item.name: places(item) for item in PARSERS[name](tmp_path / "out", config)}
    assert items.keys() == {"a b/x.jpg", "c/x.jpg", "nothing.jpg"}
    assert items["nothing.jpg"] == []
    (car, first), (person, second) = items["a b/x.jpg"]
    assert (car, person) == ("car", "person")
    assert first == pytest.approx([16, 12, 32, 24], abs=0.001)
    assert second == pytest.approx([0, 0, 8, 12], abs=0.001)
    assert items["c/x.jpg"][0][1] == pytest.approx([32, 0, 16, 12], abs=0.001)
