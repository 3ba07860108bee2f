"""The routes: the answer at each address, and what a route sees of a request.

Rule: an unknown parameter is refused, so that `?dryrun=true` does not send.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl

from .. import __version__, errors
from ..compose import Composed
from ..delivery.port import WeighInStore, file_name
from ..errors import FieldError, WeighbridgeError
from ..fit.patch import READINGS_PER_FILE
from ..pipeline import Step, TakeBack, Understood, is_to_do
from ..reasons import Why
from ..settings import Key, Right, Settings
from .access import ANONYMOUS, check, check_person
from .body import Headers, Payloads, read_body, read_json
from .encoding import PRETTY
from .instance import instance_id
from .problems import problem
from .sign_in import code_needed, connection, read_step

if TYPE_CHECKING:
    from ..login import Login
    from ..receipt import Receipt

    #: The result of one weigh-in, of a document with several, or of a list.
    _Entry = Receipt | WeighbridgeError | Sequence["_Entry"]

HTTP_STATUS = {
    "checked": 200,
    "present": 200,
    "taken_back": 200,
    "nothing": 200,
    "confirmed": 201,
    "accepted": 202,
    "kept": 202,
}


@dataclass(frozen=True, slots=True)
class Call:
    """What a route sees of a request."""

    query: Mapping[str, str]
    #: The identifier in the path; "" if it has none.
    id: str
    #: `ANONYMOUS` only on an open route.
    key: Key
    headers: Headers
    #: The body, within the limits of `receive`; empty on a route without one.
    content: bytes = b""

    def body(self) -> Payloads:
        return read_body(self.content, self.headers.get("content-type", "") or None, self.headers)

    def json(self) -> object:
        return read_json(self.content, self.headers.get("content-type", "") or None, self.headers)


class Answer(NamedTuple):
    status: int
    #: Bytes are sent as they are; anything else is encoded as JSON.
    body: object
    media_type: str = "application/json"
    headers: Mapping[str, str] = {}


class Later(NamedTuple):
    """The rest of an answer, which waits for Garmin, a disk or a lock: it has a turn in the pool of deliveries."""

    answer: Callable[[], Answer]


class Lane(Enum):
    """Where a route is called, so that nothing quick waits for anything slow."""

    #: In the event loop: well under a millisecond.
    LOOP = auto()
    #: In a few threads of their own: much work, or a look at Garmin to find a person.
    ASIDE = auto()
    #: In a thread of its own: looks at a disk, or imports much.
    HEALTH = auto()


class Route(NamedTuple):
    method: str
    #: `{id}` stands for one part of a path.
    paths: tuple[str, ...]
    answer: Callable[[Application, Call], Answer | Later]
    query: tuple[str, ...] = ()
    #: What the key must be for; None: the route is open.
    right: Right | None = None
    lane: Callable[[Application, Call], Lane] = lambda _application, _call: Lane.LOOP
    #: See `access.check_guarded`.
    guarded: bool = False

    @property
    def name(self) -> str:
        """The path as documented. The log shows this one, without the identifier."""
        return self.paths[-1]


@dataclass(frozen=True, slots=True)
class Application:
    """What each route does."""

    composed: Composed
    now: Callable[[], datetime]

    def post_readings(self, call: Call) -> Answer | Later:
        dry_run, replace = _flag(call.query, "dry_run"), _flag(call.query, "replace")
        if replace:
            check(call.key, Right.DELETE)
        afterwards = None if dry_run else self.composed.afterwards
        user_agent = call.headers.get("user-agent", "")
        try:
            payloads = call.body()
        except WeighbridgeError as fault:
            if afterwards:
                afterwards.answered([problem(fault)], call.content, call.key.name, user_agent)
            raise
        bridge = self.composed.weighbridge
        understood = bridge.understand(
            payloads.items,
            now=self.now(),
            occurred_at=payloads.occurred_at,
            replace=replace,
            person=call.query.get("person"),
        )
        steps = [_permitted(step, call.key) for step in understood]

        def answer() -> Answer:
            of_items = bridge.receipts(steps, dry_run=dry_run)
            if afterwards:
                bodies = [problem(each) if isinstance(each, WeighbridgeError) else each for each in of_items]
                afterwards.answered(bodies, call.content, call.key.name, user_agent)
            results = payloads.results(of_items)
            result = results if payloads.many else results[0]
            if isinstance(result, WeighbridgeError):
                raise result
            if isinstance(result, Sequence):
                failed = any(isinstance(each, WeighbridgeError) for each in (*of_items, *results))
                return Answer(207 if failed else 200, _entry(result))
            return Answer(HTTP_STATUS[result["status"]], result)

        return answer() if dry_run or not any(map(is_to_do, steps)) else Later(answer)

    def post_fit(self, call: Call) -> Answer:
        payloads = call.body()
        weigh_ins = payloads.weigh_ins()
        if not 1 <= len(weigh_ins) <= READINGS_PER_FILE:
            why = Why.READINGS_OF_A_FILE(maximum=READINGS_PER_FILE)
            raise errors.ReadingRejected([FieldError("", len(weigh_ins), why)])
        readings, fit = self.composed.weighbridge.fit(
            weigh_ins, now=self.now(), occurred_at=payloads.occurred_at, person=call.query.get("person")
        )
        for reading in readings:
            check_person(call.key, reading.person)
        disposition = f'attachment; filename="{file_name(readings, fit)}"'
        return Answer(200, fit.content, "application/vnd.ant.fit", {"Content-Disposition": disposition})

    def get_readings(self, call: Call) -> Later:
        # Tomorrow in UTC may be today for the account: Garmin's days are local.
        last = _day(call.query, "to", self.now().date() + timedelta(days=1))
        first = _day(call.query, "from", last - timedelta(days=30))
        if first > last:
            raise errors.QueryInvalid([FieldError("from", first.isoformat(), Why.DAYS_REVERSED())])
        store = self._store(call)

        def answer() -> Answer:
            weigh_ins = store.list_weigh_ins(first, last)
            entries = [{"id": w.id, "calendar_date": w.calendar_date.isoformat(), **w.shown()} for w in weigh_ins]
            days = {"from": first.isoformat(), "to": last.isoformat()}
            return Answer(200, {**days, "source": store.source, "readings": entries})

        return Later(answer)

    def delete_reading(self, call: Call) -> Later:
        store = self._store(call)

        def answer() -> Answer:
            store.delete_weigh_in(call.id)
            return Answer(204, b"")

        return Later(answer)

    def get_health(self, call: Call) -> Answer:
        delivery = self.composed.weighbridge.delivery.health()
        if Right.ADMINISTER not in call.key.rights:
            delivery = _without_details(delivery)
        health: dict[str, object] = {
            "status": "ok" if delivery["ready"] else "not ready",
            "template": {
                "name": self.composed.settings.template.name,
                "fields": sorted(self.composed.weighbridge.template.fields),
            },
            "delivery": delivery,
        }
        if Right.ADMINISTER in call.key.rights:
            health["timezone"] = str(self.composed.settings.timezone)
        if call.key is not ANONYMOUS:
            people = call.key.people or tuple(person.name for person in self.composed.people)
            health |= {
                "version": __version__,
                "instance": instance_id(),
                "key": {"name": call.key.name, "rights": sorted(call.key.rights), "people": people},
            }
        return Answer(200 if delivery["ready"] else 503, health)

    def get_sign_in(self, call: Call) -> Later:
        settings = self._account(call)
        return Later(lambda: Answer(200, connection(self._login(settings), settings)))

    def post_sign_in(self, call: Call) -> Later:
        settings = self._account(call)
        step, values = read_step(call.json())

        def answer() -> Answer:
            login = self._login(settings)
            match step, values:
                case ("email", "password"), (email, password):
                    found = login.with_password(email.get_secret_value().strip(), password)
                    if not isinstance(found, SignedIn):
                        return Answer(202, code_needed(found))
                case ("state", "code"), (state, code):
                    login.with_code(state, code.get_secret_value())
                case _, (ticket,):
                    login.with_ticket(ticket)
            return Answer(200, connection(login, settings))

        from ..login import SignedIn

        return Later(answer)

    def delete_sign_in(self, call: Call) -> Later:
        settings = self._account(call)

        def answer() -> Answer:
            self._login(settings).sign_out()
            return Answer(204, b"")

        return Later(answer)

    def _login(self, settings: Settings) -> Login:
        # Imported when needed: a reading does not wait for what signs in.
        from ..login import Login

        return Login(settings, lambda: self.now().timestamp(), self.composed.token_store(settings))

    def _account(self, call: Call) -> Settings:
        person = call.query.get("person")
        settings = self.composed.settings_of(person)
        check_person(call.key, self.composed.person(person))
        return settings

    def get_openapi(self, _call: Call) -> Answer:
        # Imported when needed: pydantic's schemas take longer than a whole weigh-in.
        from .openapi import document

        return Answer(200, document())

    def _store(self, call: Call) -> WeighInStore:
        person = call.query.get("person")
        store = self.composed.store(person)
        check_person(call.key, self.composed.person(person))
        return store


def _without_details(state: Mapping[str, object]) -> dict[str, object]:
    """A state of `/health` for callers without the right to administer: no names of people, no paths, no reasons, and
    not when somebody stepped on the scale."""
    shown: dict[str, object] = {}
    for name, value in state.items():
        if name in ("people", "code", "last_outcome", "last_success_at"):
            continue
        if name == "detail":
            shown[name] = "Send a key with the right to administer to see why."
        elif isinstance(value, Mapping):
            shown[name] = _without_details(value)
        elif isinstance(value, list):
            shown[name] = [_without_details(each) for each in value]
        else:
            shown[name] = value
    return shown


#: Up to this size, a body is a few readings, which are understood and proven in a millisecond or two.
_SMALL_BODY_BYTES = 4096


def _readings_lane(application: Application, call: Call) -> Lane:
    # To find a person by weight, recent weights are read from Garmin.
    small = len(call.content) <= _SMALL_BODY_BYTES
    return Lane.LOOP if small and not application.composed.people else Lane.ASIDE


def _health_lane(_application: Application, _call: Call) -> Lane:
    return Lane.HEALTH


ROUTES = (
    Route(
        "POST",
        ("/", "/readings"),
        Application.post_readings,
        ("dry_run", "replace", "person"),
        Right.SEND,
        _readings_lane,
    ),
    Route("POST", ("/fit",), Application.post_fit, ("person",), Right.SEND, _readings_lane),
    Route("GET", ("/readings",), Application.get_readings, ("from", "to", "person"), Right.READ),
    Route("DELETE", ("/readings/{id}",), Application.delete_reading, ("person",), Right.DELETE),
    Route("GET", ("/health",), Application.get_health, lane=_health_lane),
    Route("GET", ("/sign-in",), Application.get_sign_in, ("person",), Right.ADMINISTER, guarded=True),
    Route("POST", ("/sign-in",), Application.post_sign_in, ("person",), Right.ADMINISTER, guarded=True),
    Route("DELETE", ("/sign-in",), Application.delete_sign_in, ("person",), Right.ADMINISTER, guarded=True),
    Route("GET", ("/openapi.json",), Application.get_openapi, lane=_health_lane),
)

#: The parts of a path, split at "/" -> the routes there, by method.
_AT: dict[tuple[str, ...], dict[str, Route]] = {}
for _route in ROUTES:
    for _path in _route.paths:
        _AT.setdefault(tuple(_path.split("/")), {})[_route.method] = _route


def find_route(method: str, path: str) -> tuple[Route, str]:
    """The route, and the id in its path. Raises `NoSuchAddress` or `MethodNotAllowed`."""
    parts = tuple((path.rstrip("/") or "/").split("/"))
    here, id_ = _AT.get(parts), ""
    if here is None and len(parts) > 1 and parts[-1]:
        here, id_ = _AT.get((*parts[:-1], "{id}")), parts[-1]
    if here is None:
        raise errors.NoSuchAddress("There is nothing at this address; GET /openapi.json lists the addresses.")
    method = "GET" if method == "HEAD" else method
    if method not in here:
        # A browser may GET the page at the address itself (`Shell`); a program may not, and is not sent there.
        page = ["GET"] if path == "/" and method != "GET" else []
        raise errors.MethodNotAllowed(f"Use {' or '.join(here)} here.", [*here, *page])
    return here[method], id_


def read_query(text: str, known: Sequence[str]) -> dict[str, str]:
    """The query of an address. Raises `QueryInvalid` for an unknown parameter: `?dryrun=true` must not send."""
    if not text:
        return {}
    known = (*known, PRETTY)
    pairs = parse_qsl(text, keep_blank_values=True)
    query = dict(pairs)
    wrong = [name for name in query if name not in known]
    if wrong or len(query) != len(pairs):
        expected = Why.PARAMETER_UNKNOWN(known=known)
        raise errors.QueryInvalid([FieldError(name[:80], None, expected) for name in wrong or query])
    _flag(query, PRETTY)
    return query


def _flag(query: Mapping[str, str], name: str) -> bool:
    text = query.get(name, "false")
    if text not in ("true", "false"):
        raise errors.QueryInvalid([FieldError(name, text[:80], Why.TRUE_OR_FALSE_EXPECTED())])
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
        raise errors.QueryInvalid([FieldError(name, text[:80], Why.DAY_EXPECTED())]) from None


def _permitted(step: Step, key: Key) -> Step:
    """The step, or a fault if the key is not for it."""
    try:
        match step:
            case Understood():
                if step.replace:
                    check(key, Right.DELETE)
                check_person(key, step.reading.person)
            case TakeBack():
                check(key, Right.DELETE)
                check_person(key, step.person)
            case errors.PersonUnclear() if key.people:
                # Only those whom the key may choose.
                return errors.PersonUnclear(step.errors, [name for name in step.candidates if name in key.people])
    except errors.Forbidden as fault:
        return fault
    return step


def _entry(result: _Entry) -> Mapping[str, object]:
    if isinstance(result, WeighbridgeError):
        return problem(result)
    return {"results": [_entry(each) for each in result]} if isinstance(result, Sequence) else result
