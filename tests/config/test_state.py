"""Where the state is: a file, or a server whose password is never part of what is shown."""

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest

from syncd.config import Config
from tests.config.conftest import BASE

Load = Callable[..., Config]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://syncd@db.example.com:5433/syncd?sslmode=verify-full",
        "postgresql://syncd@/syncd?host=/run/postgresql",
        "postgres:///syncd",
        "postgresql://[::1]/syncd",
    ],
)
def test_a_password_is_read_when_the_server_is_opened_and_shown_nowhere(
    load: Load, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("DB_PASSWORD", "p&w:d @/%?#ü")
    state = load(f"""{BASE}\n[state]\nurl = "{url}"\npassword = {{ env = "DB_PASSWORD" }}""").state
    assert state.url == url
    assert "p&w" not in repr(state)
    opened, shown = urlsplit(state.place), urlsplit(url)
    assert parse_qs(opened.query) == {**parse_qs(shown.query), "password": ["p&w:d @/%?#ü"]}
    assert opened._replace(query="") == shown._replace(query="")


def test_without_one_the_url_is_what_is_opened(load: Load) -> None:
    state = load(f"""{BASE}\n[state]\nurl = "postgresql://syncd@db/syncd" """).state
    assert state.place == state.url
    assert load(BASE).state.place.startswith("sqlite:///")
