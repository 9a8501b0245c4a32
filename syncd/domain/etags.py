"""Etags: the one a folder's files have, and when two of them say the same.

Used by the folder store, which gives them, and by training's media, which holds an object to the one it was labelled
on. Pure. An etag of a file is made of modification time and size, so a rewrite of the same size within one tick of
the file system's clock is not seen.
"""


def file_etag(modified_ns: int, size: int) -> str:
    """The etag of a file: modification time (ns since 1970) and size (bytes), in hexadecimal."""
    return f"{modified_ns:x}-{size:x}"


def bare_etag(etag: str) -> str:
    """The etag without quotes and weakness mark: notifications leave out what HTTP headers carry (RFC 9110, 8.8.3)."""
    return etag.strip().removeprefix("W/").strip('"')


def same_etag(one: str, other: str) -> bool:
    """Whether two etags say the same, however each is quoted."""
    return bare_etag(one) == bare_etag(other)
