"""SeaweedFS's filer tells of entries; what objects they belong to. Shapes as SeaweedFS 4.48 was seen to send them."""

import json
from typing import Any

import pytest

from syncd.domain.errors import Rejected
from syncd.domain.model import ObjectRef, Observation
from syncd.domain.notifications import Notices
from syncd.domain.notifications.seaweedfs import parse_seaweedfs

NOW = 1000.0
LOOK = Observation(NOW)


def entry(name: str, *extended: str, directory: bool = False) -> dict[str, Any]:
    """As the filer describes one; `is_directory` stands on directories only."""
    about = {"file_size": 5, "mtime": 1795280000, "md5": "XUFAKrxLKna5cZ2REBfFkg==", "file_mode": 432}
    named = {"name": name, "attributes": about, "extended": {f"Seaweed-X-Amz-{member}": "eA==" for member in extended}}
    return {**named, "is_directory": True} if directory else named


OBJECT = entry("a b+é.jpg", "ETag", "Owner")
FOLDER = entry("in", directory=True)
VERSION = entry("v_6715e1", "ETag", "Owner", "Version-Id")
OLD_VERSION = entry("v_6715e0", "ETag", "Noncurrent-Since-Ns", "Owner", "Version-Id")
MARKER = entry("v_6715e2", "Delete-Marker", "Version-Id")
VERSIONS = entry("a.jpg.versions", "Latest-Version-ETag", "Latest-Version-Id", "Latest-Version-Size", directory=True)
BARE_VERSIONS = entry("a.jpg.versions", directory=True)
UPLOAD = ".uploads/6cbac5642c4ee350f0b1265cee8aa16e_e2aae4b5"


def parse(event: str, path: str, old: Any = None, new: Any = None, parent: str | None = None) -> Notices:
    """Of a path that is absolute, or of an object of the bucket."""
    message = {"old_entry": old, "new_entry": new, "delete_chunks": False, "new_parent_path": parent}
    key = path if path.startswith("/") else f"/buckets/photos/{path}"
    return parse_seaweedfs(json.dumps({"event_type": event, "key": key, "message": message}).encode(), NOW)


@pytest.mark.parametrize(
    ("event", "path", "old", "new", "key"),
    [
        ("create", "in/a b+é.jpg", None, OBJECT, "in/a b+é.jpg"),
        ("update", "in/a b+é.jpg", OBJECT, OBJECT, "in/a b+é.jpg"),
        ("delete", "in/a b+é.jpg", OBJECT, None, "in/a b+é.jpg"),
        ("create", "a%2520b", None, OBJECT, "a%2520b"),
        ("create", "a.jpg.versions/v_6715e1", None, VERSION, "a.jpg"),
        ("update", "a.jpg.versions/v_6715e0", VERSION, OLD_VERSION, "a.jpg"),
        ("create", "a.jpg.versions/v_6715e2", None, MARKER, "a.jpg"),
        ("delete", "a.jpg.versions/v_6715e0", OLD_VERSION, None, "a.jpg"),
        ("update", "a.jpg.versions", BARE_VERSIONS, VERSIONS, "a.jpg"),
        ("delete", "a.jpg.versions", VERSIONS, None, "a.jpg"),
        ("create", "x.versions/v_a.jpg", None, OBJECT, "x.versions/v_a.jpg"),  # somebody's own folder
    ],
)
def test_every_event_of_an_object_says_look_at_it(event: str, path: str, old: Any, new: Any, key: str) -> None:
    notices = parse(event, path, old, new, "" if new is None else f"/buckets/photos/{path}".rpartition("/")[0])
    assert notices == Notices([(ObjectRef("s3://photos", key), LOOK)], [], {})


def test_a_rename_is_looked_at_on_both_sides() -> None:
    notices = parse("rename", "in/copy.jpg", entry("copy.jpg"), entry("x.jpg"), "/buckets/photos/moved")
    assert [ref.key for ref, _ in notices.seen] == ["in/copy.jpg", "moved/x.jpg"]


def test_a_rename_into_another_bucket_is_one_of_both() -> None:
    notices = parse("rename", "a.jpg", entry("a.jpg"), entry("a.jpg"), "/buckets/other")
    assert [ref for ref, _ in notices.seen] == [ObjectRef("s3://other", "a.jpg"), ObjectRef("s3://photos", "a.jpg")]


@pytest.mark.parametrize(
    ("event", "path", "old", "new", "counted"),
    [
        ("create", "in", None, FOLDER, "directory"),
        ("create", "a.jpg.versions", None, BARE_VERSIONS, "directory"),
        ("rename", "in", FOLDER, FOLDER, "directory"),  # each object in it has an event of its own
        ("create", ".uploads", None, entry(".uploads", directory=True), "directory"),
        ("create", f"{UPLOAD}/0001_7e53.part", None, entry("0001_7e53.part", "ETag"), "upload_part"),
        ("delete", f"{UPLOAD}/0001_7e53.part", entry("0001_7e53.part", "ETag"), None, "upload_part"),
        ("made up", "a.jpg", None, OBJECT, "other"),
    ],
)
def test_what_is_no_object_is_counted(event: str, path: str, old: Any, new: Any, counted: str) -> None:
    assert parse(event, path, old, new).ignored == {counted: 1}


@pytest.mark.parametrize("path", ["/etc/passwd", "/bucket/photos/a", "/buckets/photos", "/buckets/", "/"])
def test_what_lies_outside_of_buckets_is_counted(path: str) -> None:
    assert parse("create", path, None, OBJECT).ignored == {"outside_of_buckets": 1}


def test_names_like_those_of_uploads_are_objects_elsewhere() -> None:
    assert [ref.key for ref, _ in parse("create", "in/.uploads/a.part", None, OBJECT).seen] == ["in/.uploads/a.part"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"event_type": "create", "key": 7, "message": {}}, "malformed"),
        ({"event_type": "create", "message": {}}, "malformed"),
        ({"event_type": "create", "key": "/buckets/photos/a\0b", "message": {}}, "invalid_key"),
        ({"event_type": "create", "key": "/buckets/photos/" + "x" * 1025, "message": {}}, "invalid_key"),
        ({"event_type": "create", "key": "/buckets/pho tos/a", "message": {}}, "malformed"),
    ],
)
def test_what_names_no_object_is_bad(body: Any, reason: str) -> None:
    assert [bad.reason for bad in parse_seaweedfs(json.dumps(body).encode(), NOW).bad] == [reason]


@pytest.mark.parametrize("entry_", [7, "x", [], {"extended": 7}, {"is_directory": "yes"}])
def test_odd_entries_are_taken_for_objects(entry_: Any) -> None:
    assert [ref.key for ref, _ in parse("create", "a.jpg", None, entry_).seen] == ["a.jpg"]


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"event_type": 7, "message": {}}', b'{"event_type": "create"}'])
def test_what_no_filer_sends_is_rejected(body: bytes) -> None:
    with pytest.raises(Rejected):
        parse_seaweedfs(body, NOW)
