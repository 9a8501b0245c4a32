"""The tables of the configuration file and their defaults; `config/syncd.toml` shows them all.

Read by `service` and `cli`, made by the loader. Times are seconds, sizes are bytes.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, InstanceOf, PlainValidator, ValidationInfo, field_validator

from syncd.config.base import Count, Seconds, SecondsOrZero, Section, with_data_dir
from syncd.config.buckets import BucketConfig
from syncd.config.datasets import Dataset
from syncd.config.plugins import Plugin
from syncd.config.state_urls import state_url, with_password
from syncd.secrets import FRESH_S, SecretRef, text_or_secret


class State(Section):
    """Where syncd remembers what it did."""

    url: str = Field(
        "sqlite:///{data_dir}/state.db",
        description="URL of the state store: sqlite:///PATH ({data_dir} stands for data_dir), or for several hosts "
        "postgresql://USER@HOST/DATABASE, without a password.",
        validate_default=True,
    )
    password: SecretRef | None = Field(
        None, description="Where PostgreSQL's password is. Default: $PGPASSWORD, $PGPASSFILE or ~/.pgpass, or none."
    )

    @field_validator("url")
    @classmethod
    def _supported(cls, url: str, info: ValidationInfo) -> str:
        return with_data_dir(state_url(url), info)

    @property
    def place(self) -> str:
        """The URL to open, with the password in it: never to be shown. ConfigError: the password cannot be read."""
        return self.url if self.password is None else with_password(self.url, self.password.read("state.password"))


class Log(Section):
    """What the daemon writes to standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is shown.")
    format: Literal["auto", "console", "json"] = Field(
        "auto", description="Lines for people or for machines; auto: console on a terminal, else json."
    )


RECEIVER = "receiver"
"""`receiver.admin` where metrics are to be at the receiver's own address."""


class Receiver(Section):
    """The HTTP server for webhooks and notifications, and the one aside for health and metrics."""

    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on.")
    port: int = Field(8400, ge=1, le=65535, description="TCP port to listen on, 1 to 65535.")
    public_url: str = Field(
        "http://{host}:{port}",
        description="Where annotators reach this receiver, as http(s) URL; {host} and {port} stand for the two above.",
        validate_default=True,
    )
    body_limit: int = Field(8 * 1024 * 1024, ge=1024, description="Largest accepted body, bytes (after decoding).")
    media_lifetime: Seconds = Field(
        300.0, description="How long a link to an object's bytes works, once a person opened its task, seconds."
    )
    media_secret: SecretRef | None = Field(
        None, description="What signs links to objects. Default: made once and kept in the state, and lost with it."
    )
    media_presign: bool = Field(
        False, description="Send browsers to presigned URLs of the bucket, where it has such, instead of through syncd."
    )
    header_timeout: Seconds = Field(10.0, description="Longest time a sender may take for the header, seconds.")
    body_timeout: Seconds = Field(30.0, description="Longest time a sender may take for the body, seconds.")
    admin: str = Field(
        "127.0.0.1:8401",
        description='HOST:PORT for health and metrics; "receiver": metrics at the receiver\'s own; empty: no metrics.',
    )

    @field_validator("admin")
    @classmethod
    def _an_address(cls, admin: str) -> str:
        host, _, port = admin.rpartition(":")
        if admin not in {"", RECEIVER} and not (host and port.isdecimal() and 1 <= int(port) <= 65535):
            raise ValueError(f'must be HOST:PORT, "{RECEIVER}", or empty')
        return admin

    @property
    def admin_address(self) -> tuple[str, int] | None:
        """Host and port of the listener aside; None where there is none."""
        if self.admin in {"", RECEIVER}:
            return None
        host, _, port = self.admin.rpartition(":")
        return host.strip("[]"), int(port)

    @field_validator("public_url")
    @classmethod
    def _with_address(cls, url: str, info: ValidationInfo) -> str:
        if not url.startswith(("http://", "https://")):
            raise ValueError("must be an http:// or https:// URL")
        host = str(info.data.get("host", "{host}"))
        address = f"[{host}]" if ":" in host else host
        return url.replace("{host}", address).replace("{port}", str(info.data.get("port", "{port}"))).rstrip("/")


class Telemetry(Section):
    """Where traces are sent. Off by default; the extra `otel`."""

    otlp_endpoint: str = Field(
        "", description="Base URL of an OTLP/HTTP collector; empty: OTEL_EXPORTER_OTLP_ENDPOINT, else no traces."
    )
    otlp_headers: dict[str, Annotated[str | SecretRef, PlainValidator(text_or_secret)]] = Field(
        {}, description="Headers that the collector wants: text, or where a secret is; read at the start."
    )

    @field_validator("otlp_endpoint")
    @classmethod
    def _a_url(cls, url: str) -> str:
        if url and not url.startswith(("http://", "https://")):
            raise ValueError("must be an http:// or https:// URL, or empty")
        return url

    def resolved_headers(self, field: str) -> dict[str, str]:
        """The headers, secrets read. ConfigError: one is missing."""
        return {
            name: value if isinstance(value, str) else value.read(f"{field}.{name}")
            for name, value in self.otlp_headers.items()
        }


class Worker(Section):
    """How subjects are worked on."""

    batch: Count = Field(500, description="Most subjects that one claim takes.")
    linger: SecondsOrZero = Field(0.03, description="Time a batch may take to fill up, seconds.")
    lease: float = Field(
        60.0,
        ge=1,
        allow_inf_nan=False,
        description="Time after which a silent worker's claims are taken over, seconds.",
    )


class Retry(Section):
    """The long retry: subjects that failed, from seconds to days."""

    first: Seconds = Field(1.0, description="Delay after the first failure, seconds; it doubles each time.")
    longest: Seconds = Field(60.0, description="Longest delay between two tries, seconds.", validate_default=True)
    give_up_after: Seconds = Field(
        259200.0, description="Failing for so long makes a subject a dead letter, seconds (3 days)."
    )

    @field_validator("longest")
    @classmethod
    def _not_below_first(cls, longest: float, info: ValidationInfo) -> float:
        if longest < info.data.get("first", 0.0):
            raise ValueError("must not be shorter than retry.first")
        return longest


class Reconcile(Section):
    """How what was missed is found."""

    every: Seconds = Field(300.0, description="Time between two listings of the buckets, seconds.")
    deletions_every: Seconds = Field(
        3600.0, description="Time between two scans of the annotator's task ids for tasks deleted there, seconds."
    )
    poll_every: Seconds = Field(
        10.0, description="Time between two looks for changes where the annotator may not call us, seconds."
    )
    settle_imports: SecondsOrZero = Field(
        30.0, description="How long an import of unknown fate is looked up before it is sent again, seconds."
    )
    retire_limit: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Share of a bucket's tasks that one reconcile may retire, 0 to 1; above it nothing is retired.",
    )
    rate: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="Most objects that a listing marks a second; 0: no limit."
    )
    most_waiting: int = Field(
        100_000,
        ge=0,
        description="A listing waits while more objects of its dataset than these wait to be worked on; 0: no limit.",
    )


class Deliveries(Section):
    """How events of versions and tags reach the targets of triggers."""

    look_every: Seconds = Field(
        15.0, description="Time between two looks for versions and tags that another process made, seconds."
    )
    first: Seconds = Field(5.0, description="Delay after the first failure, seconds; it doubles each time.")
    longest: Seconds = Field(3600.0, description="Longest delay between two tries, seconds.", validate_default=True)
    give_up_after: Seconds = Field(86400.0, description="Failing for so long, a delivery is given up, seconds (1 day).")
    keep: Seconds = Field(2592000.0, description="How long the log of a delivery is kept, seconds (30 days).")

    @field_validator("longest")
    @classmethod
    def _not_below_first(cls, longest: float, info: ValidationInfo) -> float:
        if longest < info.data.get("first", 0.0):
            raise ValueError("must not be shorter than deliveries.first")
        return longest


class Secrets(Section):
    """Secrets that a secret manager holds; the others are read anew at each use."""

    refresh_every: Seconds = Field(
        FRESH_S, description="Time between two looks at a secret manager for rotated secrets, seconds."
    )


class Shutdown(Section):
    """How the daemon ends."""

    grace: SecondsOrZero = Field(20.0, description="Time for running work to end after the first signal, seconds.")


class Config(Section):
    """The whole configuration. `load_config` makes it."""

    data_dir: Path = Field(
        Path("~/.local/share/syncd"),
        description="Folder for everything syncd keeps; default: $XDG_DATA_HOME/syncd, else ~/.local/share/syncd.",
    )
    state: State = Field(State(), description="The state store.", validate_default=True)
    log: Log = Field(Log(), description="Logs.")
    receiver: Receiver = Field(Receiver(), description="The HTTP receiver.")
    telemetry: Telemetry = Field(Telemetry(), description="Traces.")
    worker: Worker = Field(Worker(), description="The workers.")
    retry: Retry = Field(Retry(), description="The long retry.")
    reconcile: Reconcile = Field(Reconcile(), description="Reconciliation.")
    deliveries: Deliveries = Field(Deliveries(), description="Deliveries to triggers.")
    secrets: Secrets = Field(Secrets(), description="Secrets of secret managers.")
    shutdown: Shutdown = Field(Shutdown(), description="Shutdown.")
    buckets: dict[str, BucketConfig] = Field({}, description="Buckets of clouds, by name.")
    sources: dict[str, InstanceOf[Plugin]] = Field({}, description="Where objects and their events come from, by name.")
    annotators: dict[str, InstanceOf[Plugin]] = Field({}, description="Annotation tools, by name.")
    datasets: dict[str, Dataset] = Field({}, description="What becomes tasks, where, and how, by name.")
    templates: dict[str, Dataset] = Field({}, description="Those with a key_pattern; the loader puts them apart.")
