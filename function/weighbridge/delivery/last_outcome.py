"""What the last delivery came to: whether the next reading would meet the same, for `/health`.

Rule: a fault that somebody has to fix counts until a delivery succeeds, or, if it was the sign-in, until there is
another token. A fault that passes by itself counts for `PASSES_S`, and for as long as Garmin asked to wait. A fault of
the caller says nothing about the next reading, and neither does `present` about an upload: nothing was uploaded. It
holds a code, a time, and the fault's own sentence, which has no secret and no measurement.

Weakness: what was fixed outside, such as a consent in Garmin Connect, is only known once a reading has arrived. So a
host must not keep requests away while `/health` is not ready.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ..errors import Again, CallerFault, GarminRefused, RateLimited, SignInNeeded, WeighbridgeError
from ..state_file import number
from .port import Delivered, Outcome

#: How long a fault counts that passes by itself. Who sends again meanwhile finds out.
PASSES_S = 3600
MOST_CHARACTERS = 600  # of a sentence; each is at most 6 bytes of JSON


@dataclass(frozen=True, slots=True)
class LastOutcome:
    """What one delivery came to, and when (Unix seconds)."""

    #: The status of a receipt, or the name of a fault as in the type of its problem.
    code: str = ""
    at: float = 0.0
    #: The sentence of a fault, with its fix; "" after a success.
    why: str = ""
    #: How long it counts; 0 = until something ends it.
    lasts_s: float = 0.0

    def trouble(self, now_s: float) -> str:
        """Why the next reading would probably not arrive either, with the fix; "" if nothing is known."""
        return self.why if not self.lasts_s or 0 <= now_s - self.at < self.lasts_s else ""

    @property
    def again(self) -> Again:
        """Whether its trouble passes by itself."""
        return "later" if self.lasts_s else "after_repair"

    def shown(self) -> dict[str, object]:
        """As it is shown in `/health`."""
        at = datetime.fromtimestamp(int(self.at), UTC)
        return {"last_outcome": {"code": self.code, "at": f"{at:%Y-%m-%dT%H:%M:%SZ}"}} if self.code else {}


def read_last_outcome(value: Any) -> LastOutcome:
    """The value of a file. Whatever is not as expected is as if it were not there."""
    if not isinstance(value, dict):
        return LastOutcome()
    code, why = (text if isinstance(text := value.get(name), str) else "" for name in ("code", "why"))
    at, lasts_s = (number(value.get(name)) for name in ("at", "lasts_s"))
    return LastOutcome(code[:40], at, why[:MOST_CHARACTERS], lasts_s)


def next_outcome(before: LastOutcome, outcomes: Collection[Outcome], now_s: float) -> LastOutcome:
    """What is known after one delivery; of several outcomes, a fault counts more than what arrived."""
    if fault := _fault_of(outcomes):
        return LastOutcome(fault.code, now_s, str(fault)[:MOST_CHARACTERS], _lasts_s(fault))
    statuses = [outcome.status for outcome in outcomes if isinstance(outcome, Delivered)]
    uploaded = [status for status in statuses if status != "present"]
    if not statuses or (not uploaded and before.code == GarminRefused().code):
        return before
    return LastOutcome((uploaded or statuses)[-1], now_s)


SIGN_IN_NEEDED = SignInNeeded().code


def _fault_of(outcomes: Iterable[Outcome]) -> WeighbridgeError | None:
    faults = [each for each in outcomes if isinstance(each, WeighbridgeError) and not isinstance(each, CallerFault)]
    return min(faults, key=lambda fault: fault.again == "later", default=None)


def _lasts_s(fault: WeighbridgeError) -> float:
    if isinstance(fault, RateLimited):
        return float(fault.retry_after_s)
    return PASSES_S if fault.again == "later" else 0.0
