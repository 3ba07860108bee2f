"""The port of the sessions: authenticated requests to Garmin Connect, over whatever library.

Rule: a session only makes requests; what the answers mean is `answers.py`'s knowledge.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from ...errors import OutcomeUnknown


class GarminResponse(NamedTuple):
    """Garmin's answer to one request. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class ConnectionDropped(OutcomeUnknown):
    """The request left, but no whole answer came back: Garmin may or may not have acted on it."""


class Session(Protocol):
    """Authenticated requests to Garmin Connect. The token is refreshed and saved behind this line."""

    @property
    def sign_in_again(self) -> str:
        """What to do when the sign-in no longer works, as a sentence: this session's own command."""
        ...

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        file: tuple[str, bytes] | None = None,
    ) -> GarminResponse:
        """One request to `https://connectapi.{domain}{path}`, `file` as the multipart field "file".

        Any HTTP status is an `GarminResponse`, except that a 401 is answered by one refresh and one more try.

        Raises `SignInNeeded`, `TokenStoreUnusable`, `RateLimited` (while refreshing), `GarminUnreachable`
        (nothing was sent) or `ConnectionDropped`.
        """
        ...

    def token_days_left(self) -> float | None:
        """Days until the user must sign in again, if known. Never touches the network.

        Raises `SignInNeeded` when there is no token, or `TokenStoreUnusable`.
        """
        ...
