"""A test that lets a secret out fails, wherever it comes out, beside each other too; one that does not passes."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LEAKY = """
import asyncio, json, logging, subprocess, sys
import prometheus_client
import pytest
from tests.known_secrets import HUSH, known, signing_secret

def test_prints():
    print(f"the token is {HUSH}")

def test_warns_on_standard_error():
    sys.stderr.write(signing_secret("x"))

def test_logs():
    logging.getLogger("any").warning("refused %s", HUSH)

def test_takes_what_it_printed(capsys):
    print(known("made by a server"))
    capsys.readouterr()

def test_runs_a_command_that_shows_it():
    subprocess.run([sys.executable, "-c", "print(input())"], input=HUSH, text=True, capture_output=True)

async def shown(line):
    program = await asyncio.create_subprocess_exec("echo", line, stdout=subprocess.PIPE)
    await program.communicate()

def test_awaits_a_command_that_shows_it():
    asyncio.run(shown(HUSH))

def test_has_a_daemon_that_logs_it(tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "daemon.log").write_text(json.dumps({"url": f"http://x?code={HUSH}"}))

def test_uses_secrets_and_keeps_them(tmp_path, capsys):
    (tmp_path / "token").write_text(HUSH)
    print("refused a token that is wrong")
    capsys.readouterr()

@pytest.mark.parametrize("n", range(3))
def test_after_it_is_fine(n):
    print("nothing")
"""
FINE = {"test_uses_secrets_and_keeps_them", "test_after_it_is_fine"}
IN_METRICS = """
import prometheus_client
from tests.known_secrets import HUSH

def test_labels():
    prometheus_client.Counter("asked", "by whom", ["token"]).labels(HUSH).inc()
"""


@pytest.mark.parametrize("options", [[], ["-n", "1"]], ids=["one process", "a worker"])
def test_whatever_shows_a_secret_fails_and_nothing_else(tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "test_leaks.py").write_text(LEAKY)
    (tmp_path / "test_metrics.py").write_text(IN_METRICS)
    flags = ["-c", os.devnull, "-p", "no:cacheprovider", "-p", "tests.secret_search", "-rA", *options]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", *flags, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    said = done.stdout
    refused = set(re.findall(r"^ERROR .*::(test_\w+)", said, re.MULTILINE))
    assert refused == set(re.findall(r"def (test_\w+)", LEAKY + IN_METRICS)) - FINE, said
    assert "put out the secrets ['hush']; no output may show one" in said
    assert "the page of metrics shows ['hush']" in said
