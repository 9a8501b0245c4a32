"""Label Studio calls us: registered once, repaired, and what it really sends is understood."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from syncd.annotators.label_studio.dataset import LabelStudioDataset
from syncd.domain.events import AnnotationEvent, parse_label_studio
from tests.annotators.conftest import tasks
from tests.annotators.person import Person, choice, prediction
from tests.known_secrets import HUSH

ACTIONS = {"ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_CREATED", "ANNOTATIONS_DELETED"}


@dataclass
class Inbox:
    """What arrived: secret header and body."""

    url: str = ""
    posts: asyncio.Queue[tuple[str, bytes]] = field(default_factory=asyncio.Queue)

    async def event(self, secret: str) -> AnnotationEvent:
        found, body = await asyncio.wait_for(self.posts.get(), 10)
        assert found == secret
        return parse_label_studio(body)


@pytest.fixture
async def inbox() -> AsyncIterator[Inbox]:
    box = Inbox()

    async def receive(request: web.Request) -> web.Response:
        box.posts.put_nowait((request.headers.get("X-Syncd-Secret", ""), await request.read()))
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/hook", receive)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    box.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield box
    await runner.cleanup()


async def test_what_people_do_arrives_with_our_secret(
    dataset: LabelStudioDataset, person: Person, inbox: Inbox
) -> None:
    (task_id,) = await dataset.import_tasks("m1", tasks("a"))
    assert (await dataset.ensure_webhook(inbox.url, HUSH)).registered
    annotation = await asyncio.to_thread(person.submit, task_id, choice("cat"))
    assert await inbox.event(HUSH) == AnnotationEvent((task_id,), (annotation,))
    await asyncio.to_thread(person.update_annotation, annotation, choice("dog"))
    assert await inbox.event(HUSH) == AnnotationEvent((task_id,), (annotation,))
    skipped = await asyncio.to_thread(person.skip, task_id)
    assert await inbox.event(HUSH) == AnnotationEvent((task_id,), (skipped,))
    await asyncio.to_thread(person.delete_annotation, annotation)
    assert await inbox.event(HUSH) == AnnotationEvent((), (annotation,))


async def test_annotations_made_of_predictions_arrive_as_lists_under_singular_names(
    dataset: LabelStudioDataset, person: Person, inbox: Inbox
) -> None:
    batch = tasks("a", "b")
    for number, task in enumerate(batch):
        batch[number] = type(task)(task.task_key, task.data, task.meta, (prediction("cat"),))
    ids = await dataset.import_tasks("m1", batch)
    await dataset.ensure_webhook(inbox.url, HUSH)
    await asyncio.to_thread(
        person.post,
        f"/api/dm/actions?id=predictions_to_annotations&project={dataset.project}",
        {"selectedItems": {"all": True, "excluded": []}},
    )
    event = await inbox.event(HUSH)
    assert sorted(event.task_ids) == sorted(ids)
    assert len(event.annotation_ids) == 2


async def test_the_webhook_is_registered_once_with_our_actions_only(
    dataset: LabelStudioDataset, person: Person
) -> None:
    for _ in range(2):
        assert (await dataset.ensure_webhook("http://127.0.0.1:9/x", HUSH)).registered
    (hook,) = person.get("/api/webhooks/", project=dataset.project)
    assert set(hook["actions"]) == ACTIONS
    assert hook["headers"] == {"X-Syncd-Secret": HUSH}
    assert (hook["send_payload"], hook["send_for_all_actions"], hook["is_active"]) == (True, False, True)


async def test_a_right_webhook_is_left_as_it_is(dataset: LabelStudioDataset, person: Person) -> None:
    await dataset.ensure_webhook("http://127.0.0.1:9/x", HUSH)
    (before,) = person.get("/api/webhooks/", project=dataset.project)
    await dataset.ensure_webhook("http://127.0.0.1:9/x", HUSH)
    assert person.get("/api/webhooks/", project=dataset.project) == [before]


@pytest.mark.parametrize(
    "damage",
    [
        {"headers": {"X-Syncd-Secret": "old"}},
        {"actions": ["TASKS_CREATED"]},
        {"is_active": False},
        {"send_payload": False},
        {"send_for_all_actions": True},
    ],
)
async def test_a_damaged_webhook_is_repaired(
    dataset: LabelStudioDataset, person: Person, damage: dict[str, object]
) -> None:
    url = "http://127.0.0.1:9/x"
    await dataset.ensure_webhook(url, HUSH)
    (hook,) = person.get("/api/webhooks/", project=dataset.project)
    unchanged = {"url": url, "headers": hook["headers"], "actions": hook["actions"]}
    person.http.patch(f"/api/webhooks/{hook['id']}/", json={**unchanged, **damage}).raise_for_status()
    assert (await dataset.ensure_webhook(url, HUSH)).registered
    (repaired,) = person.get("/api/webhooks/", project=dataset.project)
    assert {**repaired, "updated_at": "", "actions": set(repaired["actions"])} == {
        **hook,
        "updated_at": "",
        "actions": set(hook["actions"]),
    }


PATH = "/webhooks/label-studio/pets"


def add_hook(person: Person, dataset: LabelStudioDataset, url: str, **headers: str) -> None:
    body = {"project": dataset.project, "url": url, "actions": ["TASKS_CREATED"], "send_for_all_actions": False}
    person.post("/api/webhooks/", {**body, "headers": headers})


def others(person: Person, dataset: LabelStudioDataset) -> list[str]:
    """Webhooks that are not ours: another path, or another program's at the same path."""
    add_hook(person, dataset, f"http://127.0.0.1:9{PATH}-2", **{"X-Syncd-Secret": "theirs"})
    add_hook(person, dataset, f"http://127.0.0.2:9{PATH}", Authorization="theirs")
    return [f"http://127.0.0.1:9{PATH}-2", f"http://127.0.0.2:9{PATH}"]


async def test_one_of_ours_stays_when_host_and_port_change_and_others_are_left_alone(
    dataset: LabelStudioDataset, person: Person
) -> None:
    for address in ("http://127.0.0.1:9", "http://127.0.0.1:8", "https://syncd.example.com/prefix"):
        add_hook(person, dataset, address + PATH, **{"X-Syncd-Secret": "old"})
    kept = others(person, dataset)
    for address in ("http://127.0.0.1:7", "http://127.0.0.1:6"):
        assert (await dataset.ensure_webhook(address + PATH, HUSH)).registered
        hooks = person.get("/api/webhooks/", project=dataset.project)
        assert [hook["url"] for hook in hooks] == [address + PATH, *kept]
        assert (hooks[0]["headers"], set(hooks[0]["actions"])) == ({"X-Syncd-Secret": HUSH}, ACTIONS)
        assert [hook["actions"] for hook in hooks[1:]] == [["TASKS_CREATED"]] * 2


async def test_every_one_of_ours_is_removed_and_others_are_left_alone(
    dataset: LabelStudioDataset, person: Person
) -> None:
    for port in (8, 9):
        add_hook(person, dataset, f"http://127.0.0.1:{port}{PATH}", **{"X-Syncd-Secret": HUSH})
    kept = others(person, dataset)
    for _ in range(2):
        await dataset.remove_webhook(PATH)
        assert [hook["url"] for hook in person.get("/api/webhooks/", project=dataset.project)] == kept


async def test_a_bare_host_name_is_refused_with_the_reason(dataset: LabelStudioDataset) -> None:
    status = await dataset.ensure_webhook("http://syncd:8080/x", HUSH)
    assert not status.registered
    assert "bare container name" in status.reason
    assert HUSH not in status.reason
