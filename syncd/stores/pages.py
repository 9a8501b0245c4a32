"""Pages of listings, parsed: ListObjectsV2 of S3, List Blobs of Azure. Pure.

Keys come percent-encoded where a server was asked for it and says so (S3 `encoding-type=url`: XML 1.0 has no control
characters), and are decoded once. Expat reads the page; a document type, and with it every entity of somebody's own,
is refused.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import repeat
from operator import itemgetter
from typing import cast
from urllib.parse import unquote, unquote_plus
from xml.etree.ElementTree import Element, ParseError, XMLParser
from xml.sax.saxutils import unescape

import orjson
import structlog

from syncd.domain.errors import Retryable
from syncd.ports import Entry
from syncd.stores.answers import Page

log = structlog.get_logger()

_KEY, _SIZE = re.compile("<Key>([^<]*)</Key>"), re.compile("<Size>([0-9]{1,19})</Size>")
_ETAG = re.compile('<ETag>(?:&quot;|&#34;|")?([^<&"]+)(?:&quot;|&#34;|")?</ETag>')
_QUOTES = {"&quot;": '"', "&apos;": "'", "&#34;": '"', "&#x22;": '"', "&#39;": "'"}
_OTHER = re.compile(rf"&(?!(?:amp|lt|gt|{'|'.join(quote[1:-1] for quote in _QUOTES)});)")
_DIGITS = re.compile("[0-9]{1,19}")
_MORE = re.compile("<NextContinuationToken>([^<]*)<")
_UNREADABLE = "a page of the listing cannot be read"


def read_s3(body: bytes) -> Page:
    """A ListBucketResult."""
    return _read_plain(body.decode(errors="replace")) or _read_any(_root(body))


def _read_plain(page: str) -> Page | None:
    """A page as all known servers write it: no comments, sections or attributes, and each entry with the three facts.

    A fifth of the parser's time. None: it is another one, for the parser to read.
    """
    head, _, rows = page.partition("<Contents>")
    count = rows.count("<Contents>") + 1
    if (
        not rows.rstrip().endswith("</ListBucketResult>")
        or _holds(page, "<!")
        or _holds(rows, "<?")
        or "\N{REPLACEMENT CHARACTER}" in page
        or _OTHER.search(page)
    ):
        return None
    keys, etags, sizes = _KEY.findall(rows), _ETAG.findall(rows), _SIZE.findall(rows)
    if not len(keys) == len(etags) == len(sizes) == count == rows.count("</Contents>"):
        return None
    if page.count("<ListBucketResult") != 1:
        return None
    told = head + rows[rows.rindex("</Contents>") :]
    encoded = "<EncodingType>url</EncodingType>" in told
    more = _MORE.search(told)
    names = [_decoded(_text(key), encoded) for key in keys]
    return _page(list(zip(names, etags, map(int, sizes), repeat(None))), _text(more[1]) if more else "", told)


def _holds(page: str, mark: str) -> bool:
    """Whether `<!` or `<?` is in it. The sign alone, which is rare, is sought first: that is 20 times as fast."""
    return mark[1] in page and mark in page


def _text(escaped: str) -> str:
    return unescape(escaped, _QUOTES) if "&" in escaped else escaped


def _read_any(root: Element) -> Page:
    """Whatever XML it is. Its names may or may not be in a namespace: some servers leave it out."""
    ns = root.tag.partition("}")[0] + "}" if "}" in root.tag else ""
    if root.tag != f"{ns}ListBucketResult":
        raise Retryable(f"{_UNREADABLE}: it is a {root.tag.rpartition('}')[2][:40]}")
    encoded = root.findtext(f"{ns}EncodingType") == "url"
    key, etag, size = f"{ns}Key", f"{ns}ETag", f"{ns}Size"
    try:
        entries = [
            (
                _decoded(row.findtext(key, ""), encoded),
                row.findtext(etag, "").strip('"') or None,
                int(row.findtext(size, "")),
                None,
            )
            for row in root.iterfind(f"{ns}Contents")
        ]
    except ValueError:
        raise Retryable(f"{_UNREADABLE}: an entry has no key or size") from None
    truncated = f"<IsTruncated>{root.findtext(f'{ns}IsTruncated')}"
    return _page(entries, root.findtext(f"{ns}NextContinuationToken", ""), truncated)


def _page(entries: Sequence[tuple[str | None, str | None, int, None]], more: str, told: str) -> Page:
    """Without the keys that are none."""
    if "<IsTruncated>true" in told and not more:
        raise Retryable(f"{_UNREADABLE}: there is more, but no token to ask for it")
    if all(map(itemgetter(0), entries)):
        return Page(cast("Sequence[Entry]", entries), more)
    return Page([(key, etag, size, None) for key, etag, size, _ in entries if key], more)


def _decoded(name: str, encoded: bool) -> str | None:
    """The key; None where it is no UTF-8, and so can be no key."""
    if not encoded or not ("%" in name or "+" in name):
        return name
    try:
        return unquote_plus(name, errors="strict")
    except UnicodeDecodeError:
        log.warning("object.skipped", key=name, reason="key that is not UTF-8")
        return None


def read_azure(body: bytes) -> Page:
    """An EnumerationResults. Directories of a hierarchical namespace are no objects."""
    root = _root(body)
    if root.tag != "EnumerationResults":
        raise Retryable(f"{_UNREADABLE}: it is a {root.tag[:40]}")
    return Page(list(_blobs(root)), root.findtext("NextMarker") or "")


def _blobs(root: Element) -> Iterator[Entry]:
    for blob in root.iterfind("Blobs/Blob"):
        name = blob.find("Name")
        facts = blob.find("Properties")
        if name is None or facts is None or name.text is None:
            raise Retryable(f"{_UNREADABLE}: a blob has no name or no properties")
        if facts.findtext("ResourceType") == "directory":
            continue
        key = unquote(name.text) if name.get("Encoded") == "true" else name.text
        etag = facts.findtext("Etag", "").strip('"') or None
        yield key, etag, _size(facts.findtext("Content-Length") or "0"), blob.findtext("VersionId")


def _size(text: str) -> int:
    if not _DIGITS.fullmatch(text):
        raise Retryable(f"{_UNREADABLE}: a size is no number")
    return int(text)


def read_gcs(body: bytes) -> Page:
    """A list of objects in JSON. The generation is the version id, as in notifications."""
    try:
        found = orjson.loads(body)
        items = found.get("items", ())
        entries = [
            (_word(o["name"]), _word(o.get("etag", "")) or None, int(o.get("size", 0)), str(o["generation"]))
            for o in items
        ]
        return Page(entries, _word(found.get("nextPageToken", "")))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Retryable(f"{_UNREADABLE}: it is no list of objects") from None


def _word(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _root(body: bytes) -> Element:
    if b"<!DOCTYPE" in body[:1_000]:
        raise Retryable(f"{_UNREADABLE}: it has a document type")
    parser = XMLParser()  # noqa: S314 - of the configured bucket's server, without a document type
    try:
        parser.feed(body)
        root = parser.close()
    except ParseError as error:
        hint = "does the server know encoding-type=url? A key with control characters needs it"
        raise Retryable(f"{_UNREADABLE}: no XML at line {error.position[0]}; {hint}") from None
    if not isinstance(root, Element):
        raise Retryable(f"{_UNREADABLE}: it is empty")
    return root
