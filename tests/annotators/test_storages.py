"""Label Studio shows the objects of our buckets: the bytes come out at its end."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from obstore.store import S3Store

from syncd.annotators.label_studio import LabelStudio
from syncd.annotators.label_studio.dataset import LabelStudioDataset
from syncd.domain.errors import ConfigError, Rejected
from syncd.domain.model import NewTask, ObjectRef
from syncd.ports import DatasetSpec
from tests.annotators.conftest import CONFIG, Connections
from tests.annotators.person import Person
from tests.known_secrets import HUSH
from tests.label_studio import LabelStudioServer, free_port
from tests.seaweed import Seaweed

Spec = Callable[..., DatasetSpec]
NAMES = [
    "plain.jpg",
    "with space.jpg",
    "a#b.jpg",
    "a?b=c.jpg",
    "100%.jpg",
    "%2e%41.jpg",
    "grün/日本.jpg",
    "a&b+c;d'e\".jpg",
]


def bucket(server: LabelStudioServer, name: str) -> str:
    (server.files_root / name).mkdir(exist_ok=True)
    return f"file://{server.files_root}/{name}"


async def test_a_file_of_any_name_is_served(
    annotator: LabelStudio, label_studio: LabelStudioServer, person: Person, new_spec: Spec
) -> None:
    files = bucket(label_studio, "odd-names")
    for name in NAMES:
        path = label_studio.files_root / "odd-names" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"bytes of {name}".encode())
    dataset = await annotator.ensure_dataset(new_spec(buckets=(files,)))
    assert await shown(dataset, person, files, NAMES) == {name: (200, f"bytes of {name}") for name in NAMES}


async def shown(
    dataset: LabelStudioDataset, person: Person, bucket: str, keys: Sequence[str]
) -> dict[str, tuple[int, str]]:
    """key → status and text of what a person's browser gets for the task of the object."""
    batch = [NewTask(key, dataset.task_data(ObjectRef(bucket, key), None), {}) for key in keys]
    ids = await dataset.import_tasks("m1", batch)
    links = [person.get(f"/api/tasks/{task_id}/")["data"]["image"] for task_id in ids]
    answers = [person.http.get(link) for link in links]
    return {key: (answer.status_code, answer.text) for key, answer in zip(keys, answers, strict=True)}


async def test_a_bucket_whose_path_is_escaped_is_served(
    annotator: LabelStudio, label_studio: LabelStudioServer, person: Person, new_spec: Spec
) -> None:
    folder = label_studio.files_root / "two words"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"bytes")
    files = f"file://{label_studio.files_root}/two%20words"
    dataset = await annotator.ensure_dataset(new_spec(buckets=(files,)))
    assert await shown(dataset, person, files, ["a.jpg"]) == {"a.jpg": (200, "bytes")}


async def test_a_local_storage_is_found_again_and_creates_no_tasks(
    annotator: LabelStudio, label_studio: LabelStudioServer, person: Person, new_spec: Spec
) -> None:
    spec = new_spec(buckets=(bucket(label_studio, "again"), bucket(label_studio, "other")))
    (label_studio.files_root / "again" / "a.jpg").write_bytes(b"x")
    for _ in range(2):
        dataset = await annotator.ensure_dataset(spec)
    stored = person.get("/api/storages/localfiles/", project=dataset.project)
    assert sorted(storage["path"].rsplit("/", 1)[1] for storage in stored) == ["again", "other"]
    for storage in stored:
        assert person.http.post(f"/api/storages/localfiles/{storage['id']}/sync").status_code == 400
    assert (await dataset.stats()).tasks == 0


async def test_a_bucket_outside_the_root_is_a_config_error(
    annotator: LabelStudio, label_studio: LabelStudioServer, new_spec: Spec
) -> None:
    root = label_studio.files_root
    for outside in (root, root.parent, root / ".." / "elsewhere", f"{root}-not"):
        await refused(annotator, new_spec(buckets=(f"file://{outside}",)), "local_files_root")


async def refused(annotator: LabelStudio, spec: DatasetSpec, match: str) -> None:
    """It is a ConfigError, and leaves no empty project behind."""
    with pytest.raises(ConfigError, match=match):
        await annotator.ensure_dataset(spec)
    assert await annotator.find_dataset(spec.title) is None


async def test_a_file_bucket_needs_the_root_to_be_named(
    connect: Connections, label_studio: LabelStudioServer, new_spec: Spec
) -> None:
    annotator = connect(label_studio.url, label_studio.pat)
    await refused(annotator, new_spec(buckets=(bucket(label_studio, "unnamed"),)), "local_files_root")


async def test_a_folder_the_server_does_not_see_is_a_config_error(
    annotator: LabelStudio, label_studio: LabelStudioServer, new_spec: Spec
) -> None:
    with pytest.raises(ConfigError, match="does not see"):
        await annotator.ensure_dataset(new_spec(buckets=(f"file://{label_studio.files_root}/not-there",)))


async def test_a_root_that_is_not_the_servers_is_a_config_error(
    connect: Connections, label_studio: LabelStudioServer, new_spec: Spec
) -> None:
    outside = label_studio.files_root.parent / "outside"
    outside.mkdir(exist_ok=True)
    annotator = connect(label_studio.url, label_studio.pat, local_files_root=label_studio.files_root.parent)
    with pytest.raises(ConfigError, match="not inside the root the server uses"):
        await annotator.ensure_dataset(new_spec(buckets=(f"file://{outside}",)))


async def test_text_datasets_need_no_storage(
    connect: Connections, label_studio: LabelStudioServer, person: Person, new_spec: Spec
) -> None:
    config = CONFIG.replace('<Image name="image" value="$image"/>', '<Text name="image" value="$text"/>')
    annotator = connect(label_studio.url, label_studio.pat)
    dataset = await annotator.ensure_dataset(new_spec(config, buckets=("s3://texts", "file:///texts")))
    assert person.get("/api/storages/localfiles/", project=dataset.project) == []
    with pytest.raises(Rejected):
        dataset.task_data(ObjectRef("s3://texts", "a.bin"), "a\0b")


async def test_an_s3_bucket_nobody_connected_is_a_config_error(annotator: LabelStudio, new_spec: Spec) -> None:
    spec = new_spec(buckets=("s3://pets",))
    await refused(annotator, spec, "s3://pets")
    await annotator.ensure_dataset(replace(spec, buckets=()))
    with pytest.raises(ConfigError, match="s3://pets"):
        await annotator.ensure_dataset(spec)


async def test_an_s3_bucket_whose_secret_is_missing_is_a_config_error(
    connect: Connections, label_studio: LabelStudioServer, new_spec: Spec
) -> None:
    link = {"bucket": "s3://pets", "access_key_id": {"file": connect.folder / "no-such-secret"}}
    annotator = connect(label_studio.url, label_studio.pat, storages=[link])
    await refused(annotator, new_spec(buckets=("s3://pets",)), "access_key_id")


async def test_a_bucket_of_another_kind_is_a_config_error(annotator: LabelStudio, new_spec: Spec) -> None:
    await refused(annotator, new_spec(buckets=("gs://pets",)), "gs://pets")


async def test_an_s3_endpoint_the_server_cannot_use_is_a_config_error_without_the_secret(
    connect: Connections, label_studio: LabelStudioServer, new_spec: Spec
) -> None:
    secret = connect.folder / "s3-secret"
    secret.write_text(HUSH)
    link = {
        "bucket": "s3://pets",
        "endpoint": f"http://127.0.0.1:{free_port()}",
        "access_key_id": {"file": secret},
        "secret_access_key": {"file": secret},
    }
    annotator = connect(label_studio.url, label_studio.pat, storages=[link])
    with pytest.raises(ConfigError, match="storages") as caught:
        await annotator.ensure_dataset(new_spec(buckets=("s3://pets",)))
    assert HUSH not in str(caught.value)


async def test_an_s3_object_of_any_name_is_served(
    connect: Connections, label_studio: LabelStudioServer, person: Person, seaweed: Seaweed, new_spec: Spec
) -> None:
    prefix = seaweed.fresh().rsplit("/", 1)[1]
    keys = [f"{prefix}/{name}" for name in NAMES if "?" not in name]
    store = S3Store(seaweed.bucket, config=seaweed.options)  # type: ignore[arg-type]
    for key in keys:
        await store.put_async(key, f"bytes of {key}".encode())
    pets = f"s3://{seaweed.bucket}"
    dataset = await s3_annotator(connect, label_studio, seaweed).ensure_dataset(new_spec(buckets=(pets,)))
    assert await shown(dataset, person, pets, keys) == {key: (200, f"bytes of {key}") for key in keys}


def s3_annotator(connect: Connections, server: LabelStudioServer, seaweed: Seaweed, **changes: object) -> LabelStudio:
    for field in ("aws_access_key_id", "aws_secret_access_key"):
        (connect.folder / field).write_text(seaweed.options[field])
    link = {
        "bucket": f"s3://{seaweed.bucket}",
        "endpoint": seaweed.endpoint,
        "region": seaweed.options["aws_region"],
        "access_key_id": {"file": connect.folder / "aws_access_key_id"},
        "secret_access_key": {"file": connect.folder / "aws_secret_access_key"},
        **changes,
    }
    return connect(server.url, server.pat, storages=[link])


async def test_an_s3_storage_is_found_again_follows_the_options_and_creates_no_tasks(
    connect: Connections, label_studio: LabelStudioServer, person: Person, seaweed: Seaweed, new_spec: Spec
) -> None:
    store = S3Store(seaweed.bucket, config=seaweed.options)  # type: ignore[arg-type]
    await store.put_async("kept/a.jpg", b"x")
    spec = new_spec(buckets=(f"s3://{seaweed.bucket}",))
    await s3_annotator(connect, label_studio, seaweed).ensure_dataset(spec)
    dataset = await s3_annotator(connect, label_studio, seaweed, presign=True).ensure_dataset(spec)
    (storage,) = person.get("/api/storages/s3/", project=dataset.project)
    assert (storage["bucket"], storage["presign"]) == (seaweed.bucket, True)
    assert person.http.post(f"/api/storages/s3/{storage['id']}/sync").status_code == 400
    assert (await dataset.stats()).tasks == 0


async def test_an_s3_storage_made_by_a_person_is_left_alone(
    connect: Connections, label_studio: LabelStudioServer, person: Person, seaweed: Seaweed, new_spec: Spec
) -> None:
    spec = new_spec()
    dataset = await connect(label_studio.url, label_studio.pat).ensure_dataset(spec)
    theirs = {"project": dataset.project, "bucket": seaweed.bucket, "s3_endpoint": seaweed.endpoint, "title": "theirs"}
    keys = {name: seaweed.options[name] for name in ("aws_access_key_id", "aws_secret_access_key")}
    before = person.post("/api/storages/s3/", {**theirs, **keys, "region_name": "us-east-1"})
    with_bucket = replace(spec, buckets=(f"s3://{seaweed.bucket}",))
    await connect(label_studio.url, label_studio.pat).ensure_dataset(with_bucket)
    await s3_annotator(connect, label_studio, seaweed).ensure_dataset(with_bucket)
    (storage,) = person.get("/api/storages/s3/", project=dataset.project)
    assert (storage["id"], storage["title"]) == (before["id"], "theirs")


async def test_an_s3_key_with_a_question_mark_is_rejected(annotator: LabelStudio, new_spec: Spec) -> None:
    dataset = await annotator.ensure_dataset(new_spec())
    with pytest.raises(Rejected, match=re.escape("a?b.jpg")):
        dataset.task_data(ObjectRef("s3://pets", "a?b.jpg"), None)


async def test_a_guarded_server_is_told_with_the_way_out(
    connect: Connections, own_label_studio: Callable[..., LabelStudioServer], new_spec: Spec
) -> None:
    """Its defaults: no private addresses for webhooks and S3 endpoints, no local files."""
    server = own_label_studio(
        {"LABEL_STUDIO_SSRF_PROTECTION_ENABLED": "true", "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "false"}
    )
    link = {"bucket": "s3://pets", "endpoint": "http://127.0.0.1:9000"}
    annotator = connect(server.url, server.pat, local_files_root=server.files_root, storages=[link])
    dataset = await annotator.ensure_dataset(new_spec())
    private = await dataset.ensure_webhook("http://127.0.0.1:8080/x", HUSH)
    assert not private.registered
    assert "LABEL_STUDIO_SSRF_PROTECTION_ENABLED=false" in private.reason
    unknown = await dataset.ensure_webhook("http://no.such.host.invalid:8080/x", HUSH)
    assert not unknown.registered
    assert "cannot resolve" in unknown.reason
    with pytest.raises(ConfigError, match="LABEL_STUDIO_SSRF_PROTECTION_ENABLED=false"):
        await annotator.ensure_dataset(new_spec(buckets=("s3://pets",)))
    with pytest.raises(ConfigError, match="LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true"):
        await annotator.ensure_dataset(new_spec(buckets=(bucket(server, "pets"),)))
