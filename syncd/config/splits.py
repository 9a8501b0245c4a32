"""`[datasets.NAME.splits]`: which objects are trained on and which are kept to test with.

Part of the configuration models. The rules themselves, and what they refuse, are those of `domain.splits`.
"""

from pydantic import Field, field_validator

from syncd.config.base import Section
from syncd.config.problems import field_errors
from syncd.domain.splits import Splits


class DatasetSplits(Section):
    """How objects are divided into those to train on and those to test with."""

    shares: dict[str, float] = Field(
        dict(Splits().shares), description="Share of each split, by name; together 1. New shares are for new objects."
    )
    group: str | None = Field(
        None,
        description="Regular expression: keys in which it (or its first group) finds the same go into one split.",
    )
    stratify: bool = Field(False, description="Whether to keep the labels' shares alike in all splits.")

    @field_validator("shares")
    @classmethod
    def _divide(cls, shares: dict[str, float]) -> dict[str, float]:
        with field_errors():
            Splits(shares)
        return shares

    @field_validator("group")
    @classmethod
    def _groups(cls, group: str | None) -> str | None:
        with field_errors():
            Splits(group=group)
        return group

    @property
    def rules(self) -> Splits:
        """The same for the snapshot store."""
        return Splits(self.shares, self.group, self.stratify)
