"""The dataset card: what is in a version, in words, and in the front matter that Hugging Face reads."""

from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import DatasetCard

from syncd.domain.labels import label_config
from syncd.domain.model import RowStatus
from syncd.training.describe import About
from tests.exports.texts import Texts, everything


async def test_a_card_counts_what_is_in_the_version(tmp_path: Path) -> None:
    texts = everything(tmp_path)
    texts.add("5", "skip", status=RowStatus.SKIPPED)
    texts.add("7", "again", task_id="3", key="3.txt", annotator="eve", split="val")
    texts.add("6", "odd", status=RowStatus.INVALID, invalid_reason="?")
    card = (await texts.commit()).card()
    for line in (
        "# texts v1",
        "Submitted answers: 5, to tasks: 3, about objects: 3.",
        "| submitted | 5 |",
        "| skipped | 1 |",
        "| val | 4 | 2 |",
        "| good | 2 |",
        "| home town | 1 |",
        "- `label`: Labels on Text: person, home town",
        "Answered by 3 people; tasks that several answered: 1.",
        "Answers that began with a prediction, by model: `m1` (1).",
        "- Answers that do not fit the label config, left out unless asked for: 1.",
        'syncd.open_snapshot("ROOT/texts@v1")',
        "Version 1 of 2027-01-15T08:00:00Z.",
    ):
        assert line in card.split("\n"), line
    assert "ann@x.org" not in card


async def test_a_card_says_what_people_said(tmp_path: Path) -> None:
    about = About("All of it.", "CC-BY-4.0", "https://x.org", "@misc{x}", keywords=("tea: black",))
    card = DatasetCard((await everything(tmp_path).commit()).card(about))
    said: Any = vars(card.data)
    assert (said["license"], said["pretty_name"]) == ("cc-by-4.0", "texts")
    assert said["tags"] == ["tea: black", "syncd"]
    assert said["task_categories"] == ["token-classification", "text-classification"]
    assert said["size_categories"] == ["n<1K"]
    assert "All of it." in card.text
    assert "https://x.org" in card.text
    assert "```\n@misc{x}\n```" in card.text


async def test_a_licence_of_ones_own_is_linked(tmp_path: Path) -> None:
    front = (await everything(tmp_path).commit()).card(About(license="https://x.org/terms")).split("---")[1]
    made = yaml.safe_load(front)
    assert (made["license"], made["license_link"]) == ("other", "https://x.org/terms")


async def test_a_card_names_labels_that_nobody_gave_and_keeps_its_tables_whole(tmp_path: Path) -> None:
    texts = Texts(tmp_path, label_config("named-entities", ("a|b", "never")))
    texts.add("1", "x", labels=("a|b",))
    card = (await texts.commit()).card()
    assert "| a\\|b | 1 |" in card
    assert "- Labels that nobody gave: never." in card


async def test_a_card_of_nothing_is_a_card(tmp_path: Path) -> None:
    texts = Texts(tmp_path)
    texts.add("1", "x", status=RowStatus.DRAFT)
    card = (await texts.commit()).card()
    assert "Submitted answers: 0, to tasks: 0, about objects: 0." in card
