"""The object behind a row is the one that was labelled, or an error says that it no longer is."""

import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import obstore
import pytest

from syncd import open_snapshot
from syncd.domain.errors import ConfigError, Rejected, Retryable
from syncd.snapshots.location import open_root
from syncd.training.media import Media, MediaCache, MediaChanged, MediaGone, MediaRef
from syncd.training.snapshot import Snapshot
from tests.seaweed import Seaweed
from tests.training.labelled import Bucket, Labelled, folder_bucket, s3_bucket

KEYS = ["a b.jpg", "100%.jpg", "a%20b.jpg", "ü/ñ.jpg", "a#b.jpg", "a?b&c=d.jpg", "a:b*[x].jpg", "deep/er/..x.jpg"]


@pytest.fixture
def folder(tmp_path: Path) -> Labelled:
    return Labelled(tmp_path / "snapshots", folder_bucket(tmp_path / "my photos"))


@pytest.fixture
def s3(tmp_path: Path, seaweed: Seaweed) -> Labelled:
    return Labelled(tmp_path / "snapshots", s3_bucket(seaweed), seaweed.options, MediaCache(tmp_path / "cache"))


@pytest.fixture(params=["folder", "s3"])
def either(request: pytest.FixtureRequest) -> Labelled:
    labelled: Labelled = request.getfixturevalue(request.param)
    return labelled


def media_of(snapshot: Snapshot, key: str) -> Media:
    return snapshot.media(next(row for row in snapshot if row["key"] == key))


async def labelled_one(either: Labelled, data: bytes = b"labelled") -> tuple[str, Media]:
    key = f"{either.prefix}/a.jpg"
    await either.label({key: data})
    return key, media_of(either.open(), key)


# ---------------------------------------------------------------- as labelled


async def test_a_rows_object_is_read_as_it_was_labelled(either: Labelled) -> None:
    key, media = await labelled_one(either)
    with media.open() as file:
        assert (file.read(3), file.read()) == (b"lab", b"elled")
    assert (media.read(), media.size, media.path().read_bytes()) == (b"labelled", 8, b"labelled")
    assert media.uri == f"{either.bucket.url}/{key}"
    assert media.path().suffix == ".jpg"


async def test_keys_of_all_kinds_are_found(either: Labelled) -> None:
    objects = {f"{either.prefix}/{key}": key.encode() for key in KEYS}
    await either.label(objects)
    snapshot = either.open()
    assert {row["key"]: snapshot.media(row).read() for row in snapshot} == objects
    assert {row["key"]: snapshot.media(row).path().read_bytes() for row in snapshot} == objects


async def test_an_empty_object_is_one_too(either: Labelled) -> None:
    _, media = await labelled_one(either, b"")
    assert (media.read(), media.size) == (b"", 0)


async def test_a_files_path_is_the_file_itself(folder: Labelled) -> None:
    key, media = await labelled_one(folder)
    assert folder.bucket.folder is not None
    assert media.path() == folder.bucket.folder / key


async def test_a_pandas_row_will_do_and_one_without_the_columns_is_told(folder: Labelled) -> None:
    await labelled_one(folder)
    snapshot = folder.open()
    frame = snapshot.to_pandas()
    assert snapshot.media(frame.iloc[0]).read() == b"labelled"
    with pytest.raises(Rejected, match="the row has no etag, version_id: for media, read the columns bucket, key"):
        snapshot.media(next(snapshot.rows(columns=["bucket", "key"])))


async def test_a_row_without_an_object_is_told(folder: Labelled) -> None:
    await folder.label({"a": b""}, bucket=None, key=None, annotation_id="7")
    snapshot = folder.open()
    for row in (next(iter(snapshot)), snapshot.to_pandas().iloc[0]):
        with pytest.raises(Rejected, match="annotation 7 has no object in a bucket"):
            snapshot.media(row)


async def test_a_row_with_no_etag_gives_the_object_as_it_is_now(either: Labelled) -> None:
    key = f"{either.prefix}/a.jpg"
    await either.label({key: b"one"}, etag=None)
    media = media_of(either.open(), key)
    assert media.read() == b"one"
    either.bucket.put(key, b"two!")
    assert (media.read(), media.size) == (b"two!", 4)


@pytest.mark.parametrize("quoted", ['"{}"', 'W/"{}"', "{}"])
async def test_an_etag_is_the_same_however_it_is_quoted(s3: Labelled, quoted: str) -> None:
    key = f"{s3.prefix}/a.jpg"
    s3.bucket.put(key, b"labelled")
    etag = quoted.format(await s3.bucket.etag(key))
    await s3.commit(await s3.change(key, None, etag=etag))
    assert media_of(s3.open(), key).read() == b"labelled"


# ---------------------------------------------------------------- changed since


async def test_an_object_overwritten_after_labelling_is_refused(either: Labelled) -> None:
    key, media = await labelled_one(either)
    then = await either.bucket.etag(key)
    either.bucket.put(key, b"replaced")
    now = await either.bucket.etag(key)
    message = f"{media.uri} has changed since it was labelled (etag {then} then, {now} now): put the labelled one back"
    ways: list[Callable[[], Any]] = [media.open, media.read, media.path, lambda: media.size]
    for way in ways:
        with pytest.raises(MediaChanged, match=re.escape(message)):
            way()


async def test_an_object_removed_after_labelling_is_refused(either: Labelled) -> None:
    key, media = await labelled_one(either)
    obstore.delete(either.bucket.objects, key)
    for way in (media.open, media.path, lambda: media.size):
        with pytest.raises(MediaGone, match=re.escape(f"{media.uri} is gone since it was labelled (etag ")):
            way()


async def test_a_file_that_changes_while_it_is_read_is_refused(folder: Labelled) -> None:
    _, media = await labelled_one(folder, b"x" * 100_000)
    with media.open() as file:
        assert file.read(1) == b"x"
        with media.path().open("r+b") as other:
            other.write(b"yy")
        with pytest.raises(MediaChanged):
            file.read()


async def test_a_file_replaced_while_it_is_read_is_read_to_the_end_as_it_was(folder: Labelled) -> None:
    key, media = await labelled_one(folder, b"x" * 100_000)
    with media.open() as file:
        folder.bucket.put(key, b"y" * 100_000)
        assert file.read() == b"x" * 100_000


async def test_what_is_in_the_cache_is_read_as_labelled_whatever_became_of_the_object(s3: Labelled) -> None:
    key, media = await labelled_one(s3)
    assert media.read() == b"labelled"
    s3.bucket.put(key, b"replaced")
    assert media.read() == b"labelled"


async def test_a_touched_file_with_the_same_bytes_counts_as_changed(folder: Labelled) -> None:
    _, media = await labelled_one(folder)
    os.utime(media.path(), ns=(1, 1))
    with pytest.raises(MediaChanged, match=r"\(etag .*-8 then, 1-8 now\)"):
        media.read()


def test_a_version_id_says_more_than_an_etag() -> None:
    ref = MediaRef("s3://photos", "a.jpg", "then", "v7")
    ref.check("other", "v7")
    ref.check('"then"', "v8")
    with pytest.raises(MediaChanged):
        ref.check("other", "v8")
    with pytest.raises(MediaChanged, match="etag unknown then, now now"):
        MediaRef("s3://photos", "a.jpg", None, "v7").check("now", None)
    assert MediaRef.of({"bucket": "b", "key": "k", "etag": "e", "version_id": "null"}).version_id is None


# ---------------------------------------------------------------- never outside


@pytest.mark.parametrize("key", ["../secret", "a/../../secret", "/etc/passwd", "a//b", "./a", "a\0b"])
def test_a_key_never_leads_out_of_its_folder(folder: Labelled, tmp_path: Path, key: str) -> None:
    (tmp_path / "secret").write_bytes(b"s")
    snapshot_media = MediaRef(folder.bucket.url, key)
    with pytest.raises(Rejected, match="is no object of file://"):
        Media(snapshot_media, buckets()).open()


@pytest.mark.parametrize("key", ["../x", "a//b", "/lead", "trail/", "a\nb"])
def test_a_key_the_library_would_rewrite_is_refused(s3: Labelled, key: str) -> None:
    with pytest.raises(Rejected, match="cannot be read: empty parts"):
        Media(MediaRef(s3.bucket.url, key), buckets(s3.options)).path()


def test_links_pipes_and_folders_are_no_objects(folder: Labelled, tmp_path: Path) -> None:
    base = folder.bucket.folder
    assert base is not None
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x").write_bytes(b"s")
    (base / "link").symlink_to(tmp_path / "outside" / "x")
    (base / "linked").symlink_to(tmp_path / "outside")
    (base / "loop").symlink_to(base / "loop")
    os.mkfifo(base / "pipe")
    (base / "folder").mkdir()
    for key in ("link", "linked/x", "loop", "pipe", "folder", "none", "none/x"):
        with pytest.raises(MediaGone):
            Media(MediaRef(folder.bucket.url, key), buckets()).open()


# ---------------------------------------------------------------- buckets that cannot be read


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    def read(url: str, **options: str) -> None:
        Media(MediaRef(url, "a.jpg"), buckets(options)).path()

    with pytest.raises(Rejected, match="objects of ftp://host cannot be read; what can: file://, s3://, gs://, az://"):
        read("ftp://host")
    with pytest.raises(Rejected, match="mount it where it was"):
        read((tmp_path / "gone").as_uri())
    with pytest.raises(ConfigError, match="media_options: options by their object_store names"):
        read("s3://photos", nonsense="1")


def test_wrong_credentials_and_a_silent_server_are_told(seaweed: Seaweed, tmp_path: Path) -> None:
    def read(**options: str) -> None:
        media = Media(MediaRef("s3://snap", "a.jpg"), buckets({**seaweed.options, **options}))
        media.path()

    with pytest.raises(Rejected, match=r"s3://snap/a\.jpg may not be read: give open_snapshot media_options"):
        read(aws_secret_access_key="wrong")
    with pytest.raises(Retryable, match=r"reading s3://snap/a\.jpg"):
        read(aws_endpoint="http://127.0.0.1:1", timeout="1s")


async def test_media_take_the_snapshots_options_and_pass_over_other_vendors(seaweed: Seaweed, tmp_path: Path) -> None:
    bucket = s3_bucket(seaweed)
    labelled = Labelled(tmp_path / "snapshots", bucket)
    await labelled.label({f"{labelled.prefix}/a": b"labelled"})
    options = {**seaweed.options, "azure_storage_account_name": "x", "google_service_account": "/none"}
    cache = MediaCache(tmp_path / "cache")
    snapshot = open_snapshot(tmp_path / "snapshots" / "fruits", storage_options=options, media_cache=cache)
    assert snapshot.media(next(iter(snapshot))).read() == b"labelled"


# ---------------------------------------------------------------- many at once


async def test_prefetch_fetches_each_object_once_and_tells_of_each(s3: Labelled) -> None:
    objects = {f"{s3.prefix}/{n}": f"{n}".encode() for n in range(40)}
    changes = [await s3.change(key, data) for key, data in objects.items()]
    again = [await s3.change(key, None, annotation_id=f"{key} again") for key in objects]
    await s3.commit(*changes, *again)
    told: list[str] = []
    snapshot = s3.open()
    assert len(snapshot) == 80
    assert snapshot.prefetch(workers=8, progress=lambda media: told.append(media.ref.key)) == 40
    assert sorted(told) == sorted(objects)
    for key in objects:
        s3.bucket.put(key, b"replaced")
    assert {row["key"]: snapshot.media(row).read() for row in snapshot} == objects
    assert snapshot.prefetch(snapshot.rows()) == 40


async def test_prefetch_fetches_all_others_and_then_names_what_has_changed(either: Labelled) -> None:
    keys = [f"{either.prefix}/{n:02}" for n in range(30)]
    await either.label(dict.fromkeys(keys, b"labelled"))
    for key in keys[:12]:
        either.bucket.put(key, b"replaced!")
    told: list[str] = []
    with pytest.raises(MediaChanged, match=r"^12 of 30 objects: .*; and 2 more$") as error:
        either.open().prefetch(progress=lambda media: told.append(media.ref.key))
    assert str(error.value).count("has changed since") == 10
    assert sorted(told) == keys[12:]


async def test_one_changed_object_is_named_alone(folder: Labelled) -> None:
    await folder.label({"a": b"1", "b": b"2"})
    folder.bucket.put("b", b"three")
    with pytest.raises(MediaChanged, match=r"^file://.*/b has changed"):
        folder.open().prefetch()


async def test_a_pickled_snapshot_reads_its_media(s3: Labelled) -> None:
    key, _ = await labelled_one(s3)
    snapshot = pickle.loads(pickle.dumps(s3.open()))  # noqa: S301
    assert media_of(snapshot, key).read() == b"labelled"
    s3.forget()
    assert media_of(snapshot, key).read() == b"labelled"


def test_other_buckets_of_the_same_kind_are_told_apart(tmp_path: Path) -> None:
    one, two = Bucket("s3://a", open_root(tmp_path.as_uri()).objects), MediaRef("s3://b", "k", "e")
    assert MediaRef(one.url, "k", "e").name != two.name
    assert MediaRef("s3://a", "b/k", "e").name != MediaRef("s3://a/b", "k", "e").name
    assert MediaRef("s3://a", "k.jpg", '"e"').name == MediaRef("s3://a", "k.jpg", "e").name
    assert MediaRef("s3://a", "k./../x", "e").name.isalnum()


def buckets(options: dict[str, str] | None = None) -> Any:
    from syncd.training.media import Buckets  # noqa: PLC0415

    return Buckets(options)
