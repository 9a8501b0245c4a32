"""What `[buckets.*]` and the sources of them say is checked when loaded, and told in words a person can act on."""

from collections.abc import Callable

import pytest

Problems = Callable[..., dict[str, str]]
PHOTOS = '[buckets.photos]\nurl = "s3://photos"\n'
QUEUE = f'{PHOTOS}[sources.photos]\ntype = "sqs"\nqueue = "photo-events"\n'


def test_a_source_of_an_unknown_bucket_is_told_with_the_one_that_was_meant(problems: Problems) -> None:
    assert problems(f'{QUEUE}buckets = ["photo"]') == {
        "sources.photos.buckets": "sources.photos.buckets: is not configured; did you mean photos? (found 'photo')"
    }


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://photos", "must be s3://name"),
        ("s3://photos/below", "without a path"),
        ("s3://my photos", "holds no space"),
        ("s3://photos?x=1", "holds no space"),
    ],
)
def test_a_url_that_is_no_buckets_is_refused(problems: Problems, url: str, said: str) -> None:
    assert said in problems(f'[buckets.photos]\nurl = "{url}"')["buckets.photos.url"]


@pytest.mark.parametrize("endpoint", ["nonsense", "", "localhost:8333", "http://", "ftp://host"])
def test_an_endpoint_that_is_no_url_is_refused_before_anything_is_sent(problems: Problems, endpoint: str) -> None:
    options = f'storage_options = {{ aws_endpoint = "{endpoint}" }}'
    assert "aws_endpoint must be a URL" in problems(f"{PHOTOS}{options}")["buckets.photos.storage_options"]
    queue = f'{QUEUE}buckets = ["photos"]\nendpoint = "{endpoint}"'
    assert "must be a URL" in problems(queue)["sources.photos.endpoint"]


def test_a_list_is_asked_for_in_toml_s_own_word(problems: Problems) -> None:
    assert problems(f'{QUEUE}buckets = "photos"') == {
        "sources.photos.buckets": "sources.photos.buckets: must be a list (found text)"
    }
    told = problems(f"{QUEUE}buckets = []")["sources.photos.buckets"]
    assert told == "sources.photos.buckets: must have at least 1 item"


def test_a_list_is_not_also_too_short_where_its_members_are_wrong(problems: Problems) -> None:
    topics = f'{PHOTOS}[sources.photos]\ntype = "sns"\nbuckets = ["photos"]\ntopics = ["photos"]'
    assert list(problems(topics)) == ["sources.photos.topics.0"]


def test_what_is_wrong_between_fields_is_told_without_the_table_it_was_found_in(problems: Problems) -> None:
    told = problems(f'{QUEUE}buckets = ["photos"]\naccess_key_id = {{ env = "KEY_ID" }}')
    assert told["sources.photos"] == "sources.photos: access_key_id and secret_access_key go together"


def test_a_pattern_is_told_in_words(problems: Problems) -> None:
    pulled = f'{PHOTOS}[sources.photos]\ntype = "pubsub"\nbuckets = ["photos"]\nsubscription = "photo-events"'
    assert "as projects/PROJECT/subscriptions/NAME" in problems(pulled)["sources.photos.subscription"]
