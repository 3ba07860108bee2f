"""The routes: the answer at each address, and what a route sees of a request.

Rule: an unknown parameter is refused, so that `?dryrun=true` does not send.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl

from flask import Request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.routing import Map, Rule

from .. import errors
from ..compose import Composed
from ..delivery.port import WeighInStore, file_name
from ..errors import FieldError, WeighbridgeError
from ..fit.patch import READINGS_PER_FILE
from .body import Payloads, read_body
from .encoding import PRETTY
from .problems import problem

if TYPE_CHECKING:
    from ..receipt import Receipt

LARGEST_BODY_BYTES = 1 << 20
#: A sender that pauses longer than this within its body blocks a thread that others wait for.
LONGEST_PAUSE_S = 10

HTTP_STATUS = {"checked": 200, "present": 200, "confirmed": 201, "accepted": 202, "kept": 202}


class Call:
    """What a route sees of a request. The body is read when it is needed."""

    def __init__(self, request: Request, query: Mapping[str, str], id_: str, *, admitted: bool) -> None:
        self._request = request
        self.query = query
        self.id = id_
        #: False only on an open route, for a caller without a valid key.
        self.admitted = admitted

    def body(self) -> Payloads:
        request = self._request
        # One byte more than the limit: it distinguishes a body that is too large from one that just fits.
        too_large = (request.content_length or 0) > LARGEST_BODY_BYTES
        try:
            body = b"" if too_large else request.stream.read(LARGEST_BODY_BYTES + 1)
        except (HTTPException, TimeoutError) as e:
            if isinstance(e, TimeoutError) or isinstance(e.__context__, TimeoutError):
                raise errors.TooSlow(f"The body stopped for {LONGEST_PAUSE_S} s before its end.") from None
            raise errors.NotJson("The body ended before its announced length.") from None
        if too_large or len(body) > LARGEST_BODY_BYTES:
            raise errors.TooLarge(f"The body is larger than {LARGEST_BODY_BYTES} bytes. Send it in parts.")
        return read_body(body, request.content_type, request.headers)


class Answer(NamedTuple):
    status: int
    #: Bytes are sent as they are; anything else is encoded as JSON.
    body: object
    media_type: str = "application/json"
    headers: Mapping[str, str] = {}


class Route(NamedTuple):
    method: str
    paths: tuple[str, ...]
    answer: Callable[[Application, Call], Answer]
    query: tuple[str, ...] = ()
    open: bool = False

    @property
    def name(self) -> str:
        """The path as documented. The log shows this one, without the identifier."""
        return self.paths[-1].replace("<id>", "{id}")


@dataclass(frozen=True, slots=True)
class Application:
    """What each route does."""

    composed: Composed
    now: Callable[[], datetime]

    def post_readings(self, call: Call) -> Answer:
        dry_run, replace = _flag(call.query, "dry_run"), _flag(call.query, "replace")
        payloads = call.body()
        weighed = self.composed.weighbridge.weigh(
            payloads.items.values(),
            now=self.now(),
            occurred_at=payloads.occurred_at,
            dry_run=dry_run,
            replace=replace,
        )
        results = payloads.results(weighed)
        if payloads.many:
            status = 207 if any(isinstance(result, WeighbridgeError) for result in results) else 200
            return Answer(status, {"results": [_entry(result) for result in results]})
        (result,) = results
        if isinstance(result, WeighbridgeError):
            raise result
        return Answer(HTTP_STATUS[result["status"]], result)

    def post_fit(self, call: Call) -> Answer:
        payloads = call.body()
        for fault in payloads.faults.values():
            raise fault
        if not 1 <= len(payloads.items) <= READINGS_PER_FILE:
            raise errors.ReadingRejected(
                [FieldError("", len(payloads.items), f"1 to {READINGS_PER_FILE} readings make a file.")]
            )
        readings, fit = self.composed.weighbridge.fit(
            payloads.items.values(), now=self.now(), occurred_at=payloads.occurred_at
        )
        disposition = f'attachment; filename="{file_name(readings, fit)}"'
        return Answer(200, fit.content, "application/vnd.ant.fit", {"Content-Disposition": disposition})

    def get_readings(self, call: Call) -> Answer:
        # Tomorrow in UTC may be today for the account: Garmin's days are local.
        last = _day(call.query, "to", self.now().date() + timedelta(days=1))
        first = _day(call.query, "from", last - timedelta(days=30))
        if first > last:
            raise errors.QueryInvalid([FieldError("from", first.isoformat(), "A day not after `to` was expected.")])
        weigh_ins = self._garmin(call).list_weigh_ins(first, last)
        entries = [{"id": w.id, "calendar_date": w.calendar_date.isoformat(), **w.shown()} for w in weigh_ins]
        return Answer(200, {"from": first.isoformat(), "to": last.isoformat(), "readings": entries})

    def delete_reading(self, call: Call) -> Answer:
        self._garmin(call).delete_weigh_in(call.id)
        return Answer(204, b"")

    def get_health(self, call: Call) -> Answer:
        delivery = dict(self.composed.weighbridge.delivery.health())
        # Names of people are only for callers with a key.
        if not call.admitted and delivery.pop("people", None) and "detail" in delivery:
            delivery["detail"] = "A person's sign-in needs attention. Send a key to see whose."
        health = {
            "status": "ok" if delivery["ready"] else "not ready",
            "template": {
                "name": self.composed.settings.template.name,
                "fields": sorted(self.composed.weighbridge.template.fields),
            },
            "delivery": delivery,
        }
        return Answer(200 if delivery["ready"] else 503, health)

    def get_openapi(self, _call: Call) -> Answer:
        # Imported when needed: pydantic's schemas take longer than a whole weigh-in.
        from .openapi import document

        return Answer(200, document())

    def _garmin(self, call: Call) -> WeighInStore:
        store = self.composed.store(call.query.get("person"))
        if store is None:
            raise errors.NotConnected(
                "This function keeps files in a folder and is not connected to Garmin. Set WEIGHBRIDGE_DELIVERY "
                "to garmin and sign in with `weighbridge login`."
            )
        return store


ROUTES = (
    Route("POST", ("/", "/readings"), Application.post_readings, ("dry_run", "replace")),
    Route("POST", ("/fit",), Application.post_fit),
    Route("GET", ("/readings",), Application.get_readings, ("from", "to", "person")),
    Route("DELETE", ("/readings/<id>",), Application.delete_reading, ("person",)),
    Route("GET", ("/health",), Application.get_health, open=True),
    Route("GET", ("/openapi.json",), Application.get_openapi, open=True),
)

_MAP = Map(
    [Rule(path, endpoint=route, methods=[route.method]) for route in ROUTES for path in route.paths],
    strict_slashes=False,
    # Otherwise werkzeug redirects from //readings, and nobody follows a redirect with a reading.
    merge_slashes=False,
).bind("")


def find_route(method: str, path: str) -> tuple[Route, str]:
    """The route, and the id in its path. Raises `NoSuchAddress` or `MethodNotAllowed`."""
    try:
        route, values = _MAP.match(path.rstrip("/") or "/", method)
    except MethodNotAllowed as e:
        allowed = [route.method for route in ROUTES if route.method in (e.valid_methods or ())]
        allowed = list(dict.fromkeys(allowed))
        # A browser may GET the page at the address itself (`Shell`); a program may not, and is not sent there.
        page = ["GET"] if path == "/" and method != "GET" else []
        raise errors.MethodNotAllowed(f"Use {' or '.join(allowed)} here.", [*allowed, *page]) from None
    except NotFound:
        raise errors.NoSuchAddress("There is nothing at this address; GET /openapi.json lists the addresses.") from None
    return route, values.get("id", "")


def read_query(text: str, known: Sequence[str]) -> dict[str, str]:
    """The query of an address. Raises `QueryInvalid` for an unknown parameter: `?dryrun=true` must not send."""
    if not text:
        return {}
    known = (*known, PRETTY)
    pairs = parse_qsl(text, keep_blank_values=True)
    query = dict(pairs)
    wrong = [name for name in query if name not in known]
    if wrong or len(query) != len(pairs):
        expected = f"Known here, each once: {', '.join(known)}."
        raise errors.QueryInvalid([FieldError(name[:80], None, expected) for name in wrong or query])
    _flag(query, PRETTY)
    return query


def _flag(query: Mapping[str, str], name: str) -> bool:
    text = query.get(name, "false")
    if text not in ("true", "false"):
        raise errors.QueryInvalid([FieldError(name, text[:80], "true or false was expected.")])
    return text == "true"


def _day(query: Mapping[str, str], name: str, default: date) -> date:
    text = query.get(name)
    if text is None:
        return default
    try:
        if not re.fullmatch(r"20\d\d-\d\d-\d\d", text, re.ASCII):
            raise ValueError
        return date.fromisoformat(text)
    except ValueError:
        raise errors.QueryInvalid([FieldError(name, text[:80], "A day such as 2026-11-23 was expected.")]) from None


def _entry(result: Receipt | WeighbridgeError) -> Mapping[str, object]:
    return problem(result) if isinstance(result, WeighbridgeError) else result
