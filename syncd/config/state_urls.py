"""URLs of state stores, as configurations and commands name them: without a password, so that they can be shown.

Used by the configuration's models and by `syncd state copy`.
"""

from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

SERVERS = ("postgresql", "postgres")


def state_url(url: str) -> str:
    """The URL, if it names a state store. ValueError says what is allowed; it never repeats the URL."""
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite":
        if not rest.removeprefix("/"):
            raise ValueError("must be sqlite:///PATH (an absolute path makes four slashes)")
        if not rest.startswith("/"):
            raise ValueError("must be sqlite:///PATH, with three slashes (an absolute path makes four)")
    elif scheme not in SERVERS:
        raise ValueError("must be sqlite:///PATH, or postgresql://USER@HOST/DATABASE")
    elif _shows_a_password(url):
        raise ValueError("must not hold the password: name where it is in state.password, or set $PGPASSWORD")
    return url


def is_server(url: str) -> bool:
    """Whether a state is on a database server, where many daemons may share it."""
    return url.partition("://")[0] in SERVERS


def with_password(url: str, password: str) -> str:
    """The URL with a password in it, for who opens it."""
    parts = urlsplit(url)
    given = f"password={quote(password, safe='')}"
    return urlunsplit(parts._replace(query=f"{parts.query}&{given}" if parts.query else given))


def _shows_a_password(url: str) -> bool:
    parts = urlsplit(url)  # ValueError: it is no URL
    return ":" in parts.netloc.rpartition("@")[0] or "password" in parse_qs(parts.query)
