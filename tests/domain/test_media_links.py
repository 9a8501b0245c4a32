"""Links to objects: ours are read back, and nobody else can make one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.domain.media_links import MediaLinks
from syncd.domain.model import ObjectRef

LINKS = MediaLinks("https://syncd.example", b"k" * 32)
REF = ObjectRef("s3://photos", "cats/a b?#ü.jpg")

keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300)


def token(link: str) -> str:
    return link.split("/")[-2]


@given(key=keys)
def test_a_link_leads_to_its_object_whatever_its_key(key: str) -> None:
    ref = ObjectRef("gs://photos", key)
    link = LINKS.link("fruits", ref)
    assert link.startswith("https://syncd.example/media/fruits/")
    assert link.isascii()
    assert link.count("/") == 6
    assert LINKS.read("fruits", token(link)) == ref


def test_a_link_ends_in_the_objects_name_for_players_that_go_by_it() -> None:
    assert LINKS.link("fruits", REF).endswith("/a%20b%3F%23%C3%BC.jpg")


def test_a_link_of_another_dataset_or_secret_is_none() -> None:
    made = token(LINKS.link("fruits", REF))
    assert LINKS.read("pets", made) is None
    assert MediaLinks(LINKS.base, b"x" * 32).read("fruits", made) is None


@pytest.mark.parametrize("wrong", ["", "a", "!!!!", "ü", "AAAA", "A" * 200])
def test_what_is_no_token_is_none(wrong: str) -> None:
    assert LINKS.read("fruits", wrong) is None


@given(place=st.integers(0, 10_000), letter=st.sampled_from("ABab01-_="))
def test_no_letter_of_a_token_can_be_changed(place: int, letter: str) -> None:
    made = token(LINKS.link("fruits", REF))
    place %= len(made)
    forged = made[:place] + letter + made[place + 1 :]
    assert LINKS.read("fruits", forged) == (REF if forged == made else None)


def test_a_timed_link_works_until_its_time_and_for_its_object_only() -> None:
    query = LINKS.timed("fruits", REF, 1000)
    assert LINKS.is_timed("fruits", REF, query, 999.9)
    assert not LINKS.is_timed("fruits", REF, query, 1000)
    assert not LINKS.is_timed("fruits", REF, {**query, "until": "2000"}, 999)
    assert not LINKS.is_timed("pets", REF, query, 999)
    assert not LINKS.is_timed("fruits", ObjectRef(REF.bucket, "other"), query, 999)


@pytest.mark.parametrize("until", ["", "x", "-1", "1e9", "²", "9" * 13, "1.5"])
def test_a_time_that_is_no_number_is_no_time(until: str) -> None:
    assert not LINKS.is_timed("fruits", REF, {"until": until, "signature": "x"}, 0)
