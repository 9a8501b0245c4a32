"""What people say of a dataset, and where its files are: values for the card and for Croissant."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class About:
    """What only people know of a dataset; all of it may be missing.

    `license`: an SPDX identifier (`CC-BY-4.0`) or a URL. `creators`: names of people or organizations. `homepage`: a
    URL. `citation`: preferably BibTeX.
    """

    description: str = ""
    license: str = ""
    homepage: str = ""
    citation: str = ""
    creators: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()

    @classmethod
    def from_options(cls, options: Mapping[str, str]) -> "About":
        """Of texts by name, as exports take them: lists are divided by `;`."""
        values: dict[str, Any] = {field.name: options.get(field.name, "") for field in fields(cls)}
        lists = {name: _listed(values[name]) for name in ("creators", "keywords")}
        return cls(**values | lists)

    def to_options(self) -> dict[str, str]:
        """The inverse of `from_options`, without what is missing."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        texts = {name: "; ".join(value) if isinstance(value, tuple) else value for name, value in values.items()}
        return {name: text for name, text in texts.items() if text}


OPTIONS = {
    "description": "what the dataset is, for its card and Croissant metadata",
    "license": "an SPDX identifier such as CC-BY-4.0, or a URL",
    "homepage": "a URL",
    "citation": "how to cite it, best in BibTeX",
    "creators": "names of people or organizations, divided by ;",
    "keywords": "words to find it by, divided by ;",
}
"""The options by which exports take `About`."""


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(";") if part.strip())


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file that holds rows of the version. `path`: a URL, or relative to the description; `size` in bytes."""

    path: str
    size: int
    sha256: str
    split: str | None = None
