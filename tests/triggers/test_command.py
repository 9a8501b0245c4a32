"""The command with real processes: what it gets, under which limits it runs, and that nothing of it is left."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from syncd.domain.deliveries import Answer, Verdict
from syncd.domain.errors import ConfigError
from syncd.domain.model import JsonObject
from syncd.ports import Surroundings
from syncd.triggers import process
from syncd.triggers.command import Command, CommandOptions
from tests.known_secrets import known

Run = Callable[..., Any]
SAY = "import json, os, sys; json.dump([sys.argv[1:], sys.stdin.read(), dict(os.environ), os.getcwd()], sys.stdout)"
SLEEPING_CHILD = (
    "import subprocess, sys, time\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import signal, time; signal.signal(15, 1); time.sleep(600)'])\n"
    "open('pid', 'w').write(str(child.pid))\n"
)


@pytest.fixture
def command(tmp_path: Path, surroundings: Surroundings) -> Callable[..., Command]:
    """Makes a command that runs Python code in a folder of its own."""
    work = tmp_path / "work"
    work.mkdir()

    def make(code: str, *arguments: str, **options: Any) -> Command:
        program = [sys.executable, "-c", code, *arguments]
        return Command(CommandOptions.model_validate({"command": program, "folder": work} | options), surroundings)

    return make


def log_of(answer: Answer) -> Path:
    return Path(answer.output)


def alive(pid: int) -> bool:
    """Whether it runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def ends(pid: int) -> None:
    """SIGKILL was sent; the kernel takes a moment to bury."""
    async with asyncio.timeout(5):
        while alive(pid):
            await asyncio.sleep(0.01)


async def appears(path: Path) -> str:
    async with asyncio.timeout(10):
        while not (path.exists() and path.read_text()):  # noqa: ASYNC240
            await asyncio.sleep(0.02)
    return path.read_text()  # noqa: ASYNC240


# ---------------------------------------------------------------- what it gets


async def test_it_gets_its_arguments_the_event_and_a_small_environment(
    command: Callable[..., Command], tmp_path: Path, event: JsonObject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-the-daemon")
    monkeypatch.setenv("TRAIN_KEY", "for-the-command")
    given = {"EPOCHS": "3", "KEY": {"env": "TRAIN_KEY"}}
    target = command(SAY, "{uri}", "--to={dataset}/{version}", "{tag}", "$HOME; *", environment=given)
    answer = await target.deliver(event)
    assert (answer.verdict, answer.outcome) == (Verdict.DELIVERED, "exit code 0")
    arguments, stdin, environment, folder = json.loads(log_of(answer).read_text())
    assert arguments == ["s3://lab/fruits@v7", "--to=fruits/v7", "", "$HOME; *"]
    assert json.loads(stdin) == event
    assert environment["EPOCHS"] == "3"
    assert environment["KEY"] == "for-the-command"
    assert environment["PATH"] == os.environ["PATH"]
    assert "AWS_SECRET_ACCESS_KEY" not in environment
    assert folder == str(tmp_path / "work")


async def test_a_tag_is_filled_in(command: Callable[..., Command], event: JsonObject) -> None:
    moved = {**event, "id": "fruits/tag-3/retrain", "data": {**event["data"], "tag": "production"}}
    answer = await command("import sys; print(sys.argv[1])", "{tag}@{version}").deliver(moved)
    assert log_of(answer).read_text() == "production@v7\n"
    assert log_of(answer).name.startswith("tag-3-")


# ---------------------------------------------------------------- what comes of it


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("raise SystemExit(3)", "exit code 3"),
        ("import os; os.kill(os.getpid(), 9)", "ended by SIGKILL"),
        ("import os; os.abort()", "ended by SIGABRT"),
    ],
)
async def test_a_failure_is_told_by_its_exit_code(
    command: Callable[..., Command], event: JsonObject, code: str, outcome: str
) -> None:
    answer = await command(f"print('why it failed'); import sys; sys.stdout.flush(); {code}").deliver(event)
    assert answer.verdict is Verdict.FAILED
    assert answer.outcome.startswith(outcome)
    assert answer.excerpt.startswith("why it failed")
    assert log_of(answer).stat().st_mode & 0o777 == 0o600


async def test_a_program_that_is_not_there_is_a_failure_and_named_at_the_start(
    surroundings: Surroundings, tmp_path: Path, event: JsonObject
) -> None:
    target = Command(CommandOptions.model_validate({"command": ["no-such-program"], "folder": tmp_path}), surroundings)
    with pytest.raises(ConfigError, match=r"retrain\.command: must be a program"):
        await target.check()
    answer = await target.deliver(event)
    assert answer.outcome.startswith("exit code 127")
    assert "no-such-program: not found" in answer.excerpt


async def test_a_folder_that_is_not_there_is_a_failure_and_named_at_the_start(
    surroundings: Surroundings, tmp_path: Path, event: JsonObject
) -> None:
    target = Command(CommandOptions.model_validate({"command": ["true"], "folder": tmp_path / "no"}), surroundings)
    with pytest.raises(ConfigError, match=r"retrain\.folder"):
        await target.check()
    answer = await target.deliver(event)
    assert answer.verdict is Verdict.FAILED
    assert answer.outcome == "it cannot be started: No such file or directory"


async def test_secrets_it_prints_are_not_in_the_delivery_log(
    command: Callable[..., Command], event: JsonObject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAIN_KEY", known("very-secret-key"))
    target = command("import os; print('key:', os.environ['KEY'])", environment={"KEY": {"env": "TRAIN_KEY"}})
    assert (await target.deliver(event)).excerpt == "key: …"


async def test_of_long_output_beginning_and_end_are_kept(command: Callable[..., Command], event: JsonObject) -> None:
    code = "print('first'); [print('x' * 99) for _ in range(100_000)]; print('last')"
    answer = await command(code, output_limit=20_000).deliver(event)
    kept = log_of(answer).read_text()
    assert kept.startswith("first\n")
    assert kept.endswith("last\n")
    assert "[syncd left out 9980011 bytes here]" in kept
    assert len(kept) < 20_100
    assert answer.excerpt.endswith("last")


# ---------------------------------------------------------------- limits


async def test_memory_is_limited(command: Callable[..., Command], event: JsonObject) -> None:
    answer = await command("bytearray(1 << 30)", memory_limit=512 * 1024 * 1024).deliver(event)
    assert answer.outcome.startswith("exit code 1")
    assert "MemoryError" in answer.excerpt


async def test_processor_time_is_limited(command: Callable[..., Command], event: JsonObject) -> None:
    answer = await command("while True: pass", cpu_limit=1).deliver(event)
    assert answer.outcome.startswith(("ended by SIGXCPU", "ended by SIGKILL"))


async def test_after_its_timeout_it_and_all_it_started_is_ended(
    command: Callable[..., Command], tmp_path: Path, event: JsonObject
) -> None:
    """The child ignores SIGTERM."""
    answer = await command(SLEEPING_CHILD + "time.sleep(600)", timeout=1.0).deliver(event)
    assert answer.verdict is Verdict.FAILED
    assert answer.outcome.startswith("ended after its timeout of 1 s")
    await ends(int((tmp_path / "work" / "pid").read_text()))


async def test_one_that_ignores_sigterm_is_killed(
    command: Callable[..., Command], event: JsonObject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "STOP_S", 0.3)
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"
    started = time.monotonic()
    answer = await command(code, timeout=0.5).deliver(event)
    assert answer.outcome.startswith("ended after its timeout")
    assert time.monotonic() - started < 10


async def test_what_it_leaves_running_is_ended_with_it(
    command: Callable[..., Command], tmp_path: Path, event: JsonObject
) -> None:
    answer = await command(SLEEPING_CHILD).deliver(event)
    assert answer.verdict is Verdict.DELIVERED
    await ends(int((tmp_path / "work" / "pid").read_text()))


async def test_one_that_left_its_group_and_holds_the_output_open_is_not_waited_for(
    command: Callable[..., Command], tmp_path: Path, event: JsonObject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "DRAIN_S", 0.2)
    code = SLEEPING_CHILD.replace("600)'])", "600)'], start_new_session=True)")
    answer = await command(code).deliver(event)
    pid = int((tmp_path / "work" / "pid").read_text())
    os.kill(pid, signal.SIGKILL)
    assert answer.verdict is Verdict.DELIVERED


async def test_it_never_runs_twice_at_once(command: Callable[..., Command], tmp_path: Path, event: JsonObject) -> None:
    """Whoever else holds the trigger, such as another daemon on this host, is told so."""
    running = asyncio.create_task(
        command("open('up', 'w').write('x'); input(); import time; time.sleep(600)").deliver(event)
    )
    await appears(tmp_path / "work" / "up")
    assert (await command("print('second')").deliver(event)).verdict is Verdict.BUSY
    running.cancel()
    await asyncio.wait({running})
    assert (await command("print('second')").deliver(event)).excerpt == "second"


# ---------------------------------------------------------------- the daemon ends


async def test_when_the_daemon_stops_the_command_and_all_it_started_is_ended(
    command: Callable[..., Command], tmp_path: Path, event: JsonObject
) -> None:
    job = asyncio.create_task(command(SLEEPING_CHILD + "time.sleep(600)").deliver(event))
    pid = int(await appears(tmp_path / "work" / "pid"))
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    await ends(pid)


@pytest.fixture
def orphan(tmp_path: Path, surroundings: Surroundings, event: JsonObject) -> Iterator[int]:
    """A command whose daemon was killed with SIGKILL: its process id."""
    work = tmp_path / "work"
    daemon = f"""
import asyncio, json, sys
from pathlib import Path
from syncd.ports import Surroundings
from syncd.triggers.command import Command, CommandOptions
code = "import os, time; open('orphan', 'w').write(str(os.getpid())); time.sleep(600)"
options = CommandOptions.model_validate({{"command": [sys.executable, "-c", code], "folder": {str(work)!r}}})
surroundings = Surroundings("fruits", "retrain", Path({str(surroundings.folder)!r}), None)
asyncio.run(Command(options, surroundings).deliver(json.loads({json.dumps(event)!r})))
"""
    with subprocess.Popen([sys.executable, "-c", daemon]) as running:
        written = work / "orphan"
        deadline = time.monotonic() + 20
        while not (written.exists() and written.read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        running.kill()
    pid = int(written.read_text())
    yield pid
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


async def test_a_command_of_a_killed_daemon_is_waited_for_and_never_runs_twice_at_once(
    command: Callable[..., Command], event: JsonObject, orphan: int
) -> None:
    assert alive(orphan)
    target = command("print('again')")
    assert (await target.deliver(event)).verdict is Verdict.BUSY
    os.killpg(orphan, signal.SIGKILL)
    async with asyncio.timeout(10):
        while (answer := await target.deliver(event)).verdict is Verdict.BUSY:
            await asyncio.sleep(0.05)
    assert (answer.verdict, answer.excerpt) == (Verdict.DELIVERED, "again")


# ---------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"command": []}, "at least 1 item"),
        ({"command": ["train", "{url}"]}, r"\{url\} is nothing that can be filled in"),
        ({"attempts": 0}, "greater than or equal to 1"),
        ({"memory_limit": 1}, "greater than or equal to"),
        ({"environment": {"A": 1}}, "must be text"),
        ({"shell": True}, "not permitted"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        CommandOptions.model_validate({"command": ["true"]} | options)


def test_braces_that_are_no_placeholder_are_left_alone() -> None:
    options = CommandOptions.model_validate({"command": ["awk", "{print $1}", '{"a": {}}', "${HOME}"]})
    assert options.command[1] == "{print $1}"
