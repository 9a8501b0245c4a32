"""What a local Label Studio is started with: its account, what its user chose, and its environment variables.

Called by `server.LocalLabelStudio`.
"""

import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Credentials:
    """Made once: Label Studio takes most of it at its first boot only."""

    username: str
    password: str = field(repr=False)
    legacy_token: str = field(repr=False)
    secret_key: str = field(repr=False)


def read_credentials(path: Path) -> Credentials | None:
    """What `make_credentials` stored; None when nothing was."""
    if not path.exists():
        return None
    return Credentials(**json.loads(path.read_text(encoding="utf-8")))


def make_credentials(path: Path) -> Credentials:
    """New random ones, stored at `path` for the owner's eyes only."""
    credentials = Credentials(
        username="syncd@localhost",
        password=secrets.token_urlsafe(16),
        legacy_token=secrets.token_hex(20),
        secret_key=secrets.token_urlsafe(48),
    )
    write_private(path, json.dumps(asdict(credentials), indent=2))
    return credentials


@dataclass(frozen=True, slots=True)
class Choices:
    """What a person chooses; kept for the next start that does not say. `files_root`: absolute."""

    port: int = 8080
    files_root: Path | None = None

    def replaced(self, port: int | None, files_root: Path | None) -> "Choices":
        """These, with what was chosen anew; None stands for no choice."""
        return Choices(port or self.port, files_root or self.files_root)

    def changes(self, other: "Choices") -> str:
        """What becomes what on the way to the other, for people; empty where nothing does."""
        pairs = {"port": (self.port, other.port), "files": (self.files_root, other.files_root)}
        return ", ".join(f"{name} {old or 'none'} becomes {new}" for name, (old, new) in pairs.items() if old != new)


def read_choices(path: Path) -> Choices:
    """What `write_choices` stored; the defaults when nothing was."""
    if not path.exists():
        return Choices()
    stored = json.loads(path.read_text(encoding="utf-8"))
    return Choices(stored["port"], Path(stored["files_root"]) if stored["files_root"] else None)


def write_choices(path: Path, choices: Choices) -> None:
    """Stores them at `path`."""
    files_root = str(choices.files_root) if choices.files_root else None
    write_private(path, json.dumps({"port": choices.port, "files_root": files_root}))


def write_private(path: Path, text: str) -> None:
    """Whole or not at all, and mode 0600 from the first moment."""
    temporary = path.with_name(f"{path.name}.new")
    temporary.unlink(missing_ok=True)
    temporary.touch(mode=0o600)
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def settings(home: Path, credentials: Credentials, files_root: Path | None) -> dict[str, str]:
    """Label Studio's settings as environment variables, all data below `home`."""
    chosen = {
        "BASE_DATA_DIR": str(home / "data"),
        "USERNAME": credentials.username,
        "PASSWORD": credentials.password,
        "USER_TOKEN": credentials.legacy_token,
        "SECRET_KEY": credentials.secret_key,
        "ENABLE_LEGACY_API_TOKEN": "true",
        "DISABLE_SIGNUP_WITHOUT_LINK": "true",
        # It calls home unless told otherwise.
        "COLLECT_ANALYTICS": "false",
        "LATEST_VERSION_CHECK": "false",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
        # syncd's webhook receiver is on loopback, which this protection refuses to call.
        "SSRF_PROTECTION_ENABLED": "false",
        "LOCAL_FILES_SERVING_ENABLED": "true" if files_root else "false",
    }
    if files_root:
        chosen["LOCAL_FILES_DOCUMENT_ROOT"] = str(files_root)
    # HOME: it keeps a user id in the configuration folder of whoever starts it.
    return {f"LABEL_STUDIO_{name}": value for name, value in chosen.items()} | {
        "DJANGO_DB": "sqlite",
        "HOME": str(home),
    }


def inherited() -> dict[str, str]:
    """Few variables only: Label Studio takes bare HOST, PORT, DEBUG, PASSWORD and more for its settings."""
    kept = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"PYTHONUNBUFFERED": "1"}
