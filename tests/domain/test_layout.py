"""What an object is to a dataset: limits, sidecars, members, manifests, and names in keys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.domain.errors import ConfigError, Rejected
from syncd.domain.layout import (
    Layout,
    Limits,
    Manifests,
    Members,
    Role,
    Sidecar,
    Template,
    member_templates,
    row_key,
    row_of,
    sidecar_template,
)
from syncd.domain.manifests import linked_object, row_id, row_version
from syncd.domain.model import ObjectRef
from syncd.domain.routing import Route, Routes, Selection
from syncd.domain.templates import Discovery, KeyPattern

KEYS = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=8), min_size=1)


def sidecar(text: str) -> Sidecar:
    return Sidecar(*sidecar_template(text))


def members(**templates: str | list[str]) -> Members:
    return Members(member_templates({name: [t] if isinstance(t, str) else t for name, t in templates.items()}))


@pytest.mark.parametrize(
    ("limits", "size", "why"),
    [
        (Limits(), 0, "empty"),
        (Limits(), 1, ""),
        (Limits(min_size=0), 0, ""),
        (Limits(min_size=0), None, ""),
        (Limits(min_size=10), 9, "min_size"),
        (Limits(min_size=10, max_size=10), 10, ""),
        (Limits(max_size=10), 11, "max_size"),
        (Limits(max_size=10), None, ""),
    ],
)
def test_sizes(limits: Limits, size: int | None, why: str) -> None:
    assert why in limits.refuses(size)
    assert bool(limits.refuses(size)) == bool(why)


@pytest.mark.parametrize(
    ("template", "key", "beside"),
    [
        ("{stem}.json", "cat.jpg", "cat.json"),
        ("{stem}.json", "a/cat.tar.gz", "a/cat.tar.json"),
        ("{stem}.json", "a/.hidden", "a/.hidden.json"),
        ("{stem}.json", "README", "README.json"),
        ("{name}.json", "a/cat.jpg", "a/cat.jpg.json"),
        ("meta-{name}", "a/cat.jpg", "a/meta-cat.jpg"),
        ("meta/{stem}.json", "a/cat.jpg", "a/meta/cat.json"),
        ("meta/{stem}.json", "cat.jpg", "meta/cat.json"),
    ],
)
def test_a_sidecar_is_where_its_template_says_and_leads_back(template: str, key: str, beside: str) -> None:
    described = sidecar(template)
    assert described.of(key) == beside
    assert described.covers(beside)
    assert key in described.objects(beside, [".jpg", ".gz", ".tar.gz", "", ".hidden"]) or "." not in key[1:]


@given(KEYS, st.sampled_from(["{stem}.json", "{name}.json", "meta/{stem}.json", "a/b/{name}"]))
def test_the_sidecar_of_any_key_is_known_as_one_and_names_its_object(parts: list[str], template: str) -> None:
    key, described = "/".join(parts) + ".jpg", sidecar(template)
    assert described.covers(described.of(key))
    assert key in described.objects(described.of(key), [".jpg"])


@pytest.mark.parametrize(
    "text", ["", "x.json", "{stem}", "{name}", "{stem}{name}", "{stem}/{stem}.json", "../{stem}.json", "/{stem}.json"]
)
def test_what_is_no_sidecar_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="sidecar"):
        sidecar_template(text)


def test_the_most_particular_member_counts() -> None:
    pair = members(left="{group}.jpg", right=["{group}_r.jpg", "{group}_r.png"])
    assert pair.find("a_r.jpg") == ("right", "a")
    assert pair.find("a.jpg") == ("left", "a")
    assert pair.find("_r.jpg") == ("left", "_r"), "a group has a name"
    assert pair.find("a.gif") is None
    assert list(pair.keys("a")) == [("left", "a.jpg"), ("right", "a_r.jpg"), ("right", "a_r.png")]
    assert list(pair.keys("a_r")) == [("right", "a_r_r.jpg"), ("right", "a_r_r.png")], "a_r.jpg is another group's"


@given(KEYS)
def test_a_member_is_found_by_the_key_that_its_group_gives_it(parts: list[str]) -> None:
    group, pair = "/".join(parts), members(left="left/{group}.jpg", right="right/{group}.jpg")
    assert [pair.find(key) for _, key in pair.keys(group)] == [("left", group), ("right", group)]


@pytest.mark.parametrize("text", ["left.jpg", "{group}/{group}.jpg", "/{group}.jpg", ""])
def test_what_is_no_member_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"members\.left"):
        member_templates({"left": [text], "right": ["{group}.r"]})


def test_two_members_have_two_keys() -> None:
    with pytest.raises(ConfigError, match="another key than member left"):
        member_templates({"left": ["{group}.jpg"], "right": ["{group}.jpg"]})


ROLES = [
    (Layout(), "a.jpg", Role.TASK),
    (Layout(Selection(("*.png",))), "a.jpg", Role.NOTHING),
    (Layout(limits=Limits((".JPG",))), "a.jpg", Role.TASK),
    (Layout(limits=Limits((".jpg",))), "a.JPG", Role.TASK),
    (Layout(limits=Limits((".jpg",))), "a.png", Role.NOTHING),
    (Layout(Selection(("*.jpg",)), sidecar=sidecar("{stem}.json")), "a.json", Role.SIDECAR),
    (Layout(members=members(left="{group}.l")), "a.l", Role.MEMBER),
    (Layout(members=members(left="{group}.l")), "a.r", Role.NOTHING),
    (Layout(manifests=Manifests(Selection(("*.jsonl",)))), "a.jsonl", Role.MANIFEST),
    (Layout(manifests=Manifests(Selection(("*.jsonl",)))), "a.jpg", Role.NOTHING),
    (Layout(pattern=KeyPattern("^(?P<dataset>[a-z]+)/"), name="red"), "red/a.jpg", Role.TASK),
    (Layout(pattern=KeyPattern("^(?P<dataset>[a-z]+)/"), name="red"), "blue/a.jpg", Role.NOTHING),
]


@pytest.mark.parametrize(("layout", "key", "role"), ROLES)
def test_roles(layout: Layout, key: str, role: Role) -> None:
    assert layout.role(key) is role


def test_events_of_members_are_about_their_group_and_many_datasets_may_want_one_object() -> None:
    routes = Routes(
        [
            Route("all", "s3://b"),
            Route("pairs", "s3://b", (), Layout(members=members(left="{group}.l", right="{group}.r"))),
            Route("pictures", "s3://b", (), Layout(limits=Limits((".jpg",)), sidecar=sidecar("{stem}.json"))),
        ]
    )
    assert routes.subjects(ObjectRef("s3://b", "x.l")) == (
        ("all", ObjectRef("s3://b", "x.l")),
        ("pairs", ObjectRef("groups+s3://b", "x")),
    )
    assert routes.datasets(ObjectRef("s3://b", "x.json")) == ("all", "pictures")


@given(
    st.text(st.characters(codec="utf-8"), max_size=20), st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
)
def test_a_rows_key_leads_back_to_manifest_and_row(manifest: str, row: str) -> None:
    assert row_of(row_key(manifest, row)) == (manifest, row)


@given(st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3) | st.none(), max_size=4))
def test_a_rows_version_is_blind_to_the_order_of_its_columns(row: dict[str, object]) -> None:
    assert row_version(dict(reversed(row.items()))) == row_version(row)


@pytest.mark.parametrize("value", [None, "", True, 1.5, [], "x" * 257])
def test_what_names_no_row_is_refused(value: object) -> None:
    with pytest.raises(Rejected, match="id"):
        row_id({"id": value}, "id")


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("a/b.jpg", ObjectRef("s3://home", "a/b.jpg")),
        ("s3://other/a b.jpg", ObjectRef("s3://other", "a b.jpg")),
        ("file:///srv/p/a.jpg", ObjectRef("file:///srv/p", "a.jpg")),
        ("file:///etc/passwd", None),
        ("https://example.com/a.jpg", None),
        ("data:image/png;base64,AA", None),
        ("/data/upload/1.jpg", None),
        ("", None),
        (7, None),
    ],
)
def test_a_row_links_to_an_object_by_key_or_url(value: object, found: ObjectRef | None) -> None:
    assert linked_object(value, "rows+s3://home", ("file:///srv/p", "s3://home")) == found


@pytest.mark.parametrize("value", ["../x", "a/../../x", "file:///srv/p/../x", "a//b", "s3://nokey", "s3://nokey/"])
def test_a_row_leads_out_of_no_folder(value: str) -> None:
    with pytest.raises(Rejected, match="links to"):
        linked_object(value, "rows+file:///srv/p", ("file:///srv/p",))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("red", ""),
        ("known", ""),
        ("Red", "a-z"),
        ("", "a-z"),
        ("_x", "a-z"),
        ("x" * 51, "a-z"),
        ("red\n", "a-z"),
        ("fixed", "another table"),
    ],
)
def test_names_of_datasets_that_keys_bring(name: str, why: str) -> None:
    assert why in Discovery({"fixed"}, 2).refuses(name, ["known"])


def test_there_is_an_end_of_datasets() -> None:
    assert "most = 2" in Discovery((), 2).refuses("new", ["a", "b"])
    assert Discovery((), 2).refuses("a", ["a", "b"]) == ""


@pytest.mark.parametrize("pattern", ["(", "^teams/([a-z]+)/", "^teams/(?P<name>[a-z]+)/"])
def test_a_pattern_without_a_name_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigError, match="key_pattern"):
        KeyPattern(pattern)


def test_a_template_needs_exactly_one_placeholder_and_something_in_it() -> None:
    assert Template.of("{group}{group}", "{group}") is None
    found = Template.of("l/{group}.jpg", "{group}")
    assert found is not None
    assert (found.match("l/.jpg"), found.match("l/a/b.jpg"), found.fill("c")) == (None, "a/b", "l/c.jpg")
