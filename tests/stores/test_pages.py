"""Pages of listings as servers write them. Google's and Azure's are documented shapes: no server of theirs was had."""

from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.domain.errors import Retryable
from syncd.stores.answers import Page
from syncd.stores.pages import read_azure, read_gcs, read_s3

NAMESPACE = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


def s3(*rows: str, more: str = "", encoded: bool = True, namespace: str = NAMESPACE) -> bytes:
    told = "<EncodingType>url</EncodingType>" if encoded else ""
    told += f"<IsTruncated>true</IsTruncated><NextContinuationToken>{more}</NextContinuationToken>" if more else ""
    return f"<?xml version='1.0'?><ListBucketResult{namespace}>{told}{''.join(rows)}</ListBucketResult>".encode()


def row(key: str, etag: str = "&quot;e1&quot;", size: object = 3, extra: str = "") -> str:
    return f"<Contents><Key>{key}</Key>{extra}<ETag>{etag}</ETag><Size>{size}</Size></Contents>"


@pytest.mark.parametrize("etag", ["&quot;e1&quot;", "&#34;e1&#34;", "&#x22;e1&#x22;", '"e1"', "e1"])
@pytest.mark.parametrize("namespace", [NAMESPACE, ""])
def test_an_etag_is_read_however_it_is_quoted(etag: str, namespace: str) -> None:
    assert read_s3(s3(row("k", etag), namespace=namespace)) == Page([("k", "e1", 3, None)])


OTHER_SHAPES = {
    "a comment": "<!-- <Key>not this</Key> -->",
    "an owner": "<Owner><ID>1</ID><DisplayName>Key</DisplayName></Owner>",
    "a section": "<Note><![CDATA[<Key>not this</Key>]]></Note>",
    "another reference": "<Note>&#169;</Note>",
}


@pytest.mark.parametrize("extra", OTHER_SHAPES.values(), ids=OTHER_SHAPES.keys())
def test_what_else_stands_in_a_page_is_passed_over(extra: str) -> None:
    found = read_s3(s3(row("a+b", extra=extra), row("c%2Fd"), more="next &amp; on"))
    assert found == Page([("a b", "e1", 3, None), ("c/d", "e1", 3, None)], "next & on")


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1), unique=True), st.booleans())
def test_any_key_is_read_back_in_either_encoding_of_its_percent_form(keys: list[str], plus: bool) -> None:
    page = s3(*(row(quote_plus(key) if plus else quote(key, safe="")) for key in keys))
    assert [entry[0] for entry in read_s3(page).entries] == keys


@given(st.lists(st.text("ab<>&\"'%+ é😀", min_size=1), unique=True))
def test_a_server_that_knows_no_encoding_is_read_as_it_writes(keys: list[str]) -> None:
    page = s3(*(row(escape(key)) for key in keys), encoded=False)
    assert [entry[0] for entry in read_s3(page).entries] == keys


def test_a_key_that_is_no_text_is_passed_over() -> None:
    assert read_s3(s3(row("%ff"), row("b"))) == Page([("b", "e1", 3, None)])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no xml",
        b"<html></html>",
        s3(row("k"))[:-30],
        b'<!DOCTYPE x [<!ENTITY a "aaaa">]>' + s3(row("&a;")),
        s3(row("k", size="many")),
        s3(row("k")).replace(b"<Contents>", b"<IsTruncated>true</IsTruncated><Contents>"),
    ],
)
def test_what_is_no_page_is_never_taken_for_a_short_one(body: bytes) -> None:
    with pytest.raises(Retryable, match="a page of the listing cannot be read"):
        read_s3(body)


def test_azures_page_leaves_directories_out_and_decodes_what_says_that_it_is_encoded() -> None:
    body = b"""<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="https://a/" ContainerName="c">
      <Blobs>
        <Blob><Name>a%20b</Name><VersionId>v1</VersionId><Properties><Content-Length>12</Content-Length>
          <Etag>0x8D</Etag><ResourceType>file</ResourceType></Properties></Blob>
        <Blob><Name Encoded="true">x%EF%BF%BF</Name><Properties><Content-Length>1</Content-Length><Etag>"0x8E"</Etag>
          </Properties></Blob>
        <Blob><Name>folder</Name><Properties><Content-Length>0</Content-Length><Etag>0x8F</Etag>
          <ResourceType>directory</ResourceType></Properties></Blob>
      </Blobs><NextMarker>m/1</NextMarker></EnumerationResults>"""
    assert read_azure(body) == Page([("a%20b", "0x8D", 12, "v1"), ("x\uffff", "0x8E", 1, None)], "m/1")


def test_googles_page_has_the_generation_for_a_version() -> None:
    body = b'{"nextPageToken": "t", "items": [{"name": "a//b", "etag": "CJ=", "generation": "17", "size": "1024"}]}'
    assert read_gcs(body) == Page([("a//b", "CJ=", 1024, "17")], "t")
    assert read_gcs(b"{}") == Page([])


@pytest.mark.parametrize("body", [b"", b"[]", b'{"items": [{"name": "a"}]}', b'{"items": 3}'])
def test_what_is_no_list_of_google_is_refused(body: bytes) -> None:
    with pytest.raises(Retryable, match="no list of objects"):
        read_gcs(body)


@pytest.mark.parametrize("body", [b"<x/>", b"<EnumerationResults><Blobs><Blob/></Blobs></EnumerationResults>"])
def test_what_is_no_page_of_azure_is_refused(body: bytes) -> None:
    with pytest.raises(Retryable, match="cannot be read"):
        read_azure(body)
