"""The port: what every delivery offers.

Rule: a delivery accepts readings and a function that proves them, never bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal, Protocol

from ..errors import WeighbridgeError
from ..fit.encode import RawFields
from ..fit.verify import VerifiedFit
from ..notes import Note
from ..reading.reading import Reading

#: kept: the file is ready for import by hand · present: Garmin already had this reading ·
#: accepted: Garmin took it, but does not show it yet · confirmed: read back from Garmin
Status = Literal["kept", "present", "accepted", "confirmed"]


class Prove(Protocol):
    """What makes files of readings."""

    @property
    def fields(self) -> Collection[str]:
        """The FIT fields that a file can hold."""
        ...

    def raws(self, reading: Reading) -> RawFields:
        """What a file holds of a reading."""
        ...

    def __call__(self, readings: Sequence[Reading]) -> VerifiedFit:
        """One to 200 readings -> one file, decoded and compared before anyone may send it."""
        ...


@dataclass(frozen=True, slots=True)
class WeighIn:
    """One weigh-in as a store holds it, in our names and units."""

    #: A day, a dot and a number.
    id: str
    #: The local day: the account's, or that of WEIGHBRIDGE_TIMEZONE.
    calendar_date: date
    #: Aware, in UTC.
    measured_at: datetime
    #: Whole ratings and ages are integers.
    values: Mapping[str, Decimal | int]

    def shown(self) -> dict[str, object]:
        """As it is shown in a response."""
        return {"measured_at": f"{self.measured_at:%Y-%m-%dT%H:%M:%SZ}", **self.values}


@dataclass(frozen=True, slots=True)
class Delivered:
    """What happened to one reading."""

    status: Status
    fit: VerifiedFit
    file_name: str | None = None
    #: What Garmin shows for it (`present`, `confirmed`).
    garmin: WeighIn | None = None
    #: How it was understood: as part of another weigh-in, for example.
    notes: tuple[Note, ...] = ()
    warnings: tuple[Note, ...] = ()


#: A reading of a batch was delivered or has its own fault, which does not stop the others.
Outcome = Delivered | WeighbridgeError


#: The form of an instant in a file's name: in the order of the alphabet, it is in the order of time.
INSTANT = "%Y-%m-%dT%H-%M-%SZ"


def file_name(readings: Sequence[Reading], fit: VerifiedFit) -> str:
    """The name of a file: its first instant and a part of its hash. The same readings have the same name, and no name
    contains a measurement."""
    instant = f"{min(reading.measured_at for reading in readings):{INSTANT}}"
    what = "weigh-in" if len(readings) == 1 else f"{len(readings)}-weigh-ins"
    return f"{what}_{instant}_{fit.sha256[:12]}.fit"


#: The name of the delivery that keeps files; every other one reaches Garmin Connect.
FOLDER = "folder"


class Delivery(Protocol):
    """A place that takes proven readings."""

    name: str

    def deliver(
        self, readings: Sequence[Reading], prove: Prove, *, replace: bool, untimed: Collection[Reading] = ()
    ) -> Mapping[Reading, Outcome]:
        """Deliver 1 to 200 readings. Returns the outcome of each.

        `replace`: what is held at the instant of a reading is replaced if it has other values. `untimed`: those
        without a time of their own; theirs is that of their arrival.

        Raises a `WeighbridgeError` if all of them have the same fault; its `nothing_sent` says whether another
        delivery may take over.
        """
        ...

    def take_back(self, measured_at: datetime, person: str | None) -> bool:
        """Delete what is held at exactly this instant. Returns whether anything was. Raises a `WeighbridgeError`."""
        ...

    def health(self) -> Mapping[str, object]:
        """Whether a reading could be delivered now: `ready` (bool), and if not, `detail` with the fix. A ready
        one may have a `detail`, too: a sign-in that ends soon. If known,
        `last_outcome`: the `code` of what the last delivery came to, and when (`at`, UTC); and `last_success_at`: when
        Garmin last took a reading, or showed that it has it (UTC)."""
        ...


#: Where weigh-ins are read: what Garmin shows, or the files that wait for import.
Source = Literal["garmin", "folder"]


class WeighInStore(Protocol):
    """A delivery that can also be read."""

    source: Source

    def list_weigh_ins(self, first: date, last: date) -> Sequence[WeighIn]:
        """The weigh-ins from one local day to another, both included, oldest first. Those that cannot be read are left
        out."""
        ...

    def delete_weigh_in(self, weigh_in_id: str) -> None:
        """Delete one. Raises `NotFound` if none has this id, or another `WeighbridgeError`."""
        ...
