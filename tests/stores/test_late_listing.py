"""Reconcile by an inventory: what is newer than it is not taken for gone, and nothing is done without a look."""

from syncd.flows.reconcile import Caution, reconcile_objects
from syncd.stores.inventory import Inventoried
from tests.flows.world import BUCKET, World
from tests.stores.test_inventory import FOLDER, Reports, plain


async def listed_by(world: World, *keys: str) -> Inventoried:
    """The world's bucket, listed by an inventory that says that these keys are there, with an etag of old."""
    reports = Reports()
    reports.report("2026-11-20", "CSV", [[plain(key, etag="old") for key in keys]], {"sourceBucket": BUCKET})
    store = Inventoried(world.store, reports, FOLDER)
    world.dataset.stores[BUCKET] = store  # type: ignore[index]
    return store


async def test_what_is_newer_than_the_inventory_keeps_its_task() -> None:
    world = await World(on_delete="retire").open()
    for key in ("a", "b", "newer"):
        await world.put(key)
    await world.work()
    findings = await reconcile_objects(world.dataset, await listed_by(world, "a", "b"), Caution())
    await world.work()
    assert (findings.gone, findings.refused) == (0, "")
    assert set(world.tasks()) == {"a", "b", "newer"}


async def test_what_is_neither_in_it_nor_there_is_gone() -> None:
    world = await World(on_delete="retire").open()
    for key in ("a", "b", "c"):
        await world.put(key)
    await world.work()
    await world.delete("c", lost=True)
    findings = await reconcile_objects(world.dataset, await listed_by(world, "a", "b"), Caution())
    await world.work()
    assert findings.gone == 1
    assert set(world.tasks()) == {"a", "b"}


async def test_an_object_it_names_that_was_deleted_or_rewritten_since_is_looked_at_first() -> None:
    world = await World(on_delete="retire").open()
    await world.put("rewritten", lost=True)
    await reconcile_objects(world.dataset, await listed_by(world, "rewritten", "deleted since"), Caution())
    await world.work(seconds=5)
    assert set(world.tasks()) == {"rewritten"}
    (record,) = [record async for page in world.state.walk("photos", BUCKET) for record in page]
    assert record.etag == (await world.store.head("rewritten")).etag != "old"
