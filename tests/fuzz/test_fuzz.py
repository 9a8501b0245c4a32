"""The small form: some hundred changed samples for each reader of others' bytes, the same ones every time."""

from random import Random

import pytest

from tests.fuzz.documents import DOCUMENTS
from tests.fuzz.mutation import changed
from tests.fuzz.targets import EVENTS, Target

INPUTS = 400


@pytest.mark.parametrize("target", [*EVENTS, *DOCUMENTS], ids=lambda target: target.name)
def test_no_changed_sample_breaks_a_reader(target: Target) -> None:
    chance = Random(target.name)
    for sample in target.samples:
        target.try_(sample)
    for _ in range(INPUTS):
        data = changed(chance.choice(target.samples), chance)
        try:
            target.try_(data)
        except Exception as error:
            error.add_note(f"input: {data!r}")
            raise


def test_there_is_a_target_for_every_parser_of_events() -> None:
    names = {target.name for target in (*EVENTS, *DOCUMENTS)}
    assert len(names) == len(EVENTS) + len(DOCUMENTS)
    assert {
        "s3",
        "sns",
        "eventbridge",
        "pubsub",
        "event_grid",
        "cloudevents",
        "seaweedfs",
        "plain",
        "label-studio",
    } <= names
