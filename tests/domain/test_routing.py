"""What a selection accepts, where a route leads, and how a folder becomes a bucket URL."""

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wcmatch import glob

from syncd.domain.errors import ConfigError
from syncd.domain.model import ObjectRef
from syncd.domain.routing import TEMPORARY, Route, Routes, Selection, _Globs, bucket_url, folder_path

ACCEPTED = [
    ("*.jpg", "a.jpg"),
    ("*.jpg", "deep/down/a.jpg"),
    ("cats/*.jpg", "cats/a.jpg"),
    ("cats/**", "cats/a/b/c.jpg"),
    ("**/*.jpg", "a.jpg"),
    ("**/*.jpg", "x/y/a.jpg"),
    ("a/**/b.png", "a/b.png"),
    ("a/**/b.png", "a/x/y/b.png"),
    ("img_?.png", "img_7.png"),
    ("[ab].txt", "b.txt"),
    ("[!ab].txt", "c.txt"),
    ("*.{jpg,png}", "x/a.png"),
    ("**", "anything/at all"),
    (r"a\*b", "a*b"),
    (r"a\[1].txt", "a[1].txt"),
    ("*.txt", "line\nbreak.txt"),
    ("bücher/*", "bücher/ä.txt"),
    ("!x", "!x"),
    ("-x", "-x"),
]
REFUSED = [
    ("*.jpg", "a.JPG"),
    ("*.jpg", "a.jpg\n"),
    ("*.jpg", "a.jpg/b"),
    ("cats/*.jpg", "cats/x/a.jpg"),
    ("cats/*.jpg", "x/cats/a.jpg"),
    ("cats/**", "cats"),
    ("cats/**", "dogs/cats/a"),
    ("img_?.png", "img_12.png"),
    ("a?b", "a/b"),
    ("[ab].txt", "c.txt"),
    ("[!ab].txt", "a.txt"),
    ("*.{jpg,png}", "a.gif"),
    (r"a\*b", "axb"),
]


@pytest.mark.parametrize(("pattern", "key"), ACCEPTED)
def test_a_pattern_accepts_what_it_names(pattern: str, key: str) -> None:
    assert Selection((pattern,)).accepts(key)
    assert not Selection((), (pattern,)).accepts(key)


@pytest.mark.parametrize(("pattern", "key"), REFUSED)
def test_a_pattern_refuses_the_rest(pattern: str, key: str) -> None:
    assert not Selection((pattern,)).accepts(key)
    assert Selection((), (pattern,)).accepts(key)


def test_no_include_means_all_and_an_exclude_wins() -> None:
    selection = Selection(include=("cats/**", "*.png"), exclude=("**/raw/**",))
    assert Selection().accepts("any/thing")
    assert selection.accepts("cats/1.jpg")
    assert selection.accepts("dogs/1.png")
    assert not selection.accepts("dogs/1.jpg")
    assert not selection.accepts("cats/raw/1.jpg")


@pytest.mark.parametrize("key", [".a", "x/.git/config", ".cache/x", "x/.hidden.jpg"])
def test_hidden_names_count_only_when_asked_for(key: str) -> None:
    assert not Selection().accepts(key)
    assert Selection(hidden=True).accepts(key)


@pytest.mark.parametrize(
    "name",
    ["a.jpg~", "a.jpg.part", "a.partial", "a.tmp", "a.crdownload", "a.download", ".a.swp", ".#a", "~$a.docx",
     ".~lock.a.odt#", ".syncd-0", "#a#"],
)  # fmt: skip
def test_temporary_names_are_left_out_at_any_depth(name: str) -> None:
    everything = Selection(("**",), hidden=True)
    assert not everything.accepts(name)
    assert not everything.accepts(f"deep/down/{name}")
    assert TEMPORARY


def test_a_directory_marker_is_no_object() -> None:
    assert not Selection().accepts("photos/")


@pytest.mark.parametrize(
    "pattern",
    ["", " ", "/abs/*.jpg", "photos/", "../x", "a/./b", "[abc", "a{b,c", "{1..5000}"],
)
def test_a_pattern_that_cannot_be_meant_is_refused_with_the_name_of_its_field(pattern: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Selection(("*.jpg", pattern), origin="datasets.cats")
    (problem,) = caught.value.problems
    assert problem.field == "datasets.cats.include[1]"
    assert problem.found == repr(pattern)


def test_all_bad_patterns_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        Selection(("/a", "["), ("{",), origin="sources.x")
    assert [p.field for p in caught.value.problems] == [
        "sources.x.include[0]",
        "sources.x.include[1]",
        "sources.x.exclude[0]",
    ]


def test_a_hundred_thousand_keys_take_less_than_a_second_of_cpu() -> None:
    selection = Selection(("**/*.jpg", "a/**/b/*.{png,gif}"), ("raw/**", "*.bak"))
    keys = [f"cats/2024/{i:06d}/some/path/img_{i}.jpg" for i in range(100_000)]
    start = time.process_time()
    assert all(map(selection.accepts, keys))
    assert time.process_time() - start < 1.0


@given(st.text(min_size=1, max_size=60))
def test_any_key_at_all_can_be_asked_for(key: str) -> None:
    assert Selection(("**/*.jpg",), hidden=True).accepts(key) in {True, False}


@given(st.text(alphabet="ab/*?[]{}!^,.-\\\\\n0", max_size=12))
def test_any_pattern_at_all_is_understood_or_refused(pattern: str) -> None:
    with suppress(ConfigError):
        assert Selection((pattern,)).accepts("a/b.a") in {True, False}


def test_a_dataset_is_asked_whether_a_route_leads_to_it() -> None:
    routes = Routes(
        [Route("cats", "s3://photos", (Selection(("*.jpg",)), Selection(("cats/**",)))), Route("all", "s3://photos")]
    )
    cat, dog, other = (
        ObjectRef("s3://photos", "cats/a.jpg"),
        ObjectRef("s3://photos", "dogs/a.jpg"),
        ObjectRef("s3://x", "cats/a.jpg"),
    )
    assert [routes.selects("cats", ref) for ref in (cat, dog, other)] == [True, False, False]
    assert [routes.selects("all", ref) for ref in (cat, dog, other)] == [True, True, False]


def test_one_object_may_go_into_several_datasets_each_once() -> None:
    routes = Routes(
        [
            Route("cats", "s3://photos", (Selection(("cats/**",)),)),
            Route("all", "s3://photos"),
            Route("cats", "s3://photos", (Selection(("*.jpg",)),)),
            Route("other", "s3://else"),
        ]
    )
    assert routes.datasets(ObjectRef("s3://photos", "cats/1.jpg")) == ("cats", "all")
    assert routes.datasets(ObjectRef("s3://photos", "dogs/1.png")) == ("all",)
    assert routes.datasets(ObjectRef("s3://else", "x")) == ("other",)
    assert routes.datasets(ObjectRef("s3://unknown", "x")) == ()


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("/data/my photos", "file:///data/my%20photos"),
        ("/data/photos/", "file:///data/photos"),
        ("/data//photos/./x", "file:///data/photos/x"),
        ("/", "file:///"),
        ("/a%20b", "file:///a%2520b"),
        ("/ä#?\n", "file:///%C3%A4%23%3F%0A"),
    ],
)
def test_a_folder_has_one_bucket_url(path: str, url: str) -> None:
    assert bucket_url(path) == url
    assert bucket_url(folder_path(url)) == url


@given(st.lists(st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1), min_size=1))
def test_a_bucket_url_leads_back_to_its_folder_and_can_be_part_of_a_subject_id(parts: list[str]) -> None:
    path = "/" + "/".join(part for part in parts if part != ".")
    url = bucket_url(path)
    assert folder_path(url) == path
    assert " " not in url
    ref = ObjectRef(url, "any key")
    assert ObjectRef.from_id(ref.id) == ref


def test_a_relative_path_and_a_foreign_url_are_refused() -> None:
    with pytest.raises(ValueError, match="absolute"):
        bucket_url("photos")
    with pytest.raises(ValueError, match="file:///"):
        folder_path("s3://photos")


@pytest.mark.parametrize("pattern", [*TEMPORARY, "*.jpg", "*a", "a*", "a-b*", "*_b", "*.tar.gz", "*é"])
@given(key=st.text("ab.~#$/-_é*\n[", max_size=12).map(lambda key: key.replace("b", ".part")))
def test_a_pattern_that_is_an_ending_or_a_beginning_means_what_globs_mean(pattern: str, key: str) -> None:
    name = key.rpartition("/")[2]
    flags = glob.GLOBSTAR | glob.BRACE | glob.DOTGLOB | glob.CASE | glob.FORCEUNIX
    assert _Globs([pattern]).match(key) is bool(name and glob.globmatch(name, pattern, flags=flags))
