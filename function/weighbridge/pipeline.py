"""The pipeline: payload -> reading -> proven file -> delivery -> receipt."""

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
    """Encoded readings -> one FIT file, decoded by fitdecode and found to hold exactly these values."""
    return verify(patch(template, rows), template, rows)


def rehearse(template: Template) -> None:
    """Prove two made-up readings that fill every slot. Raises `TemplateUnusable` if no reading could be proven.

    `read_template` is more lenient than fitdecode. Without this, a developer field without a description, or a field
    of zero bytes in another message, would be found only by the first reading.
    """
    try:
        prove(template, [dict.fromkeys(template.fields, raw) for raw in (1, 2)])
    except ProofFailed as e:
        raise TemplateUnusable(f"No reading could be proven in this template. {e}") from e


def _unchanged(interpreted: Interpreted) -> Interpreted:
    return interpreted


class Understood(NamedTuple):
    """A reading that was understood and can be encoded."""

    interpreted: Interpreted
    raws: RawFields

    @property
    def reading(self) -> Reading:
        return self.interpreted.reading


@dataclass(frozen=True, slots=True)
class Weighbridge:
    """A template, a delivery, and the time zone for times without an offset."""

    template: Template
    delivery: Delivery
    timezone: ZoneInfo
    #: Called once for each request. Returns the function that assigns a reading to its person.
    settle: Callable[[], Callable[[Interpreted], Interpreted]] = lambda: _unchanged

    def weigh(
        self,
        payloads: Iterable[object],
        *,
        now: datetime,
        occurred_at: object = None,
        dry_run: bool,
        replace: bool,
    ) -> list[Receipt | WeighbridgeError]:
        """Payloads -> a receipt or a fault for each, in order. One bad payload does not stop the others."""
        results = list(self._understand_each(payloads, now, occurred_at))
        good = [result for result in results if isinstance(result, Understood)]
        receipts = self._receipts(good, dry_run=dry_run, replace=replace)
        return [next(receipts) if isinstance(result, Understood) else result for result in results]

    def fit(
        self, payloads: Iterable[object], *, now: datetime, occurred_at: object = None
    ) -> tuple[list[Reading], VerifiedFit]:
        """Payloads -> the proven file. Nothing is sent. Raises the first fault."""
        understand = self._understanding(now, occurred_at)
        good = [understand(payload) for payload in payloads]
        return [each.reading for each in good], prove(self.template, [each.raws for each in good])

    def _understanding(self, now: datetime, occurred_at: object) -> Callable[[object], Understood]:
        settled = self.settle()

        def understand(payload: object) -> Understood:
            interpreted = settled(interpret(payload, now=now, timezone=self.timezone, occurred_at=occurred_at))
            return Understood(interpreted, encode(interpreted.reading))

        return understand

    def _understand_each(
        self, payloads: Iterable[object], now: datetime, occurred_at: object
    ) -> Iterator[Understood | WeighbridgeError]:
        understand = self._understanding(now, occurred_at)
        for payload in payloads:
            try:
                yield understand(payload)
            except WeighbridgeError as fault:
                yield fault

    def _receipts(
        self, good: Sequence[Understood], *, dry_run: bool, replace: bool
    ) -> Iterator[Receipt | WeighbridgeError]:
        for start in range(0, len(good), READINGS_PER_FILE):
            batch = good[start : start + READINGS_PER_FILE]
            if dry_run:
                # The bytes that would be sent. Nothing is sent, so nothing is proven; `fit` gives a proven file.
                file = patch(self.template, [each.raws for each in batch])
                yield from (make_receipt(*each, self.template, file) for each in batch)
                continue
            outcomes = self._deliver(batch, replace=replace)
            for each in batch:
                outcome = outcomes[each.reading]
                if isinstance(outcome, WeighbridgeError):
                    yield outcome
                else:
                    yield make_receipt(*each, self.template, outcome)

    def _deliver(self, batch: Sequence[Understood], *, replace: bool) -> Mapping[Reading, Outcome]:
        raws = {each.reading: each.raws for each in batch}
        readings = [each.reading for each in batch]
        try:
            return self.delivery.deliver(
                readings, lambda some: prove(self.template, [raws[reading] for reading in some]), replace=replace
            )
        except WeighbridgeError as fault:
            return dict.fromkeys(readings, fault)
