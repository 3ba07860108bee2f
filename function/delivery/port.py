"""The port: what every delivery offers, and what every Garmin session offers.

Rule: a delivery accepts readings and a way to prove them, never loose bytes. A session only makes
authenticated requests; what the answers mean is `garmin.py`'s knowledge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, NamedTuple, Protocol

from ..errors import GarminFault, WeighbridgeError
from ..fit.verify import VerifiedFit
from ..reading import Reading

#: kept: the file lies ready for manual import · present: Garmin had this reading already ·
#: accepted: Garmin took it, but does not show it yet · confirmed: read back from Garmin
Status = Literal["kept", "present", "accepted", "confirmed"]

#: One to 200 readings -> one file, decoded and compared before anyone may send it.
Prove = Callable[[Sequence[Reading]], VerifiedFit]


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of one reading."""

    status: Status
    fit: VerifiedFit
    file_name: str | None = None
    #: What Garmin shows for it, in our names and units (`present`, `confirmed`).
    garmin: Mapping[str, object] | None = None
    warnings: tuple[str, ...] = ()


#: A reading in a batch either was delivered or has a fault of its own; the others go on.
Outcome = Delivered | WeighbridgeError


def file_name(readings: Sequence[Reading], fit: VerifiedFit) -> str:
    """The name of a file: its first instant and its fingerprint. The same readings have the same name, and
    no name tells a measurement."""
    instant = min(reading.measured_at for reading in readings).strftime("%Y-%m-%dT%H-%M-%SZ")
    what = "weigh-in" if len(readings) == 1 else f"{len(readings)}-weigh-ins"
    return f"{what}_{instant}_{fit.sha256[:12]}.fit"


class Delivery(Protocol):
    """A place that takes proven readings."""

    name: str

    def deliver(self, readings: Sequence[Reading], prove: Prove, *, replace: bool) -> Sequence[Outcome]:
        """Deliver 1 to 200 readings, one outcome each, in order.

        Raises a `WeighbridgeError` when all of them share one fault (`nothing_sent` says whether another
        delivery may take over).
        """
        ...

    def health(self) -> Mapping[str, object]:
        """Whether a reading could be delivered now: `ready` (bool), and when not, `detail` with the mend."""
        ...


@dataclass(frozen=True, slots=True)
class WeighIn:
    """One entry as Garmin Connect holds it, in our names and units."""

    id: str
    calendar_date: date
    values: Mapping[str, object] = field(default_factory=dict)


class WeighInStore(Protocol):
    """A delivery that can also be read: Garmin Connect."""

    def list_weigh_ins(self, first: date, last: date) -> Sequence[WeighIn]: ...

    def delete_weigh_in(self, weigh_in_id: str) -> None: ...


class Answer(NamedTuple):
    """Garmin's answer to one request. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class ConnectionDropped(GarminFault):
    """The request left, but no whole answer came back: Garmin may or may not have acted on it."""

    nothing_sent = False


class Session(Protocol):
    """Authenticated requests to Garmin Connect. The token is refreshed and saved behind this line."""

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        file: tuple[str, bytes] | None = None,
    ) -> Answer:
        """One request to `https://connectapi.{domain}{path}`, `file` as the multipart field "file".

        Any HTTP status is an `Answer`, except that a 401 is answered by one refresh and one more try.

        Raises `SignInNeeded`, `TokenStoreUnusable`, `RateLimited` (while refreshing), `GarminUnreachable`
        (nothing was sent) or `ConnectionDropped`.
        """
        ...

    def token_days_left(self) -> float | None:
        """Days until the user must sign in again, if known. Never touches the network.

        Raises `SignInNeeded` when there is no token, or `TokenStoreUnusable`.
        """
        ...
