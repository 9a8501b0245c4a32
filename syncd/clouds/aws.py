"""Amazon Web Services: who we are there, and a client for one service that raises the house's errors.

Used by the SQS source, by stores, and by `syncd bucket connect`. Keyless first: without keys in the options the
usual chain decides (environment, web identity, role of the container or instance, profile). Credentials that are
refused are looked for anew and the call is sent once more, so that rotated ones are picked up without a restart;
keys named by reference are read at every request. The SDK repeats nothing; who calls decides that.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any, Self
from urllib.parse import urlsplit

from aiobotocore.config import AioConfig
from aiobotocore.credentials import (
    AioAssumeRoleCredentialFetcher,
    AioCredentialResolver,
    AioCredentials,
    AioDeferredRefreshableCredentials,
)
from aiobotocore.session import AioSession
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import ClientError, NoCredentialsError
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from syncd.clouds.aws_errors import TRANSPORT, Refused, are_credentials_refused, translated
from syncd.secrets import SecretRef

__all__ = ["AwsAccess", "AwsClient", "Refused", "credentials_of"]

CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 30.0


class AwsAccess(BaseModel):
    """Where and as whom Amazon, or what speaks its language, is called. Part of the options of whoever does."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    region: str | None = Field(None, description="Region. Default: that of the environment, profile, ARN or URL.")
    endpoint: str | None = Field(None, description="Endpoint URL, where not Amazon's own. Default: Amazon's.")
    profile: str | None = Field(None, description="Profile of the AWS configuration. Default: AWS_PROFILE, or none.")
    role_arn: str | None = Field(None, description="Role to assume with the credentials found. Default: none.")
    external_id: str | None = Field(None, description="External id that the role's trust asks for. Default: none.")
    access_key_id: SecretRef | None = Field(
        None, description="Where the key id is. Default: environment, web identity, container, instance or profile."
    )
    secret_access_key: SecretRef | None = Field(None, description="Where that key's secret is.")
    session_token: SecretRef | None = Field(None, description="Where that key's session token is, if it has one.")

    @field_validator("endpoint")
    @classmethod
    def _is_a_url(cls, endpoint: str | None) -> str | None:
        if endpoint is not None and (not endpoint.startswith(("http://", "https://")) or not urlsplit(endpoint).netloc):
            raise ValueError("must be a URL, as https://host or http://host:port")
        return endpoint

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise ValueError("access_key_id and secret_access_key go together")
        if self.session_token and not self.access_key_id:
            raise ValueError("session_token needs access_key_id and secret_access_key")
        if self.external_id and not self.role_arn:
            raise ValueError("external_id needs role_arn")
        return self

    @property
    def credentials_field(self) -> str:
        """The option that says who we are: what a person has to mend when we are refused."""
        return "role_arn" if self.role_arn else "access_key_id" if self.access_key_id else "profile"


class AwsClient:
    """One service. `subject` is the option that names what is worked on, for errors. Opened by its first call."""

    def __init__(
        self,
        service: str,
        access: AwsAccess,
        *,
        subject: str,
        connections: int = 10,
        read_timeout: float = READ_TIMEOUT,
    ) -> None:
        self._service = service
        self._access = access
        self._subject = subject
        self._config = AioConfig(
            retries={"total_max_attempts": 1},
            max_pool_connections=connections,
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=read_timeout,
            s3={"addressing_style": "path"} if access.endpoint else None,
        )
        self._credentials = _Credentials(access)
        self._opening = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._client: Any = None

    async def call(self, operation: str, **parameters: Any) -> Mapping[str, Any]:
        """One request; `operation` in snake case. Raises Retryable, ConfigError or Refused, nothing of the SDK."""
        try:
            return await self._sent(operation, parameters)
        except ClientError as error:
            if not are_credentials_refused(error):
                raise self._translated(error) from None
        except TRANSPORT as error:
            raise self._translated(error) from None
        self._credentials.forget()
        try:
            return await self._sent(operation, parameters)
        except (ClientError, *TRANSPORT) as error:
            raise self._translated(error) from None

    async def close(self) -> None:
        """Release the connections. Idempotent; a later call opens new ones."""
        self._client = None
        await self._stack.aclose()

    async def _sent(self, operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        client = self._client or await self._opened()
        answer: Mapping[str, Any] = await getattr(client, operation)(**parameters)
        return answer

    async def _opened(self) -> Any:
        async with self._opening:
            if self._client is None:
                session = AioSession(profile=self._access.profile)
                session.register_component("credential_provider", AioCredentialResolver([_Provider(self._credentials)]))
                made = session.create_client(
                    self._service,
                    region_name=self._access.region,
                    endpoint_url=self._access.endpoint,
                    config=self._config,
                )
                self._client = await self._stack.enter_async_context(made)
        return self._client

    def _translated(self, error: Exception) -> Exception:
        return translated(error, self._service, self._subject, self._access.credentials_field)


def credentials_of(access: AwsAccess) -> "_Credentials":
    """Who we are, for a signer of one's own: `get_frozen_credentials()`, and `forget()` once they were refused."""
    return _Credentials(access)


class _Credentials(AioCredentials):  # type: ignore[misc]  # botocore has no types
    """Found when first needed, kept, and found anew once forgotten."""

    def __init__(self, access: AwsAccess) -> None:
        super().__init__(access_key="", secret_key="", method="syncd")
        self._find: Callable[[], Awaitable[Any]] = _finder(access)
        self._finding = asyncio.Lock()
        self._found: Any = None

    async def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """What a request is signed with."""
        async with self._finding:
            if self._found is None:
                self._found = await self._find()
        if self._found is None:
            raise NoCredentialsError
        return await self._found.get_frozen_credentials()

    def forget(self) -> None:
        """They were refused."""
        self._found = None


class _Provider:
    """Hands ours to a session."""

    METHOD = CANONICAL_NAME = "syncd"

    def __init__(self, credentials: _Credentials) -> None:
        self._credentials = credentials

    async def load(self) -> _Credentials:
        return self._credentials


class _Referenced(AioCredentials):  # type: ignore[misc]
    """Keys by reference, read at every request."""

    def __init__(self, access: AwsAccess) -> None:
        super().__init__(access_key="", secret_key="", method="explicit")
        self._access = access

    async def get_frozen_credentials(self) -> ReadOnlyCredentials:
        names = ("access_key_id", "secret_access_key", "session_token")
        key, secret, token = (ref.read(name) if (ref := getattr(self._access, name)) else None for name in names)
        return ReadOnlyCredentials(key, secret, token)


def _finder(access: AwsAccess) -> Callable[[], Awaitable[Any]]:
    """How credentials are found: keys by reference, or the chain of a fresh session; then the role, if any."""

    async def found() -> Any:
        return (
            _Referenced(access) if access.access_key_id else await AioSession(profile=access.profile).get_credentials()
        )

    async def assumed() -> Any:
        source = await found()
        return _role(access, source) if source else None

    return assumed if access.role_arn else found


def _role(access: AwsAccess, source: Any) -> AioDeferredRefreshableCredentials:
    """Credentials of the role, renewed before they end. STS is called at its own endpoint (AWS_ENDPOINT_URL_STS)."""
    config = AioConfig(retries={"total_max_attempts": 1}, connect_timeout=CONNECT_TIMEOUT, read_timeout=READ_TIMEOUT)

    def sts(service: str, **keys: Any) -> Any:
        return AioSession(profile=access.profile).create_client(
            service, region_name=access.region, config=config, **keys
        )

    more = {"RoleSessionName": "syncd"} | ({"ExternalId": access.external_id} if access.external_id else {})
    fetcher = AioAssumeRoleCredentialFetcher(sts, source, access.role_arn, extra_args=more)
    return AioDeferredRefreshableCredentials(refresh_using=fetcher.fetch_credentials, method="assume-role")
