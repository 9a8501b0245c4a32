"""Whether an answer obeys its label config, and which labels it uses.

Called by the collect flow for every annotation read back: Label Studio stores anything, so what breaks the rules is
found here and kept out of training data. Pure; never raises on any JSON. The verdict agrees with label-studio-sdk's
LabelInterface where that one checks, and is stricter about coordinates, spans and choices. It is laxer where the
SDK refuses what Label Studio's own editor writes: a Pairwise region names itself as `to_name`, Labels may share the
id of a shape that has labels of its own, nested Choices are paths, and labels may come from task data.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from syncd.domain.checks.regions import Answer, InvalidRegionError, Region, require, shown
from syncd.domain.checks.values import VALUE_RULES
from syncd.domain.labels.configs import Control, LabelConfig
from syncd.domain.model import JsonObject


def check(result: object, config: LabelConfig, data: Mapping[str, Any] | None = None) -> str | None:
    """None where the result (a list of regions) is valid, else one line: which region, which control, which rule.

    `data` is the task's data: with it, text spans are compared with the text they are spans of.
    """
    if not isinstance(result, list):
        return "the result must be a list of regions"
    answer = Answer.of(result, config, data or {})
    for index, region in enumerate(result):
        try:
            _check_region(region, answer)
        except InvalidRegionError as error:
            return f"{_place(index, region)}: {error}"
    return None


def labels_of(result: object) -> tuple[str, ...]:
    """The distinct labels an answer uses, sorted; of nested choices and taxonomies the last part of each path."""
    regions = result if isinstance(result, list) else []
    return tuple(sorted({label for region in regions for label in _labels_in(region)}))


def _labels_in(region: object) -> Iterator[str]:
    value = region.get("value") if isinstance(region, dict) else None
    for key, chosen in value.items() if isinstance(value, dict) else ():
        if isinstance(chosen, list) and (key in {"choices", "taxonomy"} or str(key).endswith("labels")):
            leaves = (entry[-1] if isinstance(entry, list) and entry else entry for entry in chosen)
            yield from (leaf for leaf in leaves if isinstance(leaf, str))


def _place(index: int, region: object) -> str:
    named = region if isinstance(region, dict) else {}
    parts = [f"{name} {shown(named[name])}" for name in ("id", "from_name") if name in named]
    return ", ".join((f"region {index}", *parts))


def _check_region(region: object, answer: Answer) -> None:
    if not isinstance(region, dict):
        raise InvalidRegionError("must be an object")
    if region.get("type") == "relation":
        _check_relation(region, answer)
        return
    control, value = _control(region, answer.config), region.get("value")
    if not isinstance(value, dict):
        raise InvalidRegionError("value is missing or no object")
    one = Region(region, value, control, answer)
    _check_type(one)
    _check_labels(one)
    if one.kind in VALUE_RULES:
        VALUE_RULES[one.kind](one)


# ---------------------------------------------------------------- names and types


def _control(region: JsonObject, config: LabelConfig) -> Control:
    name, to_name = region.get("from_name"), region.get("to_name")
    control = config.controls.get(name) if isinstance(name, str) else None
    if control is None:
        raise InvalidRegionError("from_name is no control of the label config")
    itself = control.kind == "pairwise" and to_name == control.name
    require(itself or to_name in control.to_name, f"to_name {shown(to_name)} must be {' or '.join(control.to_name)}")
    return control


def _check_type(region: Region) -> None:
    wrong = f"type {shown(region.raw.get('type'))} must be {region.control.kind}"
    require(region.kind in {region.control.kind, *_merged_kinds(region)}, wrong)


def _merged_kinds(region: Region) -> Iterator[str]:
    """Labels beside a shape are written as one region of the shape's own labelled type."""
    if region.control.kind == "labels":
        yield from (f"{sibling.kind}labels" for sibling in region.siblings)


# ---------------------------------------------------------------- labels


def _check_labels(region: Region) -> None:
    key = _label_key(region)
    if key is None:
        return
    chosen = region.value.get(key)
    if chosen is None and region.kind == "videorectangle":
        return
    if not isinstance(chosen, list):
        raise InvalidRegionError(f"{key} must be a list of labels")
    known = _known_labels(region)
    for label in _flat(region, chosen):
        if not isinstance(label, str) or (known and label not in known):
            raise InvalidRegionError(f"label {shown(label)} is not in the label config")
    if region.kind == "choices" and region.control.attributes.get("choice") != "multiple":
        require(len(chosen) <= 1, f"{len(chosen)} choices where one is allowed")
    if region.kind != region.control.kind:
        require(len(chosen) > 0, f"{key} must hold a label")


def _label_key(region: Region) -> str | None:
    """Where in the value its labels stand; None for controls without labels."""
    kind = region.kind
    if kind in {"choices", "taxonomy"} or (kind.endswith("labels") and kind in region.value):
        return kind
    if kind in {"videorectangle", "videovectorlabels"} or kind != region.control.kind:
        return "labels"
    return kind if kind.endswith("labels") else None


def _flat(region: Region, chosen: list[Any]) -> Iterator[object]:
    nested = region.kind == "taxonomy" or region.control.attributes.get("allownested") == "true"
    for entry in chosen:
        yield from entry if nested and isinstance(entry, list) else (entry,)


def _known_labels(region: Region) -> frozenset[str]:
    """The labels it may use; empty: any. Boxes in a video take the labels of the Labels beside them."""
    lenders = [region.control]
    if region.kind == "videorectangle" and not region.control.labels:
        lenders = [sibling for sibling in region.siblings if sibling.kind == "labels"]
    if any(lender.dynamic for lender in lenders):
        return frozenset()
    return frozenset(label for lender in lenders for label in lender.labels)


# ---------------------------------------------------------------- relations


def _check_relation(relation: JsonObject, answer: Answer) -> None:
    direction = relation.get("direction")
    require(direction in ("left", "right", "bi"), f"direction {shown(direction)} must be left, right or bi")
    for end in ("from_id", "to_id"):
        id_ = relation.get(end)
        known = isinstance(id_, str | int) and id_ in answer.ids
        require(known, f"{end} {shown(id_)} is no region of the result")
    labels, allowed = relation.get("labels"), answer.config.relations
    for label in labels if isinstance(labels, list) else ():
        require(not allowed or label in allowed, f"relation {shown(label)} is not in the label config")
