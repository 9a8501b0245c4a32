"""Any history of a bucket, told badly: events lost, doubled and shuffled, work in between, crashes, listings of before.

Hypothesis writes the histories. Whatever they are, once the bucket was listed the tasks are what it holds, each once,
of the version that is there: for plain objects, in versioned buckets, and for tasks that are made of several objects.
"""

import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from syncd.domain.errors import Conflict, Retryable
from syncd.domain.layout import Layout, Manifests, Members, Sidecar, Template
from syncd.domain.manifests import row_version
from syncd.domain.model import Claim, Kind, Mark, Observation, Record, Subject, TaskState
from syncd.domain.routing import Selection
from syncd.flows.ingest import ingest
from syncd.flows.reconcile import Caution, reconcile_objects
from syncd.ports import Seen
from syncd.stores.memory import MemoryStore
from tests.flows.composed import ComposedWorld
from tests.flows.world import BUCKET, NAME, XML, Crash

EXAMPLES = int(os.environ.get("SYNCD_HISTORIES", "15"))
TEXT = """<View><Text name="t" value="$text"/>
<Choices name="c" toName="t"><Choice value="good"/><Choice value="bad"/></Choices></View>"""
PAIR = """<View><Image name="l" value="$left"/><Image name="r" value="$right"/>
<Choices name="c" toName="l"><Choice value="good"/><Choice value="bad"/></Choices></View>"""


class Versioned(MemoryStore):
    """A bucket whose listings know no version ids, as S3's; two versions may have the same bytes, and so etags."""

    versioned = False

    def put(self, key: str, data: bytes) -> Seen:
        ref, _ = super().put(key, data)
        _, serial = self._objects[key]
        self._objects[key] = (data, f"{len(data)}.{serial}" if self.versioned else serial)
        return ref, self._observe(key)

    def _observe(self, key: str) -> Observation:
        seen = super()._observe(key)
        if seen.gone or not self.versioned:
            return seen
        etag, _, version = (seen.etag or "").partition(".")
        return replace(seen, etag=etag, version_id=version)

    async def list(self, *, after: str = "") -> AsyncIterator[Sequence[Seen]]:
        async for page in super().list(after=after):
            yield [(ref, replace(seen, version_id=None)) for ref, seen in page]


@dataclass
class Scene:
    """A layout, the keys that live and die in it, and what of them is expected to be a task."""

    layout: Layout = field(default_factory=Layout)
    xml: str = XML
    keys: Sequence[str] = ("a.jpg", "b.jpg")
    versioned: bool = False
    rows: bool = False

    def expected(self, store: MemoryStore) -> dict[str, tuple[str | None, Mapping[str, str | None]]]:
        """Key of a task → the etag of the version it is of, and of its parts."""
        there = {key: store._observe(key) for key in store._objects}
        if self.rows:
            return {
                f"{key}#{row['id']}": (row_version(row), {})
                for key in there
                for row in map(json.loads, store._objects[key][0].splitlines())
            }
        if self.layout.members:
            groups = {member[1] for key in there if (member := self.layout.members.find(key))}
            pairs = {group: {m: there.get(k) for m, k in self.layout.members.keys(group)} for group in groups}
            return {
                group: (None, {m: seen.etag for m, seen in pair.items() if seen})
                for group, pair in pairs.items()
                if all(pair.values())
            }
        found: dict[str, tuple[str | None, Mapping[str, str | None]]] = {}
        for key, seen in there.items():
            if self.layout.sidecar is None:
                found[key] = (seen.etag, {})
            elif not self.layout.sidecar.covers(key):
                beside = there.get(self.layout.sidecar.of(key))
                found[key] = (seen.etag, {"sidecar": beside.etag} if beside else {})
        return found


_LEFT, _RIGHT = Template.of("l/{group}", "{group}"), Template.of("r/{group}", "{group}")
_BESIDE = Template.of("{stem}.json", "{stem}")
assert _LEFT
assert _RIGHT
assert _BESIDE
SCENES = {
    "plain": Scene(),
    "texts": Scene(xml=TEXT, keys=("a.txt", "b.txt")),
    "versioned": Scene(versioned=True),
    "sidecars": Scene(Layout(sidecar=Sidecar(_BESIDE, by_stem=True, wait=2)), keys=("a.jpg", "a.json", "b.jpg")),
    "groups": Scene(
        Layout(members=Members({"left": (_LEFT,), "right": (_RIGHT,)}, wait=20)), PAIR, ("l/a", "r/a", "l/b", "r/b")
    ),
    "manifests": Scene(
        Layout(manifests=Manifests(Selection(("*.jsonl",)), "id")), TEXT, ("1.jsonl", "2.jsonl"), rows=True
    ),
}
KEY = st.sampled_from([0, 0, 0, 1, 2, 3])
NOTHING = st.just(0)
HAPPENS = st.one_of(
    st.tuples(st.just("put"), KEY, st.integers(1, 3)),
    st.tuples(st.just("delete"), KEY, NOTHING),
)
TOLD = st.tuples(st.sampled_from(["tell", "tell", "tell again", "lose"]), st.integers(0, 5), NOTHING)
WORK = st.one_of(
    st.just(("work", 0, 0)),
    st.tuples(st.sampled_from(["claim", "settle", "list", "mark listed", "crash", "lost answer"]), NOTHING, NOTHING),
    st.tuples(st.just("wait"), st.integers(1, 30), NOTHING),
)
DELETION_FIRST = [("put", 0, 1), ("delete", 0, 0), ("tell", 1, 0), ("work", 0, 0)]
NEWEST_FIRST = [("put", 0, 1), ("put", 0, 2), ("tell", 1, 0), ("work", 0, 0)]
GONE_WHILE_READ = [
    *[("put", 0, 1), ("put", 0, 1), ("put", 0, 1), ("tell", 0, 0), ("delete", 0, 0), ("claim", 0, 0), ("put", 0, 1)],
    *[("settle", 0, 0), ("put", 0, 1), ("delete", 0, 0), ("list", 0, 0), ("put", 0, 1), ("delete", 0, 0)],
    *[("work", 0, 0), ("put", 0, 1)],
]
STEPS = st.lists(st.one_of(HAPPENS, TOLD, WORK), min_size=15, max_size=40)


class History(ComposedWorld):
    """A world in which a history is played."""

    def __init__(self, scene: Scene, sender: str) -> None:
        super().__init__(scene.layout, xml=scene.xml, on_change="replace", on_delete="retire")
        self.scene, self.sender = scene, sender
        self.store: Versioned = Versioned(BUCKET, self.clock)
        self.store.versioned = scene.versioned
        self.dataset = replace(self.dataset, stores={BUCKET: self.store})
        self.connect()
        self.events: list[Seen] = []
        self.number = 0
        self.held: list[Claim] = []
        self.listed: list[Seen] = []

    async def play(self, what: str, n: int, value: int) -> None:
        """One step: something happens, is told, or is worked on."""
        key = self.scene.keys[n % len(self.scene.keys)]
        match what:
            case "put":
                self.note(self.store.put(key, self.content(value)))
            case "delete":
                self.note(self.store.delete(key))
            case "tell" | "tell again" | "lose":
                await self.tell(what, n)
            case "crash" | "lost answer":
                self.faulty.faults.append("crash-after" if what == "crash" else "after")
            case "wait":
                self.clock.advance(n)
            case _:
                await {"work": self.work, "claim": self.claim, "settle": self.settle, "list": self.list_all}.get(
                    what, self.mark_listed
                )()

    async def tell(self, what: str, n: int) -> None:
        """Any event that was not told yet arrives, arrives but will so again, or is lost."""
        if self.events:
            n %= len(self.events)
            event = self.events[n] if what == "tell again" else self.events.pop(n)
            if what != "lose":
                await self.saw(*event)

    async def claim(self) -> None:
        """A worker takes what is due, and is slow."""
        self.held = self.held or await self.state.claim(limit=100, lease=60)

    async def list_all(self) -> None:
        (store,) = self.dataset.stores.values()
        with suppress(Retryable):
            self.listed = [seen async for page in store.list() for seen in page]

    async def mark_listed(self) -> None:
        """What a listing saw, perhaps long ago, is marked now."""
        wanted = [(ref, seen) for ref, seen in self.listed if self.dataset.wants(ref)]
        await self.state.mark([Mark(Subject(Kind.OBJECT, NAME, r.id), s, revive=False) for r, s in wanted])

    def content(self, value: int) -> bytes:
        """Of different sizes; of manifests, rows that come, change and go."""
        if self.scene.rows:
            rows = [{"id": f"r{n}", "text": f"said {value if n < 2 else n}"} for n in range(value)]
            return "\n".join(map(json.dumps, rows)).encode()
        return b'{"by": "%d"}' % value + b" " * value

    def note(self, seen: Seen) -> None:
        """What happened becomes an event that nobody heard of yet."""
        ref, sight = seen
        self.number += 1
        silent = self.sender == "silent" or (self.sender == "mixed" and self.number % 3 == 0)
        told = Observation(sight.observed_at) if silent else replace(sight, sequencer=f"s3:{self.number:04X}")
        self.events.append((ref, told))
        self.clock.advance(0.01)

    async def settle(self) -> None:
        """What was claimed before whatever came since is worked on now."""
        held, self.held = self.held, []
        objects = [claim for claim in held if claim.subject.kind is Kind.OBJECT]
        with suppress(Crash, Retryable, Conflict):
            if objects:
                await self.state.settle(await ingest(self.dataset, objects))

    async def come_to_rest(self) -> None:
        """Faults end, leases run out, the bucket is listed until a listing finds nothing new."""
        await self.settle()
        self.faulty.faults.clear()
        self.clock.advance(100)
        await self.work(seconds=40)
        for _ in range(3):
            (store,) = self.dataset.stores.values()
            await reconcile_objects(self.dataset, store, Caution(force=True))
            await self.work(seconds=40)

    async def active(self) -> list[Record]:
        (bucket,) = self.dataset.stores
        walked = [r async for page in self.state.walk(NAME, bucket) for r in page]
        return [record for record in walked if record.state is TaskState.ACTIVE]

    async def assert_as_the_bucket(self) -> None:
        records = await self.active()
        expected = self.scene.expected(self.store)
        assert sorted(record.ref.key for record in records) == sorted(expected)
        for record in records:
            etag, parts = expected[record.ref.key]
            assert etag is None or etag == record.etag, record
            assert {part.name: part.etag for part in record.parts} == parts, record
        shown = self.data()
        assert {key: len(tasks) for key, tasks in shown.items()} == dict.fromkeys(expected, 1)
        self.assert_content(shown)

    def assert_content(self, shown: Mapping[str, list[dict[str, Any]]]) -> None:
        for key, (data,) in shown.items():
            if self.scene.rows:
                manifest, _, _ = key.partition("#")
                assert data in [json.loads(row) for row in self.store._objects[manifest][0].splitlines()]
            elif self.scene.xml == TEXT:
                assert data["text"].encode() == self.store._objects[key][0]


@pytest.mark.parametrize("sender", ["numbered", "silent", "mixed"])
@pytest.mark.parametrize("scene", SCENES)
@given(steps=STEPS)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
async def test_after_a_listing_the_tasks_are_the_bucket(
    scene: str, sender: str, steps: list[tuple[str, int, int]]
) -> None:
    history = History(SCENES[scene], sender)
    await history.open()
    for step in steps:
        await history.play(*step)
    await history.come_to_rest()
    await history.assert_as_the_bucket()


@pytest.mark.parametrize("sender", ["numbered", "silent", "mixed"])
@pytest.mark.parametrize("scene", SCENES)
@example(steps=GONE_WHILE_READ)
@given(steps=STEPS)
@example(steps=DELETION_FIRST)
@example(steps=NEWEST_FIRST)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
async def test_where_no_event_is_lost_no_listing_is_needed(
    scene: str, sender: str, steps: list[tuple[str, int, int]]
) -> None:
    history = History(SCENES[scene], sender)
    await history.open()
    for step in steps:
        if step[0] != "lose":
            await history.play(*step)
    for event in reversed(history.events):
        await history.saw(*event)
    await history.settle()
    history.faulty.faults.clear()
    history.clock.advance(100)
    await history.work(seconds=40)
    await history.assert_as_the_bucket()
