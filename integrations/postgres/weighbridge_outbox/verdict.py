"""What an answer of the function means for a reading: its next state, and how long until the next attempt. Pure.

Rule: only a receipt that says that Garmin Connect shows the reading ends the work. Only a problem that says "never"
parks it. The function says both (`final`, `again`); an answer from any other server says neither.

Strategy: the outbox has three policies of its own.
- For the function, a kept file is final. The outbox sends the reading again every hour, because its owner wants it in
  Garmin Connect and may sign in tomorrow.
- A conflict in which the reading only adds values is sent again at once, with `replace`. That intention is written
  into the table first: if the worker is killed, the next attempt replaces too, so no old entry is left over.
- A deletion that was tried before and is answered with "not found" is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from weighbridge.client import Reply, Result, problem

#: The states of a reading that Garmin Connect shows. The words are the receipt's.
ARRIVED = ("confirmed", "present")
#: The states that need nothing more. `joined`: another reading carries the values.
DONE = (*ARRIVED, "joined", "taken_back", "nothing")
#: The states of a reading that has not arrived, in the order of what is left to do.
OPEN = ("waiting", "accepted", "kept", "parked")


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
AT_ONCE = Pause(0, 0)
#: For another reading, which has pauses of its own.
FOR_ANOTHER = Pause(5, 60)


class NextStep(NamedTuple):
    state: str
    #: The receipt or the problem. It may hold measurements, so it is stored in the table and never logged.
    result: Result
    #: None: the job ends.
    pause: Pause | None = None
    #: Whether someone must be notified.
    loud: bool = False
    #: Whether the next attempt replaces what Garmin holds for this instant.
    replace: bool = False

    @property
    def name(self) -> str:
        """A name that is safe to log: only words of this program."""
        return self.result.kind or self.state


def judge(result: Result, *, replaced: bool = False, deleted_before: bool = False) -> NextStep:
    """The function's answer about one reading -> what to do next.

    `replaced`: it was sent with `replace`. `deleted_before`: it is a deletion, and an earlier attempt may have
    succeeded.
    """
    if result.results:
        return _judge_all(result, replaced=replaced)
    if result.ok:
        match result.status:
            case "confirmed" | "present" | "taken_back" | "nothing" if result.final:
                return NextStep(result.status, result)
            case "kept" if result.final:
                return NextStep("kept", result, HOURLY)
            case "accepted" if not result.final:
                # Sent again, it is `present`, or it is uploaded after all.
                return NextStep("accepted", result, SOON)
        return NextStep("waiting", _NOT_DELIVERED, RARELY, loud=True)
    if result.kind == "conflict" and result.added and not result.changed and not replaced:
        return NextStep("waiting", result, AT_ONCE, replace=True)
    if result.kind == "not-found" and result.again == "never" and deleted_before:
        return NextStep("taken_back", result)
    match result.again:
        case "never":
            return NextStep("parked", result, loud=True)
        case "after_repair":
            return NextStep("waiting", result, RARELY, loud=True)
        case "later":
            # A bug of Weighbridge may hit this reading every time, so someone must be notified.
            return NextStep("waiting", result, SOON, loud=result.blame == "weighbridge")


def judge_each(reply: Reply, number: int) -> list[Result]:
    """The reply to a request with several documents -> the result of each. If all were refused, each has the refusal;
    if the reply is not about these, each has an empty receipt, which `judge` does not accept."""
    if not reply.ok:
        return [reply] * number
    results = reply.results
    return [*results] if len(results) == number else [Result({})] * number


def is_about_contents(reply: Reply) -> bool:
    """Whether all documents of a request were refused for what one of them may hold, so that each is to be sent alone.

    A key that is wrong, a pause that is asked for or a function that is down would refuse each of them.
    """
    if reply.ok or not 400 <= reply.http_status < 500:
        return False
    # A proxy may refuse a body for its size or its words.
    return reply.again == "never" or (reply.kind == "not-the-function" and reply.http_status != 429)


def is_shared(reply: Reply, steps: Sequence[NextStep]) -> bool:
    """Whether other readings would fare the same now: nothing of the request was accepted, and waiting may help."""
    if not reply.ok:
        return not is_about_contents(reply)
    return all(step.result.blame == "garmin" and step.result.again == "later" for step in steps)


def _judge_all(several: Result, *, replaced: bool) -> NextStep:
    """A body with several weigh-ins that is one row, as another program may insert it: what is left to do for any."""
    steps = [judge(result, replaced=replaced) for result in several.each()]
    last = min(steps, key=lambda step: OPEN.index(step.state) if step.state in OPEN else len(OPEN))
    return last._replace(result=several if last.result.ok else last.result)


def judge_again(earlier: str, receipt: Result) -> NextStep | None:
    """The verdict on a reading that was received before, from the state and receipt of the earlier one.

    None: the earlier one will not arrive, so this one is sent.
    """
    if earlier in ARRIVED:
        return NextStep("present", receipt)
    return NextStep("waiting", _RECEIVED_BEFORE, FOR_ANOTHER) if earlier in OPEN and earlier != "parked" else None


def wait_for_earlier(state: str) -> NextStep:
    """Another reading of the same scale, of about the same instant, goes first. The state stays as it is."""
    return NextStep(state, _EARLIER_FIRST, FOR_ANOTHER)


def park_without_weight(join_s: float) -> NextStep:
    """Values came without a weight, and no weight came within the window."""
    window = f"within {join_s:g} s " if join_s else ""
    detail = (
        f"These values came without a weight, and no weight came from the same scale {window}before or after them. "
        "Nothing was sent. If a weight is known, send all values together: weighbridge outbox correct ID FILE."
    )
    title = "No weight came with this value"
    return NextStep("parked", Result(problem("no-weight", title, detail, blame="caller", again="never")), loud=True)


_NOT_DELIVERED = Result(
    problem(
        "not-delivered",
        "The answer is not a delivery receipt",
        "Expected a receipt with the status confirmed, present, kept, accepted, taken_back or nothing. Check that the "
        "function and the outbox are of the same release.",
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
_EARLIER_FIRST = Result(
    problem(
        "earlier-first",
        "An earlier message of the same scale has not arrived yet",
        "This one is sent after it, so that both can be one weigh-in.",
        blame="weighbridge",
        again="later",
    )
)
