"""Our own small protocol, for anybody else's uploader: the source of type `http`.

`POST /events/NAME` with the JSON that `domain.notifications.plain` describes and `/openapi.json` documents, signed
as Standard Webhooks, or with a bearer token where the sender cannot sign. A request that is sent again within five
minutes marks the same objects again, which changes nothing.
"""

from typing import ClassVar, Self

from pydantic import BaseModel, Field, model_validator

from syncd.domain.errors import ConfigError, Problem, Retryable
from syncd.domain.notifications import Notices
from syncd.domain.notifications.plain import parse_plain
from syncd.domain.standard_webhooks import SECRET_HINT, is_signed, signing_key
from syncd.ports import Clock, Pushed, Stores
from syncd.secrets import SecretRef
from syncd.sources.of_buckets import BucketsOptions
from syncd.sources.pushed import SecretSource, Tokens, bearer


class HttpOptions(BucketsOptions):
    """The options of a source of type `http`."""

    secrets: tuple[SecretRef, ...] = Field(
        (),
        description="Where the signing secrets are (whsec_ and base64 of 24 to 64 bytes); two while one is replaced.",
    )
    tokens: tuple[SecretRef, ...] = Field(
        (), description="Where bearer tokens are, for senders that cannot sign. Default: none."
    )

    @model_validator(mode="after")
    def _closed(self) -> Self:
        if not (self.secrets or self.tokens):
            raise ValueError("name at least one of secrets (preferred) and tokens: it never stands open")
        return self


class HttpSource(SecretSource):
    """Takes signed events of any sender."""

    Options: ClassVar[type[BaseModel]] = HttpOptions

    def __init__(self, name: str, options: HttpOptions, *, stores: Stores, clock: Clock) -> None:
        super().__init__(name, options, stores=stores, clock=clock)
        self._secrets = [(f"sources.{name}.secrets.{n}", ref) for n, ref in enumerate(options.secrets)]
        self._tokens = Tokens(options.tokens, f"sources.{name}.tokens")

    async def check(self) -> None:
        """As the port says."""
        self._keys()
        self._tokens.check()

    def _is_authentic(self, request: Pushed) -> bool:
        if shown := bearer(request):
            return self._tokens.opened_by(shown)
        try:
            keys = self._keys()
        except ConfigError as error:
            raise Retryable(f"a secret cannot be read: {error}") from error
        return is_signed(request.headers, request.body, keys, self._clock.now())

    def _notices(self, request: Pushed) -> Notices:
        return parse_plain(request.body, self._clock.now(), self._urls)

    def _keys(self) -> list[bytes]:
        """The signing keys, read anew: a secret that was replaced needs no restart."""
        return [_key(ref, where) for where, ref in self._secrets]


def _key(ref: SecretRef, field: str) -> bytes:
    try:
        return signing_key(ref.read(field))
    except ValueError as error:
        raise ConfigError([Problem(field, f"{ref} {error}", SECRET_HINT)]) from None
