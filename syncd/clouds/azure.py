"""Azure for adapters: who we are there, its storage queues, and its errors in our words.

Used by `sources.storage_queue`, and by whatever else speaks to Azure. Keyless first: workload identity, managed
identity, the environment or the Azure CLI, as azure-identity finds them (DefaultAzureCredential; AZURE_CLIENT_ID
names a managed identity that is not the only one). Or a SAS token, or an account's key.
The SDK repeats nothing: whoever calls does.
"""

from collections.abc import Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from syncd.clouds.extras import needing
from syncd.domain.errors import Rejected, Retryable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from azure.storage.queue.aio import QueueClient

_CONNECT_S, _ANSWER_S = 10.0, 30.0
_TRANSPORT: dict[str, Any] = {"retry_total": 0, "connection_timeout": _CONNECT_S, "read_timeout": _ANSWER_S}


def needs_azure(field: str) -> None:
    """ConfigError when Microsoft's packages are not installed."""
    with needing("azure", field):
        import aiohttp  # noqa: F401, PLC0415 - what the SDK speaks HTTP with
        import azure.identity.aio  # noqa: PLC0415 - optional
        import azure.storage.queue.aio  # noqa: F401, PLC0415


@asynccontextmanager
async def open_queue(queue: str, *, account_url: str, secret: str) -> "AsyncIterator[QueueClient]":
    """A client of one storage queue. `secret`: a SAS token or the account's key; empty: keyless."""
    from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential  # noqa: PLC0415 - optional
    from azure.identity.aio import DefaultAzureCredential  # noqa: PLC0415
    from azure.storage.queue.aio import QueueClient  # noqa: PLC0415

    async with AsyncExitStack() as stack:
        credential: Any
        if not secret:
            credential = await stack.enter_async_context(DefaultAzureCredential(retry_total=0))
        elif "sig=" in secret:
            credential = AzureSasCredential(secret.removeprefix("?"))
        else:
            credential = AzureNamedKeyCredential(_account(account_url), secret)
        client = QueueClient(account_url, queue, credential=credential, **_TRANSPORT)
        yield await stack.enter_async_context(client)


def _account(account_url: str) -> str:
    """Its name: the first word of the host, or of the path, where the host is an emulator's."""
    url = urlsplit(account_url)
    return url.path.strip("/") or (url.hostname or "").partition(".")[0]


@contextmanager
def in_our_words() -> Iterator[None]:
    """Around calls of the SDK: its errors as ours, without what a server answered.

    Retryable: out of reach, busy or slow. `Missing`, `Forbidden`, `Lost`; Rejected: refused, and will be again.
    """
    from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError  # noqa: PLC0415

    try:
        yield
    except ClientAuthenticationError as error:
        if error.status_code is None:
            raise Forbidden("no Azure credentials that work: give syncd a managed identity") from None
        raise Forbidden("Azure refused the credentials, or they lack a role here") from None
    except HttpResponseError as error:
        raise _translated(error.status_code or 0, str(getattr(error, "error_code", ""))) from None
    except AzureError as error:
        raise Retryable(f"Azure cannot be reached ({type(error).__name__})") from None


class Missing(Rejected):
    """What was asked of is not there."""


class Forbidden(Rejected):
    """We may not."""


class Lost(Rejected):
    """The message was handed out again, or is gone: its receipt is of age."""


def _translated(status: int, code: str) -> Exception:
    # https://learn.microsoft.com/rest/api/storageservices/queue-service-error-codes
    if code.rpartition(".")[2] in {
        "MESSAGE_NOT_FOUND",
        "POP_RECEIPT_MISMATCH",
        "MessageNotFound",
        "PopReceiptMismatch",
    }:
        return Lost("the message was handed out again, or is gone")
    if status in {401, 403}:
        return Forbidden("Azure refused the credentials, or they lack a role here")
    if status == 404:
        return Missing("there is no such thing in this storage account")
    if status in {408, 429} or status >= 500 or not status:
        return Retryable(f"Azure is busy or down (HTTP {status})")
    return Rejected(f"Azure refused the request (HTTP {status})")
