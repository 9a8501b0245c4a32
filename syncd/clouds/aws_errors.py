"""What an error of Amazon means for us: try later, other credentials, another configuration, or never.

Called by `clouds.aws` for every call. Codes are those of the services' "Common Errors" pages and of botocore's own
lists; answers of the servers themselves never reach a message, only their codes.
"""

from collections.abc import Mapping
from typing import Any

import aiohttp
from botocore import exceptions as botocore
from botocore.exceptions import ClientError

from syncd.domain.errors import ConfigError, Problem, Rejected, Retryable, SyncdError

TRANSPORT = (botocore.BotoCoreError, aiohttp.ClientError, TimeoutError, OSError)
"""What a call may raise besides ClientError: the connection failed, or the configuration cannot make a request."""

_THROTTLED = {
    "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestThrottledException",
    "TooManyRequestsException", "RequestLimitExceeded", "BandwidthLimitExceeded", "SlowDown", "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException", "OverLimit", "KmsThrottled", "KMS.ThrottlingException",
}  # fmt: skip
_BUSY = {"InternalError", "InternalFailure", "ServiceUnavailable", "RequestTimeout", "RequestTimeoutException"}
_REFUSED = {
    "AuthFailure", "ExpiredToken", "ExpiredTokenException", "IncompleteSignature", "InvalidAccessKeyId",
    "InvalidClientTokenId", "InvalidSignatureException", "InvalidToken", "MissingAuthenticationToken",
    "NotAuthorized", "RequestExpired", "SignatureDoesNotMatch", "UnrecognizedClientException",
}  # fmt: skip
_FORBIDDEN = {
    "AccessDenied", "AccessDeniedException", "AuthorizationError", "AuthorizationErrorException", "KmsAccessDenied",
    "KMS.AccessDeniedException", "UnauthorizedOperation",
}  # fmt: skip
_ABSENT = {
    "AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "NonExistentQueue", "NoSuchBucket",
    "NotFound", "NotFoundException", "ResourceNotFoundException",
}  # fmt: skip
_SKEWED = {"RequestTimeTooSkewed", "RequestInTheFuture"}
_UNUSABLE = (botocore.NoCredentialsError, botocore.PartialCredentialsError, botocore.SSOError, botocore.ProfileNotFound)


class Refused(Rejected):
    """A request that can never be answered as it is. `code` is Amazon's word for why."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


def code_of(error: ClientError) -> str:
    """Amazon's word for what is wrong, without the namespace some services put before it."""
    return str(error.response.get("Error", {}).get("Code", "")).rpartition("#")[2]


def are_credentials_refused(error: ClientError) -> bool:
    """Whether other credentials could help: they expired, were rotated away, or never were right."""
    return code_of(error) in _REFUSED


def translated(error: Exception, service: str, subject: str, credentials: str) -> SyncdError:
    """The error named by what to do next.

    `subject` is the option that names what is worked on, `credentials` the one that says who we are: a ConfigError
    names one of them.
    """
    if isinstance(error, ClientError):
        return _of_answer(error, service, subject, credentials)
    if isinstance(error, _UNUSABLE):
        return credentials_problem(credentials, type(error).__name__)
    if isinstance(error, botocore.NoRegionError):
        return ConfigError([Problem("region", "none", "name the region, such as eu-central-1")])
    if isinstance(error, (botocore.ParamValidationError, botocore.InvalidRegionError)) or "Invalid endpoint" in str(
        error
    ):
        return ConfigError([Problem("endpoint", type(error).__name__, "a valid endpoint and region")])
    reached = not isinstance(error, (botocore.EndpointConnectionError, botocore.ConnectTimeoutError))
    words = "the connection broke" if reached else "it cannot be reached"
    return Retryable(f"{service}: {words} ({type(error).__name__})", effect_possible=reached)


def credentials_problem(field: str, found: str) -> ConfigError:
    """There are none that are accepted."""
    chain = "from the environment, a web identity, the role of the container or instance, or a profile"
    hints = {
        "access_key_id": "must be a key that is active, with its secret",
        "role_arn": "must be a role that these credentials may assume, and that is still there",
    }
    return ConfigError([Problem(field, found, hints.get(field, f"credentials that are accepted are needed: {chain}"))])


def _of_answer(error: ClientError, service: str, subject: str, credentials: str) -> SyncdError:
    code, status, action = code_of(error), _status(error), f"{service}:{error.operation_name}"
    if error.operation_name.startswith("AssumeRole"):
        action, subject = f"sts:{error.operation_name}", credentials
    if code in _THROTTLED or status == 429:
        return Retryable(f"{action} was throttled ({code})", retry_after=_wish(error), effect_possible=False)
    if code in _BUSY or status >= 500:
        return Retryable(f"{action} failed there ({status} {code})", retry_after=_wish(error))
    if code in _REFUSED:
        return credentials_problem(credentials, code)
    problem = _problem_of(code, status, action, subject)
    return ConfigError([problem]) if problem else Refused(f"{action} was refused ({status} {code})", code)


def _problem_of(code: str, status: int, action: str, subject: str) -> Problem | None:
    if code in _SKEWED:
        return Problem(subject, code, "the clock of this host is wrong: have NTP set it")
    if code in _FORBIDDEN or status == 403:
        return Problem(subject, code, f"these credentials must be allowed {action}")
    if code in _ABSENT:
        return Problem(subject, code, "is not there: check its name, region and account")
    return None


def _status(error: ClientError) -> int:
    return int(_metadata(error).get("HTTPStatusCode", 0))


def _wish(error: ClientError) -> float | None:
    after = str(_metadata(error).get("HTTPHeaders", {}).get("retry-after", ""))
    return float(after) if after.isdecimal() else None


def _metadata(error: ClientError) -> Mapping[str, Any]:
    metadata: Mapping[str, Any] = error.response.get("ResponseMetadata", {})
    return metadata
