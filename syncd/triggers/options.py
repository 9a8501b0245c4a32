"""What every trigger may be told, whatever its target: when it fires, and under which conditions.

The options of each target extend these, a stranger's too.
"""

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from syncd.domain.triggers import Conditions, Interest


class TriggerOptions(BaseModel):
    """When a trigger fires."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    on: list[str] = Field(
        ["version"],
        min_length=1,
        description='What it fires on: "version" (a new one), "tag" (any tag that is moved), "tag:production".',
    )
    min_changed_rows: int = Field(
        0, ge=0, description="Rows that must have changed since it last fired. Default: 0, each version fires."
    )
    at_most_every: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="Seconds between two firings; then the newest version fires."
    )
    max_label_share: float = Field(
        1.0, gt=0, le=1, description="Largest share of all labels that one label may have, 0 to 1."
    )
    min_rows_per_label: int = Field(
        0, ge=0, description="How often each label of the label config must have been given."
    )
    min_labelled_share: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of the dataset's tasks that must be labelled, 0 to 1, as its annotator counts.",
    )

    @field_validator("on")
    @classmethod
    def _known_words(cls, words: list[str]) -> list[str]:
        Interest.of(words)
        return words

    @model_validator(mode="after")
    def _conditions_apply(self) -> "TriggerOptions":
        if self.conditions.any and not self.interest.versions:
            raise ValueError('conditions hold back versions only, and a moved tag always fires: add "version" to `on`')
        return self

    @property
    def interest(self) -> Interest:
        """What it fires on."""
        return Interest.of(self.on)

    @property
    def conditions(self) -> Conditions:
        """What must hold for a version to fire."""
        return Conditions(
            self.min_changed_rows,
            self.at_most_every,
            self.max_label_share,
            self.min_rows_per_label,
            self.min_labelled_share,
        )
