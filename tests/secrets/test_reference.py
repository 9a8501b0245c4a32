"""`SecretRef`: where a secret may be, and what is said when it is not there."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from syncd.domain.errors import ConfigError
from syncd.secrets import SecretRef, reference
from tests.known_secrets import known

VALUE = known("s3cr3t-Value")
DOCUMENT = f'{{"api_key": "{VALUE}", "port": 5432, "nested": {{"a": 1}}, "off": false, "empty": ""}}'


def said(ref: SecretRef) -> str:
    """What a person is told when it cannot be read."""
    with pytest.raises(ConfigError) as caught:
        ref.read("annotators.studio.token")
    assert VALUE not in str(caught.value) + repr(caught.value) + repr(caught.value.__cause__)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert [problem.field for problem in caught.value.problems] == ["annotators.studio.token"]
    return str(caught.value)


def test_a_systemd_credential_is_read_from_the_directory_of_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text(f"{VALUE}\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert SecretRef(credential="token").read("f") == VALUE
    assert f"{tmp_path}/other: No such file" in said(SecretRef(credential="other"))
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    assert "LoadCredential=token:/path in the systemd unit" in said(SecretRef(credential="token"))


def test_a_docker_secret_is_a_file_of_the_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Path("/run/secrets") == reference.DOCKER_SECRETS
    monkeypatch.setattr(reference, "DOCKER_SECRETS", tmp_path)
    (tmp_path / "token").write_text(f"{VALUE}\n")
    assert SecretRef(docker_secret="token").read("f") == VALUE
    (tmp_path / "token").write_text("rotated")
    assert SecretRef(docker_secret="token").read("f") == "rotated"
    (tmp_path / "token").write_bytes(b"\xff\xfe")
    assert "not UTF-8 text" in said(SecretRef(docker_secret="token"))


def test_key_takes_one_member_of_a_json_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "all.json").write_text(DOCUMENT)
    monkeypatch.setenv("ALL", DOCUMENT)
    assert SecretRef(file=tmp_path / "all.json", key="api_key").read("f") == VALUE
    assert SecretRef(env="ALL", key="api_key").read("f") == VALUE
    assert SecretRef(env="ALL", key="port").read("f") == "5432"
    assert SecretRef(env="ALL").read("f") == DOCUMENT
    for key in ("absent", "nested", "off"):
        assert f"a JSON object with a text at {key!r} (found environment variable ALL has none)" in said(
            SecretRef(env="ALL", key=key)
        )
    assert "key empty is empty or not set" in said(SecretRef(env="ALL", key="empty"))


@pytest.mark.parametrize("text", [VALUE, f'["{VALUE}"]', f'{{"api_key": "{VALUE}"', f'"{VALUE}"'])
def test_what_is_no_json_object_is_not_quoted(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL", text)
    assert "environment variable ALL holds no JSON object" in said(SecretRef(env="ALL", key="api_key"))


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({}, "name exactly one place"),
        ({"env": "A", "file": "/b"}, "name exactly one place"),
        ({"aws_secret": "a", "env": "A"}, "name exactly one place"),
        ({"key": "a"}, "name exactly one place"),
        ({"env": ""}, "at least 1 character"),
        ({"credential": "../etc/shadow"}, "must be a file name, without a path"),
        ({"docker_secret": ".."}, "must be a file name, without a path"),
        ({"gcp_secret": "projects/p/secrets/s/versions/3"}, "must be projects/P/secrets/S"),
        ({"gcp_secret": "secrets/s"}, "must be projects/P/secrets/S"),
        ({"gcp_secret": "projects/p/secrets/s", "version": "../x"}, "should match pattern"),
        ({"env": "A", "version": "3"}, "version belongs to a gcp_secret"),
        ({"azure_secret": "a"}, "azure_secret and vault go together"),
        ({"env": "A", "vault": "https://v.vault.azure.net"}, "azure_secret and vault go together"),
        ({"azure_secret": "a", "vault": "http://v.vault.azure.net"}, "vault must be https://"),
        ({"azure_secret": "a", "vault": "https://u:p@evil/x"}, "vault must be https://"),
        ({"azure_secret": "a/b", "vault": "https://v.vault.azure.net"}, "1 to 127 of"),
        ({"aws_secret": "a", "region": "x"}, "Extra inputs are not permitted"),
    ],
)
def test_a_place_that_cannot_be_meant_is_refused(table: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        SecretRef.model_validate(table)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("table", "place"),
    [
        ({"env": "TOKEN"}, "environment variable TOKEN"),
        ({"file": "/etc/token", "key": "a"}, "file /etc/token, key a"),
        ({"credential": "token"}, "systemd credential token"),
        ({"docker_secret": "token"}, "Docker secret token"),
        ({"aws_secret": "prod/ls", "key": "api_key"}, "AWS Secrets Manager secret prod/ls, key api_key"),
        (
            {"gcp_secret": "projects/p/secrets/s", "version": "3"},
            "Google Secret Manager secret projects/p/secrets/s version 3",
        ),
        (
            {"azure_secret": "a", "vault": "https://v.vault.azure.net/"},
            "Azure Key Vault secret a at https://v.vault.azure.net",
        ),
    ],
)
def test_it_tells_the_place_never_the_secret(
    table: dict[str, Any], place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", VALUE)
    ref = SecretRef.model_validate(table)
    assert str(ref) == place
    assert VALUE not in repr(ref) + ref.model_dump_json()


def test_a_relative_file_starts_at_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(VALUE)
    ref = SecretRef.model_validate({"file": "token"}, context={"base": tmp_path})
    assert ref.read("f") == VALUE
