"""A database of every released shape becomes one of the newest, rows and all, on both dialects."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from syncd.domain.deliveries import Status
from syncd.domain.errors import ConfigError
from syncd.domain.model import Kind, ObjectRef, Subject
from syncd.state import SqlState, migrations, open_state
from syncd.state.migrations import MIGRATIONS, migrate
from syncd.state.schema import metadata
from tests.clock import FakeClock
from tests.state.shapes import shape

FRESH = (*MIGRATIONS, ("CREATE TABLE fresh (x TEXT)",))
PHOTO = ObjectRef("s3://photos", "cat 1.jpg")

# A row of each table of the first shape that was released.
ROWS = (
    """INSERT INTO subjects
           (kind, dataset, id, generation, due_at, first_marked_at, observation, attempts, token, reason, ready_at)
       VALUES ('task', 'pets', '17', 3, 5.5, 4.5, '{"observed_at": 1.5, "etag": "e"}', 2, '', 'slow', 5.5)""",
    """INSERT INTO records (dataset, task_key, task_id, task_number, bucket, key, etag, version_id, size, serial, state)
       VALUES ('pets', 'k', '17', 17, 's3://photos', 'cat 1.jpg', 'e', NULL, 7, 0, 'active')""",
    "INSERT INTO intents (dataset, marker, created_at, placements) VALUES ('pets', 'm', 1.0, '[]')",
    "INSERT INTO staged (dataset, annotation_id, task_id, \"row\") VALUES ('pets', 'a', '17', NULL)",
    "INSERT INTO known (dataset, annotation_id, task_id, digest) VALUES ('pets', 'a', '17', '')",
    """INSERT INTO imported (dataset, bucket, key, digest, kind, result, model_version, text, given)
       VALUES ('pets', 's3://photos', 'cat 1.jpg', 'd', 'annotation', '[]', NULL, 'Miau', 0)""",
    """INSERT INTO deliveries (id, dataset, "trigger", event, created_at, attempts, verdict, passed_over)
       VALUES ('pets/v1/t', 'pets', 't', '{"n": 1}', 1.0, '[]', NULL, 'too soon')""",
    """INSERT INTO quarantine (id, source, reason, detail, excerpt, count, first_at, last_at)
       VALUES ('q', 'photos', 'malformed', 'no key', {excerpt}, 4, 1.0, 2.0)""",
    "INSERT INTO cursors VALUES ('c', '42')",
)
EXCERPT = {"sqlite": "x'00ff'", "postgresql": "'\\x00ff'"}


@pytest.fixture(params=["sqlite", "postgres"])
def empty(request: pytest.FixtureRequest) -> Path | str:
    """Where a database is that has no table yet."""
    if request.param == "postgres":
        url: str = request.getfixturevalue("postgres").fresh()
        return url
    directory: Path = request.getfixturevalue("tmp_path")
    return directory / "state.db"


async def opened(place: Path | str) -> SqlState:
    return await open_state(place, FakeClock(), virtual=True)


async def of_version(place: Path | str, version: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a database as a program of that version left it."""
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "MIGRATIONS", MIGRATIONS[:version])
        patch.setattr("syncd.state.opening._prepare", _fill)
        await (await opened(place)).close()


def _fill(connection: Connection, **_: Any) -> None:
    migrate(connection)
    for row in ROWS:
        connection.exec_driver_sql(row.replace("{excerpt}", EXCERPT[connection.dialect.name]))


async def newest_shape(state: SqlState) -> tuple[dict[str, Any], dict[str, Any]]:
    """The shape there is, and the one of `schema`."""
    there = await state._read(shape)
    await state._write(metadata.drop_all)
    await state._write(metadata.create_all)
    return there, await state._read(shape)


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS) + 1))
async def test_a_database_of_each_version_keeps_its_rows(
    empty: Path | str, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    await of_version(empty, version, monkeypatch)
    state = await opened(empty)
    (claim,) = await state.claim(limit=9, lease=60)
    assert (claim.subject, claim.generation, claim.attempts) == (Subject(Kind.TASK, "pets", "17"), 3, 2)
    assert claim.observation
    assert claim.observation.etag == "e"
    (record,) = (await state.records("pets", [PHOTO]))[PHOTO]
    assert (record.task_id, record.size, record.parts) == ("17", 7, ())
    assert [intent.marker for intent in await state.intents("pets")] == ["m"]
    assert [(change.annotation_id, change.row) for change in await state.staged("pets", limit=9)] == [("a", None)]
    assert await state.known("pets", ["17"]) == {"17": {"a": ""}}
    assert await state.text("pets", PHOTO) == "Miau"
    assert [(one.event, one.status) for one in await state.deliveries()] == [({"n": 1}, Status.PASSED_OVER)]
    assert [(bad.excerpt, bad.count) for bad in await state.quarantined()] == [(b"\x00\xff", 4)]
    assert await state.get("c") == "42"
    there, wanted = await newest_shape(state)
    assert there == wanted
    await state.close()


async def test_migrations_make_exactly_the_schema(empty: Path | str) -> None:
    state = await opened(empty)
    there, wanted = await newest_shape(state)
    assert len(wanted) >= 11
    assert there == wanted
    await state.close()


async def test_migrating_again_changes_nothing(empty: Path | str) -> None:
    state = await opened(empty)
    await state.put("a", "b")
    await state.close()
    again = await opened(empty)
    assert await again.get("a") == "b"
    await again.close()


async def test_an_older_database_takes_only_the_steps_it_lacks(
    empty: Path | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = await opened(empty)
    await state.put("a", "b")
    await state.close()
    monkeypatch.setattr(migrations, "MIGRATIONS", FRESH)
    for _ in range(2):
        newer = await opened(empty)
        assert await newer.get("a") == "b"
        assert "fresh" in await newer._read(shape)
        await newer.close()


async def test_a_step_that_fails_leaves_the_database_as_it_was(
    empty: Path | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await (await opened(empty)).close()
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "MIGRATIONS", (*MIGRATIONS, ("CREATE TABLE fresh (x TEXT)", "NONSENSE")))
        with pytest.raises(Exception, match="syntax error"):
            await opened(empty)
    state = await opened(empty)
    assert "fresh" not in await state._read(shape)
    await state.close()


async def test_a_database_of_a_newer_program_is_refused(empty: Path | str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "MIGRATIONS", FRESH)
        await (await opened(empty)).close()
    with pytest.raises(ConfigError, match="upgrade syncd"):
        await opened(empty)


async def test_many_that_open_an_empty_server_at_once_make_its_tables_once(postgres: Any) -> None:
    url = postgres.fresh()
    states = await asyncio.gather(*(opened(url) for _ in range(6)))
    await states[0].put("a", "b")
    assert [await state.get("a") for state in states] == ["b"] * 6
    for state in states:
        await state.close()
