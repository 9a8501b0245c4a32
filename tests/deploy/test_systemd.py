"""The systemd units: valid, hardened, and in step with each other and the daemon. Needs Debian's package systemd."""

import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest

pytestmark = pytest.mark.system

FOLDER = Path(__file__).parents[2] / "systemd"
UNIT, TEMPLATE = FOLDER / "syncd.service", FOLDER / "syncd@.service"
UNITS = pytest.mark.parametrize("unit", [UNIT, TEMPLATE], ids=lambda unit: unit.name)


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    assert program, "systemd-analyze is missing: apt-get install systemd"
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=60)


@UNITS
def test_the_unit_is_valid_without_a_single_remark(tmp_path: Path, unit: Path) -> None:
    program = tmp_path / "syncd"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    here = tmp_path / unit.name.replace("@", "@fruits")  # verify wants the program to be there
    here.write_text(unit.read_text().replace("/usr/local/bin/syncd run", f"{program} run"))
    found = analyze("verify", str(here))
    assert (found.returncode, found.stderr) == (0, "")


@UNITS
def test_the_unit_is_exposed_by_at_most_1_5_of_10(unit: Path) -> None:
    found = analyze("security", "--offline=true", "--threshold=15", str(unit))
    assert found.returncode == 0, found.stdout[-2000:]


@pytest.mark.parametrize("option", ["ProtectSystem=strict", "NoNewPrivileges=yes"])
@UNITS
def test_the_exposure_check_notices_a_weaker_unit(tmp_path: Path, unit: Path, option: str) -> None:
    weaker = tmp_path / unit.name
    weaker.write_text(unit.read_text().replace(f"\n{option}\n", "\n").replace("\nDynamicUser=yes\n", "\n"))
    assert analyze("security", "--offline=true", "--threshold=15", str(weaker)).returncode != 0


@UNITS
def test_a_configuration_error_is_not_restarted_and_the_drain_has_time_to_end(unit: Path) -> None:
    parsed = ConfigParser(strict=False, interpolation=None)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read_string(unit.read_text())
    service = parsed["Service"]
    assert (service["Type"], service["RestartPreventExitStatus"]) == ("notify", "78")
    assert float(service["TimeoutStopSec"]) > 20.0  # [shutdown] grace


def test_the_template_differs_only_in_what_each_has_for_itself() -> None:
    def settings(unit: Path) -> list[str]:
        return [line for line in unit.read_text().splitlines() if line and not line.startswith("#")]

    pairs = list(zip(settings(UNIT), settings(TEMPLATE), strict=True))
    assert {one.partition("=")[0] for one, other in pairs if one != other} == {
        "Description", "ExecStart", "EnvironmentFile", "Environment", "LoadCredential", "StateDirectory",
    }  # fmt: skip
    assert all("%i" in other for one, other in pairs if one != other)
