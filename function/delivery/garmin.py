"""Garmin Connect's protocol over any `Session`: look first, upload once, look again. Also reads and deletes.

Rule: a 2xx is a receipt, not an arrival. Only what was read back is `confirmed`; what may have arrived is looked
for, and is never sent twice without a look. What Garmin holds already is never sent again.

Facts (recorded answers of matin/garth `tests/cassettes/test_upload.yaml`; garmin-connect-api 0.3.1 and eufy-sync for
weight files):
- An upload is answered 200, 201 or 202 with `successes`, with two empty lists, or with nothing at all.
- Garmin signals no duplicate for weight: the identical measurement is kept once, the same instant with other
  values becomes a second entry. So a correction deletes the entry before it, after the new one is seen.
- `range` groups by the account's local calendar day, which may be the day before or after the UTC one.
- Masses are grams, ages are milliseconds, a BMI has single precision: 22.799999237060547 is 22.8.
- After a 5xx or a broken connection the file may be stored (XiaoSiHwang/garmin-weight-sync issue 8).
"""

from __future__ import annotations

import email.utils
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, DecimalException
from itertools import chain, repeat
from typing import Any, NamedTuple

from ..errors import (
    Conflict,
    GarminRefused,
    GarminUnreachable,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    SignInNeeded,
    WeighbridgeError,
)
from ..fit.verify import VerifiedFit
from ..reading import Reading
from .port import Answer, ConnectionDropped, Delivered, Outcome, Prove, Session, Status, WeighIn, file_name

UPLOAD = "/upload-service/upload"
WEIGHT = "/weight-service/weight"

DEFAULT_RETRY_AFTER_S = 300
LONGEST_RETRY_AFTER_S = 86_400

#: Between looks for a reading: Garmin itself says "look again in 1000 ms" (`location-in-milliseconds`).
PAUSES_S = (0.5, 1.0, 2.0, 4.0)

#: How near an entry has to be for a 409 to mean "this one".
NEAR_S = 120
DUPLICATE = 202  # a message code of `failures`, not an HTTP status

MS_PER_YEAR = 31_536_000_000
LARGEST_DIGITS = 20  # of any number that Garmin shows: an id or milliseconds


class Value(NamedTuple):
    """One value of an entry: our name, Garmin's, and when two of them are the same."""

    name: str
    garmin: str
    divisor: int
    step: Decimal
    tolerance: Decimal


def _value(name: str, garmin: str, divisor: int, step: str, tolerance: str) -> Value:
    return Value(name, garmin, divisor, Decimal(step), Decimal(tolerance))


VALUES = (
    _value("weight_kg", "weight", 1000, "0.001", "0.05"),
    _value("bmi", "bmi", 1, "0.01", "0.1"),
    _value("body_fat_percent", "bodyFat", 1, "0.01", "0.1"),
    _value("body_water_percent", "bodyWater", 1, "0.01", "0.1"),
    _value("bone_mass_kg", "boneMass", 1000, "0.001", "0.05"),
    _value("muscle_mass_kg", "muscleMass", 1000, "0.001", "0.05"),
    _value("visceral_fat_rating", "visceralFat", 1, "1", "0"),
    _value("physique_rating", "physiqueRating", 1, "1", "0"),
    _value("metabolic_age_years", "metabolicAge", MS_PER_YEAR, "1", "0"),
)

#: An entry with none of these was typed by hand, or came from a plain scale.
COMPOSITION = ("body_fat_percent", "body_water_percent", "bone_mass_kg", "muscle_mass_kg")

Values = Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class Entry:
    """One weigh-in that Garmin shows, in our names and units; `values` has only what Garmin has."""

    calendar_date: date
    sample_pk: int
    instant_s: int
    values: Values

    @property
    def id(self) -> str:
        return f"{self.calendar_date.isoformat()}.{self.sample_pk}"

    def shown(self) -> dict[str, object]:
        return {"measured_at": _iso(self.instant_s), **_plain(self.values)}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the answer to an upload says. Without a fault, Garmin has taken the file."""

    #: What becomes of a reading that a look does not find.
    fault: WeighbridgeError | None = None
    #: Whether a look could find anything.
    look: bool = True
    #: Garmin says it has it already: an entry near the instant counts.
    duplicate: bool = False
    warnings: tuple[str, ...] = ()


class GarminConnect:
    """A `Delivery` and a `WeighInStore`. Safe to share between threads when its session is."""

    def __init__(
        self,
        session: Session,
        *,
        name: str,
        confirm_s: float,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`confirm_s`: for how long to look for an uploaded reading; 0 = answer `accepted` without a look."""
        self.name = name
        self._session = session
        self._confirm_s = confirm_s
        self._sleep = sleep
        self._monotonic = monotonic

    # -- Delivery ----------------------------------------------------------------------------------------

    def deliver(self, readings: Sequence[Reading], prove: Prove, *, replace: bool) -> Sequence[Outcome]:
        """See `port.Delivery`. Without `replace`, an entry at the same instant with other values is a `Conflict`."""
        held = self._around(readings)
        outcomes: dict[int, Outcome] = {}
        claimed: dict[int, int] = {}  # instant -> the first reading of this call for it
        twins: dict[int, int] = {}
        outgoing: list[int] = []
        for index, reading in enumerate(readings):
            at_instant = _at(held, reading)
            same = next((entry for entry in at_instant if _is_same(reading, entry)), None)
            first = claimed.setdefault(_instant_s(reading), index)
            if first != index:
                if _differences(_values(reading), _values(readings[first])):
                    outcomes[index] = _two_in_one(reading, readings[first])
                else:
                    twins[index] = first
            elif same:
                others = [entry for entry in at_instant if entry is not same] if replace else []
                warnings = (*_not_shown(reading, same), *self._delete_all(others))
                outcomes[index] = Delivered("present", prove([reading]), garmin=same.shown(), warnings=warnings)
            elif at_instant and not replace:
                outcomes[index] = _conflict(reading, at_instant)
            else:
                outgoing.append(index)
        if outgoing:
            sent = self._send([readings[index] for index in outgoing], prove, held, replace=replace)
            outcomes.update(zip(outgoing, sent, strict=True))
        outcomes.update({index: outcomes[first] for index, first in twins.items()})
        return _raise_if_shared([outcomes[index] for index in range(len(readings))])

    def health(self) -> Mapping[str, object]:
        """See `port.Delivery`. Looks at the stored token only; the network is never touched."""
        try:
            days = self._session.token_days_left()
        except WeighbridgeError as fault:
            return {"name": self.name, "ready": False, "detail": str(fault)}
        if days is None:
            return {"name": self.name, "ready": True}
        state = {"name": self.name, "ready": days > 0, "token_days_left": round(max(days, 0.0), 1)}
        return state if days > 0 else state | {"detail": "The Garmin token has ended. Sign in anew: make login."}

    # -- WeighInStore ------------------------------------------------------------------------------------

    def list_weigh_ins(self, first: date, last: date) -> Sequence[WeighIn]:
        """What Garmin holds from `first` to `last` (the account's calendar days, both included), oldest first."""
        entries = sorted(self._range(first, last), key=lambda entry: (entry.instant_s, entry.sample_pk))
        return [WeighIn(entry.id, entry.calendar_date, entry.shown()) for entry in entries]

    def delete_weigh_in(self, weigh_in_id: str) -> None:
        """Take one weigh-in back. Raises `NotFound` when there is none by this id, or a `GarminFault`."""
        match = re.fullmatch(r"(\d{4}-\d\d-\d\d)\.(\d{1,20})", weigh_in_id, re.ASCII)
        try:
            day = date.fromisoformat(match[1]) if match else None
        except ValueError:
            day = None
        if match is None or day is None:
            raise NotFound("There is no such weigh-in: an id is a day, a dot and a number, as GET /readings shows it.")
        self._delete(day, int(match[2]))

    # -- sending -----------------------------------------------------------------------------------------

    def _send(
        self, readings: Sequence[Reading], prove: Prove, held: Sequence[Entry], *, replace: bool
    ) -> list[Outcome]:
        fit = prove(readings)
        name = file_name(readings, fit)
        try:
            verdict = read_upload_answer(self._session.request("POST", UPLOAD, file=(name, fit.content)))
        except ConnectionDropped as e:
            verdict = _unknown(str(e))
        except WeighbridgeError as fault:
            verdict = Verdict(fault, look=False)
        if not verdict.look or (self._confirm_s == 0 and verdict.fault is None and not replace):
            return [verdict.fault or Delivered("accepted", fit, name, warnings=verdict.warnings)] * len(readings)
        found, shown, trouble = self._look_for(readings, near=verdict.duplicate)
        return [
            self._arrived(reading, fit, name, entry, verdict, _at(held, reading))
            if entry
            else _not_arrived(reading, fit, name, verdict, held, shown, trouble, self._confirm_s)
            for reading, entry in zip(readings, found, strict=True)
        ]

    def _look_for(
        self, readings: Sequence[Reading], *, near: bool
    ) -> tuple[list[Entry | None], list[Entry], WeighbridgeError | None]:
        """Look at least once, and until all are found or the time is over: what was found for each reading,
        everything last seen around them, and why the last look failed if it did."""
        deadline = self._monotonic() + self._confirm_s
        shown: list[Entry] = []
        trouble: WeighbridgeError | None = None
        pauses: Iterator[float] = chain(PAUSES_S, repeat(PAUSES_S[-1]))
        while True:
            try:
                shown, trouble = self._around(readings), None
            except WeighbridgeError as e:
                trouble = e
            found = [next((e for e in shown if _fits(reading, e, near=near)), None) for reading in readings]
            left_s = deadline - self._monotonic()
            # Only an unreachable Garmin may be reachable a moment later.
            hopeless = trouble is not None and not isinstance(trouble, GarminUnreachable)
            if all(found) or left_s <= 0 or hopeless:
                return found, shown, trouble
            self._sleep(min(next(pauses), left_s))

    def _arrived(
        self, reading: Reading, fit: VerifiedFit, name: str, entry: Entry, verdict: Verdict, olds: Sequence[Entry]
    ) -> Delivered:
        # In `deliver`, entries at the instant of a reading that is sent are those to be replaced.
        replaced = [old for old in olds if old.id != entry.id]
        warnings = (*verdict.warnings, *_not_shown(reading, entry), *self._delete_all(replaced))
        status: Status = "present" if verdict.duplicate else "confirmed"
        return Delivered(status, fit, name, entry.shown(), warnings)

    def _delete_all(self, entries: Sequence[Entry]) -> tuple[str, ...]:
        """Delete what was replaced; what could not be deleted becomes a warning."""
        warnings = []
        for entry in entries:
            try:
                self._delete(entry.calendar_date, entry.sample_pk)
            except NotFound:
                pass  # somebody else has deleted it: just as well
            except WeighbridgeError as fault:
                warnings.append(
                    f"The replaced entry {entry.id} is still there, because it could not be deleted: {fault} "
                    "Send the same reading with replace=true again."
                )
        return tuple(warnings)

    # -- the weight-service ------------------------------------------------------------------------------

    def _around(self, readings: Sequence[Reading]) -> list[Entry]:
        """The entries of the days of these readings, and of a day more at both ends."""
        days = [reading.measured_at.astimezone(UTC).date() for reading in readings]
        return self._range(min(days) - timedelta(days=1), max(days) + timedelta(days=1))

    def _range(self, first: date, last: date) -> list[Entry]:
        path = f"{WEIGHT}/range/{first.isoformat()}/{last.isoformat()}"
        try:
            answer = self._session.request("GET", path, params={"includeAll": "true"})
        except ConnectionDropped as e:
            raise GarminUnreachable(f"Garmin Connect did not say what it holds. {e}") from e
        if answer.status == 204:
            return []
        if answer.status != 200:
            raise fault_of(answer, "to show the weigh-ins")
        return read_weigh_ins(answer)

    def _delete(self, day: date, sample_pk: int) -> None:
        try:
            answer = self._session.request("DELETE", f"{WEIGHT}/{day.isoformat()}/byversion/{sample_pk}")
        except ConnectionDropped as e:
            return self._look_if_gone(day, sample_pk, str(e))
        if answer.status == 404:
            raise NotFound("Garmin Connect has no such weigh-in.")
        if answer.status >= 500:
            return self._look_if_gone(day, sample_pk, _status(answer))
        if not 200 <= answer.status < 300:
            raise fault_of(answer, "to delete the weigh-in")
        return None

    def _look_if_gone(self, day: date, sample_pk: int, why: str) -> None:
        unknown = f"Garmin Connect gave no answer to the deletion ({why})"
        try:
            there = any(entry.sample_pk == sample_pk for entry in self._range(day, day))
        except WeighbridgeError as e:
            raise OutcomeUnknown(f"{unknown}, and could not be looked at. Send the same deletion again.") from e
        if there:
            raise OutcomeUnknown(f"{unknown}, and still shows the weigh-in. Send the same deletion again.")


# -- what answers mean -----------------------------------------------------------------------------------


def read_upload_answer(answer: Answer) -> Verdict:
    """The answer of the upload-service -> what to make of it."""
    if answer.status == 408 or answer.status >= 500:
        return _unknown(_status(answer))
    taken = 200 <= answer.status < 300
    if taken and not answer.body.strip():
        return Verdict()
    document = _json(answer.body)
    # A refused upload has "" for an uploadId.
    result = document.get("detailedImportResult") if isinstance(document, dict) else None
    result = result if isinstance(result, dict) else {}
    messages = _failure_messages(result)
    said = sanitise(" ".join(text for _, text in messages)) or "no reason"
    if answer.status == 409 or ((taken or answer.status == 400) and DUPLICATE in [code for code, _ in messages]):
        return Verdict(
            GarminRefused(
                f"Garmin Connect calls the reading a duplicate ({said}), but a look did not find it. Look at the day "
                "in Garmin Connect, and delete what is there or send the reading with another time."
            ),
            duplicate=True,
        )
    has_id = bool(result.get("uploadId"))
    if (taken or answer.status == 400) and messages:
        return Verdict(
            GarminRefused(f"Garmin Connect did not import the file: {said}"),
            look=has_id or bool(result.get("successes")),
            warnings=(f"Garmin Connect took the file with a remark: {said}",),
        )
    if answer.status == 400 and has_id:
        return Verdict(warnings=("Garmin Connect took the file, with HTTP 400 but without a remark.",))
    if taken and not isinstance(document, dict):
        return _unknown(f"HTTP {answer.status} with a page that is not Garmin's: a firewall or a proxy?")
    if taken:
        return Verdict()
    return Verdict(fault_of(answer, "the file"), look=False)


SEND_AGAIN = "Send the same reading again: it cannot become a second weigh-in."
REFUSALS = {
    401: "The Garmin token is not taken any more. Sign in anew: make login.",
    412: (
        "Garmin Connect wants consent to uploads first (HTTP 412): open Garmin Connect once, accept what it asks "
        "(Settings, Data, Device Upload), and send the reading again."
    ),
    413: "Garmin Connect finds the file too large (HTTP 413). Send fewer readings at once.",
}
FORBIDDEN_PAGE = (
    "A firewall in front of Garmin Connect (Cloudflare) shut the door (HTTP 403, with a page). Try from another "
    "network, such as one at home, or wait some hours."
)
FORBIDDEN = (
    "Garmin Connect forbids this (HTTP 403) although it knows the token. Try from another network; if that does "
    "not help, sign in anew: make login."
)


def fault_of(answer: Answer, refused: str) -> WeighbridgeError:
    """An answer that is neither a success nor special to its request -> a fault with its mend. The body stays
    out of it; `refused` ends the sentence "Garmin Connect refused …"."""
    if answer.status == 401:
        return SignInNeeded(REFUSALS[401])
    if answer.status == 429:
        return RateLimited("Garmin Connect asks to wait before the next request (HTTP 429).", retry_after_s(answer))
    if answer.status == 403:
        return GarminRefused(FORBIDDEN_PAGE if _is_page(answer) else FORBIDDEN)
    if answer.status == 408 or answer.status >= 500:
        return GarminUnreachable(f"Garmin Connect is out of order ({_status(answer)}). Send the same again later.")
    return GarminRefused(REFUSALS.get(answer.status, f"Garmin Connect refused {refused} ({_status(answer)})."))


def retry_after_s(answer: Answer) -> int:
    """Seconds to wait: the Retry-After header as seconds or date (RFC 9110 section 10.2.3), else a default.

    A date is compared with the answer's own Date, so that our clock need not be right.
    """
    text = answer.headers.get("retry-after", "").strip()
    seconds: float = DEFAULT_RETRY_AFTER_S
    if re.fullmatch(r"\d{1,9}", text, re.ASCII):
        seconds = int(text)
    elif text:
        try:
            until, now = (email.utils.parsedate_to_datetime(t) for t in (text, answer.headers.get("date", "")))
            seconds = (until - now).total_seconds()
        except (ValueError, TypeError):
            pass
    return round(min(max(seconds, 1), LONGEST_RETRY_AFTER_S))


def read_weigh_ins(answer: Answer) -> list[Entry]:
    """The body of `range` -> entries. Raises `GarminUnreachable` (not Garmin's words) or `GarminRefused`."""
    document = _json(answer.body)
    if document is None:
        raise GarminUnreachable(
            "What came in place of Garmin's list of weigh-ins is not whole JSON: a firewall or a proxy may stand "
            "between, or the answer broke off. Send the same again later."
        )
    try:
        return [_entry(raw) for day in document["dailyWeightSummaries"] for raw in day["allWeightMetrics"]]
    except (KeyError, TypeError, ValueError, OverflowError, DecimalException):
        raise GarminRefused(
            "Garmin's list of weigh-ins has not the expected shape (dailyWeightSummaries, allWeightMetrics); Garmin "
            "may have changed it. Nothing is sent while it cannot be seen what is there."
        ) from None


def sanitise(text: str) -> str:
    """Garmin's words, fit for a message: printable, short, and without numbers that could be an account's."""
    printable = "".join(c if c.isprintable() else " " for c in text[:2000])
    return re.sub(r"\d[\d\s-]{3,}\d", "…", " ".join(printable.split()))[:200]


def _entry(raw: Mapping[str, object]) -> Entry:
    values = {}
    for value in VALUES:
        if value.garmin in raw and raw[value.garmin] is not None:
            values[value.name] = _quantised(_number(raw[value.garmin]) / value.divisor, value.step)
    if "weight_kg" not in values:
        raise KeyError("weight")
    instant_s, sample_pk = int(_number(raw["timestampGMT"])) // 1000, int(_number(raw["samplePk"]))
    _iso(instant_s)  # an instant that has no date is no instant
    return Entry(date.fromisoformat(str(raw["calendarDate"])), sample_pk, instant_s, values)


def _number(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise TypeError("not a number")
    number = Decimal(value)
    if number.adjusted() > LARGEST_DIGITS:
        raise ValueError("no such quantity")  # 1e999999999 is 14 bytes of JSON and 400 MB as an int
    return number


def _quantised(value: Decimal, step: Decimal) -> Decimal:
    return value.quantize(step, ROUND_HALF_UP)


def _json(body: bytes) -> Any:
    """Numbers with a fraction as Decimal. None for anything that is not whole JSON."""

    def refuse(word: str) -> object:
        raise ValueError(word)  # NaN and Infinity are no JSON (RFC 8259 section 6)

    try:
        return json.loads(body, parse_float=Decimal, parse_constant=refuse)
    except (ValueError, RecursionError, DecimalException):
        return None


def _failure_messages(result: Mapping[str, object]) -> list[tuple[object, str]]:
    """(code, text) of everything in `failures`, which may have any shape."""
    failures = result.get("failures")
    found: list[tuple[object, str]] = []
    for failure in failures if isinstance(failures, list) else []:
        messages = failure.get("messages") if isinstance(failure, dict) else None
        parts = [m for m in messages if isinstance(m, dict)] if isinstance(messages, list) else []
        found += [(m.get("code"), str(m.get("content") or "")) for m in parts] or [(None, "")]
    return found


def _unknown(why: str) -> Verdict:
    return Verdict(
        OutcomeUnknown(
            f"It is not known whether Garmin Connect has the reading ({why.rstrip('.')}); a look did not find it. "
            f"{SEND_AGAIN}"
        )
    )


def _status(answer: Answer) -> str:
    return f"HTTP {answer.status}"


def _is_page(answer: Answer) -> bool:
    return "html" in answer.headers.get("content-type", "").lower() or answer.body.lstrip()[:1] == b"<"


# -- a reading against an entry --------------------------------------------------------------------------


def _instant_s(reading: Reading) -> int:
    """The instant as the file has it: whole seconds."""
    return int(reading.measured_at.timestamp())


def _values(reading: Reading) -> Values:
    found = {value.name: getattr(reading, value.name) for value in VALUES}
    return {name: Decimal(number) for name, number in found.items() if number is not None}


def _at(entries: Sequence[Entry], reading: Reading) -> list[Entry]:
    return [entry for entry in entries if entry.instant_s == _instant_s(reading)]


def _fits(reading: Reading, entry: Entry, *, near: bool) -> bool:
    """Whether the entry is this reading; `near` also takes the same weight within two minutes."""
    if near:
        apart_s = abs(entry.instant_s - _instant_s(reading))
        return apart_s <= NEAR_S and "weight_kg" not in _differences(_values(reading), entry.values)
    return entry.instant_s == _instant_s(reading) and _is_same(reading, entry)


def _is_same(reading: Reading, entry: Entry) -> bool:
    return not _differences(_values(reading), entry.values)


def _differences(ours: Values, theirs: Values) -> list[str]:
    """The names of the values that differ. One that is missing there is no difference, unless the whole body
    composition is: that is a weight typed by hand."""
    different = [
        value.name
        for value in VALUES
        if value.name in ours
        and value.name in theirs
        and abs(_comparable(ours, value) - _comparable(theirs, value)) > value.tolerance
    ]
    missing = [name for name in COMPOSITION if name in ours]
    return different + ([] if any(name in theirs for name in COMPOSITION) else missing)


def _comparable(values: Values, value: Value) -> Decimal:
    # Ratings and ages travel as whole numbers, rounded half up.
    return _quantised(values[value.name], value.step) if value.step == 1 else values[value.name]


def _not_shown(reading: Reading, entry: Entry) -> tuple[str, ...]:
    names = [name for name in _values(reading) if name not in entry.values]
    return (f"Garmin Connect does not show {', '.join(names)}.",) if names else ()


def _not_arrived(
    reading: Reading,
    fit: VerifiedFit,
    name: str,
    verdict: Verdict,
    held: Sequence[Entry],
    shown: Sequence[Entry],
    trouble: WeighbridgeError | None,
    confirm_s: float,
) -> Outcome:
    if verdict.fault is not None and trouble is not None:
        return OutcomeUnknown(
            f"It is not known whether Garmin Connect has the reading, because it could not be looked at: {trouble} "
            f"{SEND_AGAIN}"
        )
    if verdict.fault is not None:
        return verdict.fault
    warnings = list(verdict.warnings)
    known = {entry.id for entry in held}
    others = [entry for entry in _at(shown, reading) if entry.id not in known]
    if trouble is not None:
        warnings.append(f"Garmin Connect took the file, but could not be asked whether it shows the reading: {trouble}")
    elif others:
        names = ", ".join(_differences(_values(reading), others[0].values))
        warnings.append(f"Garmin Connect shows a new entry at this instant, but with another {names}.")
    else:
        warnings.append(f"Garmin Connect took the file, but did not show the reading within {confirm_s:g} s.")
    if _at(held, reading):
        warnings.append("The entry that was to be replaced is still there: send it with replace=true again.")
    return Delivered("accepted", fit, name, warnings=tuple(warnings))


def _conflict(reading: Reading, theirs: Sequence[Entry]) -> Conflict:
    return Conflict(
        "Garmin Connect holds an entry at this instant with other values; nothing was sent. To have it replaced, "
        "send the reading with replace=true.",
        _ours(reading),
        [{"id": entry.id, **entry.shown()} for entry in theirs],
    )


def _two_in_one(reading: Reading, other: Reading) -> Conflict:
    return Conflict(
        "Another reading of the same request has the same instant and other values; this one was not sent.",
        _ours(reading),
        [_ours(other)],
    )


def _ours(reading: Reading) -> dict[str, object]:
    return {"measured_at": _iso(_instant_s(reading)), **_plain(_values(reading))}


def _plain(values: Values) -> dict[str, object]:
    """Decimals without trailing zeros: 75.800 is 75.8. Whole ratings and ages are integers."""
    whole = {value.name for value in VALUES if value.step == 1}
    return {
        name: int(number) if name in whole and number == int(number) else number.normalize() + Decimal(0)
        for name, number in values.items()
    }


def _iso(instant_s: int) -> str:
    return datetime.fromtimestamp(instant_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _raise_if_shared(outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
    # A chain may let the next delivery take over only from a fault that all of the readings share.
    first = outcomes[0]
    if isinstance(first, WeighbridgeError) and all(outcome is first for outcome in outcomes):
        raise first
    return outcomes
