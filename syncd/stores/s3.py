"""How S3 is spoken to: Amazon's, and whatever speaks its language (SeaweedFS, Ceph, MinIO, R2).

Used by `stores.access`. Options by their object_store names, with or without `aws_`; what they leave out comes from
the environment, profile or role, as Amazon's own tools find it. With `endpoint` the bucket is in the path, unless
`virtual_hosted_style_request` says that it is in the endpoint already.
"""

import asyncio
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, urlencode

from aiobotocore.session import AioSession
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import BotoCoreError
from obstore.store import ObjectStore, S3Store

from syncd.clouds.aws import AwsAccess, credentials_of
from syncd.domain.errors import ConfigError, Problem, Retryable
from syncd.stores.answers import Page
from syncd.stores.pages import read_s3
from syncd.stores.transfer import NO_RETRIES, TIMEOUTS
from syncd.stores.wire import Headers, Request

_KEYS = frozenset({"access_key_id", "secret_access_key", "session_token", "token"})
_OURS = _KEYS | {"endpoint", "endpoint_url"}
_LONGEST_SIGNED_S = 7 * 86400
"""Signature version 4 allows a week."""
_KEPT = timedelta(minutes=10)
"""How long obstore keeps credentials; ours are renewed well before they end."""


class S3:
    """Implements `wire.Dialect`, and makes the obstore store of the same bucket."""

    version_header = "x-amz-version-id"
    put_headers: Headers = MappingProxyType({})
    resumes = True

    def __init__(self, bucket: str, options: Mapping[str, str], client: Mapping[str, str], access: AwsAccess) -> None:
        self._options = {name.removeprefix("aws_"): value for name, value in options.items()}
        self._client = dict(client)
        self._bucket = bucket
        self._region = self._options.get("region") or self._options.get("default_region") or _region(access)
        self._signs = self._options.get("skip_signature", "").lower() not in {"true", "1"}
        self._credentials: Any = credentials_of(access) if "access_key_id" not in self._options else None
        self.endpoint, self.url = self._places()

    def list_request(self, after: str, token: str) -> Request:
        """A page of ListObjectsV2."""
        query = {"list-type": "2", "encoding-type": "url", "max-keys": "1000"}
        if token:
            query["continuation-token"] = token
        elif after:
            query["start-after"] = after
        return Request("GET", f"{self.url}?{urlencode(sorted(query.items()), quote_via=quote, safe='-_.~')}")

    def read_page(self, body: bytes) -> Page:
        """As the protocol says."""
        return read_s3(body)

    async def signed(self, request: Request) -> Request:
        """By signature version 4."""
        if not self._signs:
            return request
        made = AWSRequest(request.method, request.url, headers=dict(request.headers), data=request.body)
        S3SigV4Auth(await self._who(), "s3", self._region).add_auth(made)
        return Request(request.method, request.url, dict(made.headers), request.body)

    def refused(self) -> None:
        """As the protocol says; those in the options are the caller's business."""
        if self._credentials:
            self._credentials.forget()

    async def presigned(self, key: str, expires: float) -> str | None:
        """By signature version 4 in the query, at most a week; that of a role ends with the role's credentials."""
        if not self._signs:
            return None
        made = AWSRequest("GET", f"{self.url}/{quote(key, safe='/-_.~')}")
        seconds = int(min(expires, _LONGEST_SIGNED_S))
        S3SigV4QueryAuth(await self._who(), "s3", self._region, expires=seconds).add_auth(made)
        return str(made.url)

    def objects(self) -> ObjectStore:
        """The bucket in obstore, with the same credentials. ConfigError: an option it does not know."""
        config: Any = {name: value for name, value in self._options.items() if name not in _OURS}
        config |= {"region": self._region, "endpoint": self.endpoint}
        config["virtual_hosted_style_request"] = str(not self.url.endswith(f"/{self._bucket}")).lower()
        provider: Any = self._provided if self._signs and self._credentials else None
        if provider is None:
            config |= {name: value for name, value in self._options.items() if name in _KEYS}
        client: Any = {**TIMEOUTS, **self._client}
        return S3Store(
            self._bucket, config=config, client_options=client, retry_config=NO_RETRIES, credential_provider=provider
        )

    async def _provided(self) -> Any:
        """For obstore, which asks again before they end."""
        who = await self._who()
        ends = datetime.now(UTC) + _KEPT
        return {
            "access_key_id": who.access_key,
            "secret_access_key": who.secret_key,
            "token": who.token,
            "expires_at": ends,
        }

    async def _who(self) -> ReadOnlyCredentials:
        if self._credentials is None:
            found = self._options
            token = found.get("session_token") or found.get("token")
            return ReadOnlyCredentials(found["access_key_id"], found.get("secret_access_key", ""), token)
        try:
            async with asyncio.timeout(30):
                return await self._credentials.get_frozen_credentials()
        except TimeoutError:
            raise Retryable("Amazon's credentials were not given in time", effect_possible=False) from None
        except BotoCoreError as error:
            problem = f"no AWS credentials that work ({type(error).__name__})"
            allowed = "keys in storage_options, or those of the environment, a profile, or a role"
            raise ConfigError([Problem("storage_options", problem, allowed)]) from None

    def _places(self) -> tuple[str, str]:
        """The endpoint as object_store takes it, and the bucket's URL."""
        given = self._options.get("endpoint") or self._options.get("endpoint_url")
        given = given or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        style = self._options.get("virtual_hosted_style_request", "").lower()
        if given:
            base = given.rstrip("/")
            return base, base if style in {"true", "1"} else f"{base}/{self._bucket}"
        suffix = "amazonaws.com.cn" if self._region.startswith("cn-") else "amazonaws.com"
        host = f"s3.{self._region}.{suffix}"
        if "." in self._bucket or style in {"false", "0"}:  # its certificate has one name only below the region
            return f"https://{host}", f"https://{host}/{self._bucket}"
        return f"https://{self._bucket}.{host}", f"https://{self._bucket}.{host}"


def _region(access: AwsAccess) -> str:
    found = AioSession(profile=access.profile).get_config_variable("region") or os.environ.get("AWS_REGION")
    return str(found or "us-east-1")
