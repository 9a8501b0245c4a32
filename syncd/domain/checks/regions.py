"""A region of an answer as its rules see it, and the words rules are written in.

Called by `checks` and by the rules in `shapes` and `values`. Nothing here raises anything but
InvalidRegionError, whatever JSON it meets.
"""

import math
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from syncd.domain.labels.configs import Control, LabelConfig, ObjectTag
from syncd.domain.model import JsonObject

SHAPES = ("rectangle", "polygon", "ellipse", "keypoint", "brush", "magicwand", "bitmask", "vector")


class InvalidRegionError(ValueError):
    """A region breaks a rule; the message names it."""


def require(condition: bool, rule: str) -> None:
    """Raise InvalidRegionError with the rule unless the condition holds."""
    if not condition:
        raise InvalidRegionError(rule)


def shown(value: object) -> str:
    """A value for a message: short, whatever it is."""
    try:
        return reprlib.repr(value)
    except ValueError:  # an integer of more digits than Python prints
        return "(a huge number)"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the rules of one region need of the rest: the ids there are, and which kind of shape each id draws."""

    config: LabelConfig
    data: Mapping[str, Any]
    ids: frozenset[str | int]
    shapes: Mapping[str | int, str]

    @classmethod
    def of(cls, result: Sequence[object], config: LabelConfig, data: Mapping[str, Any]) -> "Answer":
        """Index a result; anything odd in it is left out here and found by the rules."""
        ids, shapes = set(), {}
        for region in result:
            id_ = region.get("id") if isinstance(region, dict) else None
            if isinstance(region, dict) and isinstance(id_, str | int) and region.get("type") != "relation":
                ids.add(id_)
                shape = _lower(region.get("type")).removesuffix("labels")
                if shape in SHAPES:
                    shapes[id_] = shape
        return cls(config, data, frozenset(ids), shapes)


@dataclass(frozen=True, slots=True)
class Region:
    """One region: its JSON, its value, the control that made it, and the answer it is part of."""

    raw: JsonObject
    value: JsonObject
    control: Control
    answer: Answer

    @property
    def kind(self) -> str:
        """Its type, lower case; empty where it is no text."""
        return _lower(self.raw.get("type"))

    @property
    def target(self) -> ObjectTag | None:
        """The object tag it lies on; None where it lies on none."""
        return self.answer.config.objects.get(self.raw["to_name"])

    @property
    def on(self) -> str:
        """The kind of that tag; empty where there is none."""
        return self.target.kind if self.target else ""

    @property
    def text(self) -> str | None:
        """The text it lies on, where task data holds it."""
        target = self.target
        found = self.answer.data.get(target.variable) if target and target.inline and target.variable else None
        return found if isinstance(found, str) else None

    @property
    def shape(self) -> str | None:
        """The kind of shape that shares its id."""
        id_ = self.raw.get("id")
        return self.answer.shapes.get(id_) if isinstance(id_, str | int) else None

    @property
    def siblings(self) -> list[Control]:
        """The other controls of the same objects."""
        mine, controls = {*self.control.to_name}, self.answer.config.controls.values()
        return [other for other in controls if other is not self.control and mine & {*other.to_name}]


def _lower(type_: object) -> str:
    return type_.lower() if isinstance(type_, str) else ""


# ---------------------------------------------------------------- reading values


def number(value: Mapping[str, Any], name: str, low: float = -math.inf, high: float = math.inf) -> float:
    """A finite number, within bounds."""
    found = value.get(name)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise InvalidRegionError(f"{name} {shown(found)} must be a number" if name in value else f"{name} is missing")
    if not abs(found) < 1e300:  # true for NaN as well
        raise InvalidRegionError(f"{name} {shown(found)} must be finite")
    if not low <= found <= high:
        raise InvalidRegionError(f"{name} {shown(found)} must be {low:g} to {high:g}")
    return float(found)


def whole(value: Mapping[str, Any], name: str) -> int:
    """A whole number, not negative."""
    found = value.get(name)
    if type(found) is not int:
        raise InvalidRegionError(f"{name} {shown(found)} must be a whole number")
    require(found >= 0, f"{name} {shown(found)} must not be negative")
    return found


def text(value: Mapping[str, Any], name: str) -> str:
    """A text that is not empty."""
    found = value.get(name)
    if not isinstance(found, str) or not found:
        raise InvalidRegionError(f"{name} {shown(found)} must be a text")
    return found


def entries(value: Mapping[str, Any], name: str, least: int = 1) -> list[Any]:
    """A list with at least so many entries."""
    found = value.get(name)
    if not isinstance(found, list) or len(found) < least:
        raise InvalidRegionError(f"{name} must be a list of at least {least}")
    return found


def texts(value: Mapping[str, Any], name: str) -> list[str]:
    """A list of texts, may be empty."""
    found = entries(value, name, least=0)
    require(all(isinstance(one, str) for one in found), f"{name} must be a list of texts")
    return found


def objects(value: Mapping[str, Any], name: str) -> list[JsonObject]:
    """A list of objects, not empty."""
    found = entries(value, name)
    require(all(isinstance(one, dict) for one in found), f"{name} must be a list of objects")
    return found
