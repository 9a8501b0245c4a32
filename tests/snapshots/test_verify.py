"""`verify` names every damaged file of a version, and nothing else."""

import random
from pathlib import Path

import pytest

from syncd.domain.errors import Rejected
from syncd.domain.model import digest
from syncd.ports import Damage, Retention, Trouble
from syncd.snapshots.location import Root, open_root
from syncd.snapshots.store import LanceSnapshots
from tests.clock import FakeClock
from tests.seaweed import Seaweed
from tests.snapshots.damaging import KINDS, damaged
from tests.snapshots.rows import gone, put

DAMAGES = 1000
CONFIG = "<View><Choices name='c' toName='t'><Choice value='cat'/></Choices></View>"
VERSIONS = 6


def opened(url: str, options: dict[str, str] | None = None) -> LanceSnapshots:
    return LanceSnapshots(url, clock=FakeClock(), storage_options=options, spare=0.0)


async def history(store: LanceSnapshots) -> None:
    """Commits with deletions and a change of label config, tags, a compaction, and a commit on top of it."""
    for number in range(1, VERSIONS + 1):
        changes = [put(f"{number}-{i}", result="[" + "1," * 40 + "1]") for i in range(8)]
        leaving = [gone(f"{number - 1}-0"), put(f"{number - 1}-1", task_id="7")] if number > 1 else []
        await store.commit("fruits", [*changes, *leaving], CONFIG if number < 4 else CONFIG.replace("cat", "dog"))
    await store.tag("fruits", "production", 2, by="me")
    await store.tag("fruits", "production", 4, by="you")


async def compacted(store: LanceSnapshots) -> None:
    for number in range(25):
        await store.commit("fruits", [put(f"small-{number}"), gone("2-3")], CONFIG)
    assert await store.maintain("fruits")
    await store.commit("fruits", [put("behind"), gone("3-3")], CONFIG)


def files(root: Root) -> list[str]:
    return root.paths("fruits")


async def files_of(store: LanceSnapshots, root: Root, number: int) -> list[str]:
    """What a version needs, as the table itself says."""
    info = await store.find("fruits", f"v{number}")
    tracked = store._version("fruits", number).lance.tracked_files().read_all().to_pylist()
    own = {f"fruits/rows.lance/{file['path']}" for file in tracked if file["version"] == info.table_version}
    shared = [path for path in files(root) if path.startswith("fruits/ledger/")]
    return sorted(
        {
            *own,
            *shared,
            "fruits/latest.json",
            f"fruits/versions/{number:08}.json",
            f"fruits/checksums/{info.table_version:08}.json",
            f"fruits/label-configs/{info.label_config_hash}.xml",
            f"fruits/rows.lance/_refs/tags/v{number}.json",
        }
    )


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return open_root(tmp_path.as_uri())


async def test_a_thousand_random_damages_are_each_named_and_nothing_else_is(tmp_path: Path, root: Root) -> None:
    store, chance = opened(tmp_path.as_uri()), random.Random(11)
    await history(store)
    number = 4
    paths = await files_of(store, root, number)
    kinds = {path.split("/")[1] if "rows.lance" not in path else path.split("/")[2] for path in paths}
    assert kinds == {"_deletions", "_refs", "_transactions", "_versions", "data"} | {
        "checksums", "label-configs", "latest.json", "ledger", "versions"
    }  # fmt: skip
    for attempt in range(DAMAGES):
        path, kind = chance.choice(paths), chance.choice(KINDS)
        with damaged(root, path, kind, chance) as harm:
            found = await store.verify("fruits", number)
        assert found == [Damage(path, harm.trouble)], f"damage {attempt}: {kind} of {path}"
    assert await store.verify("fruits", number) == []


async def test_nothing_is_wrong_after_commits_tags_compaction_and_garbage_collection(tmp_path: Path) -> None:
    store = opened(tmp_path.as_uri())
    await history(store)
    await compacted(store)
    everything = [info.number for info in await store.versions("fruits")]
    assert await store.verify("fruits", *everything) == []
    await store.collect_garbage("fruits", Retention(versions=3, age=0.0))
    left = [info.number for info in await store.versions("fruits")]
    assert len(left) < len(everything)
    assert 4 in left
    assert await store.verify("fruits", *left) == []
    restored = await store.restore("fruits", 4)
    assert restored is not None
    assert await store.verify("fruits", restored.number) == []


async def test_a_version_that_garbage_collection_took_is_refused(tmp_path: Path) -> None:
    store = opened(tmp_path.as_uri())
    await history(store)
    await store.collect_garbage("fruits", Retention(versions=1, age=0.0))
    with pytest.raises(Rejected, match="v1 of 'fruits' was removed by garbage collection"):
        await store.verify("fruits", 1)
    with pytest.raises(Rejected, match="no version v9: the newest is v6"):
        await store.verify("fruits", 9)
    with pytest.raises(Rejected, match="no version v1: it has no versions yet"):
        await store.verify("pears", 1)


async def test_several_damages_are_all_named_in_order(tmp_path: Path, root: Root) -> None:
    store, chance = opened(tmp_path.as_uri()), random.Random(5)
    await history(store)
    paths = chance.sample(await files_of(store, root, 4), 3)
    first, second, third = paths
    with (
        damaged(root, first, "flip", chance),
        damaged(root, second, "remove", chance),
        damaged(root, third, "truncate", chance),
    ):
        found = await store.verify("fruits", 4)
    troubles = [Trouble.CHANGED, Trouble.MISSING, Trouble.CHANGED]
    assert found == sorted(map(Damage, paths, troubles), key=lambda damage: damage.path)


@pytest.mark.parametrize("kind", KINDS)
async def test_where_the_checksums_are_damaged_their_neighbours_stand_in(tmp_path: Path, root: Root, kind: str) -> None:
    store, chance = opened(tmp_path.as_uri()), random.Random(3)
    await history(store)
    info = await store.find("fruits", "v4")
    list_ = f"fruits/checksums/{info.table_version:08}.json"
    data = next(path for path in await files_of(store, root, 1) if "/data/" in path)
    with damaged(root, list_, kind, chance) as harm, damaged(root, data, kind, chance):
        found = await store.verify("fruits", 4)
    assert found == [Damage(list_, harm.trouble), Damage(data, harm.trouble)]


@pytest.mark.parametrize("number", [2, VERSIONS])
async def test_where_the_name_is_damaged_its_files_are_still_looked_at(tmp_path: Path, root: Root, number: int) -> None:
    store, chance = opened(tmp_path.as_uri()), random.Random(3)
    await history(store)
    name = f"fruits/versions/{number:08}.json"
    data = next(path for path in await files_of(store, root, number) if "/data/" in path)
    with damaged(root, name, "remove", chance), damaged(root, data, "flip", chance):
        found = await store.verify("fruits", number)
    assert found == [Damage(data, Trouble.CHANGED), Damage(name, Trouble.MISSING)]


async def test_another_versions_damage_is_none_of_this_one(tmp_path: Path, root: Root) -> None:
    store, chance = opened(tmp_path.as_uri()), random.Random(3)
    await history(store)
    mine, newest = await files_of(store, root, 2), await files_of(store, root, VERSIONS)
    others = [path for path in newest if path not in mine]
    assert len(others) > 8
    for path in others:
        with damaged(root, path, "flip", chance) as harm:
            assert await store.verify("fruits", 2) == []
            assert await store.verify("fruits", 2, VERSIONS) == [Damage(path, harm.trouble)]


async def test_damage_is_found_on_s3(seaweed: Seaweed) -> None:
    url, chance = seaweed.fresh(), random.Random(2)
    store, root = opened(url, seaweed.options), open_root(url, seaweed.options)
    await history(store)
    paths = await files_of(store, root, 4)
    assert await store.verify("fruits", *range(1, VERSIONS + 1)) == []
    for kind in KINDS * 4:
        path = chance.choice(paths)
        with damaged(root, path, kind, chance) as harm:
            found = await store.verify("fruits", 4)
        assert found == [Damage(path, harm.trouble)]


async def test_a_label_config_is_kept_by_its_hash(tmp_path: Path, root: Root) -> None:
    await history(opened(tmp_path.as_uri()))
    assert f"fruits/label-configs/{digest(CONFIG)}.xml" in files(root)
