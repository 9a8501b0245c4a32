"""Becomes a command under limits: `python -I -S limited.py LIMITS LOCK COMMAND …`. A program, never imported.

It limits itself and then replaces itself by the command, so the limits hold from the first instruction on, and no
code runs between fork and exec in the daemon. It holds a POSIX record lock on the file LOCK, which the kernel keeps
over exec for this process alone: whoever can take the lock knows that the command has ended, also when the daemon
that started it was killed. An alarm ends the command then: alarms survive exec, too.
"""

import fcntl
import json
import os
import resource
import signal
import sys

NOT_EXECUTABLE, NOT_FOUND, BUSY = 126, 127, 75  # the shell's words, and EX_TEMPFAIL


def main(limits: dict[str, int], lock: str, command: list[str]) -> int:
    """Never returns where all is well; else the exit code. `limits`: memory (bytes), cpu and alarm (s)."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return _complain("it still runs from before", BUSY)
    os.set_inheritable(descriptor, True)
    for name, number in (("memory", resource.RLIMIT_AS), ("cpu", resource.RLIMIT_CPU)):
        if name in limits:
            resource.setrlimit(number, (limits[name], limits[name]))
    signal.alarm(limits["alarm"])
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and exec would hand that on
    try:
        os.execvp(command[0], command)  # noqa: S606 - that is what it is for
    except FileNotFoundError:
        return _complain(f"{command[0]}: not found", NOT_FOUND)
    except OSError as error:
        return _complain(f"{command[0]}: {error.strerror}", NOT_EXECUTABLE)


def _complain(message: str, code: int) -> int:
    sys.stderr.write(f"syncd: {message}\n")
    return code


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1]), sys.argv[2], sys.argv[3:]))
