"""What an answer of the function means for a reading: its next state, and how long until the next attempt. Pure.

Rule: only a receipt which says that Garmin Connect shows the reading ends the work; only a problem which says "never"
parks it. The function says both (`final`, `again`), and an answer of anything else says neither.

Strategy: one policy is the outbox's own. A reading that is kept as a file is final for the function; whoever runs an
outbox wants it in Garmin Connect, and may sign in tomorrow. So it is sent again every hour.
"""

from __future__ import annotations

from typing import NamedTuple

from weighbridge.client import Result, problem

#: A reading's state as soon as Garmin Connect shows it: the receipt's own words.
ARRIVED = ("confirmed", "present")


class Pause(NamedTuple):
    """A pause doubles with each attempt, up to a bound. The two are equal where it should be long from the start."""

    first_s: float
    longest_s: float

    def after(self, attempts: int) -> float:
        return min(self.first_s * 2.0 ** min(attempts, 40), self.longest_s)


SOON = Pause(5, 3_600)
#: Somebody has to fix the set-up: a key, an address, a sign-in.
RARELY = Pause(900, 900)
HOURLY = Pause(3_600, 3_600)


class NextStep(NamedTuple):
    state: str
    #: The receipt or the problem. It may hold measurements, so it goes into the table and not into a log.
    result: Result
    #: None: the queue is done with it.
    pause: Pause | None = None
    #: Whether someone must be notified.
    loud: bool = False

    @property
    def name(self) -> str:
        """Fit for a log: our own words only."""
        return self.result.kind or self.state


def judge(result: Result) -> NextStep:
    """What became of one reading -> what to do with it next."""
    if result.ok:
        match result.status:
            case "confirmed" | "present" if result.final:
                return NextStep(result.status, result)
            case "kept" if result.final:
                return NextStep("kept", result, HOURLY)
            case "accepted" if not result.final:
                # Sent again it ends as `present`, or arrives after all.
                return NextStep("accepted", result, SOON)
        return NextStep("waiting", _NOT_DELIVERED, RARELY, loud=True)
    match result.again:
        case "never":
            return NextStep("parked", result, loud=True)
        case "after_repair":
            return NextStep("waiting", result, RARELY, loud=True)
        case "later":
            return NextStep("waiting", result, SOON)


def judge_again(earlier: str, receipt: Result) -> NextStep | None:
    """The verdict on a reading that was received before, by the state and receipt of the earlier one.

    None: the earlier one has not arrived and is not going to, so this one is sent.
    """
    if earlier in ARRIVED:
        return NextStep("present", receipt)
    return None if earlier == "parked" else NextStep("waiting", _RECEIVED_BEFORE, SOON)


_NOT_DELIVERED = Result(
    problem(
        "not-delivered",
        "The answer is not that of a delivery",
        "Expected a receipt that says confirmed, present, kept or accepted. Are the function and the outbox of the "
        "same release?",
        blame="owner",
        again="after_repair",
    )
)
_RECEIVED_BEFORE = Result(
    problem(
        "received-before",
        "The same reading was received before, and is still on its way",
        "It counts as present as soon as the earlier one has arrived.",
        blame="weighbridge",
        again="later",
    )
)
