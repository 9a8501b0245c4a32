"""AWS Secrets Manager, by aiobotocore; the calling thread waits.

Credentials, region and endpoint as every AWS tool finds them: environment (AWS_REGION, AWS_DEFAULT_REGION,
AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_SECRETS_MANAGER), profile, web identity, instance role. An ARN names its region.
"""

import asyncio
import os
from collections.abc import Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from syncd.secrets.asking import ANSWER_S, CONNECT_S, patiently, refusal
from syncd.secrets.cache import Place, Unreadable

_LASTING = {
    "ResourceNotFoundException": "there is none of that name in this account and region",
    "AccessDeniedException": "refused: the credentials syncd runs with need secretsmanager:GetSecretValue",
    "DecryptionFailure": "refused: the credentials syncd runs with need kms:Decrypt on the secret's key",
    "InvalidRequestException": "it is marked for deletion, or has no value yet",
}
_CREDENTIALS = {
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "ExpiredTokenException",
    "InvalidSignatureException",
}


def fetch(place: Place) -> str:
    """The current value (stage AWSCURRENT). Blocks for seconds; raises Unreadable."""
    return patiently()(lambda: _elsewhere(_fetch(place.name)))


def _elsewhere(fetching: Coroutine[Any, Any, str]) -> str:
    """On a loop of its own in a thread of its own: the calling one may run a loop already."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, fetching).result()


async def _fetch(name: str) -> str:
    config = AioConfig(connect_timeout=CONNECT_S, read_timeout=ANSWER_S, retries={"total_max_attempts": 1})
    try:
        async with get_session().create_client("secretsmanager", region_name=_region(name), config=config) as client:
            answer = await client.get_secret_value(SecretId=name)
    except ClientError as error:
        raise _refused(error) from None
    except NoCredentialsError:
        raise Unreadable(
            "no AWS credentials found: set AWS_PROFILE or AWS_ACCESS_KEY_ID, or give syncd a role"
        ) from None
    except NoRegionError:
        raise Unreadable("no AWS region found: set AWS_REGION") from None
    except (BotoCoreError, OSError, TimeoutError) as error:
        raise Unreadable(f"AWS cannot be reached ({type(error).__name__})", lasting=False) from None
    return _text(answer)


def _region(name: str) -> str | None:
    """That of an ARN, arn:PARTITION:secretsmanager:REGION:ACCOUNT:secret:NAME; else what the environment says."""
    parts = name.split(":")
    if len(parts) > 3 and parts[0] == "arn" and parts[3]:
        return parts[3]
    return os.environ.get("AWS_REGION") or None  # botocore itself knows AWS_DEFAULT_REGION and the profile


def _refused(error: ClientError) -> Unreadable:
    code = error.response.get("Error", {}).get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _LASTING:
        return Unreadable(_LASTING[code])
    if code in _CREDENTIALS:
        return Unreadable(f"the AWS credentials syncd runs with are not valid ({code})")
    if code.startswith("Throttling"):
        return Unreadable("AWS throttles", lasting=False)
    return refusal(status, may="secretsmanager:GetSecretValue")


def _text(answer: Mapping[str, Any]) -> str:
    text: str | None = answer.get("SecretString")
    try:
        return bytes(answer["SecretBinary"]).decode() if text is None else text
    except UnicodeDecodeError:
        raise Unreadable("holds bytes that are no UTF-8 text") from None
