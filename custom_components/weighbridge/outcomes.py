"""What became of a reading, in one word: for the event, the sensor of the last delivery, and the trigger."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from homeassistant.util import dt as dt_util
from homeassistant.util.signal_type import SignalType

from .answers import Answer

if TYPE_CHECKING:
    from .queue import Item

#: The kinds of an `Outcome` of the queue that a person sees. A test message is about no weigh-in.
OUTCOMES: Final = (
    "confirmed",
    "present",
    "accepted",
    "kept",
    "taken_back",
    "waiting",
    "repair_needed",
    "question",
    "rejected",
    "unknown_time",
    "discarded",
)
#: No receipt follows.
ENDED: Final = ("rejected", "unknown_time", "discarded")


@dataclass(frozen=True, slots=True, repr=False)
class Delivery:
    """What became of a reading."""

    #: Of the person whose it is; "" if that is not known.
    subentry_id: str
    outcome: str
    #: The item of the queue.
    item_id: str
    source: str
    #: What a person should read.
    message: str
    #: As the receipt has it.
    measured_at: str | None
    #: The name of the problem, such as "conflict"; "" if there is none.
    problem: str

    def attributes(self) -> dict[str, Any]:
        """For the event and the trigger."""
        return {
            "message": self.message,
            "measured_at": self.measured_at,
            "problem": self.problem or None,
            "source": self.source,
            "item_id": self.item_id,
        }


def delivery_of(subentry_id: str, item: Item, answer: Answer, outcome: str) -> Delivery:
    at = measured_at(answer)
    message = answer.reason if outcome == "rejected" else answer.text
    return Delivery(subentry_id, outcome, item.id, item.source, message, at.isoformat() if at else None, answer.kind)


#: Sent for each reading when its outcome is known, or has become another one.
SIGNAL_DELIVERY: SignalType[Delivery] = SignalType("weighbridge_delivery")


def measured_at(answer: Answer) -> datetime | None:
    """When the weigh-in of a receipt was. Messages of one weigh-in are joined, so its time in Garmin counts."""
    if not answer.ok:
        return None
    shown = answer.body.get("garmin")
    text = (shown if isinstance(shown, dict) else answer.body).get("measured_at")
    return dt_util.parse_datetime(text) if isinstance(text, str) else None
