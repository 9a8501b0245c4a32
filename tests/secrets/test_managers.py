"""What secret managers hold: AWS's on two emulators, Google's and Azure's on doubles behind their own libraries."""

import json
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from syncd.domain.errors import ConfigError
from syncd.secrets import SecretRef
from syncd.secrets.cache import CACHE
from tests.aws_emulators import Emulator
from tests.known_secrets import known
from tests.secrets.managers import TOKEN, Vault, manager, served

VALUE = known("s3cr3t-Value")
GCP = "projects/fruit/secrets/token"


def said(ref: SecretRef) -> str:
    """What a person is told when it cannot be read."""
    with pytest.raises(ConfigError) as caught:
        ref.read("annotators.studio.token")
    return str(caught.value)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("syncd.secrets.asking._ATTEMPTS", 1)


# ---------------------------------------------------------------- AWS


@pytest.fixture
def secrets(aws: Emulator, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An emulator's Secrets Manager, where the environment leads."""
    for name, value in aws.variables.items():
        monkeypatch.setenv(name, value)
    return manager(aws)


def test_a_secret_of_aws_is_found_by_name_and_by_arn(secrets: Any) -> None:
    arn = secrets.create_secret(Name="prod/studio", SecretString=json.dumps({"api_key": VALUE}))["ARN"]
    assert SecretRef(aws_secret="prod/studio", key="api_key").read("f") == VALUE
    assert SecretRef(aws_secret=arn, key="api_key").read("f") == VALUE


def test_an_arn_leads_to_its_region(secrets: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    arn = secrets.create_secret(Name="by-arn", SecretString=VALUE)["ARN"]
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert SecretRef(aws_secret=arn).read("f") == VALUE


def test_bytes_that_are_text_are_read_as_text(secrets: Any) -> None:
    secrets.create_secret(Name="bytes", SecretBinary=VALUE.encode())
    assert SecretRef(aws_secret="bytes").read("f") == VALUE
    secrets.create_secret(Name="binary", SecretBinary=b"\xff\xfe\x00")
    assert "holds bytes that are no UTF-8 text" in said(SecretRef(aws_secret="binary"))


def test_an_absent_secret_of_aws_is_said_to_be_absent(secrets: Any) -> None:
    told = "AWS Secrets Manager secret nothing: there is none of that name in this account and region"
    assert told in said(SecretRef(aws_secret="nothing"))


def test_one_answer_serves_all_keys_of_a_secret(secrets: Any) -> None:
    secrets.create_secret(Name="pair", SecretString=json.dumps({"a": "1", "b": "2"}))
    assert SecretRef(aws_secret="pair", key="a").read("f") == "1"
    secrets.delete_secret(SecretId="pair", ForceDeleteWithoutRecovery=True)
    assert SecretRef(aws_secret="pair", key="b").read("f") == "2"


def test_nobody_there_is_said_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", VALUE)
    told = said(SecretRef(aws_secret="a"))
    assert "AWS cannot be reached (EndpointConnectionError)" in told
    assert VALUE not in told


# ---------------------------------------------------------------- Google, a double


@pytest.fixture
def google(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vault]:
    """A double of Google's token endpoint and Secret Manager, reached with a service account's key."""
    vault = Vault()
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with served(vault) as url:
        account = {"type": "service_account", "client_email": "syncd@fruit.iam", "token_uri": f"{url}/token"}
        account |= {"project_id": "fruit", "private_key": key.decode()}
        (tmp_path / "account.json").write_text(json.dumps(account))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "account.json"))
        monkeypatch.setenv("CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER", url)
        yield vault


def test_a_secret_of_google_is_read_with_the_default_credentials(google: Vault) -> None:
    google.google(GCP, VALUE)
    google.google(GCP, "an older one", version="3")
    assert SecretRef(gcp_secret=GCP).read("f") == VALUE
    assert SecretRef(gcp_secret=GCP, version="3").read("f") == "an older one"
    assert google.authorized == [f"Bearer {TOKEN}"] * 2


def test_google_refusing_names_the_role_it_takes(google: Vault) -> None:
    google.held[f"/v1/{GCP}/versions/latest:access"] = (403, {"error": {"status": "PERMISSION_DENIED"}})
    assert "need roles/secretmanager.secretAccessor on the secret" in said(SecretRef(gcp_secret=GCP))
    assert "there is none of that name" in said(SecretRef(gcp_secret="projects/fruit/secrets/other"))


@pytest.mark.parametrize("body", [{}, {"payload": {"data": "%%"}}, {"payload": {"data": "/w=="}}, ["x"], None])
def test_an_answer_of_google_that_is_no_text_is_no_secret(google: Vault, body: Any) -> None:
    google.held[f"/v1/{GCP}/versions/latest:access"] = (200, body)
    assert "answered something that is no UTF-8 text" in said(SecretRef(gcp_secret=GCP))


def test_without_credentials_google_is_not_asked(google: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/account.json")
    assert "set GOOGLE_APPLICATION_CREDENTIALS" in said(SecretRef(gcp_secret=GCP))
    assert google.tokens == 0


# ---------------------------------------------------------------- Azure, a double


@pytest.fixture
def azure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Vault, str]]:
    """A double of a Key Vault over TLS, and of the managed identity of an App Service."""
    vault, authority = Vault(), trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with served(vault, tls) as url, served(vault) as identity:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{identity}/msi")
        monkeypatch.setenv("IDENTITY_HEADER", "header")
        yield vault, url


def test_a_secret_of_azure_is_read_with_a_managed_identity(azure: tuple[Vault, str]) -> None:
    double, url = azure
    double.azure("studio-token", VALUE)
    assert SecretRef(azure_secret="studio-token", vault=url).read("f") == VALUE
    assert double.authorized == [f"Bearer {TOKEN}"]


def test_azure_refusing_names_the_role_it_takes(azure: tuple[Vault, str]) -> None:
    double, url = azure
    double.held["/secrets/studio-token/"] = (403, {"error": {"code": "Forbidden", "message": VALUE}})
    told = said(SecretRef(azure_secret="studio-token", vault=url))
    assert "need the role Key Vault Secrets User" in told
    assert VALUE not in told
    assert "there is none of that name" in said(SecretRef(azure_secret="other", vault=url))


# ---------------------------------------------------------------- packages that are not there


@pytest.mark.parametrize(
    ("ref", "module", "extra"),
    [
        (SecretRef(gcp_secret=GCP), "google.auth", "gcp"),
        (SecretRef(azure_secret="a", vault="https://v.vault.azure.net"), "azure.keyvault.secrets", "azure"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(
    ref: SecretRef, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert f"pip install 'syncd[{extra}]'" in said(ref)


def test_what_is_known_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CACHE, "fetch", lambda _: VALUE)
    assert SecretRef(aws_secret="a").read("f") == VALUE
    assert VALUE not in repr(CACHE)
