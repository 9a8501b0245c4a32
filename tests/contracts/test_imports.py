"""The contract of `ports.Imports`, a role of every state store."""

from dataclasses import replace

import pytest

from syncd.domain.errors import Rejected
from syncd.domain.model import IMPORTED, AnswerKind, ImportedAnswer, JsonObject, ObjectRef
from syncd.ports import StateStore
from tests.contracts.states import clock, open_store, state  # noqa: F401 - fixtures

BUCKET = "s3://photos"
CHOICE: JsonObject = {"from_name": "c", "to_name": "i", "value": {"choices": ["Kätzchen"]}}
REGION: JsonObject = {"id": "r1", "type": "choices", **CHOICE}


def answer(key: str, *, bucket: str = BUCKET, model: str | None = None, text: str | None = None) -> ImportedAnswer:
    kind = AnswerKind.PREDICTION if model else AnswerKind.ANNOTATION
    return ImportedAnswer(ObjectRef(bucket, key), kind, (REGION,), model, text)


async def test_answers_wait_until_they_are_given(state: StateStore) -> None:  # noqa: F811
    one, other, theirs = answer("a b.jpg"), answer("a b.jpg", model="m@1"), answer("c.jpg")
    assert await state.want("pets", [one, theirs, other]) == 3
    refs = [one.ref, theirs.ref, ObjectRef(BUCKET, "none.jpg"), ObjectRef("s3://other", "a b.jpg")]
    assert await state.wanted("pets", refs) == {one.ref: [one, other], theirs.ref: [theirs]}
    assert await state.wanted("cars", refs) == {}
    await state.given("pets", [one])
    await state.given("pets", [one])
    assert await state.wanted("pets", refs) == {one.ref: [other], theirs.ref: [theirs]}
    assert await state.wanted_count("pets") == 2


async def test_an_answer_is_wanted_once_also_after_it_was_given(state: StateStore) -> None:  # noqa: F811
    one = answer("1.jpg")
    renamed = replace(one, result=({**REGION, "id": "another"},))
    assert await state.want("pets", [one, renamed]) == 1
    await state.given("pets", [one])
    assert await state.want("pets", [renamed]) == 0
    assert await state.wanted("pets", [one.ref]) == {}
    assert await state.want("cars", [one]) == 1


async def test_texts_are_kept_with_the_first_answer_that_brought_them(state: StateStore) -> None:  # noqa: F811
    bucket = f"{IMPORTED}reviews"
    first = answer("r1", bucket=bucket, text="Schön 🍏\n")
    await state.want("pets", [first, answer("r1", bucket=bucket, model="m", text="Schön 🍏\n")])
    await state.given("pets", [first])
    assert await state.text("pets", first.ref) == "Schön 🍏\n"
    assert await state.text("pets", ObjectRef(bucket, "r2")) is None
    assert await state.text("cars", first.ref) is None


async def test_another_text_under_the_name_of_one_is_refused(state: StateStore) -> None:  # noqa: F811
    bucket = f"{IMPORTED}reviews"
    await state.want("pets", [answer("r1", bucket=bucket, text="Good")])
    for other in ([answer("r1", bucket=bucket, text="Bad")], [answer("r2", bucket=bucket, text=t) for t in "ab"]):
        with pytest.raises(Rejected, match=r"import://reviews has another text called 'r\d' from before; give this"):
            await state.want("pets", other)
    assert await state.wanted_count("pets") == 1
    assert await state.want("cars", [answer("r1", bucket=bucket, text="Bad")]) == 1


async def test_a_dataset_that_is_forgotten_takes_its_answers_along(state: StateStore) -> None:  # noqa: F811
    for dataset in ("pets", "cars"):
        await state.want(dataset, [answer("1.jpg")])
    await state.forget("pets")
    assert (await state.wanted_count("pets"), await state.wanted_count("cars")) == (0, 1)
    assert await state.want("pets", [answer("1.jpg")]) == 1


async def test_thousands_of_objects_are_looked_up_at_once(state: StateStore) -> None:  # noqa: F811
    answers = [answer(f"{n}.jpg") for n in range(2500)]
    assert await state.want("pets", answers) == 2500
    assert len(await state.wanted("pets", [a.ref for a in answers])) == 2500
