"""What `[datasets.NAME]` says of the objects in its buckets: which of them count, and what a task is made of.

Part of the configuration models: `config.datasets.Dataset` has these fields too.
"""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from syncd.config.base import Count, SecondsOrZero, Section
from syncd.config.problems import field_errors
from syncd.domain.layout import Layout, Limits, Manifests, Members, Sidecar, member_templates, sidecar_template
from syncd.domain.routing import Selection
from syncd.domain.templates import KeyPattern

_WAYS = ("sidecar", "members", "manifest")


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


class ObjectRules(Section):
    """The fields of a dataset that speak of objects."""

    include: list[str] = Field([], description="Globs of keys that become tasks; none: all that the sources give.")
    exclude: list[str] = Field([], description="Globs of keys that do not, even where `include` matches.")
    suffixes: list[Annotated[str, Field(min_length=1)]] = Field(
        [], description='Ends of the keys that become tasks, whatever their case, such as ".jpg"; none: any.'
    )
    min_size: int = Field(
        1, ge=0, description="Smallest object that becomes a task, bytes; 1: an empty one is an upload that went wrong."
    )
    max_size: Count | None = Field(None, description="Largest object that becomes a task, bytes; default: any.")
    text_limit: int = Field(1024 * 1024, ge=1, description="Largest object whose text is put into its task, bytes.")
    text_over_limit: Literal["refuse", "cut"] = Field(
        "refuse", description="A larger text: a dead letter, or its beginning becomes the task."
    )
    sidecar: str | None = Field(
        None,
        description="Key of the JSON object whose members are put into an object's task, beside it: {stem}.json is "
        "cat.json for cat.jpg, {name}.json is cat.jpg.json.",
    )
    sidecar_wait: SecondsOrZero = Field(5.0, description="How long a new object waits for its sidecar, seconds.")
    sidecar_limit: Count = Field(65536, description="Largest sidecar that is read, bytes.")
    members: dict[str, Annotated[list[str], BeforeValidator(_listed)]] = Field(
        {},
        description="Objects that are one task together: variable of the label config = key with {group} in it, or a "
        "list of such of which the first that is there counts.",
    )
    optional_members: list[str] = Field([], description="Names of those that a task can do without.")
    members_wait: SecondsOrZero = Field(
        600.0, description="How long an incomplete group waits until it is a dead letter, seconds."
    )
    manifest: Annotated[list[str], BeforeValidator(_listed)] = Field(
        [], description="Globs of JSONL, CSV, TSV or Parquet objects, each row of which becomes a task."
    )
    manifest_id: str | None = Field(
        None, description="Column that names a row; default: a row is named by its content."
    )
    manifest_limit: Count = Field(64 * 1024 * 1024, description="Largest manifest, also when unpacked, bytes.")
    manifest_rows: Count = Field(100_000, description="Most rows of one manifest.")
    key_pattern: str | None = Field(
        None,
        description="Regular expression with a group `dataset`, searched in keys: this table is then the template of "
        "the datasets that it finds there.",
    )
    most: int = Field(100, ge=1, le=1000, description="Most datasets that one key_pattern may make.")

    @field_validator("include", "exclude", "manifest")
    @classmethod
    def _valid_globs(cls, globs: list[str]) -> list[str]:
        with field_errors():
            Selection(include=tuple(globs))
        return globs

    @field_validator("sidecar")
    @classmethod
    def _valid_sidecar(cls, text: str | None) -> str | None:
        if text is not None:
            with field_errors():
                sidecar_template(text)
        return text

    @field_validator("members")
    @classmethod
    def _valid_members(cls, members: Mapping[str, list[str]]) -> Mapping[str, list[str]]:
        with field_errors():
            member_templates(members)
        if bad := [name for name in members if name.startswith("syncd_") or name == "sidecar"]:
            raise ValueError(f"{bad[0]!r} is a name of syncd's own; choose another")
        return members

    @field_validator("key_pattern")
    @classmethod
    def _valid_pattern(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            with field_errors():
                KeyPattern(pattern)
        return pattern

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if len(chosen := [way for way in _WAYS if getattr(self, way)]) > 1:
            raise ValueError(f"{' and '.join(chosen)} cannot both say what a task is made of; choose one")
        if self.sidecar and "{stem}" in self.sidecar and not self.suffixes:
            raise ValueError('a sidecar by {stem} needs `suffixes`, which say what lies beside it: [".jpg", ".png"]')
        if self.members and not set(self.members) - set(self.optional_members):
            raise ValueError("members need one that is not in optional_members")
        if unknown := sorted(set(self.optional_members) - set(self.members)):
            raise ValueError(f"optional_members names {unknown[0]!r}, which is none of `members`")
        if self.max_size is not None and self.max_size < self.min_size:
            raise ValueError("max_size must not be below min_size")
        return self

    def layout(self, origin: str, name: str = "") -> Layout:
        """The same for the flows. `origin`: the dotted name of the table; `name`: of the dataset, for key_pattern."""
        # Hidden names are the source's business; the dataset takes what it gives.
        own = Selection(tuple(self.include), tuple(self.exclude), hidden=True, origin=origin)
        return Layout(
            own,
            Limits(tuple(self.suffixes), self.min_size, self.max_size),
            self._sidecar(),
            self._members(),
            self._manifests(),
            KeyPattern(self.key_pattern) if self.key_pattern and name else None,
            name,
        )

    def _sidecar(self) -> Sidecar | None:
        if self.sidecar is None:
            return None
        return Sidecar(*sidecar_template(self.sidecar), wait=self.sidecar_wait, limit=self.sidecar_limit)

    def _members(self) -> Members | None:
        if not self.members:
            return None
        return Members(member_templates(self.members), frozenset(self.optional_members), self.members_wait)

    def _manifests(self) -> Manifests | None:
        if not self.manifest:
            return None
        selection = Selection(tuple(self.manifest), hidden=True)
        return Manifests(selection, self.manifest_id, self.manifest_limit, self.manifest_rows)
