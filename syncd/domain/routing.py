"""Which objects go into which dataset: globs over keys, and bucket URLs of folders.

Used by the service (routes), the sources (to skip early) and the reconcile flow. Pure text work; no limit but
that one pattern may not expand to more than 1,000 by its braces.

Patterns are matched against the whole key, case-sensitively:

    *       any characters within one part          ?       one character, not /
    [ab]    one of these; [!ab] none of these       {a,b}   either
    **      any number of parts, none included      \\       takes the next character as it is

A pattern without `/` is matched against the last part of the key, however deep: `*.jpg` is `**/*.jpg`.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import InitVar, dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

import bracex
from wcmatch import glob

from syncd.domain.errors import ConfigError, Problem
from syncd.domain.model import ObjectRef

if TYPE_CHECKING:
    from syncd.domain.layout import Layout

TEMPORARY = (
    "*~",
    "*.part",
    "*.partial",
    "*.tmp",
    "*.temp",
    "*.crdownload",
    "*.download",
    "*.filepart",
    "*.sw[pox]",
    ".#*",
    "#*#",
    "~$*",
    ".~lock.*",
    ".syncd-*",
)
"""Names of files that are not finished yet (editors, browsers, copy tools); never accepted by any selection."""

PROBE = ".syncd-probe-"
"""How the names of probe objects begin (`syncd bucket check`): sources pass them on, nothing ever becomes of them."""

_FLAGS = glob.GLOBSTAR | glob.BRACE | glob.DOTGLOB | glob.CASE | glob.FORCEUNIX
_MOST_EXPANSIONS = 1_000
_FILE = "file://"


def is_probe(key: str) -> bool:
    """Whether this is a probe object, wherever in the bucket."""
    return key.rpartition("/")[2].startswith(PROBE)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which keys of a bucket are meant: those that an include names (none given: all) and no exclude does.

    `hidden`: whether keys count that have a part starting with a dot. Temporary names and directory markers
    (keys ending in `/`) never count. `origin` is the dotted name of the configuration table the patterns come
    from; a pattern that cannot be meant raises ConfigError naming `<origin>.include[0]` and so on.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    hidden: bool = False
    origin: InitVar[str] = "selection"
    _includes: "_Globs" = field(init=False, repr=False, compare=False)
    _excludes: "_Globs" = field(init=False, repr=False, compare=False)

    def __post_init__(self, origin: str) -> None:
        problems = [*_problems(self.include, f"{origin}.include"), *_problems(self.exclude, f"{origin}.exclude")]
        if problems:
            raise ConfigError(problems)
        object.__setattr__(self, "_includes", _Globs(self.include or ("**",)))
        object.__setattr__(self, "_excludes", _Globs((*self.exclude, *TEMPORARY)))

    def accepts(self, key: str) -> bool:
        """Whether this key is meant."""
        if key.endswith("/") or (not self.hidden and (key.startswith(".") or "/." in key)):
            return False
        return self._includes.match(key) and not self._excludes.match(key)


class _Globs:
    """Patterns as what decides them soonest: endings and beginnings of the last part of a key, then expressions.

    Most patterns are such as `*.jpg` or `.#*`, and every key there is passes through here.
    """

    __slots__ = ("_beginnings", "_endings", "_everything", "_last_part", "_whole")

    def __init__(self, given: Sequence[str]) -> None:
        patterns = [p.removeprefix("**/") if p.count("/") == 1 else p for p in given]  # however deep: the last part
        self._everything = "**" in patterns
        self._endings = tuple(p[1:] for p in patterns if _ENDING.fullmatch(p))
        self._beginnings = tuple(p[:-1] for p in patterns if _BEGINNING.fullmatch(p))
        others = [p for p in patterns if not (_ENDING.fullmatch(p) or _BEGINNING.fullmatch(p))]
        self._last_part = _union(p for p in others if "/" not in p)
        self._whole = _union(p for p in others if "/" in p)

    def match(self, key: str) -> bool:
        if self._everything or key.endswith(self._endings):
            return True
        start = key.rfind("/") + 1
        if key.startswith(self._beginnings, start):
            return True
        if self._last_part and self._last_part.fullmatch(key, start):
            return True
        return bool(self._whole and self._whole.fullmatch(key))


_ENDING = re.compile(r"\*[\w.~-]+")
_BEGINNING = re.compile(r"[\w.~$#-]+\*")


def _union(patterns: Iterable[str]) -> re.Pattern[str] | None:
    expressions = [expression for pattern in patterns for expression in _translate(pattern)]
    return re.compile("|".join(expressions)) if expressions else None


def _translate(pattern: str) -> list[str]:
    positive, _ = glob.translate(pattern, flags=_FLAGS, limit=0)  # the limit was checked before
    # The anchors go: fullmatch does their work, starts at the last part, and is not fooled by a final newline.
    return [expression.removeprefix("^").removesuffix("$") for expression in positive]


def _problems(patterns: Sequence[str], where: str) -> list[Problem]:
    checked = ((f"{where}[{i}]", pattern, _fault(pattern)) for i, pattern in enumerate(patterns))
    return [Problem(name, repr(pattern), fault) for name, pattern, fault in checked if fault]


def _fault(pattern: str) -> str:
    plain = re.sub(r"\\.", "", pattern)
    if not plain.strip():
        return "a glob that is not empty, such as **/*.jpg"
    if plain.startswith("/"):
        return "a glob without / at its start: keys are relative to the bucket"
    if plain.endswith("/"):
        return "a glob that names objects: to mean all below a folder, end it in /**"
    if {".", ".."} & set(plain.split("/")):
        return "a glob without . and .. as parts: keys are taken as they are"
    if _open_bracket(plain):
        return r"a glob whose [ and { are closed (write \[ or \{ to mean the character)"
    return _fault_of_expansion(pattern)


def _open_bracket(plain: str) -> bool:
    outside = re.sub(r"\[[!^]?\]?[^\]]*\]", "", plain)
    return "[" in outside or outside.count("{") != outside.count("}")


def _fault_of_expansion(pattern: str) -> str:
    try:
        bracex.expand(pattern, limit=_MOST_EXPANSIONS)
    except bracex.ExpansionLimitException:
        return f"a glob whose braces expand to at most {_MOST_EXPANSIONS} patterns"
    return ""


@dataclass(frozen=True, slots=True)
class Route:
    """Objects of a bucket that all selections accept go into a dataset, as what its layout says they are."""

    dataset: str
    bucket: str
    selections: tuple[Selection, ...] = ()
    layout: "Layout | None" = None

    def selects(self, key: str) -> bool:
        """Whether all selections accept this key of the bucket."""
        return all(selection.accepts(key) for selection in self.selections)

    def subject(self, ref: ObjectRef) -> ObjectRef | None:
        """What an event of this object of the bucket is about in the dataset; None: nothing."""
        if not self.selects(ref.key):
            return None
        return self.layout.subject(ref) if self.layout else ref


class Routes:
    """All routes. One object may go into several datasets."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._by_bucket: defaultdict[str, list[Route]] = defaultdict(list)
        for route in routes:
            self._by_bucket[route.bucket].append(route)

    def add(self, route: Route) -> None:
        """One more."""
        self._by_bucket[route.bucket].append(route)

    def subjects(self, ref: ObjectRef) -> tuple[tuple[str, ObjectRef], ...]:
        """The datasets that an event of this object concerns, and what of each it is about; none: nobody wants it."""
        found: dict[tuple[str, ObjectRef], None] = {}
        for route in self._by_bucket.get(ref.bucket, ()):
            if about := route.subject(ref):
                found[route.dataset, about] = None
        return tuple(found)

    def selects(self, dataset: str, ref: ObjectRef) -> bool:
        """Whether a route leads this object to the dataset, whatever it is to that one's layout."""
        return any(route.dataset == dataset and route.selects(ref.key) for route in self._by_bucket.get(ref.bucket, ()))

    def datasets(self, ref: ObjectRef) -> tuple[str, ...]:
        """The datasets this object belongs to, each once, in the order of the routes; none: nobody wants it."""
        return tuple(dict.fromkeys(dataset for dataset, _ in self.subjects(ref)))


def bucket_url(path: str) -> str:
    """The bucket URL of a folder: `/data/my photos/` → `file:///data/my%20photos`. ValueError: not absolute."""
    if not path.startswith("/"):
        raise ValueError(f"{path!r} is not an absolute path")
    parts = [quote(part, safe="") for part in path.split("/") if part not in {"", "."}]
    return f"{_FILE}/{'/'.join(parts)}"


def folder_path(bucket: str) -> str:
    """The folder of a bucket URL, the inverse of `bucket_url`. ValueError: not such a URL."""
    if not bucket.startswith(f"{_FILE}/"):
        raise ValueError(f"{bucket!r} is not of the form file:///path")
    return unquote(bucket.removeprefix(_FILE), errors="strict")
