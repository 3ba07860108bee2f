"""The function, over HTTP: a question in, an answer out.

Rule: every end of a call is an `Answer`. Where the function itself gave none, the answer is a problem that we word in
the function's manner, so that the page has one way to show trouble.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx

#: A weigh-in is looked for in Garmin for up to half a minute by default; whoever set more has set it on purpose.
TIMEOUT = httpx.Timeout(180, connect=5)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    #: The JSON of the answer; empty where it is a file.
    body: Mapping[str, Any]
    content: bytes = b""
    file_name: str = ""

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def kind(self) -> str:
        """The problem's own name, such as `conflict`."""
        return str(self.body.get("type", "")).rpartition(":")[2]

    @property
    def words(self) -> str:
        """What the function says of a problem, in one paragraph."""
        return " ".join(str(self.body[part]) for part in ("title", "detail") if part in self.body).replace("  ", " ")


@dataclass(frozen=True, slots=True)
class Function:
    address: str
    key: str = ""
    #: Whose account is meant, where the function serves several people.
    person: str = ""

    def health(self) -> Answer:
        return self._ask("GET", "/health")

    def check(self, reading: str) -> Answer:
        """What would be sent of this JSON."""
        return self._ask("POST", "/readings?dry_run=true", reading)

    def send(self, reading: str, *, replace: bool) -> Answer:
        return self._ask("POST", f"/readings?replace={str(replace).lower()}", reading)

    def fit(self, reading: str) -> Answer:
        return self._ask("POST", "/fit", reading)

    def readings(self, first: str, last: str) -> Answer:
        return self._ask("GET", f"/readings?{urlencode({'from': first, 'to': last, **self._whose()})}")

    def take_back(self, reading_id: str) -> Answer:
        return self._ask("DELETE", f"/readings/{reading_id}?{urlencode(self._whose())}")

    def _whose(self) -> dict[str, str]:
        return {"person": self.person} if self.person else {}

    def _ask(
        self, method: str, path: str, body: str | bytes | None = None, media_type: str = "application/json"
    ) -> Answer:
        headers = {"Content-Type": media_type} | ({"Authorization": f"Bearer {self.key}"} if self.key else {})
        try:
            response = httpx.request(method, self.address + path, content=body, headers=headers, timeout=TIMEOUT)
        except httpx.ConnectError:
            return _no_answer(self.address, "is not reached", "Is it running (make run), and is this its address?")
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError):
            return _no_answer(self.address, "gave no whole answer", "Sending the same again is safe.")
        if not response.content:
            return Answer(response.status_code, {})
        if "json" not in response.headers.get("content-type", ""):
            named = re.search(r'filename="([^"]+)"', response.headers.get("content-disposition", ""))
            return Answer(response.status_code, {}, response.content, named[1] if named else "")
        try:
            answer = response.json()
        except json.JSONDecodeError:
            return _no_answer(self.address, "gave an answer that is not its own", "Is this its address?")
        return Answer(response.status_code, answer if isinstance(answer, dict) else {})


def _no_answer(address: str, what: str, mend: str) -> Answer:
    return Answer(0, {"type": "urn:form:no-answer", "title": f"The function at {address} {what}.", "detail": mend})
