"""The port of the sessions: authenticated requests to Garmin Connect, with any library.

Rule: a session only makes requests. What the answers mean is in `answers.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple, Protocol

from ...delivery.last_outcome import LastOutcome
from ...delivery.port import Outcome
from ...errors import OutcomeUnknown


class GarminResponse(NamedTuple):
    """Garmin's answer to one request. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class ConnectionDropped(OutcomeUnknown):
    """The request was sent, but no complete answer came back: Garmin may or may not have acted on it."""


class Session(Protocol):
    """Authenticated requests to Garmin Connect. Refreshes and saves the token as needed."""

    @property
    def sign_in_again(self) -> str:
        """The sentence that says what to do when the sign-in no longer works, with this session's command."""
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

        Any HTTP status gives a `GarminResponse`. After a 401 the token is refreshed and the request sent once more.

        Raises `SignInNeeded`, `TokenStoreUnusable`, `RateLimited` (while refreshing), `GarminUnreachable`
        (nothing was sent) or `ConnectionDropped`.
        """
        ...

    def token_days_left(self) -> float | None:
        """Days until the user must sign in again, if known. Makes no request.

        Raises `SignInNeeded` if there is no token or Garmin has refused it, or `TokenStoreUnusable`.
        """
        ...

    def renewal_failure(self) -> str:
        """Why the last renewal failed, in whatever process it was, or why the next one will, with its fix; "" if
        neither. Makes no request, and writes nothing.

        Raises as `token_days_left` does.
        """
        ...

    def ended(self, delivery: str, outcomes: Collection[Outcome]) -> None:
        """Note what a delivery of this name came to."""
        ...

    def last_outcome(self, delivery: str) -> LastOutcome:
        """What the last delivery of this name came to, in whatever process."""
        ...

    def last_success_at(self) -> datetime | None:
        """When Garmin last took a reading, or showed that it has it, in UTC and in whatever process; None if it never
        did."""
        ...
