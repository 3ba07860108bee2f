"""What a response from the function means. Pure.

Rule: only the response that a call expects counts (a receipt, a file, a problem of the function), and only with a
matching status. Anything else, such as a proxy's page with status 200, becomes a problem in the function's format, so
that a caller handles every failure the same way. Nothing here raises, whatever the response.
"""

from __future__ import annotations

import email.utils
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import orjson

from ..errors import Again, Blame

_OURS = re.compile(r"urn:weighbridge:([a-z-]{1,40})", re.ASCII)

#: The response to a call that succeeds.
Expected = Literal["receipts", "file", "entries", "health", "connection", "nothing"]


def problem(
    slug: str, title: str, detail: str, *, blame: Blame, again: Again, status: int | None = None
) -> dict[str, Any]:
    """A problem in the function's format (RFC 9457)."""
    return {
        "type": f"urn:weighbridge:{slug}",
        "title": title,
        "status": status,
        "detail": detail,
        "blame": blame,
        "again": again,
    }


@dataclass(frozen=True, slots=True, repr=False)
class Result:
    """A receipt or a problem: the result of one reading, or of a whole call."""

    body: Mapping[str, Any]

    def __repr__(self) -> str:
        # The body holds measurements, and a repr ends up in logs.
        return f"<{type(self).__name__} {self.kind or self.status or 'ok'}>"

    @property
    def ok(self) -> bool:
        return self.kind == ""

    @property
    def results(self) -> Sequence[Result]:
        """One for each document that was sent in a list, or for each weigh-in of a document with several."""
        return tuple(map(Result, _objects(self.body.get("results")))) if self.ok else ()

    def each(self) -> Sequence[Result]:
        """The results of the weigh-ins: this one alone, or all within it."""
        if not self.ok or "results" not in self.body:
            return (self,)
        return tuple(part for result in self.results for part in result.each())

    @property
    def kind(self) -> str:
        """The name of the problem, such as "conflict"; "" for a receipt."""
        return _kind(self.body)

    @property
    def status(self) -> str:
        """A receipt's status, such as "confirmed"; "" for a problem."""
        return self._text_of("status") if self.ok else ""

    @property
    def final(self) -> bool:
        """Whether nothing is left to do for the reading. A problem is never final."""
        return self.ok and self.body.get("final") is True

    @property
    def again(self) -> Again:
        """Whether the same reading may be sent again. A receipt that is not final: later."""
        if self.ok:
            return "never" if self.final else "later"
        again = self.body.get("again")
        return again if again in ("never", "later", "after_repair") else "later"

    @property
    def blame(self) -> str:
        """Who can fix a problem: caller, owner, garmin, weighbridge."""
        return self._text_of("blame")

    @property
    def retry_after_s(self) -> float | None:
        """How long the function, or Garmin behind it, asks to wait."""
        seconds = self.body.get("retry_after_s")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            return None
        return float(seconds) if 0 <= seconds < 1e9 else None

    @property
    def errors(self) -> Sequence[Mapping[str, Any]]:
        """What is wrong with which value: field, input, code, params, message."""
        return _objects(self.body.get("errors"))

    @property
    def added(self) -> tuple[str, ...]:
        """A conflict: the values that this reading would add, by their names in the API."""
        return _names(self.body.get("added"))

    @property
    def changed(self) -> tuple[str, ...]:
        """A conflict: the values that this reading would change, by their names in the API."""
        return _names(self.body.get("changed"))

    @property
    def candidates(self) -> tuple[str, ...]:
        """It is not clear whose the reading is: the names of those it may belong to."""
        return _names(self.body.get("candidates"))

    @property
    def codes(self) -> frozenset[str]:
        """The codes of all notes and warnings."""
        notes = (*_objects(self.body.get("notes")), *_objects(self.body.get("warnings")))
        return frozenset(note["code"] for note in notes if isinstance(note.get("code"), str))

    @property
    def text(self) -> str:
        """What a person should read: the summary, or title and detail."""
        if self.ok:
            return self._text_of("summary")
        parts = (self._text_of("title"), self._text_of("detail"))
        return " ".join(part if part.endswith((".", "?")) else f"{part}." for part in parts if part)

    def _text_of(self, name: str) -> str:
        text = self.body.get(name)
        return text if isinstance(text, str) else ""


@dataclass(frozen=True, slots=True, repr=False)
class Reply(Result):
    """The response to one call."""

    #: 0 if there was no response.
    http_status: int = 0
    #: The bytes of a FIT file, and its name.
    content: bytes = b""
    file_name: str = ""


def read_reply(
    status: int, headers: Mapping[str, str], content: bytes, *, expected: Expected, address: str, now: datetime
) -> Reply:
    """An HTTP response -> the reply. `headers` are looked up by lower-case name, `now` is aware."""
    if expected == "file" and status == 200 and headers.get("content-type", "").startswith("application/vnd.ant.fit"):
        named = re.search(r'filename="([^"]+)"', headers.get("content-disposition", ""))
        return Reply({}, status, content, named[1] if named else "")
    if expected == "nothing" and status == 204:
        return Reply({}, status)
    document = _object(content)
    if not (_is_answer(expected, status, document) or (400 <= status < 600 and _kind(document))):
        document = _not_the_function(status, address)
    return Reply(_with_pause(document, headers, now), status)


def no_answer(address: str, reason: str, *, reached: bool) -> Reply:
    """There was no response: the function is down, starting, or busy. `reason` must hold nothing of the request."""
    if reached:
        title, detail = "The function gave no complete response", f"{reason} It is safe to send the same again."
    else:
        title = f"The function at {address} cannot be reached"
        detail = f"{reason} Is it running (weighbridge serve), and is this its address (WEIGHBRIDGE_URL)?"
    return Reply(problem("no-answer", title, detail, blame="owner", again="later"))


def _is_answer(expected: Expected, status: int, document: Mapping[str, Any]) -> bool:
    """Whether this is the function's response to a call that succeeds."""
    match expected:
        case "receipts" if 200 <= status < 300:
            return _is_result(document, nested=2)
        case "entries":
            return status == 200 and isinstance(document.get("readings"), list)
        case "health":
            # 503 when a reading could not be delivered.
            return status in (200, 503) and isinstance(document.get("delivery"), dict)
        case "connection":
            # 202 when Garmin asks for a code.
            signed_in, state = document.get("signed_in"), document.get("state")
            return (status == 200 and isinstance(signed_in, bool)) or (status == 202 and isinstance(state, str))
    return False


def _is_result(document: object, nested: int) -> bool:
    """Whether this is a receipt, or results that may be nested `nested` times: in a list, and in one document of it."""
    if not isinstance(document, dict):
        return False
    if nested and isinstance(results := document.get("results"), list):
        # Only a list that was sent can be empty: a document has at least one result.
        return (nested > 1 or results != []) and all(
            (isinstance(entry, dict) and _kind(entry)) or _is_result(entry, nested - 1) for entry in results
        )
    final, status = document.get("final"), document.get("status")
    return "results" not in document and isinstance(final, bool) and isinstance(status, str)


def _kind(document: Mapping[str, Any]) -> str:
    type_ = document.get("type")
    found = _OURS.fullmatch(type_) if isinstance(type_, str) else None
    return found[1] if found else ""


def _not_the_function(status: int, address: str) -> dict[str, Any]:
    detail = f"This response (HTTP {status}) is not the function's. Is WEIGHBRIDGE_URL its address ({address})?"
    # A proxy sends a 5xx while the function behind it is down.
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
    except (ValueError, TypeError, IndexError, OverflowError):  # a broken date can raise each of them
        return None


def _object(content: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(content)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _names(value: object) -> tuple[str, ...]:
    return tuple(entry for entry in value if isinstance(entry, str)) if isinstance(value, list) else ()


def _objects(value: object) -> Sequence[Mapping[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
