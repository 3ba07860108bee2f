"""The HTTP shell: routes, keys, and the one table that turns a fault into a status. Also the composition root.

    functions-framework --source function/main.py --target handle

Rule: nothing of ours happens at import; the first request reads the environment and the template. Every answer but a
FIT file is JSON, every fault is RFC 9457 problem+json, and a request leaves one line in the log that holds no
measurement and no secret. Nothing of Flask goes further than this file.

Facts: functions-framework sends every path and method to its one target, has no body limit and answers an
exception with an HTML page, so routing, the limit and the last net are here. It loads this folder as a package
called `main`, which is why all imports inside `function/` are relative.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl

# logfire comes along with garth-ng and plugs itself into every pydantic model: 140 ms of each cold start, and a
# telemetry that nobody asked for. pydantic looks at this when the first model is made, so it stands before ours.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

from flask import Request, Response
from werkzeug.exceptions import HTTPException

from . import errors
from .access import admit
from .body import Payloads, read_body
from .delivery.chain import Chain
from .delivery.folder import Folder
from .delivery.household import Account, Household
from .delivery.links import make_link
from .delivery.port import WeighInStore, file_name
from .errors import FieldError, WeighbridgeError
from .fit.template import read_template
from .people import Person, read_people
from .pipeline import READINGS_PER_FILE, Weighbridge, rehearse
from .problems import headers_of, kind_of, problem
from .settings import Settings, read_settings

if TYPE_CHECKING:
    from .delivery.receipt import Receipt

LARGEST_BODY_BYTES = 1 << 20
#: A sender that pauses longer than this within its body holds a thread that others wait for.
LONGEST_PAUSE_S = 10

HTTP_STATUS = {"checked": 200, "present": 200, "confirmed": 201, "accepted": 202, "kept": 202}


class Call:
    """What a route sees of a request, read when it is asked for."""

    def __init__(self, request: Request, query: Mapping[str, str], id_: str, *, admitted: bool) -> None:
        self._request = request
        self.query = query
        self.id = id_
        #: Always, but on a route that is open to everybody.
        self.admitted = admitted

    def body(self) -> Payloads:
        request = self._request
        # One byte more than is taken tells a body that is too large from one that just fits, chunked or not.
        too_large = (request.content_length or 0) > LARGEST_BODY_BYTES
        try:
            body = b"" if too_large else request.stream.read(LARGEST_BODY_BYTES + 1)
        except (HTTPException, TimeoutError) as e:
            if isinstance(e, TimeoutError) or isinstance(e.__context__, TimeoutError):
                raise errors.TooSlow(f"Nothing more of the body came for {LONGEST_PAUSE_S} s.") from None
            raise errors.NotJson("The body ended before its announced length.") from None
        if too_large or len(body) > LARGEST_BODY_BYTES:
            raise errors.TooLarge(f"The body is larger than {LARGEST_BODY_BYTES} bytes. Send it in parts.")
        return read_body(body, request.content_type, request.headers)


class Answer(NamedTuple):
    status: int
    body: bytes
    media_type: str = "application/json"
    headers: Mapping[str, str] = {}


class Route(NamedTuple):
    method: str
    path: re.Pattern[str]
    #: The path as documented, which is also what the log says: an identifier is nobody's business there.
    name: str
    answer: Callable[[Application, Call], Answer]
    query: tuple[str, ...] = ()
    open: bool = False


@dataclass(frozen=True, slots=True)
class Application:
    """Everything that lives longer than a request."""

    settings: Settings
    weighbridge: Weighbridge
    #: A person's name, or none where there is but one -> what can be read, if anything.
    store: Callable[[str | None], WeighInStore | None]
    now: Callable[[], datetime]

    def post_readings(self, call: Call) -> Answer:
        dry_run, replace = _flag(call.query, "dry_run"), _flag(call.query, "replace")
        payloads = call.body()
        results = self.weighbridge.weigh(
            payloads.items, now=payloads.occurred_at or self.now(), dry_run=dry_run, replace=replace
        )
        if payloads.many:
            status = 207 if any(isinstance(result, WeighbridgeError) for result in results) else 200
            return Answer(status, _json({"results": [_entry(result) for result in results]}))
        (result,) = results
        if isinstance(result, WeighbridgeError):
            raise result
        return Answer(HTTP_STATUS[result["status"]], _json(result))

    def post_fit(self, call: Call) -> Answer:
        payloads = call.body()
        if not 1 <= len(payloads.items) <= READINGS_PER_FILE:
            raise errors.ReadingRejected(
                [FieldError("", len(payloads.items), f"1 to {READINGS_PER_FILE} readings make a file.")]
            )
        readings, fit = self.weighbridge.fit(payloads.items, now=payloads.occurred_at or self.now())
        disposition = f'attachment; filename="{file_name(readings, fit)}"'
        return Answer(200, fit.content, "application/vnd.ant.fit", {"Content-Disposition": disposition})

    def get_readings(self, call: Call) -> Answer:
        # Tomorrow in UTC is today somewhere; Garmin's days are the account's own.
        last = _day(call.query, "to", self.now().date() + timedelta(days=1))
        first = _day(call.query, "from", last - timedelta(days=30))
        if first > last:
            raise errors.QueryInvalid([FieldError("from", first.isoformat(), "a day not after `to` was expected.")])
        weigh_ins = self._garmin(call).list_weigh_ins(first, last)
        entries = [{"id": w.id, "calendar_date": w.calendar_date.isoformat(), **w.values} for w in weigh_ins]
        return Answer(200, _json({"from": first.isoformat(), "to": last.isoformat(), "readings": entries}))

    def delete_reading(self, call: Call) -> Answer:
        self._garmin(call).delete_weigh_in(call.id)
        return Answer(204, b"")

    def get_health(self, call: Call) -> Answer:
        delivery = dict(self.weighbridge.delivery.health())
        # Who lives here is for those who may call.
        if not call.admitted and delivery.pop("people", None) and "detail" in delivery:
            delivery["detail"] = "A person's sign-in needs attention. Asked with a key, this says whose."
        health = {
            "status": "ok" if delivery["ready"] else "not ready",
            "template": {
                "name": self.settings.template.name,
                "fields": sorted(self.weighbridge.template.fields),
            },
            "delivery": delivery,
        }
        return Answer(200 if delivery["ready"] else 503, _json(health))

    def get_openapi(self, _call: Call) -> Answer:
        # Imported when first asked for: pydantic's schemas cost more time than a whole weigh-in.
        from .openapi import document

        return Answer(200, _json(document()))

    def _garmin(self, call: Call) -> WeighInStore:
        store = self.store(call.query.get("person"))
        if store is None:
            raise errors.NotConnected(
                "This function keeps files in a folder and is not connected to Garmin. Set WEIGHBRIDGE_DELIVERY "
                "to garth and sign in with `make login`."
            )
        return store


ROUTES = (
    Route("POST", re.compile(r"/(readings)?"), "/readings", Application.post_readings, ("dry_run", "replace")),
    Route("POST", re.compile(r"/fit"), "/fit", Application.post_fit),
    Route("GET", re.compile(r"/readings"), "/readings", Application.get_readings, ("from", "to", "person")),
    Route("DELETE", re.compile(r"/readings/(?P<id>[^/]+)"), "/readings/{id}", Application.delete_reading, ("person",)),
    Route("GET", re.compile(r"/health"), "/health", Application.get_health, open=True),
    Route("GET", re.compile(r"/openapi\.json"), "/openapi.json", Application.get_openapi, open=True),
)


def compose(settings: Settings, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Application:
    """Settings -> the parts put together. Raises `TemplateUnusable`."""
    try:
        content = settings.template.read_bytes()
    except OSError as e:
        raise errors.TemplateUnusable(f"The template {settings.template} cannot be read: {e.strerror}.") from e
    template = read_template(content)
    rehearse(template)
    if settings.people is None:
        account = _account(settings)
        weighbridge = Weighbridge(template, account.delivery, settings.timezone)
        return Application(settings, weighbridge, lambda name: _only(account, name), now)
    try:
        people = read_people(settings.people.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as e:
        reason = e.strerror if isinstance(e, OSError) else "it is no UTF-8"
        raise errors.SettingsInvalid(f"The file of WEIGHBRIDGE_PEOPLE cannot be read: {reason}.") from e
    household = Household({person: _account(settings, person) for person in people})
    weighbridge = Weighbridge(template, household, settings.timezone, household.settle)
    return Application(settings, weighbridge, lambda name: household.account(name).store, now)


def _account(settings: Settings, person: Person | None = None) -> Account:
    """The chain of deliveries, to the account of a person if there are several."""
    links = [make_link(name, settings, person) for name in settings.delivery]
    store = next((link for link in links if not isinstance(link, Folder)), None)
    return Account(links[0] if len(links) == 1 else Chain(links), store)


def _only(account: Account, name: str | None) -> WeighInStore | None:
    if name is not None:
        raise errors.NotFound("No people are set up here (WEIGHBRIDGE_PEOPLE), so there is but one account.")
    return account.store


class Shell:
    """Request -> response, with an application that is composed when first needed."""

    def __init__(self, environment: Mapping[str, str], log: Callable[[str], None]) -> None:
        self._environment = environment
        self._log = log
        self._lock = threading.Lock()
        self._application: Application | None = None

    def answer(self, request: Request) -> Response:
        started = time.perf_counter()
        entry: dict[str, object] = {"severity": "INFO", "method": request.method, "route": "unknown"}
        if "gunicorn.socket" in request.environ:  # no other server of functions-framework's has one
            request.environ["gunicorn.socket"].settimeout(LONGEST_PAUSE_S)
        try:
            answer = self._answer(request, entry)
        except Exception as fault:  # noqa: BLE001  # the last net: a caller gets problem+json, never a traceback
            kind = kind_of(fault)
            answer = Answer(kind.status, _json(problem(fault)), "application/problem+json", headers_of(fault))
            entry |= {"fault": type(fault).__name__}
            if not isinstance(fault, WeighbridgeError):
                # The place, but not the words: an exception's text may hold what the caller sent.
                entry |= {"where": [f"{f.filename}:{f.lineno}" for f in traceback.extract_tb(fault.__traceback__)]}
            if not isinstance(fault, errors.TooSlow):
                _discard_the_rest(request)
        if answer.status >= 500:
            entry["severity"] = "ERROR"
        entry |= {"status": answer.status, "duration_ms": round(1000 * (time.perf_counter() - started), 1)}
        self._log(json.dumps(entry))
        # As a stream, because functions-framework would otherwise read what is left of the request into memory.
        response = Response(iter((answer.body,)), answer.status, content_type=answer.media_type)
        for name, value in answer.headers.items():
            response.headers[name] = value
        if answer.status != 204:
            response.headers["Content-Length"] = str(len(answer.body))
        return response

    def _answer(self, request: Request, entry: dict[str, object]) -> Answer:
        route, match = _route(request.method, request.path)
        entry["route"] = route.name
        application = self._compose_once()
        admitted = True
        try:
            entry["key"] = admit(application.settings.api_keys, request.environ)
        except (errors.Unauthorized, errors.Forbidden):
            if not route.open:
                raise
            admitted = False
        query = _query(request.query_string.decode("utf-8", "replace"), route.query)
        return route.answer(application, Call(request, query, match.groupdict().get("id", ""), admitted=admitted))

    def _compose_once(self) -> Application:
        # Not kept when it fails, so that a mended setting or template is seen by the next request.
        with self._lock:
            if self._application is None:
                self._application = compose(read_settings(self._environment))
            return self._application


def _route(method: str, path: str) -> tuple[Route, re.Match[str]]:
    allowed: list[str] = []
    for route in ROUTES:
        match = route.path.fullmatch(path.rstrip("/") or "/")
        if match and method in (route.method, "HEAD" if route.method == "GET" else route.method):
            return route, match
        if match:
            allowed.append(route.method)
    if allowed:
        raise errors.MethodNotAllowed(f"Use {' or '.join(allowed)} here.", allowed)
    raise errors.NotFound("There is nothing at this address; GET /openapi.json tells what there is.")


def _discard_the_rest(request: Request) -> None:
    """Throw away what was not read of a request, within bounds, so that its sender gets to read the answer."""
    left = 4 * LARGEST_BODY_BYTES
    with contextlib.suppress(HTTPException, TimeoutError):  # the sender is gone, or waits
        while left > 0 and (chunk := request.stream.read(65_536)):
            left -= len(chunk)


def _query(text: str, known: Sequence[str]) -> dict[str, str]:
    """The query of an address. One that is mistyped is refused: `?dryrun=true` must not send."""
    if not text:
        return {}
    pairs = parse_qsl(text, keep_blank_values=True)
    query = dict(pairs)
    wrong = [name for name in query if name not in known]
    if wrong or len(query) != len(pairs):
        expected = f"Known here, each once: {', '.join(known)}." if known else "No parameter is known here."
        raise errors.QueryInvalid([FieldError(name[:80], None, expected) for name in wrong or query])
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
        raise errors.QueryInvalid([FieldError(name, text[:80], "a day such as 2026-11-23 was expected.")]) from None


def _entry(result: Receipt | WeighbridgeError) -> Mapping[str, object]:
    return problem(result) if isinstance(result, WeighbridgeError) else result


def _json(value: object) -> bytes:
    return _encode(value).encode()


def _number(value: object) -> float | str:
    # Beyond what a double tells apart (or holds), the digits as they came.
    if isinstance(value, Decimal) and abs(value.adjusted()) < 15:
        return float(value)
    return str(value)


_encode = json.JSONEncoder(default=_number).encode


def _print(line: str) -> None:
    # In one piece, so that lines of several threads and workers never mix; and a log that is full stops no weigh-in.
    with contextlib.suppress(OSError):
        os.write(1, f"{line}\n".encode())


_shell = Shell(os.environ, _print)


def handle(request: Request) -> Response:
    """The functions-framework target."""
    return _shell.answer(request)
