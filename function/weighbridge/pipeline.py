"""The pipeline: payload -> reading -> proven file -> delivery -> receipt.

Rule: each payload has one result, a receipt or a fault, in its place. One that fails does not stop the others. What is
understood first (`understand`) sends nothing; only `receipts` delivers, and only files that were proven.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from .delivery.port import Delivery, Outcome
from .errors import FieldError, NotFound, ProofFailed, ReadingRejected, TemplateUnusable, WeighbridgeError
from .fit.encode import RawFields, encode
from .fit.patch import READINGS_PER_FILE, patch
from .fit.template import Template
from .fit.verify import VerifiedFit, verify
from .reading.bodies import Action, Item
from .reading.interpret import Interpreted, interpret, when_and_whose
from .reading.reading import Reading
from .reasons import Why
from .receipt import Receipt, make_receipt, nothing_done, taken_back


def prove(template: Template, rows: Sequence[RawFields]) -> VerifiedFit:
    """Encoded readings -> one FIT file, decoded by fitdecode and found to hold exactly these values."""
    return verify(patch(template, rows), template, rows)


class Prover:
    """A `port.Prove`: makes proven files with one template."""

    def __init__(self, template: Template, raws: Mapping[Reading, RawFields] | None = None) -> None:
        """`raws`: of readings that are encoded already."""
        self.fields = template.fields
        self._template = template
        self._raws = raws or {}

    def raws(self, reading: Reading) -> RawFields:
        raws = self._raws.get(reading) or encode(reading)
        return {name: raw for name, raw in raws.items() if name in self.fields}

    def __call__(self, readings: Sequence[Reading]) -> VerifiedFit:
        return prove(self._template, [self._raws.get(reading) or encode(reading) for reading in readings])


def rehearse(template: Template) -> None:
    """Prove two made-up readings that fill every slot. Raises `TemplateUnusable` if no reading could be proven.

    `read_template` is more lenient than fitdecode. Without this, a developer field without a description, or a field
    of zero bytes in another message, would be found only by the first reading.
    """
    try:
        prove(template, [dict.fromkeys(template.fields, raw) for raw in (1, 2)])
    except ProofFailed as e:
        raise TemplateUnusable(f"No reading could be proven in this template. {e}") from e


#: Someone is named where no people are configured.
ONE_ACCOUNT = "No people are configured here (WEIGHBRIDGE_PEOPLE), so there is only one account."


def _of_the_only_one(person: str | None) -> Callable[[Interpreted], Interpreted]:
    if person is not None:
        raise NotFound(ONE_ACCOUNT)
    return lambda interpreted: interpreted


class Understood(NamedTuple):
    """A reading that was understood and can be encoded."""

    interpreted: Interpreted
    raws: RawFields
    replace: bool

    @property
    def reading(self) -> Reading:
        return self.interpreted.reading


class TakeBack(NamedTuple):
    """A weigh-in to delete."""

    measured_at: datetime
    person: str | None


#: What is to be done with a payload, or its fault, or its receipt if nothing is to be done.
Step = Understood | TakeBack | Receipt | WeighbridgeError


def is_to_do(step: Step) -> bool:
    """Whether anything would be sent or deleted."""
    return isinstance(step, Understood | TakeBack)


@dataclass(frozen=True, slots=True)
class Weighbridge:
    """A template, a delivery, and the time zone for times without an offset."""

    template: Template
    delivery: Delivery
    timezone: ZoneInfo
    #: Called once for each request, with the person that it names. Returns the function that assigns a reading to its
    #: person.
    settle: Callable[[str | None], Callable[[Interpreted], Interpreted]] = _of_the_only_one

    def weigh(
        self,
        payloads: Iterable[object],
        *,
        now: datetime,
        occurred_at: object = None,
        dry_run: bool,
        replace: bool,
    ) -> list[Receipt | WeighbridgeError]:
        """Payloads, or `Item`s of them -> a receipt or a fault for each, in order. One bad payload does not stop the
        others. `replace` is for all of them, and that of an item for this one."""
        steps = self.understand(payloads, now=now, occurred_at=occurred_at, replace=replace)
        return self.receipts(steps, dry_run=dry_run)

    def understand(
        self,
        payloads: Iterable[object],
        *,
        now: datetime,
        occurred_at: object = None,
        replace: bool,
        person: str | None = None,
    ) -> list[Step]:
        """The first half of `weigh`, which sends nothing: what is to be done with each payload.

        `person`: whose all of them are, whatever they say. Raises `NotFound` if nobody has that name.
        """
        settled = self.settle(person)
        return [self._step(payload, settled, now, occurred_at, person, replace=replace) for payload in payloads]

    def receipts(self, steps: Sequence[Step], *, dry_run: bool) -> list[Receipt | WeighbridgeError]:
        """The second half of `weigh`: do it."""
        results: dict[int, Receipt | WeighbridgeError] = {}
        waiting: dict[int, Understood] = {}

        def deliver_waiting() -> None:
            results.update(zip(waiting, self._receipts([*waiting.values()], dry_run=dry_run), strict=True))
            waiting.clear()

        for number, step in enumerate(steps):
            if isinstance(step, Understood):
                if waiting and next(iter(waiting.values())).replace != step.replace:
                    deliver_waiting()
                waiting[number] = step
            elif isinstance(step, TakeBack):
                deliver_waiting()
                results[number] = self._take_back(step, dry_run=dry_run)
            else:
                results[number] = step
        deliver_waiting()
        return [results[number] for number in range(len(results))]

    def fit(
        self, payloads: Iterable[object], *, now: datetime, occurred_at: object = None, person: str | None = None
    ) -> tuple[list[Reading], VerifiedFit]:
        """Payloads, or `Item`s of them -> the proven file. Nothing is sent. Raises the first fault."""
        steps = self.understand(payloads, now=now, occurred_at=occurred_at, replace=False, person=person)
        for step in steps:
            if isinstance(step, WeighbridgeError):
                raise step
        good = [step for step in steps if isinstance(step, Understood)]
        if len(good) < len(steps):
            raise ReadingRejected([FieldError("", None, Why.WEIGH_IN_EXPECTED())])
        return [each.reading for each in good], prove(self.template, [each.raws for each in good])

    def _step(
        self,
        payload: object,
        settled: Callable[[Interpreted], Interpreted],
        now: datetime,
        occurred_at: object,
        person: str | None,
        *,
        replace: bool,
    ) -> Step:
        item = payload if isinstance(payload, Item) else Item(payload)
        try:
            if item.action is Action.NOTHING:
                return nothing_done(item.text)
            if item.action is Action.TAKE_BACK:
                measured_at, whose = when_and_whose(item.payload, now=now, timezone=self.timezone)
                return TakeBack(measured_at, person or whose)
            interpreted = settled(interpret(item.payload, now=now, timezone=self.timezone, occurred_at=occurred_at))
            raws = encode(interpreted.reading)
        except WeighbridgeError as fault:
            # The traceback would hold everything that the work on this payload has made.
            return fault.with_traceback(None)
        return Understood(interpreted, raws, replace or item.action is Action.REPLACE)

    def _take_back(self, step: TakeBack, *, dry_run: bool) -> Receipt | WeighbridgeError:
        if dry_run:
            return taken_back(step.measured_at, "checked")
        try:
            if not self.delivery.take_back(step.measured_at, step.person):
                return NotFound("No weigh-in was found at this instant; nothing was deleted.")
        except WeighbridgeError as fault:
            return fault
        return taken_back(step.measured_at, "taken_back")

    def _receipts(self, good: Sequence[Understood], *, dry_run: bool) -> Iterator[Receipt | WeighbridgeError]:
        for start in range(0, len(good), READINGS_PER_FILE):
            batch = good[start : start + READINGS_PER_FILE]
            if dry_run:
                try:
                    file = prove(self.template, [each.raws for each in batch])
                except ProofFailed as fault:
                    yield from (fault for _ in batch)
                else:
                    yield from (make_receipt(each.interpreted, each.raws, self.template, file) for each in batch)
                continue
            outcomes = self._deliver(batch)
            for each in batch:
                outcome = outcomes[each.reading]
                if isinstance(outcome, WeighbridgeError):
                    yield outcome
                else:
                    yield make_receipt(each.interpreted, each.raws, self.template, outcome)

    def _deliver(self, batch: Sequence[Understood]) -> Mapping[Reading, Outcome]:
        prover = Prover(self.template, {each.reading: each.raws for each in batch})
        readings = [each.reading for each in batch]
        untimed = frozenset(each.reading for each in batch if not each.interpreted.timed)
        try:
            return self.delivery.deliver(readings, prover, replace=batch[0].replace, untimed=untimed)
        except WeighbridgeError as fault:
            return dict.fromkeys(readings, fault)
