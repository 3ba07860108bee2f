"""Garmin Connect's protocol over any `Session`: look first, upload once, look again. Also reads and deletes.

Rule: a 2xx does not mean that a reading has arrived. Only what was read back is `confirmed`. What may have arrived is
looked for before it is sent again. What Garmin holds already is never sent again.

Facts:
- Garmin does not report duplicates of weight: it keeps an identical measurement once, and the same instant with other
  values becomes a second entry. So a correction deletes the old entry, once the new one is visible.

Weakness: between its look and its upload, another program may send the same instant; Garmin then keeps both.
- `range` groups by the account's local calendar day, which may be the day before or after the UTC one.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace as replace_fields
from datetime import UTC, date, timedelta
from itertools import chain, repeat
from typing import NamedTuple, Protocol

from ..delivery.port import Delivered, Outcome, Prove, Status, WeighIn, file_name
from ..errors import Conflict, GarminUnreachable, NotFound, OutcomeUnknown, WeighbridgeError
from ..fit.verify import VerifiedFit
from ..notes import Code, Note
from ..reading.reading import Reading
from .answers import SEND_AGAIN, UploadResult, fault_of, read_upload_answer, read_weigh_ins, status_of, unknown
from .entries import Entry, at_instant_of, differences, fits, instant_s, is_same, not_shown, ours, values_of
from .sessions.port import ConnectionDropped, Session

UPLOAD = "/upload-service/upload"
WEIGHT = "/weight-service/weight"

#: Between looks for a reading: Garmin itself says "look again in 1000 ms" (`location-in-milliseconds`).
PAUSES_S = (0.5, 1.0, 2.0, 4.0)


class ReadBack(Protocol):
    """A way to read what Garmin holds without the session: the official Personal API."""

    def weigh_ins(self, first: date, last: date) -> Sequence[Entry]: ...

    def health(self) -> Mapping[str, object]: ...


class LookResult(NamedTuple):
    """The result of a look: the entry of each reading, all entries around them, why the last look failed (if it did),
    and notes."""

    found: list[Entry | None]
    shown: Sequence[Entry]
    trouble: WeighbridgeError | None
    remarks: tuple[Note, ...]


class GarminConnect:
    """A `Delivery` and a `WeighInStore`. Safe to share between threads when its session is."""

    def __init__(
        self,
        session: Session,
        *,
        name: str,
        confirm_s: float,
        official: ReadBack | None = None,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`confirm_s`: for how long to look for an uploaded reading; 0 = answer `accepted` without a look.
        `official`: a way to look that does not depend on the session."""
        self.name = name
        self._session = session
        self._confirm_s = confirm_s
        self._official = official
        self._sleep = sleep
        self._monotonic = monotonic

    # -- Delivery ----------------------------------------------------------------------------------------

    def deliver(self, readings: Sequence[Reading], prove: Prove, *, replace: bool) -> Mapping[Reading, Outcome]:
        """See `port.Delivery`. Without `replace`, an entry at the same instant with other values is a `Conflict`."""
        held = self._around(readings)
        outcomes: dict[Reading, Outcome] = {}
        first_at: dict[int, Reading] = {}  # instant -> the first reading of this call for it
        outgoing: list[Reading] = []
        for reading in dict.fromkeys(readings):
            if first_at.setdefault(instant_s(reading), reading) is not reading:
                continue
            at_instant = at_instant_of(held, reading)
            same = next((entry for entry in at_instant if is_same(reading, entry)), None)
            if same:
                others = [entry for entry in at_instant if entry is not same] if replace else []
                warnings = (*not_shown(reading, same), *self._delete_all(others))
                outcomes[reading] = Delivered("present", prove([reading]), garmin=same.weigh_in(), warnings=warnings)
            elif at_instant and not replace:
                outcomes[reading] = _conflict(reading, at_instant)
            else:
                outgoing.append(reading)
        if outgoing:
            outcomes |= self._send(outgoing, prove, held, replace=replace)
        for reading in readings:
            first = first_at[instant_s(reading)]
            if reading not in outcomes:
                differ = differences(values_of(reading), values_of(first))
                outcomes[reading] = _same_instant_conflict(reading, first) if differ else outcomes[first]
        return _raise_if_shared(outcomes)

    def health(self) -> Mapping[str, object]:
        """See `port.Delivery`. Looks at the stored token only; the network is never touched."""
        state: dict[str, object] = {"name": self.name, "ready": True}
        try:
            days = self._session.token_days_left()
        except WeighbridgeError as fault:
            state |= {"ready": False, "detail": str(fault)}
        else:
            if days is not None:
                state |= {"ready": days > 0, "token_days_left": round(max(days, 0.0), 1)}
                state |= {} if days > 0 else {"detail": f"The Garmin token has ended. {self._session.sign_in_again}"}
        return state if self._official is None else state | {"read_back": self._official.health()}

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

    def _send(
        self, readings: Sequence[Reading], prove: Prove, held: Sequence[Entry], *, replace: bool
    ) -> Mapping[Reading, Outcome]:
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
        if not upload.look or (self._confirm_s == 0 and upload.fault is None and not replace):
            return dict.fromkeys(readings, upload.fault or Delivered("accepted", fit, name, warnings=upload.warnings))
        looked = self._look_for(readings, near=upload.duplicate)
        upload = replace_fields(upload, warnings=(*upload.warnings, *looked.remarks))
        return {
            reading: self._arrived(reading, fit, name, entry, upload, at_instant_of(held, reading))
            if entry
            else _not_arrived(reading, fit, name, upload, held, looked, self._confirm_s)
            for reading, entry in zip(readings, looked.found, strict=True)
        }

    def _look_for(self, readings: Sequence[Reading], *, near: bool) -> LookResult:
        """Look at least once, until all readings are found or the time is up."""
        first, last = _days_around(readings)
        official = self._official
        remarks: tuple[Note, ...] = ()
        deadline = self._monotonic() + self._confirm_s
        shown: Sequence[Entry] = []
        trouble: WeighbridgeError | None = None
        pauses: Iterator[float] = chain(PAUSES_S, repeat(PAUSES_S[-1]))
        while True:
            try:
                shown, trouble = (official.weigh_ins if official else self.entries)(first, last), None
            except WeighbridgeError as e:
                if official:
                    text = f"Garmin's Personal API could not be used to confirm it: {e}"
                    remarks = (Note(Code.PERSONAL_API_FAILED, text),)
                    official = None
                    continue
                trouble = e
            found = [next((e for e in shown if fits(reading, e, near=near)), None) for reading in readings]
            left_s = deadline - self._monotonic()
            # Of all faults, only this one may be over a moment later.
            hopeless = trouble is not None and not isinstance(trouble, GarminUnreachable)
            if all(found) or left_s <= 0 or hopeless:
                return LookResult(found, shown, trouble, remarks)
            self._sleep(min(next(pauses), left_s))

    def _arrived(
        self, reading: Reading, fit: VerifiedFit, name: str, entry: Entry, upload: UploadResult, olds: Sequence[Entry]
    ) -> Delivered:
        # In `deliver`, entries at the instant of a reading that is sent are those to be replaced.
        replaced = [old for old in olds if old.id != entry.id]
        warnings = (*upload.warnings, *not_shown(reading, entry), *self._delete_all(replaced))
        status: Status = "present" if upload.duplicate else "confirmed"
        return Delivered(status, fit, name, entry.weigh_in(), warnings)

    def _delete_all(self, entries: Sequence[Entry]) -> tuple[Note, ...]:
        """Delete what was replaced; what could not be deleted becomes a warning."""
        warnings: list[Note] = []
        for entry in entries:
            try:
                self._delete(entry.calendar_date, entry.sample_pk)
            except NotFound:
                pass  # already deleted by somebody else
            except WeighbridgeError as fault:
                text = (
                    f"The replaced entry {entry.id} is still there, because it could not be deleted: {fault} "
                    "Send the same reading with replace=true again."
                )
                warnings.append(Note(Code.REPLACED_ENTRY_REMAINS, text))
        return tuple(warnings)

    # -- the weight-service ------------------------------------------------------------------------------

    def _around(self, readings: Sequence[Reading]) -> list[Entry]:
        """The entries from the day before the first of these readings to the day after the last."""
        return self.entries(*_days_around(readings))

    def entries(self, first: date, last: date) -> list[Entry]:
        """What Garmin holds from `first` to `last` (the account's calendar days, both included), in its order."""
        path = f"{WEIGHT}/range/{first.isoformat()}/{last.isoformat()}"
        try:
            answer = self._session.request("GET", path, params={"includeAll": "true"})
        except ConnectionDropped as e:
            raise GarminUnreachable(f"Garmin Connect did not list its weigh-ins. {e}") from e
        if answer.status == 204:
            return []
        if answer.status != 200:
            raise fault_of(answer, "to show the weigh-ins", self._session.sign_in_again)
        return read_weigh_ins(answer)

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
    return min(days) - timedelta(days=1), max(days) + timedelta(days=1)


def _not_arrived(
    reading: Reading,
    fit: VerifiedFit,
    name: str,
    upload: UploadResult,
    held: Sequence[Entry],
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
    known = {entry.id for entry in held}
    others = [entry for entry in at_instant_of(looked.shown, reading) if entry.id not in known]
    if trouble is not None:
        text = f"Garmin Connect accepted the file, but a look for the reading failed: {trouble}"
        warnings.append(Note(Code.LOOK_FAILED, text))
    elif others:
        names = ", ".join(differences(values_of(reading), others[0].values))
        text = f"Garmin Connect shows a new entry at this instant, but with a different {names}."
        warnings.append(Note(Code.SHOWN_DIFFERENTLY, text))
    else:
        text = f"Garmin Connect accepted the file, but did not show the reading within {confirm_s:g} s."
        warnings.append(Note(Code.NOT_VISIBLE_YET, text))
    if at_instant_of(held, reading):
        text = "The entry to be replaced is still there. Send the reading with replace=true again."
        warnings.append(Note(Code.REPLACED_ENTRY_REMAINS, text))
    return Delivered("accepted", fit, name, warnings=tuple(warnings))


def _conflict(reading: Reading, theirs: Sequence[Entry]) -> Conflict:
    return Conflict(
        "Garmin Connect holds an entry at this instant with other values; nothing was sent. To replace it, send "
        "the reading with replace=true.",
        ours(reading),
        [{"id": entry.id, **entry.weigh_in().shown()} for entry in theirs],
    )


def _same_instant_conflict(reading: Reading, other: Reading) -> Conflict:
    return Conflict(
        "Another reading in this request has the same instant and other values; this one was not sent.",
        ours(reading),
        [ours(other)],
    )


def _raise_if_shared(outcomes: Mapping[Reading, Outcome]) -> Mapping[Reading, Outcome]:
    # In a chain, the next delivery may take over only after a fault that all readings share.
    first = next(iter(outcomes.values()))
    if isinstance(first, WeighbridgeError) and all(outcome is first for outcome in outcomes.values()):
        raise first
    return outcomes
