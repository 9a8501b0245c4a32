"""SeaweedFS's filer webhook: the source of type `seaweedfs`.

Its token is `bearer_token` of `notification.toml`. The filer sends an event once, whatever is answered, and in no
order: each one only says which object to look at, and what is lost is found by reconcile. An endpoint that answers
late holds it up, so the answer comes as soon as the events are durable.
"""

from syncd.domain.notifications import Notices
from syncd.domain.notifications.seaweedfs import parse_seaweedfs
from syncd.ports import Pushed
from syncd.sources.pushed import TokenSource


class SeaweedFSSource(TokenSource):
    """Takes the events of a SeaweedFS filer."""

    def _notices(self, request: Pushed) -> Notices:
        return parse_seaweedfs(request.body, self._clock.now())
