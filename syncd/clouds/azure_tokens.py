"""Access tokens for Azure's storage, keyless where it can be. Used by `stores.azure`."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from syncd.clouds.extras import needing
from syncd.domain.errors import ConfigError, Problem, Retryable

_SCOPE = "https://storage.azure.com/.default"
_GIVEN_WITHIN_S = 30.0


class AzureTokens:
    """Of a service principal where `tenant_id`, `client_id` and `client_secret` are given; else as the host is known.

    That is, by azure-identity: environment, workload identity, managed identity, or the Azure CLI's login.
    """

    def __init__(self, options: Mapping[str, str]) -> None:
        self._options = options
        self._credential: Any = None

    async def token(self) -> str:
        """One that is good for minutes. ConfigError: nobody gives one. Retryable: not in time."""
        return str((await self._get()).token)

    async def provided(self) -> Any:
        """For obstore."""
        token = await self._get()
        return {"token": token.token, "expires_at": datetime.fromtimestamp(token.expires_on, UTC)}

    def forget(self) -> None:
        """The last one was refused. azure-identity keeps tokens by credential: a new one asks anew."""
        self._credential = None

    async def _get(self) -> Any:
        """In a thread: its own cache answers at once, else it asks over the network."""
        with needing("azure", "storage_options"):
            from azure.core.exceptions import AzureError  # noqa: PLC0415 - optional
        if self._credential is None:
            self._credential = self._made()
        try:
            async with asyncio.timeout(_GIVEN_WITHIN_S):
                return await asyncio.to_thread(self._credential.get_token, _SCOPE)
        except TimeoutError:
            raise Retryable("Azure gave no access token in time", effect_possible=False) from None
        except AzureError:  # its message may quote the credential
            allowed = "a managed identity for syncd, or a key among storage_options"
            raise ConfigError([Problem("storage_options", "no Azure credentials that work", allowed)]) from None

    def _made(self) -> Any:
        with needing("azure", "storage_options"):
            from azure.identity import ClientSecretCredential, DefaultAzureCredential  # noqa: PLC0415 - optional
        given = [self._options.get(name, "") for name in ("tenant_id", "client_id", "client_secret")]
        if all(given):
            return ClientSecretCredential(*given)
        return DefaultAzureCredential(retry_total=0)
