"""Records of S3, MinIO and Ceph: keys by the sender's rule, order by the sender's count, everything else counted."""

import json
from typing import Any

import pytest

from syncd.domain.errors import Rejected
from syncd.domain.model import ObjectRef, Observation
from syncd.domain.notifications import EXCERPT, Notices
from syncd.domain.notifications.s3 import parse_s3

NOW = 1000.0
REF = ObjectRef("s3://photos", "in/a b+é.jpg")
LOOK = Observation(NOW)

AWS: dict[str, Any] = {
    "eventVersion": "2.6", "eventSource": "aws:s3", "awsRegion": "us-west-2",
    "eventTime": "1970-01-01T00:00:00.000Z", "eventName": "ObjectCreated:Put",
    "userIdentity": {"principalId": "AIDAJDPLRKLG7UEXAMPLE"}, "requestParameters": {"sourceIPAddress": "172.16.0.1"},
    "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810", "x-amz-id-2": "FMyUVURIY8/IgAtTv8xRjskZQpcIZ9KG4V5W"},
    "s3": {
        "s3SchemaVersion": "1.0", "configurationId": "testConfigRule",
        "bucket": {"name": "photos", "ownerIdentity": {"principalId": "A3NL1KOZZKExample"},
                   "arn": "arn:aws:s3:::photos"},
        "object": {"key": "in/a+b%2B%C3%A9.jpg", "size": 1024, "eTag": "d41d8cd98f00b204e9800998ecf8427e",
                   "versionId": "096fKKXTRTtl3on89fVO.nfljtsv6qko", "sequencer": "0055AED6DCD90281E5"},
    },
}  # fmt: skip
MINIO: dict[str, Any] = {
    "eventVersion": "2.0", "eventSource": "minio:s3", "awsRegion": "", "eventTime": "2019-10-22T09:27:27Z",
    "eventName": "s3:ObjectCreated:Put", "userIdentity": {"principalId": "AKIAIOSFODNN7EXAMPLE"},
    "requestParameters": {"region": "", "sourceIPAddress": "172.16.118.255", "accessKey": "AKIAIOSFODNN7EXAMPLE"},
    "responseElements": {"x-amz-request-id": "15CFEDF8D4736ED9"},
    "s3": {
        "s3SchemaVersion": "1.0", "configurationId": "Config",
        "bucket": {"name": "photos", "ownerIdentity": {"principalId": "x"}, "arn": "arn:aws:s3:::photos"},
        "object": {"key": "in%2Fa+b%2B%C3%A9.jpg", "size": 224662, "eTag": "5fc7298143efe1276d39a3466d4e255f-1",
                   "contentType": "image/jpeg", "userMetadata": {"content-type": "image/jpeg"}, "versionId": "1",
                   "sequencer": "15CFEDF8D5304D1A"},
    },
    "source": {"host": "172.16.118.255", "port": "", "userAgent": "Mozilla/5.0"},
}  # fmt: skip
CEPH: dict[str, Any] = {
    "eventVersion": "2.2", "eventSource": "ceph:s3", "awsRegion": "", "eventTime": "2019-11-22T13:47:35.124724Z",
    "eventName": "ObjectCreated:Put", "userIdentity": {"principalId": "tester"},
    "requestParameters": {"sourceIPAddress": ""},
    "responseElements": {"x-amz-request-id": "503a4c37-85eb-47cd-8681-2817e80b4281.5330.903595", "x-amz-id-2": "14d2"},
    "s3": {
        "s3SchemaVersion": "1.0", "configurationId": "mynotif1",
        "bucket": {"name": "photos", "ownerIdentity": {"principalId": "tester"}, "arn": "arn:aws:s3:::photos",
                   "id": "503a4c37-85eb-47cd-8681-2817e80b4281.5332.38"},
        "object": {"key": "in/a b+é.jpg", "size": "1024", "eTag": "37b51d194a7513e45b56f6524f2d51f2", "versionId": "",
                   "sequencer": "F7E6D75DC742D108", "metadata": [{"key": "x-amz-meta-a", "val": "b"}], "tags": []},
    },
    "eventId": "1575221657.102001.80dcb0d8e4e59c5c1c4b84cc31b2aa2f", "opaqueData": "secret",
}  # fmt: skip


def parse(*records: Any, **top: Any) -> Notices:
    return parse_s3(json.dumps({"Records": list(records), **top}).encode(), NOW)


def record(base: dict[str, Any], name: str | None = None, **thing: Any) -> dict[str, Any]:
    """A record under another event name, with members of its object replaced, or left out where they are None."""
    changed = {**base["s3"]["object"], **thing}
    kept = {key: value for key, value in changed.items() if value is not None}
    return {**base, "eventName": name or base["eventName"], "s3": {**base["s3"], "object": kept}}


def only(notices: Notices) -> Observation:
    ((ref, seen),) = notices.seen
    assert ref == REF
    assert not notices.bad
    return seen


def test_s3_says_which_version_of_which_object_and_in_which_order() -> None:
    seen = only(parse(AWS))
    assert seen == Observation(
        NOW, "d41d8cd98f00b204e9800998ecf8427e", "096fKKXTRTtl3on89fVO.nfljtsv6qko", "s3:0055AED6DCD90281E5", 1024
    )


def test_minio_sends_the_key_as_forms_do_slashes_too_and_counts_nanoseconds() -> None:
    seen = only(parse(MINIO, EventName="s3:ObjectCreated:Put", Key="photos/in/a b+é.jpg"))
    assert seen == Observation(
        NOW, "5fc7298143efe1276d39a3466d4e255f-1", sequencer="minio:15CFEDF8D5304D1A", size=224662
    ), "and version 1, which old servers give all objects, is no version"
    uuid = "f47ac10b-58cc-4372-a567-0e02b2c3d479"
    assert only(parse(record(MINIO, versionId=uuid))).version_id == uuid


def test_ceph_sends_the_key_as_it_is_sizes_as_text_and_counts_backwards() -> None:
    seen = only(parse(CEPH))
    assert seen == Observation(NOW, "37b51d194a7513e45b56f6524f2d51f2", sequencer="ceph:5DD7E6F708D142C7", size=1024)
    assert parse(record(CEPH, key="a%20b+c")).seen[0][0].key == "a%20b+c"


def test_an_emulator_that_knows_no_order_is_not_believed_further_than_that() -> None:
    assert only(parse(record(AWS, sequencer=None))) == LOOK  # moto
    assert only(parse(record(AWS, "ObjectRemoved:Delete", sequencer=None, versionId=None))) == LOOK


@pytest.mark.parametrize("sequencer", ["", "not hex", "0" * 65, 7, [], True, "00AÉ", "-1", "0x1", "00 1"])
@pytest.mark.parametrize("base", [AWS, MINIO, CEPH], ids=["s3", "minio", "ceph"])
def test_a_sequencer_that_is_none_makes_it_a_look(base: dict[str, Any], sequencer: object) -> None:
    assert only(parse(record(base, sequencer=sequencer))) == LOOK


@pytest.mark.parametrize(
    ("name", "version", "expected"),
    [
        ("ObjectCreated:Put", "v", "created"),
        ("ObjectCreated:Post", "v", "created"),
        ("ObjectCreated:Copy", "v", "created"),
        ("ObjectCreated:CompleteMultipartUpload", "v", "created"),
        ("ObjectCreated:SomethingNew", "v", "look"),
        ("ObjectRemoved:Delete", None, "gone"),
        ("ObjectRemoved:Delete", "", "gone"),
        ("ObjectRemoved:Delete", "v", "look"),  # one version: another may be the object now
        ("ObjectRemoved:Delete", "null", "look"),
        ("ObjectRemoved:DeleteMarkerCreated", "v", "gone"),
        ("ObjectRemoved:DeleteAllVersions", "v", "gone"),
        ("ObjectRemoved:NoOP", "v", "look"),
        ("LifecycleExpiration:Delete", None, "gone"),
        ("LifecycleExpiration:Delete", "v", "look"),
        ("LifecycleExpiration:DeleteMarkerCreated", "v", "gone"),
        ("ObjectRestore:Completed", "v", "look"),
        ("ObjectLifecycle:Expiration:Current", "v", "look"),
        ("ObjectSynced:Create", "v", "look"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "s3:"])
def test_what_became_of_the_object(prefix: str, name: str, version: str | None, expected: str) -> None:
    seen = only(parse(record(AWS, prefix + name, versionId=version)))
    sequencer = "s3:0055AED6DCD90281E5"
    assert (
        seen
        == {
            "created": Observation(NOW, "d41d8cd98f00b204e9800998ecf8427e", version, sequencer, 1024),
            "gone": Observation(NOW, sequencer=sequencer, gone=True),
            "look": LOOK,
        }[expected]
    )


@pytest.mark.parametrize(
    ("name", "counted"),
    [
        ("ObjectTagging:Put", "ObjectTagging"),
        ("ObjectAcl:Put", "ObjectAcl"),
        ("s3:ObjectAccessed:Get", "ObjectAccessed"),
        ("ObjectRestore:Post", "ObjectRestore"),
        ("ObjectRestore:Delete", "ObjectRestore"),
        ("LifecycleTransition", "LifecycleTransition"),
        ("Replication:OperationReplicatedAfterThreshold", "Replication"),
        ("s3:ObjectCreated:PutTagging", "ObjectCreated"),
        ("ObjectLifecycle:Expiration:NonCurrent", "ObjectLifecycle"),
        ("made-up by an attacker 1", "other"),
        ("made-up:by an attacker 2", "other"),
        ("", "other"),
        (None, "other"),
        (7, "other"),
        (["ObjectCreated:Put"], "other"),
    ],
)
def test_all_other_events_are_counted_by_few_names(name: Any, counted: str) -> None:
    assert parse({**AWS, "eventName": name}) == Notices([], [], {counted: 1})


def test_a_deletion_of_minio_comes_after_the_birth_whose_time_it_tells() -> None:
    born, ended = only(parse(MINIO)), only(parse(record(MINIO, "s3:ObjectRemoved:Delete", versionId=None)))
    assert ended == Observation(NOW, sequencer="minio:15CFEDF8D5304D1A1", gone=True)
    assert born.sequencer
    assert ended.sequencer
    assert born.sequencer < ended.sequencer < "minio:15CFEDF8D5304D1B"


@pytest.mark.parametrize("version", ["2.0", "2.1", "2.3", "2.99", "2", None])
def test_minor_versions_are_taken_and_their_new_members_passed_over(version: str | None) -> None:
    assert only(parse({**AWS, "eventVersion": version, "new": {"deep": [1]}})).etag


@pytest.mark.parametrize("version", ["3.0", "1.0", "", "x", 3, [], {}])
def test_a_major_version_that_is_not_known_is_kept_for_a_person(version: object) -> None:
    (bad,) = parse({**AWS, "eventVersion": version}).bad
    assert bad.reason == "unsupported_version"
    assert json.loads(bad.excerpt)["s3"]["bucket"]["name"] == "photos"


@pytest.mark.parametrize("size", [0, 1, 2**63 - 1, "0", "1024", 50 * 2**40])
def test_sizes_come_as_numbers_and_as_text(size: int | str) -> None:
    assert only(parse(record(AWS, size=size))).size == int(size)


@pytest.mark.parametrize("size", [-1, 2**63, 2**64, 1.0, "-1", "1e3", "x", "9" * 19, "9" * 400, True, [], {}, "\u0661"])
def test_what_is_no_size_is_bad(size: object) -> None:
    notices = parse(record(AWS, size=size))
    assert [bad.reason for bad in notices.bad] == ["malformed"]
    assert not notices.seen


def test_a_size_may_be_missing() -> None:
    assert only(parse(record(AWS, size=None))).size is None
    assert only(parse(record(AWS, size=""))).size is None


@pytest.mark.parametrize("etag", ['"abc"', "abc", 'W/"abc"', ' "abc" '])
def test_etags_lose_their_quotes(etag: str) -> None:
    assert only(parse(record(AWS, eTag=etag))).etag == "abc"


@pytest.mark.parametrize("etag", ["", '""', "a\0b", "a b", "é", "x" * 1025, 7, [], None])
def test_what_is_no_etag_tells_no_version(etag: object) -> None:
    assert only(parse(record(AWS, eTag=etag, versionId=None))) == LOOK
    assert only(parse(record(AWS, eTag=etag))).version == "096fKKXTRTtl3on89fVO.nfljtsv6qko"


def test_null_is_the_version_of_buckets_without_versions() -> None:
    assert only(parse(record(AWS, versionId="null"))).version_id is None


def test_other_services_records_are_not_ours() -> None:
    assert parse({"eventSource": "aws:ses", "ses": {}}, {"EventSource": "aws:sns"}).ignored == {"other_source": 2}


def test_a_server_whose_encoding_of_keys_is_not_known_is_no_guess() -> None:
    (bad,) = parse({**AWS, "eventSource": "other:s3"}).bad
    assert bad.reason == "malformed"
    assert "eventSource" in bad.detail


def test_a_test_event_says_nothing() -> None:
    event = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2014-10-13T15:57:02.089Z", "Bucket": "photos"}
    assert parse_s3(json.dumps(event).encode(), NOW) == Notices(ignored={"TestEvent": 1})


def test_no_records_are_nothing() -> None:
    assert parse() == Notices([], [], {})
    assert parse_s3(b'{"Records": null}', NOW) == Notices([], [], {})


@pytest.mark.parametrize("body", [b"{}", b'{"Records": {}}', b'{"Records": "x"}', b'{"records": []}', b"[]", b"7"])
def test_what_holds_no_records_is_rejected(body: bytes) -> None:
    with pytest.raises(Rejected):
        parse_s3(body, NOW)


@pytest.mark.parametrize(
    "odd", [None, 7, "x", [], {"eventSource": "aws:s3", "eventName": "ObjectCreated:Put"}, {**AWS, "s3": None},
            {**AWS, "s3": {"bucket": {"name": "photos"}}}, {**AWS, "s3": {"object": {"key": "a"}}}]
)  # fmt: skip
def test_a_record_of_another_shape_is_bad_alone(odd: Any) -> None:
    notices = parse(odd, AWS)
    assert [bad.reason for bad in notices.bad] == ["malformed"]
    assert [ref for ref, _ in notices.seen] == [REF]


@pytest.mark.parametrize("name", ["", "a b", "../x", "a/b", "a\0b", "é", "x" * 256, 7, None, "-a", "a\nb"])
def test_what_is_no_bucket_name_is_bad(name: object) -> None:
    (bad,) = parse({**AWS, "s3": {**AWS["s3"], "bucket": {"name": name}}}).bad
    assert bad.reason == "malformed"


def test_directory_markers_are_passed_over() -> None:
    assert parse(record(AWS, key="a/"), record(AWS, key="a%2F")).ignored == {"directory": 2}


def test_ten_thousand_records_are_sorted_one_by_one() -> None:
    """Every tenth is bad, every tenth is none of ours."""
    kinds: dict[int, dict[str, Any]] = {1: {"key": "%00"}, 2: {"size": -1}}
    records = [record(AWS, "ObjectTagging:Put" if n % 10 == 3 else None, **kinds.get(n % 20, {"key": f"{n}.jpg"}))
               for n in range(10_000)]  # fmt: skip
    notices = parse(*records)
    assert [ref.key for ref, _ in notices.seen] == [f"{n}.jpg" for n in range(10_000) if n % 20 not in {1, 2, 3, 13}]
    assert [bad.reason for bad in notices.bad] == ["invalid_key", "malformed"] * 500
    assert notices.ignored == {"ObjectTagging": 1000}


def test_what_is_kept_of_a_bad_event_is_bounded() -> None:
    (bad,) = parse(record(AWS, key="x" * 100_000)).bad
    assert (bad.reason, len(bad.excerpt)) == ("invalid_key", EXCERPT)
    assert "xxx" not in bad.detail
