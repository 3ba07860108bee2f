"""What an answer of the function means for a reading: its next state, and how long until the next attempt.

Rule: only a receipt that says so ends a reading. Anything that is not understood is an answer of somebody else, such
as a proxy's page with a status of 200, and the reading is sent again.

Strategy: a table. Pure: no clock, no dice, no network.
"""

from __future__ import annotations

import email.utils
import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple


class Pause(NamedTuple):
    """A pause doubles with each attempt, up to a bound. The two are equal where it should be long from the start."""

    first_s: float
    longest_s: float

    def after(self, attempts: int) -> float:
        return min(self.first_s * 2.0 ** min(attempts, 40), self.longest_s)


SOON = Pause(5, 3_600)
#: Somebody has to mend the set-up: a key, an address, a sign-in.
RARELY = Pause(900, 900)
HOURLY = Pause(3_600, 3_600)


class Verdict(NamedTuple):
    state: str
    #: None: the queue is done with it.
    pause: Pause | None = None
    retry_after_s: float | None = None
    receipt: dict[str, Any] | None = None
    #: An RFC 9457 problem. It may hold measurements, so it goes into the table and not into a log.
    fault: dict[str, Any] | None = None
    loud: bool = False

    @property
    def name(self) -> str:
        """Fit for a log: our own words only."""
        found = re.fullmatch(r"urn:weighbridge:([a-z-]{1,40})", str((self.fault or {}).get("type", "")))
        return found[1] if found else self.state if self.fault is None else "not understood"


#: The receipt's status -> the pause until Garmin is asked again.
RECEIPTS: Mapping[str, Pause | None] = {
    "confirmed": None,
    "present": None,
    "accepted": SOON,  # sent again it ends as `present`, or arrives after all
    "kept": HOURLY,  # signing in is needed, or no Garmin is set up yet
}

#: The HTTP status -> state, pause, and whether a human being has to hear of it. Other ones are as 503.
FAULTS: Mapping[int, tuple[str, Pause | None, bool]] = {
    400: ("parked", None, True),
    409: ("parked", None, True),
    413: ("parked", None, True),
    422: ("parked", None, True),
    301: ("waiting", RARELY, True),
    302: ("waiting", RARELY, True),
    307: ("waiting", RARELY, True),
    308: ("waiting", RARELY, True),
    401: ("waiting", RARELY, True),
    403: ("waiting", RARELY, True),
    404: ("waiting", RARELY, True),
    405: ("waiting", RARELY, True),
    415: ("waiting", RARELY, True),
    500: ("waiting", RARELY, True),
    503: ("waiting", SOON, False),
}


def judge(status: int, headers: Mapping[str, str], body: bytes, *, now: datetime) -> Verdict:
    """An HTTP answer -> the verdict. `headers` are looked up by lower-case name, `now` is aware."""
    document = _object(body)
    if 200 <= status < 300:
        word = str(document.get("status"))
        if word in RECEIPTS:
            return Verdict(word, RECEIPTS[word], receipt=document)
        return Verdict("waiting", RARELY, fault=stranger(status), loud=True)
    state, pause, loud = FAULTS.get(status, FAULTS[503])
    known = re.match(r"urn:weighbridge:", str(document.get("type", "")))
    if state == "parked" and not known:
        # Not our function's judgement of the reading: it must not be given up for it.
        state, pause = "waiting", RARELY
    after = retry_after_s(headers.get("retry-after", ""), now) if pause else None
    return Verdict(state, pause, after, fault=document if known else stranger(status), loud=loud)


def unanswered(reason: str) -> Verdict:
    """No answer came: the function is away, or on its way back."""
    return Verdict("waiting", SOON, fault=problem("unanswered", "The function did not answer", None, reason))


def stranger(status: int) -> dict[str, object]:
    detail = "This is not an answer of the function. Does WEIGHBRIDGE_URL lead to it?"
    return problem("not-the-function", "Something else answered", status, detail)


def problem(slug: str, title: str, status: int | None, detail: str) -> dict[str, object]:
    return {"type": f"urn:weighbridge:{slug}", "title": title, "status": status, "detail": detail}


def retry_after_s(text: str, now: datetime) -> float | None:
    """Retry-After, in seconds or as a date (RFC 9110 section 10.2.3), as seconds from now."""
    if re.fullmatch(r"\d{1,9}", text.strip(), re.ASCII):
        return float(text)
    try:
        return max(0.0, (email.utils.parsedate_to_datetime(text) - now).total_seconds())
    except (ValueError, TypeError):
        return None


def _object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
