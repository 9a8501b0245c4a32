"""A disk that fails and a clock that is set, for the daemon alone: `shim.c`, built by the C compiler and preloaded."""

import shutil
import struct
import subprocess
from pathlib import Path

_SOURCE = Path(__file__).with_name("shim.c")


class Shim:
    """The library, and the files by which it is told what to do."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc") or shutil.which("gcc")
        assert compiler, "a C compiler is needed: install gcc"
        self._library = folder / "shim.so"
        command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(self._library), str(_SOURCE), "-ldl"]
        subprocess.run(command, check=True)
        self._switch, self._count, self._clock = (folder / name for name in ("switch", "count", "clock"))
        self.set_clock(0)

    def environment(self, disk: Path) -> dict[str, str]:
        """For a daemon whose disk is this folder."""
        return {
            "LD_PRELOAD": str(self._library),
            "TORTURE_DISK": f"{disk}:{self._switch}:{self._count}",
            "TORTURE_CLOCK": str(self._clock),
        }

    def fail(self, how: str) -> None:
        """From now on: "sync" (no sync succeeds), "full" or "rofs" (no write does: no space, read-only)."""
        part = self._switch.with_suffix(".new")
        part.write_text(how)
        part.rename(self._switch)

    def heal(self) -> None:
        """The disk works again."""
        self._switch.unlink(missing_ok=True)

    @property
    def failures(self) -> int:
        """How many calls have failed."""
        return self._count.stat().st_size if self._count.exists() else 0

    def set_clock(self, seconds: float) -> None:
        """Move the wall clock, by so much from the true time."""
        with self._clock.open("r+b" if self._clock.exists() else "wb") as file:  # in place: it is mapped
            file.write(struct.pack("d", seconds))
