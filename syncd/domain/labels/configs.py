"""Label configs: the XML by which Label Studio knows what people may answer, parsed into plain values.

Called by the annotator (what a task must carry), the flows (what a valid answer is, under which hash it was
given) and the label-config command. The reader is defused: no DOCTYPE, so neither entities nor external files;
bounded size and depth. Tags it does not know are kept as opaque controls: Label Studio may know them.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from xml.etree import ElementTree as ET
from xml.parsers import expat

from syncd.domain.errors import ConfigError, Problem
from syncd.domain.model import digest

MAX_BYTES = 1_000_000
MAX_DEPTH = 64

_VARIABLE = re.compile(r"\$([\w[\].{}]+)")
_LABEL_TAGS = {"Label", "Choice"}
_SELF_REFERRING = {"chat": "chatmessage", "reactcode": "reactcode"}
_LIST_KINDS = {"list", "paragraphs", "chat"}
_INLINE_KINDS = {"text", "hypertext", "table", *_LIST_KINDS}
_MEDIA = {"hypertext": "text", "paragraphs": "text", "audioplus": "audio", "timeseries": "time-series"}


@dataclass(frozen=True, slots=True)
class Control:
    """A tag people answer with. Attribute names are lower case, as Label Studio itself reads them.

    `labels` in the order of the config; `dynamic`: labels also come from task data or from an API.
    """

    name: str
    tag: str
    to_name: tuple[str, ...]
    labels: tuple[str, ...]
    dynamic: bool
    attributes: Mapping[str, str]

    @property
    def kind(self) -> str:
        """The `type` its regions carry."""
        kind = self.tag.lower()
        return _SELF_REFERRING.get(kind, kind)

    def number(self, attribute: str) -> float | None:
        """A numeric attribute; None where it is absent or no number."""
        try:
            return float(self.attributes[attribute])
        except (KeyError, ValueError):
            return None


@dataclass(frozen=True, slots=True)
class ObjectTag:
    """A tag that shows data. `variable`: the key of task data it shows; None for fixed content."""

    name: str
    tag: str
    variable: str | None
    value_type: str

    @property
    def kind(self) -> str:
        """The tag, lower case."""
        return self.tag.lower()

    @property
    def inline(self) -> bool:
        """Whether task data carries the content itself instead of a link to it."""
        if self.kind in _INLINE_KINDS:
            return not self.value_type.lower().startswith("url")
        return self.value_type.lower().startswith("json")

    @property
    def takes_list(self) -> bool:
        """Whether what it shows is a list, which no text and no link can be."""
        return self.kind in _LIST_KINDS and self.inline


@dataclass(frozen=True)
class LabelConfig:
    """A parsed label config. `hash`: sha256 (hex) of `canonical`, blind to layout, comments and attribute order.

    `variables`: the keys that task data must hold. `relations`: names for relations; empty allows any. What follows
    from these is worked out once: it is asked for with every object.
    """

    canonical: str
    hash: str
    controls: Mapping[str, Control]
    objects: Mapping[str, ObjectTag]
    variables: tuple[str, ...]
    relations: tuple[str, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels of all controls, each once, in order."""
        return tuple(dict.fromkeys(label for control in self.controls.values() for label in control.labels))

    @cached_property
    def primary(self) -> ObjectTag | None:
        """The object tag that shows what lies in the bucket: the first that links, else the first with a variable."""
        shown = [tag for tag in self.objects.values() if tag.variable]
        return next((tag for tag in shown if not tag.inline), shown[0] if shown else None)

    @property
    def media_kind(self) -> str:
        """image, text, audio, video, time-series, …: what the primary object shows; `none` where there is none."""
        primary = self.primary
        return _MEDIA.get(primary.kind, primary.kind) if primary else "none"

    @cached_property
    def structured(self) -> bool:
        """Whether a task needs more than one text or link, so that its object has to be JSON."""
        nested = any(set(name) & set(".[") for name in self.variables)
        return len(self.variables) > 1 or nested or (self.primary is not None and self.primary.takes_list)

    @cached_property
    def inline_text(self) -> bool:
        """Whether tasks are made of the object's text instead of a link to it."""
        return self.primary is not None and (self.structured or self.primary.inline)


def parse_label_config(xml: str) -> LabelConfig:
    """Parse a label config. ConfigError (field `label_config`) names the line and what to do about it."""
    root, lines = _Reader().read(xml)
    _check_names(root, lines)
    controls = _controls(root)
    canonical = _canonical(xml)
    return LabelConfig(
        canonical=canonical,
        hash=digest(canonical),
        controls=controls,
        objects={tag.name: tag for tag in _objects(root, controls)},
        variables=_variables(root, controls),
        relations=tuple(filter(None, (_label(element) for element in root.iter("Relation")))),
    )


def has_variable(text: str) -> bool:
    """Whether Label Studio would replace a part of the text by task data."""
    return _VARIABLE.search(text) is not None


# ---------------------------------------------------------------- reading


def _error(allowed: str, found: str = "") -> ConfigError:
    return ConfigError([Problem("label_config", found, allowed)])


class _Reader:
    """Builds the tree and remembers lines. expat itself, because ElementTree's parser hides both DOCTYPE and line."""

    def __init__(self) -> None:
        self._parser = expat.ParserCreate("utf-8")
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._data
        self._builder = ET.TreeBuilder()
        self._depth = 0
        self._lines: dict[ET.Element, int] = {}

    def read(self, xml: str) -> tuple[ET.Element, Mapping[ET.Element, int]]:
        """The root, and the line each element starts on."""
        try:
            self._parser.Parse(_encoded(xml), True)
        except expat.ExpatError as error:
            problem = expat.ErrorString(error.code)
            raise _error(f"line {error.lineno}: must be well-formed XML; correct it there", problem) from None
        return self._builder.close(), self._lines

    def _refuse_doctype(self, *_: object) -> None:
        line = self._parser.CurrentLineNumber
        raise _error(f"line {line}: remove the DOCTYPE and its entities; a label config needs neither", "DOCTYPE")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        line = self._parser.CurrentLineNumber
        if self._depth > MAX_DEPTH:
            raise _error(f"line {line}: nest tags at most {MAX_DEPTH} deep")
        self._lines[self._builder.start(tag, attributes)] = line

    def _end(self, tag: str) -> None:
        self._depth -= 1
        self._builder.end(tag)

    def _data(self, text: str) -> None:
        self._builder.data(text)


def _encoded(xml: str) -> bytes:
    try:
        encoded = xml.encode()
    except UnicodeEncodeError as error:
        line = xml.count("\n", 0, error.start) + 1
        raise _error(f"line {line}: must be Unicode text; remove the lone surrogate") from None
    if len(encoded) > MAX_BYTES:
        raise _error(
            f"must be at most {MAX_BYTES} bytes; load long label lists from task data", f"{len(encoded)} bytes"
        )
    return encoded


def _canonical(xml: str) -> str:
    """C14N without comments and layout: the same string for configs that mean the same."""
    try:
        return ET.canonicalize(xml, strip_text=True)
    except ET.ParseError as error:  # only namespaces are left to be wrong here
        raise _error(f"line {error.position[0]}: declare the namespace prefix or remove it") from None


# ---------------------------------------------------------------- meaning


def _check_names(root: ET.Element, lines: Mapping[ET.Element, int]) -> None:
    """Label Studio refuses names given twice and toName pointing nowhere: say so before it does."""
    names: set[str] = set()
    for element in root.iter():
        name = element.get("name", "")
        if name and name in names:
            raise _error(f"line {lines[element]}: give each tag a name of its own", f"name {name!r} twice")
        names.add(name)
    for element in root.iter():
        for target in _targets(element):
            if target not in names:
                raise _error(f"line {lines[element]}: toName must be the name of a tag", f"toName {target!r}")


def _targets(element: ET.Element) -> tuple[str, ...]:
    to_name = element.get("toName")
    return tuple(to_name.split(",")) if to_name else ()


def _is_control(element: ET.Element) -> bool:
    if not element.get("name") or element.tag == "Filter":
        return False
    return bool(element.get("toName")) or element.tag.lower() in _SELF_REFERRING


def _controls(root: ET.Element) -> dict[str, Control]:
    return {element.attrib["name"]: _control(element) for element in root.iter() if _is_control(element)}


def _control(element: ET.Element) -> Control:
    attributes = {name.lower(): value for name, value in element.attrib.items()}
    labels = tuple(dict.fromkeys(_labels(element)))
    return Control(
        name=attributes["name"],
        tag=element.tag,
        to_name=_targets(element) or (attributes["name"],),
        labels=labels,
        dynamic="apiurl" in attributes or any(map(has_variable, (attributes.get("value", ""), *labels))),
        attributes=attributes,
    )


def _labels(control: ET.Element) -> Iterator[str]:
    """Labels below a control, but not those of a control nested in it."""
    if control.tag == "Ranker":
        yield from (name for bucket in control.iter("Bucket") if (name := bucket.get("name")))
    for child in control:
        if child.tag in _LABEL_TAGS and (label := _label(child)):
            yield label
        if not _is_control(child):
            yield from _labels(child)


def _label(element: ET.Element) -> str:
    """What an answer calls it: the alias where there is one."""
    return element.get("alias") or element.get("value") or ""


def _objects(root: ET.Element, controls: Mapping[str, Control]) -> Iterator[ObjectTag]:
    for element in root.iter():
        name, content = element.get("name"), _content(element)
        if name and ((content and name not in controls) or element.tag.lower() in _SELF_REFERRING):
            yield ObjectTag(name, element.tag, _variable(content), element.get("valueType", ""))


def _content(element: ET.Element) -> str:
    return element.get("valueList") or element.get("value") or ""


def _variable(content: str) -> str | None:
    found = _VARIABLE.search(content)
    return found[1] if found else None


def _variables(root: ET.Element, controls: Mapping[str, Control]) -> tuple[str, ...]:
    """Of objects first, then of controls with labels from task data: both must be in every task."""
    named: Iterable[ET.Element] = (element for element in root.iter() if element.get("name"))
    ordered = sorted(named, key=lambda element: element.get("name") in controls)
    return tuple(dict.fromkeys(filter(None, (_variable(_content(element)) for element in ordered))))
