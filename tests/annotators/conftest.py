"""A connection to the session's Label Studio, and a way to make others."""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from syncd.annotators.label_studio import LabelStudio, LabelStudioOptions
from syncd.annotators.label_studio.dataset import LabelStudioDataset
from syncd.domain.model import NewTask
from syncd.ports import DatasetSpec
from syncd.secrets import SecretRef
from tests.annotators.person import Person
from tests.clock import FakeClock
from tests.label_studio import LabelStudioServer

CONFIG = """<View><Image name="image" value="$image"/><Choices name="choice" toName="image">
<Choice value="cat"/><Choice value="dog"/></Choices></View>"""


@dataclass
class Connections:
    """Makes annotators with a token in a file, and closes them with the test."""

    folder: Path
    clock: FakeClock = field(default_factory=FakeClock)
    made: list[LabelStudio] = field(default_factory=list)

    @property
    def secret(self) -> Path:
        return self.folder / "token"

    def __call__(self, url: str, token: str, **options: Any) -> LabelStudio:
        self.secret.write_text(token)
        checked = LabelStudioOptions(url=url, token=SecretRef(file=self.secret), **options)
        self.made.append(LabelStudio(checked, clock=self.clock))
        return self.made[-1]


@pytest.fixture
async def connect(tmp_path: Path) -> AsyncIterator[Connections]:
    connections = Connections(tmp_path)
    yield connections
    for annotator in connections.made:
        await annotator.close()


@pytest.fixture
def annotator(connect: Connections, label_studio: LabelStudioServer) -> LabelStudio:
    return connect(label_studio.url, label_studio.pat, local_files_root=label_studio.files_root)


@pytest.fixture
def person(label_studio: LabelStudioServer) -> Iterator[Person]:
    with Person.admin(label_studio) as admin:
        yield admin


@pytest.fixture
def new_spec() -> Callable[..., DatasetSpec]:
    """Specs with titles nobody else has."""
    numbers, run = count(), uuid4().hex[:8]

    def make(label_config: str = CONFIG, **changes: Any) -> DatasetSpec:
        return DatasetSpec("pets", f"special {run} {next(numbers)}", label_config, **changes)

    return make


@pytest.fixture
async def dataset(annotator: LabelStudio, new_spec: Callable[..., DatasetSpec]) -> LabelStudioDataset:
    return await annotator.ensure_dataset(new_spec())


def tasks(*keys: str) -> list[NewTask]:
    """One task for each key."""
    return [NewTask(key, {"image": f"s3://pets/{key}.jpg"}, {"etag": f"e-{key}"}) for key in keys]
