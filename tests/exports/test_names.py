"""File names made of keys."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.exports.names import unique_names, unique_parts


def named(*keys: str, flat: bool = False) -> list[str]:
    names = unique_names(dict(enumerate(keys)), flat=flat)
    return [names[number] for number in range(len(keys))]


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("cats/1.jpg", "cats/1.jpg"),
        ("../../etc/passwd", "__/__/etc/passwd"),
        ("/a//b.jpg", "a/b.jpg"),
        ("a/./b/...", "a/_/b/__"),
        ("CON/nul.txt", "_CON/_nul.txt"),
        ("a b\tc\n.jpg", "a_b_c_.jpg"),
        ('<>:"|?*\\.png', "________.png"),
        (".hidden.jpg", "_hidden.jpg"),
        ("ends.with.dots..", "ends.with.dots_"),
        ("u\u0308ber/\u65e5\u672c.png", "\u00fcber/\u65e5\u672c.png"),
        ("", "_"),
    ],
)
def test_names_are_safe_on_every_file_system(key: str, name: str) -> None:
    assert named(key) == [name]


def test_names_that_differ_in_case_form_or_extension_alone_are_told_apart() -> None:
    keys = ["a/x.jpg", "A/X.jpg", "a/x.png", "a/x", "a?x.jpg", "a*x.jpg", "u\u0308.jpg", "\u00fc.jpg", "b", "b/c.jpg"]
    names = named(*keys)
    stems = [unicodedata.normalize("NFC", name.rsplit(".", 1)[0]).casefold() for name in names]
    assert len(set(stems)) == len(keys)
    assert "b" not in names  # it would be a file and a folder


def test_a_plain_name_is_not_lost_to_one_that_was_made_plain() -> None:
    assert named("a b.jpg", "a_b.jpg")[1] == "a_b.jpg"
    assert named("a/b.jpg", "a__b.jpg", flat=True)[1] == "a__b.jpg"


def test_what_a_name_becomes_does_not_hang_on_the_others_order() -> None:
    keys = ["x/a.jpg", "x/A.jpg", "x/a.png", "y.jpg"]
    forwards = unique_names({key: key for key in keys})
    assert unique_names({key: key for key in reversed(keys)}) == forwards
    assert forwards["y.jpg"] == "y.jpg"


def test_long_names_are_cut_and_keep_their_extension() -> None:
    names = named("a" * 300 + ".jpg", "a" * 301 + ".jpg", "/".join(["folder"] * 200) + "/x.png", "日" * 200 + ".jpg")
    assert all(len(name.encode()) <= 180 for name in names)
    assert [name[-4:] for name in names] == [".jpg", ".jpg", ".png", ".jpg"]
    assert len(set(names)) == 4


def test_labels_become_parts_of_a_path() -> None:
    assert unique_parts(["cat", "dog/wolf", "Cat"])["dog/wolf"] == "dog_wolf"
    assert len({name.casefold() for name in unique_parts(["cat", "Cat", "CAT", "c/at", "c_at"]).values()}) == 5


keys = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), max_size=12, unique=True)


@given(keys, st.booleans())
def test_any_keys_get_names_of_their_own_inside_the_folder(made: list[str], flat: bool) -> None:
    names = named(*made, flat=flat)
    folded = [unicodedata.normalize("NFD", name).casefold() for name in names]
    assert len(set(folded)) == len(names)
    for name in names:
        parts = name.split("/")
        assert not {"", ".", ".."} & set(parts)
        assert not flat or len(parts) == 1
        assert not any(name.startswith(f"{other}/") for other in names)
        assert name.isprintable() or not name.isascii()
