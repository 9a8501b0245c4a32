"""The state on PostgreSQL: its clock, its wake-ups, and what is said when something is wrong with the server."""

import asyncio
import random
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import Connection

from syncd.domain.errors import ConfigError, Rejected, Retryable, SyncdError
from syncd.domain.model import Kind, Mark, Observation, Outcome, Settlement, Subject
from syncd.runtime.clock import SystemClock
from syncd.state import SqlState, holder_of, open_state, postgres_bell, state_file
from tests.clock import FakeClock
from tests.postgres import Postgres

SECRET = "s3cr3t-w0rd"
TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'state' AND pid <> pg_backend_pid()"


def task(n: int) -> Mark:
    return Mark(Subject(Kind.TASK, "pets", str(n)))


@pytest.fixture
async def state(postgres_url: str) -> AsyncIterator[SqlState]:
    store = await open_state(postgres_url, SystemClock())
    yield store
    await store.close()


async def pending(state: SqlState) -> int:
    return sum(backlog.pending for backlog in await state.backlog())


# ---------------------------------------------------------------- time


async def test_a_host_whose_clock_is_an_hour_ahead_takes_no_claims_of_others(postgres_url: str) -> None:
    ours = await open_state(postgres_url, SystemClock())
    theirs = await open_state(postgres_url, FakeClock(SystemClock().now() + 3600))
    await theirs.mark([task(1)])
    (held,) = await ours.claim(limit=9, lease=60)
    assert await theirs.claim(limit=9, lease=60) == []
    assert await ours.settle([Settlement(held, Outcome.DONE)]) == 0
    await ours.close()
    await theirs.close()


async def test_a_host_whose_clock_is_an_hour_behind_frees_its_claims_in_time(postgres_url: str) -> None:
    theirs = await open_state(postgres_url, FakeClock(SystemClock().now() - 3600))
    ours = await open_state(postgres_url, SystemClock())
    await theirs.mark([task(1)])
    assert len(await theirs.claim(limit=9, lease=0.2)) == 1
    async with asyncio.timeout(10):
        while not await ours.claim(limit=9, lease=60):
            await ours.wait(1.0)
    await ours.close()
    await theirs.close()


async def test_a_claim_whose_lease_ran_out_is_taken_over_and_its_settlement_has_no_effect(state: SqlState) -> None:
    await state.mark([task(1)])
    (lost,) = await state.claim(limit=9, lease=0.05)
    async with asyncio.timeout(10):
        while not (taken := await state.claim(limit=9, lease=60)):
            await asyncio.sleep(0.01)
    assert taken[0].token != lost.token
    assert await state.settle([Settlement(lost, Outcome.DONE)]) == 1
    assert await state.renew([lost], lease=60) == 1
    assert await state.settle([Settlement(taken[0], Outcome.DONE)]) == 0
    assert await state.backlog() == []


async def test_another_daemon_that_starts_leaves_claims_alone(state: SqlState, postgres_url: str) -> None:
    await state.mark([task(1)])
    (held,) = await state.claim(limit=9, lease=60)
    other = await open_state(postgres_url, SystemClock(), exclusive=True)
    assert await other.claim(limit=9, lease=60) == []
    assert await state.settle([Settlement(held, Outcome.DONE)]) == 0
    await other.close()


def test_nobody_holds_a_database_on_a_server_and_it_is_no_file(postgres_url: str) -> None:
    assert holder_of(postgres_url) is None
    assert state_file(postgres_url) is None


# ---------------------------------------------------------------- wake-ups


class StoppedClock(SystemClock):
    """Time passes, but nobody who sleeps is woken by it."""

    async def sleep(self, seconds: float) -> None:
        """Never return."""
        await asyncio.Event().wait()


async def test_a_mark_of_another_process_ends_a_wait(postgres_url: str) -> None:
    ours, theirs = await open_state(postgres_url, StoppedClock()), await open_state(postgres_url, SystemClock())
    await _until_listening(ours)
    async with asyncio.timeout(10):
        waiting = asyncio.create_task(ours.wait(3600))
        await asyncio.sleep(0.05)
        await theirs.mark([task(1)])
        await waiting
    await ours.close()
    await theirs.close()


async def _until_listening(state: SqlState) -> None:
    """The first wait begins to listen."""
    bell = state._bell
    assert isinstance(bell, postgres_bell.PostgresBell)
    bell.ticket()
    async with asyncio.timeout(10):
        await bell.listening.wait()


async def test_listening_goes_on_after_its_connection_was_lost(
    postgres: Postgres, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_bell, "_RETRY_S", 0.01)
    ours, theirs = await open_state(postgres_url, StoppedClock()), await open_state(postgres_url, SystemClock())
    await _until_listening(ours)
    postgres.execute(TERMINATE)
    await asyncio.sleep(0.005)
    await _until_listening(ours)
    async with asyncio.timeout(10):
        waiting = asyncio.create_task(ours.wait(3600))
        await asyncio.sleep(0.05)
        await theirs.mark([task(1)])
        await waiting
    await ours.close()
    await theirs.close()


async def test_without_wake_ups_marks_of_others_are_found_within_a_second(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_bell.PostgresBell, "_heard", lambda *_: None)
    clock = FakeClock()
    ours = await open_state(postgres_url, clock, virtual=True)
    theirs = await open_state(postgres_url, clock, virtual=True)
    await theirs.mark([task(1)])
    before = clock.now()
    await ours.wait(3600)
    assert clock.now() - before <= 1.0
    assert len(await ours.claim(limit=1, lease=60)) == 1
    await ours.close()
    await theirs.close()


# ---------------------------------------------------------------- what goes wrong under way


@pytest.mark.parametrize("text", ["x\0y", "\udcff"])
async def test_text_that_cannot_be_stored_fails_only_who_brought_it(state: SqlState, text: str) -> None:
    bad = [Mark(Subject(Kind.OBJECT, "pets", f"s3://b {text}")), Mark(task(2).subject, Observation(1.0, etag="\udcff"))]
    outcomes = await asyncio.gather(*(state.mark([m]) for m in (task(1), *bad, task(3))), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), Rejected, Rejected, type(None)]
    assert sorted(claim.subject.id for claim in await state.claim(limit=9, lease=60)) == ["1", "3"]


async def test_a_key_too_long_for_an_index_and_a_number_too_large_are_rejected(state: SqlState) -> None:
    noise = "".join(chr(0x4E00 + n * 7919 % 20000) for n in range(4000))
    with pytest.raises(Rejected, match="shorter name"):
        await state.mark([Mark(Subject(Kind.OBJECT, "pets", noise))])
    with pytest.raises(Rejected, match="cannot be stored"):
        await state._write(_put_number, 2**70)
    await state.mark([task(1)])
    assert await pending(state) == 1


def _put_number(connection: Connection, number: int) -> None:
    connection.exec_driver_sql("UPDATE subjects SET generation = $1", (number,))


async def test_reasons_are_kept_whatever_a_server_wrote_into_them(state: SqlState) -> None:
    await state.mark([task(1)])
    (claim,) = await state.claim(limit=9, lease=60)
    await state.settle([Settlement(claim, Outcome.DEAD, "answered \0 and \ud800")])
    assert [letter.reason for letter in await state.dead_letters()] == ["answered \\x00 and \\ud800"]


async def test_connections_that_are_cut_lose_nothing_that_was_acknowledged(state: SqlState, postgres: Postgres) -> None:
    async def cut() -> None:
        cuts = 0
        while cuts < 12:
            cuts += len(await asyncio.to_thread(postgres.fetch, TERMINATE))
            await asyncio.sleep(random.uniform(0.05, 0.4))

    cutting = asyncio.create_task(cut())
    outcomes: list[Any] = []
    while not cutting.done() or len(outcomes) < 3000:
        numbers = range(len(outcomes), len(outcomes) + 100)
        outcomes += await asyncio.gather(*(state.mark([task(n)]) for n in numbers), return_exceptions=True)
    await cutting
    claims = await state.claim(limit=len(outcomes), lease=60)
    there = {int(claim.subject.id) for claim in claims}
    assert all(outcome is None or isinstance(outcome, Retryable) for outcome in outcomes)
    for number, outcome in enumerate(outcomes):
        if outcome is None:
            assert number in there
        elif not outcome.effect_possible:
            assert number not in there
    assert sum(outcome is None for outcome in outcomes) > 1500


async def test_after_its_connections_were_cut_the_next_call_makes_new_ones(state: SqlState, postgres: Postgres) -> None:
    await state.mark([task(1)])
    for _ in range(3):
        postgres.execute(TERMINATE)
        await state.put("a", "b")
        postgres.execute(TERMINATE)
        assert await state.get("a") == "b"


async def test_two_that_lock_each_other_out_both_get_through(state: SqlState) -> None:
    await asyncio.gather(state.put("a", "0"), state.put("b", "0"))
    met = asyncio.Barrier(2)
    loop = asyncio.get_running_loop()
    first = {"a": True, "b": True}

    async def crosswise(one: str, other: str) -> None:
        def writing(connection: Connection) -> None:
            _add_one(connection, one)
            if first.pop(one, False):
                _wait(loop, met)
            _add_one(connection, other)

        await state._write(writing)

    async with asyncio.timeout(20):
        await asyncio.gather(crosswise("a", "b"), crosswise("b", "a"))
    assert (await state.get("a"), await state.get("b")) == ("2", "2")


def _add_one(connection: Connection, name: str) -> None:
    connection.exec_driver_sql("UPDATE cursors SET value = (value::int + 1)::text WHERE name = $1", (name,))


def _wait(_: asyncio.AbstractEventLoop, met: asyncio.Barrier) -> None:
    from sqlalchemy.util import await_only  # noqa: PLC0415

    await_only(met.wait())


async def test_a_caller_that_is_cancelled_disturbs_nobody(state: SqlState) -> None:
    jobs = [asyncio.create_task(state.put(str(n), "x")) for n in range(40)]
    await asyncio.sleep(0.01)
    for job in jobs[::2]:
        job.cancel()
    outcomes = await asyncio.gather(*jobs, return_exceptions=True)
    assert outcomes[1::2] == [None] * 20
    assert await state.get("39") == "x"


async def test_a_closed_store_takes_no_more_and_closing_finishes_what_is_under_way(postgres_url: str) -> None:
    state = await open_state(postgres_url, SystemClock())
    marks = [asyncio.create_task(state.mark([task(n)])) for n in range(500)]
    puts = [asyncio.create_task(state.put(str(n), "x")) for n in range(20)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await state.close()
    await asyncio.gather(*marks, *puts)
    for refused in (state.mark([task(1)]), state.put("a", "b"), state.get("a")):
        with pytest.raises(RuntimeError, match="closed"):
            await refused
    await state.close()
    again = await open_state(postgres_url, SystemClock())
    assert await pending(again) == 500
    await again.close()


# ---------------------------------------------------------------- what goes wrong at opening


@pytest.fixture
def locked(postgres: Postgres) -> str:
    """A user who needs a password and may do nothing."""
    hba = postgres.directory / "pg_hba.conf"
    rule = "local all locked scram-sha-256\n"
    if rule not in hba.read_text():
        hba.write_text(rule + hba.read_text())
        postgres.execute(f"CREATE USER locked PASSWORD '{SECRET}'", "SELECT pg_reload_conf()")
    return "locked"


async def refusal(url: str) -> SyncdError:
    with pytest.raises(SyncdError) as refused:
        await open_state(url, SystemClock())
    assert SECRET not in _whole_story(refused.value)
    return refused.value


def _whole_story(error: BaseException | None) -> str:
    """The error and all it came from, as a log would tell it."""
    story = ""
    while error is not None:
        story, error = f"{story}\n{error!r} {error}", error.__cause__ or error.__context__
    return story


async def test_without_its_extra_installed_it_is_named(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("syncd.state.postgres")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("syncd.state.postgres")
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    error = await refusal(postgres_url)
    assert isinstance(error, ConfigError)
    assert "pip install 'syncd[postgres]'" in str(error)


async def test_a_wrong_password_is_named_and_not_shown(postgres: Postgres, postgres_url: str, locked: str) -> None:
    error = await refusal(postgres.url("state", locked, f"not-{SECRET}"))
    assert isinstance(error, ConfigError)
    assert "refused the user or the password" in str(error)
    assert "'state'" in str(error)


async def test_a_user_without_rights_is_told_what_to_grant(postgres: Postgres, postgres_url: str, locked: str) -> None:
    error = await refusal(postgres.url("postgres", locked, SECRET))
    assert isinstance(error, ConfigError)
    assert "GRANT CREATE" in str(error)


async def test_an_unknown_database_and_a_server_that_is_away(postgres: Postgres, tmp_path: Any) -> None:
    error = await refusal(postgres.url("nowhere", password=SECRET))
    assert isinstance(error, ConfigError)
    assert "createdb" in str(error)
    error = await refusal(f"postgresql://u:{SECRET}@/db?host={tmp_path}")
    assert isinstance(error, Retryable)
    assert not error.effect_possible


@pytest.mark.parametrize(
    "url",
    [f"postgresql://u:{SECRET}@[::1/db", f"postgresql://u:{SECRET}@host:port/db", f"postgresql://u:{SECRET}@h:0/d"],
)
async def test_what_is_no_address_is_refused(url: str) -> None:
    error = await refusal(url)
    assert isinstance(error, ConfigError | Retryable)


@pytest.mark.parametrize(
    ("trouble", "cure", "said"),
    [
        ("SET default_transaction_read_only = on", "RESET default_transaction_read_only", "is read-only"),
        ("ALLOW_CONNECTIONS false", "ALLOW_CONNECTIONS true", "takes no connections at the moment"),
    ],
)
async def test_a_database_that_does_not_work_now_is_tried_again_later(
    state: SqlState, postgres: Postgres, trouble: str, cure: str, said: str
) -> None:
    postgres.execute(f"ALTER DATABASE state {trouble}", TERMINATE)
    try:
        with pytest.raises(Retryable, match=f"the PostgreSQL database 'state' at .* {said}") as failed:
            await state.put("a", "b")
    finally:
        postgres.execute(f"ALTER DATABASE state {cure}", TERMINATE)
    assert not failed.value.effect_possible
    await state.put("a", "b")


async def test_the_password_is_in_nothing_that_is_shown(postgres: Postgres, postgres_url: str, locked: str) -> None:
    postgres.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO locked", database="state")
    state = await open_state(postgres.url("state", locked, SECRET), SystemClock(), exclusive=False)
    shown = [repr(state), repr(state._database), repr(vars(state._database)), repr(vars(state))]
    assert SECRET not in "".join(shown)
    await state.close()
