"""`config/syncd.toml` is the reference: it shows every field with its default, and nothing else."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_jsonable_python

from syncd.annotators.label_studio.options import LabelStudioOptions, StorageLink
from syncd.config import AboutDataset, BucketConfig, Config, Dataset, DatasetSplits, Snapshots, load_config, warnings_of
from syncd.domain.labels import TASKS
from syncd.sources.event_grid import EventGridOptions
from syncd.sources.eventbridge import EventBridgeOptions
from syncd.sources.folder import FolderOptions
from syncd.sources.google_push import GooglePushOptions
from syncd.sources.http import HttpOptions
from syncd.sources.listing import ListingOptions
from syncd.sources.pubsub import PubSubOptions
from syncd.sources.pushed import TokenOptions
from syncd.sources.sns import SnsOptions
from syncd.sources.sqs import SqsOptions
from syncd.sources.storage_queue import StorageQueueOptions
from syncd.triggers.command import CommandOptions
from syncd.triggers.export import ExportOptions
from syncd.triggers.options import TriggerOptions
from syncd.triggers.webhook import WebhookOptions

REFERENCE = Path(__file__).parents[2] / "config" / "syncd.toml"
PLUGINS: dict[str, type[BaseModel]] = {
    "sources.photos": FolderOptions,
    "sources.archive": ListingOptions,
    "sources.google": PubSubOptions,
    "sources.google-push": GooglePushOptions,
    "sources.azure": StorageQueueOptions,
    "sources.azure-push": EventGridOptions,
    "sources.queue": SqsOptions,
    "sources.topic": SnsOptions,
    "sources.bridge": EventBridgeOptions,
    "sources.server": TokenOptions,
    "sources.uploader": HttpOptions,
    "annotators.label-studio": LabelStudioOptions,
    "annotators.label-studio.storages.0": StorageLink,
    "datasets.fruits.triggers.notify": WebhookOptions,
    "datasets.fruits.triggers.retrain": CommandOptions,
    "datasets.fruits.triggers.publish": ExportOptions,
}
# Examples where there is no default to show: the dataset's name, tables, and what is required where another is not.
EXAMPLES = {
    "datasets.fruits.title",
    "sources.uploader.secrets",
    "datasets.fruits.members",
    "datasets.fruits.manifest",
    "datasets.fruits.snapshots",
    "datasets.fruits.splits",
    "datasets.fruits.about",
    "datasets.fruits.triggers",
    "annotators.label-studio.storages",
}
# Ways to say what a task is made of exclude each other, so other datasets have them.
OTHERS = {
    "label_config": "reviews",
    **dict.fromkeys(("sidecar", "sidecar_wait", "sidecar_limit"), "captions"),
    **dict.fromkeys(("members", "optional_members", "members_wait"), "pairs"),
    **dict.fromkeys(("manifest", "manifest_id", "manifest_limit", "manifest_rows"), "questions"),
    **dict.fromkeys(("key_pattern", "most"), "teams"),
}


# A link to a bucket has the fields of one cloud.
LINKS = {"service_account": "1", "account_name": "2", "account_key": "2"}


def shown_at(dotted: str) -> str:
    """Where the file shows a field."""
    place, _, name = dotted.rpartition(".")
    if place == "annotators.label-studio.storages.0" and name in LINKS:
        return f"annotators.label-studio.storages.{LINKS[name]}.{name}"
    return f"datasets.{OTHERS[name]}.{name}" if place == "datasets.fruits" and name in OTHERS else dotted


def uncommented() -> str:
    """The file with every setting active. Settings are commented as `#name`, prose as `# prose`."""
    return re.sub(r"^#(?=[\w\[])", "", REFERENCE.read_text(), flags=re.MULTILINE)


def tables() -> dict[str, type[BaseModel]]:
    """Where each model stands in the file."""
    sections = {name: type(field.default) for name, field in Config.model_fields.items()}
    own = {name: model for name, model in sections.items() if issubclass(model, BaseModel)}
    return {
        **own,
        **PLUGINS,
        "buckets.photos": BucketConfig,
        "datasets.fruits": Dataset,
        "datasets.fruits.snapshots": Snapshots,
        "datasets.fruits.splits": DatasetSplits,
        "datasets.fruits.about": AboutDataset,
    }


def fields() -> list[tuple[str, FieldInfo]]:
    """Every field of every model, by dotted name. What all triggers have is shown once."""
    return [
        (f"{place}.{name}", field)
        for place, model in tables().items()
        for name, field in model.model_fields.items()
        if name not in TriggerOptions.model_fields or model is WebhookOptions
    ]


def value_of(dotted: str, text: str) -> Any:
    """What a text of TOML holds there. KeyError: nothing."""
    found: Any = tomllib.loads(text)
    for part in dotted.split("."):
        found = found[int(part) if isinstance(found, list) else part]
    return found


def is_active(dotted: str) -> bool:
    """Whether the example sets it, and so need not show its default."""
    try:
        value_of(dotted, REFERENCE.read_text())
    except KeyError:
        return False
    return True


@pytest.mark.parametrize(("dotted", "field"), fields())
def test_every_field_is_shown_with_its_default(dotted: str, field: FieldInfo) -> None:
    value = value_of(shown_at(dotted), uncommented())
    if field.default not in (None, PydanticUndefined) and dotted not in EXAMPLES and not is_active(dotted):
        assert value == to_jsonable_python(field.default)


@pytest.mark.parametrize(("dotted", "field"), fields())
def test_every_field_says_what_it_is(dotted: str, field: FieldInfo) -> None:
    assert field.description, dotted


def test_the_data_directory_is_shown() -> None:
    assert value_of("data_dir", uncommented()) == str(Config.model_fields["data_dir"].default)


def test_all_tasks_are_listed() -> None:
    text = " ".join(line.strip("# ") for line in REFERENCE.read_text().splitlines())
    assert f"One of {', '.join(TASKS)}." in text


@pytest.mark.parametrize("whole", [False, True])
def test_it_loads_as_it_is_and_with_every_setting_active(tmp_path: Path, whole: bool) -> None:
    path = tmp_path / "syncd.toml"
    path.write_text(uncommented() if whole else REFERENCE.read_text())
    pair = '<View><Image name="l" value="$left"/><Image name="r" value="$right"/><Rating name="a" toName="l"/></View>'
    (tmp_path / "pairs.xml").write_text(pair)
    (tmp_path / "reviews.xml").write_text('<View><Text name="t" value="$t"/><TextArea name="a" toName="t"/></View>')
    config = load_config(path, {"HOME": str(tmp_path)})
    assert {*config.datasets, *config.templates} == ({"fruits", *OTHERS.values()} if whole else {"fruits"})
    unused = {f"sources.{name}: no dataset uses it" for name in config.sources if name != "photos"}  # one is enough
    assert set(warnings_of(config)) <= unused
