"""Garmin Connect's protocol over any `Session`: look first, upload once, look again. Also reads and deletes.

Rule: a 2xx does not mean that a reading has arrived. Only what was read back is `confirmed`. What may have arrived is
looked for before it is sent again. What Garmin holds already is never sent again. An entry is deleted only after the
one that takes its place was read back, so a fault in between leaves both, and the same reading sent again finishes.

Facts:
- Garmin does not report duplicates of weight: it keeps an identical measurement once, and the same instant with other
  values becomes a second entry. So a correction deletes the old entry, once the new one is visible.
- `range` groups by the account's local calendar day, which may be the day before or after the UTC one.

Weakness: between its look and its upload, another program may send the same weigh-in; Garmin then keeps both. So it
does with messages of one weigh-in, if the second comes before Garmin shows the first. An entry that is completed loses
what Garmin does not show of it, such as the basal rate, unless the second message has it too. If the second message
had more values and thus the weight that counts, the first one sent again is a conflict.
"""

from __future__ import annotations

import contextlib
import logging
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace as replace_fields
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import chain, repeat
from typing import NamedTuple, Protocol

from ..delivery.joining import Joining, Placed, Target, Way, joined_notes, labels, would
from ..delivery.last_outcome import SIGN_IN_NEEDED, LastOutcome
from ..delivery.port import Delivered, Outcome, Prove, Source, Status, WeighIn, file_name
from ..delivery.turns import Turns
from ..errors import Conflict, GarminUnreachable, NotFound, OutcomeUnknown, WeighbridgeError
from ..fit.encode import RawFields
from ..fit.verify import VerifiedFit
from ..notes import Code, Note
from ..reading.reading import Reading
from ..reading.weighing import SHOWN, added
from ..reasons import Reason, Why
from .answers import SEND_AGAIN, Listed, UploadResult, fault_of, read_upload_answer, read_weigh_ins, status_of, unknown
from .entries import NEAR_S, ByInstant, Entry, differences, fits, not_shown, ours, raws_of, timestamp, values_of
from .sessions.port import ConnectionDropped, Session
from .sign_in import ANNOUNCED_DAYS

UPLOAD = "/upload-service/upload"
WEIGHT = "/weight-service/weight"

#: Between looks for a reading: Garmin itself says "look again in 1000 ms" (`location-in-milliseconds`).
PAUSES_S = (0.5, 1.0, 2.0, 4.0)

_DAY = timedelta(days=1)
_log = logging.getLogger(__name__)


class ReadBack(Protocol):
    """A way to read what Garmin holds without the session: the official Personal API."""

    def weigh_ins(self, first: date, last: date) -> Sequence[Entry]: ...

    def health(self) -> Mapping[str, object]: ...


class Wanted(NamedTuple):
    """What to look for: the values of a file, and the ids of the entries that it takes the place of."""

    raws: RawFields
    olds: Collection[str]


class Present(NamedTuple):
    """What Garmin holds already, and warnings."""

    weigh_in: WeighIn
    warnings: tuple[Note, ...]


class LookResult(NamedTuple):
    """The result of a look: the entry of each reading, all entries around them by their instant, why the last look
    failed (if it did), and notes."""

    found: list[Entry | None]
    shown: ByInstant
    trouble: WeighbridgeError | None
    remarks: tuple[Note, ...]


class GarminConnect:
    """A `Delivery` and a `WeighInStore`. Safe to share between threads when its session is."""

    source: Source = "garmin"

    def __init__(
        self,
        session: Session,
        *,
        name: str,
        confirm_s: float,
        join_s: float = 0,
        official: ReadBack | None = None,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`confirm_s`: for how long to look for an uploaded reading; 0 = answer `accepted` without a look.
        `join_s`: how many seconds apart two messages of one weigh-in may be; 0 = each instant is a weigh-in.
        `official`: a way to look that does not depend on the session."""
        self.name = name
        self._session = session
        self._confirm_s = confirm_s
        self._join_s = join_s
        self._official = official
        self._sleep = sleep
        self._monotonic = monotonic
        self._now = now
        self._turns = Turns(join_s)

    @property
    def session(self) -> Session:
        return self._session

    # -- Delivery ----------------------------------------------------------------------------------------

    def deliver(
        self, readings: Sequence[Reading], prove: Prove, *, replace: bool, untimed: Collection[Reading] = ()
    ) -> Mapping[Reading, Outcome]:
        """See `port.Delivery`. Without `replace`, an entry at the same instant with other values is a `Conflict`."""
        try:
            outcomes = self._outcomes(readings, prove, replace=replace, untimed=untimed)
        except WeighbridgeError as fault:
            self._session.ended(self.name, [fault])
            raise
        self._session.ended(self.name, [*outcomes.values()])
        return _raise_if_shared(outcomes)

    def _outcomes(
        self, readings: Sequence[Reading], prove: Prove, *, replace: bool, untimed: Collection[Reading]
    ) -> Mapping[Reading, Outcome]:
        joining = Joining(raws_of, SHOWN, prove.fields, self._join_s, replace=replace)
        raws = {reading: prove.raws(reading) for reading in readings}
        with self._turns.of([int(reading.measured_at.timestamp()) for reading in readings]):
            entries, unreadable = self._around(readings)
            held = ByInstant(entries)
            placed = joining.place(raws, ((timestamp(entry), entry) for entry in entries), untimed)
            targets = list(dict.fromkeys(each.target for each in placed.values() if each.way is not Way.CONFLICT))
            arrived = self._send([target for target in targets if target.reading], prove, held)
            for target in targets:
                if target.reading is None:
                    arrived[target] = self._present(target)
        outcomes: dict[Reading, Outcome] = {}
        for reading in raws:
            each = placed[reading]
            if each.way is Way.CONFLICT:
                outcomes[reading] = _conflict(reading, each, held.at(each.target.timestamp))
                continue
            outcome = arrived[each.target]
            if isinstance(outcome, Present):
                outcome = Delivered("present", prove([reading]), garmin=outcome.weigh_in, warnings=outcome.warnings)
            if isinstance(outcome, Delivered):
                warnings = (*outcome.warnings, *([_unreadable(unreadable)] if unreadable else ()))
                outcome = replace_fields(outcome, notes=joined_notes(each), warnings=warnings)
            outcomes[reading] = outcome
        return outcomes

    def take_back(self, measured_at: datetime, person: str | None) -> bool:  # noqa: ARG002  # there is one account
        """See `port.Delivery`."""
        instant_s, day = int(measured_at.timestamp()), measured_at.astimezone(UTC).date()
        with self._turns.of([instant_s]):
            found = [e for e in self.entries(day - _DAY, day + _DAY) if e.instant_s == instant_s]
            for entry in found:
                with contextlib.suppress(NotFound):  # deleted by somebody else in the meantime
                    self._delete(entry.calendar_date, entry.sample_pk)
        return bool(found)

    def health(self) -> Mapping[str, object]:
        """See `port.Delivery`. Looks at the stored token, at what became of its last renewal and of the last delivery,
        and at when a reading last arrived. The network is never touched, and nothing is written."""
        last = self.last_outcome()
        state: dict[str, object] = {"name": self.name, "ready": True, **last.shown()}
        if trouble := last.trouble(self._now()):
            state |= {"ready": False, "code": last.code, "again": last.again, "detail": trouble}
        try:
            days = self._session.token_days_left()
            failure = self._session.renewal_failure()
        except WeighbridgeError as fault:
            state |= {"ready": False, "code": fault.code, "again": fault.again, "detail": str(fault)}
        else:
            if days is not None:
                state["token_days_left"] = round(max(days, 0.0), 1)
                if days <= 0:
                    detail = f"The Garmin token has ended. {self._session.sign_in_again}"
                    state |= {"ready": False, "code": SIGN_IN_NEEDED, "again": "after_repair", "detail": detail}
                elif days < ANNOUNCED_DAYS and state["ready"]:
                    state["detail"] = (
                        f"The sign-in to Garmin ends in {days:.0f} day(s), unless `weighbridge refresh` renews it. "
                        f"{self._session.sign_in_again}"
                    )
            if failure:
                code = "sign-in-not-renewed"
                state |= {"ready": False, "code": code, "again": "after_repair", "detail": failure}
        if success := self._session.last_success_at():
            state["last_success_at"] = f"{success:%Y-%m-%dT%H:%M:%SZ}"
        return state if self._official is None else state | {"read_back": self._official.health()}

    def last_outcome(self) -> LastOutcome:
        """What the last delivery came to, in whatever process."""
        return self._session.last_outcome(self.name)

    # -- WeighInStore ------------------------------------------------------------------------------------

    def list_weigh_ins(self, first: date, last: date) -> Sequence[WeighIn]:
        """What Garmin holds from `first` to `last` (the account's calendar days, both included), oldest first."""
        entries = sorted(self.entries(first, last), key=lambda entry: (entry.instant_s, entry.sample_pk))
        return [entry.weigh_in() for entry in entries]

    def delete_weigh_in(self, weigh_in_id: str) -> None:
        """Delete one entry. Raises `NotFound` if no entry has this id, or a `GarminFault`."""
        match = re.fullmatch(r"(\d{4}-\d\d-\d\d)\.(\d{1,20})", weigh_in_id, re.ASCII)
        try:
            day = date.fromisoformat(match[1]) if match else None
        except ValueError:
            day = None
        if match is None or day is None:
            raise NotFound("There is no such weigh-in. An id is a day, a dot and a number, as GET /readings shows it.")
        self._delete(day, int(match[2]))

    # -- sending -----------------------------------------------------------------------------------------

    def _present(self, target: Target[Entry]) -> Present:
        """What is there already. What a crash or `replace` left beside it is deleted."""
        entry, _ = target.held[0]
        return Present(entry.weigh_in(), self._delete_all(target.obsolete, replaced=bool(target.others)))

    def _send(
        self, targets: Sequence[Target[Entry]], prove: Prove, held: ByInstant
    ) -> dict[Target[Entry], Outcome | Present]:
        """Upload what is to be sent as one file, look for it, and delete what it takes the place of."""
        outgoing = {target: target.reading for target in targets if target.reading}
        if not outgoing:
            return {}
        readings = list(outgoing.values())
        fit = prove(readings)
        name = file_name(readings, fit)
        try:
            upload = read_upload_answer(
                self._session.request("POST", UPLOAD, file=(name, fit.content)), self._session.sign_in_again
            )
        except ConnectionDropped as e:
            upload = unknown(str(e))
        except WeighbridgeError as fault:
            upload = UploadResult(fault, look=False)
        completes = any(target.obsolete for target in targets)
        if not upload.look or (self._confirm_s == 0 and upload.fault is None and not completes):
            return dict.fromkeys(targets, upload.fault or Delivered("accepted", fit, name, warnings=upload.warnings))
        wanted = [Wanted(prove.raws(reading), {entry.id for entry in t.obsolete}) for t, reading in outgoing.items()]
        looked = self._look_for(wanted, readings, near=upload.duplicate)
        upload = replace_fields(upload, warnings=(*upload.warnings, *looked.remarks))
        return {
            target: self._arrived(target, raws, fit, name, entry, upload)
            if entry
            else _not_arrived(target, raws, fit, name, upload, held, looked, self._confirm_s)
            for target, (raws, _), entry in zip(targets, wanted, looked.found, strict=True)
        }

    def _look_for(self, wanted: Sequence[Wanted], readings: Sequence[Reading], *, near: bool) -> LookResult:
        """Look at least once, until all are found or the time is up."""
        first, last = _days_around(readings)
        official = self._official
        remarks: tuple[Note, ...] = ()
        deadline = self._monotonic() + self._confirm_s
        shown = ByInstant()
        trouble: WeighbridgeError | None = None
        pauses: Iterator[float] = chain(PAUSES_S, repeat(PAUSES_S[-1]))
        while True:
            try:
                shown = ByInstant((official.weigh_ins if official else self.entries)(first, last))
                trouble = None
            except WeighbridgeError as e:
                if official:
                    remarks = (Code.PERSONAL_API_FAILED(fault=e),)
                    official = None
                    continue
                trouble = e
            found = _found(wanted, shown, near=near)
            left_s = deadline - self._monotonic()
            # Of all faults, only this one may be over a moment later.
            hopeless = trouble is not None and not isinstance(trouble, GarminUnreachable)
            if all(found) or left_s <= 0 or hopeless:
                return LookResult(found, shown, trouble, remarks)
            self._sleep(min(next(pauses), left_s))

    def _arrived(
        self, target: Target[Entry], raws: RawFields, fit: VerifiedFit, name: str, entry: Entry, upload: UploadResult
    ) -> Delivered:
        # What takes the place of an entry has to be at its instant, and to show all that was not to be replaced.
        shown = raws_of(entry)
        gone = [
            old
            for old in target.obsolete
            if timestamp(entry) == target.timestamp and (target.replaces or not added(raws_of(old), shown))
        ]
        warnings = (
            *upload.warnings,
            *not_shown(raws, entry),
            *_had_more(target, raws),
            *self._delete_all(gone, replaced=target.replaces),
        )
        if len(gone) < len(target.obsolete):
            warnings = (*warnings, Code.REPLACED_ENTRY_REMAINS(reason=_again(replaced=target.replaces)))
        status: Status = "present" if upload.duplicate else "confirmed"
        return Delivered(status, fit, name, entry.weigh_in(), warnings=warnings)

    def _delete_all(self, entries: Sequence[Entry], *, replaced: bool) -> tuple[Note, ...]:
        """Delete what was replaced; what could not be deleted becomes a warning."""
        warnings: list[Note] = []
        for entry in entries:
            try:
                self._delete(entry.calendar_date, entry.sample_pk)
            except NotFound:
                pass  # already deleted by somebody else
            except WeighbridgeError as fault:
                reason = Why.NOT_DELETED(id=entry.id, fault=fault, reason=_again(replaced=replaced))
                warnings.append(Code.REPLACED_ENTRY_REMAINS(reason=reason))
        return tuple(warnings)

    # -- the weight-service ------------------------------------------------------------------------------

    def _around(self, readings: Sequence[Reading]) -> Listed:
        """The entries from the day before the first of these readings to the day after the last."""
        return self._listed(*_days_around(readings))

    def entries(self, first: date, last: date) -> list[Entry]:
        """What Garmin holds from `first` to `last` (the account's calendar days, both included), in its order.

        Weigh-ins that cannot be read are left out, and the log says so.
        """
        return self._listed(first, last).entries

    def _listed(self, first: date, last: date) -> Listed:
        path = f"{WEIGHT}/range/{first.isoformat()}/{last.isoformat()}"
        try:
            answer = self._session.request("GET", path, params={"includeAll": "true"})
        except ConnectionDropped as e:
            raise GarminUnreachable(f"Garmin Connect did not list its weigh-ins. {e}") from e
        if answer.status == 204:
            return Listed([], 0)
        if answer.status != 200:
            raise fault_of(answer, "to show the weigh-ins", self._session.sign_in_again)
        listed = read_weigh_ins(answer)
        if listed.unreadable:
            _log.warning("%s", _unreadable(listed.unreadable))
        return listed

    def _delete(self, day: date, sample_pk: int) -> None:
        try:
            answer = self._session.request("DELETE", f"{WEIGHT}/{day.isoformat()}/byversion/{sample_pk}")
        except ConnectionDropped as e:
            return self._look_if_gone(day, sample_pk, str(e))
        if answer.status == 404:
            raise NotFound("Garmin Connect has no such weigh-in.")
        if answer.status >= 500:
            return self._look_if_gone(day, sample_pk, status_of(answer))
        if not 200 <= answer.status < 300:
            raise fault_of(answer, "to delete the weigh-in", self._session.sign_in_again)
        return None

    def _look_if_gone(self, day: date, sample_pk: int, why: str) -> None:
        unknown = f"Garmin Connect gave no answer to the deletion ({why})"
        try:
            there = any(entry.sample_pk == sample_pk for entry in self.entries(day, day))
        except WeighbridgeError as e:
            raise OutcomeUnknown(f"{unknown}, and a look failed. Send the same deletion again.") from e
        if there:
            raise OutcomeUnknown(f"{unknown}, and still shows the weigh-in. Send the same deletion again.")


def _days_around(readings: Sequence[Reading]) -> tuple[date, date]:
    # The account's calendar days may be the day before or after the UTC ones.
    days = [reading.measured_at.astimezone(UTC).date() for reading in readings]
    return min(days) - _DAY, max(days) + _DAY


def _found(wanted: Sequence[Wanted], shown: ByInstant, *, near: bool) -> list[Entry | None]:
    """The entry of each that is wanted, if it is shown."""
    return [
        next(
            (
                entry
                for entry in shown.near(raws["timestamp"], NEAR_S if near else 0)
                if entry.id not in olds and fits(raws, entry, near=near)
            ),
            None,
        )
        for raws, olds in wanted
    ]


def _not_arrived(
    target: Target[Entry],
    raws: RawFields,
    fit: VerifiedFit,
    name: str,
    upload: UploadResult,
    held: ByInstant,
    looked: LookResult,
    confirm_s: float,
) -> Outcome:
    trouble = looked.trouble
    if upload.fault is not None and trouble is not None:
        return OutcomeUnknown(
            f"It is unknown whether Garmin Connect has the reading, because a look failed: {trouble} {SEND_AGAIN}"
        )
    if upload.fault is not None:
        return upload.fault
    warnings = list(upload.warnings)
    known = {entry.id for entry in held.at(target.timestamp)}
    others = [entry for entry in looked.shown.at(target.timestamp) if entry.id not in known]
    if trouble is not None:
        warnings.append(Code.LOOK_FAILED(fault=trouble))
    elif others:
        names = labels(differences(values_of(raws), others[0].values))
        warnings.append(Code.SHOWN_DIFFERENTLY(values=names))
    else:
        warnings.append(Code.NOT_VISIBLE_YET(seconds=Decimal(f"{confirm_s:g}")))
    if target.obsolete:
        warnings.append(Code.REPLACED_ENTRY_REMAINS(reason=_again(replaced=target.replaces)))
    return Delivered("accepted", fit, name, warnings=tuple(warnings))


def _unreadable(count: int) -> Note:
    return Code.ENTRIES_UNREADABLE(count=count)


def _again(*, replaced: bool) -> Reason:
    return Why.SEND_AGAIN_REPLACING() if replaced else Why.SEND_AGAIN()


def _had_more(target: Target[Entry], raws: RawFields) -> tuple[Note, ...]:
    """The warning about values of the replaced entry that nobody sent."""
    names = added(target.held[0][1], raws) if target.replaces else ()
    return (Code.REPLACED_ENTRY_HAD_MORE(values=labels(names)),) if names else ()


def _conflict(reading: Reading, placed: Placed[Entry], theirs: Sequence[Entry]) -> Conflict:
    ways = would(placed.added, placed.changed)
    if theirs:
        text = (
            f"Garmin Connect holds an entry at this instant, so nothing was sent. {ways} To do "
            "so, send it again with replace=true."
        )
    else:
        text = f"Another reading in this request has the same instant, so this one was not sent. {ways}"
    other = [ours(placed.target.reading)] if placed.target.reading else []
    shown = [{"id": entry.id, **entry.weigh_in().shown()} for entry in theirs] or other
    return Conflict(text, ours(reading), shown, added=placed.added, changed=placed.changed)


def _raise_if_shared(outcomes: Mapping[Reading, Outcome]) -> Mapping[Reading, Outcome]:
    # In a chain, the next delivery may take over only after a fault that all readings share.
    first = next(iter(outcomes.values()))
    if isinstance(first, WeighbridgeError) and all(outcome is first for outcome in outcomes.values()):
        raise first
    return outcomes
