"""What the objects of a bucket are to a dataset: tasks, sidecars, members of a group, manifests; or nothing.

Made by the service from `[datasets.NAME]`, asked by the routes, the flows and the stores that show a bucket by it.
Pure. Some layouts make tasks of what is no single object; those live in a *derived bucket*, whose URL is that of the
bucket with a word before it: `groups+s3://photos` holds a group under its name, `rows+s3://photos` a row of a manifest
under `MANIFEST#ROW`. To everybody else they are objects like others.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from urllib.parse import quote, unquote

from syncd.domain.errors import ConfigError, Problem
from syncd.domain.model import SIDECAR, ObjectRef, Observation
from syncd.domain.routing import Selection
from syncd.domain.templates import KeyPattern

GROUPS = "groups+"
ROWS = "rows+"


class Role(StrEnum):
    """What an object is to a dataset."""

    TASK = "task"
    SIDECAR = "sidecar"
    MEMBER = "member"
    MANIFEST = "manifest"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Template:
    """A key with one placeholder, such as `left/{group}.jpg`. It stands for one character or more."""

    before: str
    after: str

    @classmethod
    def of(cls, text: str, *placeholders: str) -> "Template | None":
        """The template of a text with exactly one of these placeholders, once; None for any other text."""
        found = [name for name in placeholders if name in text]
        if len(found) != 1 or text.count(found[0]) != 1:
            return None
        before, _, after = text.partition(found[0])
        return cls(before, after)

    def fill(self, value: str) -> str:
        """The key where the placeholder is this."""
        return f"{self.before}{value}{self.after}"

    def match(self, key: str) -> str | None:
        """What the placeholder stands for in a key; None where the key is none of this template."""
        fits = key.startswith(self.before) and key.endswith(self.after)
        return key[len(self.before) : len(key) - len(self.after)] or None if fits and len(key) > self.literal else None

    @property
    def literal(self) -> int:
        """How many characters are fixed: the more, the more particular."""
        return len(self.before) + len(self.after)


@dataclass(frozen=True, slots=True)
class Limits:
    """How large an object may be (bytes), and how its key may end, whatever the case."""

    suffixes: tuple[str, ...] = ()
    min_size: int = 1
    max_size: int | None = None

    def names(self, key: str) -> bool:
        """Whether the key ends as one has to."""
        return not self.suffixes or key.lower().endswith(tuple(suffix.lower() for suffix in self.suffixes))

    def refuses(self, size: int | None) -> str:
        """Why an object of so many bytes becomes no task; empty where it may. An unknown size is not refused."""
        if size is None or self.min_size <= size <= (size if self.max_size is None else self.max_size):
            return ""
        if not size:
            return "the object is empty"
        return f"the object has {size} bytes, {'fewer than min_size' if size < self.min_size else 'more than max_size'}"


@dataclass(frozen=True, slots=True)
class Sidecar:
    """Objects that describe others: `{stem}.json` beside `cat.jpg` is `cat.json`, `{name}.json` is `cat.jpg.json`.

    A template may lead into a folder below that of the object. `wait` (s): how long a new object waits for one;
    `limit`: largest one that is read, bytes.
    """

    template: Template
    by_stem: bool
    wait: float = 5.0
    limit: int = 65536

    def of(self, key: str) -> str:
        """The key of an object's sidecar."""
        folder, name = _split(key)
        return folder + self.template.fill(_stem(name) if self.by_stem else name)

    def covers(self, key: str) -> bool:
        """Whether a key is one of a sidecar."""
        return self._named(key) is not None

    def objects(self, key: str, suffixes: Sequence[str]) -> list[str]:
        """The keys of the objects that a sidecar may describe; by stem, those with one of these suffixes."""
        named = self._named(key)
        if named is None:
            return []
        folder, name = named
        if not self.by_stem:
            return [folder + name]
        endings = dict.fromkeys(form for suffix in suffixes for form in (suffix, suffix.lower(), suffix.upper()))
        return [candidate for ending in endings if self.of(candidate := folder + name + ending) == key]

    def _named(self, key: str) -> tuple[str, str] | None:
        """Folder of the object, and its name or stem."""
        parts, deep = key.split("/"), self.template.before.count("/") + self.template.after.count("/") + 1
        folder, rest = "/".join(parts[:-deep]), "/".join(parts[-deep:])
        name = self.template.match(rest) if len(parts) >= deep else None
        return None if name is None or "/" in name else (f"{folder}/" if len(parts) > deep else "", name)


@dataclass(frozen=True)
class Members:
    """Groups of objects that are one task together: member name → the templates by which its key is found.

    The first template whose object is there counts. Without a member that is not `optional` there is no task; a
    person is told of it after `wait` seconds.
    """

    templates: Mapping[str, tuple[Template, ...]]
    optional: frozenset[str] = frozenset()
    wait: float = 600.0

    def find(self, key: str) -> tuple[str, str] | None:
        """Member and group of a key, by the most particular template that fits it; None: no member of any."""
        for template, member in self._by_literal:
            if group := template.match(key):
                return member, group
        return None

    def keys(self, group: str) -> Iterator[tuple[str, str]]:
        """Each member with the keys under which it may lie, in the order of preference."""
        for member, templates in self.templates.items():
            for key in (template.fill(group) for template in templates):
                if self.find(key) == (member, group):
                    yield member, key

    def missing(self, there: Sequence[str]) -> list[str]:
        """The members that a group with these lacks."""
        return [member for member in self.templates if member not in self.optional and member not in there]

    @cached_property
    def _by_literal(self) -> list[tuple[Template, str]]:
        pairs = [(template, member) for member, templates in self.templates.items() for template in templates]
        return sorted(pairs, key=lambda pair: -pair[0].literal)


@dataclass(frozen=True, slots=True)
class Manifests:
    """Objects that hold many tasks. `id_column`: what names a row; None: a hash of all of it.

    `limit`: largest manifest, bytes; `most_rows`: most rows of one. A manifest past either is refused as a whole.
    """

    selection: Selection
    id_column: str | None = None
    limit: int = 64 * 1024 * 1024
    most_rows: int = 100_000


@dataclass(frozen=True, slots=True)
class Layout:
    """How the tasks of one dataset lie in its buckets. At most one of `sidecar`, `members` and `manifests`.

    With a `pattern`, only keys in which it finds `name`.
    """

    selection: Selection = field(default_factory=lambda: Selection(hidden=True))
    limits: Limits = Limits()
    sidecar: Sidecar | None = None
    members: Members | None = None
    manifests: Manifests | None = None
    pattern: KeyPattern | None = None
    name: str = ""

    @property
    def composed(self) -> bool:
        """Whether tasks are made of anything but single objects."""
        return bool(self.sidecar or self.members or self.manifests)

    def role(self, key: str) -> Role:
        """What the object of this key, in a bucket of the dataset, is to it."""
        if self.pattern and self.pattern.name(key) != self.name:
            return Role.NOTHING
        if self.sidecar and self.sidecar.covers(key):
            return Role.SIDECAR
        if not (self.selection.accepts(key) and self.limits.names(key)):
            return Role.NOTHING
        if self.members:
            return Role.MEMBER if self.members.find(key) else Role.NOTHING
        if self.manifests:
            return Role.MANIFEST if self.manifests.selection.accepts(key) else Role.NOTHING
        return Role.TASK

    def subject(self, ref: ObjectRef) -> ObjectRef | None:
        """What an event of this object is about: the object, or the group that it is a member of; None: nothing."""
        role = self.role(ref.key)
        if role is Role.MEMBER and self.members and (found := self.members.find(ref.key)):
            return ObjectRef(GROUPS + ref.bucket, found[1])
        return None if role is Role.NOTHING else ref

    def makes(self, ref: ObjectRef) -> bool:
        """Whether this object, of a derived bucket or not, is one that tasks are made of."""
        if ref.bucket.startswith(GROUPS):
            return self.members is not None
        if ref.bucket.startswith(ROWS):
            return self.manifests is not None and self.role(row_of(ref.key)[0]) is Role.MANIFEST
        return self.role(ref.key) is Role.TASK

    def missing(self, ref: ObjectRef, seen: Observation) -> tuple[list[str], float]:
        """The parts that a look at an object did not find, and how long (s) they are worth waiting for."""
        there = [part.name for part in seen.parts]
        if self.members and ref.bucket.startswith(GROUPS):
            return (self.members.missing(there) if there else []), self.members.wait
        if self.sidecar and not seen.gone and SIDECAR not in there:
            return [SIDECAR], self.sidecar.wait
        return [], 0.0


def base_bucket(bucket: str) -> str:
    """The bucket that a derived bucket is made of; any other is its own."""
    return bucket.removeprefix(GROUPS).removeprefix(ROWS)


def row_key(manifest: str, row: str) -> str:
    """The key of a row in its derived bucket."""
    return f"{manifest}#{quote(row, safe=' ')}"


def row_of(key: str) -> tuple[str, str]:
    """Manifest and row, the inverse of `row_key`."""
    manifest, _, row = key.rpartition("#")
    return manifest, unquote(row)


# ---------------------------------------------------------------- from the configuration


def sidecar_template(text: str) -> tuple[Template, bool]:
    """The template of `sidecar`, and whether it goes by the stem. ConfigError: it says no sidecar."""
    template = Template.of(text, "{stem}", "{name}")
    parts = text.split("/")
    if template is None or text.startswith("/") or {"", ".", ".."} & set(parts) or text in {"{stem}", "{name}"}:
        allowed = "{stem}.json (cat.json beside cat.jpg), {name}.json (cat.jpg.json), or one in a folder below"
        raise ConfigError([Problem("sidecar", repr(text), allowed)])
    return template, "{stem}" in text


def member_templates(members: Mapping[str, Sequence[str]]) -> dict[str, tuple[Template, ...]]:
    """The templates of `members`. ConfigError names those that are none, and those that two members share."""
    problems, made, owners = [], {}, dict[Template, str]()
    for name, texts in members.items():
        templates = [Template.of(text, "{group}") for text in texts]
        problems += [
            Problem(f"members.{name}", repr(text), "a key with {group} once in it, such as left/{group}.jpg")
            for text, template in zip(texts, templates, strict=True)
            if template is None or text.startswith("/")
        ]
        for template in filter(None, templates):
            if owners.setdefault(template, name) != name:
                problems.append(Problem(f"members.{name}", "", f"another key than member {owners[template]} has"))
        made[name] = tuple(template for template in templates if template)
    if problems:
        raise ConfigError(problems)
    return made


def _split(key: str) -> tuple[str, str]:
    folder, slash, name = key.rpartition("/")
    return folder + slash, name


def _stem(name: str) -> str:
    stem, dot, _ = name.rpartition(".")
    return stem if dot and stem else name
