"""The known failures of Garmin Connect and of the network before it: a table, and when each happens.

With a fault, the request is either not carried out, or it is carried out and the answer is spoiled (`carried_out`).
That is the difference between "send it again" and "look first".

Fact: when a used connection is dropped before the first byte of an answer, libcurl sends the request again on a new
one, even a POST (curl's `Curl_retry_request`). A client that should notice "drop-before" or "drop-after" has to upload
on a fresh connection (CURLOPT_FRESH_CONNECT). "drop-within" is always noticed.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace

from .http_types import Response, html_answer, json_answer

CLOUDFLARE_PAGE = (
    "<!DOCTYPE html><html><head><title>Just a moment...</title></head>"
    "<body><div id='cf-browser-verification'>Enable JavaScript and cookies to continue</div></body></html>"
)
FIREWALL_PAGE = "<html><head><title>Access denied</title></head><body>Your network blocks this page.</body></html>"
TOO_MANY_PAGE = "<html><head><title>Too many requests</title></head><body>Try again later.</body></html>"
#: As users report it (petergardfjall/garminexport issue 113).
CAPTCHA = (
    b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
    b"<ErrorResponse><error>com.garmin.sso.portal.service.ww.exception.InvalidReCaptchaException</error>"
    b"<errorText>Recaptcha token is null/empty</errorText></ErrorResponse>"
)
CONSENT_PAGE = (
    "<html><head><title>Garmin Connect</title></head>"
    "<body>We have changed our terms of use.<button>Accept</button></body></html>"
)


def import_result(
    *,
    upload_id: int | str = 212157427938,
    file_size: int = 0,
    file_name: str = "weight.fit",
    successes: tuple[object, ...] = (),
    failures: tuple[object, ...] = (),
) -> dict[str, object]:
    """The body of every answer of the upload-service. A refused upload has "" for an uploadId."""
    return {
        "detailedImportResult": {
            "uploadId": upload_id,
            "uploadUuid": {"uuid": "6e56051d-0000-4000-8000-000000000000"} if upload_id else None,
            "owner": 2591602,
            "fileSize": file_size,
            "processingTime": 36,
            "creationDate": "2023-09-29 01:58:19.113 GMT",
            "ipAddress": None,
            "fileName": file_name,
            "report": None,
            "successes": list(successes),
            "failures": list(failures),
        }
    }


def message(code: int, content: str) -> dict[str, object]:
    """One entry of `successes` or `failures`; for a weight file neither has an internalId."""
    return {"internalId": None, "externalId": None, "messages": [{"code": code, "content": content}]}


ACCEPTED = import_result()
WITH_WARNINGS = import_result(failures=(message(100, "Some data was not imported."),))
DUPLICATE = import_result(upload_id="", failures=(message(202, "Duplicate Activity."),))
TIMED_OUT = html_answer(504, "<html><body>504 Gateway Time-out</body></html>")
REFUSED = import_result(upload_id="", failures=(message(1, "The file could not be read."),))


@dataclass(frozen=True)
class Fault:
    carried_out: bool  # whether the request is still carried out (an upload stored, a token rotated)
    answer: Response | None  # None: the route's own answer
    delay_s: float = 0.0


FAULTS: Mapping[str, Fault] = {
    # Successes in other shapes
    "200": Fault(True, json_answer(200, ACCEPTED)),
    "201": Fault(True, json_answer(201, ACCEPTED)),
    "202": Fault(True, json_answer(202, ACCEPTED)),
    "204": Fault(True, Response(204)),
    "200-empty": Fault(True, Response(200)),
    "400-upload-id": Fault(True, json_answer(400, WITH_WARNINGS)),
    # Refusals
    "200-duplicate": Fault(False, json_answer(200, DUPLICATE)),
    "400": Fault(False, json_answer(400, REFUSED)),
    "400-captcha": Fault(False, Response(400, CAPTCHA, "application/xml")),
    "401": Fault(False, json_answer(401, {"message": "HTTP 401 Unauthorized"})),
    "403": Fault(False, json_answer(403, {"message": "HTTP 403 Forbidden", "error": "ForbiddenException"})),
    "403-cloudflare": Fault(False, html_answer(403, CLOUDFLARE_PAGE, ("server", "cloudflare"))),
    "409": Fault(False, json_answer(409, DUPLICATE)),
    "412": Fault(False, json_answer(412, {"message": "Upload consent is missing."})),
    "429": Fault(False, json_answer(429, {"message": "Too Many Requests"})),
    "429-retry-after": Fault(False, json_answer(429, {"message": "Too Many Requests"}, ("retry-after", "14"))),
    "429-html": Fault(False, html_answer(429, TOO_MANY_PAGE)),
    # Breakdowns
    "500": Fault(False, json_answer(500, {"message": "Internal Server Error"})),
    "502": Fault(False, html_answer(502, "<html><body>502 Bad Gateway</body></html>")),
    "503": Fault(False, html_answer(503, "<html><body>503 Service Unavailable</body></html>")),
    "504": Fault(False, TIMED_OUT),
    "504-carried-out": Fault(True, TIMED_OUT),
    "truncated-json": Fault(True, Response(200, b'{"detailedImportResult":{"uploadId":2121', "application/json")),
    "not-json": Fault(False, Response(200, b"\xff\x00 nothing", "application/json")),
    "firewall-html": Fault(False, html_answer(200, FIREWALL_PAGE)),
    "consent-html": Fault(False, html_answer(200, CONSENT_PAGE)),
    "drop-before": Fault(False, Response(0, drop="before")),
    "drop-after": Fault(True, Response(0, drop="before")),
    "drop-within": Fault(True, replace(json_answer(200, ACCEPTED), drop="within")),
    "slow": Fault(True, None, delay_s=3.0),
}


@dataclass
class Planned:
    route: str
    name: str
    fault: Fault
    probability: float
    times_left: int | None  # None: always


class Faults:
    """The active faults. For each request, the first that matches and whose probability hits happens."""

    def __init__(self, route_names: tuple[str, ...], seed: int = 0) -> None:
        self._route_names = route_names
        self._seed = seed
        self.clear()

    def clear(self) -> None:
        self.planned: list[Planned] = []
        self._dice = random.Random(self._seed)

    def add(
        self,
        route: str,
        name: str,
        *,
        times: int | None = 1,
        probability: float = 1.0,
        carried_out: bool | None = None,
        delay_s: float | None = None,
        retry_after: int | str | None = None,
    ) -> None:
        """Activate the fault `name` (a row of FAULTS) for a route, or for a group such as "weight".

        It happens `times` times (None: always), each time with `probability`. `carried_out` and `delay_s`
        replace the row's own; `retry_after` adds that header, in seconds or as an HTTP date.

        Raises ValueError with the known names.
        """
        groups = {known.split("/")[0] for known in self._route_names}
        if route not in groups and route not in self._route_names:
            known = ", ".join(sorted({*groups, *self._route_names}))
            raise ValueError(f"No route is called {route!r}. Known: {known}.")
        if name not in FAULTS:
            raise ValueError(f"No fault is called {name!r}. Known: {', '.join(FAULTS)}.")
        fault = FAULTS[name]
        if carried_out is not None:
            fault = replace(fault, carried_out=carried_out)
        if delay_s is not None:
            fault = replace(fault, delay_s=delay_s)
        if retry_after is not None and fault.answer is not None:
            headers = (*fault.answer.headers, ("retry-after", str(retry_after)))
            fault = replace(fault, answer=replace(fault.answer, headers=headers))
        self.planned.append(Planned(route, name, fault, probability, times))

    def add_json(self, body: bytes) -> None:
        """`add` for a JSON object: {"route": …, "fault": …, "times": …, …}. Raises ValueError."""
        try:
            options = dict(json.loads(body))
            self.add(options.pop("route"), options.pop("fault"), **options)
        except (KeyError, TypeError) as e:
            raise ValueError(f"Expected route, fault and the options of Faults.add: {e}") from e

    def next_for(self, route: str) -> Planned | None:
        for planned in self.planned:
            if planned.route not in (route, route.split("/")[0]):
                continue
            if planned.probability < 1.0 and self._dice.random() >= planned.probability:
                continue
            if planned.times_left is not None:
                planned.times_left -= 1
                if planned.times_left <= 0:
                    self.planned.remove(planned)
            return planned
        return None
