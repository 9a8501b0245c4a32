"""Azure Key Vault, by the SDK, with DefaultAzureCredential.

That is, in this order: environment, workload identity, managed identity, the Azure CLI.
"""

from syncd.secrets.asking import ANSWER_S, CONNECT_S, needing, patiently, refusal
from syncd.secrets.cache import Place, Unreadable


def fetch(place: Place) -> str:
    """The newest enabled version. Blocks for seconds; raises Unreadable."""
    return patiently()(lambda: _fetch(place))


def _fetch(place: Place) -> str:
    with needing("azure"):
        from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError  # noqa: PLC0415
        from azure.identity import DefaultAzureCredential  # noqa: PLC0415
        from azure.keyvault.secrets import SecretClient  # noqa: PLC0415
    options = {"retry_total": 0, "connection_timeout": CONNECT_S, "read_timeout": ANSWER_S}
    try:
        with (
            DefaultAzureCredential(retry_total=0) as credential,
            SecretClient(place.vault, credential, **options) as client,
        ):
            return client.get_secret(place.name).value or ""
    except ClientAuthenticationError as error:
        if error.status_code == 403:
            raise refusal(403, may="the role Key Vault Secrets User") from None
        raise Unreadable(
            "no Azure credentials that work: give syncd a managed identity, or set AZURE_CLIENT_ID …"
        ) from None
    except HttpResponseError as error:
        raise refusal(error.status_code or 503, may="the role Key Vault Secrets User") from None
    except AzureError as error:
        raise Unreadable(f"the vault cannot be reached ({type(error).__name__})", lasting=False) from None
    except ValueError:  # the vault answered with a challenge of another domain
        raise Unreadable("the vault's answer names another host: is `vault` right?") from None
