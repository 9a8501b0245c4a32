"""Where health and metrics are, when traces are written, and what is said where they cannot be."""

import asyncio
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import aiohttp
import pytest
from structlog.testing import capture_logs

from syncd.config import Config, Telemetry, load_config
from syncd.domain.errors import ConfigError
from syncd.runtime.tracing import tracer
from syncd.service.assembly import assemble
from syncd.service.daemon import _listening
from syncd.service.watching import traced
from tests.seaweed import free_ports

EXTRA = "syncd.runtime.opentelemetry"
Configure = Callable[..., Config]


@pytest.fixture
def configure(tmp_path: Path) -> Configure:
    """A configuration with such tables and nothing to do."""

    def configured(text: str = "", **environ: str) -> Config:
        file = tmp_path / "syncd.toml"
        file.write_text(f'data_dir = "{tmp_path}"\n{text}')
        return load_config(file, environ)

    return configured


@asynccontextmanager
async def listening(config: Config) -> AsyncIterator[Callable[[int, str], "asyncio.Future[int]"]]:
    """The listeners of a daemon; the status of a GET, by port and path."""
    async with assemble(config, exclusive=True) as parts, _listening(parts, {}), aiohttp.ClientSession() as session:

        async def status(port: int, path: str) -> int:
            async with session.get(f"http://127.0.0.1:{port}{path}") as answer:
                return answer.status

        yield status  # type: ignore[misc]


# ------------------------------------------------------------ health and metrics


async def test_metrics_are_at_an_address_of_their_own_and_health_at_both(configure: Configure) -> None:
    port, admin = free_ports(2)
    async with listening(configure(f'[receiver]\nport = {port}\nadmin = "127.0.0.1:{admin}"')) as status:
        assert [await status(admin, path) for path in ("/metrics", "/livez", "/readyz")] == [200, 200, 200]
        assert [await status(port, path) for path in ("/metrics", "/livez", "/readyz")] == [404, 200, 200]


@pytest.mark.parametrize(("admin", "there"), [("receiver", 200), ("", 404)])
async def test_they_are_at_the_receivers_only_where_that_is_said(configure: Configure, admin: str, there: int) -> None:
    (port,) = free_ports(1)
    async with listening(configure(f'[receiver]\nport = {port}\nadmin = "{admin}"')) as status:
        assert await status(port, "/metrics") == there


async def test_an_address_that_was_chosen_and_is_taken_is_a_configuration_error(configure: Configure) -> None:
    (port,) = free_ports(1)
    with closing(socket.socket()) as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        config = configure(f'[receiver]\nport = {port}\nadmin = "127.0.0.1:{other.getsockname()[1]}"')
        with pytest.raises(ConfigError, match=r"receiver\.admin: another HOST:PORT"):
            async with listening(config):
                pass


async def test_the_second_daemon_of_a_host_that_nobody_gave_an_address_lives_without_and_says_so(
    configure: Configure,
) -> None:
    (port,) = free_ports(1)
    with closing(socket.socket()) as other:
        with suppress(OSError):  # then somebody has it already
            other.bind(("127.0.0.1", 8401))
            other.listen()
        with capture_logs() as lines:
            async with listening(configure(f"[receiver]\nport = {port}")) as status:
                assert await status(port, "/livez") == 200
    assert [line["event"] for line in lines] == ["admin.not_listening"]


@pytest.mark.parametrize("admin", ["8401", "127.0.0.1:", "127.0.0.1:0", ":8401", "localhost:99999", "aside"])
def test_what_is_no_address_is_refused(configure: Configure, admin: str) -> None:
    with pytest.raises(ConfigError, match=r'receiver\.admin: must be HOST:PORT, "receiver", or empty'):
        configure(f'[receiver]\nadmin = "{admin}"')


def test_an_address_may_be_of_ipv6(configure: Configure) -> None:
    assert configure('[receiver]\nadmin = "[::1]:9000"').receiver.admin_address == ("::1", 9000)


# ------------------------------------------------------------ traces


def test_without_a_collector_there_are_none_and_with_one_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
    with traced(Telemetry()), tracer().request("POST", "events", None):
        assert tracer().traceparent() is None
    with traced(Telemetry(otlp_endpoint="http://127.0.0.1:9")):
        assert type(tracer()).__name__ == "OpenTelemetry"
    assert type(tracer()).__name__ == "_Off"


def test_the_standard_variables_turn_them_on_and_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:9/v1/traces")
    with traced(Telemetry()):
        assert type(tracer()).__name__ == "OpenTelemetry"
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    with traced(Telemetry(otlp_endpoint="http://127.0.0.1:9")):
        assert type(tracer()).__name__ == "_Off"


def test_without_the_extra_a_collector_that_was_configured_is_an_error_that_names_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, EXTRA, None)
    with (
        pytest.raises(ConfigError, match=r"telemetry\.otlp_endpoint: needs the extra: pip install 'syncd\[otel\]'"),
        traced(Telemetry(otlp_endpoint="http://127.0.0.1:9")),
    ):
        pass


def test_without_the_extra_a_variable_that_the_platform_set_is_only_remarked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, EXTRA, None)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    with capture_logs() as lines, traced(Telemetry()):
        assert tracer().traceparent() is None
    assert [line["event"] for line in lines] == ["traces.off"]


def test_a_secret_of_a_header_that_is_not_there_is_named_before_anything_is_sent(configure: Configure) -> None:
    table = '[telemetry]\notlp_endpoint = "http://127.0.0.1:9"\notlp_headers = { authorization = { env = "NOT_SET" } }'
    with (
        pytest.raises(ConfigError, match=r"telemetry\.otlp_headers\.authorization: .*NOT_SET is empty or not set"),
        traced(configure(table).telemetry),
    ):
        pass


def test_a_collector_that_is_no_url_is_refused(configure: Configure) -> None:
    with pytest.raises(ConfigError, match=r"telemetry\.otlp_endpoint: must be an http"):
        configure('[telemetry]\notlp_endpoint = "localhost:4317"')


def test_a_collector_that_does_not_answer_holds_up_the_end_for_seconds_only() -> None:
    with closing(socket.socket()) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with traced(Telemetry(otlp_endpoint=f"http://127.0.0.1:{silent.getsockname()[1]}")):
            with tracer().span("work", {}):
                pass
            started = time.monotonic()
        assert time.monotonic() - started < 8
