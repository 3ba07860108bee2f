"""The story: a payload becomes a reading, the reading a proven file, the file a delivery, and all of it a receipt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from .delivery.port import Delivery, Outcome
from .errors import ProofFailed, TemplateUnusable, WeighbridgeError
from .fit.encode import RawFields, encode
from .fit.patch import READINGS_PER_FILE, patch
from .fit.template import Template
from .fit.verify import VerifiedFit, verify
from .reading.interpret import Interpreted, interpret
from .reading.reading import Reading
from .receipt import Receipt, make_receipt


def prove(template: Template, rows: Sequence[RawFields]) -> VerifiedFit:
    """Encoded readings -> one FIT file that fitdecode has read back and found to say exactly this."""
    return verify(patch(template, rows), template, rows)


def rehearse(template: Template) -> None:
    """Prove two made-up readings that fill every slot. Raises `TemplateUnusable` when no reading could be proven.

    Our own walk is more lenient than fitdecode: a developer field that nothing describes, or a field of zero bytes
    in a foreign message, would otherwise be found only when the first reading fails.
    """
    try:
        prove(template, [dict.fromkeys(template.fields, raw) for raw in (1, 2)])
    except ProofFailed as e:
        raise TemplateUnusable(f"No reading could be proven in this template. {e}") from e


def _as_it_is(interpreted: Interpreted) -> Interpreted:
    return interpreted


class Understood(NamedTuple):
    """A reading that was understood and fits into a file."""

    interpreted: Interpreted
    raws: RawFields

    @property
    def reading(self) -> Reading:
        return self.interpreted.reading


@dataclass(frozen=True, slots=True)
class Weighbridge:
    """A template, a delivery, and the zone of times without an offset."""

    template: Template
    delivery: Delivery
    timezone: ZoneInfo
    #: Begins a request: what it returns makes a reading its person's.
    settle: Callable[[], Callable[[Interpreted], Interpreted]] = lambda: _as_it_is

    def weigh(
        self, payloads: Iterable[object], *, now: datetime, dry_run: bool, replace: bool
    ) -> list[Receipt | WeighbridgeError]:
        """Payloads -> a receipt or a fault for each, in order. One bad payload never stops the others."""
        results = list(self._understand_each(payloads, now))
        good = [result for result in results if isinstance(result, Understood)]
        receipts = self._receipts(good, dry_run=dry_run, replace=replace)
        return [next(receipts) if isinstance(result, Understood) else result for result in results]

    def fit(self, payloads: Iterable[object], *, now: datetime) -> tuple[list[Reading], VerifiedFit]:
        """Payloads -> the proven file itself. Nothing is sent; the first fault ends it."""
        understand = self._understanding(now)
        good = [understand(payload) for payload in payloads]
        return [each.reading for each in good], prove(self.template, [each.raws for each in good])

    def _understanding(self, now: datetime) -> Callable[[object], Understood]:
        settled = self.settle()

        def understand(payload: object) -> Understood:
            interpreted = settled(interpret(payload, now=now, timezone=self.timezone))
            return Understood(interpreted, encode(interpreted.reading))

        return understand

    def _understand_each(self, payloads: Iterable[object], now: datetime) -> Iterator[Understood | WeighbridgeError]:
        understand = self._understanding(now)
        for payload in payloads:
            try:
                yield understand(payload)
            except WeighbridgeError as fault:
                yield fault

    def _receipts(
        self, good: Sequence[Understood], *, dry_run: bool, replace: bool
    ) -> Iterator[Receipt | WeighbridgeError]:
        for start in range(0, len(good), READINGS_PER_FILE):
            parcel = good[start : start + READINGS_PER_FILE]
            if dry_run:
                # The bytes that would be sent. Nothing is sent, so nothing is proven; `fit` rehearses with proof.
                file = patch(self.template, [each.raws for each in parcel])
                yield from (make_receipt(*each, self.template, file) for each in parcel)
                continue
            outcomes = self._deliver(parcel, replace=replace)
            for each in parcel:
                outcome = outcomes[each.reading]
                if isinstance(outcome, WeighbridgeError):
                    yield outcome
                else:
                    yield make_receipt(*each, self.template, outcome)

    def _deliver(self, parcel: Sequence[Understood], *, replace: bool) -> Mapping[Reading, Outcome]:
        raws = {each.reading: each.raws for each in parcel}
        readings = [each.reading for each in parcel]
        try:
            return self.delivery.deliver(
                readings, lambda some: prove(self.template, [raws[reading] for reading in some]), replace=replace
            )
        except WeighbridgeError as fault:
            return dict.fromkeys(readings, fault)
