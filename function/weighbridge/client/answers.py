"""What an answer of the function means. Pure.

Rule: only a receipt or a problem of ours counts. Anything else, such as a proxy's page with a status of 200, is worded
as a problem in the function's manner, so that a caller has one way to handle trouble.
"""

from __future__ import annotations

import email.utils
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..errors import Again, Blame

_OURS = re.compile(r"urn:weighbridge:([a-z-]{1,40})", re.ASCII)


def problem(
    slug: str, title: str, detail: str, *, blame: Blame, again: Again, status: int | None = None
) -> dict[str, Any]:
    """A problem as the function would put it (RFC 9457)."""
    return {
        "type": f"urn:weighbridge:{slug}",
        "title": title,
        "status": status,
        "detail": detail,
        "blame": blame,
        "again": again,
    }


@dataclass(frozen=True, slots=True)
class Result:
    """A receipt or a problem: what became of one reading, or of a whole call."""

    body: Mapping[str, Any]

    @property
    def ok(self) -> bool:
        return self.kind == ""

    @property
    def kind(self) -> str:
        """The problem's own name, such as "conflict"; "" for a receipt."""
        found = _OURS.fullmatch(str(self.body.get("type", "")))
        return found[1] if found else ""

    @property
    def status(self) -> str:
        """A receipt's status, such as "confirmed"; "" for a problem."""
        return str(self.body.get("status", "")) if self.ok else ""

    @property
    def final(self) -> bool:
        """Whether the reading has been taken care of. A problem is never final."""
        return self.body.get("final") is True

    @property
    def again(self) -> Again:
        """Whether the same reading may be sent again. A receipt that is not final: later."""
        if self.ok:
            return "never" if self.final else "later"
        again = self.body.get("again")
        return again if again in ("never", "later", "after_repair") else "later"

    @property
    def blame(self) -> str:
        """Who can do something about a problem: caller, owner, garmin, weighbridge."""
        return str(self.body.get("blame", ""))

    @property
    def retry_after_s(self) -> float | None:
        """For how long the function, or Garmin behind it, asks to wait."""
        seconds = self.body.get("retry_after_s")
        return float(seconds) if isinstance(seconds, int | float) else None

    @property
    def errors(self) -> Sequence[Mapping[str, Any]]:
        """What is wrong with which value: field, input, message."""
        errors: Sequence[Mapping[str, Any]] = self.body.get("errors", [])
        return errors

    @property
    def codes(self) -> frozenset[str]:
        """The codes of all notes and warnings."""
        notes = (*self.body.get("notes", []), *self.body.get("warnings", []))
        return frozenset(str(note["code"]) for note in notes)

    @property
    def text(self) -> str:
        """What a person should read: the summary, or title and detail."""
        if self.ok:
            return str(self.body.get("summary", ""))
        return ". ".join(str(self.body[part]).rstrip(".") for part in ("title", "detail") if self.body.get(part)) + "."


@dataclass(frozen=True, slots=True)
class Reply(Result):
    """The answer to one call."""

    #: 0 where none came.
    http_status: int = 0
    #: The bytes of a FIT file, and its name.
    content: bytes = b""
    file_name: str = ""
    #: Of several readings, in their order.
    results: Sequence[Result] = field(default_factory=tuple)


def read_reply(status: int, headers: Mapping[str, str], content: bytes, *, address: str, now: datetime) -> Reply:
    """An HTTP response -> the reply. `headers` are looked up by lower-case name, `now` is aware."""
    media_type = headers.get("content-type", "")
    if status == 204:
        return Reply({}, status)
    if status == 200 and media_type.startswith("application/vnd.ant.fit"):
        named = re.search(r'filename="([^"]+)"', headers.get("content-disposition", ""))
        return Reply({}, status, content, named[1] if named else "")
    document = _object(content)
    if _is_ours(status, document):
        results = tuple(map(Result, document.get("results", ())))
        return Reply(_with_pause(document, headers, now), status, results=results)
    return Reply(_with_pause(_stranger(status, address), headers, now), status)


def no_answer(address: str, reason: str, *, reached: bool) -> Reply:
    """No answer came: the function is away, on its way back, or busy. `reason` holds nothing of the request."""
    if reached:
        title, detail = "The function gave no whole answer", f"{reason} Sending the same again is safe."
    else:
        title = f"The function at {address} is not reached"
        detail = f"{reason} Is it running (weighbridge serve), and is this its address (WEIGHBRIDGE_URL)?"
    return Reply(problem("no-answer", title, detail, blame="owner", again="later"))


def _is_ours(status: int, document: Mapping[str, Any]) -> bool:
    if _OURS.fullmatch(str(document.get("type", ""))):
        return status >= 400
    # `GET /health` answers 503 when a reading could not be delivered.
    known = ("final" in document, "results" in document, "readings" in document, "delivery" in document)
    return any(known) and (200 <= status < 300 or ("delivery" in document and status == 503))


def _stranger(status: int, address: str) -> dict[str, Any]:
    detail = f"This (HTTP {status}) is not an answer of the function. Does WEIGHBRIDGE_URL lead to it ({address})?"
    # A proxy says 5xx while the function behind it is away.
    again: Again = "later" if status >= 500 else "after_repair"
    return problem("not-the-function", "Something else answered", detail, blame="owner", again=again, status=status)


def _with_pause(document: dict[str, Any], headers: Mapping[str, str], now: datetime) -> dict[str, Any]:
    pause_s = _retry_after_s(headers.get("retry-after", ""), now)
    return document if pause_s is None else {"retry_after_s": pause_s, **document}


def _retry_after_s(text: str, now: datetime) -> float | None:
    """Retry-After, in seconds or as a date (RFC 9110 section 10.2.3), as seconds from now."""
    if re.fullmatch(r"\d{1,9}", text.strip(), re.ASCII):
        return float(text)
    try:
        return max(0.0, (email.utils.parsedate_to_datetime(text) - now).total_seconds())
    except (ValueError, TypeError):
        return None


def _object(content: bytes) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
