"""What a task shows: its data, made of an object, an object and its sidecar, a group, or a row of a manifest.

Part of `ingest`. A task never carries the bytes of one version under the etag of another: what is read here is of the
version that was planned with, or it is a Conflict. It is bounded: texts by `text_limit`, sidecars by their own limit. A
sidecar that cannot be read costs no task: it is made without, unless the label config shows what only the sidecar says.
"""

from collections.abc import Mapping
from typing import Any

import orjson
import structlog

from syncd.domain.decoding import NotJsonError, strict_json
from syncd.domain.errors import Rejected, TooLarge
from syncd.domain.labels.configs import LabelConfig
from syncd.domain.labels.task_data import json_task_data
from syncd.domain.layout import GROUPS, ROWS
from syncd.domain.manifests import linked_object
from syncd.domain.model import SIDECAR, JsonObject, ObjectRef, Part, Placement, Versioned
from syncd.flows.context import Dataset
from syncd.ports import AnnotatorDataset

log = structlog.get_logger()

RESERVED = "syncd_"
"""Names in task data that begin so are syncd's own."""


async def task_data(dataset: Dataset, remote: AnnotatorDataset, placement: Placement) -> JsonObject:
    """The label config's variables for what is to become a task. Rejected says what is wrong with its objects."""
    ref = placement.ref
    if ref.bucket.startswith(ROWS):
        return await _of_row(dataset, remote, placement)
    if ref.bucket.startswith(GROUPS):
        return await _of_group(dataset, remote, placement.parts)
    if dataset.layout.sidecar and ref.bucket in dataset.bases:
        return await _of_described(dataset, remote, placement)
    return remote.task_data(ref, await _text(dataset, ref, placement) if remote.inline_text else None)


def lineage(dataset: Dataset, placement: Placement) -> JsonObject:
    """What a task's `meta` says of where it comes from."""
    p = placement
    known: JsonObject = {"etag": p.etag, "version_id": p.version_id, "size": p.size, "serial": p.serial}
    if p.parts:
        known["parts"] = {part.name: _source(part) for part in p.parts}
    return {"dataset": dataset.name, "bucket": p.ref.bucket, "key": p.ref.key, **known}


def _source(part: Part) -> JsonObject:
    return {"bucket": part.ref.bucket, "key": part.ref.key, "etag": part.etag, "version_id": part.version_id}


# ---------------------------------------------------------------- an object with its sidecar


async def _of_described(dataset: Dataset, remote: AnnotatorDataset, placement: Placement) -> JsonObject:
    primary = dataset.config.primary
    variable = (primary and primary.variable) or dataset.config.variables[0]
    shown = {variable: await _shown(dataset, remote, variable, placement.ref, placement)}
    return _fitting(dataset, {**await _description(dataset, placement), **shown})


async def _description(dataset: Dataset, placement: Placement) -> JsonObject:
    """What the sidecar says; nothing where there is none, or none that can be read."""
    sidecar = next((part for part in placement.parts if part.name == SIDECAR), None)
    if sidecar is None or dataset.layout.sidecar is None:
        return {}
    try:
        store, limit = dataset.store(sidecar.ref.bucket), dataset.layout.sidecar.limit
        body = await store.get(sidecar.ref.key, limit=limit, of=sidecar)
        return _json_object(body)
    except Rejected as error:
        log.warning("sidecar.not_read", dataset=dataset.name, key=sidecar.ref.key, reason=str(error))
        return {}


def _json_object(body: bytes) -> JsonObject:
    try:
        said = strict_json(body.removeprefix(b"\xef\xbb\xbf"))
    except NotJsonError as error:
        raise Rejected(f"the sidecar is no JSON ({error})") from None
    if not isinstance(said, dict):
        raise Rejected("the sidecar is no JSON object")
    return {name: value for name, value in said.items() if not name.startswith(RESERVED)}


# ---------------------------------------------------------------- a group


async def _of_group(dataset: Dataset, remote: AnnotatorDataset, parts: tuple[Part, ...]) -> JsonObject:
    return _fitting(dataset, {part.name: await _shown(dataset, remote, part.name, part.ref, part) for part in parts})


# ---------------------------------------------------------------- a row of a manifest


async def _of_row(dataset: Dataset, remote: AnnotatorDataset, placement: Placement) -> JsonObject:
    """The row's columns; where one is shown by a link, the link that people can follow."""
    ref = placement.ref
    body = await dataset.store(ref.bucket).get(ref.key, limit=dataset.text_limit, of=placement)
    row: JsonObject = orjson.loads(body)
    for variable in linked_variables(dataset.config):
        target = linked_object(row.get(variable), ref.bucket, tuple(dataset.bases))
        if target is not None:
            row[variable] = remote.link(target)
    return _fitting(dataset, row)


def linked_variables(config: LabelConfig) -> list[str]:
    """The variables of the label config that hold links."""
    return [tag.variable for tag in config.objects.values() if tag.variable and not tag.inline]


# ---------------------------------------------------------------- small things


async def _shown(dataset: Dataset, remote: AnnotatorDataset, variable: str, ref: ObjectRef, of: Versioned) -> Any:
    """An object as a variable shows it: a link, its text, or the list in it."""
    tag = next((tag for tag in dataset.config.objects.values() if tag.variable == variable), None)
    if tag is None or not tag.inline:
        return remote.link(ref)
    text = await _text(dataset, ref, of)
    if not tag.takes_list:
        return text
    try:
        return strict_json(text)
    except NotJsonError as error:
        raise Rejected(f"{ref.key!r} is no JSON ({error}); <{tag.tag}> shows a list") from None


async def _text(dataset: Dataset, ref: ObjectRef, of: Versioned) -> str:
    store, limit = dataset.store(ref.bucket), dataset.text_limit
    try:
        body = await store.get(ref.key, limit=limit, cut=dataset.text_cut, of=of)
    except TooLarge as error:
        raise Rejected(f'{error}: raise text_limit, or set text_over_limit = "cut"') from None
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if dataset.text_cut and len(body) == limit and error.start >= limit - 3:  # cut within a character
            return body[: error.start].decode("utf-8-sig")
        raise Rejected("the object is not UTF-8 text; convert it, or leave it out with `exclude`") from None


def _fitting(dataset: Dataset, data: Mapping[str, Any]) -> JsonObject:
    """The data, if the label config can show it and annotators can store it."""
    own = {name: value for name, value in data.items() if not name.startswith(RESERVED)}
    return json_task_data(dataset.config, orjson.dumps(own).decode())
