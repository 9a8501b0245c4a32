"""`[datasets.NAME]`: which objects become tasks, in which annotator, with which labels, and when rows are frozen.

Part of the configuration models. A label config file is read once, when the configuration is loaded.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, InstanceOf, PlainValidator, ValidationInfo, field_validator

from syncd.config.about import AboutDataset
from syncd.config.base import Count, Seconds, Section, resolved, with_data_dir
from syncd.config.layouts import ObjectRules
from syncd.config.plugins import Plugin
from syncd.config.problems import field_errors
from syncd.config.splits import DatasetSplits
from syncd.domain.labels import TASKS, label_config
from syncd.domain.labels.configs import parse_label_config
from syncd.domain.planning import OnChange, OnDelete
from syncd.ports import Retention
from syncd.secrets import SecretRef, text_or_secret


@dataclass(frozen=True, slots=True)
class LabelConfigFile:
    """A label config that stands in a file of its own, as it was when the configuration was loaded."""

    path: Path
    xml: str


def _label_config_file(value: object, info: ValidationInfo) -> LabelConfigFile:
    if not isinstance(value, str):
        raise ValueError("must be the path of an XML file")  # noqa: TRY004 - pydantic's word
    path = resolved(Path(value), (info.context or {}).get("base", Path()))
    try:
        xml = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}") from None
    with field_errors():
        parse_label_config(xml)
    return LabelConfigFile(path, xml)


class Snapshots(Section):
    """When rows become an immutable version, and where the table is."""

    url: str = Field(
        "file://{data_dir}/snapshots",
        description="Where the tables are: file:///folder, s3://, gs:// or az://; {data_dir} stands for data_dir.",
        validate_default=True,
    )
    storage_options: dict[str, Annotated[str | SecretRef, PlainValidator(text_or_secret)]] = Field(
        {}, description="Credentials and options of that store: text, or where a secret is.", repr=False
    )
    after_changes: Count = Field(100, description="Make a version once so many rows changed.")
    after_quiet: Seconds = Field(60.0, description="Make a version once nothing changed for so long, seconds.")
    at_least_every: Seconds = Field(3600.0, description="Longest time a changed row waits for a version, seconds.")
    keep_last: Count | None = Field(
        None, description="Collect versions once a day: keep tagged ones and so many of the newest."
    )
    keep_days: Seconds | None = Field(
        None, description="The same, keeping those so many days young. Neither of both: none is ever collected."
    )

    def retention(self) -> Retention | None:
        """What the daemon keeps when it collects garbage; None where it never does."""
        if self.keep_last is None and self.keep_days is None:
            return None
        return Retention(versions=self.keep_last or 0, age=(self.keep_days or 0.0) * 86400.0)

    def resolved_options(self, field: str) -> dict[str, str]:
        """The storage options with their secrets read. ConfigError names `field`.storage_options.NAME."""
        return {
            name: option.read(f"{field}.storage_options.{name}") if isinstance(option, SecretRef) else option
            for name, option in self.storage_options.items()
        }

    @field_validator("url")
    @classmethod
    def _supported(cls, url: str, info: ValidationInfo) -> str:
        if not url.startswith(("file:///", "file://{data_dir}", "s3://", "gs://", "az://")):
            raise ValueError("must be file:///folder, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix")
        return with_data_dir(url, info)


class Dataset(ObjectRules):
    """One dataset: what becomes a task, where, and how. Its labels come from `task` or from `label_config`."""

    annotator: str = Field(description="Name of the annotator, one of [annotators.*].")
    title: str = Field("", min_length=1, max_length=50, description="Title there; default: the dataset's name.")
    sources: list[str] = Field(min_length=1, description="Names of the sources, of [sources.*].")
    task: str | None = Field(None, description="Built-in label config: what people do.")
    options: dict[str, Any] = Field(
        {}, description="Options of that task, as `syncd label-config list --json` shows them; none: its defaults."
    )
    labels: list[str] = Field([], description="The labels of that task.", validate_default=True)
    label_config: Annotated[LabelConfigFile, PlainValidator(_label_config_file)] | None = Field(
        None,
        description="Own label config instead of task and labels: path of an XML file, relative to this file.",
        validate_default=True,
    )
    on_change: OnChange = Field(OnChange.NEW_TASK, description="What an overwritten object means for its task.")
    on_delete: OnDelete = Field(OnDelete.KEEP, description="What a deleted object means for its task.")
    on_drift: Literal["refuse", "warn", "update"] = Field(
        "warn", description="What to do when the label config in the annotator is another than ours."
    )
    webhook: bool = Field(True, description="Whether to have the annotator call the receiver about annotations.")
    media: Literal["annotator", "signed"] = Field(
        "annotator",
        description="How people see objects: through the annotator's own storages, or through links signed by syncd.",
    )
    snapshots: Snapshots = Field(Snapshots(), description="When and where.", validate_default=True)
    splits: DatasetSplits = Field(DatasetSplits(), description="What is trained on and what is kept to test with.")
    about: AboutDataset = Field(AboutDataset(), description="What is said of it: licence, creators …")
    triggers: dict[str, InstanceOf[Plugin]] = Field(
        {}, description="What is done when a version appears or a tag moves, by name."
    )

    @field_validator("task")
    @classmethod
    def _known_task(cls, task: str | None) -> str | None:
        if task is not None and task not in TASKS:
            raise ValueError(f"must be one of {', '.join(TASKS)}")
        return task

    @field_validator("labels")
    @classmethod
    def _labels_fit_task(cls, labels: list[str], info: ValidationInfo) -> list[str]:
        if task := info.data.get("task"):
            with field_errors():
                label_config(task, labels, **info.data.get("options", {}))
        return labels

    @field_validator("label_config")
    @classmethod
    def _one_way(cls, file: LabelConfigFile | None, info: ValidationInfo) -> LabelConfigFile | None:
        built_in = bool(info.data.get("task") or info.data.get("labels"))
        if "task" in info.data and (built_in if file else info.data["task"] is None):
            raise ValueError("set either `task` with `labels`, or `label_config`: exactly one of them")
        return file

    @field_validator("label_config")
    @classmethod
    def _shows_members(cls, file: LabelConfigFile | None, info: ValidationInfo) -> LabelConfigFile | None:
        """What the label config shows of a group has to be one of its members."""
        members, task, labels = info.data.get("members"), info.data.get("task"), info.data.get("labels")
        if members and file:
            xml = file.xml
        elif members and task and labels is not None:
            xml = label_config(task, labels, **info.data.get("options", {}))
        else:
            return file
        shown = [name.partition("[")[0].partition(".")[0] for name in parse_label_config(xml).variables]
        if lacking := [name for name in shown if name not in members]:
            raise ValueError(f"shows {lacking[0]!r}, which is none of `members`: {', '.join(members)}")
        return file

    @property
    def label_config_xml(self) -> str:
        """The label config in Label Studio's XML."""
        if self.label_config:
            return self.label_config.xml
        assert self.task is not None  # noqa: S101 - the validators hold it
        return label_config(self.task, self.labels, **self.options)
