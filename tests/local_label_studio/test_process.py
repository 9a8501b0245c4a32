"""Detached processes: told apart from later ones with the same pid, ended for certain."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from syncd.annotators.label_studio.local import LocalLabelStudio
from syncd.annotators.label_studio.local import process as local_process
from syncd.annotators.label_studio.local.process import Process, exclusive, port_is_free, spawn, wait_until

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-uc",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready'); time.sleep(60)",
]
HEADLESS = [
    sys.executable,
    "-c",
    "import ctypes, threading, time; threading.Thread(target=time.sleep, args=(60,)).start()\n"
    "ctypes.CDLL(None).pthread_exit(None)",
]


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Process]:
    """A running process."""
    process = spawn(SLEEP, {}, tmp_path / "log")
    yield process
    process.end(5)


def test_a_process_lives_until_it_is_ended(sleeper: Process) -> None:
    assert sleeper.is_alive()
    assert os.getsid(sleeper.pid) == sleeper.pid  # a signal to our terminal does not reach it
    sleeper.end(5)
    assert not sleeper.is_alive()
    with pytest.raises(ProcessLookupError):  # no zombie stays behind
        os.kill(sleeper.pid, 0)


def test_one_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = spawn(STUBBORN, {}, log)
    assert wait_until(lambda: "ready" in log.read_text(), 10)
    process.end(0.2)
    assert not process.is_alive()


def test_a_pid_given_to_another_program_is_not_signalled(sleeper: Process) -> None:
    earlier = replace(sleeper, started="an earlier time")
    assert not earlier.is_alive()
    earlier.end(0.1)
    assert sleeper.is_alive()


def test_down_leaves_a_program_alone_that_got_the_pid_of_the_server(sleeper: Process, tmp_path: Path) -> None:
    local = LocalLabelStudio(tmp_path)
    earlier = replace(sleeper, started="an earlier time")
    (tmp_path / "server.json").write_text(json.dumps({"process": asdict(earlier), "port": 8080, "settings": ""}))
    assert not local.status().running
    assert local.down() is False
    assert sleeper.is_alive()


def test_a_child_of_the_caller_with_the_same_pid_keeps_its_exit_status() -> None:
    with subprocess.Popen([sys.executable, "-c", "raise SystemExit(7)"]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert not Process(child.pid, "an earlier time").is_alive()
        assert child.wait() == 7


@pytest.mark.skipif(not shutil.which("ps"), reason="needs ps")
def test_where_there_is_no_proc_ps_tells_processes_apart(sleeper: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    ended, started = local_process._ask_ps(sleeper.pid)
    assert started
    assert not ended
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert local_process._ask_ps(sleeper.pid)[1] == started
    sleeper.end(5)
    assert local_process._ask_ps(sleeper.pid) == (True, "")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_a_process_whose_first_thread_ended_lives_as_long_as_the_others(tmp_path: Path) -> None:
    process = spawn(HEADLESS, {}, tmp_path / "log")
    stat = Path(f"/proc/{process.pid}/stat")
    assert wait_until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "Z", 10)
    assert process.is_alive()
    process.end(5)
    assert not process.is_alive()


def test_a_port_is_free_until_somebody_listens_on_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not port_is_free(port)
    assert port_is_free(port)


def test_the_lock_lets_one_in_at_a_time(tmp_path: Path) -> None:
    waiting, entered = threading.Event(), threading.Event()

    def second() -> None:
        with exclusive(tmp_path / "lock", waiting.set):
            entered.set()

    thread = threading.Thread(target=second)
    with exclusive(tmp_path / "lock"):
        thread.start()
        assert waiting.wait(10)
        assert not entered.is_set()
    thread.join(10)
    assert entered.is_set()
