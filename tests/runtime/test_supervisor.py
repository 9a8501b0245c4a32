"""Jobs under one owner: they end together, in order, and a bug in one is not hidden."""

import asyncio
import socket
from pathlib import Path

import pytest

from syncd.runtime.supervisor import Job, Stop, notify, supervise, watchdog_interval


async def forever() -> None:
    await asyncio.Event().wait()


async def test_a_bug_in_one_job_ends_all_and_is_raised() -> None:
    ended: list[str] = []

    async def other() -> None:
        try:
            await forever()
        finally:
            ended.append("other")

    async def buggy() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await supervise([Job("other", other), Job("buggy", buggy)], Stop(), grace=1)
    assert ended == ["other"]


async def test_on_the_first_signal_sources_are_cancelled_and_workers_finish() -> None:
    stop, story = Stop(), []

    async def source() -> None:
        try:
            await forever()
        finally:
            story.append("source ended")

    async def worker() -> None:
        await stop.drain.wait()
        story.append("worker finishes")

    jobs = [Job("source", source), Job("worker", worker, drains=True)]
    running = asyncio.create_task(supervise(jobs, stop, grace=5))
    await asyncio.sleep(0)
    stop.request()
    async with asyncio.timeout(2):
        await running
    assert set(story) == {"source ended", "worker finishes"}


async def test_a_worker_that_does_not_finish_in_its_grace_is_cut() -> None:
    stop = Stop()
    stop.request()
    async with asyncio.timeout(2):
        await supervise([Job("worker", forever, drains=True)], stop, grace=0.01)


async def test_the_second_signal_cuts_at_once() -> None:
    stop = Stop()
    running = asyncio.create_task(supervise([Job("worker", forever, drains=True)], stop, grace=1000))
    await asyncio.sleep(0)
    stop.request()
    stop.request()
    async with asyncio.timeout(2):
        await running


def test_systemd_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        notify("READY=1")
        assert manager.recv(100) == b"READY=1"
    monkeypatch.delenv("NOTIFY_SOCKET")
    notify("READY=1")  # nobody to tell


@pytest.mark.parametrize(("value", "seconds"), [("30000000", 15.0), ("", None), ("x", None)])
def test_the_watchdog_is_fed_at_half_its_time(
    value: str, seconds: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", value)
    assert watchdog_interval() == seconds
