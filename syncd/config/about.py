"""`[datasets.NAME.about]`: what only people know of a dataset, for its card, its Croissant metadata and its exports.

Part of the configuration models.
"""

from pydantic import Field

from syncd.config.base import Section
from syncd.training.describe import About


class AboutDataset(Section):
    """What a dataset is said to be. All of it may be left out."""

    description: str = Field("", description="What it is, in a sentence or more; Markdown.")
    license: str = Field("", description="Its licence: an SPDX identifier such as CC-BY-4.0, or a URL.")
    homepage: str = Field("", description="A URL about it.")
    citation: str = Field("", description="How to cite it, best in BibTeX.")
    creators: list[str] = Field([], description="Who made it: names of people or organizations.")
    keywords: list[str] = Field([], description="Words to find it by.")

    def said(self) -> About:
        """The same as the training side takes it."""
        return About(
            self.description, self.license, self.homepage, self.citation, tuple(self.creators), tuple(self.keywords)
        )
