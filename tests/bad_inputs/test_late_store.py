"""Row 52: a store whose listings are late, as some servers of S3's protocol are; what is read by its name is there.

A double: the listing of the root leaves out every name and decision that was written since it was told to be late.
Lance's own files are its own to find.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from syncd.snapshots.location import Root
from syncd.snapshots.store import LanceSnapshots
from tests.clock import FakeClock
from tests.snapshots.rows import put


@pytest.fixture
def lists_late(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Callable[[], None]]:
    """From the call on nothing new is listed; what it returns makes the listing catch up."""
    real = Root.sizes

    def begin() -> Callable[[], None]:
        monkeypatch.setattr(Root, "sizes", lambda *_, **__: {})
        return lambda: monkeypatch.setattr(Root, "sizes", real)

    return begin


async def test_versions_of_two_writers_are_numbered_without_gaps_and_the_newest_is_read_meanwhile(
    tmp_path: Path, lists_late: Callable[[], Callable[[], None]]
) -> None:
    one, other = (LanceSnapshots(tmp_path.as_uri(), clock=FakeClock()) for _ in range(2))
    catch_up = lists_late()
    for number, store in enumerate((one, other, other, one), 1):
        version = await store.commit("fruits", [put(str(number))], "<View/>")
        assert version is not None
        assert version.name == f"v{number}"
        for reader in (one, other):
            latest = await reader.find("fruits", "latest")
            assert (latest.name, latest.rows) == (f"v{number}", number)
    (tmp_path / "fruits" / "latest.json").unlink()  # and the hint is lost too
    assert (await one.find("fruits", "v4")).rows == 4
    assert (await other.commit("fruits", [put("5")], "<View/>")).name == "v5"  # type: ignore[union-attr]
    catch_up()
    assert [version.name for version in await one.versions("fruits")] == ["v1", "v2", "v3", "v4", "v5"]
