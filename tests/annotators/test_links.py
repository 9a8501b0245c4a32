"""How a Label Studio comes to the objects of each cloud's buckets, or to links that lead elsewhere."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from syncd.annotators.label_studio import LabelStudio, StorageLink
from syncd.domain.errors import ConfigError
from syncd.domain.model import NewTask, ObjectRef
from syncd.ports import DatasetSpec
from tests.annotators.conftest import Connections
from tests.annotators.person import Person
from tests.known_secrets import HUSH
from tests.label_studio import LabelStudioServer

Spec = Callable[..., DatasetSpec]


@pytest.mark.parametrize(
    "link",
    [
        {"bucket": "gs://pets", "service_account": "{secret}"},
        {"bucket": "az://pets", "account_name": "pets", "account_key": "{secret}"},
    ],
    ids=["gs", "az"],
)
async def test_a_bucket_of_google_or_azure_that_the_server_cannot_use_is_a_config_error_without_the_secret(
    connect: Connections, label_studio: LabelStudioServer, new_spec: Spec, link: dict[str, str]
) -> None:
    """Neither cloud is at hand here: what is shown is that the server was asked, with what the options say."""
    secret = connect.folder / "cloud-secret"
    secret.write_text(f"{HUSH}, no key")
    told = {name: {"file": secret} if value == "{secret}" else value for name, value in link.items()}
    annotator = connect(label_studio.url, label_studio.pat, storages=[told])
    with pytest.raises(ConfigError, match="cannot connect, or was refused there") as caught:
        await annotator.ensure_dataset(new_spec(buckets=(link["bucket"],)))
    assert HUSH not in str(caught.value)


async def test_tasks_name_objects_of_each_cloud_as_the_server_resolves_them(
    annotator: LabelStudio, new_spec: Spec
) -> None:
    dataset = await annotator.ensure_dataset(new_spec())
    shown = [
        dataset.task_data(ObjectRef(f"{scheme}://pets", "a b.jpg"), None)["image"] for scheme in ("s3", "gs", "az")
    ]
    assert shown == ["s3://pets/a b.jpg", "gs://pets/a b.jpg", "azure-blob://pets/a b.jpg"]


async def test_links_of_another_making_need_no_storage(
    connect: Connections, label_studio: LabelStudioServer, person: Person, new_spec: Spec
) -> None:
    spec = replace(new_spec(buckets=("s3://pets", "file:///elsewhere")), link=lambda ref: f"http://x/{ref.key}")
    dataset = await connect(label_studio.url, label_studio.pat).ensure_dataset(spec)
    (task,) = await dataset.import_tasks("m", [NewTask("k", dataset.task_data(ObjectRef("s3://pets", "a"), None), {})])
    assert person.get(f"/api/tasks/{task}/")["data"]["image"] == "http://x/a"
    assert person.get("/api/storages/localfiles/", project=dataset.project) == []


@pytest.mark.parametrize(
    ("link", "problem"),
    [
        ({"bucket": "s3://pets", "account_name": "x"}, "account_name cannot be set"),
        ({"bucket": "az://pets", "endpoint": "http://x", "region": "y"}, "endpoint, region cannot be set"),
        ({"bucket": "file:///pets"}, "match pattern"),
        ({"bucket": "gs://pets/cats"}, "match pattern"),
    ],
)
def test_a_link_takes_the_fields_of_its_cloud_only(link: dict[str, str], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        StorageLink.model_validate(link)
