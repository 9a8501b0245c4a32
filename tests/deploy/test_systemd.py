"""The systemd unit: valid, hardened, and in step with what the daemon does. Needs Debian's package systemd."""

import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest

pytestmark = pytest.mark.system

UNIT = Path(__file__).parents[2] / "systemd" / "syncd.service"


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    assert program, "systemd-analyze is missing: apt-get install systemd"
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=60)


def test_the_unit_is_valid_without_a_single_remark(tmp_path: Path) -> None:
    program = tmp_path / "syncd"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / UNIT.name  # verify wants the program to be there
    unit.write_text(UNIT.read_text().replace("/usr/local/bin/syncd run", f"{program} run"))
    found = analyze("verify", str(unit))
    assert (found.returncode, found.stderr) == (0, "")


def test_the_unit_is_exposed_by_at_most_1_5_of_10() -> None:
    found = analyze("security", "--offline=true", "--threshold=15", str(UNIT))
    assert found.returncode == 0, found.stdout[-2000:]


@pytest.mark.parametrize("option", ["ProtectSystem=strict", "NoNewPrivileges=yes"])
def test_the_exposure_check_notices_a_weaker_unit(tmp_path: Path, option: str) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace(f"\n{option}\n", "\n").replace("\nDynamicUser=yes\n", "\n"))
    assert analyze("security", "--offline=true", "--threshold=15", str(unit)).returncode != 0


def test_a_configuration_error_is_not_restarted_and_the_drain_has_time_to_end() -> None:
    unit = ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(UNIT.read_text())
    service = unit["Service"]
    assert (service["Type"], service["RestartPreventExitStatus"]) == ("notify", "78")
    assert float(service["TimeoutStopSec"]) > 20.0  # [shutdown] grace
