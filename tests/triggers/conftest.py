"""What the targets of triggers are tested with."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from syncd.domain.model import JsonObject, VersionInfo
from syncd.domain.triggers import version_event
from syncd.ports import Surroundings

V7 = VersionInfo("fruits", 7, 1_767_268_800.0, 120, 10, 2, 1)


@pytest.fixture
def event() -> JsonObject:
    return version_event("fruits/v7/retrain", "s3://lab/fruits", V7, {"apple": 3, "Äpfel\n": 1})


@pytest.fixture
def surroundings(tmp_path: Path) -> Surroundings:
    async def publish(uri: str, out: Path, how: Mapping[str, Any]) -> None:
        raise AssertionError((uri, out, how))

    return Surroundings("fruits", "retrain", tmp_path / "deliveries" / "fruits" / "retrain", publish)
