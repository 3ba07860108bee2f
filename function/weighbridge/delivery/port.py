"""The port: what every delivery offers.

Rule: a delivery accepts readings and a way to prove them, never loose bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal, Protocol

from ..errors import WeighbridgeError
from ..fit.verify import VerifiedFit
from ..notes import Note
from ..reading.reading import Reading

#: kept: the file lies ready for manual import · present: Garmin had this reading already ·
#: accepted: Garmin took it, but does not show it yet · confirmed: read back from Garmin
Status = Literal["kept", "present", "accepted", "confirmed"]

#: One to 200 readings -> one file, decoded and compared before anyone may send it.
Prove = Callable[[Sequence[Reading]], VerifiedFit]


@dataclass(frozen=True, slots=True)
class WeighIn:
    """One weigh-in as a store holds it, in our names and units."""

    id: str
    #: The account's local day.
    calendar_date: date
    #: Aware, in UTC.
    measured_at: datetime
    #: Ratings and ages that are whole are integers.
    values: Mapping[str, Decimal | int]

    def shown(self) -> dict[str, object]:
        """For an answer."""
        return {"measured_at": f"{self.measured_at:%Y-%m-%dT%H:%M:%SZ}", **self.values}


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of one reading."""

    status: Status
    fit: VerifiedFit
    file_name: str | None = None
    #: What Garmin shows for it (`present`, `confirmed`).
    garmin: WeighIn | None = None
    warnings: tuple[Note, ...] = ()


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

    def deliver(self, readings: Sequence[Reading], prove: Prove, *, replace: bool) -> Mapping[Reading, Outcome]:
        """Deliver 1 to 200 readings; each has its outcome.

        Raises a `WeighbridgeError` when all of them share one fault (`nothing_sent` says whether another
        delivery may take over).
        """
        ...

    def health(self) -> Mapping[str, object]:
        """Whether a reading could be delivered now: `ready` (bool), and when not, `detail` with the fix."""
        ...


class WeighInStore(Protocol):
    """A delivery that can also be read."""

    def list_weigh_ins(self, first: date, last: date) -> Sequence[WeighIn]: ...

    def delete_weigh_in(self, weigh_in_id: str) -> None: ...
