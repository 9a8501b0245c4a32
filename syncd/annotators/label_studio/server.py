"""One Label Studio server as an annotator: proves the connection, finds and makes datasets.

Made by the composition root with validated options. Label Studio's word for a dataset is project; titles are not
unique there, so a title that two projects carry is an error a person has to resolve.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import structlog

from syncd.annotators.label_studio.client import Client
from syncd.annotators.label_studio.dataset import LabelStudioDataset
from syncd.annotators.label_studio.errors import Forbidden, Garbled, Refused
from syncd.annotators.label_studio.listing import Listing
from syncd.annotators.label_studio.options import LabelStudioOptions
from syncd.annotators.label_studio.storages import Storages
from syncd.domain.errors import ConfigError, Problem, Retryable
from syncd.domain.events import AnnotationEvent, parse_label_studio
from syncd.domain.labels.configs import LabelConfig, parse_label_config
from syncd.domain.model import JsonObject, ObjectRef
from syncd.ports import AnnotatorInfo, Clock, DatasetSpec

_PAGE = 100

log = structlog.get_logger()


class LabelStudio:
    """Implements `syncd.ports.Annotator`."""

    Options = LabelStudioOptions

    def __init__(self, options: LabelStudioOptions, *, clock: Clock) -> None:
        self._client = Client(options, clock)
        self._storages = Storages(self._client, options)
        self._overlap = options.overlap

    async def ping(self) -> AnnotatorInfo:
        """As the port says. The token is shown only to what answers like a Label Studio."""
        try:
            version = await self._client.get_json_openly("asking for its version", "api/version")
        except (Refused, Forbidden, Garbled):
            version = None
        if not isinstance(version, dict) or "label-studio-os-package" not in version:
            raise self._wrong_url()
        user = await self._who_we_are()
        time = await self._client.server_time()
        return AnnotatorInfo(self._client.url, str(version.get("release", "")), str(user.email), time.timestamp())

    async def _who_we_are(self) -> Any:
        """The token's user. The server tells its version under any path, but answers this under its own only."""
        try:
            return await self._client.read("asking who we are", self._client.sdk.users.whoami)
        except Refused as error:
            raise (self._wrong_url() if error.status == 404 else error) from None

    def _wrong_url(self) -> ConfigError:
        found = f"{self._client.url}, where no Label Studio answers"
        return _config("url", found, "the server's base URL; mind the path at its end")

    def parse_webhook(self, body: bytes) -> AnnotationEvent:
        """As the port says."""
        return parse_label_studio(body)

    async def find_dataset(self, title: str) -> LabelStudioDataset | None:
        """As the port says; ConfigError when two projects carry the title."""
        project = await self._find(title)
        return self._dataset(project, "", self._storages.uri) if project else None

    async def ensure_dataset(self, spec: DatasetSpec) -> LabelStudioDataset:
        """As the port says. The buckets' storages are ensured too, where tasks link to them."""
        ours = _showing(spec.label_config)
        project = await self._find(spec.title)
        if project is None:
            if (spec.links or not ours.inline_text) and not spec.link:
                self._storages.check(spec.buckets)
            project = await self._create(spec)
        drift = await self._settle_drift(project, spec, ours)
        dataset = self._dataset(project, drift, spec.link or self._storages.uri)
        if (spec.links or not dataset.inline_text) and not spec.link:
            await self._storages.ensure(dataset.project, spec.buckets)
        return dataset

    async def close(self) -> None:
        """As the port says."""
        await self._client.close()

    def _dataset(self, project: JsonObject, drift: str, link: Callable[[ObjectRef], str]) -> LabelStudioDataset:
        config = _showing(project["label_config"])
        listing = Listing(self._client, project["id"], overlap=self._overlap)
        return LabelStudioDataset(listing, link, config, drift=drift, created_at=project["created_at"])

    async def _find(self, title: str) -> JsonObject | None:
        """The server's title filter finds parts of titles, whatever their case: the exact one is picked here."""
        found: list[JsonObject] = []
        params = {"title": title, "include": "id,title,label_config,created_at", "page_size": _PAGE}
        more, page = True, 1
        while more:
            answer = await self._client.get_json("listing projects", "api/projects/", {**params, "page": page})
            found += [project for project in answer["results"] if project["title"] == title]
            more, page = bool(answer["next"]), page + 1
        if len(found) > 1:
            ids = ", ".join(str(project["id"]) for project in found)
            raise _config("title", f"{title!r}, which projects {ids} carry", "a title of one project; rename others")
        return found[0] if found else None

    async def _create(self, spec: DatasetSpec) -> JsonObject:
        if not spec.title or spec.title != spec.title.strip():
            raise _config("title", repr(spec.title), "a title, without spaces around it: Label Studio cuts them off")
        api = self._client.sdk.projects
        try:
            made = await self._client.write(
                "creating the project", lambda: api.create(title=spec.title, label_config=spec.label_config)
            )
        except Refused as error:
            raise _project_refused(error, spec) from None
        log.info("project.created", title=made.title, project=made.id)
        found = await self._find(spec.title)  # what it was made as, in the form of the listing
        if found is None:
            raise Retryable(f"the project {spec.title!r} was made in Label Studio, but is not listed there yet")
        return found

    async def _settle_drift(self, project: JsonObject, spec: DatasetSpec, ours: LabelConfig) -> str:
        """What differs there, after doing about it what the spec says. An update is written into `project`."""
        theirs = project["label_config"]
        drift = _difference(ours, parse_label_config(theirs))
        if drift and spec.on_drift == "refuse":
            raise _config("label_config", drift, "the label config of the project, or another `on_drift`")
        if not drift or spec.on_drift != "update":
            return drift
        api = self._client.sdk.projects
        try:
            await self._client.write(
                "updating the label config", lambda: api.update(project["id"], label_config=spec.label_config)
            )
        except Refused as error:
            raise _project_refused(error, spec) from None
        log.warning("label_config.updated", project=project["id"], drift=drift)
        project["label_config"] = spec.label_config
        return ""


def _showing(xml: str) -> LabelConfig:
    """The label config, which has to show something of a task."""
    config = parse_label_config(xml)
    if config.primary is None:
        raise _config("label_config", "no tag that shows task data", 'an object tag with a variable, as value="$image"')
    return config


def _difference(ours: LabelConfig, theirs: LabelConfig) -> str:
    """One line; empty where the two mean the same."""
    if ours.hash == theirs.hash:
        return ""
    parts = [
        f"{where}: {', '.join(sorted(names)[:5])}"
        for where, names in (
            ("only here", _parts(ours) - _parts(theirs)),
            ("only there", _parts(theirs) - _parts(ours)),
        )
        if names
    ]
    return "the label config in Label Studio is another; " + ("; ".join(parts) or "order or attributes differ")


def _parts(config: LabelConfig) -> Counter[str]:
    labels = (f"{control.name}={label}" for control in config.controls.values() for label in control.labels)
    return Counter([*config.controls, *config.objects, *labels])


def _project_refused(error: Refused, spec: DatasetSpec) -> Exception:
    for field, found in (("label_config", ""), ("title", repr(spec.title))):
        if reasons := error.reasons(field):
            return _config(field, found, f"Label Studio says: {'; '.join(reasons)}")
    return error


def _config(field: str, found: str, allowed: str) -> ConfigError:
    return ConfigError([Problem(field, found, allowed)])
