"""What an answer of the function means.

Rule: `final`, `again` and `blame` are read from the answer, so there is no table of statuses here, and no text is
parsed. Whatever the answer, nothing here raises. Nothing of an answer is in a repr, because it holds measurements.

Why not `weighbridge.client`: for a function at an address, Home Assistant has no package `weighbridge`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Again = Literal["never", "later", "after_repair"]
_OURS = "urn:weighbridge:"


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """A receipt, a problem, or another document of the function."""

    #: 0 if no answer came.
    status: int
    body: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"<Answer {self.status} {self.kind}>"

    @property
    def kind(self) -> str:
        """The name of the problem, such as "conflict"; "" for any other document."""
        type_ = self.body.get("type")
        return type_.removeprefix(_OURS) if isinstance(type_, str) and type_.startswith(_OURS) else ""

    @property
    def ok(self) -> bool:
        return not self.kind

    @property
    def final(self) -> bool:
        """Whether nothing is left to do for the reading."""
        return self.ok and self.body.get("final") is True

    @property
    def again(self) -> Again:
        """Whether the same reading may be sent again. A receipt that is not final: later."""
        if self.ok:
            return "never" if self.final else "later"
        again = self.body.get("again")
        return again if again in ("never", "later", "after_repair") else "later"

    @property
    def outcome(self) -> str:
        """A receipt's status, such as "confirmed"; "" for a problem."""
        return self._text("status") if self.ok else ""

    @property
    def retry_after_s(self) -> float | None:
        seconds = self.body.get("retry_after_s")
        return float(seconds) if isinstance(seconds, int | float) and not isinstance(seconds, bool) else None

    @property
    def candidates(self) -> tuple[str, ...]:
        """It is not clear whose the reading is: the names of those it may belong to."""
        names = self.body.get("candidates")
        return tuple(name for name in names if isinstance(name, str)) if isinstance(names, list) else ()

    @property
    def errors(self) -> Sequence[Mapping[str, Any]]:
        """What is wrong with which value: field, input, code, params, message."""
        errors = self.body.get("errors")
        return [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []

    @property
    def text(self) -> str:
        """What a person should read: the summary of a receipt, or title and detail of a problem."""
        if self.ok:
            return self._text("summary")
        parts = (self._text("title"), self._text("detail"))
        return " ".join(part if part.endswith((".", "?")) else f"{part}." for part in parts if part)

    @property
    def reason(self) -> str:
        """Why it was rejected, in the function's words, with the values that it received."""
        words = [
            f"{error.get('message')}"
            if error.get("input") is None
            else f"{error.get('field')}: {error.get('input')!r}. {error.get('message')}"
            for error in self.errors
        ]
        return " ".join(words) or self.text

    def _text(self, name: str) -> str:
        text = self.body.get(name)
        return text if isinstance(text, str) else ""


def read_answer(status: int, content: bytes) -> Answer:
    """An answer that is not the function's becomes a problem in its format, so it is handled like any other."""
    if status == 204:
        return Answer(status, {})
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        body = None
    if isinstance(body, dict):
        answer = Answer(status, body)
        # /health is 503 with a document of its own when a reading could not be delivered.
        if not answer.ok or status < 300 or "delivery" in body:
            return answer
    return not_the_function(status)


def not_the_function(status: int) -> Answer:
    """Something else is at the address, or before the function."""
    detail = f"This response (HTTP {status}) is not the function's. Is this its address?"
    # A proxy sends a 5xx while the function behind it is down.
    again: Again = "later" if status >= 500 else "after_repair"
    return _problem("not-the-function", "Something else answered", detail, again, status)


def no_answer(reason: str) -> Answer:
    """The function is down, starting, or busy. `reason` must hold nothing of the request."""
    return _problem("no-answer", "Weighbridge cannot be reached", reason, "later", 0)


def _problem(slug: str, title: str, detail: str, again: Again, status: int) -> Answer:
    body = {"type": _OURS + slug, "title": title, "detail": detail, "blame": "owner", "again": again}
    return Answer(status, body)
