"""MinIO's bucket notifications by webhook: the source of type `minio`.

Its token is what `auth_token` of the webhook target says, and is shown as MinIO does it: one word as
`Authorization: Bearer WORD`, two words such as `Key TOKEN` as they are. It probes with HEAD before it sends. Without
`queue_dir` of the target MinIO tries an event once: what is lost then is found by reconcile.
"""

from syncd.domain.notifications import Notices
from syncd.domain.notifications.s3 import parse_s3
from syncd.ports import Pushed
from syncd.sources.pushed import TokenSource, bearer


class MinioSource(TokenSource):
    """Takes the events of a MinIO webhook target."""

    async def check(self) -> None:
        """As the port says."""
        self._tokens.check(spaces=True)

    def _is_authentic(self, request: Pushed) -> bool:
        whole = [request.headers.get("authorization", "")]
        return self._tokens.opened_by(bearer(request)) or self._tokens.opened_by(whole)

    def _notices(self, request: Pushed) -> Notices:
        return parse_s3(request.body, self._clock.now())
