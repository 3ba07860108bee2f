"""What an answer of the function means for a reading: its next state, and how long until the next attempt. Pure.

Rule: only a receipt that says that Garmin Connect shows the reading ends the work. Only a problem that says "never"
parks it. The function says both (`final`, `again`); an answer from any other server says neither.

Strategy: the outbox has one policy of its own. For the function, a kept file is final. The outbox sends the reading
again every hour, because its owner wants it in Garmin Connect and may sign in tomorrow.
"""

from __future__ import annotations

from typing import NamedTuple

from weighbridge.client import Result, problem

#: The states of a reading that Garmin Connect shows. The words are the receipt's.
ARRIVED = ("confirmed", "present")


class Pause(NamedTuple):
    """A pause that doubles with each attempt, up to a limit. If both values are equal, it is constant."""

    first_s: float
    longest_s: float

    def after(self, attempts: int) -> float:
        return min(self.first_s * 2.0 ** min(attempts, 40), self.longest_s)


SOON = Pause(5, 3_600)
#: Someone must fix the setup: a key, an address, a sign-in.
RARELY = Pause(900, 900)
HOURLY = Pause(3_600, 3_600)


class NextStep(NamedTuple):
    state: str
    #: The receipt or the problem. It may hold measurements, so it is stored in the table and never logged.
    result: Result
    #: None: the job ends.
    pause: Pause | None = None
    #: Whether someone must be notified.
    loud: bool = False

    @property
    def name(self) -> str:
        """A name that is safe to log: only words of this program."""
        return self.result.kind or self.state


def judge(result: Result) -> NextStep:
    """The function's answer about one reading -> what to do next."""
    if result.ok:
        match result.status:
            case "confirmed" | "present" if result.final:
                return NextStep(result.status, result)
            case "kept" if result.final:
                return NextStep("kept", result, HOURLY)
            case "accepted" if not result.final:
                # Sent again, it is `present`, or it is uploaded after all.
                return NextStep("accepted", result, SOON)
        return NextStep("waiting", _NOT_DELIVERED, RARELY, loud=True)
    match result.again:
        case "never":
            return NextStep("parked", result, loud=True)
        case "after_repair":
            return NextStep("waiting", result, RARELY, loud=True)
        case "later":
            # A bug of Weighbridge may hit this reading every time, so someone must be notified.
            return NextStep("waiting", result, SOON, loud=result.blame == "weighbridge")


def judge_again(earlier: str, receipt: Result) -> NextStep | None:
    """The verdict on a reading that was received before, from the state and receipt of the earlier one.

    None: the earlier one will not arrive, so this one is sent.
    """
    if earlier in ARRIVED:
        return NextStep("present", receipt)
    return None if earlier == "parked" else NextStep("waiting", _RECEIVED_BEFORE, SOON)


_NOT_DELIVERED = Result(
    problem(
        "not-delivered",
        "The answer is not a delivery receipt",
        "Expected a receipt with the status confirmed, present, kept or accepted. Check that the function and the "
        "outbox are of the same release.",
        blame="owner",
        again="after_repair",
    )
)
_RECEIVED_BEFORE = Result(
    problem(
        "received-before",
        "The same reading was received before and has not arrived yet",
        "It becomes present when the earlier one arrives.",
        blame="weighbridge",
        again="later",
    )
)
