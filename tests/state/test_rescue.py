"""State files that were lost: told apart, put aside, and what others know of them is read."""

from pathlib import Path

import pytest

from syncd.domain.errors import ConfigError
from syncd.domain.model import ObjectRef, Record
from syncd.state import holder_of, open_state, rescue
from syncd.state.rescue import Condition
from tests.clock import FakeClock


async def made(path: Path, *, records: int = 0) -> Path:
    state = await open_state(path, FakeClock())
    await state.put("media-secret", "m")
    await state.put("webhook-secret:photos", "w")
    await state.put("changed:photos", "c")
    await state.record([Record("photos", ObjectRef("s3://b", f"{n}"), f"{n}", f"{n}", "e") for n in range(records)])
    await state.close()
    return path


async def test_each_condition_is_told(tmp_path: Path) -> None:
    assert rescue.condition_of(tmp_path / "none.db") is Condition.ABSENT
    (tmp_path / "nothing.db").touch()
    assert rescue.condition_of(tmp_path / "nothing.db") is Condition.EMPTY
    assert rescue.condition_of(await made(tmp_path / "new.db")) is Condition.EMPTY
    assert rescue.condition_of(await made(tmp_path / "good.db", records=3)) is Condition.GOOD
    (tmp_path / "text.db").write_text("this is no database at all, but a text" * 100)
    assert rescue.condition_of(tmp_path / "text.db") is Condition.DAMAGED


@pytest.mark.parametrize("hole", [(100, 200), (4096, 8192), (-4096, -1), (20_000, 60_000)])
async def test_a_hole_anywhere_is_damage(tmp_path: Path, hole: tuple[int, int]) -> None:
    path = await made(tmp_path / "state.db", records=2000)
    body = bytearray(path.read_bytes())
    length = len(body[slice(*hole)])
    body[slice(*hole)] = b"\xaa" * length
    path.write_bytes(body)
    assert rescue.condition_of(path) is Condition.DAMAGED


async def test_a_state_cut_short_is_damaged_and_its_secrets_are_read_where_they_can_be(tmp_path: Path) -> None:
    path = await made(tmp_path / "state.db", records=2000)
    assert rescue.secrets_in(path) == {"media-secret": "m", "webhook-secret:photos": "w"}
    path.write_bytes(path.read_bytes()[:10_000])
    assert rescue.condition_of(path) is Condition.DAMAGED
    assert rescue.secrets_in(path) in ({}, {"media-secret": "m", "webhook-secret:photos": "w"})
    path.write_text("nothing at all")
    assert rescue.secrets_in(path) == {}


async def test_what_is_put_aside_is_kept_whole_however_often(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    kept = []
    for n in range(3):
        path.write_text(f"state {n}")
        path.with_name("state.db-wal").write_text(f"log {n}")
        kept.append(rescue.put_aside(path))
    assert not path.exists()
    assert [aside.read_text() for aside in kept] == ["state 0", "state 1", "state 2"]
    assert [aside.with_name(f"{aside.name}-wal").read_text() for aside in kept] == ["log 0", "log 1", "log 2"]


async def test_no_daemon_starts_while_a_file_is_held_also_where_there_is_none(tmp_path: Path) -> None:
    path = tmp_path / "below" / "state.db"
    with rescue.held(path):
        assert holder_of(path) is not None
        with pytest.raises(ConfigError, match="in use"):
            await open_state(path, FakeClock())
    assert holder_of(path) is None
