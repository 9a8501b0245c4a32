"""One run of a command: started under limits, fed its input, its output kept, ended with all of its group.

Used by `command`. Nothing of ours runs between fork and exec: `limited` does, after it.
"""

import asyncio
import contextlib
import fcntl
import json
import math
import os
import signal
import sys
import tempfile
from asyncio.subprocess import Process
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from syncd.triggers import limited
from syncd.triggers.output import Output

STOP_S = 10.0
"""Between SIGTERM and SIGKILL."""
ALARM_S = 60.0
"""So long after its timeout a command ends by itself, where no daemon is left to end it."""
DRAIN_S = 1.0
"""How long output is awaited after the end: a process that left the group may hold the pipe open."""
_BLOCK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Run:
    """What to run, where, and how long at most (s). `limits`: memory (bytes) and cpu (s), those that are set."""

    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    lock: Path
    timeout: float
    limits: Mapping[str, int]

    async def __call__(self, stdin: bytes, output: Output) -> int | None:
        """The exit code, minus the number of a signal that ended it; None: it ran into its timeout.

        When it returns or is cancelled, no process of its group is left. OSError: it cannot be started.
        """
        reading, writing = os.pipe()
        pump = asyncio.create_task(_pump(reading, output), name="command output")
        try:
            process = await self._start(stdin, writing)
        finally:
            os.close(writing)  # ours; the pump ends with the last of the command's
        try:
            async with asyncio.timeout(self.timeout):
                return await process.wait()
        except TimeoutError:
            return None
        finally:
            await _end(process)
            await _finish(pump)

    async def _start(self, stdin: bytes, stdout: int) -> Process:
        limits = {**self.limits, "alarm": math.ceil(self.timeout + STOP_S + ALARM_S)}
        program = [sys.executable, "-I", "-S", limited.__file__, json.dumps(limits), str(self.lock)]
        with _file_of(stdin) as descriptor:
            return await asyncio.create_subprocess_exec(
                *program,
                *self.command,
                stdin=descriptor,
                stdout=stdout,
                stderr=stdout,
                cwd=self.folder,
                env=dict(self.environment),
                start_new_session=True,
            )


def still_runs(lock: Path) -> bool:
    """Whether a command of an earlier daemon holds the lock."""
    try:
        descriptor = os.open(lock, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextlib.contextmanager
def _file_of(data: bytes) -> Iterator[int]:
    """Input as a file: a command that does not read it blocks nobody."""
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        yield file.fileno()


async def _pump(reading: int, output: Output) -> None:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading, "rb", buffering=0)
    )
    try:
        while data := await reader.read(_BLOCK):
            output.write(data)
    finally:
        transport.close()


async def _finish(pump: "asyncio.Task[None]") -> None:
    await asyncio.wait({pump}, timeout=DRAIN_S)
    pump.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await pump


async def _end(process: Process) -> None:
    """SIGTERM where it still runs, and SIGKILL to whatever is left of its group."""
    try:
        if process.returncode is None:
            _signal(process, signal.SIGTERM)
            async with asyncio.timeout(STOP_S):
                await process.wait()
    except TimeoutError:
        pass
    finally:
        _signal(process, signal.SIGKILL)
    await process.wait()


def _signal(process: Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
