"""Blob Storage through Event Grid, in both schemas: names from URLs, files complete with their flush."""

import json
from typing import Any

import pytest

from syncd.domain.errors import Rejected
from syncd.domain.model import ObjectRef, Observation
from syncd.domain.notifications import Notices
from syncd.domain.notifications.azure import parse_event_grid

NOW = 1000.0
LOOK = Observation(NOW)
HOST = "https://my-storage-account.blob.core.windows.net"
ACCOUNT = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/Storage/providers/Microsoft.Storage"
    "/storageAccounts/my-storage-account"
)
DATA: dict[str, Any] = {
    "api": "PutBlockList", "clientRequestId": "6d79dbfb-0e37-4fc4-981f-442c9ca65760",
    "requestId": "831e1650-001e-001b-66ab-eeb76e000000", "eTag": '"0x8D4BCC2E4835CD0"', "contentType": "text/plain",
    "contentLength": 524288, "blobType": "BlockBlob", "url": f"{HOST}/photos/in/a%20b%2B%2525%C3%A9.jpg",
    "sequencer": "000000000000000000000000000089A4000000000018d6ea",
    "storageDiagnostics": {"batchId": "b68529f3-68cd-4744-baa4-3c0498ec19f0"},
}  # fmt: skip
REF = ObjectRef("az://photos", "in/a b+%25é.jpg")
SEQUENCER = "azure:000000000000000000000000000089A4000000000018D6EA"
WRITTEN = Observation(NOW, "0x8D4BCC2E4835CD0", sequencer=SEQUENCER, size=524288)


def event(kind: str = "BlobCreated", subject: str | None = None, **data: Any) -> dict[str, Any]:
    return {
        "topic": ACCOUNT, "subject": subject or "/blobServices/default/containers/photos/blobs/in/a b+%25é.jpg",
        "eventType": f"Microsoft.Storage.{kind}", "eventTime": "2017-06-26T18:41:00.9584103Z",
        "id": "831e1650-001e-001b-66ab-eeb76e069631", "dataVersion": "", "metadataVersion": "1",
        "data": {name: value for name, value in {**DATA, **data}.items() if value is not None},
    }  # fmt: skip


def cloud_event(of: dict[str, Any]) -> dict[str, Any]:
    kept = {"source": of["topic"], "type": of["eventType"], "time": of["eventTime"], "specversion": "1.0"}
    return kept | {name: of[name] for name in ("subject", "id", "data")}


def parse(*events: dict[str, Any], account: str | None = None) -> Notices:
    """Of both schemas, which have to say the same."""
    notices = parse_event_grid(json.dumps(events).encode(), NOW, account=account)
    same = parse_event_grid(json.dumps([cloud_event(e) for e in events]).encode(), NOW, account=account)
    assert (same.seen, same.ignored, same.rescan) == (notices.seen, notices.ignored, notices.rescan)
    assert [(bad.reason, bad.detail) for bad in same.bad] == [(bad.reason, bad.detail) for bad in notices.bad]
    return notices


def only(notices: Notices) -> Observation:
    ((ref, seen),) = notices.seen
    assert ref == REF
    return seen


def test_both_schemas_say_the_same_one_by_one_or_in_a_list() -> None:
    assert only(parse(event())) == WRITTEN
    for one in (event(), cloud_event(event())):
        assert only(parse_event_grid(json.dumps(one).encode(), NOW)) == WRITTEN


def test_sequencers_are_compared_whatever_their_case() -> None:
    assert only(parse(event(sequencer=DATA["sequencer"].lower()))).sequencer == SEQUENCER


@pytest.mark.parametrize("api", ["PutBlob", "PutBlockList", "FlushWithClose", "SftpCommit"])
def test_a_file_that_is_complete_was_written(api: str) -> None:
    assert only(parse(event(api=api))) == WRITTEN


def test_a_file_is_complete_with_its_flush() -> None:
    created = event(api="CreateFile", contentLength=0, contentOffset=0)
    notices = parse(created, event(api="FlushWithClose"), event(api="SftpCreate", contentLength=0))
    assert only(notices) == WRITTEN
    assert notices.ignored == {"unfinished": 2}


def test_a_copy_may_only_have_begun() -> None:
    assert only(parse(event(api="CopyBlob"))) == LOOK


@pytest.mark.parametrize("api", ["DeleteBlob", "DeleteFile"])
def test_a_deletion_is_in_order(api: str) -> None:
    gone = event("BlobDeleted", api=api, eTag=None, contentLength=None)
    assert only(parse(gone)) == Observation(NOW, sequencer=SEQUENCER, gone=True)


@pytest.mark.parametrize("query", ["snapshot=2026-11-20T10:00:00.0000000Z", "versionid=2026-11-20T10%3A00%3A00Z"])
def test_the_deletion_of_a_snapshot_or_an_old_version_is_not_the_blobs(query: str) -> None:
    assert only(parse(event("BlobDeleted", url=f"{DATA['url']}?{query}"))) == LOOK


def test_a_rename_is_looked_at_on_both_sides() -> None:
    dfs = "https://my-storage-account.dfs.core.windows.net/photos"
    renamed = event("BlobRenamed", api="RenameFile", url=None, sourceUrl=f"{dfs}/a%20b", destinationUrl=f"{dfs}/c/d%25")
    assert parse(renamed).seen == [(ObjectRef("az://photos", "a b"), LOOK), (ObjectRef("az://photos", "c/d%"), LOOK)]


@pytest.mark.parametrize("kind", ["DirectoryRenamed", "DirectoryDeleted"])
def test_a_directory_names_none_of_its_files_so_the_bucket_is_listed(kind: str) -> None:
    notices = parse(event(kind, recursive="true"), event())
    assert notices.rescan
    assert notices.ignored == {kind: 1}
    assert only(notices) == WRITTEN
    assert not parse(event()).rescan


@pytest.mark.parametrize(
    ("kind", "counted"),
    [("BlobTierChanged", "BlobTierChanged"), ("AsyncOperationInitiated", "AsyncOperationInitiated"),
     ("DirectoryCreated", "DirectoryCreated"), ("MadeUp", "other")],
)  # fmt: skip
def test_other_events_are_counted(kind: str, counted: str) -> None:
    assert parse(event(kind)).ignored == {counted: 1}


def test_events_of_other_services_are_counted() -> None:
    validation = {"eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "data": {"validationCode": "x"}}
    assert parse_event_grid(json.dumps([validation]).encode(), NOW).ignored == {"other_source": 1}


def test_only_the_account_that_is_meant_is_heard() -> None:
    assert only(parse(event(), account="My-Storage-Account")) == WRITTEN
    assert parse(event(), account="another").ignored == {"other_account": 1}


@pytest.mark.parametrize(
    ("url", "subject", "bucket", "key"),
    [
        (f"{HOST}/photos/a.jpg", "/containers/other/blobs/a.jpg", "photos", "a.jpg"),
        ("https://acc.dfs.core.windows.net/photos/d/a.jpg", "", "photos", "d/a.jpg"),
        ("http://127.0.0.1:10000/acc/photos/a.jpg", "/blobServices/default/containers/photos/blobs/a.jpg", "photos",
         "a.jpg"),
        (f"{HOST}/photos/photos/a.jpg", "/blobServices/default/containers/photos/blobs/photos/a.jpg", "photos",
         "photos/a.jpg"),
        (f"{HOST}/a.jpg", "/blobServices/default/containers/$root/blobs/a.jpg", "$root", "a.jpg"),
        (f"{HOST}/$root/a.jpg", "/blobServices/default/containers/$root/blobs/a.jpg", "$root", "a.jpg"),
        (f"{HOST}/photos//a//b", "/blobServices/default/containers/photos/blobs//a//b", "photos", "/a//b"),
        (f"{HOST}/photos/a%3Fb%23c?snapshot=x", "", "photos", "a?b#c"),
        (f"{HOST}/photos/a+b", "", "photos", "a+b"),
    ],
)  # fmt: skip
def test_the_url_names_the_blob(url: str, subject: str, bucket: str, key: str) -> None:
    assert parse(event(subject=subject or "x", url=url)).seen == [(ObjectRef(f"az://{bucket}", key), WRITTEN)]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (None, "malformed"),
        (7, "malformed"),
        ("", "malformed"),
        ("photos/a.jpg", "malformed"),
        (HOST, "malformed"),
        (f"{HOST}/", "malformed"),
        (f"{HOST}/photos", "invalid_key"),
        (f"{HOST}/pho%20tos/a", "malformed"),
        (f"{HOST}/photos/%ff", "invalid_key"),
        (f"{HOST}/photos/a%00b", "invalid_key"),
        (f"{HOST}/photos/" + "x" * 1025, "invalid_key"),
    ],
)
def test_what_names_no_blob_is_bad(url: object, reason: str) -> None:
    assert [bad.reason for bad in parse(event(url=url)).bad] == [reason]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"metadataVersion": "2"}, "unsupported_version"),
        ({"specversion": "2.0"}, "unsupported_version"),
        ({"data": None}, "malformed"),
        ({"data": {**DATA, "contentLength": -1}}, "malformed"),
    ],
)
def test_an_event_of_another_shape_is_bad_alone(changed: dict[str, Any], reason: str) -> None:
    notices = parse_event_grid(json.dumps([{**event(), **changed}, event()]).encode(), NOW)
    assert [bad.reason for bad in notices.bad] == [reason]
    assert only(notices) == WRITTEN


@pytest.mark.parametrize("sequencer", [None, "", "x", 7, "0" * 65])
def test_without_a_sequencer_it_is_a_look(sequencer: object) -> None:
    assert only(parse(event(sequencer=sequencer))) == LOOK
    assert only(parse(event("BlobDeleted", sequencer=sequencer))) == LOOK


@pytest.mark.parametrize("body", [b"", b"{}", b"7", b"[7]", b"[[]]", b"[{}]", b'[{"eventType": 7}]', b"[null]"])
def test_what_holds_no_events_is_rejected(body: bytes) -> None:
    with pytest.raises(Rejected):
        parse_event_grid(body, NOW)


@pytest.mark.parametrize("odd", [7, None, [], {}, {"eventType": 7}])
def test_what_is_no_event_costs_those_beside_it_nothing(odd: object) -> None:
    """A 400 would be the end of the whole batch at Event Grid."""
    found = parse_event_grid(json.dumps([event(), odd]).encode(), NOW)
    assert len(found.seen) == 1
    assert [bad.reason for bad in found.bad] == ["malformed"]


def test_an_empty_list_is_nothing() -> None:
    assert parse_event_grid(b"[]", NOW) == Notices([], [], {})
