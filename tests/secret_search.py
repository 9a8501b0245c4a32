"""Searches everything that tests put out for the secrets they use; a plug-in of pytest.

What a test prints and logs, what commands answer, and the logs of daemons in its folder are searched at its end, and
the page of metrics at the end of a worker. A test that let a secret out fails, and is told which.
"""

import asyncio.subprocess
import subprocess
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any

import prometheus_client
import pytest

from tests.known_secrets import leaked

_LARGEST_LOG = 64 * 2**20
_SEEN: list[str] = []
"""What was put out where pytest does not look: taken out of captures by tests, or answered by commands."""


@pytest.fixture(autouse=True, scope="session")
def _outputs_are_watched() -> Iterator[None]:
    """Commands' answers and captures that tests take are looked at too; the metrics at the end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pytest.CaptureFixture, "readouterr", _noting(pytest.CaptureFixture.readouterr))
        patch.setattr(subprocess.Popen, "communicate", _noting(subprocess.Popen.communicate))
        patch.setattr(asyncio.subprocess.Process, "communicate", _noting_async(asyncio.subprocess.Process.communicate))
        yield
    found = leaked(prometheus_client.generate_latest().decode())
    assert not found, f"the page of metrics shows {found}"


def _noting(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def noted(*args: Any, **kwargs: Any) -> Any:
        return _note(method(*args, **kwargs))

    return noted


def _noting_async(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    async def noted(*args: Any, **kwargs: Any) -> Any:
        return _note(await method(*args, **kwargs))

    return noted


def _note(outputs: Any) -> Any:
    texts = (output if isinstance(output, str) else output.decode(errors="replace") for output in outputs if output)
    _SEEN.extend(texts)
    return outputs


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """At the end of a test that passed: fail it where anything put out shows a secret."""
    report: pytest.TestReport = yield
    if call.when == "teardown":
        found = leaked("\0".join([text for _, text in report.sections] + _SEEN + _logs(item)))
        _SEEN.clear()
        if found and report.passed:
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} put out the secrets {found}; no output may show one"
    return report


def _logs(item: pytest.Item) -> list[str]:
    """What daemons and servers of this test wrote into its folder."""
    folder: Path | None = getattr(item, "funcargs", {}).get("tmp_path")
    if folder is None or not folder.is_dir():
        return []
    logs = (path for depth in ("*.log", "*/*.log") for path in folder.glob(depth) if path.is_file())
    return [path.read_text("utf-8", errors="replace") for path in logs if path.stat().st_size < _LARGEST_LOG]
