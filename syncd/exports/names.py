"""File names made of object keys: relative, unique, and safe on every file system and in every tool.

Used by `pictures`. Pure, and the same whatever the order of the keys: what a name becomes when it collides is taken
from what it names, never from a counter.

A name keeps the folders and the extension of its key. In each part, what Windows forbids
(https://learn.microsoft.com/windows/win32/fileio/naming-a-file), control characters and white space (lists of names
are cut at it) become `_`; so do a leading dot, and dots at the end. Text is NFC. Two names are told apart without
their case and without their extension (`a.jpg` and `A.PNG` would share one label file): all but one of such names, and
those that were too long, get the first 8 hex digits of a sha256 behind the stem.
"""

import hashlib
import re
import unicodedata
from collections.abc import Hashable, Iterable, Mapping
from pathlib import PurePosixPath

PART = 150
"""Longest part of a name in bytes; file systems allow 255, and formats put an extension of their own behind it."""
WHOLE = 700
"""Longest name in bytes."""

_FORBIDDEN = re.compile(r'[<>:"|?*\\\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202f\u2066-\u2069\ud800-\udfff]')
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)", re.IGNORECASE)
_EXTENSION = re.compile(r"\.\w{1,8}$", re.ASCII)


def unique_names(keys: Mapping[Hashable, str], *, flat: bool = False) -> dict[Hashable, str]:
    """A name for each thing that has a key. `flat`: in one folder, the key's folders joined by `__`."""
    wanted = {thing: _safe(key, flat=flat) for thing, key in keys.items()}
    folders = {_folded(str(folder)) for name in wanted.values() for folder in PurePosixPath(name).parents}
    names: dict[Hashable, str] = {}
    taken: set[str] = set()
    # what fits as it is comes first, so that a plain name is not lost to one that was made plain
    for thing in sorted(keys, key=lambda thing: (wanted[thing] != keys[thing], keys[thing], repr(thing))):
        name = wanted[thing]
        if _folded(name) in folders or _folded(stem(name)) in taken:
            name = _marked(name, repr((keys[thing], thing)))
        taken.add(_folded(stem(name)))
        names[thing] = name
    return names


def stem(name: str) -> str:
    """A name without its extension: what a file about it is called. As unique as the names are."""
    return name.removesuffix(_extension(name))


def unique_parts(texts: Iterable[str]) -> dict[str, str]:
    """A part of a path for each text, told apart without their case."""
    return {str(text): name for text, name in unique_names({text: text.replace("/", "_") for text in texts}).items()}


def _safe(key: str, *, flat: bool) -> str:
    parts = [_part(part) for part in key.split("/") if part] or ["_"]
    name = "__".join(parts) if flat else "/".join(parts)
    too_long = any(len(part.encode()) > PART for part in name.split("/")) or len(name.encode()) > WHOLE
    return _shortened(name, key) if too_long else name


def _part(text: str) -> str:
    text = _FORBIDDEN.sub("_", unicodedata.normalize("NFC", text))
    text = re.sub(r"^\.|\.+$", "_", text)
    return f"_{text}" if _DEVICES.match(text) or not text else text


def _shortened(name: str, key: str) -> str:
    extension = _extension(name)
    start = name.removesuffix(extension).rpartition("/")[2].encode()[: PART - 20].decode(errors="ignore")
    return _marked(start + extension, key)


def _marked(name: str, what: str) -> str:
    extension = _extension(name)
    mark = hashlib.sha256(what.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{name.removesuffix(extension)}-{mark}{extension}"


def _extension(name: str) -> str:
    found = _EXTENSION.search(name)
    return found[0] if found and found.start() and name[found.start() - 1] != "/" else ""


def _folded(name: str) -> str:
    """What file systems that do not mind case, and those that decompose, take for the same."""
    return unicodedata.normalize("NFD", name).casefold()
