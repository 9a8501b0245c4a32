"""Which certificates of SNS are fetched and believed, and when not being able to tell is our own trouble."""

import asyncio
import sys
from collections.abc import AsyncIterator

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from syncd.domain.errors import ConfigError, Retryable
from syncd.domain.notifications.sns import unwrap_sns
from syncd.sources.sns import SnsSource
from syncd.sources.sns_trust import Rules, Untrusted, Verifier
from tests.sources.amazon import TOPIC, Amazon, amazon, body, certificate, rsa_key
from tests.sources.pushing import made

SNS = "https://sns.us-east-1.amazonaws.com"
PEM = "/SimpleNotificationService-010a507c1833636cd94bdb98bd93083a.pem"


@pytest.fixture
async def aws() -> AsyncIterator[Amazon]:
    async with amazon() as double:
        yield double


def verifier(aws: Amazon) -> Verifier:
    return Verifier(frozenset({"2"}), aws.rules)


async def verify(checker: Verifier, message: dict[str, str | None]) -> None:
    envelope = unwrap_sns(body(message))
    assert envelope
    await checker.verify(envelope)


def signed(aws: Amazon, url: str) -> dict[str, str | None]:
    return aws.message("hello", Timestamp="2026-11-20T10:00:00.000Z", SigningCertURL=url)


@pytest.mark.parametrize(
    "url",
    [
        f"{SNS}{PEM}",
        f"https://sns.cn-north-1.amazonaws.com.cn{PEM}",
        f"https://sns.us-gov-west-1.amazonaws.com{PEM}",
        f"https://sns.ap-southeast-2.amazonaws.com{PEM}",
        f"{SNS}/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=2336412f",
    ],
)
def test_hosts_of_sns_are_trusted(url: str) -> None:
    assert Rules().allows(url)


@pytest.mark.parametrize(
    "url",
    [
        f"http://sns.us-east-1.amazonaws.com{PEM}",
        f"https://sns.evil.com{PEM}",
        f"https://sns.us-east-1.amazonaws.com.evil.com{PEM}",
        f"https://evil.com/sns.us-east-1.amazonaws.com{PEM}",
        f"https://evil.com#sns.us-east-1.amazonaws.com{PEM}",
        f"https://sns.us-east-1.amazonaws.com@evil.com{PEM}",
        f"https://user@sns.us-east-1.amazonaws.com{PEM}",
        f"https://sns.us-east-1.amazonaws.com:8443{PEM}",
        f"https://xsns.us-east-1.amazonaws.com{PEM}",
        f"https://sns.s3.amazonaws.com{PEM}",  # a bucket named sns
        f"https://sns.s3-us-west-2.amazonaws.com{PEM}",
        f"https://sns.s3-accelerate.amazonaws.com{PEM}",
        f"https://sns.us-east-1.amazonaws.com\n{PEM}",
        f"https://sns.us-east-1.amazonaws.com\\@evil.com{PEM}",
        "https://[::1",
        "",
    ],
)
def test_whatever_only_looks_like_sns_is_not(url: str) -> None:
    assert not Rules().allows(url)


@pytest.mark.parametrize(
    ("path", "host", "scheme"),
    [
        ("/cert.pem", "127.0.0.1", "https"),
        ("/cert.pem", "localhost", "http"),
        ("/cert", "localhost", "https"),
        ("/cert.pem.txt", "localhost", "https"),
        ("/cert.txt?x=.pem", "localhost", "https"),
        ("/cert.pem?x=1", "localhost", "https"),
        ("/cert#.pem", "localhost", "https"),
    ],
)
async def test_no_certificate_is_fetched_from_anywhere_else(aws: Amazon, path: str, host: str, scheme: str) -> None:
    aws.pages |= {"/cert": aws.pages["/cert.pem"], "/cert.txt": aws.pages["/cert.pem"]}
    with pytest.raises(Untrusted, match="by its address"):
        await verify(verifier(aws), signed(aws, aws.url(path, host=host, scheme=scheme)))
    assert aws.asked == []


async def test_a_redirect_is_not_followed(aws: Amazon) -> None:
    aws.pages["/moved.pem"] = (302, b"", aws.url("/cert.pem"))
    with pytest.raises(Untrusted, match="no RSA certificate"):
        await verify(verifier(aws), signed(aws, aws.url("/moved.pem")))
    assert aws.asked == ["/moved.pem"]


@pytest.mark.parametrize(
    "page",
    [
        (404, b"", ""),
        (200, b"", ""),
        (200, b"<html>hello</html>", ""),
        (200, b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", ""),
        (200, b"x" * 1_000_000, ""),
        (200, certificate(ec.generate_private_key(ec.SECP256R1())), ""),
        (200, certificate(rsa_key(1)), ""),
    ],
    ids=["404", "empty", "html", "broken", "large", "elliptic", "another"],
)
async def test_what_is_no_certificate_of_the_signer_is_refused_and_asked_for_once(
    aws: Amazon, page: tuple[int, bytes, str]
) -> None:
    aws.pages["/cert.pem"] = page
    checker = verifier(aws)
    for _ in range(3):
        with pytest.raises(Untrusted):
            await verify(checker, signed(aws, aws.url("/cert.pem")))
    assert aws.asked == ["/cert.pem"]


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_certificate_that_cannot_be_had_now_is_our_own_trouble(aws: Amazon, status: int) -> None:
    there = aws.pages["/cert.pem"]
    aws.pages["/cert.pem"] = (status, b"", "")
    checker = verifier(aws)
    with pytest.raises(Retryable, match=str(status)):
        await verify(checker, signed(aws, aws.url("/cert.pem")))
    aws.pages["/cert.pem"] = there
    await verify(checker, signed(aws, aws.url("/cert.pem")))


async def test_a_host_that_is_down_or_not_who_it_says_is_our_own_trouble(aws: Amazon) -> None:
    strangers = Verifier(frozenset({"2"}), Rules(aws.rules.hosts))  # the CAs of the system do not know the double
    with pytest.raises(Retryable, match="cannot be reached"):
        await verify(strangers, signed(aws, aws.url("/cert.pem")))
    assert aws.asked == []


async def test_messages_that_arrive_together_fetch_their_certificate_once(aws: Amazon) -> None:
    checker = verifier(aws)
    await asyncio.gather(*(verify(checker, signed(aws, aws.url("/cert.pem"))) for _ in range(20)))
    assert aws.asked == ["/cert.pem"]


async def test_no_more_than_32_certificates_are_kept(aws: Amazon) -> None:
    checker = verifier(aws)
    await verify(checker, signed(aws, aws.url("/cert.pem")))
    for n in range(40):
        with pytest.raises(Untrusted):
            await verify(checker, signed(aws, aws.url(f"/{n}.pem")))
    assert len(checker._keys) == 32


async def test_without_its_extra_the_daemon_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    source = made(SnsSource, topics=[TOPIC])
    await source.check()
    monkeypatch.setitem(sys.modules, "cryptography.x509", None)
    with pytest.raises(ConfigError, match=r"pip install 'syncd\[sns\]'"):
        await source.check()
